"""What a single answer may be, and what comes of it."""

import gzip
import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from subprocess import run

import pytest

from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import ChecksumMismatch, FetchFailed, TooBigForMemory
from partitioning.errors import ExplainedError
from tests.misbehaving_server import Client, MisbehavingServer, Raw, Serve, head, unused_port
from tests.unit.test_fetch_common import BODY, QUICK, FakeClock, Notes, SleepLog, budget, fetch

SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        yield it


def failure(url: str, **options: object) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(url, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_whole_image(server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(BODY, etag='"a"'))
    fetched = fetch(url + "?token=SECRET", digest=Digest(also=[ChecksumKind.SHA256]))
    assert fetched.data == BODY
    assert fetched.result.size == len(BODY)
    assert fetched.result.digests == {ChecksumKind.SHA256: SHA256}
    assert fetched.result.etag == '"a"'
    assert fetched.steps[-1] == (len(BODY), len(BODY))
    assert fetched.notes == []


def test_what_is_asked(server: MisbehavingServer) -> None:
    fetch(server.on("/image", Serve(BODY)) + "?a=1&b=%2F")
    [request] = server.seen("/image")
    assert request.method == "GET"
    assert request.target == "/image?a=1&b=%2F"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"].startswith("byoi-agent/")
    assert request.headers["Range"] is None


def test_what_was_in_the_spool_is_dropped(server: MisbehavingServer) -> None:
    digest = Digest(Checksum(ChecksumKind.SHA256, SHA256))
    digest.update(b"left over from another mirror")
    assert fetch(server.on("/image", Serve(BODY)), digest=digest).data == BODY


@pytest.mark.parametrize(
    "act",
    [Serve(BODY, chunked=True), Serve(BODY, length="none"), Serve(BODY, chunked=True, length=17)],
    ids=["chunked", "until the connection closes", "chunked, with a length to be ignored"],
)
def test_no_length(server: MisbehavingServer, act: Serve) -> None:
    fetched = fetch(server.on("/image", act))
    assert fetched.data == BODY
    assert fetched.steps[-1] == (len(BODY), None)
    assert "does not say how long the image is" in fetched.notes[0]


def test_no_length_with_a_checksum_is_nothing_to_worry_about(server: MisbehavingServer) -> None:
    digest = Digest(Checksum(ChecksumKind.SHA256, SHA256))
    assert fetch(server.on("/image", Serve(BODY, chunked=True)), digest=digest).notes == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304])
def test_a_final_status_is_not_tried_again(server: MisbehavingServer, status: int) -> None:
    error = failure(server.on("/image", Serve(b"no", status=status), Serve(BODY)))
    assert error.status == status
    assert error.attempts == 1
    assert len(server.seen("/image")) == 1
    assert f"HTTP {status}" in error.detail


def test_a_404_names_the_url_without_its_secrets(server: MisbehavingServer) -> None:
    error = failure(server.url("/nowhere?token=SECRET#SECRET", user_info="SECRET:SECRET"))
    assert server.url("/nowhere") + ":" in error.detail
    assert error.url == server.url("/nowhere")
    assert "SECRET" not in f"{error} {error!r} {error.detail} {error.hint} {vars(error)}"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(server: MisbehavingServer, status: int) -> None:
    fault = Serve(b"later", status=status)
    fetched = fetch(server.on("/image", fault, fault, Serve(BODY)))
    assert fetched.data == BODY
    assert len(server.seen("/image")) == 3
    assert "(2 of 6)" in fetched.notes[1]


def test_a_lasting_fault_ends_after_the_retries(server: MisbehavingServer) -> None:
    error = failure(server.on("/image", Serve(b"later", status=500)))
    assert error.status == 500
    assert error.attempts == 7
    assert len(server.seen("/image")) == 7


def test_retry_after_is_waited_for(server: MisbehavingServer) -> None:
    sleep = SleepLog()
    busy = Serve(status=503, headers={"Retry-After": "30"})
    policy = replace(QUICK, sleep=sleep, retry_after_limit=60, silence_limit=60)
    fetch(server.on("/image", busy, Serve(status=503), Serve(BODY)), policy=policy)
    assert sleep.slept[0] == 30
    assert sleep.slept[1] < 1


def test_nobody_listens() -> None:
    error = failure(f"http://127.0.0.1:{unused_port()}/image?SECRET")
    assert error.attempts == 7
    assert error.status is None
    assert "Connection refused" in error.detail


def test_a_name_that_does_not_exist() -> None:
    error = failure("http://no-such-host.invalid/image", policy=replace(QUICK, retries=1))
    assert error.attempts == 2
    assert "name can not be resolved" in error.detail


def test_time_runs_out_before_the_retries_do(server: MisbehavingServer) -> None:
    clock = FakeClock()
    policy = replace(QUICK, clock=clock, sleep=clock.sleep, base_delay=50, max_delay=50, silence_limit=120)
    error = failure(server.on("/image", Serve(status=500)), policy=replace(policy, chance=lambda: 1.0))
    assert error.attempts == 3


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/image",
        "/image",
        "http://",
        "http://[::1/image",
        "http://127.0.0.1:99999999/image",
        "http://ex\x00ample/",
        f"http://{'a' * 70}.invalid/",
    ],
)
def test_a_url_that_is_none_is_final(url: str) -> None:
    error = failure(url)
    assert error.attempts <= 1
    assert "URL" in error.detail


