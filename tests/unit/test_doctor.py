import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.cli import doctor as shown
from agent.cli.doctor import lines
from agent.doctor import diagnosis, system, tools
from agent.doctor.check import Check, Result
from agent.doctor.diagnosis import conclude
from agent.doctor.disks import check_disks
from agent.doctor.memory import check_memory
from agent.doctor.network import check_network
from agent.doctor.server import Server, look_at_server
from agent.doctor.system import check_system
from agent.doctor.tools import check_tools
from agent.fetch.memory import MemoryView
from agent.firmware import Firmware
from partitioning import package_manager as managers
from partitioning.errors import DiskBusy
from partitioning.group_config import GroupConfig
from partitioning.groups import DiskGroup
from partitioning.package_manager import PackageManager
from partitioning.packages import TOOLS
from partitioning.release import ReleaseAction, ReleasePlan
from partitioning.uefi.secure_boot import SecureBootState
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_cli_disks import BIG, SAME

__all__ = ["command"]

MIB = 1 << 20


def server(firmware: Firmware = Firmware.LEGACY, **more: object) -> Server:
    facts: dict[str, object] = {
        "is_root": True,
        "firmware": firmware,
        "secure_boot": SecureBootState.OFF if firmware is Firmware.UEFI else None,
    }
    return Server(**(facts | more))  # type: ignore[arg-type]


UEFI = server(Firmware.UEFI)
FREE = ReleasePlan(disk=BIG, actions=())


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Debian on which root works."""
    for module in (tools, diagnosis, managers):
        monkeypatch.setattr(module, "package_manager", lambda: PackageManager.APT)
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without a single program, and without loaders."""
    monkeypatch.setattr(tools, "available", lambda tool: False)
    monkeypatch.setattr(tools, "missing_loader_packages", lambda: {"shim-signed", "grub-efi-amd64-signed"})


def results(found: Server) -> dict[str, Result]:
    return {check.name: check.result for check in check_tools(found)}


@pytest.mark.usefixtures("bare", "debian")
def test_what_is_needed_on_a_legacy_server() -> None:
    found = results(server())
    assert {name for name, result in found.items() if result is Result.MISSING} == {"qemu-img", "prlimit"}
    assert {name for name, result in found.items() if result is Result.WARNING} == {"reboot"}
    line = "apt-get update && apt-get install -y --no-install-recommends qemu-utils util-linux"
    assert conclude(list(check_tools(server()))).install == line


@pytest.mark.usefixtures("bare", "debian")
def test_what_is_needed_on_a_server_with_uefi() -> None:
    found = results(UEFI)
    assert {name for name, result in found.items() if result is Result.MISSING} == {"qemu-img", "prlimit"}
    warned = {"efibootmgr", "grub-fstest", "qemu-storage-daemon", "setpriv", "umount", "signed loaders"}
    assert {name for name, result in found.items() if result is Result.WARNING} == warned | {"reboot"}
    install = conclude(list(check_tools(UEFI))).install or ""
    assert install.split()[7:] == [
        *("efibootmgr", "grub-common", "grub-efi-amd64-signed", "mount"),
        *("qemu-system-common", "qemu-utils", "shim-signed", "util-linux"),
    ]


@pytest.mark.usefixtures("bare", "debian")
@pytest.mark.parametrize("state", [SecureBootState.ON, SecureBootState.UNKNOWN])
def test_signatures_count_under_secure_boot(state: SecureBootState) -> None:
    assert results(server(Firmware.UEFI, secure_boot=state))["openssl"] is Result.WARNING
    assert results(UEFI)["openssl"] is Result.OK


@pytest.mark.usefixtures("bare", "debian")
def test_what_stops_old_volumes_is_needed_where_there_are_some() -> None:
    stop = ReleaseAction(line="stop LVM vg0-root on sda", argv=("dmsetup", "remove", "vg0-root"))
    held = server(releases={1: ReleasePlan(disk=BIG, actions=(stop,))})
    assert results(held)["dmsetup"] is Result.MISSING
    assert results(server(releases={1: FREE}))["dmsetup"] is Result.OK


