"""A customer's line on a terminal: as it stands, with what a terminal would obey or hide written out."""

LONGEST = 300
"""Characters of a line that are shown."""


def shown(line: bytes, encoding: str = "utf-8") -> str:
    """The line's text; bytes that are none in the encoding and characters that do not print are spelled."""
    text = line[: LONGEST * 4].decode(encoding, errors="backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
