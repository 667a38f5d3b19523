import platform

import pytest

from partitioning.uefi.names import csv_names, fallback_path, runs_here, shown
from tests.small_images import program


@pytest.fixture(autouse=True)
def an_x86_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def test_the_names_of_this_machine() -> None:
    assert fallback_path() == "EFI/BOOT/BOOTX64.EFI"
    assert csv_names() == ("BOOTX64.CSV", "BOOT.CSV")


@pytest.mark.parametrize("path", ["EFI/BOOT/x.efi", "/EFI/BOOT/x.efi", "\\EFI\\BOOT\\x.efi"])
def test_a_path_as_firmware_writes_it(path: str) -> None:
    assert shown(path) == "\\EFI\\BOOT\\x.efi"


def test_what_is_no_character_can_be_shown() -> None:
    assert shown("EFI/\ud800/x.efi").encode() == b"\\EFI\\?\\x.efi"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (program(), True),
        (program()[:0x86], True),
        (program(machine=0xAA64), False),
        (program()[:0x85], False),
        (b"MZ", False),
        (b"", False),
        (b"MZ".ljust(0x3C, b"\0") + b"\xff\xff\xff\xff", False),
        (program().replace(b"MZ", b"ZM"), False),
    ],
)
def test_a_program_for_this_machine(start: bytes, expected: bool) -> None:
    assert runs_here(start) is expected
