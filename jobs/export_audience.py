"""Customers of the current day, chosen in SQL, with the shop's own ids → a CSV file of their owner's alone.

The choice is made as bi_reader, who sees no raw id, whatever the clause says; the ids are read as activation, and who
took which file is logged in vault.export_log before the file is there. Columns: customer_id, then those of --columns.
An id that a spreadsheet would compute (it begins with = + - @) stands behind an apostrophe, unless --verbatim.
"""

import argparse
import csv
import getpass
import hashlib
import io
import logging
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
from psycopg import sql

from expectations.errors import DataError, SetupError
from expectations.vault import CUSTOMER_IDS, EXPORT_LOG
from expectations.views import VIEWS
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.marts.sql_expression import refuse_unless_one_expression
from jobs.marts.warehouse import ACTIVATION, READER, connect

log = logging.getLogger(__name__)

VIEW = "customer_segments"
HELD_OUT = "customer_key not in (select customer_key from marts.next_actions where is_held_out)"
MOST_UNKNOWN = 5
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula (OWASP, CSV Injection)."""


@dataclass(frozen=True)
class Audience:
    """Who was chosen on ``day``: a key and the columns that were asked for, one row a customer."""

    day: date
    keys: list[str]
    rows: list[tuple]


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("export_audience", __doc__)
    parser.add_argument(
        "--where", required=True, metavar="SQL",
        help=f"""one true-or-false expression over marts.{VIEW}: "value_tier = 'top' and churn_band = 'high'" """,
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the CSV file to write")
    parser.add_argument("--as", dest="who", required=True, metavar="NAME", help="who takes the file: for the log")
    parser.add_argument("--purpose", metavar="TEXT", help="what for: for the log")
    parser.add_argument("--columns", default="", metavar="A,B", help=f"columns of marts.{VIEW} beside customer_id")
    parser.add_argument(
        "--without-held-out", action="store_true", help="leave out the control group (next_actions.is_held_out)"
    )
    parser.add_argument(
        "--verbatim",
        action="store_true",
        help="for programs alone: ids as they are, even those that begin with = + - @",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    columns = [name.strip() for name in args.columns.split(",") if name.strip()]
    clause = f"({args.where}) and {HELD_OUT}" if args.without_held_out else args.where
    _refuse_no_text({"--where": args.where, "--as": args.who, "--purpose": args.purpose or "", "--out": str(args.out)})
    refuse_unless_one_expression(args.where)
    _refuse_unknown(columns)
    if not args.who.strip():
        raise DataError("--as: say who takes the file")
    audience = choose(home, clause, columns)
    with connect(home, ACTIVATION) as connection:
        connection.execute("set transaction read write")
        ids = ids_of(connection, audience.keys)
        text = csv_text(columns, audience, ids if args.verbatim else list(map(guarded, ids)))
        write(connection, args, clause, audience, text.encode())
    log.info("logged in vault.%s", EXPORT_LOG.name)
    print(f"{args.out}: {len(audience.keys):,} customers of {audience.day}, for {args.who}")


def _refuse_no_text(given: dict[str, str]) -> None:
    """Arguments are bytes: the log takes those that are UTF-8."""
    for name, text in given.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{name}: {text!r} is not UTF-8 from its character {error.start + 1} on") from error


def _refuse_unknown(columns: list[str]) -> None:
    known = VIEWS[VIEW].table.column_names
    if unknown := [name for name in columns if name not in known]:
        raise DataError(f"--columns: marts.{VIEW} has no {', '.join(unknown)}; it has {', '.join(known)}")


def choose(home: Home, clause: str, columns: list[str]) -> Audience:
    """The current customers of whom ``clause`` is true. DataError with the server's words if it cannot be asked.

    In a transaction that reads only, as the role that sees nothing but the marts, within its statement timeout.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, ["snapshot_date", "customer_key", *columns]))
    chosen = sql.SQL("select {} from marts.{} where ({}\n) order by customer_key").format(
        names, sql.Identifier(VIEW), sql.SQL(clause)
    )
    with connect(home, READER) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        try:
            # A prepared statement is one statement: the server refuses a second in the same text.
            found = connection.execute(chosen, prepare=True).fetchall()
            day = connection.execute(sql.SQL("select max(snapshot_date) from marts.{}").format(sql.Identifier(VIEW)))
            (current,) = day.fetchone()
        except psycopg.Error as error:
            raise DataError(f"--where: {str(error).strip()}") from error
    if current is None:
        raise DataError("no day is published yet: there is nobody to export")
    return Audience(current, [row[1] for row in found], [row[2:] for row in found])


def ids_of(connection: psycopg.Connection, keys: list[str]) -> list[str]:
    """The shop's id of each key, in their order. DataError if the vault does not know one of them."""
    query = f"select customer_key, customer_id from vault.{CUSTOMER_IDS.name} where customer_key = any(%s)"
    try:
        known = dict(connection.execute(query, [keys]).fetchall())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        raise SetupError(f"{ACTIVATION} may not read the vault ({error}): run `python -m jobs setup` first") from error
    if unknown := [key for key in keys if key not in known]:
        shown = ", ".join(unknown[:MOST_UNKNOWN])
        raise DataError(
            f"the vault does not know {len(unknown):,} of {len(keys):,} customers ({shown}): `python -m jobs ingest` "
            "of the days that brought them keeps their ids, and the next publish loads them"
        )
    return [known[key] for key in keys]


def guarded(text: str) -> str:
    """``text`` that no spreadsheet computes: behind an apostrophe if it would be a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_text(columns: list[str], audience: Audience, ids: list[str]) -> str:
    """RFC 4180, a head and one line a customer in the order of their ids; a null is empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["customer_id", *columns])
    by_id = sorted(zip(ids, audience.rows, strict=True), key=lambda item: item[0])
    writer.writerows((customer_id, *row) for customer_id, row in by_id)
    return out.getvalue()


def account() -> str:
    """Of the machine; its number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def write(
    connection: psycopg.Connection, args: argparse.Namespace, clause: str, audience: Audience, data: bytes
) -> None:
    """The file, in one rename, once its entry is in the log: no id is on the disk of which the log knows nothing.

    That the folder can be written to is proved first; a disk that fills up thereafter leaves an entry without a file.
    """
    target = args.out.absolute()
    if os.path.isdir(target):  # a Path's own would raise for a name that is too long
        raise SetupError(f"--out: {target} is a folder: name the file to write")
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _log(connection, args, clause, audience, hashlib.sha256(data).hexdigest())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, target)
    except OSError as error:
        raise SetupError(f"--out: {target} cannot be written: {error}") from error
    finally:
        with suppress(OSError):  # it is not there, or cannot be
            staged.unlink()


def _log(
    connection: psycopg.Connection, args: argparse.Namespace, clause: str, audience: Audience, digest: str
) -> None:
    entry = {
        "exported_by": args.who, "account": account(), "purpose": args.purpose,
        "snapshot_date": audience.day, "where_clause": clause, "file_name": str(args.out.absolute()),
        "customers": len(audience.keys), "file_digest": digest,
    }  # fmt: skip
    connection.execute(
        f"insert into vault.{EXPORT_LOG.name} (exported_at, {', '.join(entry)}) "
        f"values (clock_timestamp(), {', '.join(['%s'] * len(entry))})",
        list(entry.values()),
    )
    connection.commit()
