import time
from pathlib import Path

import pytest

from agent.boot import boot_entry
from agent.boot.boot_draft import Loader
from agent.boot.boot_entry import EntryPlan, NoEntry, make_entry
from partitioning.command import CommandFailed
from partitioning.uefi.boot_entries import BootEntries, BootEntry
from partitioning.uefi.boot_entry_plan import EntryChanges

DISK = Path("/dev/sda")


class Firmware:
    """Boot entries as efibootmgr would keep them."""

    def __init__(self, *entries: BootEntry) -> None:
        self.entries = list(entries)
        self.order = [entry.number for entry in entries]
        self.undeletable: set[str] = set()
        self.forgets = False
        self.keeps_order = False
        self.arguments = ""

    def read(self) -> BootEntries:
        return BootEntries(entries=tuple(self.entries), order=tuple(self.order), current=None)

    def add(self, _disk: Path, _part: int, *, loader: str, label: str, arguments: str = "") -> None:
        self.arguments = arguments
        if not self.forgets:
            self.entries.append(entry("00AA", label, path=loader))
            self.order.insert(0, "00AA")

    def remove(self, number: str) -> None:
        if number in self.undeletable:
            raise CommandFailed("It failed.", detail="No.", hint="h", code=1, stderr="")
        self.entries = [each for each in self.entries if each.number != number]

    def set_order(self, numbers: list[str]) -> None:
        if self.keeps_order:
            raise CommandFailed("It failed.", detail="No.", hint="h", code=1, stderr="")
        self.order = list(numbers)


def entry(number: str, label: str, *, path: str = "") -> BootEntry:
    return BootEntry(number=number, label=label, active=True, path=path, partuuid=None)


OLD, WINDOWS, PXE = entry("0001", "old"), entry("0002", "Windows"), entry("0003", "PXE")


@pytest.fixture
def firmware(monkeypatch: pytest.MonkeyPatch) -> Firmware:
    made = Firmware(PXE, OLD, WINDOWS)
    monkeypatch.setattr(boot_entry, "read_boot_entries", made.read)
    monkeypatch.setattr(boot_entry, "add_boot_entry", made.add)
    monkeypatch.setattr(boot_entry, "remove_boot_entry", made.remove)
    monkeypatch.setattr(boot_entry, "set_boot_order", made.set_order)
    return made


def plan(*removed: BootEntry, ahead: tuple[str, ...] = (), arguments: str = "") -> EntryPlan:
    loader = Loader(partition=15, path="EFI/x.efi", arguments=arguments)
    return EntryPlan(loader=loader, changes=EntryChanges(removed=removed, astray=(), ahead=ahead))


def test_the_old_one_goes_and_the_new_one_is_first(firmware: Firmware) -> None:
    complaints: list[str] = []
    made = make_entry(plan(OLD, arguments="\\EFI\\y.efi"), DISK, warn=complaints.append)
    assert (made.number, complaints) == ("00AA", [])
    assert OLD not in firmware.entries
    assert firmware.order[0] == "00AA"
    assert firmware.arguments == "\\EFI\\y.efi"


def test_what_stays_ahead_stays_ahead(firmware: Firmware) -> None:
    make_entry(plan(ahead=(PXE.number,)), DISK, warn=lambda _: None)
    assert firmware.order[:2] == [PXE.number, "00AA"]


def test_a_number_that_has_come_to_mean_another_entry_is_left_alone(firmware: Firmware) -> None:
    firmware.entries[1] = entry(OLD.number, "Windows Boot Manager")
    make_entry(plan(OLD), DISK, warn=lambda _: None)
    assert "Windows Boot Manager" in [each.label for each in firmware.entries]


def test_one_that_can_not_be_removed_does_not_cost_the_new_one(firmware: Firmware) -> None:
    firmware.undeletable = {OLD.number}
    complaints: list[str] = []
    assert make_entry(plan(OLD), DISK, warn=complaints.append).number == "00AA"
    (complaint,) = complaints
    assert "0001" in complaint


def test_firmware_that_forgets(firmware: Firmware) -> None:
    firmware.forgets = True
    with pytest.raises(NoEntry, match="did not keep it"):
        make_entry(plan(), DISK, warn=lambda _: None)


def test_one_that_can_not_be_removed_is_told_of_even_so(firmware: Firmware) -> None:
    firmware.forgets = True
    firmware.undeletable = {OLD.number}
    complaints: list[str] = []
    with pytest.raises(NoEntry):
        make_entry(plan(OLD), DISK, warn=complaints.append)
    assert len(complaints) == 1


def test_what_leads_to_a_partition_that_is_kept_stays(firmware: Firmware) -> None:
    kept = BootEntry(number="0001", label="old", active=True, path="", partuuid="kept")
    firmware.entries[1] = kept
    make_entry(plan(kept), DISK, warn=lambda _: None, kept={"kept"})
    assert kept in firmware.entries


def test_an_order_that_can_not_be_set_does_not_cost_the_entry(firmware: Firmware) -> None:
    firmware.keeps_order = True
    complaints: list[str] = []
    assert make_entry(plan(ahead=(PXE.number,)), DISK, warn=complaints.append).number == "00AA"
    (complaint,) = complaints
    assert "in front of the network entries" in complaint


def test_firmware_that_takes_too_long_keeps_what_is_left(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((0.0, 1.0, 61.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    complaints: list[str] = []
    make_entry(plan(OLD, WINDOWS), DISK, warn=complaints.append)
    assert OLD not in firmware.entries
    assert WINDOWS in firmware.entries
    assert "takes too long" in complaints[0]
