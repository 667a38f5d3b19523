"""``byoi-agent boot``: takes the request from the provisioning system that has booted this server."""

import os
import sys
from pathlib import Path

from agent.boot_mode.boot import Surroundings
from agent.boot_mode.boot import boot as boot_mode
from agent.cli.listeners import listener_for_people
from agent.deployment.target import DEFAULT_CONFIG, read_group_config
from agent.errors import Refused
from agent.run_directory import run_directory

KERNELS_OWN = Path("/proc/cmdline")


def boot(*, config: Path | None, command_line: Path) -> int:
    """Carry out boot mode, with the parameters in the file ``command_line``."""
    try:
        text = command_line.read_text(errors="replace")
    except OSError as error:
        raise Refused(
            "The kernel's command line can not be read.",
            detail=f"{command_line}: {os.strerror(error.errno or 0)}.",
            hint="Give a request by hand: byoi-agent deploy --help",
        ) from None
    is_trial = command_line != KERNELS_OWN
    where = run_directory()
    around = Surroundings(
        where=where,
        group_config=lambda: read_group_config(config),
        config_file=where.path / DEFAULT_CONFIG.name if is_trial else DEFAULT_CONFIG,
        listeners=[listener_for_people(sys.stderr)],
        consoles=not is_trial,
    )
    return boot_mode(text, around)
