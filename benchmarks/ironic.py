"""ironic-python-agent in a virtual environment of its own, at the versions of ironic-requirements.txt."""

import sys
from pathlib import Path

from testbed.cache import Cache, content_key
from testbed.command import run

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "ironic-requirements.txt"
_RUNNER = _HERE / "ironic_runner.py"
_INSTALLING = 1800.0


def ironic_python() -> Path:
    """The interpreter that has ironic-python-agent; installed on first use."""
    entry = Cache().get_or_build("ironic", content_key(sys.version, _REQUIREMENTS), _install)
    return entry / "venv/bin/python"


def ironic_command(python: Path, *, url: str, sha256: str, disk: Path) -> list[str]:
    """The command that deploys the qcow2 image at ``url`` to ``disk``."""
    # In a process namespace of its own: the agent takes a disk for busy when fuser says anything at all, and
    # it does of processes that it may not look at. A server that is being installed has none of those.
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    return [*alone, str(python), str(_RUNNER), url, sha256, str(disk)]


def _install(target: Path) -> None:
    # Scripts name the folder in which they were made, so none is used: modules and the interpreter are.
    run(sys.executable, "-m", "venv", target / "venv")
    python = target / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--requirement", _REQUIREMENTS, timeout=_INSTALLING)
