"""Which day a run works on, for every way a run can come to be: each made by Airflow's own code."""

import os
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import example, given
from hypothesis import strategies as st
from lifestage_airflow.days import business_date
from lifestage_airflow.schedule import read_delay, read_zone
from lifestage_airflow.timetable import BusinessDayTimetable
from pendulum import DateTime
from pendulum import timezone as zone_of

UTC = ZoneInfo("UTC")


def utc(*parts: int) -> DateTime:
    return DateTime(*parts, tzinfo=zone_of("UTC"))


@pytest.fixture(scope="module")
def daily(metadata):
    """The DAG as scheduler and API server know it: read back from the metadata database."""
    from airflow.models.serialized_dag import SerializedDagModel

    with metadata() as session:
        return session.scalar(SerializedDagModel.latest_item_select_object("lifestage_daily")).dag


def test_scheduled_run(daily):
    """The run that the scheduler makes when 30 December is over works on 30 December."""
    from airflow.timetables.base import DataInterval, TimeRestriction

    before = DataInterval(utc(2017, 12, 29), utc(2017, 12, 30))
    info = daily.timetable.next_dagrun_info(
        last_automated_data_interval=before, restriction=TimeRestriction(utc(2010, 1, 1), None, catchup=True)
    )
    run = SimpleNamespace(
        data_interval_start=info.data_interval.start, data_interval_end=info.data_interval.end,
        logical_date=info.logical_date, run_after=info.run_after,
    )  # fmt: skip
    assert business_date({}, run) == date(2017, 12, 30)
    assert info.run_after == utc(2017, 12, 31)


@pytest.mark.parametrize(
    ("logical_date", "day"),
    [
        ("2017-12-30T00:00:00Z", date(2017, 12, 30)),  # a date alone names the day itself
        ("2017-12-31T09:15:00Z", date(2017, 12, 30)),  # a moment means the last day that was over
        ("2017-12-31T23:59:59Z", date(2017, 12, 30)),
        (None, date(2017, 12, 31)),  # no logical date: the last day that was over when it was due
    ],
)
def test_run_by_hand_in_the_ui(daily, logical_date, day):
    from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody

    body = TriggerDAGRunPostBody(logical_date=logical_date, run_after=utc(2018, 1, 1, 7))
    made = body.validate_context(daily)
    start, end = made["data_interval"] or (None, None)
    run = SimpleNamespace(
        data_interval_start=start, data_interval_end=end, logical_date=made["logical_date"], run_after=made["run_after"]
    )
    assert business_date({}, run) == day
    # The parameter wins over whatever the run's dates say.
    assert business_date({"ds": "2016-02-29"}, run) == date(2016, 2, 29)


def test_run_by_hand_on_the_command_line(metadata):
    """`airflow dags trigger` works on yesterday; with --logical-date its interval is still yesterday's: refused."""
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType

    due = utc(2018, 1, 5, 7, 30)
    plain = trigger_dag("lifestage_daily", triggered_by=DagRunTriggeredByType.CLI, run_after=due)
    assert business_date({}, plain) == date(2018, 1, 4)

    dated = trigger_dag(
        "lifestage_daily", triggered_by=DagRunTriggeredByType.CLI, run_id="dated", run_after=due,
        logical_date=utc(2017, 3, 1),
    )  # fmt: skip
    with pytest.raises(AirflowFailException, match=r'--conf \'\{"ds": "2017-03-01"\}\''):
        business_date({}, dated)
    assert business_date({"ds": "2017-03-01"}, dated) == date(2017, 3, 1)


@pytest.mark.parametrize(("asked", "month"), [(10, 6), (None, 8)], ids=["ten at once", "not said"])
def test_backfill(metadata, asked, month):
    """Its runs are of the days asked for, and two at a time, on the command line too, which passes none by default."""
    from airflow.models.backfill import Backfill, _create_backfill
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    backfill = _create_backfill(
        dag_id="lifestage_daily", from_date=utc(2017, month, 29), to_date=utc(2017, month + 1, 1),
        max_active_runs=asked, reverse=False, dag_run_conf=None, triggering_user_name="test",
    )  # fmt: skip
    with metadata() as session:
        kept = session.get(Backfill, backfill.id)
        kept.completed_at = kept.created_at  # one at a time
        assert kept.max_active_runs == 2
        runs = session.scalars(select(DagRun).where(DagRun.backfill_id == backfill.id).order_by(DagRun.logical_date))
        days = [business_date({}, run) for run in runs]
    assert (days[0], days[-1]) == (date(2017, month, 29), date(2017, month + 1, 1))
    assert days == sorted(set(days))


