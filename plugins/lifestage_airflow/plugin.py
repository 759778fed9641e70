"""What Airflow has to know of Lifestage beyond its DAG files."""

from airflow.plugins_manager import AirflowPlugin

from lifestage_airflow.deadlines import DayIsOver
from lifestage_airflow.timetable import BusinessDayTimetable
from lifestage_airflow.ui import FASTAPI_APP, SEGMENTS_VIEW


class LifestagePlugin(AirflowPlugin):
    name = "lifestage"
    timetables = [BusinessDayTimetable]  # noqa: RUF012 - Airflow's own way
    deadline_references = [DayIsOver]  # noqa: RUF012
    fastapi_apps = [FASTAPI_APP]  # noqa: RUF012
    external_views = [SEGMENTS_VIEW]  # noqa: RUF012

    @classmethod
    def on_load(cls, *args: object, **kwargs: object) -> None:
        from lifestage_airflow.backfills import watch_backfills

        watch_backfills()
