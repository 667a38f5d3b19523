import pytest

from agent.boot.boot_csv import NamedLoader, is_boot_csv, loaders_of

DEBIAN = "shimx64.efi,debian,,This is the boot entry for debian\n"


@pytest.mark.parametrize(
    "data",
    [
        DEBIAN.encode("utf-16-le"),
        b"\xff\xfe" + DEBIAN.encode("utf-16-le"),
        b"\xfe\xff" + DEBIAN.encode("utf-16-be"),
        DEBIAN.encode("ascii"),
    ],
)
def test_every_encoding_there_is(data: bytes) -> None:
    assert loaders_of(data) == [NamedLoader("shimx64.efi")]


def test_several_lines_and_windows_line_ends() -> None:
    text = "shimx64.efi,Fedora,,\r\n\r\n mmx64.efi ,MOK,,\r\n"
    assert [one.name for one in loaders_of(text.encode("utf-16-le"))] == ["shimx64.efi", "mmx64.efi"]


def test_what_a_loader_is_started_with() -> None:
    text = "shimx64.efi,Fedora,\\EFI\\Linux\\x.efi ,comment\n"
    assert loaders_of(text.encode("utf-16-le")) == [NamedLoader("shimx64.efi", "\\EFI\\Linux\\x.efi")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xff\xfe\0",
        "../evil.efi,x\n".encode("utf-16-le"),
        "\\EFI\\x.efi,x\n".encode("utf-16-le"),
        b"\xff\xfe" + b"\x00\xd8" * 40,
    ],
)
def test_what_makes_no_sense_is_passed_over(data: bytes) -> None:
    assert loaders_of(data) == []


@pytest.mark.parametrize(
    "fields",
    ["shim\x1b[2J.efi,x,,", "shim\0.efi,x,,", "a.efi,x,quiet\0splash,", "a.efi,x,\x1b[2J,", "a.efi,x,a\tb,"],
    ids=["ESC in the name", "NUL in the name", "NUL in the arguments", "ESC in the arguments", "tab"],
)
def test_a_line_with_letters_that_can_not_be_printed_is_passed_over(fields: str) -> None:
    assert loaders_of(f"{fields}\n{DEBIAN}".encode("utf-16-le")) == [NamedLoader("shimx64.efi")]


def test_a_label_and_a_comment_may_have_any_letters() -> None:
    text = "shimx64.efi,\x1b[2J,quiet,\x07\n"
    assert loaders_of(text.encode("utf-16-le")) == [NamedLoader("shimx64.efi", "quiet")]


def test_no_more_lines_than_make_sense() -> None:
    assert len(loaders_of(("a.efi\n" * 10_000).encode("utf-16-le"))) == 16


def test_which_files_are_read() -> None:
    assert [is_boot_csv(name) for name in ("BOOTX64.CSV", "boot.csv", "BOOTIA32.CSV", "BOOTAA64.CSV")] == [
        True,
        True,
        False,
        False,
    ]
