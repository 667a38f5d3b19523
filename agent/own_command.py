"""How this program starts another one of itself."""

import sys
from pathlib import Path


def own_command() -> tuple[str, ...]:
    """Give the words that start ``byoi-agent`` as it was started here: as one file, or as a package."""
    started = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    if started.parent.is_file():  # FILE.pyz/__main__.py
        return sys.executable, str(started.parent)
    return sys.executable, "-m", "agent"