@pytest.mark.parametrize(
    "act",
    [Serve(b""), Serve(b"", length="none"), Serve(b"", chunked=True)],
    ids=["length 0", "no length", "chunked"],
)
def test_an_empty_file_is_an_error(server: MisbehavingServer, act: Serve) -> None:
    error = failure(server.on("/image", act))
    assert "empty file" in error.detail
    assert error.attempts == 1


def test_an_encoded_file_is_taken_as_it_is_stored(server: MisbehavingServer) -> None:
    packed = gzip.compress(BODY)
    fetched = fetch(server.on("/image", Serve(packed, headers={"Content-Encoding": "gzip"})))
    assert fetched.data == packed
    assert "as it is stored" in fetched.notes[0]


def test_a_length_smaller_than_the_file_is_what_counts(server: MisbehavingServer) -> None:
    assert fetch(server.on("/image", Serve(BODY, length=1000))).data == BODY[:1000]


def test_a_length_larger_than_the_file_is_a_truncated_file(server: MisbehavingServer) -> None:
    error = failure(server.on("/image", Serve(BODY, length=len(BODY) + 1)))
    assert "closed before the end" in error.detail
    assert "300000 bytes had come" in error.detail


@pytest.mark.parametrize("value", ["1, 2", "many", "-5"])
def test_a_length_that_is_none(server: MisbehavingServer, value: str) -> None:
    url = server.on("/image", Raw(head(200, {"Content-Length": value}) + BODY))
    try:
        assert fetch(url, policy=replace(QUICK, retries=1)).data == BODY
    except FetchFailed as error:
        assert error.attempts == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9\r\n", "not HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "not HTTP"),
        (b"\x00" * 70000, "not HTTP"),
    ],
)
def test_something_that_is_not_http(server: MisbehavingServer, data: bytes, told: str) -> None:
    error = failure(server.on("/image", Raw(data)), policy=replace(QUICK, retries=2))
    assert error.attempts == 3
    assert told in error.detail
    assert "SSH" not in error.detail


@pytest.mark.parametrize("upper", [True, False])
def test_the_right_checksum(server: MisbehavingServer, upper: bool) -> None:
    value = SHA256.upper() if upper else SHA256
    digest = Digest(Checksum(ChecksumKind.SHA256, value))
    assert fetch(server.on("/image", Serve(BODY)), digest=digest).result.digests == {
        ChecksumKind.SHA256: SHA256
    }


def test_a_wrong_checksum_is_final(server: MisbehavingServer) -> None:
    digest = Digest(Checksum(ChecksumKind.SHA256, "0" * 64))
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(server.on("/image", Serve(BODY)), digest=digest)
    assert caught.value.actual == SHA256
    assert len(server.seen("/image")) == 1


def test_too_big_is_found_before_a_byte_is_taken(server: MisbehavingServer) -> None:
    heard = Notes()
    with pytest.raises(TooBigForMemory) as caught:
        fetch(server.on("/image", Serve(BODY)), room=budget(available=len(BODY) - 1), listener=heard)
    assert caught.value.needed == len(BODY)
    assert heard.steps == [(0, len(BODY))]
    assert len(server.seen("/image")) == 1


def test_just_enough_room(server: MisbehavingServer) -> None:
    assert fetch(server.on("/image", Serve(BODY)), room=budget(available=len(BODY))).data == BODY


def test_too_big_is_found_on_the_way_when_no_length_is_given(server: MisbehavingServer) -> None:
    with pytest.raises(TooBigForMemory):
        fetch(server.on("/image", Serve(BODY, length="none")), room=budget(available=10))
    assert len(server.seen("/image")) == 1


class NotAnImage(ExplainedError):
    """Raised by a test's hook."""


def test_the_first_bytes_are_shown_once(server: MisbehavingServer) -> None:
    shown: list[bytes] = []
    fetch(server.on("/image", Serve(BODY)), on_first_bytes=shown.append)
    assert shown == [BODY[: 64 << 10]]


def test_a_short_file_is_shown_whole(server: MisbehavingServer) -> None:
    shown: list[bytes] = []
    fetch(server.on("/image", Serve(b"<html>", chunked=True)), on_first_bytes=shown.append)
    assert shown == [b"<html>"]


def test_an_error_page_ends_the_download_at_once(server: MisbehavingServer) -> None:
    page = b"<html>" + bytes(100 << 10)
    left = threading.Event()

    def endless(client: Client) -> None:
        client.send(head(200, {"Content-Length": str(1 << 40)}) + page)
        left.set() if client.connection.recv(1) == b"" else None

    def refuse(first: bytes) -> None:
        assert first == page[: 64 << 10]
        raise NotAnImage("not an image", detail="", hint="")

    with pytest.raises(NotAnImage):
        fetch(server.on("/image", endless), on_first_bytes=refuse)
    assert left.wait(5)
    assert len(server.seen("/image")) == 1


def test_a_listener_can_end_the_download(server: MisbehavingServer) -> None:
    class Impatient(Notes):
        def progress(self, done: int, total: int | None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.on("/image", Serve(BODY)), listener=Impatient())


def test_importing_it_does_not_import_requests() -> None:
    code = "import agent.fetch.download, sys; sys.exit('requests' in sys.modules or 'urllib3' in sys.modules)"
    assert run([sys.executable, "-c", code]).returncode == 0
