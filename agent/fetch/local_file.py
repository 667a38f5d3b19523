"""An image that lies in a file of this system, such as on a mounted medium (RFC 8089, file URLs)."""

import os
import re
import stat
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes, urlsplit

from agent.fetch.broken import Broken

_PIECE = 124 << 10
_RANGE = re.compile(r"bytes=([0-9]{1,19})-")
_HINT = "Check that the medium is mounted, and the path in the URL."


def path_of(url: str) -> bytes:
    """Give the path that a file URL names. Raises Broken."""
    try:
        return unquote_to_bytes(urlsplit(url).path)
    except ValueError:
        raise Broken("It is not a URL.", hint=_HINT, final=True) from None


class LocalFile:
    """An Asker for a file URL."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet."""
        self._path = path_of(url)

    def ask(self, extra: Mapping[str, str]) -> "LocalReply":
        """Open the file, at the place in ``extra`` (Range) unless it is another one (If-Range)."""
        try:
            return self._ask(extra)
        except OSError as error:
            raise _failure(error) from None

    def _ask(self, extra: Mapping[str, str]) -> "LocalReply":
        # What is no file is not even opened: that alone starts a watchdog, or rewinds a tape.
        _require_file(Path(os.fsdecode(self._path)).stat())
        # It may have become another since. Not to wait for anybody: a pipe would never open.
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return LocalReply(fd, extra)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Do nothing: each reply closes what it has opened."""


class LocalReply:
    """A Reply: an open file."""

    def __init__(self, fd: int, extra: Mapping[str, str]) -> None:
        """Look at the open file. Raises Broken, and OSError."""
        facts = os.fstat(fd)
        _require_file(facts)
        self._etag = etag = _etag(facts)
        wanted = _RANGE.fullmatch(extra.get("Range", ""))
        start = int(wanted[1]) if wanted and extra.get("If-Range", etag) == etag else 0
        self._fd = fd
        self._short = start > facts.st_size
        self._left = max(0, facts.st_size - start)
        self.status: int = HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK
        self.headers: Mapping[str, str] = {
            "ETag": etag,
            "Content-Length": str(facts.st_size - start),
            **({"Content-Range": f"bytes {start}-{facts.st_size - 1}/{facts.st_size}"} if start else {}),
        }
        os.lseek(fd, start, os.SEEK_SET)

    def check(self, *, part: bool) -> None:  # noqa: ARG002 - as other replies have it
        """Raise Broken when the file is shorter than what has come."""
        if self._short:
            raise Broken("The file is shorter than what had come.", hint=_HINT, start_over=True)

    def read(self) -> bytes:
        """Return the next bytes; empty at the end, which is where it was when the file was opened."""
        try:
            data = os.read(self._fd, min(_PIECE, self._left))
        except OSError as error:
            raise _failure(error) from None
        self._left -= len(data)
        if not data or not self._left:
            self._require_unchanged()
        return data

    def _require_unchanged(self) -> None:
        """Raise Broken when the file was written to since it was opened: what was read may be of two."""
        if _etag(os.fstat(self._fd)) != self._etag:
            raise Broken("The file changed while it was read.", hint=_HINT, start_over=True)

    def __enter__(self) -> Self:
        """Return the reply itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        os.close(self._fd)


def _etag(facts: os.stat_result) -> str:
    return f'"{facts.st_dev:x}-{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"'


def _require_file(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Broken("It is not a file.", hint=_HINT, final=True)


def _failure(error: OSError) -> Broken:
    # A medium that fails once may do better the next time; a file that is not there is not there.
    is_for_good = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
    reason = f"The file can not be read: {os.strerror(error.errno or 0)}."
    return Broken(reason, hint=_HINT, final=is_for_good)
