"""The deployment by docker-compose: secrets, what the file promises, and that it agrees with how jobs start Airflow."""

import base64
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local import airflow_env, postgres
from jobs.marts.warehouse import DATABASES, connect, uri
from jobs.summary import next_steps

TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]
REQUIRED = set(re.findall(r"\$\{(\w+):\?", TEXT))
ONCE = {"databases", "init"}
"""Services that end when their work is done."""
RUNNING = sorted(set(SERVICES) - ONCE)
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
ENVIRONMENT = {name: service.get("environment", {}) for name, service in SERVICES.items()}


def resolved(environment: dict[str, str]) -> dict[str, str]:
    """As a container gets it without settings of one's own; a secret is its name."""
    named = {name: re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1", value) for name, value in environment.items()}
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in named.items()}


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


def holders(text: str) -> set[str]:
    """The services whose environment has it."""
    return {name for name, environment in ENVIRONMENT.items() if text in str(environment)}


def test_nothing_listens_beyond_this_machine():
    assert len(list(ports())) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports())


@pytest.mark.parametrize("name", RUNNING)
def test_services_come_back_and_say_how_they_are(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_ends_is_not_started_again_and_is_waited_for(name):
    assert SERVICES[name]["restart"] == "no"
    after = [service.get("depends_on", {}) for service in SERVICES.values()]
    waiting = [needed[name] for needed in after if name in needed]
    assert waiting
    assert all(wait == {"condition": "service_completed_successfully"} for wait in waiting)


def gigabytes(limit: str) -> float:
    """Of a limit, or of its default."""
    number, unit = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)([gm])\}?", limit).groups()
    return int(number) / (1 if unit == "g" else 1024)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_bounded(name):
    service = SERVICES[name]
    assert 0 < gigabytes(service["mem_limit"]) <= 4
    assert float(re.sub(r"\D", "", str(service["cpus"]))) <= 2  # more than the machine has would not start
    assert service["pids_limit"] <= 2048
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_a_sparks_executor_fits_its_container():
    settings = spark_settings()
    offered = re.search(r"--memory (\d+)g", str(SERVICES["spark-worker"]["command"]))[1]
    assert settings["spark.executor.memory"] == f"{offered}g"
    # Beside the heap: the worker itself, and Python with the text encoder's weights on each core.
    assert gigabytes(SERVICES["spark-worker"]["mem_limit"]) - float(offered) >= 2


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_has_roots_rights(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user") != "root"
    assert not any("docker.sock" in volume for volume in service.get("volumes", ()))
    # The official image begins as root, takes its volume over and goes on as postgres.
    assert ("cap_add" in service) == (name == "postgres")


def test_the_image_is_not_roots_and_is_made_from_the_locks():
    assert re.findall(r"^USER (.*)", DOCKERFILE, re.M) == ["lifestage"]
    assert DOCKERFILE.rindex("USER lifestage") > DOCKERFILE.rindex("RUN ")
    assert all(f"-r /tmp/requirements-{room}.lock" in DOCKERFILE for room in ("jobs", "airflow"))


def test_images_are_pinned():
    base = re.search(r"^ARG BASE=(.*)", DOCKERFILE, re.M)[1]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${BASE}", "builder"}
    for image in {base, *(service["image"] for service in SERVICES.values())} - {"lifestage:local"}:
        assert re.search(r":\d", image)
        assert "latest" not in image


def test_data_lies_in_named_volumes():
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if not name.startswith(".")} == set(FILE["volumes"])


