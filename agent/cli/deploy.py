"""``byoi-agent deploy``: puts the image on the disk."""

from pathlib import Path

from agent.cli.confirm import can_ask, confirm
from agent.cli.listeners import listeners_for
from agent.cli.request_flags import RequestFlags
from agent.cli.request_input import read_request
from agent.deployment.run import run_deployment
from agent.deployment.target import read_group_config
from agent.errors import RequestError
from agent.run_directory import run_directory


def deploy(
    request_file: str | None,
    flags: RequestFlags,
    *,
    config: Path | None,
    yes: bool,
    json: bool,
    reboot_delay: float,
) -> int:
    """Erase the disk, write the image onto it and make it boot.

    Where the server is to reboot, it does so ``reboot_delay`` seconds after the end.
    """
    request = read_request(request_file, flags)
    asks = _asks(yes=yes, from_stdin=request_file == "-")
    return run_deployment(
        request,
        group_config=read_group_config(config),
        where=run_directory(),
        listeners=listeners_for(json=json),
        confirm=(lambda plan: confirm(request, plan)) if asks else None,
        reboot_delay=reboot_delay,
    )


def _asks(*, yes: bool, from_stdin: bool) -> bool:
    if yes:
        return False
    if from_stdin or not can_ask():
        raise RequestError(
            "The command line is wrong: --yes is missing.",
            detail="deploy erases a disk, and can not ask whether it may: "
            + ("standard input carries the request." if from_stdin else "there is no terminal to ask on."),
            hint="Look at what would be done with: byoi-agent plan. Then add --yes.",
        )
    return True
