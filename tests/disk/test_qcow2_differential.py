"""Our own qcow2 reading beside qemu-img's, on random images: byte for byte the same.

BYOI_SAMPLES says how many images (40), BYOI_SEED which ones (by chance; a failure names its seed).
"""

import contextlib
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import Stopped, StreamSpool
from agent.images.errors import BadFormat
from agent.images.extent_reader import ExtentReader
from agent.images.pieces import ZeroPiece
from agent.images.qcow2.header import Incompatible, Qcow2Header, parse
from agent.images.qcow2.reader import qcow2_reader
from agent.images.qcow2.tables import survey
from agent.images.qcow2.walk import walk
from tests.qcow2_samples import random_image
from tests.small_images import MIB, qcow2, sparse_pattern, tool

SAMPLES = int(os.environ.get("BYOI_SAMPLES", "40"))
SEED = int(os.environ.get("BYOI_SEED", random.randrange(1 << 30)))


GROUPS = 8


def is_sound(path: Path, raw: Path) -> bool:
    """Convert it, and tell whether that can be done: at times QEMU's tools make what they can not read."""
    command = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(raw)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_consistent(path: Path) -> bool:
    """Tell whether its tables and reference counts agree: at times qemu-io makes two clusters share bytes."""
    command = ["qemu-img", "check", "-q", "-f", "qcow2", str(path)]
    corrupt = 2  # 3, leaked clusters, is no fault
    return subprocess.run(command, capture_output=True, check=False).returncode != corrupt


def poured(header: Qcow2Header, spool: Spool) -> bytes:
    """Give all pieces put together, over random bytes."""
    content, seen = bytearray(os.urandom(header.virtual_size)), 0
    for piece in walk(header, spool):
        seen += piece.length
        for part in (piece,) if isinstance(piece, ZeroPiece) else piece.runs():
            data = bytes(part.length) if isinstance(part, ZeroPiece) else b"".join(part.buffers)
            content[part.offset : part.offset + part.length] = data
        if not isinstance(piece, ZeroPiece):
            piece.done()
    assert seen == header.virtual_size
    return bytes(content)


@contextmanager
def arriving(data: bytes, window: int, chance: random.Random) -> Iterator[StreamSpool]:
    """Give a spool that the file comes into in pieces of any size, while it is read."""
    with StreamSpool(window) as spool:

        def fill() -> None:
            at = 0
            with contextlib.suppress(Stopped):
                while at < len(data):
                    at += len(piece := data[at : at + chance.choice((1, 700, 20_000, 130_000))])
                    spool.append(piece)
                spool.finish()

        if chance.random() < 0.5:
            spool.announce(len(data))
        thread = threading.Thread(target=fill)
        thread.start()
        try:
            yield spool
        finally:
            spool.fail(Stopped())
            thread.join()


def read_here_and_there(reader: ExtentReader, expected: bytes, chance: random.Random) -> None:
    for _ in range(20):
        offset = chance.randrange(len(expected))
        length = min(chance.choice((1, 512, 5000, 300_000)), len(expected) - offset)
        assert reader.pread(length, offset) == expected[offset : offset + length]


def compare(seed: int, folder: Path) -> None:
    path, raw = random_image(folder, seed), folder / "converted.raw"
    data = path.read_bytes()
    with Spool() as spool:
        spool.append(data)
        header = parse(data[:65536])
        if not is_sound(path, raw):
            with pytest.raises(BadFormat):
                poured(header, spool)
            return
        if header.incompatible & Incompatible.CORRUPT:
            return
        expected = raw.read_bytes()
        allocated = survey(header, spool)
        assert 0 <= allocated <= len(expected)
        read_here_and_there(qcow2_reader(header, spool), expected, random.Random(seed))
        # Bytes that two clusters share may be refused, and are never given back as something else.
        may_refuse = contextlib.nullcontext() if is_consistent(path) else contextlib.suppress(ReadAgain)
        with may_refuse:
            assert poured(header, spool) == expected
    with arriving(data, len(data) + 200_000, random.Random(seed)) as coming, may_refuse:
        assert poured(header, coming) == expected


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_images(group: int, tmp_path: Path) -> None:
    for seed in range(SEED + group, SEED + SAMPLES, GROUPS):
        print(f"BYOI_SEED={seed}")
        compare(seed, tmp_path)
        for made in tmp_path.iterdir():
            made.unlink()


def test_nearly_all_memory_is_given_back_meanwhile(tmp_path: Path) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(sparse_pattern(40 * MIB, 3))
    for options in (("-c",), ("-c", "-o", "compression_type=zstd"), ()):
        data = qcow2(raw, *options).read_bytes()
        with Spool() as spool:
            spool.append(data)
            assert poured(parse(data[:65536]), spool) == raw.read_bytes()
            # Left is what is behind the last data.
            assert os.fstat(spool.fd).st_blocks * 512 <= 2 * 65536
        with arriving(data, 5 * MIB, random.Random(4)) as coming:
            assert poured(parse(data[:65536]), coming) == raw.read_bytes()


def test_a_table_behind_its_data_needs_a_large_window(tmp_path: Path) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(sparse_pattern(40 * MIB, 3))
    path = qcow2(raw)
    tool("qemu-img", "snapshot", "-c", "before", path)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 65536", path)
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    data = path.read_bytes()
    with arriving(data, 5 * MIB, random.Random(4)) as coming, pytest.raises(TooBigForMemory):
        poured(parse(data[:65536]), coming)
    with arriving(data, len(data) + MIB, random.Random(4)) as coming:
        assert poured(parse(data[:65536]), coming) == raw.read_bytes()
