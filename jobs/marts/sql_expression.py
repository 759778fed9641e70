"""Whether a text is one SQL expression, so that it stays inside the parentheses that it is put in."""

import re
from collections.abc import Iterator

from expectations.errors import DataError

STATEMENTS = ("select", "with", "values", "table")
"""Words that begin a query: in parentheses it would be an expression of its own."""

# PostgreSQL's lexical rules, as far as they decide where quotes and comments end. What else there is is one character.
_TOKEN = re.compile(
    r"""
      (?P<escape>   [eE]' )
    | (?P<string>   (?:(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*') )
    | (?P<name>     (?:[uU]&)?"(?:[^"]|"")*" )
    | (?P<dollar>   \$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$ )
    | (?P<comment>  --|/\* )
    | (?P<word>     [A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]* )
    | (?P<number>   \d(?:(?![eE]')[\w.])* )
    | (?P<other>    . )
    """,
    re.VERBOSE | re.DOTALL,
)


def refuse_unless_one_expression(clause: str) -> None:
    """DataError that says what is wrong, if the clause could reach beyond parentheses around it, or is none.

    Refused are an empty clause, a query, a semicolon, a comment, a quote that does not end, a dollar quote, an escape
    string (continued on a next line, its quotes would end by other rules than a string's), and parentheses that do not
    match.
    """
    depth, is_empty = 0, True
    for kind, token in _tokens(clause):
        if token.isspace():
            continue
        if is_empty and token.lower() in STATEMENTS:
            raise _refused(f"it begins with {token}, as a statement does")
        is_empty = False
        depth += (token == "(") - (token == ")")
        if depth < 0:
            raise _refused("a parenthesis closes that none has opened")
        if token == ";":
            raise _refused("one expression is wanted, and ; ends it")
        if kind in ("comment", "dollar"):
            raise _refused(f"it holds {token}: neither comments nor dollar quotes are taken")
        if kind == "escape":
            raise _refused("it holds an E'…' string: write quotes as ''")
        if token in ("'", '"', "\0"):
            raise _refused("a quote does not end" if token != "\0" else "it holds a null byte")
    if depth:
        raise _refused("a parenthesis does not close")
    if is_empty:
        raise _refused("it says nothing; for all customers write true")


def _tokens(clause: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(clause):
        yield match.lastgroup, match[0]


def _refused(why: str) -> DataError:
    return DataError(f"--where: {why}. Write one true-or-false expression over the columns of marts.customer_segments")
