"""What can go wrong with a ConfigDrive. No error here ever carries user data, keys or their values."""

from partitioning.errors import ExplainedError


class ConfigDriveError(ExplainedError):
    """The ConfigDrive could not be made, filled or read back."""
