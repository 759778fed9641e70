"""The audit of a staged day: each table against its contract, and all of them against one another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import psycopg

from expectations.clusters import CLUSTERS
from expectations.contract import Table
from expectations.errors import DataError
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.offers import NEXT_ACTIONS
from expectations.publication import PUBLICATION
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SUMMARY
from jobs.home import Home
from jobs.marts.publish_staging import Staged
from jobs.marts.warehouse import uri
from jobs.marts.warehouse_ddl import stored_name

if TYPE_CHECKING:
    from jobs.checks.measured import Findings
    from jobs.checks.outcomes import GateResult

LEAST_CUSTOMERS = 500
"""Shares of fewer are not held against the day before: a handful of customers who move are a large share."""

Counts = dict[str, int]


@dataclass(frozen=True)
class Audit:
    """How many checks held and how many warned; no check of severity fail was broken."""

    held: int
    warned: int


def audit(home: Home, connection: psycopg.Connection, day: date, staged: Iterable[Staged], scored: int) -> Audit:
    """Judges the staged rows, each table as soon as it is there. DataError that names every broken check."""
    from jobs.checks.gate import gate_sql  # Great Expectations takes seconds to import

    address, tables, results = uri(home, driver="psycopg"), {}, []
    for each in staged:
        has_key = each.is_attachable  # and so no two rows share theirs
        results.append(gate_sql(home, each.table, address, "staging", each.name, day, is_unique=has_key))
        tables[each.table] = each
    results.append(_publication(home, connection, day, tables, scored))
    _raise_if_failed(day, results)
    if broken := [each.name for each in tables.values() if not each.is_attachable]:
        raise DataError(f"audit of {day}: every check held, yet {', '.join(broken)} cannot become a partition")
    held = sum(outcome.passed is True for result in results for outcome in result.outcomes)
    return Audit(held, sum(len(result.warned) for result in results))


def _raise_if_failed(day: date, results: list["GateResult"]) -> None:
    broken = []
    for result in results:
        try:
            result.raise_if_failed(advice=f"mend what wrote the rows of {day}, run that job again, then publish")
        except DataError as error:
            broken.append(str(error))
    if broken:
        raise DataError("\n".join(broken))


def _publication(
    home: Home, connection: psycopg.Connection, day: date, staged: dict[Table, Staged], scored: int
) -> "GateResult":
    """What the tables of the day are to one another and to the day before, judged by Great Expectations."""
    from jobs.checks.chosen import chosen
    from jobs.checks.gate import judged
    from jobs.checks.outcomes import GateResult, contract_digest, keep

    table = chosen(home, PUBLICATION)
    outcomes = tuple(judged(table, findings(connection, day, staged, scored)))
    path = home.validations / table.name / f"{day}-warehouse.json"
    rows = staged[CUSTOMER_SEGMENTS].rows
    return keep(GateResult(table.name, day, day, rows, outcomes, path, contract_digest(table)))


def findings(
    connection: psycopg.Connection, day: date, staged: dict[Table, Staged], scored: int
) -> dict[str, "Findings"]:
    """Label of each check of PUBLICATION → the numbers that it judges."""
    from jobs.checks.measured import Findings, Measured

    def counted(*found: tuple[str, int, str]) -> Findings:
        return Findings(tuple(Measured(of, float(value), f"{of}: {text}") for of, value, text in found), ())

    segments, customers = staged[CUSTOMER_SEGMENTS].name, staged[CUSTOMER_SEGMENTS].rows
    known = {
        "customers_match_scores": counted(
            ("customer_segments", abs(customers - scored), f"{customers:,} rows, {scored:,} in lake/scores")
        ),
        "one_model": counted(_models(connection, segments)),
        "no_orphans": counted(*_orphans(connection, staged)),
    }
    if NEXT_ACTIONS in staged:
        rows = staged[NEXT_ACTIONS].rows
        known["everyone_has_an_action"] = counted(
            ("next_actions", abs(rows - customers), f"{rows:,} rows, {customers:,} customers")
        )
    if STAGE_TRANSITIONS in staged:
        known["transitions_add_up"] = counted(*_flows(connection, segments, staged[STAGE_TRANSITIONS].name))
    for column, label in (("value_tier", "tier"), ("lifecycle_stage", "stage")):
        found = _shifts(connection, day, column, segments)
        shifts = Findings(tuple(Measured(*item) for item in found), () if found else ("no day of 500 to compare with",))
        known |= {f"{label}_share_shift_{severity}": shifts for severity in ("warn", "fail")}
    return known


def model_of(connection: psycopg.Connection, segments: str) -> tuple[str, int]:
    """The model that scored the staged customers, and its version."""
    return _model_rows(connection, segments)[0]


def _models(connection: psycopg.Connection, segments: str) -> tuple[str, int, str]:
    models = _model_rows(connection, segments)
    return "customer_segments", len(models), ", ".join(f"{name}/{version}" for name, version in models)


def _model_rows(connection: psycopg.Connection, segments: str) -> list[tuple[str, int]]:
    query = f"select distinct model_name, model_version from staging.{segments} order by 1, 2"
    return connection.execute(query).fetchall()


def _orphans(connection: psycopg.Connection, staged: dict[Table, Staged]) -> Iterator[tuple[str, int, str]]:
    """Rows that speak of a customer, or a cluster, that the day does not have."""
    segments = staged[CUSTOMER_SEGMENTS]
    pairs = [(each, "customer_key", segments) for table, each in staged.items()
             if table is not CUSTOMER_SEGMENTS and "customer_key" in table.column_names]  # fmt: skip
    if CLUSTERS in staged:
        pairs.append((segments, "cluster_id", staged[CLUSTERS]))
    for each, column, of in pairs:
        (rows,) = connection.execute(
            f"select count(*) from staging.{each.name} as a where {column} is not null and not exists "
            f"(select from staging.{of.name} as b where b.{column} = a.{column})"
        ).fetchone()
        yield f"{each.table.name}.{column}", rows, f"{rows:,} of {each.rows:,} rows"


def _flows(connection: psycopg.Connection, segments: str, transitions: str) -> Iterator[tuple[str, int, str]]:
    """For each stage, its customers beside those whom the flows bring there."""
    there = _counts(connection, f"select lifecycle_stage, count(*) from staging.{segments} group by 1")
    come = _counts(
        connection,
        f"select to_stage, sum(customers)::bigint from staging.{transitions} where to_stage <> 'gone' group by 1",
    )
    for stage in sorted(there.keys() | come.keys()):
        a, b = there.get(stage, 0), come.get(stage, 0)
        yield stage, abs(a - b), f"{a:,} customers, {b:,} by stage_transitions"


def _shifts(connection: psycopg.Connection, day: date, column: str, segments: str) -> list[tuple[str, float, str]]:
    """Each value's share of customers less that of the last day published before, the widest first."""
    summary = f"warehouse.{stored_name(SEGMENT_SUMMARY)}"
    (last,) = connection.execute(f"select max(snapshot_date) from {summary} where snapshot_date < %s", [day]).fetchone()
    if last is None:
        return []
    was = _counts(
        connection,
        f"select {column}, sum(customers)::bigint from {summary} where snapshot_date = '{last}' group by 1",
    )
    now = _counts(connection, f"select {column}, count(*) from staging.{segments} group by 1")
    if min(sum(was.values()), sum(now.values())) < LEAST_CUSTOMERS:
        return []
    found = []
    for value in sorted(was.keys() | now.keys(), key=str):
        a, b = was.get(value, 0) / sum(was.values()), now.get(value, 0) / sum(now.values())
        found.append((f"{column} {value}", abs(b - a), f"{value}: {a:.1%} on {last}, now {b:.1%}"))
    return sorted(found, key=lambda item: -item[1])


def _counts(connection: psycopg.Connection, query: str) -> Counts:
    return dict(connection.execute(query).fetchall())
