"""The version, in one place."""

from importlib import metadata


def version() -> str:
    """Give the installed version; a tree that runs without being installed says so."""
    try:
        return metadata.version("byoi-agent")
    except metadata.PackageNotFoundError:
        return "0+tree"
