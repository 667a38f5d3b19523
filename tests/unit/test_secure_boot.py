import os
import struct
from pathlib import Path

import pytest

from partitioning.uefi import variables as efi_variables
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState, read_secure_boot
from partitioning.uefi.signature_lists import CERT_SHA256, NOTHING
from partitioning.uefi.variables import VariableUnreadable, read_variable
from tests.efi_programs import sbat_level, signature_list
from tests.ovmf_variables import ovmf_variables

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
ON = {f"SecureBoot-{GLOBAL}": b"\x01", f"SetupMode-{GLOBAL}": b"\x00"}
ONE = b"\x01" * 32


def efivars(root: Path, variables: dict[str, bytes]) -> Path:
    for name, data in variables.items():
        (root / name).write_bytes(struct.pack("<I", 6) + data)
    return root


def test_what_firmware_with_microsofts_keys_says(tmp_path: Path) -> None:
    for name, content in ovmf_variables().items():
        (tmp_path / name.replace("/", "_")).write_bytes(content)
    found = read_secure_boot(efivars(tmp_path, ON))
    assert found.state is SecureBootState.ON
    assert found.db is not None
    assert found.dbx is not None
    assert len(found.db.certificates) >= 2
    # A fresh dbx has the sum of an empty file.
    assert {one.hex()[:16] for one in found.dbx.hashes} >= {"e3b0c44298fc1c14"}
    assert (found.shim_verifies, found.sbat_level) == (True, None)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (b"\x01", SecureBootState.ON),
        (b"\x00", SecureBootState.OFF),
        (b"", SecureBootState.UNKNOWN),
        (b"\x02", SecureBootState.UNKNOWN),
        (b"\x01\x00", SecureBootState.UNKNOWN),
    ],
)
def test_the_state(tmp_path: Path, value: bytes, state: SecureBootState) -> None:
    assert read_secure_boot(efivars(tmp_path, {f"SecureBoot-{GLOBAL}": value})).state is state


def test_firmware_without_the_variable_has_no_secure_boot(tmp_path: Path) -> None:
    assert read_secure_boot(efivars(tmp_path, {f"BootOrder-{GLOBAL}": b"\0\0"})).state is SecureBootState.OFF


def test_nothing_is_known_without_variables(tmp_path: Path) -> None:
    unknown = SecureBoot(state=SecureBootState.UNKNOWN)
    assert read_secure_boot(tmp_path) == unknown
    assert read_secure_boot(tmp_path / "none") == unknown


def test_what_the_shim_shows(tmp_path: Path) -> None:
    variables = {
        f"MokListRT-{SHIM}": signature_list(CERT_SHA256, [ONE]),
        f"MokListXRT-{SHIM}": signature_list(CERT_SHA256, [b"\x02" * 32]),
        f"MokSBStateRT-{SHIM}": b"\x01",
        f"SbatLevelRT-{SHIM}": sbat_level("2024010900", shim=4, grub=3),
    }
    found = read_secure_boot(efivars(tmp_path, ON | variables))
    assert found.mok is not None
    assert found.mok_forbidden is not None
    assert found.mok.hashes == {ONE}
    assert found.mok_forbidden.hashes == {b"\x02" * 32}
    assert found.shim_verifies is False
    assert found.sbat_level is not None
    assert (found.sbat_level.date, dict(found.sbat_level.least)["grub"]) == ("2024010900", 3)


def test_the_owners_lists_are_not_known_where_no_shim_shows_them(tmp_path: Path) -> None:
    found = read_secure_boot(efivars(tmp_path, ON))
    assert (found.mok, found.mok_forbidden) == (None, None)


def test_the_owners_lists_are_not_known_where_they_can_not_be_read(tmp_path: Path) -> None:
    for name in ("MokListRT", "MokListXRT"):
        (tmp_path / f"{name}-{SHIM}").mkdir()
    found = read_secure_boot(efivars(tmp_path, ON))
    assert (found.mok, found.mok_forbidden) == (None, None)


def test_an_owner_may_have_enrolled_nothing(tmp_path: Path) -> None:
    found = read_secure_boot(efivars(tmp_path, ON | {f"MokListRT-{SHIM}": b"", f"MokListXRT-{SHIM}": b""}))
    assert (found.mok, found.mok_forbidden) == (NOTHING, NOTHING)


def test_lists_that_are_missing_are_empty_and_unreadable_ones_are_not_known(tmp_path: Path) -> None:
    (tmp_path / f"dbx-{SECURITY}").mkdir()
    found = read_secure_boot(efivars(tmp_path, ON))
    assert found.db == NOTHING
    assert found.dbx is None


def test_a_variable_that_can_not_be_read_makes_the_state_unknown(tmp_path: Path) -> None:
    (tmp_path / f"SecureBoot-{GLOBAL}").mkdir()
    assert read_secure_boot(tmp_path).state is SecureBootState.UNKNOWN


def test_a_variable_without_attributes_or_beyond_all_size_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / f"x-{GLOBAL}"
    for size in (0, 3, (1 << 20) + 1):
        path.write_bytes(b"")
        os.truncate(path, size)
        with pytest.raises(VariableUnreadable, match="variable x can not be read"):
            read_variable("x", efi_variables.GLOBAL, tmp_path)
    path.write_bytes(b"\x06\0\0\0data")
    assert read_variable("x", efi_variables.GLOBAL, tmp_path) == b"data"
    assert read_variable("y", efi_variables.GLOBAL, tmp_path) is None