def test_a_run_starts_at_the_time_given_after_its_day_and_keeps_the_day():
    from airflow.timetables.base import DataInterval, TimeRestriction

    timetable = BusinessDayTimetable.deserialize(BusinessDayTimetable("Europe/Berlin", timedelta(hours=3)).serialize())
    before = DataInterval(utc(2017, 12, 28, 23), utc(2017, 12, 29, 23))  # 29 December in Berlin
    info = timetable.next_dagrun_info(
        last_automated_data_interval=before, restriction=TimeRestriction(utc(2010, 1, 1), None, catchup=True)
    )
    assert info.run_after == utc(2017, 12, 31, 2)  # 03:00 in Berlin
    run = SimpleNamespace(
        data_interval_start=info.data_interval.start, data_interval_end=info.data_interval.end,
        logical_date=info.logical_date, run_after=info.run_after,
    )  # fmt: skip
    assert business_date({}, run, timezone="Europe/Berlin") == date(2017, 12, 30)
    # Unpaused in the hours between, it waits for the same time of the day that has just ended.
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(utc(2010, 1, 1), None, catchup=False)
    )
    assert timedelta() <= first.run_after - first.data_interval.end <= timedelta(hours=3)


@pytest.mark.parametrize("last", [date(2025, 3, 28), date(2025, 10, 24)], ids=["clocks go on", "clocks go back"])
def test_a_run_starts_at_the_same_time_of_the_clock_when_clocks_change(last):
    """The shop's files land by the clock: an hour early, on the day after 25 hours, they would not be there."""
    from airflow.timetables.base import DataInterval, TimeRestriction

    berlin = ZoneInfo("Europe/Berlin")
    midnight = [DateTime.instance(datetime.combine(last + timedelta(days=n), time(), berlin)) for n in range(2)]
    info = BusinessDayTimetable("Europe/Berlin", timedelta(hours=3, minutes=30)).next_dagrun_info(
        last_automated_data_interval=DataInterval(*midnight),
        restriction=TimeRestriction(utc(2010, 1, 1), None, catchup=True),
    )
    assert info.run_after.astimezone(berlin) == datetime.combine(last + timedelta(days=2), time(3, 30), berlin)


@pytest.mark.parametrize("text", ["3:00", "24:00", "03:60", "03:00:00", "noon", "-1:00"])
def test_a_wrong_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match=r"LIFESTAGE_DAILY_AT=.* is not a time of day; give HH:MM"):
        read_delay(text)


@pytest.mark.parametrize("name", ["Berlin", "../etc/passwd", "UTC+2 "])
def test_a_wrong_time_zone_is_refused(name):
    with pytest.raises(ValueError, match=r"LIFESTAGE_TIMEZONE=.* names no time zone; give one such as Europe/Berlin"):
        read_zone(name)


def test_the_settings_reach_the_dag():
    """Read once when Airflow imports the plugin, so in a process of its own."""
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag;"
        "dag = DagBag(dag_folder=sys.argv[1], bundle_name='dags-folder').dags['lifestage_daily'];"
        "print(dag.timetable.serialize(), dag.user_defined_macros['business_date'].keywords)"
    )
    repository = Path(__file__).resolve().parents[2]
    settings = {"LIFESTAGE_TIMEZONE": "Asia/Kolkata", "LIFESTAGE_DAILY_AT": "03:30"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(repository / "dags" / "lifestage_daily.py")],
        env=os.environ | settings | {"PYTHONPATH": str(repository / "plugins")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout.splitlines()[-1]
    assert "'timezone': 'Asia/Kolkata', 'delay_s': 12600.0" in said
    assert "{'timezone': 'Asia/Kolkata'}" in said


def test_a_dag_without_schedule_means_the_last_day_that_was_over():
    started = datetime(2017, 12, 31, 9, 15, tzinfo=UTC)
    run = SimpleNamespace(
        data_interval_start=started, data_interval_end=started, logical_date=started, run_after=started
    )
    assert business_date({}, run) == date(2017, 12, 30)


@given(
    st.integers(1_300_000_000, 1_900_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_a_moment_means_the_last_local_day_that_was_over(moment, name):
    """Independent reckoning: the local date a moment falls on, less one day; the date itself at local midnight."""
    timetable = BusinessDayTimetable(name)
    interval = timetable.infer_manual_data_interval(run_after=DateTime.instance(moment))
    run = SimpleNamespace(
        data_interval_start=interval.start, data_interval_end=interval.end, logical_date=moment, run_after=moment
    )
    local = moment.astimezone(ZoneInfo(name))
    is_midnight = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    expected = local.date() if is_midnight else local.date() - timedelta(days=1)
    assert business_date({}, run, timezone=name) == expected


@given(st.dates(date(2011, 1, 1), date(2030, 1, 1)), st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
@example(date(2025, 9, 7), "America/Santiago")  # clocks skip from its midnight to 01:00
@example(date(2025, 11, 2), "America/Havana")  # clocks go back to its midnight at 01:00
def test_local_midnight_names_its_day(day, name):
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(name))
    timetable = BusinessDayTimetable.deserialize(BusinessDayTimetable(name).serialize())
    interval = timetable.infer_manual_data_interval(run_after=DateTime.instance(midnight.astimezone(UTC)))
    assert interval.start.astimezone(ZoneInfo(name)).date() == day
    assert interval.end.astimezone(ZoneInfo(name)).date() == day + timedelta(days=1)
