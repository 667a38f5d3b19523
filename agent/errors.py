"""The agent's own errors, apart from those of fetching and of images."""

from partitioning.errors import ExplainedError


def words_of(error: BaseException) -> str:
    """Give what may be told of an error within the text of another."""
    # The text of an unforeseen error may hold anything, a secret as well.
    known = isinstance(error, ExplainedError)
    return str(error) if known else f"The agent has a defect ({type(error).__name__})."


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


class NoEntryMade(ExplainedError):
    """The disk is complete, but the firmware finds its loader by a boot entry only, and has none."""

    def __init__(self, why: str, *, disk_path: str, partition: int, loader: str) -> None:
        """Say in ``why`` why there is no entry; the rest is what the entry would have named."""
        super().__init__(
            f"The system on {disk_path} is complete, but the server's firmware will not find it.",
            detail=why,
            hint=f"Make the entry by hand: efibootmgr --create --disk {disk_path} --part {partition}"
            f" --loader '{loader}' --label byoi-agent",
        )


class ContentsDiffer(ExplainedError):
    """What is read back from the disk is not what was written."""
