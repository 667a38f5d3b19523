"""What the firmware will start, with a boot entry and without one, and what is said where nothing would."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.boot.boot_draft import EndOfDisk, Server
from agent.boot.boot_plan import BootPlan, plan_boot
from agent.errors import Refused
from agent.fetch.spool import Spool
from agent.firmware import Firmware
from agent.images.errors import NotBootable
from agent.images.image import Image, raw_image
from agent.images.inspect import look_inside
from tests.efi_programs import efi_program
from tests.small_images import MIB, esp_with_loader, gpt_image, program, put, tool

ESP_START, ESP_SIZE = 2 * MIB, 32 * MIB
FALLBACK = "EFI/BOOT/BOOTX64.EFI"
SHIM = efi_program({".vendor_cert": bytes(64)})


@contextmanager
def opened(raw: Path) -> Iterator[Image]:
    with Spool() as spool:
        spool.append(raw.read_bytes())
        yield raw_image(fd=spool.fd, file_size=spool.size, reader=spool)


def image_with(folder: Path, files: dict[str, bytes], *, fallback: str = "BOOTX64.EFI") -> Path:
    """An image whose ESP has a loader called ``fallback`` in \\EFI\\BOOT, and ``files``."""
    raw = gpt_image(folder / "image.raw")
    esp = folder / "image.esp"
    esp_with_loader(esp, ESP_SIZE, loader=fallback)
    made = {"EFI", "EFI/BOOT"}
    for path, content in files.items():
        directory = path.rpartition("/")[0]
        if directory not in made:
            tool("mmd", "-i", esp, f"::/{directory}")
            made.add(directory)
        (folder / "file").write_bytes(content)
        tool("mcopy", "-i", esp, folder / "file", f"::/{path}")
    put(raw, ESP_START, esp.read_bytes())
    return raw


def planned(raw: Path, *, has_entries: bool, asked_for: str | None = None) -> BootPlan:
    server = Server(
        firmware=Firmware.UEFI,
        disk_size=1 << 30,
        asked_for=asked_for,
        no_entries=None if has_entries else "nobody is there",
    )
    with opened(raw) as image:
        return plan_boot(image, look_inside(image, 512), server, EndOfDisk())


def starts(plan: BootPlan) -> str | None:
    return plan.loader.path if plan.loader else None


def test_a_full_esp_needs_its_boot_entry(tmp_path: Path) -> None:
    large = program(os.urandom(20 * MIB))
    raw = image_with(tmp_path, {"EFI/systemd/systemd-bootx64.efi": large}, fallback="other.efi")
    plan = planned(raw, has_entries=True)
    assert starts(plan) == "EFI/systemd/systemd-bootx64.efi"
    assert plan.writes == ()
    assert plan.entry_only
    assert plan.warnings == (f"{plan.entry_only} The disk starts by its boot entry only.",)
    with pytest.raises(NotBootable, match="can not be made anew"):
        planned(raw, has_entries=False)


def test_a_shim_that_needs_its_arguments_is_not_copied_to_the_fallback_path(tmp_path: Path) -> None:
    csv = "shimx64.efi,x,\\EFI\\x\\own.efi".encode("utf-16-le")
    files = {"EFI/x/shimx64.efi": SHIM, "EFI/x/own.efi": program(b"own"), "EFI/x/BOOTX64.CSV": csv}
    raw = image_with(tmp_path, files, fallback="other.efi")
    plan = planned(raw, has_entries=True)
    assert plan.loader is not None
    assert (plan.loader.path, plan.loader.arguments) == ("EFI/x/shimx64.efi", "\\EFI\\x\\own.efi")
    assert plan.writes == ()
    assert plan.entry_only == "Nothing at \\EFI\\BOOT\\BOOTX64.EFI would start the disk."
    with pytest.raises(NotBootable, match="UEFI firmware") as caught:
        planned(raw, has_entries=False)
    assert "with what it starts beside it" in caught.value.detail


def test_a_shim_alone_at_the_fallback_path_needs_a_boot_entry(tmp_path: Path) -> None:
    raw = image_with(tmp_path, {FALLBACK: SHIM, "EFI/a/grubx64.efi": program(b"g")}, fallback="other.efi")
    plan = planned(raw, has_entries=True)
    assert (starts(plan), bool(plan.entry_only)) == ("EFI/a/grubx64.efi", True)
    with pytest.raises(NotBootable) as caught:
        planned(raw, has_entries=False)
    assert "none can be made" in caught.value.detail


def test_without_an_entry_the_fallback_path_counts_whatever_is_asked_for(tmp_path: Path) -> None:
    raw = image_with(tmp_path, {"EFI/my/own.efi": program(b"own")})
    assert starts(planned(raw, has_entries=True, asked_for="\\EFI\\my\\own.efi")) == "EFI/my/own.efi"
    plan = planned(raw, has_entries=False, asked_for="\\EFI\\my\\own.efi")
    assert starts(plan) == FALLBACK
    (warning,) = plan.warnings
    assert warning.startswith(
        "No boot entry can be made, as nobody is there: the firmware starts \\EFI\\BOOT"
    )
    assert warning.endswith(", not \\EFI\\my\\own.efi.")


def test_what_is_asked_for_fills_an_empty_fallback_path(tmp_path: Path) -> None:
    raw = image_with(tmp_path, {"EFI/my/own.efi": program(b"own")}, fallback="other.efi")
    plan = planned(raw, has_entries=False, asked_for="\\EFI\\my\\own.efi")
    assert (starts(plan), plan.entry_only, len(plan.writes)) == ("EFI/my/own.efi", "", 1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("\\EFI\\my\\arm.efi", "The loader \\EFI\\my\\arm.efi can not be started."),
        ("\\EFI\\my\\no.efi", "The loader \\EFI\\my\\no.efi is not in the image."),
    ],
)
def test_a_loader_that_is_asked_for_is_refused_with_the_reason(
    tmp_path: Path, asked: str, message: str
) -> None:
    raw = image_with(tmp_path, {"EFI/my/arm.efi": program(b"arm", machine=0xAA64)})
    with pytest.raises(Refused) as caught:
        planned(raw, has_entries=True, asked_for=asked)
    assert caught.value.message == message
