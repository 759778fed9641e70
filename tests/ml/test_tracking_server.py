"""Runs and versions through an MLflow server of one's own, which checks more than a database does."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from expectations.errors import SetupError, UnavailableError
from ml.model_run import Run, log_run
from ml.registry import champion, promote, register, required_champion, run_of_version

START_LIMIT_S = 90


@pytest.fixture
def server(tmp_path: Path, monkeypatch) -> Iterator[subprocess.Popen]:
    """A server over a database of its own, on loopback, which MLFLOW_TRACKING_URI names."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination", (tmp_path / "kept").as_uri(),
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            wait_for(f"{address}/health", process)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise AssertionError(f"the server does not answer at {address} (exit {process.poll()})")


def test_a_run_is_kept_and_its_first_version_is_champion(server, tmp_path, monkeypatch):
    home = tmp_path / "a home"
    home.mkdir()
    (home / "shop.json").write_text(json.dumps({"shop": "corner", "simulated": False, "sources": [], "landing": {}}))
    with pytest.raises(SetupError, match="no champion yet"):  # the server knows no such model, which is no fault of its
        required_champion(home)
    for name in ("shown", "saved"):
        (tmp_path / name).mkdir()
    (tmp_path / "saved" / "about.json").write_text("{}")  # what was saved is not read here
    params, example = {"data_digest": "0" * 64, "cutoff_test": "2020-07-01"}, pd.DataFrame({"recency_days": [1.0, 2.0]})
    one = Run("line", {}, params, {"test_auc": 0.5}, tmp_path / "shown", tmp_path / "saved", example)
    run_id, uri = log_run(one, home)
    assert register(run_id, uri, home) == register(run_id, uri, home) == 1
    promote("lifestage_behaviour", 1, home)
    assert champion(home) == 1
    assert run_of_version("lifestage_behaviour", 1, home) == run_id
    assert list((tmp_path / "kept").rglob("MLmodel")), "the server keeps the files, not the home"
    assert not (home / "mlflow").exists()
    # A server that falls silent later is told too, once MLflow has asked as often as it is set to.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    server.terminate()
    server.wait(timeout=30)
    with pytest.raises(UnavailableError, match=f"MLflow does not answer at {os.environ['MLFLOW_TRACKING_URI']}: "):
        champion(home)
