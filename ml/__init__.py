"""Models of behaviour: data set, network, baselines, evaluation, registry. Never imports pyspark, airflow or jobs."""
