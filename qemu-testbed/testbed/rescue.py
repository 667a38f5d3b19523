"""The rescue system: a Debian 12 that lives in memory, as a provider's rescue environment does.

Two parts, cached apart: the base (kernel and system, rebuilt when a package or a file of it changes) and the
agent's layers on top (rebuilt in seconds when its sources change).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import agent_layer
from .cache import Cache, content_key
from .debian_tree import FILES, TreeRecipe, build_tree, compile_python, in_tree, kernel_release
from .image_recipe import CLOUD_KERNEL
from .initramfs import INIT, fill_starter, pack_cpio, pack_layer
from .keys import KeyPair, testbed_key
from .server_config import KernelBoot

_RUNTIME_OF_THE_AGENT = (
    *(
        "ca-certificates",
        "dmsetup",
        "dosfstools",
        "e2fsprogs",
        "efibootmgr",
        "fdisk",
        "gdisk",
        "grub-common",
        "grub-efi-amd64-bin",
        "grub-efi-amd64-signed",
    ),
    *(
        "grub-pc-bin",
        "kmod",
        "libudev1",
        "lvm2",
        "mdadm",
        "mtools",
        "nvme-cli",
        "parted",
        "python3",
        "python3-parted",
    ),
    *("openssl", "qemu-system-common", "qemu-utils", "shim-signed", "udev", "util-linux", "xfsprogs"),
)
_SYSTEM = (
    "busybox-static",
    "dbus",
    "iproute2",
    "less",
    "openssh-server",
    "procps",
    "systemd",
    "systemd-sysv",
)
# What a system that lives for minutes does not need, and what waits for hardware that no virtual server has.
MASKED = (
    *(
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
        "fstrim.timer",
        "getty@tty1.service",
    ),
    *(
        "nvmefc-boot-connections.service",
        "nvmf-autoconnect.service",
        "systemd-pstore.service",
        "uuidd.socket",
    ),
    *(
        "systemd-networkd-wait-online.service",
        "systemd-timesyncd.service",
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
    ),
    *(
        "systemd-update-utmp.service",
        "systemd-binfmt.service",
        "systemd-network-generator.service",
        "dev-hugepages.mount",
        "dev-mqueue.mount",
        "sys-kernel-debug.mount",
        "sys-kernel-tracing.mount",
        "systemd-journal-flush.service",
        "systemd-update-utmp-runlevel.service",
        "systemd-tmpfiles-clean.timer",
    ),
)
COMMAND_LINE = "console=tty0 console=ttyS0,115200 quiet loglevel=4 panic=30 systemd.show_status=false"


@dataclass(frozen=True, kw_only=True)
class RescueSystem:
    """What a server needs to boot into rescue, and the key that opens it."""

    kernel: Path
    initrd: Path
    key: KeyPair

    def boot(self, *extra: str) -> KernelBoot:
        """How QEMU starts it; `extra` is appended to the kernel's command line."""
        return KernelBoot(kernel=self.kernel, initrd=self.initrd, append=" ".join((COMMAND_LINE, *extra)))


def rescue_system(
    checkout: Path, *, cache: Cache | None = None, kernel_package: str = CLOUD_KERNEL
) -> RescueSystem:
    """Build what is not in the cache yet, and return the rescue system with the checkout's agent in it."""
    cache = cache or Cache()
    key = testbed_key(cache)
    base = _base(cache, key, kernel_package)
    layers = agent_layer.layers(checkout, cache)
    whole = cache.get_or_build(
        "rescue",
        content_key(base.name, *(layer.name for layer in layers)),
        lambda target: _join(target, base, layers),
    )
    return RescueSystem(kernel=base / "kernel", initrd=whole / "initrd", key=key)


def base_system(*, cache: Cache | None = None, kernel_package: str = CLOUD_KERNEL) -> RescueSystem:
    """The rescue system without the agent, for work that has nothing to do with it."""
    cache = cache or Cache()
    key = testbed_key(cache)
    base = _base(cache, key, kernel_package)
    return RescueSystem(kernel=base / "kernel", initrd=base / "initrd", key=key)


def _base(cache: Cache, key: KeyPair, kernel_package: str) -> Path:
    recipe = TreeRecipe(
        packages=(*_RUNTIME_OF_THE_AGENT, *_SYSTEM, kernel_package),
        overlays=(FILES / "rescue",),
        masked_units=MASKED,
        enabled_units=("systemd-networkd.service",),
        # The kernel's install hook would build an initramfs, which costs time and is not used.
        environment={"INITRD": "No"},
    )
    inputs = (*recipe.inputs(), key.public, INIT, Path(__file__), Path(fill_starter.__code__.co_filename))
    build = partial(build_base, recipe=recipe, key=key)
    return cache.get_or_build("rescue-base", content_key(*inputs), build)


def build_base(
    target: Path, recipe: TreeRecipe, key: KeyPair, *, keep: Callable[[Path], None] = lambda _: None
) -> None:
    """Fill `target` with a kernel and an initrd that hold the whole system of the recipe.

    `keep` is called with the directory of the system before that is packed and removed.
    """
    tree = target / "tree"
    build_tree(recipe, tree)
    keep(tree)
    _let_in(tree, key)
    compile_python(tree)
    shutil.copy(tree / "boot" / f"vmlinuz-{kernel_release(tree)}", target / "kernel")
    starter = target / "starter"
    fill_starter(tree, starter)
    shutil.rmtree(tree / "boot")
    (starter / "layers").mkdir()
    pack_layer(tree, starter / "layers/10-base.squashfs")
    pack_cpio(starter, target / "initrd")
    shutil.rmtree(starter)
    shutil.rmtree(tree)


def _let_in(tree: Path, key: KeyPair) -> None:
    """Allow the test bed's key for root (whose account must not be locked), and make one host key."""
    directory = tree / "root/.ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / "authorized_keys").write_text(f"{key.public}\n", encoding="utf-8")
    in_tree(tree, "usermod", "--password", "*", "root")
    for path in (tree / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    in_tree(tree, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")


def _join(target: Path, base: Path, layers: tuple[Path, ...]) -> None:
    with (target / "initrd").open("wb") as initrd:
        for part in (base / "initrd", *(layer / "initrd" for layer in layers)):
            with part.open("rb") as archive:
                shutil.copyfileobj(archive, initrd, 1 << 20)
