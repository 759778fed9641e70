"""Run SQL on the warehouse and print the rows of each statement as a table: python -m jobs sql "select * from …"."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from expectations.errors import DataError
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.marts.warehouse import READER, WRITER, connect
from jobs.marts.warehouse_ddl import VIEWS

SHARES_HOME = False  # readers go on, whatever holds the home
NULL = "null"
NUMERIC_TYPES = frozenset({20, 21, 23, 26, 700, 701, 790, 1700})
"""Type numbers of PostgreSQL's integers, floats, money and numeric: shown right-aligned."""

Row = Sequence[str | None]


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("sql", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("statement", nargs="?", help="one SQL statement, or several with ; between them")
    what.add_argument("--file", type=argparse.FileType(encoding="utf-8"), metavar="F", help="a file of such statements")
    parser.add_argument("--role", choices=(READER, WRITER), default=READER, help=f"default: {READER}")
    parser.add_argument("--csv", action="store_true", help='comma-separated; null is empty, an empty text is ""')
    return parser


def main(args: argparse.Namespace) -> None:
    statement = args.file.read() if args.file else args.statement
    with connect(Home.from_environment(args.home), args.role) as connection:
        try:
            shown = [_shown(result, args.csv) for result in _results(connection.cursor().execute(statement))]
        except psycopg.Error as error:
            raise DataError(explain(error, args.role)) from error
    try:
        print("\n\n".join(shown), flush=True)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _results(cursor: psycopg.Cursor) -> Iterator[PGresult]:
    """What the server answered to each statement in turn."""
    if cursor.pgresult.status == ExecStatus.EMPTY_QUERY:
        raise DataError('there is no statement to run: `python -m jobs sql "select * from marts.publish_log"`')
    yield cursor.pgresult
    while cursor.nextset():
        yield cursor.pgresult


def _shown(result: PGresult, as_csv: bool) -> str:
    if not result.nfields:
        return result.command_status.decode()
    names = [result.fname(column).decode() for column in range(result.nfields)]
    right = [result.ftype(column) in NUMERIC_TYPES for column in range(result.nfields)]
    rows = [[_text(result.get_value(row, column)) for column in range(len(names))] for row in range(result.ntuples)]
    return format_csv(names, rows) if as_csv else format_table(names, rows, right)


def _text(value: bytes | None) -> str | None:
    """PostgreSQL's own text of the value, so that what is shown is what is stored."""
    return None if value is None else value.decode()


def format_table(names: Sequence[str], rows: Iterable[Row], right: Sequence[bool]) -> str:
    """An aligned table with a row count beneath; ``right`` says which columns stand right-aligned."""
    shown = [[NULL if cell is None else cell.replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return " | ".join(aligned).rstrip()

    rule = "-+-".join("-" * width for width in widths)
    count = f"({len(shown)} row{'' if len(shown) == 1 else 's'})"
    return "\n".join([line(names), rule, *map(line, shown), count])


def format_csv(names: Sequence[str], rows: Iterable[Row]) -> str:
    """RFC 4180; a null is empty, an empty text is quoted."""
    return "\n".join(",".join("" if cell is None else _csv_cell(cell) for cell in row) for row in (names, *rows))


def _csv_cell(cell: str) -> str:
    plain = cell and not any(mark in cell for mark in ',"\r\n')
    return cell if plain else '"' + cell.replace('"', '""') + '"'


def explain(error: psycopg.Error, role: str) -> str:
    """The server's message with the place in the statement; what the reader may see, if it reached for more."""
    text = str(error).strip()
    if role == READER and isinstance(error, psycopg.errors.InsufficientPrivilege | psycopg.errors.UndefinedTable):
        text += f"\n{READER} sees the views of schema marts: {', '.join(VIEWS)}"
    return text
