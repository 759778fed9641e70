"""A small document: one list of blocks, told as Markdown and as a self-contained page."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

STYLE = """
body { font: 14px/1.5 system-ui, "Liberation Sans", sans-serif; color: #1f2937; margin: 24px; max-width: 980px; }
h1 { font-size: 21px; margin: 0 0 6px; } h2 { font-size: 16px; margin: 28px 0 6px; } p { margin: 4px 0 10px; }
table { border-collapse: collapse; margin: 4px 0 10px; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #9ca3af; padding: 4px 20px 4px 0; }
td { border-bottom: 1px solid #e5e7eb; padding: 3px 20px 3px 0; vertical-align: top; font-variant-numeric: tabular-nums;
     overflow-wrap: anywhere; }
td:first-child, td.s { white-space: nowrap; overflow-wrap: normal; }
pre { background: #f3f4f6; padding: 10px 12px; overflow-x: auto; font-size: 13px; } li { margin: 3px 0; }
"""


SHORT = 28


@dataclass(frozen=True)
class Block:
    """``kind``: h1, h2, p, list, table (the first line is its heading) or code. ``lines``: cells of each line."""

    kind: str
    lines: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, kind: str, *lines: str | Iterable[str]) -> "Block":
        return cls(kind, tuple((line,) if isinstance(line, str) else tuple(map(str, line)) for line in lines))


def markdown(blocks: Iterable[Block]) -> str:
    return "\n\n".join(_MARKDOWN[block.kind](block.lines) for block in blocks) + "\n"


def html(title: str, blocks: Iterable[Block]) -> str:
    """One page; whatever comes from outside is escaped."""
    body = "\n".join(_HTML[block.kind](block.lines) for block in blocks)
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n"


Lines = tuple[tuple[str, ...], ...]


def _grid(lines: Lines) -> str:
    head, *rest = lines
    told = [head, ("---",) * len(head), *rest]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in told
    )


def _table(lines: Lines) -> str:
    head, *rest = lines
    rows = [_cells("th", head), *(_cells("td", line) for line in rest)]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _cells(tag: str, line: tuple[str, ...]) -> str:
    """What is short stays on one line."""
    return "".join(f"<{tag}{' class=s' * (len(cell) <= SHORT)}>{escape(cell)}</{tag}>" for cell in line)


_MARKDOWN = {
    "h1": lambda lines: f"# {lines[0][0]}",
    "h2": lambda lines: f"## {lines[0][0]}",
    "p": lambda lines: lines[0][0],
    "list": lambda lines: "\n".join(f"- {line[0]}" for line in lines),
    "table": _grid,
    "code": lambda lines: "```python\n" + "\n".join(line[0] for line in lines) + "\n```",
}
_HTML = {
    "h1": lambda lines: f"<h1>{escape(lines[0][0])}</h1>",
    "h2": lambda lines: f"<h2>{escape(lines[0][0])}</h2>",
    "p": lambda lines: f"<p>{escape(lines[0][0])}</p>",
    "list": lambda lines: "<ul>" + "".join(f"<li>{escape(line[0])}</li>" for line in lines) + "</ul>",
    "table": _table,
    "code": lambda lines: "<pre>" + escape("\n".join(line[0] for line in lines)) + "</pre>",
}
