"""A beginning that comes a second time: the server sends the file anew, and what came before was used."""

from agent.fetch.broken import Broken
from agent.fetch.digest import Digest


class Repeated:
    """Compares what comes again with what came, by its sum."""

    def __init__(self, length: int, digest: Digest) -> None:
        """``length`` bytes have come, of which ``digest`` has the sum."""
        self._left = length
        self._expected = digest.values()
        self._again = digest.anew()
        self.seen = 0
        """How many bytes have come again."""

    @property
    def is_left(self) -> bool:
        """Tell whether more of them are to come."""
        return self._left > 0

    def rest_of(self, piece: bytes) -> bytes:
        """Take the next bytes, and give those that are new. Raises Broken when others came before."""
        again = piece[: self._left]
        self._again.update(again)
        self._left -= len(again)
        self.seen += len(again)
        if not self._left and self._again.values() != self._expected:
            raise changed_and_used()
        return piece[len(again) :]


def changed_and_used() -> Broken:
    """Give the reason why it can not go on with another version of the file."""
    return Broken(
        "The image changed on the server while it was downloaded, and what had come is used already.",
        hint="Start the deployment again.",
        final=True,
    )
