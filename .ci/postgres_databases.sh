#!/usr/bin/env bash
# Before each start: four databases, each with an owner of its own whose password is that of .env. Makes what is missing
# and drops nothing. The warehouse's schemas, tables, views and its reader are `python -m jobs setup`'s to make. The
# locale is the embedded server's, so that both sort alike.
set -euo pipefail
# No log of the server's may hold a password.
export PGOPTIONS='-c log_statement=none -c log_min_error_statement=panic'
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres <<'SQL'
\getenv warehouse_password LIFESTAGE_WRITER_PASSWORD
\getenv airflow_password AIRFLOW_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
create temporary table wanted (database name, owner name);
insert into wanted values
  ('warehouse', 'lifestage_writer'), ('airflow', 'airflow'), ('mlflow', 'mlflow'), ('mlflow_auth', 'mlflow');
select distinct format('create role %I login', owner) from wanted where owner not in (select rolname from pg_roles) \gexec
alter role lifestage_writer password :'warehouse_password';
alter role airflow password :'airflow_password';
alter role mlflow password :'mlflow_password';
select format('create database %I owner %I template template0 encoding %L locale %L', database, owner, 'UTF8', 'C.UTF-8')
from wanted where database not in (select datname from pg_database) \gexec
select format('revoke all on database %I from public', database) from wanted \gexec
revoke connect on database postgres, template1 from public;
SQL
