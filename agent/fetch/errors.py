"""The errors that end a download. None of them carries a secret: URLs are redacted before they get here."""

from partitioning.errors import ExplainedError


class FetchError(ExplainedError):
    """The image could not be brought into memory."""


class FetchFailed(FetchError):
    """The download failed for good: a final answer, or no more retries."""

    def __init__(self, *, url: str, reason: str, hint: str, status: int | None, attempts: int) -> None:
        """Keep what is known: ``url`` is a public one, ``status`` the last HTTP status, if there was one."""
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__("The image could not be downloaded.", detail=f"{url}: {reason} ({tries})", hint=hint)
        self.url = url
        self.reason = reason
        self.status = status
        self.attempts = attempts


class TooBigForMemory(FetchError):
    """The image does not fit into the memory that can be given to it."""

    def __init__(self, *, needed: int, available: int) -> None:
        """Keep both numbers (bytes): what is still to come at the least, and the room there is for it."""
        super().__init__(
            "The image is too big to download in memory.",
            detail=f"At least {needed} bytes are still needed, and {max(0, available)} bytes can be used.",
            hint="Use a server with more memory, or publish a smaller or a compressed image (qcow2).",
        )
        self.needed = needed
        self.available = available


class WindowTooSmall(TooBigForMemory):
    """What is needed next of a file that is written while it comes is too far back in it."""

    def __init__(self, *, needed: int, available: int) -> None:
        """Keep both numbers (bytes): what would have to be held, and what is."""
        super().__init__(needed=needed, available=available)
        self.detail = (
            f"What is needed next stands further back in the file: {needed} bytes would have to be held, and"
            f" {available} are while an image is written as it comes."
        )
        self.hint = (
            "Let it be staged in memory (--staging memory), or publish it in order:"
            " qemu-img convert -c -O qcow2 IMAGE NEW.qcow2"
        )


class ChecksumMismatch(FetchError):
    """The image came whole, but it is not the one whose checksum was given."""

    def __init__(self, *, actual: str, expected: str, kind: str) -> None:
        """Keep both sums (hex) and their kind, such as ``sha256``."""
        super().__init__(
            f"The {kind} of the downloaded image is wrong.",
            detail="The file came whole, but it is not the one that the sum was given for.",
            hint="Compare with the sum that the publisher gives; the image may have been replaced.",
        )
        self.actual = actual
        self.expected = expected
        self.kind = kind


class ReadAgain(ExplainedError):
    """Bytes of the file were asked for that had been used, and given back."""

    def __init__(self, offset: int) -> None:
        """``offset`` (bytes) is where in the file."""
        super().__init__(
            "The image can not be read.",
            detail=f"It names the same bytes of its file twice (at byte {offset}); no sound image does.",
            hint="Convert it (qemu-img convert -O qcow2 IMAGE NEW.qcow2) and publish the result.",
        )
