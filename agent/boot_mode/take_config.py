"""Takes the file that pins disk groups from the provisioning system."""

import os
from collections.abc import Callable
from pathlib import Path

from agent.boot_mode.retries import REQUEST_RETRIES
from agent.boot_mode.take_request import Wanted, taken
from agent.errors import Refused
from agent.fetch.retry import RetryPolicy
from partitioning.group_config import GroupConfig, load

_CONFIG = Wanted(what="disk group file", parameter="byoi.config", most_bytes=1 << 20)


def take_config(
    url: str,
    token: str | None,
    path: Path,
    tell: Callable[[str], None],
    policy: RetryPolicy = REQUEST_RETRIES,
) -> GroupConfig:
    """Keep it at ``path``, where other commands find it, too, and give what it says.

    Raises Refused when it can not be had or kept, GroupConfigInvalid, RequestError when it is too long.
    """
    text = taken(_CONFIG, url, token, tell, policy)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    except OSError as error:
        raise Refused(
            "The disk group file of the provisioning system can not be kept.",
            detail=f"{path}: {os.strerror(error.errno or 0)}.",
            hint="Boot mode runs as root, with a file system below / that can be written to.",
        ) from None
    return load(path)
