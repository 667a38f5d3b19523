"""What becomes of a deployment whose boot entry can not be made."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.boot.boot_draft import Loader
from agent.boot.boot_entry import NoEntry
from agent.deployment import firmware_entry
from agent.deployment.firmware_entry import enter_into_firmware
from agent.errors import NoEntryMade
from partitioning.command import CommandFailed


class Surroundings:
    """A context that only notes what is said."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.reporter = SimpleNamespace(warn=self.warnings.append, note=lambda _: None)

    def step(self, _step: object) -> nullcontext[None]:
        return nullcontext()


def plan(*, entry_only: str = "") -> Any:
    loader = Loader(partition=15, path="EFI/debian/shimx64.efi")
    return SimpleNamespace(
        entry=object(),
        target=SimpleNamespace(disk=SimpleNamespace(path=Path("/dev/sda"))),
        boot=SimpleNamespace(entry_only=entry_only, loader=loader),
    )


@pytest.fixture(
    params=[
        NoEntry("the firmware did not keep it"),
        CommandFailed("efibootmgr failed.", detail="No space left on device.", hint="h", code=1, stderr=""),
        ValueError("a secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Exception:
    def fail(*_words: object, **_more: object) -> None:
        raise request.param

    monkeypatch.setattr(firmware_entry, "make_entry", fail)
    return cast("Exception", request.param)


def test_a_disk_that_starts_by_itself_is_done_with_a_warning(failing: Exception) -> None:
    context = Surroundings()
    enter_into_firmware(cast("Any", context), plan(), frozenset())
    (warning,) = context.warnings
    assert warning.startswith("No boot entry can be made: ")
    assert "\\EFI\\BOOT\\BOOTX64.EFI" in warning
    assert "a secret" not in warning
    assert failing


def test_one_that_needs_its_entry_has_failed_and_says_how_to_make_it(failing: Exception) -> None:
    with pytest.raises(NoEntryMade) as caught:
        enter_into_firmware(cast("Any", Surroundings()), plan(entry_only="It is full."), frozenset())
    error = caught.value
    assert error.message == "The system on /dev/sda is complete, but the server's firmware will not find it."
    assert error.detail.endswith("It is full.")
    assert "--disk /dev/sda --part 15 --loader '\\EFI\\debian\\shimx64.efi'" in error.hint
    assert "a secret" not in error.detail
    assert failing
