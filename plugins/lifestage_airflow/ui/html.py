"""The looks of the pages, and the few pieces they are made of. No script, nothing from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --soft: #4b5563; --line: #e5e7eb; --fill: #f1f3f6; --accent: #2f6db5;
  --paper: #fff; --good: #047857; --bad: #b42318; --warn: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa7b4; --line: #30363d; --fill: #21262d;
  --accent: #6cb6ff; --paper: #0f1318; --good: #3fb950; --bad: #f85149; --warn: #d29922 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 20px 24px 56px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, "Liberation Sans", sans-serif }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 17px; margin: 0 0 6px }
a { color: var(--accent); text-decoration: none } a:hover { text-decoration: underline }
.sub, .note { color: var(--soft); margin: 4px 0 12px; max-width: 80ch }
.days { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 10px 0 0; font-size: 14px }
.days b { font-weight: 650 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 18px 0 }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px }
.tile span, .tile small { display: block; color: var(--soft); font-size: 13px }
.tile b { font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 28px 40px }
section { margin-top: 26px; min-width: 0 } .scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 14px }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--soft); padding: 4px 14px 4px 0;
  white-space: nowrap }
td { border-bottom: 1px solid var(--line); padding: 4px 14px 4px 0; vertical-align: top }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.bar { min-width: 90px; width: 34%; vertical-align: middle }
td.bar i { display: block; height: 9px; border-radius: 2px; background: var(--accent) }
.good { color: var(--good) } .bad { color: var(--bad); font-weight: 600 } .warn { color: var(--warn); font-weight: 600 }
.empty { color: var(--soft); max-width: 80ch }
@media (max-width: 620px) { body { padding: 14px 12px 36px } .tile b { font-size: 19px }
  th, td { padding-right: 9px } th.bar, td.bar { display: none } }
"""


class NotThere(Exception):
    """What cannot be shown, in words for who looks at the page. ``status`` of HTTP."""

    def __init__(self, words: str, status: int = 503) -> None:
        super().__init__(words)
        self.status = status


class Raw(str):
    """Text that is HTML already; all other is escaped."""


def document(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def section(title: str, body: str, note: str = "", anchor: str = "") -> str:
    said = f"<p class='note'>{escape(note)}</p>" if note else ""
    return f"<section id='{anchor or title.split()[0].lower()}'><h2>{escape(title)}</h2>{said}{body}</section>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Numbers stand to the right. A head that begins with # is one of numbers, an empty one of bars."""
    kinds = ["n" if head.startswith("#") else "" if head else "bar" for head in heads]
    top = "".join(
        f"<th{_class(kind)}>{escape(head.removeprefix('#'))}</th>" for head, kind in zip(heads, kinds, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(f'<td{_class(kind)}>{cell(value)}</td>' for value, kind in zip(row, kinds, strict=True))}</tr>"
        for row in rows
    )
    return f"<div class='scroll'><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def cell(value: object) -> str:
    if isinstance(value, Raw):
        return value
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def bar(share: float) -> Raw:
    """A share of 0 … 1 as a bar that fills so much of its cell."""
    return Raw(f"<i style='width:{100 * min(max(share, 0), 1):.1f}%'></i>")


def tile(what: str, value: str, more: str = "", kind: str = "") -> str:
    return (
        f"<div class='tile'><span>{escape(what)}</span><b{_class(kind)}>{escape(value)}</b><small>{more}</small></div>"
    )


def _class(kind: str) -> str:
    return f" class='{kind}'" if kind else ""