@pytest.mark.usefixtures("bare")
def test_a_distribution_that_lacks_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tools, diagnosis):
        monkeypatch.setattr(module, "package_manager", lambda: PackageManager.DNF)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    checks = list(check_tools(UEFI))
    to_do = {each.name: each.to_do for each in checks}
    assert to_do["grub-fstest"].startswith("This distribution has no package with it.")
    assert conclude(checks).install == "dnf install -y efibootmgr qemu-img util-linux"


@pytest.mark.usefixtures("bare")
def test_an_unknown_distribution_gets_debians_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tools, diagnosis):
        monkeypatch.setattr(module, "package_manager", lambda: None)
    found = conclude(list(check_tools(server())))
    assert found.install is None
    assert list(lines(found))[-1] == "Install what Debian calls: qemu-utils util-linux"


def test_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "available", lambda tool: True)
    monkeypatch.setattr(tools, "missing_loader_packages", set)
    assert set(results(UEFI).values()) == {Result.OK}
    assert conclude(list(check_tools(UEFI))).install is None
    # Each program has its line; those that reboot have one together.
    assert len(results(UEFI)) == len(TOOLS) - 3 + 2


GROUP = DiskGroup(id=1, disks=(BIG, SAME))


def only(checks: Iterable[Check]) -> Check:
    (check,) = checks
    return check


def test_the_disk_that_the_image_goes_to() -> None:
    check = only(check_disks(server(groups=(GROUP,), releases={1: FREE})))
    said = "default; /dev/sda: 1 TB HDD, Fast, serial S1 (and 1 more)"
    assert (check.name, check.result, check.found) == ("disk group 1", Result.OK, said)


def test_a_disk_that_can_not_be_freed() -> None:
    busy = DiskBusy("The disk is in use.", detail="sda1: mounted at /mnt.", hint="Unmount it.")
    check = only(check_disks(server(groups=(GROUP,), releases={1: busy})))
    assert check.result is Result.MISSING
    assert check.found.endswith(". The disk is in use. sda1: mounted at /mnt")
    assert check.to_do == "Unmount it."
    other = server(groups=(GROUP,), releases={1: busy}, default_group=2)
    assert [check.result for check in check_disks(other)] == [Result.MISSING, Result.WARNING]


def test_old_volumes_on_a_disk_are_named() -> None:
    stop = ReleaseAction(line="stop md127 (raid1, active) on sda1", argv=("mdadm", "--stop"))
    plan = ReleasePlan(disk=BIG, actions=(stop,))
    check = only(check_disks(server(groups=(GROUP,), releases={1: plan})))
    assert check.result is Result.OK
    assert check.found.endswith("; deploy will stop md127 (raid1, active) on sda1")


@pytest.mark.parametrize(("is_root", "result"), [(True, Result.MISSING), (False, Result.WARNING)])
def test_no_disks(is_root: bool, result: Result) -> None:
    assert only(check_disks(server(is_root=is_root))).result is result
    unknown = only(check_disks(server(is_root=is_root, no_disks_known="No libudev library found")))
    assert (unknown.result, "libudev1" in unknown.to_do) == (result, True)


def test_a_pinned_group_without_disks() -> None:
    check = only(check_disks(server(groups=(DiskGroup(id=1, disks=(), pinned=True),))))
    assert check.result is Result.MISSING


def test_disks_that_can_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library() -> None:
        raise ImportError("No udev library found")

    monkeypatch.setattr("agent.doctor.server.read_inventory", no_library)
    assert look_at_server(GroupConfig()).no_disks_known == "No udev library found"


@pytest.mark.parametrize(
    ("available", "result", "said"),
    [
        (3 << 30, Result.OK, "files of up to 2.7 GiB are checked as a whole"),
        (200 * MIB, Result.OK, "written while they come"),
        (100 * MIB, Result.MISSING, "144.0 MiB are needed, 100.0 MiB can be used"),
    ],
)
def test_memory(available: int, result: Result, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryView, "available", lambda _: available)
    check = only(check_memory())
    assert (check.result, said in check.found) == (result, True), check.found


