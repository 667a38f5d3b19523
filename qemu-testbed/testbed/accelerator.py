"""Whether guests can run on the processor itself, found out by trying and then remembered.

That /dev/kvm opens proves nothing: there are machines where a guest starts on it and hangs after the
firmware. So a kernel without a root file system is started once; where it gets as far as its panic, KVM
works.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from .cache import Cache, content_key
from .command import tool_environment
from .errors import TestbedError
from .qemu_command import QEMU

KVM = ("-accel", "kvm", "-cpu", "host")
# The plainest processor that Debian runs on: "max" has features that cost more to emulate than they save
# (AVX above all). The rescue system answers after 19 s and not 25, a sum of 128 MB takes 1.6 s and not 5.5,
# and what runs on this one runs on any server. tb-size (MiB; 1024 if not said): what was translated before a
# reset is thrown away one block at a time while the firmware writes over it, which after a whole boot takes
# minutes.
TCG = ("-accel", "tcg,thread=multi,tb-size=128", "-cpu", "qemu64")
_CHOICES = {"kvm": KVM, "tcg": TCG}
_DEVICE = Path("/dev/kvm")
# With KVM the panic comes within two seconds.
_PROBE_SECONDS = 8.0
_PROOF = b"Unable to mount root fs"


def acceleration(probe_kernel: Path | None = None, cache: Cache | None = None) -> tuple[str, ...]:
    """QEMU's arguments for the fastest accelerator that works here; `$BYOI_ACCEL` (kvm, tcg) overrules.

    `probe_kernel` is what to try KVM with. Without one an answer found earlier holds, else TCG.
    """
    if chosen := os.environ.get("BYOI_ACCEL"):
        if chosen not in _CHOICES:
            raise TestbedError(f"BYOI_ACCEL is {chosen}", hint="It can be kvm or tcg.")
        return _CHOICES[chosen]
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return TCG
    return _CHOICES[_remembered(probe_kernel, cache or Cache())]


def _remembered(probe_kernel: Path | None, cache: Cache) -> str:
    memory = cache.root / f"accelerator-{_machine_key()}"
    if memory.exists():
        return memory.read_text(encoding="ascii").strip()
    if probe_kernel is None:
        return "tcg"
    answer = "kvm" if _kvm_boots(probe_kernel) else "tcg"
    unfinished = memory.with_suffix(f".{os.getpid()}")
    unfinished.write_text(f"{answer}\n", encoding="ascii")
    unfinished.rename(memory)
    return answer


def _machine_key() -> str:
    version = subprocess.run(
        [QEMU, "--version"], capture_output=True, check=True, env=tool_environment()
    ).stdout
    cpu = next(
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    )
    return content_key(version, platform.release(), platform.version(), cpu)


def _kvm_boots(kernel: Path) -> bool:
    command = [
        QEMU,
        *KVM,
        *("-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "256"),
        *("-serial", "stdio", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
    ]
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=tool_environment(),
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return _PROOF in finished.stdout
