"""Great Expectations' Data Docs from the kept results. Built when asked for: pages take longer than the gate itself."""

import json
import shutil
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from expectations.errors import DataError
from expectations.suites import build_suite, measured_names, types_expectation
from expectations.tables import TABLES
from jobs.checks.checkpoint import quiet_context
from jobs.checks.docs_pages import write_pages
from jobs.home import Home

MEASURED_SECTION = "against other days and tables"
"""Heading of the measured checks; Great Expectations would file them under the column of its frame of numbers."""


def build_data_docs(home: Home) -> Path:
    """Builds the whole site anew from every kept result; the address of its first page.

    DataError if no gate has run in this home.
    """
    kept = sorted(home.validations.glob("*/*.json"))
    if not kept:
        raise DataError(f"{home.validations} holds no result yet: run `python -m jobs validate --table T --ds D` first")
    shutil.rmtree(home.validations / "gx", ignore_errors=True)
    context = quiet_context(str(home.validations))
    for name, site in context.variables.data_docs_sites.items():
        context.update_data_docs_site(name, {**site, "show_how_to_buttons": False})  # no advertisement on every page
    for name in sorted({path.parent.name for path in kept}):
        context.suites.add(build_suite(TABLES[name]))
    read = [(path.stem, json.loads(path.read_text())) for path in kept]
    pages = [(_store(context, result, name), result) for name, result in read]
    (address,) = context.build_data_docs().values()
    site = Path(address.removeprefix("file://")).parent
    return write_pages(site, home.shop_in_words, {site / page: result for page, result in pages})


def _store(context: Any, kept: dict, name: str) -> str:
    """Hands the result to Great Expectations; the path of its page within the site. ``name``: of its file."""
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    table, day = kept["table"], date.fromisoformat(kept["day"])
    place = "warehouse" if name.endswith("-warehouse") else "lake"
    judged = [o for o in kept["outcomes"] if o["passed"] is not None]
    held = sum(o["passed"] for o in judged)
    run = RunIdentifier(run_name=name, run_time=datetime.combine(day, time(), UTC))
    context.validation_results_store.set(
        key=ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=table),
            run_id=run,
            batch_identifier=f"{place}-{table}",
        ),
        value=ExpectationSuiteValidationResult(
            success=kept["passed"],
            results=_results(kept),
            suite_name=table,
            statistics={
                "evaluated_expectations": len(judged),
                "successful_expectations": held,
                "unsuccessful_expectations": len(judged) - held,
                "success_percent": 100 * held / len(judged),
            },
            meta={"run_id": run, "active_batch_definition": {"datasource_name": place, "data_asset_name": table}},
        ),
    )
    return f"validations/{table}/{name}/{run.run_time:%Y%m%dT%H%M%S.%fZ}/{place}-{table}.html"


def _results(kept: dict) -> list:
    """The outcomes of the checks that the contract still asks, as Great Expectations' results."""
    table, days = TABLES[kept["table"]], (date.fromisoformat(kept["day"]), date.fromisoformat(kept["last"]))
    outcomes = {outcome["name"]: outcome for outcome in kept["outcomes"]}
    measured = measured_names(table)
    return [
        _result(e, outcomes[name], kept["rows"], MEASURED_SECTION if name in measured else "")
        for e in (types_expectation(), *build_suite(table, days=days).expectations)
        if (name := e.meta["name"]) in outcomes
    ]


def _result(expectation: Any, outcome: dict, rows: int, section: str) -> Any:
    from great_expectations.core import ExpectationValidationResult

    count = outcome["unexpected_count"] or 0
    found = {
        "observed_value": outcome["observed"],
        "element_count": rows,
        "unexpected_count": count,
        "unexpected_percent": 100 * count / max(rows, 1),
    }
    config = expectation.configuration
    # As it was asked then: the contract or the shop's bounds may have changed since.
    config.description = f"{outcome['name']}: {outcome['expected']} ({outcome['why']})"
    if section:
        config.kwargs["column"] = section
    # What could not be judged has not failed; docs_pages tells it from what held.
    return ExpectationValidationResult(success=outcome["passed"] is not False, expectation_config=config, result=found)
