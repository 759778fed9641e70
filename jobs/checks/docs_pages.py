"""Great Expectations' pages, readable without a network: no script, style or picture from elsewhere, and an index.

Its own pages take their looks and the tables of their index from other hosts, and load a picture that reports the
reader to its maker.
"""

import html
import re
from pathlib import Path

from jobs.checks.outcomes import status

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1240px; padding: 0 16px 48px; color: #1b1f24;
  background: #fff }
a { color: #0b5cad; text-decoration: none } a:hover { text-decoration: underline }
nav.navbar { height: auto !important; padding: 12px 0 } ol.breadcrumb { list-style: none; padding: 0 }
ol.breadcrumb li { display: inline } ol.breadcrumb li + li::before { content: " / " }
h4, .h4 { font-size: 20px } h5, .h5, .alert { font-size: 16px; font-weight: 600 } p.lead { color: #57606a }
ul.nav { list-style: none; padding: 0; columns: 6 160px; font-size: 13px; max-height: none !important }
table { border-collapse: collapse; width: 100%; margin: 4px 0 16px }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid #d8dee4 }
th { color: #57606a; font-weight: 500; white-space: nowrap } td.n { text-align: right }
td:first-child { white-space: nowrap; width: 92px } td:has(.state) + td { width: 62% }
td.told { width: auto !important }
.collapse, [data-toggle=collapse], .sticky > div:not(.card), .navbar-brand { display: none }
body:has(#option2:checked) tr:has(.held) { display: none }
.state { white-space: nowrap; font-weight: 600 } .held { color: #1a7f37 } .warns { color: #9a6700 }
.fails { color: #cf222e } .not-judged { color: #57606a; font-weight: 400 }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3 } a { color: #6cb6ff }
  th, .not-judged, p.lead { color: #9198a1 } th, td { border-color: #30363d } .held { color: #3fb950 }
  .warns { color: #d29922 } .fails { color: #f85149 } }
"""
_FROM_ELSEWHERE = re.compile(
    r'<script[^>]*\bsrc="http[^>]*>\s*</script>|<link[^>]*\bhref="http[^>]*>|<img[^>]*\bsrc="http[^>]*>'
    r"|<footer>.*?</footer>|<style>.*?</style>|<script>.*?</script>",
    re.DOTALL,
)
_BODY = re.compile(r"<body[^>]*>")
_STATUS = re.compile(r'<i class="fas [^"]*"\s*></i>(?P<between>.*?<span >\s*)(?P<name>\w+)(?=:)', re.DOTALL)


def offline(page: str, shop: str, outcomes: dict[str, dict]) -> str:
    """The page with its looks inside it, and whose data it is about. ``outcomes``: check → its kept outcome; a row then
    tells its status in words, and whether what broke fails or warns."""
    page = _BODY.sub(lambda body: f"{body[0]}<p class=lead>Shop: {html.escape(shop)}.</p>", page, count=1)
    page = _FROM_ELSEWHERE.sub("", page).replace("</head>", f"<style>{STYLE}</style></head>", 1)
    page = page.replace("Data asset: None<br>", "")

    def told(found: re.Match) -> str:
        return f"{_state(outcomes.get(found['name']))}{found['between']}{found['name']}"

    return re.sub(r'<i class="fas [^"]*"[^>]*></i>', "", _STATUS.sub(told, page))


def _state(outcome: dict | None) -> str:
    return f'<span class="state {status(outcome).replace(" ", "-")}">{status(outcome)}</span>' if outcome else ""


def index(shop: str, results: list[tuple[str, dict]]) -> str:
    """A page that lists kept results with the address of each, the latest day first; what broke stands in the row."""
    rows = "".join(_row(address, kept) for address, kept in results)
    heads = "".join(f"<th>{name}</th>" for name in ("day", "table", "", "rows", "checks that did not hold"))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8"><title>Checks</title><style>{STYLE}</style></head>'
        f"<body><h4>What the checks found</h4><p class=lead>Shop: {html.escape(shop)}. Great Expectations' results as "
        f"they were kept, one a table and day.</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def _row(address: str, kept: dict) -> str:
    days = kept["day"] if kept["day"] == kept["last"] else f"{kept['day']} … {kept['last']}"
    broken = [o for o in kept["outcomes"] if status(o) in ("fails", "warns")]
    unjudged = sum(status(o) == "not judged" for o in kept["outcomes"])
    told = [f"{_state(o)} {html.escape(o['name'])}: {html.escape(o['observed'])}" for o in broken]
    told += [f'<span class="not-judged">{unjudged} not judged</span>'] if unjudged else []
    worst = "fails" if not kept["passed"] else "warns" if broken else "held"
    return (
        f'<tr><td><a href="{html.escape(address)}">{days}</a></td><td>{html.escape(kept["table"])}</td>'
        f'<td><span class="state {worst}">{worst}</span></td><td class=n>{kept["rows"]:,}</td>'
        f"<td class=told>{'<br>'.join(told)}</td></tr>\n"
    )


def write_pages(site: Path, shop: str, pages: dict[Path, dict]) -> Path:
    """Makes every page of the site readable offline and writes its index anew. ``pages``: page → kept result; ``shop``:
    whose data they are about, in words."""
    for page in site.rglob("*.html"):
        outcomes = {o["name"]: o for o in pages.get(page, {}).get("outcomes", [])}
        page.write_text(offline(page.read_text(encoding="utf-8"), shop, outcomes), encoding="utf-8")
    latest = sorted(pages.items(), key=lambda item: (item[1]["last"], item[1]["day"]), reverse=True)
    address = site / "index.html"
    listed = [(page.relative_to(site).as_posix(), kept) for page, kept in latest]
    address.write_text(index(shop, listed), encoding="utf-8")
    return address
