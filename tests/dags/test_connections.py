"""Which engine a connection means, what a missing one says, and that its secrets show nowhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lifestage_airflow.engine import EngineError, launch
from lifestage_airflow.operators import JobOperator, JobRefused, TrainOperator

SECRET = "s3cr3t-of-the-engine"


@pytest.fixture
def connect(monkeypatch):
    """Makes the connection from its fields."""

    def make(**fields) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LIFESTAGE_ENGINE", json.dumps(fields))

    return make


@pytest.mark.parametrize(
    ("fields", "engine"),
    [
        ({"host": "sail"}, "sail"),
        ({"host": "spark"}, "spark"),
        ({"host": "sc://spark-connect", "port": 15002}, "sc://spark-connect:15002"),
        ({"host": "sc://spark-connect:15002"}, "sc://spark-connect:15002"),
        ({"host": "sc://h", "port": 1, "password": SECRET}, f"sc://h:1/;token={SECRET}"),
    ],
)
def test_a_generic_connection_is_the_engine_of_the_job(connect, fields, engine):
    connect(conn_type="generic", **fields)
    plan = launch("/a/python", ["jobs", "aggregate", "--ds", "2017-12-30"])
    assert plan.command == ["/a/python", "-m", "jobs", "aggregate", "--ds", "2017-12-30"]
    assert plan.environment == {"LIFESTAGE_ENGINE": engine}


def test_a_token_in_the_address_is_hidden_like_a_password(connect):
    connect(conn_type="generic", host=f"sc://h:1/;user_id=x;token={SECRET}")
    assert launch("python", ["jobs", "aggregate"]).hidden(f"token={SECRET}") == "token=***"


def test_a_spark_connection_is_spark_submit_in_client_mode(connect, monkeypatch, tmp_path):
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    submit = tmp_path / "lib" / "python3.11" / "site-packages" / "pyspark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.touch()
    extra = {
        "conf": {
            "spark.executor.memory": "1g", "spark.app.password": SECRET, "spark.app.token": f"t-{SECRET}",
            "spark.hadoop.fs.s3a.access.key": f"a-{SECRET}", "spark.hadoop.fs.azure.account.key.shop": f"k-{SECRET}",
        },
        "queue": "night",
    }  # fmt: skip
    connect(conn_type="spark", host="spark://master", port=7077, extra=extra)
    python = tmp_path / "bin" / "python"
    plan = launch(str(python), ["jobs", "aggregate", "--ds", "2017-12-30"])
    command = " ".join(plan.command)
    assert command.startswith("spark-submit --master spark://master:7077 --conf spark.executor.memory=1g ")
    assert "--queue night" in command
    assert command.endswith("jobs/__main__.py aggregate --ds 2017-12-30")
    assert Path(plan.command[-4]).is_file()
    assert SECRET not in plan.hidden(plan.shown)
    assert "spark.app.password=******" in plan.shown
    assert plan.hidden(f"t-{SECRET} a-{SECRET} k-{SECRET}") == "*** *** ***"
    home = str(submit.parents[1])
    assert plan.environment["SPARK_HOME"] == home
    assert plan.environment["PATH"].split(os.pathsep)[0] == f"{home}/bin"
    assert plan.environment["PYSPARK_DRIVER_PYTHON"] == plan.environment["PYSPARK_PYTHON"] == str(python)
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/executors/python")
    plan = launch(str(python), ["jobs", "aggregate"])
    assert plan.environment["PYSPARK_PYTHON"] == "/opt/executors/python"
    assert plan.environment["PYSPARK_DRIVER_PYTHON"] == str(python)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"conn_type": "generic", "host": "flink"}, "it takes type generic with host sail"),
        ({"conn_type": "http", "host": "sail"}, "is of type 'http'"),
        ({"conn_type": "generic"}, "with host ''"),
        ({"conn_type": "spark", "host": "spark://h", "extra": {"deploy-mode": "cluster"}}, "a retry could run beside"),
        ({"conn_type": "spark", "host": "spark://h", "extra": {"spark-binary": "/bin/rm"}}, "make no spark-submit"),
        ({"conn_type": "spark", "host": "spark://h", "extra": {"conf": ["spark.cores.max=2"]}}, "make no spark-submit"),
    ],
)
def test_a_connection_that_is_no_engine_says_what_would_be(connect, fields, words):
    connect(**fields)
    with pytest.raises(EngineError, match=words):
        launch("python", ["jobs", "aggregate"])


def test_a_missing_spark_submit_is_a_setting(connect, interpreter, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SPARK_HOME", raising=False)
    interpreter("pass")
    connect(conn_type="spark", host="spark://master", port=7077)
    with pytest.raises(JobRefused, match=r"cannot start spark-submit: no such program\. Set SPARK_HOME") as caught:
        JobOperator(task_id="job", arguments=["jobs", "aggregate"], uses_engine=True).launch()
    assert caught.value.exit_code == 78


def engine_dag(dag_id: str, *arguments: str):
    from lifestage_airflow.dag import lifestage_dag

    with lifestage_dag(dag_id, "A DAG of this test.", tags=["test"], params={}) as dag:
        JobOperator(task_id="job", arguments=list(arguments), uses_engine=True, push_last_line=True)
    return dag


def test_a_missing_connection_fails_at_once_with_its_name(run_dag, monkeypatch, interpreter, capfd):
    """Nothing is run, and nothing tried again: the provider alone would submit to YARN."""
    interpreter("import sys; print('it ran', file=sys.stderr)")
    monkeypatch.delenv("AIRFLOW_CONN_LIFESTAGE_ENGINE")
    run = run_dag(engine_dag("missing", "jobs", "aggregate"))
    (ti,) = run.get_task_instances()
    said = "".join(capfd.readouterr())
    assert (str(ti.state), ti.try_number) == ("failed", 1)
    assert "Airflow has no connection lifestage_engine" in said
    assert "it ran" not in said


SECRETIVE = """
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from lifestage_airflow.dag import lifestage_dag
from lifestage_airflow.operators import JobOperator
from sqlalchemy import select

