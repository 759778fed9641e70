"""The day's tables → <home>/reports/ds=D.html: one self-contained page that opens without a network."""

import argparse
import logging
from datetime import UTC
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.arguments import add_day, job_parser
from jobs.home import Home

if TYPE_CHECKING:
    from jobs.day_report.facts import Day

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("report", __doc__)
    add_day(parser)
    parser.add_argument("--out", type=Path, metavar="F", help="where to write it (default: <home>/reports/ds=D.html)")
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.day_report.facts import read_day

    home = Home.from_environment(args.home)
    path = args.out or home.path / "reports" / f"ds={args.ds}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.new")
    staged.write_text(page(read_day(home, args.ds)), encoding="utf-8")
    staged.replace(path)
    print(path)


def page(facts: "Day") -> str:
    from jobs.day_report import lists, sections
    from jobs.day_report.html import section

    parts = [make(facts) for make in (*sections.SECTIONS, *lists.SECTIONS)]
    links = "".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts)
    style = (Path(__file__).parent / "day_report" / "report.css").read_text(encoding="utf-8")
    badge = '<span class="badge">simulated data</span>' if facts.is_simulated else ""
    title = f"{facts.shop}, {facts.day}"
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<h1>{escape(title)}{badge}</h1><p class='sub'>{escape(about(facts))}</p>"
        f"<nav>{links}</nav>{sections.headline(facts)}{''.join(map(section, parts))}</body></html>\n"
    )


def about(facts: "Day") -> str:
    """Model and freshness in a line."""
    shown = (
        f"published {facts.published_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if facts.published_at else "not published"
    )
    models = facts.segments[["model_name", "model_version"]].drop_duplicates().itertuples(index=False)
    scored = ", ".join(f"{name}/{version}" for name, version in models)
    told = f"Scored by {scored}" if scored else "No customer is known yet"
    return f"Everything known by the end of {facts.day}. {told}; {shown}."
