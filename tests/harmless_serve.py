"""``byoi-agent serve`` with deployments that do nothing to any disk: for requests that nobody has looked at.

``python -m tests.harmless_serve`` takes the flags of ``serve``.
"""

import sys

from agent.cli import app
from agent.cli import serve as command


def main() -> None:
    """Be the server."""
    vars(command)["own_command"] = lambda: (sys.executable, "-m", "tests.harmless_deployment")
    sys.argv = ["byoi-agent", "serve", *sys.argv[1:]]
    sys.exit(app.run())


if __name__ == "__main__":
    main()
