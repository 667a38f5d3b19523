"""The filter that reads which system answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.byoi.agent.plugins.plugin_utils.system import QUESTION, read

DOCUMENTATION = r"""
---
name: rescue
short_description: Tells whether a server is in its rescue system
version_added: "0.1.0"
description:
  - Reads what C(cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/hostname /proc/mounts) wrote on the
    server.
  - A server is in its rescue system where the root file system is in memory, on a medium or on the
    network, and no
    file system on a disk is mounted beside it, but below C(/mnt).
author:
  - byoi-agent maintainers (@byoi-agent)
options:
  _input:
    description: What the command wrote.
    type: str
    required: true
"""

EXAMPLES = r"""
- ansible.builtin.raw: cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/hostname /proc/mounts
  register: answer
- ansible.builtin.debug:
    msg: "{{ (answer.stdout | byoi.agent.rescue).reason }}"
"""

RETURN = r"""
_value:
  description: V(rescue), whether it is; V(reason), what tells; V(boot_id) and V(hostname) of the system.
  type: dict
"""


def rescue(answer: str) -> dict[str, Any]:
    """Judge by the answer to the question."""
    system = read(answer)
    if system is None:
        reason = f"it does not answer to: {QUESTION}"
        return {"rescue": False, "reason": reason, "boot_id": "", "hostname": ""}
    return {
        "rescue": system.verdict.rescue,
        "reason": system.verdict.reason,
        "boot_id": system.boot_id,
        "hostname": system.hostname,
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[[str], dict[str, Any]]]:
        """Give the filters by name."""
        return {"rescue": rescue}
