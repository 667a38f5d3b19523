"""The names that loaders have for this kind of machine (UEFI specification 2.10, section 3.5.1.1)."""

import platform

_SUFFIXES = {"x86_64": "x64", "aarch64": "aa64"}
# Microsoft's "PE Format", Machine Types.
_PE_MACHINES = {"x64": 0x8664, "aa64": 0xAA64}

BOOT_DIRECTORY = "EFI/BOOT"


def suffix() -> str:
    """Give what the names of loaders for this machine end in: ``x64`` in ``shimx64.efi``."""
    return _SUFFIXES.get(platform.machine(), "x64")


def runs_here(start: bytes) -> bool:
    """Tell whether a file that begins so is a program (PE) for this machine; 4096 bytes are enough."""
    at = int.from_bytes(start[0x3C:0x40], "little")
    machine = int.from_bytes(start[at + 4 : at + 6], "little")
    return start[:2] == b"MZ" and start[at : at + 4] == b"PE\0\0" and machine == _PE_MACHINES[suffix()]


def fallback_name() -> str:
    """Give the name of the loader that firmware starts from a disk without a boot entry."""
    return f"BOOT{suffix().upper()}.EFI"


def fallback_path() -> str:
    """Give the path of that loader on the EFI system partition."""
    return f"{BOOT_DIRECTORY}/{fallback_name()}"


def csv_names() -> tuple[str, ...]:
    """Give the names of the files that name a vendor's loader, the most exact first."""
    return f"BOOT{suffix().upper()}.CSV", "BOOT.CSV"


def shown(path: str) -> str:
    """Write a path on an EFI system partition as firmware does: ``\\EFI\\BOOT\\BOOTX64.EFI``.

    FAT's names may hold halves of surrogate pairs, which can not be written anywhere else.
    """
    path = path.encode(errors="replace").decode()
    return "\\" + path.replace("/", "\\").strip("\\")
