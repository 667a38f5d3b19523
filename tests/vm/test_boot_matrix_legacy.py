"""Cells of the boot matrix under legacy firmware."""

import pytest
from testbed.boot_matrix import ALL_HARDWARE
from testbed.image_recipe import VARIANTS
from testbed.server_config import Firmware

from tests.vm.boot_matrix_cells import CELLS, require_as_expected

pytestmark = pytest.mark.vm


def test_every_row_and_column_is_among_the_cells() -> None:
    recipes = {recipe for chosen in CELLS.values() for recipe, _ in chosen}
    hardware = {disk for chosen in CELLS.values() for _, disk in chosen}
    assert (recipes, hardware, set(CELLS)) == (set(VARIANTS), set(ALL_HARDWARE), set(Firmware))


def test_they_boot_or_are_refused_before_writing(capsys: pytest.CaptureFixture[str]) -> None:
    require_as_expected(Firmware.LEGACY, capsys)
