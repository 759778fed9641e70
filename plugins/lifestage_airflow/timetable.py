"""Data intervals that are whole business days, with one rule for the day of every kind of run."""

from datetime import UTC, datetime, time, timedelta

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime


class BusinessDayTimetable(CronDataIntervalTimetable):
    """One run a day, when clocks in the shop's time zone show ``delay`` after the midnight that ends its day.

    Else it differs from its parent in manual runs alone: a logical date that is exactly a day's first moment means the
    day that begins there, as it does in scheduled and backfilled runs. The parent takes the day before, so that
    ``airflow dags test lifestage_daily 2017-12-30`` would quietly work on the 29th, and loses count where clocks go
    back to midnight. Any other moment means the last day that was over by then.
    """

    def __init__(self, timezone: str = "UTC", delay: timedelta = timedelta()) -> None:
        super().__init__("0 0 * * *", timezone)
        self._delay = delay

    @classmethod
    def deserialize(cls, data: dict) -> "BusinessDayTimetable":
        timetable = cls()
        parent = CronDataIntervalTimetable.deserialize(data)
        timetable._timezone = parent._timezone
        timetable._delay = timedelta(seconds=data.get("delay_s", 0))
        return timetable

    def serialize(self) -> dict:
        return {**super().serialize(), "delay_s": self._delay.total_seconds()}

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None:
            return None
        run_after = self._at(info.data_interval.end, self._delay)
        return DagRunInfo(run_after=run_after, data_interval=info.data_interval)

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        day = timedelta(days=1)
        if self._at(run_after) == run_after:
            return DataInterval(start=run_after, end=self._at(run_after, day))
        return DataInterval(start=self._at(run_after, -day), end=self._at(run_after))

    def _at(self, moment: DateTime, by: timedelta = timedelta()) -> DateTime:
        """When the day of ``moment`` begins, and by how much clocks then show more."""
        local = datetime.combine(moment.astimezone(self._timezone).date(), time(), self._timezone)
        return DateTime.instance((local + by).astimezone(UTC))
