"""Takes a request, and leaves the status of a deployment that is done; nothing happens to any disk."""

import json
import sys

from agent import run_lock
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.run_directory import run_directory
from agent.status import Status, now

if __name__ == "__main__":
    request = json.load(sys.stdin)
    where = run_directory()
    with run_lock.hold(where.lock):
        begun = Status(servername=request["options"]["serviceName"], started_at=now())
        status_file.write(where.status, begun)
        status_file.write(where.status, apply(events.Finished(), begun))
