"""Lifestage in Airflow: the DAG factory, the job operator, the business-day timetable. Never imports a job."""
