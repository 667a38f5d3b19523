"""The firmware with Secure Boot refuses what the agent refuses; what boots under it is in the boot matrix."""

from pathlib import Path

import pytest
from testbed.image_recipe import UEFI_ONLY
from testbed.sample_image import sample_image
from testbed.server_config import Disk, Firmware, ServerConfig
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

FIRMWARE_SECONDS = 120.0


def test_an_unsigned_loader_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    sample_image(UEFI_ONLY).write_to(path)
    config = ServerConfig(name="unsigned", firmware=Firmware.SECURE, disks=(Disk(path=path),))
    with VirtualServer(config) as server:
        server.wait_for_text("Access Denied", timeout=FIRMWARE_SECONDS)
        refused = next(line for line in server.console.text().splitlines() if "Access Denied" in line)
        assert 'failed to load Boot0001 "UEFI Misc Device"' in refused
        assert "starting Boot0001" not in server.console.text()