with lifestage_dag("secretive", "A DAG of this test.", tags=["test"], params={}) as dag:
    JobOperator(task_id="job", arguments=["jobs", "aggregate"], uses_engine=True, push_last_line=True)
bag = DagBag(dag_folder="/dev/null", bundle_name="dags-folder")
bag.bag_dag(dag)
dag.fileloc = bag.dags["secretive"].relative_fileloc = "test.py"
sync_bag_to_db(bag, "dags-folder", None)
print(dag.test(logical_date=datetime(2017, 5, 1, tzinfo=UTC)).state)
with create_session() as session:
    print("kept:", *session.scalars(select(RenderedTaskInstanceFields.rendered_fields)))
    print("kept:", *session.scalars(select(XComModel.value)))
"""


def test_a_connections_password_shows_nowhere(metadata, connect, interpreter):
    """Log, rendered fields and XCom, even where the job itself prints the address that it was given."""
    connect(conn_type="generic", host="sc://h", port=1, password=SECRET)
    interpreter(
        "import os, sys\n"
        "address = os.environ['LIFESTAGE_ENGINE']\n"
        "assert address.endswith('token=' + 's3cr3t-of' + '-the-engine')\n"
        "print('no server answers at', address, file=sys.stderr)\n"
        "print('the last line', address)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "plugins")}
    done = subprocess.run(
        [sys.executable, "-c", SECRETIVE], env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert "success" in said, said
    assert "no server answers at sc://h:1/;token=***" in said
    assert "kept:" in said
    assert SECRET not in said


def test_training_has_a_pool_of_its_own_and_the_queue_that_is_named(monkeypatch):
    monkeypatch.delenv("LIFESTAGE_GPU_QUEUE", raising=False)
    plain = JobOperator(task_id="plain", arguments=["ml", "train"])
    train = TrainOperator(task_id="train", arguments=["ml", "train"])
    assert (train.pool, train.queue) == ("lifestage_gpu", plain.queue)
    monkeypatch.setenv("LIFESTAGE_GPU_QUEUE", "gpu")
    assert TrainOperator(task_id="train", arguments=["ml", "train"]).queue == "gpu"
