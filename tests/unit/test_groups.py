import random
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from partitioning import group_config
from partitioning.disks import Disk, DiskKind, IgnoredReason
from partitioning.group_config import DiskMatch, GroupConfig, GroupConfigInvalid, PinnedGroup, load
from partitioning.groups import DiskGroup, default_group_id, form_groups

GB = 10**9


def disk(
    name: str,
    location: str,
    *,
    kind: DiskKind = DiskKind.SSD,
    size: int = 480 * GB,
    controller: str = "pci-0000:00:1f.2",
    serial: str | None = None,
    ignored: IgnoredReason | None = None,
) -> Disk:
    return Disk(
        path=Path(f"/dev/{name}"),
        sysname=name,
        devno="8:0",
        diskseq=None,
        size=size,
        sector_size=512,
        physical_sector_size=512,
        kind=kind,
        controller=controller,
        location=location,
        serial=serial,
        model="INTEL SSDSC2BB48",
        wwn=f"0x5000{serial}" if serial else None,
        by_id=(f"/dev/disk/by-id/ata-{serial}",),
        by_path=(f"/dev/disk/by-path/{location}",),
        ignored=ignored,
    )


SSDS = [disk(f"sd{'abc'[n]}", f"pci-0000:00:1f.2-ata-{n + 1}", serial=f"S{n}") for n in range(3)]
HDD = disk("sdd", "pci-0000:00:1f.2-ata-10", kind=DiskKind.HDD, size=4000 * GB, serial="H0")
NVMES = [
    disk(
        f"nvme{n}n1",
        f"pci-0000:0{4 + n}:00.0-nvme-1",
        kind=DiskKind.NVME,
        controller="nvme",
        size=960 * GB,
        serial=f"N{n}",
    )
    for n in range(2)
]
MACHINE = [*SSDS, HDD, *NVMES]


def shape(groups: tuple[DiskGroup, ...]) -> dict[int, list[str]]:
    return {group.id: [str(disk.serial) for disk in group.disks] for group in groups}


def test_groups_share_kind_size_and_controller() -> None:
    assert shape(form_groups(MACHINE)) == {1: ["S0", "S1", "S2"], 2: ["H0"], 3: ["N0", "N1"]}


def test_another_controller_is_another_group() -> None:
    far = disk("sde", "pci-0000:81:00.0-scsi-0:0:0:0", controller="pci-0000:81:00.0", serial="F")
    assert shape(form_groups([*SSDS, far])) == {1: ["S0", "S1", "S2"], 2: ["F"]}


def test_a_few_sectors_more_make_no_other_group() -> None:
    other_maker = replace(SSDS[1], size=480 * GB + 103_936)
    assert len(form_groups([SSDS[0], other_maker])) == 1


def test_kernel_names_and_their_order_change_nothing() -> None:
    expected = shape(form_groups(MACHINE))
    for seed in range(20):
        names = [disk.sysname for disk in MACHINE]
        random.Random(seed).shuffle(names)
        renamed = [
            replace(disk, sysname=name, path=Path(f"/dev/{name}"))
            for disk, name in zip(MACHINE, names, strict=True)
        ]
        random.Random(seed).shuffle(renamed)
        assert shape(form_groups(renamed)) == expected


def test_two_comes_before_ten_and_pci_addresses_are_hexadecimal() -> None:
    places = ["pci-0000:00:1f.2-ata-10", "pci-0000:00:1f.2-ata-2"]
    assert shape(form_groups([disk("a", places[0], serial="10"), disk("b", places[1], serial="2")])) == {
        1: ["2", "10"]
    }
    slots = [
        disk(slot, f"pci-0000:{slot}:00.0-nvme-1", controller="nvme", serial=slot)
        for slot in ("1a", "02", "10", "0b")
    ]
    assert shape(form_groups(slots)) == {1: ["02", "0b", "10", "1a"]}


def test_ignored_disks_are_in_no_group_even_when_pinned() -> None:
    usb = disk("sdz", "usb", serial="U", ignored=IgnoredReason.USB)
    config = GroupConfig(pinned=(PinnedGroup(id=1, matches=(DiskMatch(serial="U"),)),))
    assert shape(form_groups([usb, HDD], config)) == {1: [], 2: ["H0"]}


