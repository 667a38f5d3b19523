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


class ContentsDiffer(ExplainedError):
    """What is read back from the disk is not what was written."""
