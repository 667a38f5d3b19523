"""A rescue system that knows nothing of the agent: Debian 12 as a provider starts it, with Python and SSH.

What the agent needs beside Python is not in it and has to be installed: from a repository on this machine, as
virtual servers reach nothing else.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import rescue, site_layer
from .cache import Cache, content_key
from .command import run
from .debian_tree import FILES, TreeRecipe
from .image_recipe import CLOUD_KERNEL
from .keys import testbed_key
from .rescue import RescueSystem

_PACKAGES = (
    *("apt", "busybox-static", "ca-certificates", "dbus", "iproute2", "less", "openssh-server", "procps"),
    *("python3", "systemd", "systemd-resolved", "systemd-sysv", "udev", CLOUD_KERNEL),
)
_STATUS = "status"


@dataclass(frozen=True, kw_only=True)
class StockRescue:
    """The system, and what dpkg knows of the packages in it."""

    system: RescueSystem
    status: Path


def stock_rescue(*, cache: Cache | None = None) -> StockRescue:
    """Build it where it is not in the cache yet."""
    cache = cache or Cache()
    key = testbed_key(cache)
    recipe = TreeRecipe(
        packages=_PACKAGES,
        overlays=(FILES / "rescue",),
        masked_units=rescue.MASKED,
        enabled_units=rescue.ENABLED,
        environment={"INITRD": "No"},
    )
    inputs = (*recipe.inputs(), Path(__file__), *rescue.BUILDERS)
    entry = cache.get_or_build("stock-rescue", content_key(*inputs), partial(_build, recipe=recipe))
    files = rescue.joined(
        cache, "stock-rescue-whole", entry, (site_layer.layer(rescue.testbed_site(key), cache),)
    )
    return StockRescue(system=RescueSystem(files=files, key=key), status=entry / _STATUS)


def _build(target: Path, recipe: TreeRecipe) -> None:
    rescue.build_system(target, recipe, keep=lambda tree: _keep_status(tree, target))


def _keep_status(tree: Path, target: Path) -> None:
    shutil.copyfile(tree / "var/lib/dpkg/status", target / _STATUS)


def repository(rescue: StockRescue, packages: tuple[str, ...], *, cache: Cache | None = None) -> Path:
    """Give a directory with what installing `packages` in that system takes, and the index that apt asks for.

    Which versions that are, this machine's own package lists say.
    """
    key = content_key(rescue.status, *packages, Path(__file__))
    build = partial(_fill_repository, status=rescue.status, packages=packages)
    return (cache or Cache()).get_or_build("stock-rescue-packages", key, build)


def _fill_repository(target: Path, status: Path, packages: tuple[str, ...]) -> None:
    (target / "partial").mkdir()
    settings = {
        "Dir::State::status": status,
        "Dir::Cache::archives": target,
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    run(
        *("apt-get", "--quiet", "--yes", "--download-only", "--no-install-recommends"),
        *(word for name, value in settings.items() for word in ("--option", f"{name}={value}")),
        *("install", *packages),
    )
    entries = [_entry(path) for path in sorted(target.glob("*.deb"))]
    (target / "Packages").write_text("\n".join(entries), encoding="utf-8")


def _entry(path: Path) -> str:
    """One paragraph of the index, see Debian's wiki on the repository format."""
    path = path.rename(path.with_name(f"{path.name.split('_')[0]}.deb"))  # without what a URL would quote
    fields = run("dpkg-deb", "--field", path).decode().rstrip()
    digest = run("sha256sum", path).decode().split()[0]
    return f"{fields}\nFilename: {path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
