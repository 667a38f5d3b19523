"""Each sample image boots as it was built, from a disk of its own, up to the login prompt.

Where an image does not boot after a deployment, this tells whether the image or the deployment is at fault.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from testbed.image_recipe import (
    GENERIC,
    LEGACY_ONLY,
    LVM_XFS,
    MBR,
    SECTORS_4096,
    UEFI_ONLY,
    VARIANTS,
    ImageRecipe,
)
from testbed.sample_image import sample_image
from testbed.server_config import Bus, Disk, Firmware, ServerConfig
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
# One boot each, under the firmware that asks the most of it.
BOOTS = {
    GENERIC: Firmware.SECURE,
    LEGACY_ONLY: Firmware.LEGACY,
    MBR: Firmware.LEGACY,
    UEFI_ONLY: Firmware.UEFI,
    SECTORS_4096: Firmware.UEFI,
    LVM_XFS: Firmware.LEGACY,
}


def disk_of(recipe: ImageRecipe, path: Path) -> Disk:
    """A disk with the image on it, with the sectors that it was made for."""
    sample_image(recipe).write_to(path)
    if recipe.logical_sector == 512:
        return Disk(path=path)
    return Disk(
        path=path, bus=Bus.NVME, logical_sector=recipe.logical_sector, physical_sector=recipe.logical_sector
    )


def _boot(recipe: ImageRecipe, firmware: Firmware) -> Any:
    # All are booted by make test after a deployment, which tells as much where it succeeds; before one as
    # well only the image that is put together in another way than all others.
    marks = [] if recipe is LVM_XFS else [pytest.mark.long]
    return pytest.param(recipe, firmware, id=f"{recipe.name}-{firmware}", marks=marks)


def test_every_variant_is_booted_here_under_a_firmware_it_is_made_for() -> None:
    assert set(BOOTS) == set(VARIANTS)
    assert all(firmware in recipe.firmwares for recipe, firmware in BOOTS.items())


@pytest.mark.parametrize(("recipe", "firmware"), [_boot(*each) for each in BOOTS.items()])
def test_it_boots_to_the_login_prompt(
    recipe: ImageRecipe, firmware: Firmware, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = disk_of(recipe, tmp_path / "disk")
    start = time.monotonic()
    with VirtualServer(ServerConfig(name=recipe.name, firmware=firmware, disks=(disk,))) as server:
        server.wait_for_text("localhost login:", timeout=BOOT_SECONDS)
    took = time.monotonic() - start
    with capsys.disabled():
        sys.stdout.write(f"\n{recipe.name} under {firmware}: login prompt after {took:.1f} s\n")
    disk.path.unlink()
