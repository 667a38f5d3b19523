"""What the fuzzer has found to be different from all else, and the sound files that it begins with."""

import signal
import struct
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.fuzz import seeds
from tests.fuzz.checks import check
from tests.fuzz.kept import kept
from tests.fuzz.mutator import QCOW2, VMDK, mutate, mutate_archive, mutate_packed
from tests.fuzz.subject import Agreement
from tests.fuzz.subjects import SUBJECTS
from tests.fuzz.vmdk_judge import vmdk_agreement

MOST_SECONDS = 60


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """What hangs fails, as it does in the fuzzer."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_the_fuzzer_found(name: str) -> None:
    inputs = kept(name)
    assert inputs
    for title, data in inputs.items():
        try:
            check(SUBJECTS[name], data)
        except BaseException as error:
            error.add_note(f"It was {title} of tests/fuzz/corpus/{name}.")
            raise


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("seeds")
    return {name: dict(made(folder)) for name, made in seeds.SEEDS.items()}


@pytest.mark.parametrize("name", SUBJECTS)
def test_sound_files_are_read(sound: dict[str, dict[str, bytes]], name: str) -> None:
    for data in sound[name].values():
        outcome = check(SUBJECTS[name], data)
        assert outcome.error is None
        assert outcome.disk is not None
        assert outcome.disk.data


def test_changes_are_many_and_can_be_made_again(sound: dict[str, dict[str, bytes]]) -> None:
    for data, fields in ((sound["qcow2"]["plain"], QCOW2), (sound["vmdk"]["stream"], VMDK)):
        changed = [mutate(data, fields, 10_000, seed) for seed in range(50)]
        assert changed == [mutate(data, fields, 10_000, seed) for seed in range(50)]
        assert len(set(changed)) > 30
        assert max(map(len, changed)) <= 10_000
    assert mutate(b"", QCOW2, 100, 1)


def test_most_headers_of_changed_archives_are_right(sound: dict[str, dict[str, bytes]]) -> None:
    data = sound["ova"]["plain"]
    outcomes = [check(SUBJECTS["ova"], mutate_archive(data, 1 << 16, seed)) for seed in range(60)]
    reasons = {outcome.error.detail for outcome in outcomes if outcome.error is not None}
    assert len(reasons) > 5
    assert any(outcome.error is None for outcome in outcomes)


def test_a_reader_that_leaves_something_out_is_found(
    sound: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.images.qcow2.walk._zeroes", lambda _mapping: iter(()))
    with pytest.raises(AssertionError, match="not once"):
        check(SUBJECTS["qcow2"], sound["qcow2"]["plain"])


def test_a_reader_that_gives_back_too_much_is_found(
    sound: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ranges.Ranges.gaps", lambda _ranges, end: iter([(0, end)]))
    with pytest.raises(AssertionError, match="pieces that are read later"):
        check(SUBJECTS["qcow2"], sound["qcow2"]["plain"])


@pytest.mark.parametrize(("name", "file"), [("vmdk", "stream"), ("vmdk", "stream-in-front"), ("ova", "pax")])
def test_a_reader_that_is_wrong_while_the_file_comes_is_found(
    sound: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    monkeypatch.setattr("agent.images.vmdk.markers.MARKER_BYTES", 1024)
    with pytest.raises(AssertionError, match=r"while it comes|what came"):
        check(SUBJECTS[name], sound[name][file])


def test_a_vmdk_file_that_says_two_things(sound: dict[str, dict[str, bytes]]) -> None:
    data = bytearray(sound["vmdk"]["stream"])
    assert vmdk_agreement(bytes(data)) is Agreement.SAME
    shifted = bytes(data[:-1024]) + b"\0" + bytes(data[-1024:])
    assert vmdk_agreement(shifted) is Agreement.CONTRADICTION
    (directory,) = struct.unpack_from("<Q", data, len(data) - 1024 + 56)
    (table,) = struct.unpack_from("<I", data, directory * 512)
    data[table * 512 : table * 512 + 4] = bytes(4)
    assert vmdk_agreement(bytes(data)) is Agreement.CONTRADICTION
    assert vmdk_agreement(sound["vmdk"]["sparse"]) is Agreement.WHOLE_ONLY


def test_a_vmdk_file_whose_table_is_among_its_grains(sound: dict[str, dict[str, bytes]]) -> None:
    data = bytearray(sound["vmdk"]["stream-in-front"])
    assert vmdk_agreement(bytes(data)) is Agreement.SAME
    directory, overhead = struct.unpack_from("<QQ", data, 56)
    struct.pack_into("<I", data, directory * 512, overhead)
    assert vmdk_agreement(bytes(data)) is Agreement.WHOLE_ONLY


def test_members_that_are_forgotten_are_found(
    sound: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.images.packed.unpack._goes_on", lambda _packing, _packed: False)
    for name in ("gzip-parts", "xz-parts", "zstd-parts", "bzip2-parts"):
        with pytest.raises(AssertionError, match="unpacked to another size"):
            check(SUBJECTS["packed"], sound["packed"][name])


def test_changed_packed_files_are_read_or_refused(sound: dict[str, dict[str, bytes]]) -> None:
    data = sound["packed"]["zstd"]
    changed = [mutate_packed(data, 1 << 16, seed) for seed in range(60)]
    assert changed == [mutate_packed(data, 1 << 16, seed) for seed in range(60)]
    outcomes = [check(SUBJECTS["packed"], file) for file in changed]
    assert len({outcome.error.detail for outcome in outcomes if outcome.error is not None}) > 5
    assert sum(outcome.error is None for outcome in outcomes) > 5


def test_a_reader_that_is_wrong_is_found(
    sound: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "agent.images.extent_reader.ExtentReader._read", lambda _reader, length, _offset: bytes(length)
    )
    with pytest.raises(AssertionError, match="the reader differs"):
        check(SUBJECTS["vmdk"], sound["vmdk"]["sparse"])
