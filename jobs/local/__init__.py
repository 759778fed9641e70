"""What runs on this machine: the embedded PostgreSQL, Airflow and MLflow, and the stages as processes."""
