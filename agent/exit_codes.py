"""The exit codes that callers rely on."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code says about the deployment and about the disk."""

    DONE = 0
    DEFECT = 1
    """A defect in the agent; see ``diskTouched``."""
    WRONG_REQUEST = 2
    """The request or the command line is wrong; the disk is untouched."""
    REFUSED = 3
    """Refused before writing; the disk is untouched."""
    FETCH_FAILED = 4
    """The image could not be fetched, or its sum differs."""
    WRITE_FAILED = 5
    """Failed after writing began; the disk is not bootable."""
    INTERRUPTED = 130
    TERMINATED = 143
