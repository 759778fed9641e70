"""Links from tasks to what they made: made by Airflow's own task runner, and only where the page exists."""

import json
from types import SimpleNamespace

import pytest
from airflow.models.xcom import XComModel
from lifestage_airflow.dag import lifestage_dag
from lifestage_airflow.links import links_of, mlflow_url
from lifestage_airflow.operators import JobOperator
from sqlalchemy import select

DAY = "2017-12-30"
JOBS = {
    "validate": ["jobs", "validate", "--table", "events", "--ds", DAY],
    "ingest": ["jobs", "ingest", "--ds", DAY],
    "score": ["jobs", "score", "--ds", DAY, "--model", "lifestage_behaviour/3"],
    "train": ["ml", "train", "--cutoff", DAY],
    "publish": ["jobs", "publish", "--ds", DAY],
    "segment": ["jobs", "segment", "--ds", DAY],
}
PROGRAM = """
import os, sys
from pathlib import Path
home = Path(os.environ["LIFESTAGE_HOME"])
if sys.argv[3] == "validate":
    (home / "validations" / "events").mkdir(parents=True)
    (home / "validations" / "events" / "2017-12-30.json").write_text("{}")
    sys.exit(65)
if sys.argv[3] == "ingest":
    (home / "lake" / "ingest_report" / "arrival_date=2017-12-30").mkdir(parents=True)
    (home / "lake" / "ingest_report" / "arrival_date=2017-12-30" / "part-0.parquet").touch()
if sys.argv[3] == "train":
    print("19:30:00  0.1s  MLflow run: experiments/12/runs/0a1b2c", file=sys.stderr)
"""


def links(run, metadata) -> dict[str, dict[str, str]]:
    """Task → key of the link → address, where there is one."""
    with metadata() as session:
        rows = session.execute(
            select(XComModel.task_id, XComModel.key, XComModel.value).where(XComModel.run_id == run.run_id)
        ).all()
    found: dict[str, dict[str, str]] = {}
    for task, key, value in rows:
        value = json.loads(value) if isinstance(value, str) and value.startswith('"') else value
        found.setdefault(task, {}).update({key: value} if value else {})
    return {task: kept for task, kept in found.items() if kept}


@pytest.fixture
def run_jobs(run_dag, interpreter, monkeypatch, tmp_path):
    def go(program: str, **environment: str):
        interpreter(program)
        (tmp_path / "home").mkdir()
        for name, value in {"LIFESTAGE_HOME": str(tmp_path / "home"), **environment}.items():
            monkeypatch.setenv(name, value)
        with lifestage_dag("links", "A DAG of this test.", tags=["test"], params={}) as dag:
            for name, arguments in JOBS.items():
                JobOperator(task_id=name, arguments=arguments, retries=0)
        return run_dag(dag)

    return go


def test_each_task_links_to_what_it_made(run_jobs, metadata):
    run = run_jobs(PROGRAM, LIFESTAGE_MLFLOW_URL="https://mlflow.example/")
    assert {task: list(found.values()) for task, found in links(run, metadata).items()} == {
        # A gate that failed is when its page is wanted.
        "validate": [f"/lifestage/checks/events/{DAY}"],
        "ingest": [f"/lifestage/quarantine/{DAY}"],
        "score": ["https://mlflow.example/#/models/lifestage_behaviour/versions/3"],
        "train": ["https://mlflow.example/#/experiments/12/runs/0a1b2c"],
        "publish": [f"/lifestage/segments?ds={DAY}"],
    }


def test_what_does_not_exist_is_not_linked(run_jobs, metadata, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg2://mlflow:s3cr3t@h/mlflow")
    run = run_jobs("import sys; sys.exit(65)")
    assert links(run, metadata) == {}


@pytest.mark.parametrize(
    ("tracking", "page"),
    [
        ("http://user:s3cr3t@mlflow:5000/", "http://mlflow:5000"),
        ("https://mlflow.example/base?x=1", "https://mlflow.example/base"),
        ("sqlite:////mlflow.db", ""),
        ("", ""),
    ],
)
def test_mlflows_page_is_its_address_without_a_password(monkeypatch, tracking, page):
    monkeypatch.delenv("LIFESTAGE_MLFLOW_URL", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    assert mlflow_url() == page


def test_a_range_of_days_is_one_result():
    (link,) = links_of(["jobs", "validate"])
    arguments = ["jobs", "validate", "--table", "events", "--from", "2017-12-01", "--to", "2017-12-30"]
    assert link.get_link(SimpleNamespace(arguments=arguments), ti_key=None) == ""  # none is kept
