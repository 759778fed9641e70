"""An Airflow of the tests' own: settings before the first import, a fresh metadata database, the project's DAGs."""

import os
import shlex
import stat
import sys
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# A space in the path, as a user's may have. Airflow reads its settings when it is imported, so they stand here.
SCRATCH = Path(tempfile.mkdtemp(prefix="lifestage airflow "))
os.environ |= {
    "AIRFLOW_HOME": str(SCRATCH),
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{SCRATCH}/airflow.db",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(SCRATCH / "logs"),
}
for name in [name for name in os.environ if name.startswith("LIFESTAGE_")]:
    os.environ.pop(name)
os.environ |= {"LIFESTAGE_HOME": str(SCRATCH / "home"), "AIRFLOW_CONN_LIFESTAGE_ENGINE": "generic://sail"}


def pytest_unconfigure(config):
    import shutil

    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(scope="session")
def dags():
    """The project's DAGs by id, as the DAG processor finds them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(REPOSITORY / "dags"), bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture(scope="session")
def metadata(dags):
    """A migrated metadata database that knows the DAGs; yields a maker of sessions."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    manager = DagBundlesManager()
    with create_session() as session:
        manager.sync_bundles_to_db(session=session)
    bundle = next(iter(manager.get_all_dag_bundles()))
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(bag, bundle.name, bundle.version)
    return create_session


@pytest.fixture
def stored(metadata):
    """Makes a DAG of the test's own known to the metadata database, as the DAG processor does."""

    def store(dag):
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=os.devnull, bundle_name="dags-folder")
        dag.relative_fileloc = "of_a_test.py"
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag

    return store


def write_program(path: Path, code: str) -> None:
    """An executable that runs ``code`` under this interpreter, whose own path may hold spaces: a #! line may not."""
    source = path.with_name(f"{path.name}.py")
    source.write_text(f"{code}\n")
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(source))} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Makes LIFESTAGE_PYTHON a program of the test's: ``interpreter(code)``, with the job's arguments in sys.argv."""

    def make(code: str) -> Path:
        path = tmp_path / "python of the test"
        write_program(path, code)
        monkeypatch.setenv("LIFESTAGE_PYTHON", str(path))
        return path

    return make


@pytest.fixture
def run_dag(metadata):
    """Runs a DAG that no file holds, through Airflow's own task runner."""
    from datetime import UTC, datetime

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def go(dag):
        bag = DagBag(dag_folder=os.devnull, bundle_name="dags-folder")
        bag.bag_dag(dag)
        dag.fileloc = __file__
        bag.dags[dag.dag_id].relative_fileloc = "test.py"
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test(logical_date=datetime(2017, 5, 1, tzinfo=UTC))

    return go
