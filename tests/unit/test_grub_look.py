import subprocess

import pytest

from agent.boot.hand_over import hand_over_config
from agent.images import grub_look
from agent.images.grub_look import GrubFileSystem, GrubMenu, file_systems, menus
from partitioning.command import CommandTimedOut

PRINTED = """\
Device proc: Filesystem type procfs - Sector size 512B - Total size 0KiB
Device loop0: No known filesystem detected - Sector size 512B - Total size 2097152KiB
\tPartition loop0,gpt15: Filesystem type fat - Label `UEFI', UUID 4CD4-F7E9 - Partition start at 4096KiB
\tPartition loop0,gpt14: No known filesystem detected - Partition start at 1024KiB - Total size 3072KiB
\tPartition loop0,gpt1: Filesystem type ext* - Label `UUID ffff' - Last modification time 2026-11-24 \
10:34:30 Tuesday, UUID 3f58130c-ec1e-505c-86f7-162fd3338c57 - Partition start at 131072KiB
Device lvm/vg-root: Filesystem type xfs - Label `', UUID aaaa-bbbb - Total size 100KiB
Device host: Filesystem type hostfs - Sector size 512B - Total size 0KiB
"""
ROOT = GrubFileSystem(device="loop0,gpt1", kind="ext*", uuid="3f58130c-ec1e-505c-86f7-162fd3338c57")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grub_look, "_fstest", lambda _fd, *_words: PRINTED.encode())


@pytest.mark.usefixtures("printed")
def test_file_systems_by_the_name_grub_has_for_them() -> None:
    assert file_systems(0) == [
        GrubFileSystem(device="loop0,gpt15", kind="fat", uuid="4CD4-F7E9"),
        ROOT,
        GrubFileSystem(device="lvm/vg-root", kind="xfs", uuid="aaaa-bbbb"),
    ]


def test_each_menu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {"(loop0,gpt1)/boot/grub2/grub.cfg": "menuentry 'x' {\n  linux /x\n}\n"}
    monkeypatch.setattr(grub_look, "_content", lambda _fd, path: contents.get(path))
    (found,) = menus(0, [ROOT])
    assert (found.directory, found.has_entries) == ("/boot/grub2", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("menuentry 'Debian' --class x {\n  linux /boot/vmlinuz\n}\n", True),
        ("if true; then\n  submenu 'More' {\n\tlinux16 /vmlinuz\n", True),
        ("menuentry 'Windows' {\n  chainloader /x.efi\n}\n", True),
        ("blscfg\nmenuentry 'UEFI Firmware Settings' {\n  fwsetup\n}\n", False),
        ("linux /boot/vmlinuz\n", False),
        ("\n" * 1_000_000, False),
        ("insmod blscfg\nblscfg\n", False),
        ("# menuentry 'none' {\n", False),
        ("", False),
    ],
)
def test_whether_a_menu_has_entries_of_its_own(text: str, expected: bool) -> None:
    assert GrubMenu(file_system=ROOT, directory="/boot/grub", text=text).has_entries is expected


def test_the_configuration_that_hands_over() -> None:
    config = hand_over_config(GrubMenu(file_system=ROOT, directory="/boot/grub", text="")).decode()
    lines = [line.strip() for line in config.splitlines()]
    assert f"search --no-floppy --fs-uuid --set=root {ROOT.uuid}" in lines
    assert "set prefix=($root)/boot/grub" in lines
    assert "configfile $prefix/grub.cfg" in lines


def test_grub_understands_it() -> None:
    config = hand_over_config(GrubMenu(file_system=ROOT, directory="/grub2", text=""))
    subprocess.run(["grub-script-check"], input=config, check=True)


@pytest.mark.parametrize("uuid", [None, "", "a;halt", "$(x)", "x\ny"])
def test_no_other_thing_stands_in_it(uuid: str | None) -> None:
    system = GrubFileSystem(device="loop0,gpt1", kind="ext*", uuid=uuid)
    with pytest.raises(ValueError, match="without a UUID"):
        hand_over_config(GrubMenu(file_system=system, directory="/boot/grub", text=""))


def test_looking_into_many_file_systems_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grub_look, "_MOST_SECONDS", -1.0)
    monkeypatch.setattr(grub_look, "_content", lambda _fd, _path: None)
    with pytest.raises(CommandTimedOut, match="takes too long"):
        list(menus(0, [ROOT] * 64))
