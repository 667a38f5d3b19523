"""An OVA that is looked at while it passes: which of its bytes are the disk, and the sums of its files."""

import hashlib
import queue
import tarfile
import threading
from collections.abc import Callable

from agent.images.errors import PUBLISH_AGAIN, BadFormat, not_while_it_comes
from agent.images.ova import description, manifest
from agent.images.ova.archive import (
    EXPORT,
    MOST_MEMBERS,
    TARFILE_RAISES,
    Member,
    add_member,
    require_end,
)
from agent.images.ova.description import disk_file
from agent.images.ova.forward_stream import ForwardStream
from agent.images.ova.manifest import KINDS, Manifest, compare
from agent.images.ova.package import no_description, no_disk, only
from partitioning.errors import ExplainedError

_WAITING = 8
"""Pieces of the download (124 KiB each) that wait to be looked at."""
_POLL = 0.05
_UNLIMITED = 1 << 62


class PassingArchive:
    """Gets all bytes of an archive in order, in whatever pieces; a thread of its own looks at them.

    That thread is a daemon, and what it finds wrong is raised for who feeds it.
    """

    def __init__(self) -> None:
        """Begin."""
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._ended = False
        self._all_seen = False
        self._stopped = False
        self._members: dict[str, Member] = {}
        self._contents: dict[str, bytes] = {}
        self._sums: dict[str, dict[str, str]] = {}
        self._current: _Passing | None = None
        self._disk: Member | None = None
        # Set when the disk has begun, or none will. What follows an archive without its disk is not
        # waited for: it may be more than there is room for, and then would never come.
        self._decided = threading.Event()
        self.passed = 0
        """What stands before this byte of the archive is not of the disk."""
        self._thread = threading.Thread(target=self._work, name="archive", daemon=True)
        self._thread.start()

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Raises what is wrong with the archive."""
        self._put(bytes(data))

    def end(self) -> None:
        """All bytes were given."""
        if not self._ended:
            self._ended = True
            self._put(None)

    def disk(self, look_around: Callable[[], None]) -> Member:
        """Wait until the disk begins, and give where it stands; ``look_around`` is called meanwhile.

        Raises what is wrong with the archive, and what ``look_around`` raises.
        """
        while not self._decided.is_set():
            look_around()
            self._decided.wait(_POLL)
        if self._disk is None:
            raise self._why_no_disk()
        return self._disk

    def _why_no_disk(self) -> ExplainedError:
        self._raise_error()
        wanted = self._wanted()
        if wanted in self._members:
            return not_while_it_comes("the description (.ovf) comes behind the disk that it describes.")
        return no_disk(wanted)

    def check(self) -> None:
        """Wait for the end, and compare the sums. Raises BadFormat."""
        self.end()
        self._thread.join()
        self._raise_error()
        ovf = only(self._members, ".ovf")
        listed = only(self._members, ".mf")
        if listed is not None and ovf is not None and self._disk is not None:
            wanted = Manifest(self._contents[listed.name])
            for member in (ovf, self._disk):
                compare(wanted.sum_of(member), self._sums[member.name], member)

    def stop(self) -> None:
        """Let the thread end soon; nobody waits for that."""
        self._stopped = True

    def _put(self, data: bytes | None) -> None:
        while not self._stopped:
            self._raise_error()
            try:
                self._pieces.put(data, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            self._look()
            self._decided.set()
            while self._next() is not None:
                pass
        except TARFILE_RAISES as error:
            self._error = BadFormat("The archive (tar) is damaged or was cut short.", hint=PUBLISH_AGAIN)
            self._error.__cause__ = error
        except BaseException as error:
            self._error = error
        finally:
            self._decided.set()

    def _next(self) -> bytes | None:
        while not self._stopped and not self._all_seen:
            try:
                piece = self._pieces.get(timeout=1.0)
            except queue.Empty:
                continue
            self._all_seen = piece is None
            return piece
        return None

    def _look(self) -> None:
        stream = ForwardStream(self._next, self._pass)
        with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
            for number, found in enumerate(archive):
                if number == MOST_MEMBERS:
                    raise BadFormat(f"The archive holds more than {number} files.", hint=EXPORT)
                self._end()
                member = add_member(self._members, found, _UNLIMITED)
                if member is not None:
                    self._begin(member)
            self._end()
        require_end(stream.last_read)

    def _begin(self, member: Member) -> None:
        # Behind the disk nobody asks for the description any more, and each further one would be kept.
        # Of the manifest, which is kept too, the same is asked for every member (_kinds).
        only(self._members, ".ovf")
        self._current = _Passing(member, self._kinds(member))
        if self._disk is None and member.name == self._wanted_so_far():
            self._disk = member
            self._decided.set()

    def _pass(self, data: bytes, at: int) -> None:
        if self._disk is None:
            self.passed = at + len(data)
        if self._current is not None:
            self._current.take(data, at)

    def _end(self) -> None:
        """Take note of the member whose bytes have passed."""
        if self._current is not None:
            name = self._current.member.name
            self._sums[name] = self._current.sums()
            if self._current.content is not None:
                self._contents[name] = bytes(self._current.content)
            self._current = None

    def _wanted_so_far(self) -> str | None:
        ovf = only(self._members, ".ovf")
        return None if ovf is None or ovf.name not in self._contents else self._wanted()

    def _wanted(self) -> str:
        ovf = only(self._members, ".ovf")
        if ovf is None:
            raise no_description()
        return disk_file(self._contents[ovf.name])

    def _kinds(self, member: Member) -> tuple[str, ...]:
        """Tell which sums may be wanted of a member: all, as long as the manifest has not come."""
        listed = only(self._members, ".mf")
        if listed is None or listed.name not in self._contents:
            return KINDS
        wanted = Manifest(self._contents[listed.name]).get(member.name)
        return () if wanted is None else (wanted.kind,)


class _Passing:
    """A member whose bytes pass."""

    def __init__(self, member: Member, kinds: tuple[str, ...]) -> None:
        self.member = member
        self.content = bytearray() if _is_kept(member) else None
        self._digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    def take(self, data: bytes, at: int) -> None:
        """Take what is the member's of ``data``, which stands at ``at``."""
        first = max(0, self.member.start - at)
        own = data[first : max(first, self.member.start + self.member.size - at)]
        for digest in self._digests.values():
            digest.update(own)
        if self.content is not None:
            self.content += own

    def sums(self) -> dict[str, str]:
        return {kind: digest.hexdigest() for kind, digest in self._digests.items()}


def _is_kept(member: Member) -> bool:
    """Tell whether the bytes of a member are looked at. Raises BadFormat."""
    most = {".ovf": description.MOST_BYTES, ".mf": manifest.MOST_BYTES}
    limit = next((limit for suffix, limit in most.items() if member.name.lower().endswith(suffix)), None)
    if limit is not None and member.size > limit:
        raise BadFormat(f"The file {member.name!a} in the archive is too large.", hint=EXPORT)
    return limit is not None
