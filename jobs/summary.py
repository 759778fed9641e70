"""What the marts say, for a person: rows, customers by tier and stage, moves between days, the model's metrics."""

import argparse
import logging
import os
from typing import TYPE_CHECKING

from expectations.segments import LIFECYCLE_STAGES, VALUE_TIERS
from expectations.version import REPOSITORY
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.marts.warehouse import READER, connect, uri
from jobs.marts.warehouse_ddl import VIEWS
from jobs.reading.mapping import load_mapping
from jobs.sql import format_table

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)
# Customers in both of two consecutive snapshots whose stage or tier differs.
MOVES = """
with days as (select distinct snapshot_date, lag(snapshot_date) over (order by snapshot_date) as before
              from (select distinct snapshot_date from marts.customer_segments_history) as each_day)
select days.before, days.snapshot_date, count(*) as customers,
       count(*) filter (where now.lifecycle_stage <> was.lifecycle_stage) as changed_stage,
       count(*) filter (where now.value_tier <> was.value_tier) as changed_tier
from days
join marts.customer_segments_history as now on now.snapshot_date = days.snapshot_date
join marts.customer_segments_history as was on was.snapshot_date = days.before and was.customer_key = now.customer_key
group by 1, 2 order by 2 desc limit 7
"""


def arg_parser() -> argparse.ArgumentParser:
    return job_parser("summary", __doc__)


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    mappings = [load_mapping(source) for source in home.sources]
    simulated = " (simulated data)" if any(m.simulated for m in mappings) else ""
    with connect(home, READER) as connection:
        (day,) = connection.execute("select max(snapshot_date) from marts.customer_segments").fetchone()
        if day is None:
            print(f"\n{', '.join(home.sources)}{simulated}: no snapshot is published yet")
            return
        print(f"\n{', '.join(home.sources)}{simulated}, snapshot of {day}\n")
        print(rows_in_marts(connection))
        print(f"\nCustomers by lifecycle stage and value tier\n{stages_by_tier(connection)}")
        print(f"\nCustomers who moved between snapshots\n{moves(connection)}")
    print("\nThe champion beside the models it was chosen from: the same customers, over later days that none had seen")
    print(model_table(home))
    print(f"\nLook further\n{next_steps(home)}")


def rows_in_marts(connection: "psycopg.Connection") -> str:
    counted = []
    for view in VIEWS:
        (rows,) = connection.execute(f"select count(*) from marts.{view}").fetchone()
        counted.append([f"marts.{view}", f"{rows:,}"])
    return format_table(["view", "rows"], counted, [False, True])


def stages_by_tier(connection: "psycopg.Connection") -> str:
    query = "select lifecycle_stage, value_tier, count(*) from marts.customer_segments group by 1, 2"
    counts = {(stage, tier): n for stage, tier, n in connection.execute(query)}
    body = []
    for stage in LIFECYCLE_STAGES:
        of_stage = [counts.get((stage, tier), 0) for tier in VALUE_TIERS]
        body.append([stage, *(f"{n:,}" for n in (*of_stage, sum(of_stage)))])
    totals = [sum(counts.get((stage, tier), 0) for stage in LIFECYCLE_STAGES) for tier in VALUE_TIERS]
    body.append(["all", *(f"{n:,}" for n in (*totals, sum(totals)))])
    return format_table(["stage", *VALUE_TIERS, "all"], body, [False] + [True] * (len(VALUE_TIERS) + 1))


def moves(connection: "psycopg.Connection") -> str:
    rows = [[str(a), str(b), f"{n:,}", f"{s:,}", f"{t:,}"] for a, b, n, s, t in connection.execute(MOVES)]
    return format_table(
        ["from", "to", "customers in both", "changed stage", "changed tier"], rows, [False, False, True, True, True]
    )


def model_table(home: Home) -> str:
    from ml.metrics import table

    return table(home.path)


def next_steps(home: Home) -> str:
    """Commands that reach this home, wherever it is."""
    prefix = "" if home.path == REPOSITORY / ".lifestage" else f'LIFESTAGE_HOME="{home.path}" '
    pages = [os.environ.get(name) for name in ("AIRFLOW__API__BASE_URL", "LIFESTAGE_MLFLOW_URL")]
    return "\n".join(
        (
            f'  psql "{uri(home, READER)}"',
            f'  {prefix}.venv/bin/python -m jobs sql "select * from marts.customer_segments limit 5"',
            f"  {' and '.join(pages)}      # Airflow and MLflow in the browser"
            if all(pages)  # a platform that is up, as with docker-compose.yaml
            else f"  {prefix}make up      # Airflow and MLflow in the browser, over the same home",
            "  expectations/DICTIONARY.md says what every column means",
        )
    )
