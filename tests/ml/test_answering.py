"""An MLflow that does not answer: every command says so at once, where, and what to do, as what a retry may mend."""

import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import create_engine

from expectations.errors import UnavailableError
from expectations.version import REPOSITORY
from ml import due, metrics, promote, resolve, rollback, train
from ml.answering import require_answer, store_errors

COMMANDS = {
    "resolve": (resolve, "--ds", "2020-07-31"),
    "train": (train, "--cutoff", "2020-07-28"),
    "promote": (promote, "lifestage_behaviour/1"),
    "rollback": (rollback,),
    "due": (due, "--ds", "2020-07-31"),
    "metrics": (metrics,),
    "metrics of a cutoff": (metrics, "--cutoff", "2020-07-28"),
}
STORES = {
    "server": ("http://ml:secret@127.0.0.1:{}", "MLflow does not answer at http://127.0.0.1:{}: "),
    "database": (
        "postgresql+psycopg://ml:secret@127.0.0.1:{}/mlflow",
        "MLflow's database does not answer at postgresql+psycopg://ml:***@127.0.0.1:{}/mlflow: ",
    ),
}
PATIENCE_SECONDS = 45
"""Far less than MLflow's own patience, and enough for a busy machine to import what it needs."""


@pytest.fixture
def closed_port():
    """A port where nothing listens: it is bound, so nobody else takes it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_where_nobody_answers(store, command, closed_port, shop_home, monkeypatch):
    (address, said), (module, *arguments) = STORES[store], COMMANDS[command]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(closed_port))
    began = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        module.main(module.arg_parser().parse_args(["--home", str(shop_home), *arguments]))
    assert time.monotonic() - began < PATIENCE_SECONDS
    message = str(caught.value)
    assert message.startswith(said.format(closed_port))
    assert message.endswith(". Start it, or correct MLFLOW_TRACKING_URI, which names it")
    assert "secret" not in message


def test_the_exit_code_asks_for_a_retry_and_there_is_no_traceback(closed_port, shop_home):
    uri = f"http://127.0.0.1:{closed_port}"
    done = subprocess.run(
        [sys.executable, "-m", "ml", "resolve", "--home", str(shop_home), "--ds", "2020-07-31"],
        capture_output=True, text=True, cwd=REPOSITORY, env=os.environ | {"MLFLOW_TRACKING_URI": uri},
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith(f"resolve: MLflow does not answer at {uri}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_home_without_an_address_of_its_own_names_the_command_that_starts_its_server(tmp_path, closed_port):
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "tracking_uri").write_text(f"postgresql+psycopg://ml@127.0.0.1:{closed_port}/mlflow\n")
    with pytest.raises(UnavailableError, match=rf"started by `python -m jobs setup --home '{tmp_path}' --source NAME`"):
        require_answer(tmp_path)


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (404, True), (502, False), (503, False)])
def test_a_refusal_is_an_answer_and_a_gateways_apology_is_none(status, answers, monkeypatch):
    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}/")
        try:
            if answers:
                require_answer()
            else:
                with pytest.raises(UnavailableError, match=f"HTTP Error {status}"):
                    require_answer()
        finally:
            server.shutdown()


def test_a_database_that_falls_silent_later_is_told_and_other_errors_stay_what_they_are(shop_home, closed_port):
    silence = r"MLflow's database does not answer at sqlite:.*[Cc]onnection"
    with pytest.raises(UnavailableError, match=silence), store_errors(shop_home):
        create_engine(f"postgresql+psycopg://ml@127.0.0.1:{closed_port}/mlflow").connect()
    with pytest.raises(ZeroDivisionError), store_errors(shop_home):
        raise ZeroDivisionError
