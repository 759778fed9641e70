"""What a home keeps of a day's checks and files, as pages: counts and reasons, never a row's value."""

import json
import re
from contextlib import suppress
from datetime import date
from html import escape
from pathlib import Path

from lifestage_airflow.ui.html import NotThere, Raw, section, table

STATES = {True: ("held", "good"), False: ("did not hold", "bad"), None: ("not judged", "")}
SEVERITIES = {"fail": "stops the day", "warn": "a warning", "info": "a note"}
RESULT_NAME = re.compile(r"\d{4}-\d\d-\d\d(_\d{4}-\d\d-\d\d)?")


def result_file(home: Path, name: str, days: str) -> Path:
    """Where the gate keeps its result on a table; NotThere for what can be no table or day."""
    if not re.fullmatch(r"[a-z_]{1,63}", name) or not RESULT_NAME.fullmatch(days):
        raise NotThere("The address names no table and day.", 404)
    return home / "validations" / name / f"{days}.json"


def report_files(home: Path, day: date) -> list[Path]:
    """The partition that says what became of each file of the day."""
    return sorted((home / "lake" / "ingest_report" / f"arrival_date={day}").glob("*.parquet"))


def whose(home: Path) -> str:
    """The shop, and whether its data are simulated, as the home tells it (jobs/home.py); empty if it does not."""
    with suppress(OSError):
        shop = json.loads((home / "shop.json").read_text())
        return f"Shop: {escape(shop['shop'])}{', simulated data' * shop['simulated']}. "
    return ""


def links(home: Path, day: date) -> str:
    """The way from the page of segments to a day's checks and files, as far as these are kept."""
    tables = [file.parent.name for file in sorted((home / "validations").glob(f"*/{day}.json"))]
    found = [f"<a href='checks/{escape(table)}/{day}'>checks of {escape(table)}</a>" for table in tables]
    if report_files(home, day):
        found.append(f"<a href='quarantine/{day}'>files and quarantine</a>")
    return f"<p class='note'>Of this day: {', '.join(found)}.</p>" if found else ""


def page(home: Path, name: str, days: str) -> str:
    """NotThere if no result is kept, or the home is not on this machine."""
    file = result_file(home, name, days)
    if not file.is_file():
        raise NotThere(_nothing(home, f"No result of {name} of {days} is kept."), 404)
    kept = json.loads(file.read_text())
    rows = [_outcome(outcome) for outcome in sorted(kept["outcomes"], key=_worst_first)]
    verdict = (
        "<b class='good'>The gate let the day pass.</b>"
        if kept["passed"]
        else "<b class='bad'>The gate stopped the day.</b>"
    )
    heads = ("check", "result", "if it does not hold", "expected", "observed", "why")
    return (
        f"<h1>Checks of {name}, {kept['day'] if kept['day'] == kept['last'] else days.replace('_', ' to ')}</h1>"
        f"<p class='sub'>{whose(home)}{kept['rows']:,} rows. {verdict}{_docs(home, name, days)}</p>{table(heads, rows)}"
    )


def _worst_first(outcome: dict) -> tuple:
    return (outcome["passed"] is not False, outcome["severity"] != "fail", outcome["passed"] is not None)


def _outcome(outcome: dict) -> tuple:
    words, kind = STATES[outcome["passed"]]
    kind = "warn" if kind == "bad" and outcome["severity"] == "warn" else kind
    shown = Raw(f"<span class='{kind}'>{words}</span>")
    return (
        outcome["name"],
        shown,
        SEVERITIES.get(outcome["severity"], ""),
        outcome["expected"],
        outcome["observed"],
        outcome["why"],
    )


def _docs(home: Path, name: str, days: str) -> str:
    """A link to Great Expectations' page of the result, where it was built."""
    site = home / "validations" / "gx" / "uncommitted" / "data_docs" / "local_site"
    pages = sorted((site / "validations" / name).glob(f"{days}/*/*.html"))
    if not pages:
        return ""
    return f" <a href='../../docs/{pages[-1].relative_to(site).as_posix()}'>Great Expectations' page</a>"


def quarantine(home: Path, day: date) -> str:
    """NotThere if the day was not ingested, or the home is not on this machine."""
    import pyarrow.parquet as pq

    files = report_files(home, day)
    if not files:
        raise NotThere(_nothing(home, f"{day} was not ingested."), 404)
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    rows.sort(key=lambda row: (-row["quarantine_share"], row["source_file"]))
    shown = [
        (row["source_file"], *(row[name] for name in ("rows_read", "rows_kept", "rows_dropped", "rows_quarantined")),
         Raw(f"<span class='{'bad' if row['rows_quarantined'] else ''}'>{row['quarantine_share']:.2%}</span>"),
         row["reasons"] or ("" if row["is_complete"] else "missing or damaged"))
        for row in rows
    ]  # fmt: skip
    heads = ("file", "#read", "#kept", "#dropped", "#quarantined", "#share", "reasons")
    note = f"The lines themselves: python -m jobs quarantine --ds {day}, on a machine of the home."
    return f"<h1>Files of {day}</h1><p class='sub'>{whose(home)}</p>" + section(
        "What became of their rows", table(heads, shown), note
    )


def _nothing(home: Path, words: str) -> str:
    if home.is_dir():
        return words
    return f"{words} The shop's home is not on this machine: give the API server LIFESTAGE_HOME, readable."
