"""The download of a deployment: what is asked of it, and what ends it early."""

from collections.abc import Callable
from pathlib import Path

from agent.effort import Effort
from agent.errors import RequestError
from agent.fetch.ca_file import ca_file_fault
from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import TooBigForMemory
from agent.fetch.memory import MemoryBudget, MemoryView
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.images.first_bytes import check_first_bytes
from agent.images.inspect import require_fit
from agent.images.packed.member import most_memory
from agent.images.packed.packing import Packing, packing_of
from agent.reporting.reporter import Reporter
from agent.request.model import ImageType, Request
from partitioning.disks import Disk

WINDOW = 96 << 20
"""Bytes of a file that is written while it comes which are held at the most."""
LEAST_WINDOW = 16 << 20
"""With less than this hardly any image can be written while it comes."""
PACKED_WINDOW = 16 << 20
"""Bytes of a packed file that wait to be unpacked, at the most."""
_BESIDE = 128 << 20
"""Bytes that writing and the agent's own growth take beside it: of the reserve all but the page cache, which
data does not go through where it is written as it comes."""


def source_of(request: Request) -> Source:
    """Give where the image is and how to ask for it."""
    options = request.options
    return Source(
        url=request.url,
        mirrors=options.mirrors,
        headers=tuple((header.key, header.value) for header in request.http_header or ()),
        proxy=options.proxy,
        ca_file=Path(options.ca_file) if options.ca_file else None,
    )


def may_be_local(source: Source) -> bool:
    """Tell whether what comes may come from a file of this system, so that no network is waited for."""
    return any(place.is_file for place in (source, *map(source.mirrored_at, source.mirrors)))


def require_ca_file(request: Request) -> None:
    """Raise RequestError when the request names a file with certificates that is of no use."""
    path = request.options.ca_file
    if path is not None and (fault := ca_file_fault(Path(path))) is not None:
        raise RequestError(
            "The request is wrong: options.caFile is of no use.",
            detail=f"{path}: {fault}.",
            hint="Name a file with certificates in PEM form that can be read here.",
        )


def digest_of(request: Request) -> Digest:
    """Give the digest that is computed while the image comes; sha256 where no sum is asked for."""
    if request.check_sum is None or request.check_sum_type is None:
        return Digest(also=[ChecksumKind.SHA256])
    return Digest(Checksum(request.check_sum_type, request.check_sum))


def policy_of(request: Request) -> RetryPolicy:
    """Give how long to wait and how often to try again."""
    options = request.options
    return RetryPolicy(retries=options.fetch_retries, stall_timeout=options.stall_timeout)


class FetchReport:
    """Passes on how the download goes, and ends it when the announced length says that it can not fit."""

    def __init__(self, request: Request, disk: Disk, reporter: Reporter, effort: Effort) -> None:
        """Report to ``reporter``, with what ``effort`` says.

        Only the length of a raw image that is not packed says how large it is on the disk.
        """
        self._is_raw = request.type == ImageType.RAW
        self._is_plain = False
        self._latest: tuple[int, int | None] = (0, None)
        self._disk = disk
        self._reporter = reporter
        self._effort = effort

    def progress(self, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes are here; where none is, what comes may be another file than before."""
        self._latest = done, total
        self._is_plain = self._is_plain and done > 0
        self._require_fit()
        self._reporter.progress(done, total, self._effort.limit())

    def found_plain(self) -> None:
        """Its first bytes say that the file is not packed. Raises ImageLargerThanDisk."""
        self._is_plain = True
        self._require_fit()

    def note(self, text: str) -> None:
        """Say what happens to the connection."""
        self._reporter.note(text)

    def _require_fit(self) -> None:
        if not (self._is_raw and self._is_plain):
            return
        done, total = self._latest
        size, is_all = (total, True) if total is not None and total >= done else (done, False)
        disk = self._disk
        require_fit(size, disk_size=disk.size, disk_path=str(disk.path), is_all=is_all)


def packing_in(first: bytes, request: Request) -> Packing | None:
    """Tell what a file that begins with ``first`` is packed with; only raw images may be."""
    return packing_of(first) if request.type == ImageType.RAW else None


def room_for_unpacked() -> int:
    """Give how many bytes of memory an image may take that is unpacked into it."""
    return max(0, MemoryBudget().room() - max(map(_to_unpack, Packing)))


def window_for_stream() -> int:
    """Give how many bytes are held of a file that is written while it comes. Raises TooBigForMemory."""
    return _window(beside=_BESIDE, held=0)


def window_for_unpacked(packing: Packing, *, held: int = 0) -> int:
    """Give how many bytes are held of what a packed file unpacks to, of which ``held`` are there already.

    Raises TooBigForMemory.
    """
    return _window(beside=_BESIDE + _to_unpack(packing), held=held)


def _to_unpack(packing: Packing) -> int:
    return PACKED_WINDOW + most_memory(packing)


def _window(*, beside: int, held: int) -> int:
    available = MemoryView().available() + held
    if available < beside + LEAST_WINDOW:
        raise TooBigForMemory(needed=beside + LEAST_WINDOW, available=available)
    return min(WINDOW, available - beside)


def early_check(request: Request, disk: Disk) -> Callable[[bytes], None]:
    """Give the check of the first bytes: what is not an image, or too large, need not be downloaded."""

    def check(first: bytes) -> None:
        if packing_in(first, request) is not None:
            return
        virtual_size = check_first_bytes(first, ImageType(request.type))
        if virtual_size is not None:
            require_fit(virtual_size, disk_size=disk.size, disk_path=str(disk.path))

    return check
