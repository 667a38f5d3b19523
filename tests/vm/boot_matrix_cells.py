"""Cells of the boot matrix: every image, every firmware and every kind of disk at least once.

The whole of it is `make boot-matrix`, which takes two hours. Each firmware has a module of its own, so that
they can run side by side.
"""

from collections.abc import Callable

import pytest
from testbed.boot_matrix import (
    NVME,
    NVME_4KN,
    SATA,
    SCSI,
    SCSI_3_TIB,
    VIRTIO,
    Cell,
    Hardware,
)
from testbed.boot_matrix_run import run_cells
from testbed.image_form import Form
from testbed.image_recipe import (
    GENERIC,
    LEGACY_ONLY,
    LVM_XFS,
    MBR,
    SECTORS_4096,
    UEFI_ONLY,
    ImageRecipe,
)
from testbed.server_config import Firmware

CELLS: dict[Firmware, tuple[tuple[ImageRecipe, Hardware], ...]] = {
    Firmware.LEGACY: (
        (MBR, SCSI_3_TIB),
        (LVM_XFS, NVME),
        (UEFI_ONLY, VIRTIO),
        (SECTORS_4096, VIRTIO),
        (GENERIC, NVME_4KN),
    ),
    Firmware.UEFI: (
        (UEFI_ONLY, SATA),
        (SECTORS_4096, NVME_4KN),
        (SECTORS_4096, SCSI_3_TIB),
        (GENERIC, NVME_4KN),
        (MBR, NVME_4KN),
        (LVM_XFS, VIRTIO),
        (LVM_XFS, NVME_4KN),
    ),
    Firmware.SECURE: ((GENERIC, NVME), (LEGACY_ONLY, SCSI), (UEFI_ONLY, VIRTIO)),
}

# In what form the image is published, and what the agent is told of memory; all others are qcow2 and "auto".
FORMS = {
    (MBR, SCSI_3_TIB): (Form.OVA, "memory"),
    (UEFI_ONLY, SATA): (Form.OVA, "stream"),
    (LVM_XFS, NVME): (Form.RAW_GZIP, "stream"),
    (SECTORS_4096, NVME_4KN): (Form.RAW_ZSTD, "stream"),
    (LEGACY_ONLY, SCSI): (Form.RAW_ZSTD, "memory"),
}


def cells_of(firmware: Firmware) -> list[Cell]:
    return [cell_of(recipe, firmware, disk) for recipe, disk in CELLS[firmware]]


def cell_of(recipe: ImageRecipe, firmware: Firmware, disk: Hardware) -> Cell:
    form, staging = FORMS.get((recipe, disk), (Form.QCOW2, "auto"))
    return Cell(recipe=recipe, firmware=firmware, hardware=disk, form=form, staging=staging)


def require_as_expected(firmware: Firmware, capsys: pytest.CaptureFixture[str]) -> None:
    """Deploy the cells of a firmware; each boots, or is refused before anything is written."""
    cells = cells_of(firmware)
    outcomes = list(run_cells(cells, tell=_aloud(capsys)))
    assert [outcome.refused for outcome in outcomes] == [cell.refusal for cell in cells]


def _aloud(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return tell
