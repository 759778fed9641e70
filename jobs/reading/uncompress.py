"""Compressed bytes → what can be read of them. gzip, zstd and bzip2 are known by their first bytes, not by a name."""

import bz2
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

GZIP, BZIP2, ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"


def uncompress(data: bytes) -> tuple[bytes, str]:
    """What can be read of the file and, in words, what stopped that.

    All members of a file count; zeros after the last are padding.
    """
    if data.startswith(GZIP):
        return _members(data, lambda: zlib.decompressobj(wbits=31), zlib.error)
    if data.startswith(BZIP2):
        return _members(data, lambda: bz2.BZ2Decompressor(), (OSError, ValueError))
    if data.startswith(ZSTD):
        return _zstd(data)
    return data, ""


def _members(data: bytes, start: Callable[[], Any], wrong: Any) -> tuple[bytes, str]:
    content, damage = bytearray(), ""
    while data and not damage:
        more, data, damage = _member(data, start, wrong)
        content += more
        data = data.lstrip(b"\0")
    return bytes(content), damage.format(read=len(content))


def _member(data: bytes, start: Callable[[], Any], wrong: Any) -> tuple[bytes, bytes, str]:
    """The first member's content, the bytes behind it, and its damage ({read} for the bytes so far).

    What one call reads is lost where it fails; a decompressor that can be copied is then asked again in smaller steps,
    down to the bad byte.
    """
    stream, at, parts = start(), 0, []
    step = 1 << 20 if hasattr(stream, "copy") else 1 << 13
    while at < len(data) and not stream.eof:
        ahead = stream.copy() if hasattr(stream, "copy") else stream
        try:
            parts.append(ahead.decompress(data[at : at + step]))
        except wrong as error:
            if step == 1 or ahead is stream:
                return b"".join(parts), b"", f"damaged after {{read:,}} bytes ({error})"
            step >>= 5
            continue
        stream, at = ahead, at + step
    behind = stream.unused_data + data[at:]
    return b"".join(parts), behind, "" if stream.eof else "truncated, the compressed data ends early"


def _zstd(data: bytes) -> tuple[bytes, str]:
    content = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            while more := stream.read(1 << 16):
                content += more
    except OSError as error:
        if "Truncated" in str(error):
            return bytes(content), "truncated, the compressed data ends early"
        return bytes(content), f"damaged after {len(content):,} bytes ({error})"
    return bytes(content), ""
