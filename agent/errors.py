"""The agent's own errors, apart from those of fetching and of images."""

from partitioning.errors import ExplainedError


class RequestError(ExplainedError):
    """The request or the command line is wrong."""


class Refused(ExplainedError):
    """Something forbids the deployment; nothing was written."""


class Interrupted(ExplainedError):
    """A signal ended the deployment."""

    def __init__(self, signal_number: int, signal_name: str) -> None:
        """Keep the number of the signal, from which the exit code follows."""
        super().__init__(
            "The deployment was interrupted.",
            detail=f"The agent received {signal_name}.",
            hint="Start the deployment again when you are ready; the same request will do.",
        )
        self.signal_number = signal_number


class AlreadyRunning(Refused):
    """Another deployment is being carried out on this server."""


class StillBootable(ExplainedError):
    """The deployment failed at its very end, and the disk could not be made unbootable again."""

    def __init__(self, first: str, second: str, *, disk_path: str) -> None:
        """Keep why the deployment failed, and why the disk could not be made unbootable."""
        super().__init__(
            f"{disk_path} could not be made unbootable again.",
            detail=f"{first} Afterwards the start of the disk could not be erased: {second} The server may"
            " start from this disk, into a system that was not checked.",
            hint=f"Do not start the server from it. Erase its start: wipefs -a {disk_path}; dd if=/dev/zero"
            f" of={disk_path} bs=1M count=1 oflag=direct. When that fails too, replace the disk.",
        )


class ContentsDiffer(ExplainedError):
    """What is read back from the disk is not what was written."""
