"""The configuration of an added GRUB: it finds the image's file system and hands over to its own menu.

It names no disk and no partition: a file system's UUID stays the same wherever the firmware sees the disk.
The image's own grub.cfg is read at each boot, so what the system writes there after an update counts.
"""

import re

from agent.images.grub_look import GrubMenu

_UUID = re.compile(r"[0-9A-Fa-f-]{4,40}")
_TEMPLATE = """\
# Written by byoi-agent. It hands over to the menu of the image's own GRUB.
search --no-floppy --fs-uuid --set=root {uuid}
set prefix=($root){directory}
# Menus made for legacy boot call the kernel in another way; under UEFI both mean the same.
function linux16 {{
  linux "$@"
}}
function initrd16 {{
  initrd "$@"
}}
if [ -f $prefix/grub.cfg ]; then
  configfile $prefix/grub.cfg
else
  echo "The file system {uuid} with {directory}/grub.cfg was not found."
  echo "Installed systems are looked for on all disks by its UUID."
  sleep 30
fi
"""


def hand_over_config(menu: GrubMenu) -> bytes:
    """Give the text of the grub.cfg that leads to ``menu``, whose file system has to have a UUID."""
    uuid = menu.file_system.uuid
    if uuid is None or not _UUID.fullmatch(uuid):
        raise ValueError("a file system without a UUID can not be found at boot")
    return _TEMPLATE.format(uuid=uuid, directory=menu.directory).encode("ascii")
