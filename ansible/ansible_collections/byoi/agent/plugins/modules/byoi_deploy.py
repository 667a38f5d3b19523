#!/usr/bin/python
"""What ansible-doc shows of byoi_deploy; it is carried out by the action plugin of that name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: byoi_deploy
short_description: Puts an operating-system image onto a server in its rescue system
version_added: "0.1.0"
description:
  - Runs C(byoi-agent deploy) in a server's rescue system and watches it to its end. It erases a disk.
  - The deployment goes on when the connection is lost, and when ansible-playbook ends. The connection is
    made anew; the
    task run again with the same request watches the deployment that is running, and starts none beside it.
    With another
    request it fails.
  - A deployment that is done is not repeated by the same request while the rescue system is running, where
    that has a
    checksum. Without one it is repeated, because the image may be another one by now.
  - The server is not rebooted. The role R(byoi.agent.byoi_deploy, byoi.agent.byoi_deploy) does so, ships
    the agent, and
    deploys to no server that is not in rescue mode.
  - The fields have the meaning of the deployment request, C(docs/request.md); the agent checks their
    values, so that its
    messages are the documented ones.
author:
  - byoi-agent maintainers (@byoi-agent)
requirements:
  - Python 3.11 or newer in the rescue system
  - byoi-agent there, installed or as the single file
options:
  url:
    description:
      - Where the image is, C(URL) in the request. V(http), V(https) or V(file).
      - User info and query are secrets, and are repeated nowhere.
    type: str
    required: true
  type:
    description: The image's format, V(qcow2), V(raw) or V(ova).
    type: str
    required: true
  check_sum:
    description: The sum of the file, in hexadecimal digits; C(checkSum) in the request.
    type: str
  check_sum_type:
    description: What kind of sum O(check_sum) is, V(md5), V(sha1), V(sha256) or V(sha512); C(checkSumType)
      in the request.
    type: str
  description:
    description: The image's name, shown in the status.
    type: str
  disk_group_id:
    description: The disk group; absent or V(0) means the default group. C(diskGroupId) in the request.
    type: int
  http_header:
    description: Headers that are sent with the download; C(httpHeader) in the request.
    type: list
    elements: dict
    suboptions:
      key:
        description: The header's name.
        type: str
        required: true
      value:
        description: Its value, a secret.
        type: str
        required: true
  configdrive:
    description: What cloud-init is told. Absent, no ConfigDrive is made.
    type: dict
    suboptions:
      enable:
        description: With V(false) no partition is made.
        type: bool
        default: true
      hostname:
        description: The server's host name.
        type: str
      ssh_key:
        description: One or more OpenSSH public keys, one a line; C(sshKey) in the request.
        type: str
      user_data:
        description:
          - A script or cloud-config, stored byte for byte; C(userData) in the request. A secret.
          - P(ansible.builtin.file#lookup) takes the line end at the end of a file away, unless told
            C(rstrip=false).
        type: str
      user_metadatas:
        description: Becomes C(meta) in the metadata; C(userMetadatas) in the request.
          P(ansible.builtin.dict2items#filter)
          makes it from a dictionary.
        type: list
        elements: dict
        suboptions:
          key:
            description: The entry's name.
            type: str
            required: true
          value:
            description: Its value.
            type: str
            required: true
  options:
    description: What the agent adds of its own. There is no C(reboot), as the server is not rebooted here.
    type: dict
    suboptions:
      boot_type:
        description: How the firmware is to start the disk, V(auto), V(legacy) or V(uefi); C(bootType) in
          the request.
        type: str
      ca_file:
        description: Absolute path, in the rescue system, of certificates that the image's server is
          checked against.
        type: str
      disk:
        description: Absolute path of the target, instead of a group.
        type: str
      efi_bootloader_path:
        description: The loader on the image's EFI system partition that firmware is to start.
        type: str
      erase:
        description: What is erased before, V(quick) or V(full).
        type: str
      fetch_retries:
        description: How often in a row the download is taken up again.
        type: int
      mirrors:
        description: URLs of the same file, tried where the URL fails.
        type: list
        elements: str
      proxy:
        description: Proxy for the download.
        type: str
      rivals:
        description: What on other disks would win over the new system, V(warn) or V(erase).
        type: str
      sector_size:
        description: Logical sector size in bytes, where the disk is a regular file.
        type: int
      service_name:
        description: The server's name in the status.
        type: str
      staging:
        description: Where the image is kept before it is written, V(auto), V(memory) or V(stream).
        type: str
      stall_timeout:
        description: Seconds without data after which a connection is given up.
        type: int
      verify:
        description: Read everything back, and compare.
        type: bool
  agent:
    description: The words that start byoi-agent in the rescue system, as V(python3),
      V(/run/byoi-agent.pyz).
    type: list
    elements: str
    default: [byoi-agent]
  force:
    description: Deploy again what has been deployed already since the rescue system started.
    type: bool
    default: false
  reconnect_timeout:
    description:
      - Seconds that the server may be out of reach while it deploys. After that it counts as unreachable,
        as far as Ansible
        is concerned; the deployment goes on.
      - A server that does not answer at the beginning is given up after 60 seconds.
    type: int
    default: 600
  show_progress:
    description: Show a line at each step, and every ten seconds.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Runs C(byoi-agent plan), which downloads and inspects the image and writes to no disk.
  diff_mode:
    support: none
    description: Shows nothing more.
"""

EXAMPLES = r"""
- name: Deploy Debian
  byoi.agent.byoi_deploy:
    url: https://images.example/debian-12.qcow2
    type: qcow2
    check_sum: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    check_sum_type: sha256
    disk_group_id: 1
    http_header:
      - key: Authorization
        value: "Bearer {{ vault_image_token }}"
    configdrive:
      hostname: "{{ inventory_hostname }}"
      ssh_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
      user_data: "{{ lookup('ansible.builtin.template', 'user-data.yml.j2') }}"
      user_metadatas:
        - key: role
          value: web
    options:
      verify: true
  register: deployment

- name: The same with the single file
  byoi.agent.byoi_deploy:
    agent: [python3, /run/byoi-agent.pyz]
    url: https://images.example/debian-12.raw.xz
    type: raw
"""

RETURN = r"""
msg:
  description: After a failure the agent's message, to the letter; else what was done.
  returned: always
  type: str
  sample: "Bad sha256 for downloaded file, got : 9f86d0… while expecting 60303a…."
message:
  description: The message of the status.
  returned: when a deployment has ended
  type: str
  sample: done
detail:
  description: What went wrong in particular; null after a success.
  returned: when a deployment has ended
  type: str
hint:
  description: What to do about it; null after a success.
  returned: when a deployment has ended
  type: str
exit_code:
  description: That of C(byoi-agent). V(0) done, V(2) the request is wrong, V(3) refused, V(4) not fetched,
    V(5) failed after
    writing began.
  returned: always
  type: int
status:
  description: The whole status, C(docs/status.md), under the names that it has there.
  returned: when a deployment has ended
  type: dict
disk:
  description: The disk, with C(path), C(model), C(serial) and C(size) in bytes; null where none was chosen.
  returned: when a deployment has ended, or a plan was made
  type: dict
disk_touched:
  description: Whether anything on the disk was overwritten.
  returned: when a deployment has ended, or a plan was made
  type: bool
duration:
  description: Seconds that the deployment took.
  returned: when a deployment has ended
  type: float
plan:
  description: What would be done, C(docs/status.md), under the names that it has there.
  returned: in check mode
  type: dict
"""
