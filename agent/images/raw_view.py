"""An image as a raw file, for tools that know no other format: read-only, and nothing is copied.

The image is shown through FUSE by qemu-storage-daemon, which reads it with the same code as qemu-img; no
name from outside, and none from inside an image, is ever looked up. A raw image is shown as well: it lies in
memory without a name, and GRUB's tools open nothing that has none.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.images.image import Image
from agent.images.qemu_img import MEMORY_LIMIT
from agent.images.view import View
from partitioning.byte_access import NotThereYet
from partitioning.command import CommandError, Limits, run, running

TOOL = "qemu-storage-daemon"

_START_SECONDS = 30.0
_LIMITS = Limits(address_space=MEMORY_LIMIT, cpu_seconds=600)


@contextmanager
def raw_view(image: Image) -> Iterator[int]:
    """Give a descriptor on which the image reads as raw; others than root may open it again.

    Raises CommandError where the view can not be made: without FUSE, for one; and NotThereYet.
    """
    view = image.view
    if view is None:
        raise NotThereYet  # other programs can not wait for it
    mount = _place()
    try:
        with running(
            _daemon(view, mount),
            ready=lambda: mount.stat().st_size == image.virtual_size,
            timeout=_START_SECONDS,
            pass_fds=[view.fd] if view.overlay is None else [view.fd, view.overlay],
            limits=_LIMITS,
        ):
            mount.chmod(0o444)
            fd = os.open(mount, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                with contextlib.suppress(OSError):
                    os.close(fd)
    except OSError as error:
        raise CommandError(
            f"{TOOL} does not show the image.",
            detail=f"{error.strerror or type(error).__name__}.",
            hint="Look at the kernel's log (dmesg), and try again.",
        ) from error
    finally:
        _remove(mount)


def _place() -> Path:
    number, name = tempfile.mkstemp(prefix="byoi-view-")
    os.close(number)
    return Path(name)


def _remove(mount: Path) -> None:
    try:
        mount.unlink()
    except OSError:
        # A daemon that had to be killed leaves its mount behind.
        with contextlib.suppress(CommandError, OSError):
            run(["umount", "--lazy", str(mount)], timeout=_START_SECONDS)
            mount.unlink()


def _daemon(view: View, mount: Path) -> list[str]:
    return [
        TOOL,
        *(word for node in _nodes(view) for word in ("--blockdev", json.dumps(node | {"read-only": True}))),
        *("--export", f"type=fuse,id=view,node-name=image,mountpoint={mount},writable=off,{_others()}"),
    ]


def _nodes(view: View) -> Iterator[dict[str, object]]:
    """Yield what the view is made of, from the file upwards."""
    yield _file("file", view.fd, "host_device" if view.is_block_device else "file")
    below = "file"
    if view.window is not None:
        offset, size = view.window
        yield {"node-name": "window", "driver": "raw", "offset": offset, "size": size, "file": "file"}
        below = "window"
    if view.overlay is not None:
        yield _file("overlay", view.overlay, "file")
        yield {"node-name": "image", "driver": "qcow2", "file": "overlay", "backing": below}
        return
    node: dict[str, object] = {"node-name": "image", "driver": view.format, "file": below}
    # Whatever the image says of a file that it builds on: there is none.
    yield node if view.format == "raw" else node | {"backing": None}


def _file(name: str, fd: int, driver: str) -> dict[str, object]:
    return {"node-name": name, "driver": driver, "filename": f"/proc/self/fd/{fd}", "locking": "off"}


def _others() -> str:
    # The tool that looks at it is nobody where this process is root; then the kernel checks the file's mode.
    return "allow-other=on" if os.geteuid() == 0 else "allow-other=off"
