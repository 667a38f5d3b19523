"""``byoi-agent serve`` with deployments that do nothing to any disk: for requests that nobody has looked at.

``python -m tests.harmless_serve`` takes the flags of ``serve``.
"""

import json
import sys

from agent import run_lock
from agent.cli import app
from agent.cli import serve as command
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.run_directory import run_directory
from agent.status import Status, now


def deployment() -> None:
    """Take a request, and leave the status of a deployment that is done at once."""
    request = json.load(sys.stdin)
    where = run_directory()
    with run_lock.hold(where.lock):
        begun = Status(servername=request["options"]["serviceName"], started_at=now())
        status_file.write(where.status, begun)
        status_file.write(where.status, apply(events.Finished(), begun))


def main() -> None:
    """Be the server, or a deployment that it has started."""
    if sys.argv[1:2] == ["deploy"]:
        deployment()
        return
    vars(command)["own_command"] = lambda: (sys.executable, "-m", "tests.harmless_serve")
    sys.argv = ["byoi-agent", "serve", *sys.argv[1:]]
    sys.exit(app.run())


if __name__ == "__main__":
    main()
