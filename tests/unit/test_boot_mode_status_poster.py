import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agent.boot_mode.status_poster import StatusPoster
from agent.boot_mode.status_url import StatusUrl
from agent.fetch.broken import Broken
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.reporting import events
from agent.reporting.reporter import Reporter
from agent.status import Progress
from tests.misbehaving_server import MisbehavingServer, Serve, unused_port
from tests.unit.test_reporting_common import FAILED, status

AT_ONCE = RetryPolicy(base_delay=0.01, max_delay=0.01, connect_timeout=2, answer_timeout=2, stall_timeout=2)
LONG = 60.0
ENOUGH = 20.0


class Way:
    """The way to a provisioning system, which is cut for a while."""

    def __init__(self, *, cut: bool = False, refusing: int = 0) -> None:
        self.posted: list[dict[str, Any]] = []
        self.cut = cut
        self.refusing = refusing
        self.closed = False
        self._changed = threading.Condition()

    def post(self, body: bytes) -> None:
        with self._changed:
            self._changed.notify_all()
            if self.cut:
                raise Broken("The connection failed.")
            if self.refusing:
                self.refusing -= 1
                raise Broken("The server answered with HTTP 400.", final=True)
            self.posted.append(json.loads(body))

    def close(self) -> None:
        self.closed = True

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.posted) >= count, ENOUGH)

    def messages(self) -> list[str]:
        return [one["message"] for one in self.posted]


@contextmanager
def poster_over(way: Way, heartbeat: float = LONG) -> Iterator[StatusPoster]:
    poster = StatusPoster(way, AT_ONCE, heartbeat=heartbeat)
    yield poster
    way.cut = False
    poster.close()


def test_every_change_is_posted_in_order() -> None:
    way = Way()
    with poster_over(way) as poster:
        reporter = Reporter(status(), [poster])
        reporter.note("It begins.")
        with reporter.step("fetch", "Downloading the image"):
            reporter.warn("Something to know.")
        reporter.tell(events.Finished())
        assert poster.arrives_within(ENOUGH)
    assert way.messages() == ["starting", *["Downloading the image"] * 3, "done"]
    assert [one["warnings"] for one in way.posted[1:3]] == [[], ["Something to know."]]
    assert way.posted[-1]["status"] == "done"
    assert {"servername", "status", "message", "checksum", "steps", "diskTouched"} <= way.posted[0].keys()
    assert way.closed


def test_progress_comes_with_the_next_beat_and_the_beat_goes_on_without_it() -> None:
    way = Way()
    with poster_over(way, heartbeat=0.05) as poster:
        moved = status().model_copy(update={"progress": Progress(bytes_done=1, bytes_total=2)})
        poster.handle(events.Note(""), status())
        poster.handle(events.Progressed("fetch", Progress(bytes_done=1)), moved)
        way.wait_for(4)
    assert way.posted[-1]["progress"]["bytesDone"] == 1


def test_nobody_waits_for_a_way_that_is_cut_and_what_was_missed_comes_later() -> None:
    way = Way(cut=True)
    with poster_over(way) as poster:
        reporter = Reporter(status(), [poster])
        for title in ("one", "two", "three"):
            with reporter.step("fetch", title):
                pass
        way.cut = False
        way.wait_for(6)
        reporter.tell(events.Finished())
        assert poster.arrives_within(ENOUGH)
    assert way.messages() == ["one", "one", "two", "two", "three", "three", "done"]


def test_at_the_end_the_last_word_comes_first_where_the_way_was_cut() -> None:
    way = Way(cut=True)
    poster = StatusPoster(way, AT_ONCE, heartbeat=LONG)
    reporter = Reporter(status(), [poster])
    reporter.warn("one")
    with way._changed:
        way._changed.wait(ENOUGH)
    reporter.warn("two")
    reporter.tell(events.Finished())
    assert not poster.arrives_within(0.2)
    way.cut = False
    assert poster.arrives_within(ENOUGH)
    assert way.messages() == ["done"]


def test_what_is_refused_for_good_is_not_posted_for_ever() -> None:
    way = Way(refusing=1)
    with poster_over(way) as poster:
        reporter = Reporter(status(), [poster])
        reporter.warn("one")
        reporter.warn("two")
        way.wait_for(1)
        assert poster.arrives_within(ENOUGH)
    assert [one["warnings"] for one in way.posted] == [["one", "two"]]


def test_an_end_that_was_refused_has_not_arrived() -> None:
    way = Way(refusing=99)
    with poster_over(way) as poster:
        Reporter(status(), [poster]).tell(FAILED)
        assert not poster.arrives_within(ENOUGH)


def test_a_post_over_http_shows_the_token_and_what_it_is() -> None:
    with MisbehavingServer() as server:
        url = server.on("/status", Serve(status=204))
        line = StatusUrl(Source(url=f"{url}?key=1", headers=(("Authorization", "Bearer s3cret"),)), AT_ONCE)
        poster = StatusPoster(line, AT_ONCE)
        Reporter(status(), [poster]).tell(events.Finished())
        assert poster.arrives_within(ENOUGH)
        (seen,) = server.seen("/status")
    assert (seen.method, seen.target) == ("POST", "/status?key=1")
    assert seen.headers["Authorization"] == "Bearer s3cret"
    assert seen.headers["Content-Type"] == "application/json"
    assert json.loads(seen.body)["status"] == "done"


def test_a_server_that_has_trouble_is_asked_again() -> None:
    with MisbehavingServer() as server:
        url = server.on("/status", Serve(status=503), Serve(status=500), Serve(status=200))
        poster = StatusPoster(StatusUrl(Source(url=url), AT_ONCE), AT_ONCE)
        Reporter(status(), [poster]).tell(events.Finished())
        assert poster.arrives_within(ENOUGH)
        assert len(server.seen("/status")) == 3


def test_where_nobody_listens_the_end_waits_no_longer_than_it_may() -> None:
    url = f"http://127.0.0.1:{unused_port()}/"
    poster = StatusPoster(StatusUrl(Source(url=url), AT_ONCE), AT_ONCE)
    Reporter(status(), [poster]).tell(events.Finished())
    assert not poster.arrives_within(0.3)
    poster.close()
    poster._thread.join(ENOUGH)
    assert not poster._thread.is_alive()
