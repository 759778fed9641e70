#!/usr/bin/env bash
# Runs once, when the postgres service makes its data directory: three databases, each with an owner of its own. The
# warehouse's schemas, tables, views and its reader are `python -m jobs setup`'s to make. The locale is the embedded
# server's, so that both sort alike.
set -euo pipefail
# No log of the server's may hold a password.
export PGOPTIONS='-c log_statement=none -c log_min_error_statement=panic'
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv warehouse_password LIFESTAGE_WRITER_PASSWORD
\getenv airflow_password AIRFLOW_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
create role lifestage_writer login password :'warehouse_password';
create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';
create database warehouse owner lifestage_writer template template0 encoding 'UTF8' locale 'C.UTF-8';
create database airflow owner airflow template template0 encoding 'UTF8' locale 'C.UTF-8';
create database mlflow owner mlflow template template0 encoding 'UTF8' locale 'C.UTF-8';
revoke all on database warehouse, airflow, mlflow from public;
revoke connect on database postgres, template1 from public;
SQL
