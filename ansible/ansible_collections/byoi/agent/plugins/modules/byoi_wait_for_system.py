#!/usr/bin/python
"""What ansible-doc shows of byoi_wait_for_system; it is carried out by the action plugin of that name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: byoi_wait_for_system
short_description: Waits for the reboot of a server into its new system
version_added: "0.1.0"
description:
  - Waits until the server has left a system, or until another one answers over SSH that is no rescue system.
  - Asks with C(cat), so the new system needs neither Python nor any rights for the user who logs in.
  - Host keys are checked as SSH is told to. A key that is not the known one ends the waiting at once.
author:
  - byoi-agent maintainers (@byoi-agent)
options:
  state:
    description: V(stopped) until the system with O(boot_id) is gone, V(started) until another one answers.
    type: str
    choices: [stopped, started]
    required: true
  boot_id:
    description: What C(/proc/sys/kernel/random/boot_id) was before.
    type: str
    required: true
  hostname:
    description: The host name that the new system has to have. Only its first label is as good.
    type: str
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: In check mode it is skipped.
"""

EXAMPLES = r"""
- name: Wait for the end of the rescue system
  byoi.agent.byoi_wait_for_system:
    state: stopped
    boot_id: "{{ rescue.boot_id }}"

- name: Wait for the new system
  byoi.agent.byoi_wait_for_system:
    state: started
    boot_id: "{{ rescue.boot_id }}"
    hostname: web1
  vars:
    ansible_user: debian
"""

RETURN = r"""
seconds:
  description: How long it took.
  returned: success
  type: int
boot_id:
  description: That of the new system.
  returned: success, for V(started)
  type: str
hostname:
  description: That of the new system.
  returned: success, for V(started)
  type: str
msg:
  description: What went wrong.
  returned: failure
  type: str
detail:
  description: More on that.
  returned: failure
  type: str
hint:
  description: What to do.
  returned: failure
  type: str
"""
