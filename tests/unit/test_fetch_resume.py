"""Connections that break in the middle: what is kept, what is asked next, and what must never be mixed."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import ChecksumMismatch, FetchFailed
from tests.misbehaving_server import Client, End, MisbehavingServer, Serve
from tests.unit.test_fetch_common import BODY, OTHER, QUICK, fetch

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
CUT = 100_000


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        yield it


def expecting(data: bytes) -> Digest:
    return Digest(Checksum(ChecksumKind.SHA256, hashlib.sha256(data).hexdigest()))


def whole(**knobs: object) -> Serve:
    return Serve(BODY, **{"etag": '"a"', **knobs})  # type: ignore[arg-type]


def cut(**knobs: object) -> Serve:
    return whole(cut_after=CUT, **knobs)


def ranges(server: MisbehavingServer) -> list[str | None]:
    return [request.headers["Range"] for request in server.seen("/image")]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_broken_body_is_continued(server: MisbehavingServer, end: End, chunked: bool) -> None:
    broken = cut(end=end, chunked=chunked)
    fetched = fetch(server.on("/image", broken, broken, whole(chunked=chunked)), digest=expecting(BODY))
    assert fetched.data == BODY
    assert ranges(server) == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert [request.headers["If-Range"] for request in server.seen("/image")] == [None, '"a"', '"a"']
    assert re.fullmatch(r"The connection .* at 100000 bytes; resuming in 0 s \(1 of 6\)", fetched.notes[0])


def test_a_body_that_breaks_often_but_moves_on_comes_whole(server: MisbehavingServer) -> None:
    url = server.on("/image", whole(cut_after=len(BODY) // 20))
    assert fetch(url, policy=replace(QUICK, retries=1)).data == BODY
    assert len(server.seen("/image")) == 20


def test_a_body_that_breaks_without_moving_on_does_not(server: MisbehavingServer) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(server.on("/image", cut(), whole(cut_after=0)))
    assert caught.value.attempts == 1 + 6
    assert "100000 bytes had come" in caught.value.detail


def test_refusals_in_between_do_not_lose_what_is_there(server: MisbehavingServer) -> None:
    refusal = Serve(status=503)
    assert fetch(server.on("/image", cut(), refusal, refusal, whole())).data == BODY
    assert ranges(server) == [None, *[f"bytes={CUT}-"] * 3]


def test_a_final_answer_in_between_is_final(server: MisbehavingServer) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(server.on("/image", cut(), Serve(status=403)))
    assert caught.value.status == 403
    assert caught.value.attempts == 2


def test_a_date_is_a_validator_too(server: MisbehavingServer) -> None:
    dated = Serve(BODY, last_modified=OLD)
    assert fetch(server.on("/image", replace(dated, cut_after=CUT), dated)).data == BODY
    assert server.seen("/image")[1].headers["If-Range"] == OLD


def test_without_a_validator_and_a_checksum_it_starts_again(server: MisbehavingServer) -> None:
    fetched = fetch(server.on("/image", Serve(BODY, cut_after=CUT), Serve(BODY)))
    assert fetched.data == BODY
    assert ranges(server) == [None, None]
    assert "starting again" in fetched.notes[0]


def test_a_weak_etag_is_no_validator(server: MisbehavingServer) -> None:
    assert fetch(server.on("/image", cut(etag='W/"a"'), whole(etag='W/"a"'))).data == BODY
    assert ranges(server) == [None, None]


def test_with_a_checksum_a_validator_is_not_needed(server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(BODY, cut_after=CUT), Serve(BODY))
    assert fetch(url, digest=expecting(BODY)).data == BODY
    assert ranges(server) == [None, f"bytes={CUT}-"]
    assert server.seen("/image")[1].headers["If-Range"] is None


def test_parts_of_two_versions_are_found_by_the_checksum(server: MisbehavingServer) -> None:
    changed = OTHER[:CUT] + BODY[CUT:][::-1]
    url = server.on("/image", Serve(BODY, cut_after=CUT), Serve(changed), Serve(changed))
    assert fetch(url, digest=expecting(changed)).data == changed
    assert ranges(server) == [None, f"bytes={CUT}-", None]


def test_a_checksum_that_is_wrong_for_parts_and_whole_is_wrong(server: MisbehavingServer) -> None:
    broken = Serve(BODY, cut_after=CUT)
    with pytest.raises(ChecksumMismatch):
        fetch(server.on("/image", broken, Serve(BODY), broken, Serve(BODY)), digest=expecting(OTHER))
    assert len(server.seen("/image")) == 4


def test_a_wrong_checksum_of_proven_parts_is_final(server: MisbehavingServer) -> None:
    with pytest.raises(ChecksumMismatch):
        fetch(server.on("/image", cut(), whole()), digest=expecting(OTHER))
    assert len(server.seen("/image")) == 2


def test_a_server_that_knows_no_ranges_sends_all_again(server: MisbehavingServer) -> None:
    fetched = fetch(server.on("/image", cut(), whole(ranges=False)), digest=expecting(BODY))
    assert fetched.data == BODY
    assert len(server.seen("/image")) == 2
    assert "from the beginning" in fetched.notes[1]
    done = [step[0] for step in fetched.steps]
    assert done[-1] == len(BODY)


def test_starting_again_over_and_over_is_not_progress(server: MisbehavingServer) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(server.on("/image", cut(ranges=False)))
    assert caught.value.attempts == 7


@pytest.mark.parametrize("honest", [True, False], ids=["answers 200", "ignores If-Range"])
def test_a_file_that_changed_is_taken_whole(server: MisbehavingServer, honest: bool) -> None:
    shown: list[bytes] = []
    changed = Serve(OTHER, etag='"b"', if_range=honest)
    fetched = fetch(server.on("/image", cut(), changed), digest=expecting(OTHER), on_first_bytes=shown.append)
    assert fetched.data == OTHER
    assert fetched.result.etag == '"b"'
    assert shown == [BODY[: 64 << 10], OTHER[: 64 << 10]]
    assert fetched.steps[-1] == (len(OTHER), len(OTHER))


@pytest.mark.parametrize("tags", [(None, None), (None, '"b"')])
def test_a_file_of_another_day_is_another_file(
    server: MisbehavingServer, tags: tuple[str | None, str | None]
) -> None:
    """Nobody has a sum that would tell, and the server does not look at If-Range."""
    days = ["Tue, 03 Nov 2026 10:00:00 GMT", "Wed, 04 Nov 2026 10:00:00 GMT"]
    first = Serve(BODY, etag=tags[0], last_modified=days[0], cut_after=CUT)
    changed = Serve(BODY[::-1], etag=tags[1], last_modified=days[1], if_range=False)
    assert fetch(server.on("/image", first, changed)).data == BODY[::-1]
    assert ranges(server) == [None, f"bytes={CUT}-", None]


def test_a_file_of_another_length_is_another_file(server: MisbehavingServer) -> None:
    longer = Serve(BODY + b"more", etag='"a"')
    assert fetch(server.on("/image", cut(), longer)).data == BODY + b"more"
    assert ranges(server) == [None, f"bytes={CUT}-", None]


@pytest.mark.parametrize("shift", [-1, 1, -CUT])
def test_the_wrong_part_is_not_taken(server: MisbehavingServer, shift: int) -> None:
    url = server.on("/image", cut(), whole(shift=shift), whole())
    assert fetch(url, digest=expecting(BODY)).data == BODY
    assert ranges(server) == [None, f"bytes={CUT}-", None]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Range": "nonsense"},
        {"Content-Type": "multipart/byteranges; boundary=x"},
        {"Content-Range": f"bytes {CUT}-{len(BODY) - 2}/{len(BODY)}"},
    ],
    ids=["no range", "nonsense", "multipart", "a range that is shorter than the part"],
)
def test_a_part_that_is_not_described_is_not_taken(
    server: MisbehavingServer, headers: dict[str, str]
) -> None:
    vague = Serve(BODY[CUT:], status=206, etag='"a"', headers=headers)
    assert fetch(server.on("/image", cut(), vague, whole()), digest=expecting(BODY)).data == BODY
    assert ranges(server) == [None, f"bytes={CUT}-", None]


def test_a_server_that_gives_less_than_the_rest_is_asked_for_more(server: MisbehavingServer) -> None:
    def at_most_100_000(client: Client) -> None:
        start = int((client.request.headers["Range"] or "bytes=0-")[6:-1])
        part = BODY[start : start + 100_000]
        described = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(BODY)}"}
        Serve(part, status=206, etag='"a"', headers=described)(client)

    assert fetch(server.on("/image", at_most_100_000)).data == BODY
    assert ranges(server) == [None, "bytes=100000-", "bytes=200000-"]


def test_a_part_that_is_cut_short_is_noticed(server: MisbehavingServer) -> None:
    url = server.on("/image", cut(), whole(cut_after=len(BODY) - CUT - 1), whole())
    assert fetch(url).data == BODY
    assert ranges(server) == [None, f"bytes={CUT}-", f"bytes={len(BODY) - 1}-"]


def test_a_part_without_length_that_is_cut_short_is_noticed(server: MisbehavingServer) -> None:
    url = server.on("/image", cut(), whole(length="none", cut_after=1000), whole())
    assert fetch(url).data == BODY


def test_a_range_that_can_not_be_satisfied_means_start_again(server: MisbehavingServer) -> None:
    gone = Serve(status=416, headers={"Content-Range": "bytes */50"})
    shorter = Serve(BODY[:50], etag='"b"')
    assert fetch(server.on("/image", cut(), gone, shorter)).data == BODY[:50]
    assert ranges(server) == [None, f"bytes={CUT}-", None]


def test_a_range_that_was_never_asked_for_can_not_be_unsatisfiable(server: MisbehavingServer) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(server.on("/image", Serve(status=416)))
    assert caught.value.status == 416
    assert caught.value.attempts == 1


def test_all_bytes_but_no_end_is_not_whole(server: MisbehavingServer) -> None:
    """A chunked body whose last chunk is missing: everything came, and nothing says so."""
    endless = whole(chunked=True, cut_after=len(BODY))
    beyond = Serve(status=416, headers={"Content-Range": f"bytes */{len(BODY)}"})
    assert fetch(server.on("/image", endless, beyond, whole(chunked=True))).data == BODY
    assert ranges(server) == [None, f"bytes={len(BODY)}-", None]
