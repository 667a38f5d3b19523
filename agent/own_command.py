"""How this program starts another one of itself."""

import os
import sys
from pathlib import Path

LAUNCHER = "byoi-agent"
"""The name of the program where it is installed."""


def own_command() -> tuple[str, ...]:
    """Give the words that start ``byoi-agent`` the way it was started here."""
    started = Path(getattr(sys.modules["__main__"], "__file__", None) or "").absolute()
    if started.parent.is_file():  # FILE.pyz/__main__.py
        return sys.executable, str(started.parent)
    if started.name == LAUNCHER and os.access(started, os.X_OK):
        return (str(started),)  # only it knows where the packages are
    return sys.executable, "-m", "agent"
