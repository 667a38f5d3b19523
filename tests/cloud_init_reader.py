"""Reads a config drive's directory with cloud-init's own code, as the new system will.

cloud-init is not on PyPI, and installing it on the host would make it run at the next boot. So Debian's
package is downloaded and unpacked into a cache folder, and its reader runs in a process of its own, with
the Python packages of the extra ``cloud-init-reader``.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PACKAGE = "cloud-init"
_MODULES = "usr/lib/python3/dist-packages"

# A seed directory is what the data source looks at first; it never gets to the host's own disks.
_READER = """
import base64, json, sys
from cloudinit import helpers
from cloudinit.sources import DataSourceConfigDrive as config_drive

directory, cloud_dir = sys.argv[1:]
results = config_drive.read_config_drive(directory)
source = config_drive.DataSourceConfigDrive({}, None, helpers.Paths({"cloud_dir": cloud_dir}))
taken = source._get_data()
raw = source.get_userdata_raw()
print(json.dumps({
    "version": results["version"],
    "metadata": results["metadata"],
    "vendordata": results.get("vendordata"),
    "networkdata": results.get("networkdata"),
    "userdata": base64.b64encode(raw).decode() if isinstance(raw, bytes) else None,
    "taken": taken,
    "dsmode": source.dsmode,
    "instance_id": source.get_instance_id(),
    "hostname": source.get_hostname(metadata_only=True)[0],
    "ssh_keys": source.get_public_ssh_keys(),
    "network_config": source.network_config,
}))
"""


@dataclass(frozen=True, kw_only=True)
class WhatCloudInitRead:
    """What cloud-init made of a config drive."""

    version: int
    """2 is today's layout, 1 that of before 2012."""
    metadata: dict[str, Any]
    vendordata: Any
    networkdata: Any
    userdata: bytes | None
    taken: bool
    """Whether the data source claims the drive."""
    dsmode: str
    instance_id: str
    hostname: str | None
    ssh_keys: list[str]
    network_config: Any


def read(directory: Path) -> WhatCloudInitRead:
    """Let cloud-init read the files of a config drive that were extracted into ``directory``."""
    modules = _unpacked() / _MODULES
    with tempfile.TemporaryDirectory() as cloud_dir:
        seeds = Path(cloud_dir, "seed")
        seeds.mkdir()
        (seeds / "config_drive").symlink_to(directory.resolve())
        printed = subprocess.run(
            [sys.executable, "-c", _READER, directory, cloud_dir],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(modules)},
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
    found = json.loads(printed.stdout)
    found["userdata"] = None if found["userdata"] is None else base64.b64decode(found["userdata"])
    return WhatCloudInitRead(**found)


def _unpacked() -> Path:
    """Give the folder with cloud-init's files, downloaded once and then kept."""
    place = _cache() / _PACKAGE
    if not place.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            pytest.skip("cloud-init's reader comes from a Debian package, and this is not Debian")
        _fetch(place)
    return place


def _cache() -> Path:
    if own := os.environ.get("BYOI_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "byoi-agent"


def _fetch(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        # root downloads into a folder that apt's own user cannot enter.
        download = ["apt-get", "download", "-o", "APT::Sandbox::User=root", _PACKAGE]
        subprocess.run(download, cwd=folder, check=True, timeout=300)
        (package,) = Path(folder).glob("*.deb")
        files = Path(folder, "files")
        subprocess.run(["dpkg-deb", "-x", package, files], check=True, timeout=120)
        try:
            files.rename(place)
        except OSError:
            # Another test process was faster.
            if not place.exists():
                raise
