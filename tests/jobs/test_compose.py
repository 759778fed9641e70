"""The deployment by docker-compose: secrets, what the file promises, and that it agrees with how jobs start Airflow."""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local import airflow_env
from jobs.marts.warehouse import DATABASES

TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]
REQUIRED = set(re.findall(r"\$\{(\w+):\?", TEXT))
RUNNING = sorted(set(SERVICES) - {"init"})
COMPOSE = shutil.which("docker-compose")
# A name on the PATH may be a wrapper that finds nothing behind it.
WORKS = COMPOSE is not None and subprocess.run([COMPOSE, "version"], capture_output=True).returncode == 0
needs_compose = pytest.mark.skipif(not WORKS, reason="docker-compose is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The deployment's files in a path with a space."""
    folder = tmp_path / "a checkout"
    (folder / ".ci").mkdir(parents=True)
    for name in ("docker-compose.yaml", ".ci/secrets", ".ci/postgres_databases.sh"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def bare_environment(**more: str) -> dict[str, str]:
    """Nothing of the caller's that compose or the script would take for a setting."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | more


def make_secrets(checkout: Path, **more: str) -> dict[str, str]:
    subprocess.run([checkout / ".ci" / "secrets"], env=bare_environment(**more), check=True, capture_output=True)
    return dict(line.split("=", 1) for line in (checkout / ".env").read_text().splitlines())


def compose(checkout: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [COMPOSE, *command], cwd=checkout, env=bare_environment(), capture_output=True, text=True, check=False
    )


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_every_secret_that_the_file_asks_for_is_made_and_no_other(checkout):
    assert make_secrets(checkout).keys() == REQUIRED


def test_secrets_are_the_owners_alone_and_differ(checkout):
    made = make_secrets(checkout)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    assert len(set(made.values())) == len(made)
    assert min(map(len, made.values())) >= 16


def test_secrets_have_the_form_their_readers_need(checkout):
    made = make_secrets(checkout)
    assert len(bytes.fromhex(made["LIFESTAGE_CUSTOMER_KEY"])) == 32
    assert len(base64.urlsafe_b64decode(made["AIRFLOW_FERNET_KEY"])) == 32
    # They stand in addresses and in JSON as they are, and compose would expand a dollar.
    assert all(re.fullmatch(r"[\w=-]+", value) for value in made.values())


def test_what_is_there_stays_and_what_lacks_is_added(checkout):
    first = make_secrets(checkout)
    assert make_secrets(checkout) == first
    kept = "\n".join(f"{name}={value}" for name, value in first.items() if name != "AIRFLOW_JWT_SECRET")
    (checkout / ".env").write_text(kept)  # as an editor may leave it: without the last line end
    again = make_secrets(checkout)
    assert again.pop("AIRFLOW_JWT_SECRET") != first.pop("AIRFLOW_JWT_SECRET")
    assert again == first


def test_a_key_of_the_callers_is_taken(checkout):
    assert make_secrets(checkout, LIFESTAGE_CUSTOMER_KEY="ab" * 32)["LIFESTAGE_CUSTOMER_KEY"] == "ab" * 32


def test_no_secret_has_a_default_or_can_be_committed():
    secret_like = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|_KEY)\w*)(:?[?-]?)", TEXT)
    assert {operator for _, operator in secret_like} == {":?"}
    assert {name for name, _ in secret_like} == REQUIRED
    assert ".env" in (REPOSITORY / ".gitignore").read_text().split()
    # The image is made of what .dockerignore lets in, by name.
    ignored = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")]
    assert ignored[0] == "*"
    assert not any(re.search(r"env|secret|lifestage|git", line) for line in ignored if line.startswith("!"))


@needs_compose
def test_compose_refuses_to_start_without_secrets_and_says_what_to_do(checkout):
    refused = compose(checkout, "config", "--quiet")
    assert refused.returncode != 0
    assert "run `make secrets` first" in refused.stderr


@needs_compose
def test_compose_accepts_the_file_and_each_secret_arrives(checkout):
    made = make_secrets(checkout)
    accepted = compose(checkout, "config")
    assert accepted.returncode == 0, accepted.stderr
    assert all(value in accepted.stdout for value in made.values())


# -- what the file promises --------------------------------------------------------------------------------------------


def ports() -> Iterator[str]:
    for service in SERVICES.values():
        yield from service.get("ports", ())


def test_nothing_listens_beyond_this_machine():
    assert len(list(ports())) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports())


@pytest.mark.parametrize("name", RUNNING)
def test_services_come_back_and_say_how_they_are(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"postgres"}))
def test_our_image_runs_without_rights(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_not_roots_and_is_made_from_the_locks():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)", dockerfile, re.M) == ["lifestage"]
    assert all(f"-r /tmp/requirements-{room}.lock" in dockerfile for room in ("jobs", "airflow"))
    assert "latest" not in dockerfile
    assert re.search(r":\d", SERVICES["postgres"]["image"])


def test_data_lies_in_named_volumes():
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if not name.startswith(".")} == set(FILE["volumes"])


def test_only_who_runs_jobs_has_the_customer_key_and_only_init_the_superuser():
    holds = {name for name, service in SERVICES.items() if "LIFESTAGE_CUSTOMER_KEY" in service.get("environment", {})}
    mounts = {name for name, service in SERVICES.items() if "home:/var/lib/lifestage" in service.get("volumes", ())}
    assert holds == mounts == {"init", "airflow-scheduler"}
    knows = {name for name, service in SERVICES.items() if "${POSTGRES_PASSWORD" in str(service.get("environment"))}
    assert knows == {"postgres", "init"}


# -- agreement with the code -------------------------------------------------------------------------------------------


def test_each_database_has_the_owner_that_jobs_expect():
    script = (REPOSITORY / ".ci" / "postgres_databases.sh").read_text()
    assert dict(re.findall(r"create database (\w+) owner (\w+) ", script)) == DATABASES


def test_mlflow_accepts_the_name_by_which_jobs_call_it():
    called = SERVICES["airflow-scheduler"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert called in SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


@pytest.fixture
def given(monkeypatch, tmp_path) -> dict[str, str]:
    """What jobs would start Airflow with inside the scheduler's container."""
    (tmp_path / "python").touch()
    monkeypatch.setattr(airflow_env, "AIRFLOW_BIN", tmp_path)
    for name, value in SERVICES["airflow-scheduler"]["environment"].items():
        monkeypatch.setenv(name, value)
    return airflow_env.environment(Home(tmp_path / "home"))


def test_days_run_by_jobs_use_the_database_and_the_keys_of_the_services(given):
    for name in (airflow_env.CONNECTION, *airflow_env.KEYS):
        assert given[name] == SERVICES["airflow-scheduler"]["environment"][name]
    assert f"{airflow_env.CONNECTION}_ASYNC" not in given  # Airflow derives it from the one that is given


def test_days_run_by_jobs_use_the_settings_of_the_services(given, tmp_path):
    of_jobs = {
        name: value.replace(str(REPOSITORY), "/srv/lifestage").replace(str(tmp_path / "home"), "/var/lib/lifestage")
        for name, value in given.items()
        if name.startswith("AIRFLOW__")
    }
    common = FILE["x-airflow"].keys() & of_jobs.keys()
    elsewhere = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__API__BASE_URL"}  # another machine's addresses
    assert "AIRFLOW__LOGGING__BASE_LOG_FOLDER" in common  # else the UI would not find their logs
    assert {name: of_jobs[name] for name in common - elsewhere} == {
        name: FILE["x-airflow"][name] for name in common - elsewhere
    }


def test_keys_of_the_callers_stay_out_of_a_homes_own_database(monkeypatch, tmp_path):
    (tmp_path / "python").touch()
    monkeypatch.setattr(airflow_env, "AIRFLOW_BIN", tmp_path)
    monkeypatch.setattr(airflow_env, "_database", lambda home: {})
    monkeypatch.delenv(airflow_env.CONNECTION, raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "of another Airflow")
    assert airflow_env.environment(Home(tmp_path))["AIRFLOW__CORE__FERNET_KEY"] != "of another Airflow"


def test_airflow_knows_every_setting(given):
    """A misspelt one would be ignored."""
    known = list(REPOSITORY.glob(".venv-airflow/lib/python3*/site-packages/airflow/config_templates/config.yml"))
    if not known:
        pytest.skip("no .venv-airflow here")
    sections = yaml.safe_load(known[0].read_text())
    names = {f"AIRFLOW__{s.upper()}__{option.upper()}" for s, body in sections.items() for option in body["options"]}
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in used if name.startswith("AIRFLOW__")} <= names
