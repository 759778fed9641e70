"""Data intervals that are whole business days, with one rule for the day of every kind of run."""

from datetime import timedelta

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime


class BusinessDayTimetable(CronDataIntervalTimetable):
    """One run a day, ``delay`` after the end of the day it speaks of, in the shop's time zone.

    Else it differs from its parent in manual runs alone: a logical date that is exactly midnight means the day that
    begins there, as it does in scheduled and backfilled runs. The parent takes the day before, so that
    ``airflow dags test lifestage_daily 2017-12-30`` would quietly work on the 29th. Any other moment means, as in the
    parent, the last day that was over by then.
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
        return info and DagRunInfo(run_after=info.run_after + self._delay, data_interval=info.data_interval)

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        if self._align_to_prev(run_after) == run_after:
            return DataInterval(start=run_after, end=self._get_next(run_after))
        return super().infer_manual_data_interval(run_after=run_after)
