"""Files of any size as streams: compression is known by the first bytes when reading, by the name when writing."""

import bz2
import gzip
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from expectations.errors import DataError, SetupError

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
"""First bytes of a file → how it is compressed."""
SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}
LONGEST_LINE = 256 << 20
"""Bytes."""
GZIP_LEVEL = 4  # near the size of level 6 in half the time


FOREIGN = {
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save the sheet as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet: save the sheet as CSV in UTF-8",
    b"\xff\xfe": "text in UTF-16: save it in UTF-8",
    b"\xfe\xff": "text in UTF-16: save it in UTF-8",
    b"[": "one JSON list: write one object a line (jq -c '.[]')",
}
"""First bytes of what no feed reads → what to do with it."""


def refuse_foreign(path: Path) -> None:
    """SetupError for a file of a kind that no format of a mapping reads."""
    with open_stream(path) as stream:
        start = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    for magic, what in FOREIGN.items():
        # A list's bracket may begin a CSV's name: a list goes on with an object.
        if start.startswith(magic) and (magic != b"[" or start[1:].lstrip(b" \t\r\n").startswith(b"{")):
            raise SetupError(f"{path} is {what}")


def compression_of(path: Path) -> str:
    """gzip, zstd or bzip2, by the file's first bytes; empty if it is not compressed."""
    with open(path, "rb") as file:
        start = file.read(4)
    return next((name for magic, name in COMPRESSIONS.items() if start.startswith(magic)), "")


@contextmanager
def open_stream(path: Path) -> Iterator[IO[bytes]]:
    """The file's uncompressed bytes. DataError where its compressed data are damaged or end early."""
    try:
        with open(path, "rb") as raw, _opened(raw, compression_of(path)) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: its compressed data are damaged or end early ({error}); fetch it again") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{path}: its compressed data are damaged or end early ({error}); fetch it again") from error


def _opened(raw: IO[bytes], compression: str) -> IO[bytes]:
    match compression:
        case "gzip":
            return gzip.GzipFile(fileobj=raw)
        case "bzip2":
            return bz2.BZ2File(raw)
        case "zstd":
            return pa.CompressedInputStream(raw, "zstd")
    return raw


def chunks_of(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """The stream in pieces of whole lines, of about ``size`` bytes; the last may lack its line break.

    DataError for a line that is longer than LONGEST_LINE: memory must not hold the file.
    """
    rest = [b""]
    while piece := stream.read(size):
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, piece[:cut]])
            rest = [piece[cut:]]
        else:
            rest.append(piece)
            if sum(map(len, rest)) > LONGEST_LINE:
                raise DataError(
                    f"no line break within {LONGEST_LINE:,} bytes: lines must end in \\n. Save the file with those"
                )
    if last := b"".join(rest):
        yield last


def files_below(path: Path) -> list[Path]:
    """``path`` itself if it is a file, else the files below it in the order of their names, hidden ones left out."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SetupError(f"{path}: there is no such file or folder")
    found = sorted(p for p in path.rglob("*") if p.is_file())
    found = [p for p in found if not any(part.startswith((".", "_")) for part in p.relative_to(path).parts)]
    if not found:
        raise SetupError(f"{path} holds no file")
    return found


def compress(source: Path, target: Path, like: str) -> None:
    """Writes ``source`` to ``target``, compressed as the name ``like`` says. Equal bytes in, equal bytes out."""
    how = SUFFIXES.get(Path(like).suffix, "")
    with open(source, "rb") as plain, open(target, "wb") as raw:
        if how == "gzip":
            with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=1) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
        elif how == "bzip2":
            with bz2.BZ2File(raw, "wb") as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
        elif how == "zstd":
            with pa.CompressedOutputStream(raw, "zstd") as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
        else:
            shutil.copyfileobj(plain, raw, 1 << 20)


def have_equal_content(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes once uncompressed; a damaged one equals none."""
    try:
        with open_stream(one) as left, open_stream(other) as right:
            while True:
                mine, others = _full(left), _full(right)
                if mine != others:
                    return False
                if not mine:
                    return True
    except DataError:
        return False


def _full(stream: IO[bytes], size: int = 1 << 20) -> bytes:
    """``size`` bytes, fewer only at the end: a stream may give less than it is asked for."""
    parts, left = [], size
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
