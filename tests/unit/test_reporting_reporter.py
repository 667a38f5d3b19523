import errno
import logging

import pytest

from agent.errors import Interrupted, Refused
from agent.reporting import events
from agent.reporting.reporter import Reporter
from agent.reporting.status_change import apply
from agent.status import DiskState, State, Status, StepState
from tests.unit.test_reporting_common import (
    DISK,
    FAILED,
    ONE_OF_EACH,
    PROGRESS,
    Clock,
    Heard,
    reporter_with,
    status,
)


class Deaf:
    """A listener whose terminal, or file system, has gone."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def handle(self, _event: events.Event, _status: Status) -> None:
        self.asked += 1
        raise self.error


def states(of: Status) -> list[tuple[str, str, float | None]]:
    return [(step.name, step.state, step.seconds) for step in of.steps]


def after(*told: events.Event) -> Status:
    now = status()
    for event in told:
        now = apply(event, now)
    return now


def test_a_step_is_entered_and_left() -> None:
    heard, clock = Heard(), Clock()
    reporter = reporter_with(heard, clock=clock)
    with reporter.step("fetch", "Downloading the image"):
        assert reporter.status.step == "fetch"
        assert reporter.status.message == "Downloading the image"
        assert states(reporter.status) == [("fetch", "doing", None), ("write", "pending", None)]
        clock.now += 1.5
    assert heard.told[0][0] == events.StepStarted("fetch", "Downloading the image")
    assert heard.told[1][0] == events.StepFinished("fetch", 1.5)
    assert states(heard.told[1][1]) == [("fetch", "done", 1.5), ("write", "pending", None)]


def test_a_step_that_fails_is_not_finished() -> None:
    heard = Heard()
    reporter = reporter_with(heard)
    with pytest.raises(ZeroDivisionError), reporter.step("write", "Writing"):
        raise ZeroDivisionError
    assert heard.kinds == [events.StepStarted]
    reporter.tell(FAILED)
    assert states(reporter.status) == [("fetch", "pending", None), ("write", "failed", None)]
    assert reporter.status.step == "write"


def test_listeners_get_the_status_as_it_is_after_the_event() -> None:
    heard = Heard()
    reporter = reporter_with(heard)
    reporter.warn("Careful.")
    reporter.note("By the way.")
    assert heard.kinds == [events.Warned, events.Note]
    assert [now.warnings for _, now in heard.told] == [("Careful.",), ("Careful.",)]
    assert reporter.status is heard.told[-1][1]


def test_progress_at_most_five_times_a_second() -> None:
    heard, clock = Heard(), Clock()
    reporter = reporter_with(heard, clock=clock)
    moments = []
    with reporter.step("write", "Writing"):
        for done in range(3000):
            clock.now += 0.001
            before = len(heard.told)
            reporter.progress(done, 3000)
            moments += [clock.now] * (len(heard.told) - before)
    assert 14 <= len(moments) <= 15
    assert all(sum(start <= moment < start + 1 for moment in moments) <= 5 for start in moments)


def test_progress_is_bounded_over_steps_too() -> None:
    heard, clock = Heard(), Clock()
    reporter = reporter_with(heard, clock=clock)
    for number in range(100):
        clock.now += 0.01
        with reporter.step("write", "Writing"):
            reporter.progress(number, None)
    assert heard.kinds.count(events.Progressed) <= 5


def test_progress_belongs_to_its_step() -> None:
    heard, clock = Heard(), Clock()
    reporter = reporter_with(heard, clock=clock)
    with reporter.step("fetch", "Downloading"):
        reporter.progress(0, 4000)
        clock.now += 10
        reporter.progress(1000, 4000)
    with reporter.step("write", "Writing"):
        assert reporter.status.progress is None
        clock.now += 1
        reporter.progress(0, None)
        clock.now += 1
        reporter.progress(100, None)
    told = [event for event, _ in heard.told if isinstance(event, events.Progressed)]
    first, second = told[1], told[3]
    assert (first.step, first.progress.bytes_per_second, first.progress.eta_seconds) == ("fetch", 100, 30)
    assert (second.step, second.progress.bytes_per_second, second.progress.eta_seconds) == (
        "write",
        100,
        None,
    )


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_listener_that_fails_is_dropped(error: OSError, caplog: pytest.LogCaptureFixture) -> None:
    deaf, heard = Deaf(error), Heard()
    reporter = Reporter(status(), [deaf, heard])
    with caplog.at_level(logging.INFO), reporter.step("write", "Writing"):
        reporter.note("More.")
    assert deaf.asked == 1
    assert heard.kinds == [events.StepStarted, events.Note, events.StepFinished]
    assert "Deaf no longer listens" in caplog.text


def test_a_defect_in_a_listener_does_not_cost_the_deployment(caplog: pytest.LogCaptureFixture) -> None:
    deaf, heard = Deaf(ZeroDivisionError("s3cret")), Heard()
    reporter = Reporter(status(), [deaf, heard])
    with caplog.at_level(logging.INFO):
        reporter.note("More.")
        reporter.note("More.")
    assert (deaf.asked, len(heard.told)) == (1, 2)
    assert "Deaf no longer listens: ZeroDivisionError" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_signal_that_comes_while_a_listener_writes_is_heard() -> None:
    deaf, heard = Deaf(Interrupted(15, "SIGTERM")), Heard()
    with pytest.raises(Interrupted):
        Reporter(status(), [deaf, heard]).note("More.")
    record, reporter = Forgetful(), reporter_with()
    reporter.keep_in(record)
    record.error = Interrupted(15, "SIGTERM")
    record.fails = True
    with pytest.raises(Interrupted):
        reporter.note("More.")
    with pytest.raises(Interrupted):
        reporter_with().keep_in(record)


class Forgetful:
    """A record that fails as long as it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self.error: Exception = OSError(errno.ENOSPC, "No space left on device")
        self.kept: list[Status] = []

    def handle(self, _event: events.Event, now: Status) -> None:
        if self.fails:
            raise self.error
        self.kept.append(now)

    def refused(self, error: Exception) -> Refused:
        return Refused("The status can not be written.", detail=str(error), hint="Make room.")


