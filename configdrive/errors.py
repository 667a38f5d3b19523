"""What can go wrong with a ConfigDrive. No error here ever carries user data, keys or their values."""

from partitioning.errors import ExplainedError


class ConfigDriveError(ExplainedError):
    """The ConfigDrive could not be made, filled or read back."""


def unreadable(why: str) -> ConfigDriveError:
    """Make the error for a drive that was written and cannot be parsed."""
    return ConfigDriveError(
        "The ConfigDrive cannot be read back.",
        detail=why,
        hint="Check the disk (dmesg, smartctl), then deploy again; use another disk if it happens twice.",
    )
