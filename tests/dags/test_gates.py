"""Runs that end early without a failure, by Airflow's own dag.test: closed days, no training due; and warnings told."""

import json
from datetime import UTC, datetime, timedelta

import pytest

ANSWER = """
import json, os, sys
job = sys.argv[3]
with open(os.environ["NOTES"], "a") as file:
    file.write(job + chr(10))
print(json.loads(os.environ["ANSWERS"]).get(job, "lifestage_behaviour/1"))
"""


@pytest.fixture
def run(dags, metadata, interpreter, tmp_path, monkeypatch):
    """Runs a DAG over a day with jobs that print what the test says; task → state, and the jobs that were called."""
    interpreter(ANSWER)
    days = iter(datetime(2016, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(100))

    def call(dag_id: str, answers: dict, **conf) -> tuple[dict, list[str], str]:
        notes = tmp_path / "notes"
        notes.write_text("")
        monkeypatch.setenv("NOTES", str(notes))
        monkeypatch.setenv("ANSWERS", json.dumps(answers))
        done = dags[dag_id].test(logical_date=next(days), run_conf=conf)
        return {ti.task_id: ti.state for ti in done.get_task_instances()}, notes.read_text().split(), done.state

    return call


def test_a_closed_day_is_noted_and_skipped(run):
    states, called, state = run("lifestage_daily", {"open_day": "closed: no file of the day is expected"})
    assert state == "success"
    noted = {"ingest", "open_day", "validate", "encode_text", "aggregate", "resolve"}
    assert set(called) == noted
    done = {"ingest", "validate_events", "encode_text", "aggregate", "resolve_model"}
    done |= {"features_of_day_before", "publish_of_day_before"}
    assert {task for task, of in states.items() if of == "success"} == done
    assert {of for task, of in states.items() if task not in done} == {"skipped"}


def test_no_training_is_due(run):
    states, called, state = run("lifestage_train", {"due": "due: no"})
    assert (state, called) == ("success", ["due"])
    assert set(states.values()) == {"skipped"}


def test_a_training_that_is_due_or_forced_is_run(run):
    states, called, _ = run("lifestage_train", {"due": "due: yes"})
    assert called == ["due", "cutoff", "build_features", "validate", "build_sequences", "train"]
    assert set(states.values()) == {"success"}
    _, called, _ = run("lifestage_train", {"due": "due: no"}, force=True)
    assert called == ["cutoff", "build_features", "validate", "build_sequences", "train"]


def test_warnings_of_a_day_are_told_once_and_stop_nothing(stored, interpreter, tmp_path, monkeypatch):
    from lifestage_airflow.dag import DS, lifestage_dag
    from lifestage_airflow.gates import WarnOperator

    interpreter('import os; print("features drift: 0.3"); print(os.environ["SAYS"])')
    alerts = tmp_path / "alerts"
    monkeypatch.setenv("LIFESTAGE_ALERTS", alerts.as_uri())
    with lifestage_dag("only_warn", "", tags=["test"], params={"ds": None}) as dag:
        WarnOperator(task_id="warn", arguments=["jobs", "list_warnings", "--ds", DS], none="no check")
    stored(dag)
    monkeypatch.setenv("SAYS", "no check warned on 2017-12-30")
    assert dag.test(logical_date=datetime(2017, 12, 30, tzinfo=UTC)).state == "success"
    assert not alerts.exists()
    monkeypatch.setenv("SAYS", "1 check(s) warned on 2017-12-31: features drift_warn")
    assert dag.test(logical_date=datetime(2017, 12, 31, tzinfo=UTC)).state == "success"
    (told,) = map(json.loads, alerts.read_text().splitlines())
    assert (told["kind"], told["cause"]) == ("warned", "1 check(s) warned on 2017-12-31: features drift_warn")
    assert told["dag_id"] == "only_warn"
