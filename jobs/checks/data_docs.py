"""Great Expectations' Data Docs from the kept results. Built when asked for: pages take longer than the gate itself."""

import json
import shutil
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from expectations.errors import DataError
from expectations.suites import build_suite
from expectations.tables import TABLES
from jobs.checks.checkpoint import quiet_context
from jobs.home import Home


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
    for path in kept:
        _store(context, json.loads(path.read_text()), place="warehouse" if "-warehouse" in path.name else "lake")
    (address,) = context.build_data_docs().values()
    return Path(address.removeprefix("file://"))


def _store(context: Any, kept: dict, place: str) -> None:
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    table, day = TABLES[kept["table"]], date.fromisoformat(kept["day"])
    outcomes = {outcome["name"]: outcome for outcome in kept["outcomes"]}
    suite = build_suite(table, days=(day, date.fromisoformat(kept["last"])))
    results = [
        _result(e, outcomes[e.meta["name"]], kept["rows"]) for e in suite.expectations if e.meta["name"] in outcomes
    ]
    held = sum(r.success for r in results)
    run = RunIdentifier(run_name=f"{day}", run_time=datetime.combine(day, time(), UTC))
    context.validation_results_store.set(
        key=ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=table.name),
            run_id=run,
            batch_identifier=f"{place}-{table.name}",
        ),
        value=ExpectationSuiteValidationResult(
            success=kept["passed"],
            results=results,
            suite_name=table.name,
            statistics={
                "evaluated_expectations": len(results),
                "successful_expectations": held,
                "unsuccessful_expectations": len(results) - held,
                "success_percent": 100 * held / len(results),
            },
            meta={"run_id": run, "active_batch_definition": {"datasource_name": place, "data_asset_name": table.name}},
        ),
    )


def _result(expectation: Any, outcome: dict, rows: int) -> Any:
    from great_expectations.core import ExpectationValidationResult

    count = outcome["unexpected_count"] or 0
    found = {
        "observed_value": outcome["observed"],
        "element_count": rows,
        "unexpected_count": count,
        "unexpected_percent": 100 * count / max(rows, 1),
    }
    return ExpectationValidationResult(
        success=outcome["passed"], expectation_config=expectation.configuration, result=found
    )
