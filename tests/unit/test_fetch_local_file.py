"""Images that lie in a file of this system."""

import os
from pathlib import Path

import pytest

from agent.fetch.errors import FetchFailed
from agent.fetch.redaction import public_url
from agent.fetch.source import Source
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.unit.test_fetch_common import BODY, fetch


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
