"""Which system answers on a server, asked in a way that takes neither Python nor rights."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.byoi.agent.plugins.plugin_utils.mounts import Verdict, judge

QUESTION = "cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/hostname /proc/mounts"


@dataclass(frozen=True)
class System:
    """The system that answered: its boot (random(4)), its host name, whether it is a rescue system."""

    boot_id: str
    hostname: str
    verdict: Verdict


def read(answer: str) -> System | None:
    """Read the answer to the question; None where it is none."""
    boot_id, _, rest = answer.strip().partition("\n")
    hostname, _, mounts = rest.partition("\n")
    if len(boot_id.strip()) != 36 or not mounts:
        return None
    return System(boot_id=boot_id.strip(), hostname=hostname.strip(), verdict=judge(mounts))


def is_called(system: System, hostname: str) -> bool:
    """Tell whether the system has this host name; some have only its first label."""
    return system.hostname.lower() in (hostname.lower(), hostname.lower().partition(".")[0])
