"""Several places for one file: which is asked when, and what has to agree to go on at another."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from agent.fetch.background import BackgroundDownload
from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import ChecksumMismatch, FetchFailed
from agent.fetch.source import Source
from agent.fetch.stream_spool import StreamSpool
from agent.images.errors import BadFormat
from tests.misbehaving_server import Act, Client, MisbehavingServer, Serve, head
from tests.unit.test_fetch_common import BODY, OTHER, QUICK, Fetched, fetch

CUT = 100_000
NO_TAG = Serve(BODY)
TAGGED = Serve(BODY, etag='"a"')
GONE = Serve(status=404)
BUSY = Serve(status=503)
SUM = Digest(Checksum(ChecksumKind.SHA256, hashlib.sha256(BODY).hexdigest()))


@pytest.fixture
def servers() -> Iterator[list[MisbehavingServer]]:
    with MisbehavingServer() as one, MisbehavingServer() as two, MisbehavingServer() as three:
        yield [one, two, three]


def source(servers: list[MisbehavingServer], *scripts: list[Act]) -> Source:
    first, *mirrors = (server.on("/image", *script) for server, script in zip(servers, scripts, strict=False))
    return Source(url=first, mirrors=tuple(mirrors), trust_env=False, headers=(("X-Token", "SECRET"),))


def got(servers: list[MisbehavingServer], *scripts: list[Act], digest: Digest | None = None) -> Fetched:
    if digest is not None:
        digest.reset()
    fetched = fetch(source(servers, *scripts), digest=digest)
    assert fetched.data == BODY
    return fetched


def asked(server: MisbehavingServer) -> list[str | None]:
    return [request.headers["Range"] for request in server.seen("/image")]


def test_a_mirror_is_not_asked_where_the_url_is_enough(servers: list[MisbehavingServer]) -> None:
    got(servers, [TAGGED], [TAGGED])
    assert [len(asked(server)) for server in servers] == [1, 0, 0]


@pytest.mark.parametrize("bad", [GONE, BUSY, Serve(status=403)])
def test_the_next_one_is_asked_at_once(servers: list[MisbehavingServer], bad: Serve) -> None:
    fetched = got(servers, [bad], [bad], [TAGGED])
    assert [len(asked(server)) for server in servers] == [1, 1, 1]
    assert len(fetched.notes) == 2
    assert fetched.notes[1].endswith(f"; trying {servers[2].url('/image')}")


def test_no_mirror_gets_the_headers(servers: list[MisbehavingServer]) -> None:
    got(servers, [BUSY], [TAGGED])
    assert [server.seen("/image")[0].headers["X-Token"] for server in servers[:2]] == ["SECRET", None]


def test_all_are_asked_again_until_one_answers(servers: list[MisbehavingServer]) -> None:
    got(servers, [BUSY], [BUSY, BUSY, TAGGED])
    assert [len(asked(server)) for server in servers[:2]] == [3, 3]


def test_one_that_says_no_is_not_asked_again(servers: list[MisbehavingServer]) -> None:
    got(servers, [GONE], [BUSY, BUSY, TAGGED])
    assert [len(asked(server)) for server in servers[:2]] == [1, 3]


def test_where_none_has_it_each_is_told(servers: list[MisbehavingServer]) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(source(servers, [GONE], [Serve(status=403)], [BUSY]))
    assert [len(asked(server)) for server in servers] == [1, 1, 7]
    assert caught.value.url == servers[0].url("/image")
    for server, status in zip(servers, (404, 403, 503), strict=True):
        assert f"{server.url('/image')}: The server answered with HTTP {status}" in caught.value.detail


def test_a_broken_body_goes_on_at_the_same_place(servers: list[MisbehavingServer]) -> None:
    got(servers, [replace(TAGGED, cut_after=CUT), TAGGED], [TAGGED])
    assert [len(asked(server)) for server in servers[:2]] == [2, 0]


def test_the_rest_comes_from_a_mirror_where_a_sum_decides(servers: list[MisbehavingServer]) -> None:
    got(servers, [replace(TAGGED, cut_after=CUT), BUSY], [replace(TAGGED, etag='"other"')], digest=SUM)
    assert asked(servers[1]) == [f"bytes={CUT}-"]
    assert servers[1].seen("/image")[0].headers["If-Range"] is None


@pytest.mark.parametrize("tag", [None, 'W/"a"', '"a"', '"b"'])
def test_without_a_sum_it_begins_anew(servers: list[MisbehavingServer], tag: str | None) -> None:
    """Tags are given out by each place for itself: equal ones may stand for different files."""
    got(servers, [Serve(OTHER, etag=tag, cut_after=CUT), BUSY], [TAGGED])
    assert asked(servers[1]) == [None]


@pytest.mark.parametrize("length", [len(BODY) + 10, len(BODY) - 10, CUT // 2])
def test_a_mirror_with_a_file_of_another_length(servers: list[MisbehavingServer], length: int) -> None:
    broken, wrong = replace(NO_TAG, cut_after=CUT), Serve((BODY + BODY)[:length])
    got(servers, [broken, BUSY, NO_TAG], [wrong], digest=SUM)


def test_a_mirror_with_another_file_of_the_same_length(servers: list[MisbehavingServer]) -> None:
    """The sum of the parts is wrong, and then one piece decides: it comes from wherever it is right."""
    wrong = Serve(BODY[:-5] + b"wrong")
    fetched = got(servers, [replace(NO_TAG, cut_after=CUT), BUSY, NO_TAG], [wrong], digest=SUM)
    assert any("has another sum" in note for note in fetched.notes)


def test_a_wrong_sum_is_looked_for_elsewhere(servers: list[MisbehavingServer]) -> None:
    fetched = got(servers, [Serve(OTHER)], [NO_TAG], digest=SUM)
    assert fetched.notes[0] == f"the file from {servers[0].url('/image')} has another sum"


def test_a_sum_that_is_wrong_everywhere(servers: list[MisbehavingServer]) -> None:
    SUM.reset()
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(source(servers, [Serve(BODY + b"x")], [Serve(OTHER)]), digest=SUM)
    assert caught.value.actual == hashlib.sha256(OTHER).hexdigest()


def streamed(
    servers: list[MisbehavingServer],
    *scripts: list[Act],
    digest: Digest,
    check: Callable[[bytes], None] = lambda _: None,
) -> bytes:
    """The bytes as they are used while they come."""
    digest.reset()
    with StreamSpool(1 << 20) as spool:
        work = BackgroundDownload(source(servers, *scripts), spool, digest=digest, policy=QUICK, check=check)
        at, data = 0, b""
        while (end := spool.come(at + 50_000)) > at:
            data, at = data + spool.pread(end - at, at), end
        work.result()
    return data


NO_SUM = Digest(also=[ChecksumKind.SHA256])
TAGS = [(None, None), ('"a"', '"a"'), ('"a"', '"b"')]


@pytest.mark.parametrize(("digest", "tags"), [*((SUM, tags) for tags in TAGS), (NO_SUM, TAGS[1])])
def test_what_was_used_goes_on_from_a_mirror(
    servers: list[MisbehavingServer], digest: Digest, tags: tuple[str | None, str | None]
) -> None:
    first, second = (replace(NO_TAG, etag=tag) for tag in tags)
    assert streamed(servers, [replace(first, cut_after=CUT), BUSY], [second], digest=digest) == BODY


@pytest.mark.parametrize("tags", [TAGS[0], TAGS[2]])
def test_what_was_used_waits_for_its_own_place_without_a_sum_and_a_tag(
    servers: list[MisbehavingServer], tags: tuple[str | None, str | None]
) -> None:
    """A mirror that begins in the same way may go on in another one."""
    first, other = Serve(BODY, etag=tags[0]), Serve(BODY[:-5] + b"other", etag=tags[1])
    broken = replace(first, cut_after=CUT)
    assert streamed(servers, [broken, BUSY, first], [other], digest=NO_SUM) == BODY
    # The mirror was asked for all of its own; the place that the rest is missing of, for the rest.
    assert asked(servers[1]) == [None]
    assert asked(servers[0]) == [None, *[f"bytes={CUT}-" if tags[0] else None] * 2]


def test_a_mirror_that_breaks_off_while_it_repeats_what_was_used(servers: list[MisbehavingServer]) -> None:
    broken, half = replace(TAGGED, cut_after=CUT), replace(TAGGED, cut_after=CUT // 2)
    assert streamed(servers, [broken, BUSY, TAGGED], [half], digest=NO_SUM) == BODY
    assert asked(servers[0]) == [None, f"bytes={CUT}-", f"bytes={CUT}-"]


def test_a_mirror_that_has_repeated_all_goes_on(servers: list[MisbehavingServer]) -> None:
    broken, further = replace(TAGGED, cut_after=CUT), replace(TAGGED, cut_after=2 * CUT)
    assert streamed(servers, [broken, BUSY, GONE], [further, TAGGED], digest=NO_SUM) == BODY
    assert asked(servers[1]) == [None, f"bytes={2 * CUT}-"]


def test_what_was_used_does_not_go_on_from_another_file(servers: list[MisbehavingServer]) -> None:
    wrong = Serve(b"other" + BODY[5:], etag='"a"')
    with pytest.raises(FetchFailed, match="changed on the server"):
        streamed(servers, [replace(TAGGED, cut_after=CUT), GONE], [wrong], digest=NO_SUM)


def test_a_wrong_sum_of_what_was_used_is_told_at_once(servers: list[MisbehavingServer]) -> None:
    wrong = Serve(BODY[:-5] + b"wrong")
    with pytest.raises(ChecksumMismatch):
        streamed(servers, [replace(NO_TAG, cut_after=CUT), BUSY], [wrong], digest=SUM)
    assert asked(servers[1]) == [f"bytes={CUT}-"]


def test_a_wrong_sum_is_told_though_the_mirrors_can_not_be_reached(servers: list[MisbehavingServer]) -> None:
    SUM.reset()
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(source(servers, [Serve(OTHER)], [GONE]), digest=SUM)
    assert caught.value.actual == hashlib.sha256(OTHER).hexdigest()


def test_a_mirror_without_a_sum_says_what_would_help(servers: list[MisbehavingServer]) -> None:
    with pytest.raises(FetchFailed) as caught:
        streamed(servers, [replace(TAGGED, cut_after=CUT), GONE], [NO_TAG], digest=NO_SUM)
    assert "Without a checksum it can not be told whether it has the same image." in caught.value.reason
    assert "Give the image's checksum (checkSum)" in caught.value.hint


def test_what_to_do_is_said_of_the_url(servers: list[MisbehavingServer]) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(source(servers, [Serve(status=403)], [GONE]))
    assert "HTTP 403" in caught.value.reason
    assert "HTTP 404" in caught.value.reason
    assert "credentials" in caught.value.hint


def test_a_mirror_with_another_kind_of_file_is_named(servers: list[MisbehavingServer]) -> None:
    with pytest.raises(BadFormat) as caught:
        fetch(source(servers, [GONE], [Serve(b"<html>" + bytes(1000))]), on_first_bytes=refuse_pages)
    url, mirror = (server.url("/image") for server in servers[:2])
    assert caught.value.detail.startswith(f"The mirror {mirror}: The file is an HTML page.")
    assert f"{url}: The server answered with HTTP 404" in caught.value.detail
    assert url in caught.value.hint


def refuse_pages(first: bytes) -> None:
    if first.startswith(b"<html>"):
        raise BadFormat("The file is an HTML page.")


@pytest.mark.parametrize("cut_after", [None, 3])
def test_a_page_in_place_of_the_image(servers: list[MisbehavingServer], cut_after: int | None) -> None:
    page = Serve(b"<html>" + bytes(1000))
    places = source(servers, [page], [replace(TAGGED, cut_after=cut_after), TAGGED])
    fetched = fetch(places, on_first_bytes=refuse_pages)
    assert fetched.data == BODY
    assert fetched.notes[0] == (
        f"the file from {servers[0].url('/image')} can not be used: The file is an HTML page"
    )
    SUM.reset()
    assert streamed(servers, [page], [TAGGED], digest=SUM, check=refuse_pages) == BODY


def test_a_page_everywhere(servers: list[MisbehavingServer]) -> None:
    page: Act = Serve(b"<html>")
    for other in (page, GONE):
        with pytest.raises(BadFormat):
            fetch(source(servers, [page], [other]), on_first_bytes=refuse_pages)


@pytest.mark.parametrize(
    "first", [Serve(b""), Serve(BODY + b"more", cut_after=0), Serve(BODY[1:], cut_after=5)]
)
def test_a_place_that_brings_next_to_nothing(servers: list[MisbehavingServer], first: Serve) -> None:
    """Nobody has got any of it, so that it binds nobody."""
    assert streamed(servers, [first, GONE], [TAGGED], digest=NO_SUM) == BODY


def longer_than_announced(client: Client) -> None:
    rest = BODY[CUT:] + b"more" * 50_000
    part = {"Content-Range": f"bytes {CUT}-{len(BODY) - 1}/{len(BODY)}", "ETag": '"a"'}
    client.send(head(206, {**part, "Transfer-Encoding": "chunked"}))
    client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest))


def test_a_part_that_is_longer_than_announced(servers: list[MisbehavingServer]) -> None:
    """Who reads has all there should be, and who fetches would wait for room for ever."""
    broken = replace(TAGGED, cut_after=CUT)
    assert streamed(servers, [broken, longer_than_announced, TAGGED], digest=NO_SUM) == BODY
    with pytest.raises(FetchFailed):
        streamed(servers, [broken, longer_than_announced, GONE], digest=NO_SUM)
