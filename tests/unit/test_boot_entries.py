from pathlib import Path

import pytest

from partitioning.uefi import boot_entries
from partitioning.uefi.boot_entries import BootEntries, BootEntry, parse_boot_entries
from partitioning.uefi.boot_entry_plan import EntryChanges, Partuuids, new_order, plan_changes

GUID = "4cd4f7e9-0000-1111-2222-333344445555"
PRINTED = (
    "BootCurrent: 0001\n"
    "Timeout: 0 seconds\n"
    "BootOrder: 0001,0003,0000\n"
    "Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21)\n"
    "Boot0001* UEFI Misc Device\tPciRoot(0x0)/Pci(0x3,0x0)N.....YM....R,Y.\n"
    f"Boot0003  debian\tHD(15,GPT,{GUID.upper()},0x2000,0x3e000)/File(\\EFI\\x.efi)\n"
    "Boot000A* with: colon * star\tHD(1,MBR,0x1234,0x800,0x100)/File(\\EFI\\x.efi)\n"
    "Boot000B* UEFI PXEv4\tPciRoot(0x0)/Pci(0x2,0x0)/MAC(525400123456,1)/IPv4(0.0.0.0,0,0)N.....YM....R,Y.\n"
    "MirroredPercentageAbove4G: 0.00\n"
)


def test_what_efibootmgr_prints() -> None:
    found = parse_boot_entries(PRINTED)
    assert (found.order, found.current) == (("0001", "0003", "0000"), "0001")
    assert [entry.number for entry in found.entries] == ["0000", "0001", "0003", "000A", "000B"]
    assert found.entries[2] == BootEntry(
        number="0003",
        label="debian",
        active=False,
        path=f"HD(15,GPT,{GUID.upper()},0x2000,0x3e000)/File(\\EFI\\x.efi)",
        partuuid=GUID,
    )
    assert (found.entries[3].label, found.entries[3].partuuid) == ("with: colon * star", "00001234-01")
    assert [entry.is_network for entry in found.entries] == [False, False, False, False, True]


def test_firmware_without_entries() -> None:
    found = parse_boot_entries("BootOrder: \nNo BootOrder is set; firmware will attempt recovery\n")
    assert (found.entries, found.order, found.current) == ((), (), None)


@pytest.mark.parametrize("arguments", ["\\EFI\\Linux\\x.efi", "--delete-bootorder", "-B"])
def test_what_an_image_wants_its_loader_started_with_is_no_option(
    monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(boot_entries, "run", lambda argv, **_more: ran.append(argv))
    boot_entries.add_boot_entry(Path("/dev/sda"), 15, loader="EFI/x.efi", label="x", arguments=arguments)
    assert ran[0][-3:] == ["--unicode", "--", arguments]


def entry(number: str, label: str, partuuid: str | None, path: str = "") -> BootEntry:
    return BootEntry(number=number, label=label, active=True, path=path, partuuid=partuuid)


OURS = entry("0001", "byoi-agent", "old")
OURS_ELSEWHERE = entry("0002", "byoi-agent", "other")
OURS_ON_BOTH = entry("000A", "byoi-agent", "new-and-other")
GONE = entry("0003", "debian", "old")
STALE = entry("0004", "windows", "nowhere")
KEPT = entry("0005", "debian", "other")
SAME = entry("0006", "debian", "new")
SETUP = entry("0007", "UiApp", None)
PXE = entry("0008", "PXE", None, "MAC(525400123456,1)/IPv4(0.0.0.0,0,0)")
HTTP = entry("0009", "HTTP", None, "MAC(525400123456,1)/IPv6()/Uri()")
ALL = (OURS, OURS_ELSEWHERE, OURS_ON_BOTH, GONE, STALE, KEPT, SAME, SETUP, PXE, HTTP)


def planned(*, complete: bool = True, removes_astray: bool = False) -> EntryChanges:
    partuuids = Partuuids(
        new=frozenset({"new", "new-and-other"}),
        elsewhere=frozenset({"other", "new-and-other"}),
        gone=frozenset({"old", "new"}),
        complete=complete,
    )
    have = BootEntries(entries=ALL, order=(), current=None)
    return plan_changes(have, partuuids, own_label="byoi-agent", removes_astray=removes_astray)


def numbers(entries: tuple[BootEntry, ...]) -> set[str]:
    return {each.number for each in entries}


def test_what_leads_to_what_is_overwritten_goes_and_everybody_elses_stays() -> None:
    changes = planned()
    assert numbers(changes.removed) == {OURS.number, OURS_ON_BOTH.number, GONE.number}
    assert numbers(changes.astray) == {STALE.number}


def test_what_leads_nowhere_goes_where_asked_for_and_every_disk_could_be_read() -> None:
    gone = {OURS.number, OURS_ON_BOTH.number, GONE.number, STALE.number}
    assert numbers(planned(removes_astray=True).removed) == gone
    assert planned(removes_astray=True).unseen == (STALE,)
    assert planned(removes_astray=True).astray == ()
    for changes in (planned(removes_astray=True, complete=False), planned(complete=False)):
        assert numbers(changes.removed) == {OURS.number, OURS_ON_BOTH.number, GONE.number}
        assert numbers(changes.astray) == {STALE.number}


@pytest.mark.parametrize(
    ("order", "current", "ahead"),
    [
        (("0008", "0009", "0005"), "0008", ("0008", "0009")),
        (("0008", "0005", "0009"), "0008", ("0008",)),
        (("0005", "0008"), "0008", ()),
        (("0008", "0005"), "0005", ()),
        (("0008", "0005"), None, ()),
        ((), None, ()),
    ],
)
def test_network_entries_stay_first_where_this_system_came_from_one(
    order: tuple[str, ...], current: str | None, ahead: tuple[str, ...]
) -> None:
    have = BootEntries(entries=ALL, order=order, current=current)
    nothing: frozenset[str] = frozenset()
    partuuids = Partuuids(new=nothing, elsewhere=nothing, gone=nothing, complete=False)
    assert plan_changes(have, partuuids, own_label="x", removes_astray=False).ahead == ahead


def test_the_order_afterwards() -> None:
    assert new_order(("000A", "0008", "0005"), new="000A", ahead=()) == ("000A", "0008", "0005")
    assert new_order(("000A", "0008", "0005"), new="000A", ahead=("0008",)) == ("0008", "000A", "0005")
    assert new_order((), new="000A", ahead=("0008",)) == ("000A",)
