"""A delivered file's bytes → rows, by its layout."""

from jobs.reading.layout import Layout, Parsed
from jobs.reading.lines import split_lines
from jobs.reading.read_csv import parse_csv
from jobs.reading.read_json_lines import parse_json_lines
from jobs.reading.read_parquet import parse_parquet


def read_source(
    data: bytes, file: str, layout: Layout, always: list[str], needed: list[str], keep_all: bool = False
) -> Parsed:
    """The rows of ``file`` (its name is for messages); ``needed`` columns, every one with ``keep_all``.

    ``always``: those without which no row means anything. DataError if the file as a whole cannot be read so.
    """
    if layout.format == "parquet":
        return parse_parquet(data, file, needed, keep_all)
    has_header = layout.format == "csv" and layout.header
    lines = split_lines(data, file, layout.encoding, may_be_empty=not has_header)
    if layout.format == "jsonl":
        return parse_json_lines(lines, file, always, needed, keep_all)
    return parse_csv(lines, file, layout, needed, keep_all)
