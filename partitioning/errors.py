"""The shape every error of this project has, and the errors about disks."""


class ExplainedError(Exception):
    """An error that tells an operator what happened, the particulars, and what to do next.

    ``message`` is one line. ``detail`` says more than the message; ``hint`` is an instruction.
    """

    def __init__(self, message: str, *, detail: str, hint: str) -> None:
        """Keep the three parts; ``str()`` of the error is the message and the detail."""
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        """Give one line that can stand in a log."""
        return f"{self.message} {self.detail}".strip()


class DiskError(ExplainedError):
    """Anything that is wrong with a disk or with what stands on it."""


class DiskNotFound(DiskError):
    """There is no such disk or group."""


class DiskUnsuitable(DiskError):
    """The path names something that is not a disk one can write an image to."""


class DiskBusy(DiskError):
    """Somebody else holds the disk."""


class DiskReadError(DiskError):
    """The disk could not be read."""


class DiskWriteError(DiskError):
    """The kernel reported an error while writing or flushing."""


class TableUnusable(DiskError):
    """The partition table is missing, damaged, or not one that can be worked with."""


class SectorSizeMismatch(TableUnusable):
    """The table was made for another logical sector size than the disk's."""


class NotConvertible(TableUnusable):
    """The table can not be rewritten for another logical sector size with every partition where it is."""


class ReadBackDiffers(DiskError):
    """What is read back from the disk is not what was written."""


class NoRoom(DiskError):
    """A partition or a table does not fit on the disk."""


class ReleaseFailed(DiskError):
    """Something that holds the disk could not be stopped."""
