from pathlib import Path

import pytest

from agent.fetch.errors import TooBigForMemory
from agent.fetch.memory import RESERVE, MemoryBudget, MemoryView

MIB = 1 << 20


class Machine:
    """A made-up /proc and /sys/fs/cgroup."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def available(self, size: int) -> None:
        self.write(
            "proc/meminfo", f"MemTotal: 99999999 kB\nMemAvailable:   {size // 1024} kB\nBuffers: 1 kB\n"
        )

    def group(
        self, path: str, *, most: str = "max", high: str = "max", current: int = 0, cache: int = 0
    ) -> None:
        folder = f"sys/fs/cgroup{path}"
        self.write(f"{folder}/memory.max", f"{most}\n")
        self.write(f"{folder}/memory.high", f"{high}\n")
        self.write(f"{folder}/memory.current", f"{current}\n")
        self.write(f"{folder}/memory.stat", f"anon 5\nfile {cache + 7}\ninactive_file {cache}\n")

    def own_group(self, path: str) -> None:
        self.write("proc/self/cgroup", f"1:name=systemd:/elsewhere\n0::{path}\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def view(self) -> MemoryView:
        return MemoryView(root=self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.available(2000 * MIB)
    return made


def test_memory_that_the_kernel_can_give(machine: Machine) -> None:
    assert machine.view().available() == 2000 * MIB


def test_this_machine_has_some_memory() -> None:
    assert 0 < MemoryView().available() < 1 << 50


@pytest.mark.parametrize("limit", ["most", "high"])
def test_a_control_group_with_less_decides(machine: Machine, limit: str) -> None:
    machine.own_group("/system.slice/agent.service")
    limits = {limit: str(500 * MIB)}
    machine.group("/system.slice/agent.service", current=300 * MIB, cache=100 * MIB, **limits)
    assert machine.view().available() == 300 * MIB


def test_a_control_group_further_up_decides(machine: Machine) -> None:
    machine.own_group("/system.slice/agent.service")
    machine.group("/system.slice", most=str(400 * MIB), current=300 * MIB)
    machine.group("/system.slice/agent.service", most=str(900 * MIB))
    assert machine.view().available() == 100 * MIB


def test_the_top_group_of_a_container_decides(machine: Machine) -> None:
    machine.own_group("/../../elsewhere")
    machine.group("", most=str(50 * MIB))
    assert machine.view().available() == 50 * MIB


def test_a_control_group_with_more_or_no_limit_does_not_matter(machine: Machine) -> None:
    machine.own_group("/a/b")
    machine.group("/a", most=str(9000 * MIB))
    machine.group("/a/b")
    assert machine.view().available() == 2000 * MIB


def test_the_reserve_is_never_given_away(machine: Machine) -> None:
    budget = MemoryBudget(machine.view())
    budget.require(2000 * MIB - RESERVE)
    with pytest.raises(TooBigForMemory) as caught:
        budget.require(2000 * MIB - RESERVE + 1)
    assert caught.value.available == 2000 * MIB - RESERVE
    assert caught.value.needed == 2000 * MIB - RESERVE + 1


def test_less_than_the_reserve_is_no_room(machine: Machine) -> None:
    machine.available(RESERVE - MIB)
    assert MemoryBudget(machine.view()).room() == 0


def test_a_500_mb_image_fits_a_2_gib_server_whose_system_lives_in_ram(machine: Machine) -> None:
    machine.available(2048 * MIB - 900 * MIB)
    MemoryBudget(machine.view()).require(500_000_000)


def test_memory_that_shrinks_meanwhile_is_noticed(machine: Machine) -> None:
    budget = MemoryBudget(machine.view(), reserve=0, recheck=10 * MIB)
    for _ in range(5):
        budget.take(2 * MIB)
    machine.available(5 * MIB)
    budget.take(2 * MIB)
    budget.take(2 * MIB)
    machine.available(0)
    with pytest.raises(TooBigForMemory):
        budget.take(2 * MIB)


def test_memory_is_not_looked_at_for_every_piece(machine: Machine) -> None:
    budget = MemoryBudget(machine.view(), reserve=0, recheck=10 * MIB)
    budget.take(MIB)
    machine.available(0)
    for _ in range(9):
        budget.take(MIB)


def test_an_old_kernel_is_named(machine: Machine) -> None:
    machine.write("proc/meminfo", "MemTotal: 5 kB\n")
    with pytest.raises(ValueError, match="MemAvailable"):
        machine.view().available()