def test_a_secret_reaches_only_who_needs_it():
    jobs = {"init", "airflow-scheduler", "airflow-worker", "trainer"}
    assert holders("${LIFESTAGE_CUSTOMER_KEY") == jobs
    assert holders("${LIFESTAGE_WRITER_PASSWORD") == jobs - {"init"} | {"databases"}
    assert holders("${LIFESTAGE_BI_READER_PASSWORD") == jobs | {"airflow-apiserver"}
    assert holders("${POSTGRES_PASSWORD") == {"postgres", "databases", "init"}
    assert holders("${SPARK_SECRET") == jobs | {"spark-master", "spark-worker"}
    assert holders("${MLFLOW_ADMIN_PASSWORD") == jobs | {"mlflow"}
    parts = {"airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert holders("${AIRFLOW_DATABASE_PASSWORD") == parts | {"databases", "init"}  # workers ask the API server


def test_doctor_sees_the_connections_that_airflow_has():
    """It runs where jobs do, and the pages that read the marts elsewhere."""
    runs_jobs, shows_marts = (SERVICES[name]["environment"] for name in ("airflow-scheduler", "airflow-apiserver"))
    assert runs_jobs["AIRFLOW_CONN_LIFESTAGE_WAREHOUSE"] == shows_marts["AIRFLOW_CONN_LIFESTAGE_WAREHOUSE"]
    assert "bi_reader:" in shows_marts["AIRFLOW_CONN_LIFESTAGE_WAREHOUSE"]


def test_what_asks_for_the_administrator_finds_all_that_a_backup_holds():
    """By `docker-compose run --rm init`: the vault, and MLflow's runs and files as its server has them."""
    server, init = SERVICES["mlflow"], SERVICES["init"]
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"):
        assert init["environment"][name] == server["environment"][name]
    assert set(server["volumes"]) < set(init["volumes"])
    assert init["environment"]["LIFESTAGE_WAREHOUSE_URI"].startswith("postgresql://postgres:")


def test_the_lake_lies_at_one_path_wherever_it_is_computed():
    mounts = {name for name, service in SERVICES.items() if "home:/var/lib/lifestage" in service.get("volumes", ())}
    assert mounts == holders("LIFESTAGE_CUSTOMER_KEY") | {"spark-worker"}
    assert "home:/var/lib/lifestage:ro" in SERVICES["airflow-apiserver"]["volumes"]
    assert "LIFESTAGE_HOME=/var/lib/lifestage" in DOCKERFILE


def test_workers_and_the_gpu_come_by_profile():
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "airflow-worker": ["workers"],
        "trainer": ["gpu"],
    }
    (device,) = SERVICES["trainer"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    for name, queue in (("airflow-worker", "default"), ("trainer", "gpu")):
        *_, command = SERVICES[name]["command"]
        # The file of a worker that was killed would keep the next from starting in the same container.
        assert command.startswith('rm -f "$$AIRFLOW_HOME"/*.pid; exec airflow edge worker')
        assert f"--queues {queue} " in command


def test_mlflow_asks_who_calls_and_jobs_have_an_answer():
    server, jobs = ENVIRONMENT["mlflow"], ENVIRONMENT["airflow-scheduler"]
    assert "--app-name basic-auth" in str(SERVICES["mlflow"]["command"])
    assert server["MLFLOW_AUTH_ADMIN_USERNAME"] == jobs["MLFLOW_TRACKING_USERNAME"]
    assert server["MLFLOW_AUTH_ADMIN_PASSWORD"] == jobs["MLFLOW_TRACKING_PASSWORD"]
    # Users are kept apart from runs.
    assert server["MLFLOW_AUTH_DATABASE"] != server["MLFLOW_BACKEND_STORE_URI"]


def spark_settings() -> dict[str, str]:
    lines = (REPOSITORY / ".ci" / "spark" / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_sparks_cluster_takes_work_from_who_knows_its_secret():
    assert spark_settings()["spark.authenticate"] == "true"
    assert spark_settings()["spark.master.rest.enabled"] == "false"  # it answers whoever asks
    for name in ("spark-master", "spark-worker", "airflow-scheduler", "airflow-worker"):
        assert ENVIRONMENT[name]["SPARK_CONF_DIR"] == "/srv/lifestage/.ci/spark"
    assert "!.ci/spark" in (REPOSITORY / ".dockerignore").read_text().split()
    assert (REPOSITORY / ".ci" / "spark" / "log4j2.properties").exists()


# -- agreement with the code -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Home]:
    """A PostgreSQL that holds nothing yet."""
    home = Home(tmp_path_factory.mktemp("server") / "home")
    home.adopt("a_shop", "a_shop")
    postgres.ensure_running(home)
    yield home
    postgres.stop(home)


def make_databases(server: Home, **passwords: str) -> None:
    bin_folder = next(Path(sys.prefix).glob("lib/python3*/site-packages/*/pginstall/bin"))
    admin = conninfo_to_dict(uri(server, "postgres", "postgres"))
    named = {f"PG{name.upper()}": str(admin[name]) for name in ("host", "port", "user", "password")}
    names = ("LIFESTAGE_WRITER_PASSWORD", "AIRFLOW_DATABASE_PASSWORD", "MLFLOW_DATABASE_PASSWORD")
    environment = dict.fromkeys(names, "first") | passwords | named
    subprocess.run(
        [REPOSITORY / ".ci" / "postgres_databases.sh"],
        env={"PATH": f"{bin_folder}:{os.environ['PATH']}"} | environment,
        check=True,
    )


def test_each_database_is_made_once_with_the_owner_that_jobs_expect(server):
    make_databases(server)
    make_databases(server, AIRFLOW_DATABASE_PASSWORD="second, it's new")
    with connect(server, "postgres", "postgres") as admin:
        owned = dict(admin.execute("select datname, datdba::regrole::text from pg_database where not datistemplate"))
    assert owned.items() >= DATABASES.items()
    assert owned["mlflow_auth"] == "mlflow"
    address = conninfo_to_dict(uri(server, "postgres", "postgres"))
    renewed = {"dbname": "airflow", "user": "airflow", "password": "second, it's new"}
    psycopg.connect(**address | renewed).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**address | renewed | {"dbname": "warehouse"})
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(**address | renewed | {"password": "first"})


def test_every_engine_setting_names_the_same_master():
    given = ENVIRONMENT["airflow-scheduler"]
    connection = json.loads(given["AIRFLOW_CONN_LIFESTAGE_ENGINE"])
    command = SERVICES["spark-master"]["command"]
    master = f"spark://{command[command.index('--host') + 1]}:{command[command.index('--port') + 1]}"
    assert (given["LIFESTAGE_ENGINE"], given["LIFESTAGE_SPARK_MASTER"]) == ("spark", master)
    assert (connection["conn_type"], f"{connection['host']}:{connection['port']}") == ("spark", master)
    assert SERVICES["spark-worker"]["command"][-1].endswith(master)


def test_every_setting_of_the_dags_can_be_given():
    """A variable that the file does not pass on would be set in vain."""
    read = set()
    for room in ("dags", "plugins"):
        for file in (REPOSITORY / room).rglob("*.py"):
            read |= set(re.findall(r"\bLIFESTAGE_[A-Z_]+", file.read_text()))
    assert read - {"LIFESTAGE_HOME"} <= set(ENVIRONMENT["airflow-scheduler"]) | set(ENVIRONMENT["init"])


def test_mlflow_accepts_the_name_by_which_jobs_call_it():
    called = SERVICES["airflow-scheduler"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert called in SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


@pytest.fixture
def given(monkeypatch, tmp_path) -> dict[str, str]:
    """What jobs would start Airflow with inside the scheduler's container."""
    (tmp_path / "python").touch()
    monkeypatch.setattr(airflow_env, "AIRFLOW_BIN", tmp_path)
    for name, value in resolved(ENVIRONMENT["airflow-scheduler"]).items():
        monkeypatch.setenv(name, value)
    return airflow_env.environment(Home(tmp_path / "home"))


def test_days_run_by_jobs_use_the_database_and_the_keys_of_the_services(given):
    for name in (airflow_env.CONNECTION, *airflow_env.KEYS):
        assert given[name] == resolved(ENVIRONMENT["airflow-scheduler"])[name]
    assert f"{airflow_env.CONNECTION}_ASYNC" not in given  # Airflow derives it from the one that is given


def test_days_run_by_jobs_use_the_settings_of_the_services(given, tmp_path):
    of_jobs = {
        name: value.replace(str(REPOSITORY), "/srv/lifestage").replace(str(tmp_path / "home"), "/var/lib/lifestage")
        for name, value in given.items()
        if name.startswith("AIRFLOW__")
    }
    services = resolved(FILE["x-airflow"])
    common = services.keys() & of_jobs.keys()
    elsewhere = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL"}  # another process's address
    assert "AIRFLOW__LOGGING__BASE_LOG_FOLDER" in common  # else the UI would not find their logs
    assert {name: of_jobs[name] for name in common - elsewhere} == {name: services[name] for name in common - elsewhere}
    assert {name for name in of_jobs.keys() - common if "__API__" not in name and "_AUTH_" not in name} == set()


def test_the_summary_points_at_the_pages_of_the_services(given, monkeypatch, tmp_path):
    said = next_steps(Home(tmp_path))
    assert "http://localhost:8080 and http://localhost:5000" in said
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    assert "make up" in next_steps(Home(tmp_path))


def test_keys_of_the_callers_stay_out_of_a_homes_own_database(monkeypatch, tmp_path):
    (tmp_path / "python").touch()
    monkeypatch.setattr(airflow_env, "AIRFLOW_BIN", tmp_path)
    monkeypatch.setattr(airflow_env, "_database", lambda home: {})
    monkeypatch.delenv(airflow_env.CONNECTION, raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "of another Airflow")
    assert airflow_env.environment(Home(tmp_path))["AIRFLOW__CORE__FERNET_KEY"] != "of another Airflow"


def test_airflow_knows_every_setting():
    """A misspelt one would be ignored."""
    packages = next(REPOSITORY.glob(".venv-airflow/lib/python3*/site-packages/airflow"), None)
    if not packages:
        pytest.skip("no .venv-airflow here")
    known = [yaml.safe_load((packages / "config_templates" / "config.yml").read_text())]
    for provider in (packages / "providers").rglob("get_provider_info.py"):
        known.append(runpy.run_path(str(provider))["get_provider_info"]().get("config", {}))
    names = {
        f"AIRFLOW__{section.upper()}__{option.upper()}"
        for sections in known
        for section, body in sections.items()
        for option in body["options"]
    }
    used = {name for environment in ENVIRONMENT.values() for name in environment}
    assert {name for name in used if name.startswith("AIRFLOW__")} <= names
