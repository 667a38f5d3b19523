"""The rescue system: a Debian 12 that lives in memory, as a provider's rescue environment does.

Three parts, cached apart: the base (kernel and system, rebuilt when a package or a file of it changes), the
agent's layers on top (rebuilt in seconds when its sources change), and what one site adds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import agent_layer, site_layer
from .cache import Cache, content_key
from .debian_tree import FILES, TreeRecipe, build_tree, compile_python, in_tree, kernel_release
from .image_recipe import CLOUD_KERNEL
from .initramfs import INIT, fill_starter, pack_cpio, pack_layer
from .iso_loaders import collect_loaders
from .keys import KeyPair, testbed_key
from .server_config import KernelBoot
from .site_layer import Site

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
    "systemd-resolved",
    "systemd-sysv",
)
# Drivers of what no server needs to be deployed; they are half of the kernel.
_UNWANTED_DRIVERS = tuple(
    f"/lib/modules/*/kernel/{path}/*"
    for path in (
        *("drivers/bluetooth", "drivers/isdn", "drivers/media", "drivers/net/wireless", "drivers/staging"),
        *(f"drivers/gpu/drm/{name}" for name in ("amd", "i915", "nouveau", "radeon")),
        *("net/bluetooth", "net/mac80211", "net/wireless", "sound"),
    )
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
ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "rescue-host-key.service")
BUILDERS = (Path(__file__), INIT, Path(fill_starter.__code__.co_filename))
"""What decides what becomes of a recipe, for keys of the cache."""

CONSOLES = "console=tty0 console=ttyS0,115200"
COMMAND_LINE = f"{CONSOLES} quiet loglevel=4 panic=30 systemd.show_status=false"


@dataclass(frozen=True, kw_only=True)
class RescueFiles:
    """What a server is booted with, and what else it takes to put that on a medium."""

    kernel: Path
    initrd: Path
    loaders: Path
    """See iso_loaders.py."""


@dataclass(frozen=True, kw_only=True)
class RescueSystem:
    """What a server needs to boot into rescue, and the key that opens it."""

    files: RescueFiles
    key: KeyPair

    def boot(self, *extra: str) -> KernelBoot:
        """How QEMU starts it; `extra` is appended to the kernel's command line."""
        return KernelBoot(
            kernel=self.files.kernel, initrd=self.files.initrd, append=" ".join((COMMAND_LINE, *extra))
        )


def rescue_system(
    checkout: Path, *, cache: Cache | None = None, kernel_package: str = CLOUD_KERNEL
) -> RescueSystem:
    """Build the test bed's rescue system, with the checkout's agent, where it is not in the cache."""
    cache = cache or Cache()
    key = testbed_key(cache)
    files = rescue_files(checkout, testbed_site(key), cache=cache, kernel_package=kernel_package)
    return RescueSystem(files=files, key=key)


def base_system(*, cache: Cache | None = None, kernel_package: str = CLOUD_KERNEL) -> RescueSystem:
    """The rescue system without the agent, for work that has nothing to do with it."""
    cache = cache or Cache()
    key = testbed_key(cache)
    base = _base(cache, kernel_package, ())
    files = joined(cache, "rescue-plain", base, (site_layer.layer(testbed_site(key), cache),))
    return RescueSystem(files=files, key=key)


def rescue_files(
    checkout: Path,
    site: Site,
    *,
    cache: Cache | None = None,
    kernel_package: str,
    more_packages: tuple[str, ...] = (),
) -> RescueFiles:
    """Build the system with the checkout's agent and what `site` adds, where it is not in the cache."""
    cache = cache or Cache()
    base = _base(cache, kernel_package, more_packages)
    own = () if site.is_empty else (site_layer.layer(site, cache),)
    return joined(cache, f"rescue-{kernel_package}", base, (*agent_layer.layers(checkout, cache), *own))


def testbed_site(key: KeyPair) -> Site:
    """The test bed's own additions: its key, and no password on the serial console."""
    return Site(ssh_keys=(key.public,), overlay=FILES / "testbed-site")


def joined(cache: Cache, name: str, base: Path, layers: tuple[Path, ...]) -> RescueFiles:
    """Put the layers on top of the cache entry of a base, where that is not in the cache."""
    whole = cache.get_or_build(
        name,
        content_key(base.name, *(layer.name for layer in layers)),
        lambda target: _join(target, base, layers),
    )
    return RescueFiles(kernel=base / "kernel", initrd=whole / "initrd", loaders=base / "loaders")


def _base(cache: Cache, kernel_package: str, more_packages: tuple[str, ...]) -> Path:
    recipe = TreeRecipe(
        packages=(*_RUNTIME_OF_THE_AGENT, *_SYSTEM, kernel_package, *more_packages),
        overlays=(FILES / "rescue",),
        masked_units=MASKED,
        enabled_units=ENABLED,
        unwanted_paths=_UNWANTED_DRIVERS,
        # The kernel's install hook would build an initramfs, which costs time and is not used.
        environment={"INITRD": "No"},
    )
    own = (*BUILDERS, Path(collect_loaders.__code__.co_filename))
    return cache.get_or_build(
        "rescue-base", content_key(*recipe.inputs(), *own), partial(_build_base, recipe=recipe)
    )


def _build_base(target: Path, recipe: TreeRecipe) -> None:
    build_system(target, recipe, keep=lambda tree: collect_loaders(tree, target / "loaders"))


def build_system(target: Path, recipe: TreeRecipe, *, keep: Callable[[Path], None]) -> None:
    """Fill `target` with a kernel and an initrd that hold the whole system of the recipe.

    `keep` is called with the directory of the system before that is packed and removed.
    """
    tree = target / "tree"
    build_tree(recipe, tree)
    _prepare(tree)
    keep(tree)
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


def _prepare(tree: Path) -> None:
    """Let keys open root's account, keep no host key, and let name servers come from the network."""
    # An account without a password is locked, for sshd as well; one with an impossible password is not.
    in_tree(tree, "usermod", "--password", "*", "root")
    for path in (tree / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    name_servers = tree / "etc/resolv.conf"
    name_servers.unlink(missing_ok=True)
    name_servers.symlink_to("/run/systemd/resolve/resolv.conf")


def _join(target: Path, base: Path, layers: tuple[Path, ...]) -> None:
    with (target / "initrd").open("wb") as initrd:
        for part in (base / "initrd", *(layer / "initrd" for layer in layers)):
            with part.open("rb") as archive:
                shutil.copyfileobj(archive, initrd, 1 << 20)
