"""Cells of the boot matrix under UEFI with Secure Boot."""

import pytest
from testbed.server_config import Firmware

from tests.vm.boot_matrix_cells import require_as_expected

pytestmark = pytest.mark.vm


def test_they_boot_or_are_refused_before_writing(capsys: pytest.CaptureFixture[str]) -> None:
    require_as_expected(Firmware.SECURE, capsys)