def test_pinned_disks_leave_their_groups_and_pinned_ids_are_skipped() -> None:
    config = GroupConfig(
        pinned=(PinnedGroup(id=2, matches=(DiskMatch(serial="S2"), DiskMatch(serial="S1"))),)
    )
    groups = form_groups(MACHINE, config)
    assert shape(groups) == {1: ["S0"], 2: ["S2", "S1"], 3: ["H0"], 4: ["N0", "N1"]}
    assert [group.pinned for group in groups] == [False, True, False, False]


def test_a_disk_is_in_the_first_group_it_fits() -> None:
    config = GroupConfig(
        pinned=(
            PinnedGroup(id=5, matches=(DiskMatch(serial="S0"),)),
            PinnedGroup(id=1, matches=(DiskMatch(model="intel_ssd*", size_gb=480),)),
        )
    )
    assert shape(form_groups(SSDS, config)) == {1: ["S1", "S2"], 5: ["S0"]}


@pytest.mark.parametrize(
    "match",
    [
        DiskMatch(path="/dev/sda"),
        DiskMatch(path="/dev/disk/by-id/ata-S0"),
        DiskMatch(by_path="pci-0000:00:1f.2-ata-1"),
        DiskMatch(by_path="/dev/disk/by-path/pci-0000:00:1f.2-ata-1"),
        DiskMatch(wwn="naa.5000S0"),
        DiskMatch(wwn="0x5000s0"),
        DiskMatch(model="INTEL SSDSC2BB4?", serial="S0"),
        DiskMatch(size=480 * GB, serial="S0"),
    ],
)
def test_every_sort_of_match(match: DiskMatch) -> None:
    assert [disk.serial for disk in MACHINE if match.matches(disk)] == ["S0"]


def test_all_given_values_have_to_fit_and_none_given_fits_nothing() -> None:
    assert not DiskMatch(serial="S0", size=1).matches(SSDS[0])
    assert not DiskMatch().matches(SSDS[0])


CONFIG = """
default = 2
[[group]]
id = 2
disks = [{ serial = "S1" }, { model = "INTEL*", size = "480 GB" }, { size = 4000 }, { size = "1.92 TB" }]
"""


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_text(CONFIG)
    config = load(path)
    assert default_group_id(config) == 2
    assert config.pinned == (
        PinnedGroup(
            id=2,
            matches=(
                DiskMatch(serial="S1"),
                DiskMatch(model="INTEL*", size_gb=480),
                DiskMatch(size=4000),
                DiskMatch(size_gb=1920),
            ),
        ),
    )


def test_the_documented_example_can_be_loaded(tmp_path: Path) -> None:
    example = (group_config.__doc__ or "").partition("\n\n")[2].partition("\n    path ")[0]
    path = tmp_path / "groups.toml"
    path.write_text(textwrap.dedent(example))
    assert [group.id for group in load(path).pinned] == [1, 2]


def test_default_without_a_file() -> None:
    assert default_group_id(None) == default_group_id(GroupConfig()) == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("default = 0", "default"),
        ("default = true", "default"),
        ("defualt = 1", "defualt"),
        ("group = 1", "group"),
        ("group = [1]", "group[1]"),
        ("[[group]]\ndisks = [{serial='a'}]", "group[1].id"),
        ("[[group]]\nid = 1", "group[1].disks"),
        ("[[group]]\nid = 1\ndisks = [{}]", "group[1].disks[1]"),
        ("[[group]]\nid = 1\ndisks = [{serial='a'}, {serail='b'}]", "group[1].disks[2].serail"),
        ("[[group]]\nid = 1\ndisks = [{serial=3}]", "group[1].disks[1].serial"),
        ("[[group]]\nid = 1\ndisks = [{size='big'}]", "group[1].disks[1].size"),
        ("[[group]]\nid = 1\ndisks = [{size_gb=3}]", "group[1].disks[1].size_gb"),
        ("[[group]]\nid=1\ndisks=[{size=1}]\n[[group]]\nid=1\ndisks=[{size=2}]", "group[2].id"),
        ("default = ", "TOML"),
    ],
)
def test_an_error_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "groups.toml"
    path.write_text(text)
    with pytest.raises(GroupConfigInvalid) as caught:
        load(path)
    assert named in caught.value.detail
    assert str(path) in caught.value.message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GroupConfigInvalid, match="No such file"):
        load(tmp_path / "none.toml")
