"""Running a suite with Great Expectations: quietly, in memory, without keeping rows, and no more often than needed."""

import logging
import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from expectations.contract import Table
from expectations.errors import SetupError, UnavailableError
from expectations.suites import build_suite, import_gx, measured_names

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch as GxBatch
    from pyspark.sql import DataFrame

    from jobs.checks.measured import Findings

# Counts, and not one value of a failing row: results are kept, and must not become a copy of the customers' data.
COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
# Of measured numbers, which are nobody's data, every broken one is named.
WHICH_BROKE = {"result_format": "COMPLETE", "unexpected_index_column_names": ["of"]}


def quiet_context(folder: str | None = None) -> Any:
    """A Great Expectations context without progress bars; in memory, or a project in ``folder``/gx."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    gx = import_gx()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    for name in ("great_expectations", "great_expectations.data_context.types.base"):  # the second sets its own level
        logging.getLogger(name).setLevel(logging.ERROR)
    context = gx.get_context(mode="file", project_root_dir=folder) if folder else gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


@dataclass(frozen=True)
class Batch:
    """What checks run on: rows of ``table`` that belong to ``days`` (first, last), on an engine or in PostgreSQL."""

    table: Table
    days: tuple[date, date]
    batch: "GxBatch"

    @cached_property
    def rules(self) -> dict[str, dict]:
        """Every check that is asked of the rows → its labels, in the contract's order."""
        measured = set(measured_names(self.table))
        suite = build_suite(self.table, days=self.days)
        return {name: e.meta for e in suite.expectations if (name := e.meta["name"]) not in measured}

    def run(self, names: Collection[str]) -> dict[str, "ExpectationValidationResult"]:
        """Results of the checks of ``names``, in the contract's order.

        Verdicts first, in one pass over the rows; then counts, of the failed checks alone: the default result format
        re-reads the rows for each check, even for one that passes.
        UnavailableError if a check could not be computed.
        """
        verdicts = self._asked(names, "BOOLEAN_ONLY")
        failed = {name for name, result in verdicts.items() if not result.success}
        return verdicts | (self._asked(failed, COUNTS_ONLY) if failed else {})

    def _asked(self, names: Collection[str], result_format: str | dict) -> dict:
        return _results(self.table, build_suite(self.table, days=self.days, names=names), self.batch, result_format)


def _results(
    table: Table, suite: Any, batch: Any, result_format: str | dict
) -> dict[str, "ExpectationValidationResult"]:
    """Name of each check of the suite → its result, in the suite's order.

    Asked of the batch itself: a Checkpoint would also write suite and results out as JSON, which nobody reads.
    """
    results = batch.validate(suite, result_format=result_format).results
    for result in results:
        _raise_if_broken(table, result)
    found = {result.expectation_config.meta["name"]: result for result in results}
    return {e.meta["name"]: found[e.meta["name"]] for e in suite.expectations}


def judge(table: Table, measured: dict[str, "Findings"]) -> dict[str, set[str]]:
    """Measured checks that are broken → what their broken numbers are of."""
    import pandas as pd

    rows = [(label, item.of, item.value) for label, found in measured.items() for item in found.measured]
    if not rows:
        return {}
    context = quiet_context()
    numbers = pd.DataFrame(rows, columns=["label", "of", "value"])
    asset = context.data_sources.add_pandas("measured").add_dataframe_asset(table.name)
    definition = asset.add_batch_definition_whole_dataframe("numbers")
    suite = build_suite(table, names=set(numbers["label"]))
    results = _results(table, suite, definition.get_batch({"dataframe": numbers}), WHICH_BROKE)
    return {
        name: {row["of"] for row in result.result["unexpected_index_list"]}
        for name, result in results.items()
        if not result.success
    }


def _raise_if_broken(table: Table, result: "ExpectationValidationResult") -> None:
    """Great Expectations files an engine's error as a failed check; it says nothing about the data."""
    info = result.exception_info or {}
    broken = [info] if "raised_exception" in info else list(info.values())
    for error in broken:
        if error.get("raised_exception"):
            name = result.expectation_config.meta["name"]
            raise UnavailableError(f"check {name} of {table.name} could not be computed: {error['exception_message']}")


def frame_batch(table: Table, frame: "DataFrame", days: tuple[date, date]) -> Batch:
    """``frame`` as a batch; Great Expectations would otherwise persist it and never let go."""
    context = quiet_context()
    asset = context.data_sources.add_spark("lake", persist=False).add_dataframe_asset(table.name)
    definition = asset.add_batch_definition_whole_dataframe("rows")
    return Batch(table, days, definition.get_batch({"dataframe": frame}))


@contextmanager
def relation_batch(table: Table, uri: str, schema: str, relation: str, day: date) -> Iterator[Batch]:
    """``schema.relation`` as a batch; every connection is closed on leaving, so that none holds a lock on it."""
    context = quiet_context()
    # A postgres data source would demand a host name, which a Unix socket has none of; "$" would start a substitution.
    address = _with_driver(uri, "postgresql+psycopg").replace("$", "%24")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice to use the postgres data source, and its way of naming a schema
        source = context.data_sources.add_sql("warehouse", connection_string=address)
        asset = source.add_table_asset(table.name, table_name=relation, schema_name=schema)
    try:
        yield Batch(table, (day, day), asset.add_batch_definition_whole_table("rows").get_batch())
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


def relation_shape(uri: str, schema: str, relation: str) -> tuple[dict[str, str], int]:
    """Column → PostgreSQL type as it is declared, and the number of rows; SetupError if there is no such relation."""
    import psycopg
    from psycopg import sql

    columns = """select attname, format_type(atttypid, atttypmod) from pg_attribute
                 where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum"""
    name = sql.Identifier(schema, relation)
    try:
        with psycopg.connect(_with_driver(uri, "postgresql")) as connection:
            found = dict(connection.execute(columns, [name.as_string(connection)]).fetchall())
            if not found:
                raise SetupError(f"the warehouse has no relation {schema}.{relation}: run `python -m jobs setup` first")
            (rows,) = connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
    except psycopg.OperationalError as error:
        raise UnavailableError(f"the warehouse does not answer: {error}") from error
    return found, rows


def _with_driver(uri: str, driver: str) -> str:
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SetupError(f"a warehouse address starts with postgresql://, this one with {scheme[:20]!r}")
    return f"{driver}://{rest}"
