"""The refusal of an image that is in a file of this server, and that file is the target.

Written while it is read, such an image would end as a mix of itself; and its only copy would be gone.
An image on a file system of the target needs no refusal of its own: a disk that is mounted is refused.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from agent.errors import Refused
from agent.fetch.local_file import path_of
from agent.fetch.redaction import public_url
from agent.request.model import Request
from partitioning.disks import Disk, FileId
from partitioning.sysfs import BlockNode, node_at

# struct loop_info64 (linux/loop.h) begins with device and inode of the file, and the number of a device.
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_INFO_BYTES = 232
_LOOP_INFO = struct.Struct("=QQQ")


def refuse_image_on(disk: Disk, request: Request) -> None:
    """Raise Refused when a place that the request names for the image is on ``disk``."""
    urls = [url for url in (request.url, *request.options.mirrors) if url.startswith("file:")]
    if not urls:
        return
    own = _what_it_is(disk)
    for url in urls:
        what = own.get(_identity(path_of(url)))
        if what is not None:
            raise Refused(
                f"The image is on the disk {disk.path}, to which it would be written.",
                detail=f"{public_url(url)} is {what}. Nothing was written to it.",
                hint="Choose another disk, or copy the image to another medium and name that (URL, mirrors).",
            )


def _identity(path: bytes) -> FileId | str | None:
    """Give the number of a device ("major:minor"), or what makes a file that file."""
    try:
        facts = Path(os.fsdecode(path)).stat()
    except OSError:
        # What can not be found is for the download to tell of.
        return None
    if stat.S_ISBLK(facts.st_mode):
        return _devno(facts.st_rdev)
    return FileId(device=facts.st_dev, inode=facts.st_ino)


def _what_it_is(disk: Disk) -> dict[FileId | str | None, str]:
    """Give in words what each file and device is that the bytes of ``disk`` are stored in."""
    own: dict[FileId | str | None, str] = {}
    if disk.file_id is not None:
        own[disk.file_id] = "this very file"
    node = node_at(disk.devno) if disk.devno else None
    for device in _all_under(node) if node else ():
        own[device.devno] = "this disk" if device == node else f"{device.device_name}, on which it stands"
        file = _file_behind(device)
        if file is not None:
            own[file[0]] = f"the file of the loop device {device.device_name}"
    return own


def _all_under(start: BlockNode) -> Iterator[BlockNode]:
    """Yield ``start`` and all whole devices that it stands on."""
    todo, seen = [start], set[BlockNode]()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        todo += [below.whole for below in node.neighbours("slaves")]
        file = _file_behind(node)
        below = node_at(file[1]) if file else None
        todo += [below.whole] if below else []


def _file_behind(node: BlockNode) -> tuple[FileId, str] | None:
    """Give the file of a loop device, and its number if it is a device; None for any other device.

    The path in sysfs is not enough: it may be one of another mount namespace, or an old one.
    """
    if not (node.directory / "loop").is_dir():
        return None
    try:
        fd = os.open(node.device_name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(fd, _LOOP_GET_STATUS64, bytes(_LOOP_INFO_BYTES))
        finally:
            os.close(fd)
    except OSError:
        # Who may not open it does not write to it either.
        return None
    device, inode, number = _LOOP_INFO.unpack_from(answer)
    return FileId(device=device, inode=inode), _devno(number)


def _devno(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"
