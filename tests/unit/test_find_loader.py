import platform
import time

import pytest

from agent.boot.find_loader import Fallback, find_loader, loader_at, some_loaders
from agent.boot.image_esp import fallback_files
from partitioning.byte_access import BytesReader
from partitioning.fat.file_system import FatFileSystem
from partitioning.fat.writer import build
from tests.efi_programs import efi_program
from tests.small_images import program

FALLBACK = "EFI/BOOT/BOOTX64.EFI"
CSV = "shimx64.efi,debian,,\n".encode("utf-16-le")


@pytest.fixture(autouse=True)
def an_x86_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def is_efi(path: str, content: bytes) -> bool:
    return path.lower().endswith(".efi") and content != b"" and not content.startswith(b"MZ")


def as_program(content: bytes) -> bytes:
    return program(content)


def esp(files: dict[str, bytes]) -> FatFileSystem:
    """A file system in which all that is called .efi and has a content is a program for this machine."""
    made = {
        path: as_program(content) if is_efi(path, content) else content for path, content in files.items()
    }
    image = build(made, sector_size=512, size=4 << 20, label="ESP", volume_id=1)
    return FatFileSystem(BytesReader(image.data()))


def test_what_a_csv_names_comes_first() -> None:
    found = find_loader(
        esp({FALLBACK: b"shim", "EFI/debian/shimx64.efi": b"shim", "EFI/debian/BOOTX64.CSV": CSV})
    )
    assert found is not None
    assert (found.path, found.fallback) == ("EFI/debian/shimx64.efi", Fallback.READY)


def test_the_csv_of_this_machine_counts_before_one_for_all() -> None:
    files = {"EFI/a/BOOT.CSV": "grubx64.efi,x".encode("utf-16-le"), "EFI/a/BOOTX64.CSV": CSV}
    found = find_loader(esp({**files, "EFI/a/grubx64.efi": b"g", "EFI/a/shimx64.efi": b"s"}))
    assert found is not None
    assert found.path == "EFI/a/shimx64.efi"


def test_a_csv_that_names_what_is_not_there_is_passed_over() -> None:
    found = find_loader(esp({FALLBACK: b"loader", "EFI/debian/BOOTX64.CSV": CSV}))
    assert found is not None
    assert found.path == FALLBACK


@pytest.mark.parametrize(
    "path",
    [
        "EFI/fedora/shimx64.efi",
        "EFI/arch/grubx64.efi",
        "EFI/systemd/systemd-bootx64.efi",
        "EFI/Microsoft/Boot/bootmgfw.efi",
        "EFI/refind/refind_x64.efi",
    ],
)
def test_a_vendors_loader_where_the_fallback_path_is_empty(path: str) -> None:
    found = find_loader(esp({path: b"loader"}))
    assert found is not None
    assert (found.path, found.fallback) == (path, Fallback.EMPTY)


def test_a_shim_before_the_grub_beside_it() -> None:
    found = find_loader(esp({"EFI/a/grubx64.efi": b"g", "EFI/b/shimx64.efi": b"s"}))
    assert found is not None
    assert found.path == "EFI/b/shimx64.efi"


@pytest.mark.parametrize("asked", ["EFI/my/own.efi", "\\efi\\MY\\OWN.EFI", "/EFI/my/own.efi"])
def test_the_one_that_was_asked_for(asked: str) -> None:
    found = loader_at(esp({FALLBACK: b"loader", "EFI/my/own.efi": b"own"}), asked)
    assert found is not None
    assert (found.path, found.fallback) == ("EFI/my/own.efi", Fallback.READY)


@pytest.mark.parametrize("asked", ["EFI/my/other.efi", "EFI/my", "EFI/my/own.efi/x", "empty.efi"])
def test_no_other_will_do(asked: str) -> None:
    files = {FALLBACK: b"loader", "EFI/my/own.efi": b"own", "empty.efi": b""}
    assert loader_at(esp(files), asked) is None


@pytest.mark.parametrize(
    "files",
    [{}, {FALLBACK: b""}, {"EFI/BOOT/BOOTAA64.EFI": b"arm"}, {"EFI/debian/BOOTX64.CSV": CSV}, {"x": b""}],
)
def test_none_for_this_machine(files: dict[str, bytes]) -> None:
    assert find_loader(esp(files)) is None


