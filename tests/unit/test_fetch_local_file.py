"""Images that lie in a file of this system."""

import errno
import os
import signal
from pathlib import Path

import pytest

from agent.errors import Interrupted
from agent.fetch.broken import Broken
from agent.fetch.errors import FetchFailed
from agent.fetch.local_file import LocalFile, LocalReply
from agent.fetch.redaction import public_url
from agent.fetch.source import Source
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.unit.test_fetch_common import BODY, OTHER, fetch


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "an image #1 ä.raw"
    path.write_bytes(BODY)
    return path


def failure(url: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(url)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file(image: Path, host: str) -> None:
    url = image.as_uri().replace("file://", f"file://{host}")
    fetched = fetch(url)
    assert fetched.data == BODY
    assert fetched.steps[-1] == (len(BODY), len(BODY))
    assert fetched.result.etag
    assert public_url(url) == image.as_uri()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = failure((tmp_path / "none").as_uri())
    assert "The file can not be read: No such file or directory." in error.detail
    assert error.attempts == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert "It is not a file." in failure(path.as_uri()).detail


def test_what_is_no_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a watchdog starts it."""

    def fail(*_: object, **_more: object) -> int:
        raise AssertionError("it was opened")

    (tmp_path / "it").symlink_to("/dev/null")
    asker = LocalFile((tmp_path / "it").as_uri())
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(Broken) as caught:
        asker.ask({})
    assert caught.value.reason == "It is not a file."


def test_what_has_become_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at once more when it is open."""
    path = tmp_path / "it"
    path.write_bytes(BODY)
    real = os.open

    def replaced(name: bytes, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(name, flags)

    before, asker = open_files(), LocalFile(path.as_uri())
    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(Broken) as caught:
        asker.ask({})
    assert caught.value.reason == "It is not a file."
    assert open_files() == before


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not what they lead to


def test_a_signal_while_it_is_opened(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise Interrupted(signal.SIGTERM, "SIGTERM")

    asker = LocalFile(image.as_uri())
    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(Interrupted):
        asker.ask({})


@pytest.mark.parametrize("call", ["fstat", "lseek"])
def test_a_file_that_can_not_be_looked_at(image: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "x")

    asker, before = LocalFile(image.as_uri()), open_files()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(Broken) as caught:
            asker.ask({})
    assert caught.value.reason == "The file can not be read: Input/output error."
    assert open_files() == before


@pytest.mark.parametrize("start", [0, 1000])
def test_a_file_that_grows_while_it_is_read(image: Path, start: int) -> None:
    with LocalFile(image.as_uri()).ask({"Range": f"bytes={start}-"} if start else {}) as reply:
        with image.open("ab") as file:
            file.write(b"more")
        data = b""
        with pytest.raises(Broken, match="changed while it was read") as caught:
            for _ in range(100):
                data += reply.read()
    assert caught.value.start_over
    # No more is read than was announced.
    assert BODY[start:].startswith(data)
    assert len(data) <= int(reply.headers["Content-Length"])


def test_a_file_that_is_written_anew_while_it_is_read(image: Path) -> None:
    """What was read before and what was read after are of two files."""
    read = LocalReply.read

    def read_and_replace(reply: LocalReply) -> bytes:
        piece = read(reply)
        if image.read_bytes() != OTHER:
            image.write_bytes(OTHER)
        return piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalReply, "read", read_and_replace)
        assert fetch(Source(url=image.as_uri(), trust_env=False)).data == OTHER


def test_a_file_that_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert "empty file" in failure(path.as_uri()).detail


def test_a_medium_as_the_mirror_of_a_server(image: Path) -> None:
    with MisbehavingServer() as server:
        url = server.on("/image", Serve(BODY, etag='"a"', cut_after=100_000), Serve(status=503))
        assert fetch(Source(url=url, mirrors=(image.as_uri(),), trust_env=False)).data == BODY


def test_a_server_as_the_mirror_of_a_medium(tmp_path: Path) -> None:
    with MisbehavingServer() as server:
        mirror = server.on("/image", Serve(BODY))
        missing = (tmp_path / "none").as_uri()
        fetched = fetch(Source(url=missing, mirrors=(mirror,), trust_env=False))
    assert fetched.data == BODY
    assert fetched.notes[0].endswith(f"; trying {mirror}")
