"""What Airflow has to know of Lifestage beyond its DAG files."""

from airflow.plugins_manager import AirflowPlugin

from lifestage_airflow.timetable import BusinessDayTimetable


class LifestagePlugin(AirflowPlugin):
    name = "lifestage"
    timetables = [BusinessDayTimetable]  # noqa: RUF012 - Airflow's own way

    @classmethod
    def on_load(cls, *args: object, **kwargs: object) -> None:
        from lifestage_airflow.backfills import watch_backfills

        watch_backfills()
