"""The head of a file no one has described: how its bytes are rows, and what its columns hold."""

from dataclasses import dataclass
from pathlib import Path

from expectations.errors import SetupError
from jobs.onboarding.hints import delimiter_for, looks_like_data
from jobs.onboarding.inputs import names_in, pieces_of
from jobs.onboarding.streams import open_stream, refuse_foreign
from jobs.reading.coded import Coded
from jobs.reading.layout import WHITESPACE, Layout
from jobs.reading.read_source import read_source

SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class Sample:
    """The head of a file: its layout, the names of its columns and some texts of each; typed times have none."""

    path: Path
    layout: Layout
    names: list[str]
    texts: dict[str, list[str]]


def read_sample(path: Path) -> Sample:
    """The layout that the file's first bytes speak for, and the first rows read by it."""
    layout = layout_of(path)
    data, _ = next(pieces_of(path, layout, SAMPLE_ROWS), (b"", 0))
    names = names_in(data, path, layout)
    # A key that holds keys is no value itself.
    plain = [each for each in names if names.count(each) == 1 and not any(n.startswith(f"{each}.") for n in names)]
    parsed = read_source(data, str(path), layout, [], plain)
    texts = {
        each: [text for text in column.values.to_pylist() if text] if isinstance(column, Coded) else []
        for each, column in parsed.rows.items()
    }
    return Sample(path, layout, plain, texts)


def layout_of(path: Path) -> Layout:
    """parquet and JSON lines by their first bytes, else a csv by its first line."""
    refuse_foreign(path)
    with open_stream(path) as stream:
        head = stream.read(1 << 16)
    if head.startswith(b"PAR1"):
        return Layout(format="parquet")
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if not lines:
        raise SetupError(f"{path} is empty")
    encoding = _encoding_of(head[: head.rfind(b"\n") + 1] or head)
    if lines[0].lstrip().startswith(b"{"):
        return Layout(format="jsonl", encoding=encoding)
    first = lines[0].decode(encoding)
    delimiter = delimiter_for(first)
    fields = first.split() if delimiter == WHITESPACE else first.split(delimiter)
    if looks_like_data(fields):
        return Layout(header=False, column_names=tuple(f"column_{n}" for n in range(1, len(fields) + 1)),
                      delimiter=delimiter, encoding=encoding)  # fmt: skip
    return Layout(delimiter=delimiter, encoding=encoding)


def _encoding_of(head: bytes) -> str:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"  # takes any byte; the reader sees by the names whether it is right
    return "utf-8"