def test_some_of_the_loaders_there_are() -> None:
    files = {
        "EFI/BOOT/BOOTAA64.EFI": b"arm",
        "EFI/Linux/a.efi": b"uki",
        "EFI/Linux/b.efi": b"",
        "x.efi": b"x",
    }
    assert set(some_loaders(esp(files))) == {"EFI/BOOT/BOOTAA64.EFI", "EFI/Linux/a.efi"}
    assert some_loaders(esp({"x": b"x"})) == ()
    assert len(some_loaders(esp({f"EFI/a/{number}.efi": b"x" for number in range(9)}))) == 5


def test_a_shim_takes_its_companions_to_the_fallback_path() -> None:
    names = ("shimx64.efi", "grubx64.efi", "mmx64.efi", "fbx64.efi", "grub.cfg", "BOOTX64.CSV")
    volume = esp({f"EFI/debian/{name}": name.encode() for name in names} | {"EFI/debian/BOOTX64.CSV": CSV})
    found = find_loader(volume)
    assert found is not None
    assert fallback_files(volume, found) == {
        "EFI/BOOT/BOOTX64.EFI": program(b"shimx64.efi"),
        "EFI/BOOT/grubx64.efi": program(b"grubx64.efi"),
        "EFI/BOOT/mmx64.efi": program(b"mmx64.efi"),
        "EFI/BOOT/grub.cfg": b"grub.cfg",
    }


def test_another_loader_goes_alone() -> None:
    volume = esp({"EFI/systemd/systemd-bootx64.efi": b"sd", "EFI/systemd/grubx64.efi": b"g"})
    found = loader_at(volume, "EFI/systemd/systemd-bootx64.efi")
    assert found is not None
    assert fallback_files(volume, found) == {"EFI/BOOT/BOOTX64.EFI": program(b"sd")}


SHIM = efi_program({".vendor_cert": bytes(64)})


@pytest.mark.parametrize("content", [b"not a program", program(machine=0xAA64), b"MZ" + bytes(500), b"M"])
def test_what_is_no_program_for_this_machine_is_passed_over(content: bytes) -> None:
    image = build({FALLBACK: content}, sector_size=512, size=4 << 20, label="ESP", volume_id=1)
    assert find_loader(FatFileSystem(BytesReader(image.data()))) is None


def test_a_shim_wants_what_it_starts() -> None:
    assert find_loader(esp({"EFI/a/shimx64.efi": SHIM})) is None
    for beside in ("grubx64.efi", "grub.efi", "fbx64.efi"):
        assert find_loader(esp({"EFI/a/shimx64.efi": SHIM, f"EFI/a/{beside}": b"x"})) is not None


def test_a_shim_that_is_told_what_to_start() -> None:
    csv = "shimx64.efi,Fedora,\\EFI\\Linux\\x.efi,\n".encode("utf-16-le")
    found = find_loader(esp({"EFI/fedora/shimx64.efi": SHIM, "EFI/fedora/BOOTX64.CSV": csv}))
    assert found is not None
    assert found.arguments == "\\EFI\\Linux\\x.efi"


def test_a_directory_full_of_csv_files_takes_no_time() -> None:
    files = {f"EFI/{number}/BOOTX64.CSV": ("no.efi,x,,\n" * 16).encode("utf-16-le") for number in range(64)}
    begun = time.process_time()
    assert find_loader(esp(files)) is None
    assert time.process_time() - begun < 5


def test_without_an_entry_what_is_at_the_fallback_path_starts() -> None:
    volume = esp({FALLBACK: b"own", "EFI/debian/shimx64.efi": b"shim", "EFI/debian/BOOTX64.CSV": CSV})
    found = find_loader(volume, by_entry=False)
    assert found is not None
    assert (found.path, found.fallback) == (FALLBACK, Fallback.READY)


def test_without_an_entry_nothing_gives_a_shim_its_arguments() -> None:
    csv = "shimx64.efi,x,\\EFI\\x\\own.efi".encode("utf-16-le")
    volume = esp({"EFI/x/shimx64.efi": SHIM, "EFI/x/own.efi": b"own", "EFI/x/BOOTX64.CSV": csv})
    assert find_loader(volume, by_entry=False) is None
    found = find_loader(volume)
    assert found is not None
    assert (found.starts_alone, found.fallback) == (False, Fallback.EMPTY)


def test_a_shim_alone_at_the_fallback_path_starts_nothing() -> None:
    found = find_loader(esp({FALLBACK: SHIM, "EFI/a/grubx64.efi": b"g"}))
    assert found is not None
    assert (found.path, found.fallback) == ("EFI/a/grubx64.efi", Fallback.STUCK)
