import contextlib
import io
import random
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import pytest

from agent.errors import Refused
from agent.fetch.stream_spool import Stopped, StreamSpool
from agent.images.arriving import open_arriving_ova
from agent.images.errors import BadFormat, UnsafeImage
from agent.images.ova.archive import Member
from agent.images.ova.beginning import disk_size_by
from agent.images.ova.package import disk_in
from agent.images.ova.passing import PassingArchive
from partitioning.byte_access import BytesReader
from partitioning.errors import ExplainedError
from tests.ova_samples import archive, manifest, ova, ovf, stream_optimised
from tests.small_images import MIB

DISK = b"KDMV and so on" * 1000
NAME = "box-disk1.vmdk"


def passed(data: bytes) -> Member:
    """The disk, as it is found while the archive comes."""
    archive, pieces = PassingArchive(), iter(random_pieces(data))

    def more() -> None:
        piece = next(pieces, None)
        archive.end() if piece is None else archive.feed(piece)

    try:
        disk = archive.disk(more)
        for piece in pieces:
            archive.feed(piece)
        archive.check()
    finally:
        archive.stop()
    return disk


def random_pieces(data: bytes) -> Iterator[bytes]:
    chance, at = random.Random(len(data)), 0
    while at < len(data):
        length = chance.choice((1, 100, 512, 10_000, 200_000))
        yield data[at : at + length]
        at += length


WAYS: tuple[Callable[[bytes], Member], ...] = (lambda data: disk_in(BytesReader(data)), passed)


def found(data: bytes, ways: Sequence[Callable[[bytes], Member]] = WAYS) -> bytes:
    (member,) = {way(data) for way in ways}
    return data[member.start : member.start + member.size]


def refused(data: bytes, why: str, kind: type[ExplainedError] = BadFormat) -> None:
    for way in WAYS:
        with pytest.raises(kind) as caught:
            way(data)
        assert why in caught.value.detail
        assert caught.value.hint


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
def test_the_disk_is_found_and_its_sum_is_checked(kind: str) -> None:
    data = ova(DISK, kind=kind)
    assert found(data) == DISK
    at = data.index(DISK) + 5
    refused(data[:at] + b"x" + data[at + 1 :], f"The manifest gives the {kind} ")


def test_the_sum_of_the_description_is_checked() -> None:
    sums = manifest({"box.ovf": b"other", NAME: DISK})
    refused(archive({"box.ovf": ovf(), "box.mf": sums, NAME: DISK}), "for 'box.ovf', and the file has")


def test_an_archive_without_a_manifest() -> None:
    assert found(archive({"box.ovf": ovf(), NAME: DISK})) == DISK


def test_the_order_does_not_matter() -> None:
    files = {"box.ovf": ovf(), NAME: DISK}
    data = archive({NAME: DISK, "box.cert": b"", "box.ovf": ovf(), "box.mf": manifest(files)})
    assert found(data, WAYS[:1]) == DISK
    # But what comes behind the disk is too late while it comes.
    with pytest.raises(Refused) as caught:
        passed(data)
    assert "the description (.ovf) comes behind the disk" in caught.value.detail.lower()


def test_a_manifest_behind_the_disk() -> None:
    files = {"box.ovf": ovf(), NAME: DISK}
    data = archive(files | {"box.mf": manifest(files, "sha512")})
    assert found(data) == DISK
    at = data.index(DISK) + 5
    refused(data[:at] + b"x" + data[at + 1 :], "The manifest gives the sha512 ")


def test_names_that_begin_with_the_directory() -> None:
    data = archive(
        {"./box.ovf": ovf(), f"./{NAME}": DISK, "./box.mf": manifest({"box.ovf": ovf(), NAME: DISK})}
    )
    assert found(data) == DISK


def test_more_than_there_is_room_for_behind_an_archive_without_its_disk() -> None:
    """Nothing of what follows is the disk's, so nobody waits for it to come."""
    data = archive({"box.ovf": ovf()}) + bytes(4 << 20)
    archive_there = threading.Event()
    passing = PassingArchive()
    with StreamSpool(1 << 20, passing.feed) as spool:

        def come() -> None:
            with contextlib.suppress(Stopped):
                for at in range(0, len(data), 10_000):
                    spool.append(data[at : at + 10_000])
            archive_there.set()

        def in_time() -> None:
            assert time.monotonic() - began < 20, "it waits for ever"

        began = time.monotonic()
        threading.Thread(target=come, daemon=True).start()
        try:
            with pytest.raises(BadFormat) as caught:
                open_arriving_ova(spool, passing, in_time)
        finally:
            passing.stop()
    assert "the archive has none of that name" in caught.value.detail
    assert archive_there.wait(10)