ROUTE = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
LOCAL = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
DEFAULT = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
NONE = "0" * 32
UNREACHABLE = f"{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo\n"
DEFAULT_6 = f"{NONE} 00 {NONE} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003     eth1\n"


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "resolv", "expected"),
    [
        (ROUTE + LOCAL + DEFAULT, "", "nameserver 192.0.2.1\n", ["default route over eth0", "192.0.2.1"]),
        (ROUTE, UNREACHABLE + DEFAULT_6, "# none\n", ["default route over eth1", None]),
        (ROUTE + LOCAL, UNREACHABLE, "", [None, None]),
        (None, None, None, [None, None]),
    ],
)
def test_the_network(
    tmp_path: Path, ipv4: str | None, ipv6: str | None, resolv: str | None, expected: list[str | None]
) -> None:
    for name, text in (("proc/net/route", ipv4), ("proc/net/ipv6_route", ipv6), ("etc/resolv.conf", resolv)):
        if text is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    checks = list(check_network(tmp_path))
    assert [check.found if check.result is Result.OK else None for check in checks] == expected


def test_a_clock_that_was_never_set() -> None:
    assert system._check_clock(datetime(1970, 1, 1, tzinfo=UTC)).result is Result.WARNING
    assert system._check_clock(datetime.now(UTC)).result is Result.OK


def test_the_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "new" / "run"
    monkeypatch.setenv("BYOI_AGENT_RUN_DIR", str(named))
    checks = {check.name: check for check in check_system(server())}
    assert (checks["run directory"].result, checks["run directory"].found) == (Result.OK, str(named))
    assert not named.parent.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("BYOI_AGENT_RUN_DIR", str(tmp_path / "file"))
    checks = {check.name: check for check in check_system(server(is_root=False))}
    assert checks["run directory"].result is Result.MISSING
    assert checks["rights"].result is Result.WARNING


def test_without_udev_and_fuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_UDEV_DATABASE", tmp_path)
    monkeypatch.setattr(system, "_FUSE", tmp_path / "fuse")
    checks = {check.name: check.result for check in check_system(UEFI)}
    assert checks["udev"] is checks["FUSE"] is Result.WARNING
    (tmp_path / "b8:0").touch()
    monkeypatch.setattr(system, "_FUSE", Path("/dev/null"))
    checks = {check.name: check.result for check in check_system(UEFI)}
    assert checks["udev"] is checks["FUSE"] is Result.OK
    assert "FUSE" not in [check.name for check in check_system(server())]


CHECKS = (
    Check(name="rights", result=Result.OK, found="root"),
    Check(name="network", result=Result.WARNING, found="no route " * 12, to_do="ip route add " * 8),
    Check(name="qemu-img", result=Result.MISSING, found="not installed: checks qcow2", tools=("qemu-img",)),
)


@pytest.mark.usefixtures("debian")
def test_for_people() -> None:
    said = list(lines(conclude(CHECKS)))
    assert said[0].startswith("byoi-agent ")
    assert "  ok       rights    root" in said
    assert "  missing  qemu-img  not installed: checks qcow2" in said
    assert "Not ready. What is missing: qemu-img. There are warnings: network." in said
    # Pasted as it is; so it is one line, however long.
    assert said[-1] == "apt-get update && apt-get install -y --no-install-recommends qemu-utils"
    assert max(map(len, said)) <= 80
    assert not any("\33" in line for line in said)


@pytest.mark.usefixtures("debian")
def test_for_people_when_all_is_well() -> None:
    said = list(lines(conclude(CHECKS[:1])))
    assert said[-1] == "Ready: a deployment can be carried out here."


@pytest.mark.usefixtures("debian")
@pytest.mark.parametrize(("count", "code"), [(2, 0), (3, 3)])
def test_for_programs(command: CommandLine, monkeypatch: pytest.MonkeyPatch, count: int, code: int) -> None:
    monkeypatch.setattr(shown, "diagnose", lambda config: conclude(CHECKS[:count]))
    said = command("doctor", "--json")
    found = json.loads(said.out)
    assert (said.code, said.err, said.out.count("\n")) == (code, "", 1)
    assert found["ready"] is (code == 0)
    assert found["checks"][0] == {"name": "rights", "result": "ok", "found": "root", "whatToDo": None}
    assert (found["installCommand"] is None) == (code == 0)


def test_on_this_machine(command: CommandLine) -> None:
    said = command("doctor")
    assert (said.code in (0, 3), said.err) == (True, "")
    assert "Python" in said.out
    assert [*command.where.path.iterdir()] == []