def test_the_record_is_never_left_out() -> None:
    record, reporter = Forgetful(), reporter_with()
    reporter.keep_in(record)
    record.fails = True
    reporter.warn("one")
    record.fails = False
    reporter.warn("two")
    assert [now.warnings for now in record.kept] == [(), ("one", "two")]


def test_nothing_begins_without_a_record() -> None:
    record = Forgetful()
    record.fails = True
    with pytest.raises(Refused):
        reporter_with().keep_in(record)


def test_no_disk_is_overwritten_without_a_record() -> None:
    record, heard = Forgetful(), Heard()
    reporter = reporter_with(heard)
    reporter.keep_in(record)
    record.fails = True
    with pytest.raises(Refused, match="The status can not be written"):
        reporter.tell(events.DiskTouched())
    assert (reporter.status.disk_touched, heard.told) == (False, [])


def test_the_state_of_the_disk() -> None:
    told: list[events.Event] = [events.DiskChosen(DISK), events.DiskTouched(), events.BootPrevented()]
    told += [events.BootAllowed(), events.Finished()]
    assert [after(*told[: count + 1]).disk_state for count in range(len(told))] == [
        DiskState.UNTOUCHED,
        DiskState.MAY_BOOT,
        DiskState.NOT_BOOTABLE,
        DiskState.MAY_BOOT,
        DiskState.DEPLOYED,
    ]
    assert after(*told[:4], events.BootPrevented(), FAILED).disk_state is DiskState.NOT_BOOTABLE


def test_what_each_event_changes() -> None:
    assert after(events.DiskChosen(DISK)).disk == DISK
    assert after(events.SumKnown("abc")).checksum == "abc"
    assert after(events.DiskTouched()).disk_touched is True
    assert after(events.Progressed("write", PROGRESS)).progress == PROGRESS
    assert after(events.Warned("a"), events.Warned("b")).warnings == ("a", "b")
    assert after(events.Note("a")) == status()


def test_the_end_in_error() -> None:
    failed = after(events.StepStarted("write", "Writing"), events.Progressed("write", PROGRESS), FAILED)
    assert (failed.status, failed.message) == (State.ERROR, "Can't write raw on disk.")
    assert (failed.detail, failed.hint) == ("The cable came off.", "Put it back.")
    assert failed.progress is None
    assert failed.finished_at is not None
    assert failed.steps[1].state is StepState.FAILED


def test_the_good_end() -> None:
    done = after(*ONE_OF_EACH[:-2], events.Finished())
    assert (done.status, done.message, done.step) == (State.DONE, "done", None)
    assert (done.progress, done.detail, done.hint) == (None, None, None)
    assert done.finished_at is not None
    assert done.steps[1].state is StepState.DONE


def test_the_beginning() -> None:
    assert (status().status, status().message) == (State.DOING, "starting")
