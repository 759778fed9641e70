"""Tables, tiles and sections of the page, as HTML text. Every value is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Raw:
    """HTML that is safe as it stands."""

    text: str


@dataclass(frozen=True)
class Section:
    """A part of the page. ``note``: what a reader should know of it; an empty ``body`` says that there is nothing."""

    anchor: str
    title: str
    body: str
    note: str = ""


def cell(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    return "–" if value is None else escape(str(value))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = (), kind: str = "") -> str:
    """``numbers``: places of columns that are set to the right. ``kind`` cards: too wide for a telephone, which shows
    each row as a card, every cell after its column's head.
    """
    numbers = set(numbers)
    mark = [' class="n"' if place in numbers else "" for place in range(len(heads))]
    head = "".join(f"<th{mark[n]}>{escape(text)}</th>" for n, text in enumerate(heads))
    told = [f'<td{mark[n]} data-head="{escape(text)}">' for n, text in enumerate(heads)]
    body = "".join(
        "<tr>" + "".join(f"{told[n]}{cell(value)}</td>" for n, value in enumerate(row)) + "</tr>" for row in rows
    )
    opened = f'<table class="{kind}">' if kind else "<table>"
    return f'<div class="scroll">{opened}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def tiles(items: Iterable[tuple[str, str, str]]) -> str:
    """(label, number, remark): what is read first."""
    shown = "".join(
        f'<div class="tile"><span>{escape(label)}</span><b>{escape(number)}</b><small>{escape(remark)}</small></div>'
        for label, number, remark in items
    )
    return f'<div class="tiles">{shown}</div>'


def section(part: Section) -> str:
    note = f'<p class="note">{escape(part.note)}</p>' if part.note else ""
    body = part.body or '<p class="empty">Nothing to show for this day.</p>'
    return f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>{note}{body}</section>'
