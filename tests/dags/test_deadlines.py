"""The alert on a late publish: due counted from the end of the run's day, for scheduled runs alone, by Airflow."""

from datetime import UTC, datetime, timedelta

import pytest
from lifestage_airflow.alerts import AlertNotifier
from lifestage_airflow.dag import lifestage_dag
from lifestage_airflow.deadlines import published_by
from lifestage_airflow.schedule import read_due
from lifestage_airflow.timetable import BusinessDayTimetable


@pytest.mark.parametrize(("text", "hours"), [("6", 6), ("7.5", 7.5), ("36", 36)])
def test_hours_after_the_end_of_the_day(text, hours):
    assert read_due(text, timedelta(hours=3)) == timedelta(hours=hours)
    assert read_due("", timedelta(hours=3)) is None


@pytest.mark.parametrize("text", ["3", "06:00", "-1", "soon", "1e9"])
def test_a_wrong_hour_is_refused(text):
    with pytest.raises(ValueError, match=r"LIFESTAGE_PUBLISH_BY=.* is no number of hours after the end of the day"):
        read_due(text, timedelta(hours=3))


def test_off_by_default(dags):
    assert published_by(None) is None
    assert not dags["lifestage_daily"].deadline


@pytest.fixture
def late_dag(stored):
    """Due six hours after its day."""
    with lifestage_dag(
        "due_at_six", "", tags=["test"], params={"ds": None}, schedule=BusinessDayTimetable("UTC"),
        deadline=published_by(timedelta(hours=6)),
    ) as dag:  # fmt: skip
        pass
    return stored(dag)


def test_a_scheduled_run_is_due_and_no_other(late_dag, metadata):
    from airflow.models.deadline import Deadline
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    day = datetime(2030, 1, 1, tzinfo=UTC)
    with metadata() as session:
        dag = session.scalar(SerializedDagModel.latest_item_select_object("due_at_six")).dag
        for n, kind in enumerate((DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB, DagRunType.MANUAL)):
            start = day + timedelta(days=n)
            dag.create_dagrun(
                run_id=f"{kind.value}__{n}", logical_date=start, data_interval=(start, start + timedelta(days=1)),
                run_after=start + timedelta(days=1), run_type=kind, triggered_by=DagRunTriggeredByType.TEST,
                state="running", session=session,
            )  # fmt: skip
    with metadata() as session:
        due = session.scalars(select(Deadline)).all()
        assert [(each.dagrun.run_type, each.deadline_time) for each in due] == [
            ("scheduled", datetime(2030, 1, 2, 6, tzinfo=UTC))
        ]
        (told,) = [each.callback.data for each in due]
        assert told["path"] == f"{AlertNotifier.__module__}.AlertNotifier"
        assert told["kwargs"]["kind"] == "late"
        # A run that ends in time leaves nothing that could be missed.
        run = due[0].dagrun
        run.end_date = datetime(2030, 1, 2, 5, tzinfo=UTC)
        session.flush()
        assert Deadline.prune_deadlines(session=session, conditions={type(run).id: run.id}) == 1
