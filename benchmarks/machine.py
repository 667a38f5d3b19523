"""What machine it is, and which of its CPUs take which part."""

import os
import platform
from pathlib import Path

from testbed.command import run


def described() -> str:
    """The machine in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    qemu = run("qemu-img", "--version").decode().split()[2]
    release = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GiB of memory; {release}, qemu-img {qemu}"


def measured_cpus(cores: int) -> list[int]:
    """The CPUs for what is measured."""
    return sorted(os.sched_getaffinity(0))[:cores]


def server_cpus(cores: int) -> list[int]:
    """The CPUs for the server of the images: the others, and where there are none, all."""
    every = sorted(os.sched_getaffinity(0))
    return every[cores:] or every