def test_directories_are_passed_over() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("box/")
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
        for name, data in (("box.ovf", ovf()), (NAME, DISK)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert found(out.getvalue()) == DISK


@pytest.mark.parametrize("kind", ["md5", "sha224"])
def test_a_sum_of_an_unknown_kind(kind: str) -> None:
    sums = manifest({"box.ovf": ovf(), NAME: DISK}, kind)
    refused(archive({"box.ovf": ovf(), "box.mf": sums, NAME: DISK}), "a line that is no sum of a known kind")


def test_a_manifest_without_the_disk() -> None:
    sums = manifest({"box.ovf": ovf()})
    refused(archive({"box.ovf": ovf(), "box.mf": sums, NAME: DISK}), "has no sum for 'box-disk1.vmdk'")


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_disks(count: int) -> None:
    refused(
        archive({"box.ovf": ovf(disks=count), NAME: DISK}), f"names {count} disks; one is what can be written"
    )


def test_a_disk_that_is_missing() -> None:
    refused(archive({"box.ovf": ovf("other.vmdk"), NAME: DISK}), "names 'other.vmdk' as the file of its disk")


@pytest.mark.parametrize("more", ['ovf:compression="gzip"', 'ovf:chunkSize="2147483648"'])
def test_a_disk_in_chunks_or_packed_again(more: str) -> None:
    refused(archive({"box.ovf": ovf(file=more), NAME: DISK}), "is cut in chunks or compressed")


def test_a_disk_that_no_file_is_named_for() -> None:
    description = ovf().replace(b'ovf:fileRef="file1"', b"")
    refused(archive({"box.ovf": description, NAME: DISK}), "does not say which file its disk is")


@pytest.mark.parametrize("name", ["../box-disk1.vmdk", "/etc/box-disk1.vmdk", "a/../../box-disk1.vmdk"])
def test_names_that_point_outside(name: str) -> None:
    refused(archive({"box.ovf": ovf(name), name: DISK}), "would stand outside", UnsafeImage)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("box.ovf")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    refused(out.getvalue(), "is a link, a device, or a file with holes", UnsafeImage)


def test_two_of_a_name() -> None:
    first = 512 + -(-len(ovf()) // 512) * 512
    out = archive({"box.ovf": ovf()})[:first] + archive({"box.ovf": ovf(), NAME: DISK})
    refused(out, "holds 'box.ovf' twice")


def test_two_descriptions() -> None:
    refused(archive({"box.ovf": ovf(), "other.ovf": ovf(), NAME: DISK}), "2 files that end in .ovf")


def in_archive(name: str, data: bytes) -> bytes:
    """A file as it stands within an archive."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0")


@pytest.mark.parametrize("suffix", ["ovf", "mf"])
def test_descriptions_without_end_behind_the_disk(suffix: str) -> None:
    """The second is refused when it comes: none of the others is kept."""
    files = {"box.ovf": ovf(), NAME: DISK}
    passing, large = PassingArchive(), bytes(1 << 20)
    tracemalloc.start()
    try:
        for name, data in (files | {"box.mf": manifest(files)}).items():
            passing.feed(in_archive(name, data))
        with pytest.raises(BadFormat) as caught:
            for number in range(100):
                passing.feed(in_archive(f"more{number}.{suffix}", large))
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
        passing.stop()
    assert f"holds 2 files that end in .{suffix}" in caught.value.detail


def test_no_description() -> None:
    refused(archive({NAME: DISK}), "so it is no OVA")


@pytest.mark.parametrize(
    "description",
    [
        b"<Envelope",
        b"",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Envelope>&b;</Envelope>',
        "<?xml version='1.0' encoding='utf-16'?><Envelope/>".encode("utf-16"),
        b"<?xml version='1.0' encoding='no such'?><Envelope/>",
    ],
)
def test_a_description_that_is_none(description: bytes) -> None:
    refused(archive({"box.ovf": description, NAME: DISK}), "The OVF")


def test_a_description_with_names_that_grow() -> None:
    """Each name stands for all of a long one: written out they would be thousands of times the file."""
    names = b"".join(b"<x:n%d/>" % number for number in range(2000))
    description = b'<x:a xmlns:x="' + b"u" * 200_000 + b'">' + names + b"</x:a>"
    tracemalloc.start()
    try:
        refused(archive({"box.ovf": description, NAME: DISK}), "names 0 disks")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("prefix", [b"", b"ovf:"])
def test_names_with_any_prefix(prefix: bytes) -> None:
    """What the prefixes stand for is not looked at: versions 1 and 2 have other namespaces."""
    description = ovf().replace(b"<Disk ", b"<" + prefix + b"Disk ").replace(b"ovf:", prefix)
    assert found(archive({"box.ovf": description, NAME: DISK})) == DISK


def test_elements_within_elements_within_elements() -> None:
    description = b"<a>" * 300 + b"</a>" * 300
    refused(archive({"box.ovf": description, NAME: DISK}), "more elements within one another than any")


def test_a_description_as_large_as_a_disk() -> None:
    refused(
        archive({"box.ovf": ovf() + b" " * (5 << 20), NAME: DISK}), "'box.ovf' in the archive is too large"
    )


def test_more_files_than_any_machine_has() -> None:
    files = {f"file{number}": b"" for number in range(300)}
    refused(archive(files | {"box.ovf": ovf(), NAME: DISK}), "more than 256 files")


def test_an_archive_that_was_cut_short() -> None:
    data = ova(DISK)
    cut = data[: data.index(DISK) + 100]
    refused(cut, "was cut short")
    with pytest.raises(BadFormat) as caught:
        disk_in(BytesReader(cut))
    assert "ends within 'box-disk1.vmdk'" in caught.value.detail
    refused(data[:700], "cut short")


def test_sums_that_can_not_be_found_any_more() -> None:
    """tarfile takes a damaged header behind the disk for the end of the archive."""
    files = {"box.ovf": ovf(), NAME: DISK}
    data = archive(files | {"box.mf": manifest(files)})
    at = data.index(b"box.mf")
    refused(data[:at] + b"x" + data[at + 1 :], "damaged or was cut short")
    refused(data[:at], "damaged or was cut short")
    refused(data[: at + 100], "damaged or was cut short")


def test_headers_upon_headers() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4
    refused((info.tobuf() + b"name".ljust(512, b"\0")) * 1500, "damaged or was cut short")


def test_a_header_that_claims_to_be_long() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("box.ovf")
        info.pax_headers = {"comment": "x" * (3 << 20)}
        tar.addfile(info)
    refused(out.getvalue(), "The archive (tar) is damaged or was cut short.")


def with_sum(header: bytes) -> bytes:
    """A header with its own sum in it."""
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]


@pytest.mark.parametrize("name", ["box.ovf", NAME])
def test_a_file_that_is_shorter_than_nothing(name: str) -> None:
    data = archive({"box.ovf": ovf(), NAME: DISK})
    at = 0 if name == "box.ovf" else 512 + -(-len(ovf()) // 512) * 512
    header = with_sum(data[at : at + 124] + b"\xff" * 12 + data[at + 136 : at + 512])
    refused(data[:at] + header + data[at + 512 :], "cut short")


def test_a_file_with_holes_that_ends_in_its_map() -> None:
    info = tarfile.TarInfo("box.ovf")
    info.type = tarfile.GNUTYPE_SPARSE
    header = info.tobuf(tarfile.GNU_FORMAT)
    # The map goes on in the next block (GNU tar's manual, "Basic Tar Format": isextended), and there is none.
    refused(with_sum(header[:482] + b"\1" + header[483:]), "The archive (tar) is damaged or was cut short.")


def test_a_map_of_holes_as_large_as_a_disk() -> None:
    out = io.BytesIO()
    numbers = b"1500000\n" + b"512\n" * 1_500_000
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("box.ovf")
        info.size = len(numbers)
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        tar.addfile(info, io.BytesIO(numbers))
    data = out.getvalue()
    tracemalloc.start()
    try:
        refused(data, "The archive (tar) is damaged or was cut short.")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_the_size_of_the_disk_is_told_by_the_beginning() -> None:
    """As soon as the disk's own header is there; nothing is wrong with what has not come yet."""
    disk = stream_optimised(bytes(3 * MIB))
    data = ova(disk)
    told = data.index(disk[:512]) + 512 * 21  # the header, and where a descriptor may be
    for length in (*range(0, 3 * 512, 64), *range(told - 8, told)):
        assert disk_size_by(data[:length]) is None, length
    assert {disk_size_by(data[:length]) for length in (told, 64 << 10, len(data))} == {3 * MIB}


def test_a_beginning_that_does_not_tell() -> None:
    disk = stream_optimised(bytes(MIB))
    late = archive({"box-disk1.vmdk": disk, "box.ovf": ovf()})
    assert disk_size_by(late[: 64 << 10]) is None
    assert disk_size_by(archive({"box.ovf": ovf("other.vmdk"), "box-disk1.vmdk": disk})[: 64 << 10]) is None
    assert disk_size_by(archive({"box.ovf": ovf().ljust(70_000), "box-disk1.vmdk": disk})[: 64 << 10]) is None
