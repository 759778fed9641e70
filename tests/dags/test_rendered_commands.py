"""The commands each DAG really runs, task by task, held in golden files; REBUILD=1 writes them anew.

Each DAG runs by dag.test with a program in the interpreter's place that notes what it was called with, so templates,
XCom and order are Airflow's own. `tests/jobs/test_golden_commands.py` parses them with the jobs' parsers.
"""

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
NOTE = """
import json, os, sys
with open(os.environ["NOTES"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + chr(10))
print("progress goes to the error stream", file=sys.stderr)
if sys.argv[2:4] == ["ml", "resolve"]:
    print("looking up the champion")
    print("lifestage_behaviour/3")
answers = {
    "open_day": "open: files are there", "list_warnings": "no check warned",
    "due": "due: yes", "cutoff": "2017-11-30",
}
print(answers.get(sys.argv[3], ""))
"""
DAY = datetime(2017, 12, 30, tzinfo=UTC)
RUNS = {
    "lifestage_daily": {},
    "lifestage_train": {"ds": "2017-12-30", "force": False},
    "lifestage_maintenance": {"ds": "2017-12-30"},
    "lifestage_setup": {"source": "online_retail", "first": "2010-12-01", "last": "2011-12-06"},
}


@pytest.fixture
def notes(tmp_path, monkeypatch):
    path = tmp_path / "notes"
    monkeypatch.setenv("NOTES", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("dag_id", RUNS)
def test_commands(dag_id, dags, metadata, interpreter, notes):
    interpreter(NOTE)
    run = dags[dag_id].test(logical_date=DAY, run_conf=RUNS[dag_id])
    assert str(run.state) == "success"
    order = sorted(run.get_task_instances(), key=lambda ti: ti.start_date)
    assert {ti.task_id for ti in order} == set(dags[dag_id].task_ids)
    called = dict(zip((ti.task_id for ti in order if ti.task_id in commands(dags[dag_id])), notes(), strict=True))
    for task_id, argv in called.items():
        _compare(GOLDEN / f"{dag_id}.{task_id}.txt", shlex.join(["python", *argv]) + "\n")


def commands(dag) -> list[str]:
    """Tasks that run a job: all but those that wait for the day before."""
    return [task.task_id for task in dag.tasks if task.task_type != "DayBefore"]


def test_no_golden_file_is_left_over(dags):
    expected = {f"{dag_id}.{task_id}.txt" for dag_id, dag in dags.items() for task_id in commands(dag)}
    assert {path.name for path in GOLDEN.glob("*")} == expected


def _compare(path: Path, text: str) -> None:
    if os.environ.get("REBUILD"):
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} differs; REBUILD=1 accepts the new command"


def test_the_model_is_passed_by_name_alone(dags, metadata, interpreter, notes):
    """XCom carries a reference, the last line that resolve prints, and nothing that any other job prints."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    interpreter(NOTE)
    run = dags["lifestage_daily"].test(logical_date=datetime(2017, 11, 5, tzinfo=UTC))
    with metadata() as session:
        found = session.execute(
            select(XComModel.task_id, XComModel.key, XComModel.value).where(
                XComModel.run_id == run.run_id, XComModel.key.not_like("\\_link\\_%", escape="\\")
            )
        ).all()
    assert [tuple(row) for row in found] == [("resolve_model", "return_value", "lifestage_behaviour/3")]
