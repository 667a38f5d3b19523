"""Which package brings a tool, by Debian's names; other distributions call some of them otherwise."""

PACKAGES = {
    "dmsetup": "dmsetup",
    "efibootmgr": "efibootmgr",
    "grub-fstest": "grub-common",
    "losetup": "mount",
    "mdadm": "mdadm",
    "openssl": "openssl",
    "prlimit": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "setpriv": "util-linux",
    "umount": "mount",
}


def package_of(tool: str) -> str:
    """Give the package that brings ``tool``; most are called like it."""
    return PACKAGES.get(tool, tool)
