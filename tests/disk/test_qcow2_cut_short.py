"""Files that were cut within their last cluster, and sound ones that end there."""

import contextlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.fetch.spool import Spool
from agent.images.errors import BadFormat
from agent.images.open_image import open_image
from agent.images.qcow2.header import parse
from agent.images.qcow2.tables import survey
from agent.request.model import ImageType
from partitioning.byte_access import BytesReader
from tests.small_images import sparse_pattern, tool

MIB = 1 << 20
FORMS = [
    f"cluster_size={size}{more}"
    for size in (512, 4096, 65536, 2 * MIB)
    for more in ("", ",compression_type=zstd", ",compat=0.10", ",extended_l2=on", ",refcount_bits=1")
    if size > 4096 or more != ",extended_l2=on"
]


@pytest.fixture(scope="module", params=[5 * MIB, 5 * MIB + 512, 5 * MIB - 1536])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tail") / "image.raw"
    path.write_bytes(sparse_pattern(request.param, 7))
    return path


def cut_short(data: bytes) -> bool:
    try:
        survey(parse(data[:65536]), BytesReader(data))
    except BadFormat as error:
        assert f"was cut short: it ends after {len(data)} bytes" in error.detail
        return True
    return False


def converted(raw: Path, folder: Path, form: str, *more: str) -> bytes:
    path = folder / "image.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", form, *more, raw, path)
    return path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("more", [(), ("-c",), ("-c", "-W", "-m", "8"), ("-S", "0")], ids=" ".join)
def test_sound_images(raw: Path, tmp_path: Path, form: str, more: tuple[str, ...]) -> None:
    assert not cut_short(converted(raw, tmp_path, form, *more))


@pytest.mark.parametrize("form", ["cluster_size=65536", "cluster_size=64k,extended_l2=on"])
def test_sound_images_that_were_written_to(tmp_path: Path, form: str) -> None:
    path, chance = tmp_path / "image.qcow2", random.Random(5)
    for _ in range(15):
        tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", form, path, str(4 * MIB + 512 * 3))
        for _ in range(6):
            place = f"{chance.randrange(8000) * 512} {chance.randrange(1, 190) * 512}"
            whole = f"{chance.randrange(60) * 65536} 65536"
            command = chance.choice([f"write -P 5 {place}", f"write -z {place}", f"write -c -P 7 {whole}"])
            tool("qemu-io", "-f", "qcow2", "-c", command, path)
        assert not cut_short(path.read_bytes())


@pytest.mark.parametrize("form", ["cluster_size=64k", "cluster_size=2M", "cluster_size=64k,compat=0.10"])
@pytest.mark.parametrize("more", [(), ("-c",)], ids=" ".join)
@pytest.mark.parametrize("missing", [1024, 5000, 40000])
def test_a_cluster_that_lost_its_end(tmp_path: Path, form: str, more: tuple[str, ...], missing: int) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(random.Random(6).randbytes(200_000).ljust(4 * MIB, b"x"))
    data = converted(raw, tmp_path, form, *more)
    assert not cut_short(data)
    assert cut_short(data[:-missing])


def test_a_subcluster_that_lost_its_end(tmp_path: Path) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(bytes(MIB) + b"x" * 5000 + bytes(MIB - 5000))
    data = converted(raw, tmp_path, "extended_l2=on")
    assert len(data) % 65536 == 3 * 2048 or len(data) % 4096 == 0
    assert not cut_short(data)
    assert cut_short(data[:-512])


def test_tables_that_lost_their_end(tmp_path: Path) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(b"x" * MIB)
    data = converted(raw, tmp_path, "cluster_size=64k")
    header = parse(data[:65536])
    assert cut_short(data[: header.l1_offset + 8 * header.l1_size - 1])
    l2_offset = int.from_bytes(data[header.l1_offset : header.l1_offset + 8], "big") & ((1 << 56) - 512)
    assert cut_short(data[: l2_offset + 65535])


@pytest.mark.parametrize("missing", [512, 30000])
def test_what_qemu_img_does_not_find(tmp_path: Path, missing: int) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(random.Random(8).randbytes(MIB))
    data = converted(raw, tmp_path, "cluster_size=64k")
    (tmp_path / "image.qcow2").write_bytes(data[:-missing])
    report = json.loads(tool("qemu-img", "check", "--output=json", tmp_path / "image.qcow2"))
    assert "corruptions" not in report
    with Spool() as spool:
        spool.append(data[:-missing])
        with pytest.raises(BadFormat) as caught:
            open_image(spool, ImageType.QCOW2)
    assert f"was cut short: it ends after {len(data) - missing} bytes" in caught.value.detail


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("small")
    (folder / "image.raw").write_bytes(b"x" * 100_000)
    return converted(folder / "image.raw", folder, "cluster_size=512", "-c")


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=9)), max_size=6),
    st.integers(104, 8000),
)
def test_whatever_the_tables_hold(small: bytes, changes: list[tuple[int, bytes]], size: int) -> None:
    data = bytearray(small)
    for offset, piece in changes:
        data[offset : offset + len(piece)] = piece
    content = bytes(data[:size])
    with contextlib.suppress(BadFormat):
        assert 0 <= survey(parse(content), BytesReader(content)) <= 100_000 + 511
