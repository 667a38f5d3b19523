"""Packed files, made with the tools that people use: gzip, xz, zstd, bzip2."""

import random
import subprocess
from functools import cache

TOOLS = {
    "gzip": ("gzip", "-n", "-c"),
    "xz": ("xz", "-T1", "-0", "-c"),
    "zstd": ("zstd", "-q", "-c", "--check"),
    "bzip2": ("bzip2", "-c"),
}


@cache
def packed(data: bytes, packing: str, *more: str) -> bytes:
    """Pack ``data`` with the tool of ``packing``, and options of it."""
    return subprocess.run([*TOOLS[packing], *more], input=data, capture_output=True, check=True).stdout


def packed_in_parts(data: bytes, packing: str, parts: int) -> bytes:
    """Pack ``data`` in ``parts``, one after another in a file."""
    chance = random.Random(parts)
    cuts = sorted(chance.randrange(len(data)) for _ in range(parts - 1))
    bounds = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return b"".join(packed(data[start:end], packing) for start, end in bounds)
