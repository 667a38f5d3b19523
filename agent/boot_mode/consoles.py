"""Every console of this system, the screen and the serial line alike."""

import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)

_ACTIVE = Path("/sys/class/tty/console/active")


def open_consoles(stack: ExitStack, active: Path = _ACTIVE, devices: Path = Path("/dev")) -> list[TextIO]:
    """Open, until ``stack`` closes them, all that the kernel writes to: /dev/console is only the last one.

    What is named on the kernel's command line need not be there; that one is left out.
    """
    opened: list[TextIO] = []
    try:
        names = active.read_text().split()
    except OSError:
        names = []
    for name in names:
        try:
            # A console does not become this process's terminal, whose end would be a signal.
            fd = os.open(devices / name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.info("no console at %s: %s", name, error.strerror)
        else:
            stream = os.fdopen(fd, "w", encoding="utf-8", errors="replace")
            opened.append(stack.enter_context(stream))
    return opened
