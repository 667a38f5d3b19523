"""Runs a command and measures the whole of it: time, CPU seconds, peak memory, bytes written to the disk."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SAMPLE = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run took, all its processes together. Memory and writes are bytes."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    """Resident memory of all processes, and what lies in RAM-backed files (memfd, tmpfs) besides."""
    bytes_written: int
    """As the kernel accounts it: pages made dirty that go to a disk (ru_oublock). Holes cost nothing."""


def measure(argv: Sequence[str], environment: Mapping[str, str]) -> Figures:
    """Run ``argv`` to its end; subprocess.CalledProcessError when it fails."""
    shared_before = _shared_memory()
    peak = 0
    started = time.monotonic()
    process = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        peak = max(peak, _resident(process.pid) + max(0, _shared_memory() - shared_before))
        time.sleep(_SAMPLE)
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(ended[1])
    process.returncode = code
    if code:
        raise subprocess.CalledProcessError(code, argv)
    usage = ended[2]
    return Figures(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory=peak,
        bytes_written=usage.ru_oublock * 512,
    )


def _shared_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:"))


def _resident(pid: int) -> int:
    """Resident memory that is not shared, of a process and all its children."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE + sum(_resident(int(child)) for child in children)
