"""The command ``byoi-agent``."""

import sys


def main() -> None:
    """Run the command line; the exit code is that of the contract."""
    from agent.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
