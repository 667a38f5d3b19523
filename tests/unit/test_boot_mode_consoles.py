import os
import pty
from contextlib import ExitStack
from pathlib import Path

from agent.boot_mode.consoles import open_consoles
from agent.reporting import events
from agent.reporting.plain import PlainLines
from tests.unit.test_reporting_common import status


def test_each_console_that_is_there_gets_the_lines(tmp_path: Path) -> None:
    screen, screen_name = terminal()
    serial, serial_name = terminal()
    devices = tmp_path / "dev"
    devices.mkdir()
    (devices / "tty0").symlink_to(screen_name)
    (devices / "ttyS0").symlink_to(serial_name)
    active = tmp_path / "active"
    active.write_text("tty0 ttyS7 ttyS0\n")
    with ExitStack() as stack:
        consoles = open_consoles(stack, active, devices)
        assert len(consoles) == 2
        for console in consoles:
            PlainLines(console).handle(events.Note("It goes on."), status())
        assert os.read(screen, 100) == os.read(serial, 100) == b"  It goes on.\r\n"


def test_a_system_without_consoles_has_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        assert open_consoles(stack, tmp_path / "active", tmp_path) == []


def terminal() -> tuple[int, str]:
    ours, theirs = pty.openpty()
    return ours, os.ttyname(theirs)
