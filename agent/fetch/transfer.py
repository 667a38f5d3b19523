"""The attempts that make up a download, and what is carried from one to the next."""

from collections.abc import Callable
from http import HTTPStatus

from agent.effort import Effort, Limit
from agent.fetch.asking import Reply
from agent.fetch.beginning import Beginning
from agent.fetch.broken import Broken
from agent.fetch.digest import Digest
from agent.fetch.downloaded import Downloaded
from agent.fetch.errors import ChecksumMismatch, FetchFailed
from agent.fetch.headers import Identity, content_length, content_range, identity
from agent.fetch.listener import FetchListener
from agent.fetch.memory import Budget
from agent.fetch.redaction import public_url
from agent.fetch.repeated import Repeated, changed_and_used
from agent.fetch.retry import Patience, RetryPolicy, SpeedGuard
from agent.fetch.source import Source
from agent.fetch.spool import Spool
from agent.fetch.turns import Turn, Turns
from partitioning.errors import ExplainedError

_PROGRESS_INTERVAL = 0.1
_GIVE_SUM = "Give the image's checksum (checkSum): another place then goes on where one fails."
_UNKNOWN = Identity(etag=None, last_modified=None, total=None)


class Transfer:
    """One download: attempts, until the image is whole or another attempt is not worth it."""

    def __init__(
        self,
        *,
        source: Source,
        spool: Spool,
        digest: Digest,
        budget: Budget,
        policy: RetryPolicy,
        listener: FetchListener,
        on_first_bytes: Callable[[bytes], None],
        effort: Effort,
    ) -> None:
        """See ``download``."""
        self._source = source
        self._turns = Turns(source, policy)
        self._spool = spool
        self._digest = digest
        self._budget = budget
        self._policy = policy
        self._listener = listener
        self._beginning = Beginning(on_first_bytes)
        self._effort = effort
        self._patience = Patience(policy)
        self._attempts = 0
        self._reported = float("-inf")
        self._started_over_for_sum = False
        self._most = 0
        self._most_before = 0
        self._failures: dict[str, Broken] = {}
        self._elsewhere = False
        self._identity = _UNKNOWN
        self._from_start = False
        self._repeated: Repeated | None = None
        self._announced: int | None = None
        self._origin = source
        self._wrong: ExplainedError | None = None
        self._start_over()

    def run(self) -> Downloaded:
        """Do it; raises FetchFailed, TooBigForMemory or ChecksumMismatch."""
        try:
            self._until_whole()
        except Broken as broken:
            raise self._wrong or self._failed(broken) from None
        finally:
            self._turns.close()
        self._spool.finish()
        return Downloaded(
            size=self._spool.arrived,
            digests=self._digest.values(),
            etag=self._identity.etag,
        )

    def _until_whole(self) -> None:
        while True:
            self._most_before = self._most
            try:
                self._attempt()
                self._verify()
            except Broken as broken:
                self._wait_for_retry(broken)
            else:
                return

    def _attempt(self) -> None:
        self._attempts += 1
        with self._turns.ask(self._conditions()) as answer:
            answer.check(part=self._come > 0)
            self._begin(answer)
            self._receive(answer)

    def _conditions(self) -> dict[str, str]:
        """Return the headers that ask for the rest only (RFC 9110 sections 13.1.5 and 14.2)."""
        if not self._come or self._from_start or self._is_stranger or not self._can_resume():
            return {}
        conditions = {"Range": f"bytes={self._come}-"}
        if self._identity.validator:
            conditions["If-Range"] = self._identity.validator
        return conditions

    @property
    def _is_stranger(self) -> bool:
        """Tell whether this place may have another file than what has come is of: it sends all of its own."""
        return not self._elsewhere and self._turns.source != self._origin

    def _begin(self, answer: Reply) -> None:
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            self._continue_at(answer)
        else:
            self._take_from_start(answer)
        if self._identity.total is not None:
            # First: what is too large for the disk as well is not helped by more memory.
            self._listener.progress(self._come, self._identity.total)
            self._budget.require(self._identity.total - self._spool.arrived)
            self._require_announced(self._identity.total)

    def _require_announced(self, total: int) -> None:
        if not self._spool.can_start_again and self._announced not in (None, total):
            raise changed_and_used()

    def _announce(self) -> None:
        total = self._identity.total
        if total not in (None, self._announced):
            self._announced = total
            self._spool.announce(total)

    def _continue_at(self, answer: Reply) -> None:
        coming = content_range(answer.headers)
        if self._from_start or coming is None or coming.first != self._come:
            raise Broken("The server sent another part than the one asked for.", start_over=True)
        if self._elsewhere:
            self._require_agreement(identity(answer.headers, total=coming.total))
        length = content_length(answer.headers)
        if length not in (None, coming.last - coming.first + 1):
            raise Broken("The server contradicts itself about the length of a part.", start_over=True)
        file = identity(answer.headers, total=coming.total)
        if file.contradicts(self._identity):
            raise Broken("The image changed on the server while it was downloaded.", start_over=True)
        self._repeated = None
        self._mixed |= self._come > 0 and self._identity.validator is None
        self._identity = self._identity.completed_by(file)

    def _require_agreement(self, there: Identity) -> None:
        """Make sure that a place may have the file that another has begun to send; the sum decides."""
        if there.total != self._identity.total:
            raise _another_version()
        self._elsewhere = False
        self._origin = self._turns.source

    def _require_same(self, there: Identity) -> None:
        """Make sure, as far as can be done without a sum, that what was used goes on with the same file.

        Besides, what has come has to come a second time, see ``Repeated``.
        """
        known = self._identity
        is_other_place = self._turns.source != self._origin
        if is_other_place and (known.etag is None or (there.etag, there.total) != (known.etag, known.total)):
            raise Broken(
                "Without a checksum it can not be told whether it has the same image.",
                hint=_GIVE_SUM,
                final=True,
            )

    def _take_from_start(self, answer: Reply) -> None:
        found = identity(answer.headers, total=content_length(answer.headers))
        if self._come:
            if not self._spool.can_start_again and self._digest.expected is None:
                self._require_same(found)
            if not (self._from_start or self._is_stranger):
                self._listener.note("the server sends the image from the beginning; starting again")
            self._begin_anew()
        else:
            self._origin = self._turns.source
        self._identity = found
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            self._listener.note("the server calls the image encoded; it is taken as it is stored")
        if self._identity.total is None and self._digest.expected is None:
            self._listener.note(
                "the server does not say how long the image is, and there is no checksum; "
                "only the checks of the image itself can tell whether it is whole"
            )

    def _start_over(self) -> None:
        """What is there can not be continued: ask for all of it."""
        self._from_start = self._spool.arrived > 0 and not self._spool.can_start_again
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._mixed = self._elsewhere = False
        if self._spool.arrived and not self._spool.can_start_again:
            # What is there may have been used: the same has to come again, and is passed over.
            self._repeated = Repeated(self._come, self._digest)
            return
        self._identity = _UNKNOWN
        self._announced = None
        self._spool.truncate(0)
        self._digest.reset()
        self._beginning.forget()

    def _receive(self, answer: Reply) -> None:
        guard = SpeedGuard(self._policy, self._held)
        while piece := self._read(answer):
            waited = self._take(piece)
            guard.pause(waited)
            self._patience.pause(waited)
            self._most = max(self._most, self._held)
            self._patience.received(self._held)
            self._report()
            guard.check(self._held)
        self._check_complete()
        self._keep(self._looked_at(self._beginning.end))
        self._report(last=True)

    def _read(self, answer: Reply) -> bytes:
        if self._turns.source.is_file:
            return answer.read()
        with self._effort.spent(Limit.NETWORK):
            return answer.read()

    @property
    def _held(self) -> int:
        """How many bytes have come, counted from the beginning where they come a second time."""
        return self._repeated.seen if self._repeated else self._come

    @property
    def _come(self) -> int:
        """How many bytes are there, those that nobody has got yet among them."""
        return self._spool.arrived + self._beginning.held

    def _take(self, piece: bytes) -> float:
        """Keep the next bytes, or compare them; give for how many seconds there was no room."""
        if (total := self._length) is not None and self._held + len(piece) > total:
            raise Broken(f"More came than the {total} bytes that there should be.", start_over=True)
        if self._repeated is not None:
            piece = self._repeated.rest_of(piece)
            if self._repeated.is_left:
                return 0.0
            self._repeated, self._from_start = None, False
            self._origin = self._turns.source
        return self._keep(self._looked_at(lambda: self._beginning.add(piece)))

    def _looked_at(self, take: Callable[[], bytes]) -> bytes:
        """Give what is free; where the beginning is not right, it is looked for elsewhere."""
        try:
            return take()
        except ExplainedError as wrong:
            self._try_elsewhere(wrong, f"can not be used: {wrong.detail}")
            raise

    def _keep(self, piece: bytes) -> float:
        if not piece:
            return 0.0
        self._announce()
        self._budget.take(len(piece))
        with self._effort.spent(Limit.PROCESSOR):
            self._digest.update(piece)
        return self._spool.append(piece)

    @property
    def _length(self) -> int | None:
        """How long the file is, as far as anybody has said."""
        if self._identity.total is None and not self._spool.can_start_again:
            return self._announced  # an answer that does not say it does not take back what another has said
        return self._identity.total

    def _check_complete(self) -> None:
        held, total = self._held, self._length
        if self._repeated is not None:
            raise Broken(f"The connection ended after {held} bytes, and more had come before.")
        if total is not None and held != total:
            raise Broken(f"The connection ended after {held} of {total} bytes.")
        if held == 0:
            raise Broken(
                "The server answered with an empty file.",
                hint="Check the URL, and the file on the server.",
                final=True,
            )

    def _verify(self) -> None:
        try:
            self._digest.verify()
        except ChecksumMismatch as wrong:
            if not self._mixed or self._started_over_for_sum or not self._spool.can_start_again:
                self._try_elsewhere(wrong, "has another sum")
                raise
        else:
            return
        # Parts were put together without a validator, perhaps of two versions. One piece decides.
        self._started_over_for_sum = True
        raise Broken("The sum of the parts is wrong.", start_over=True)

    def _try_elsewhere(self, wrong: ExplainedError, what: str) -> None:
        """Go on elsewhere, if that can be done, where the file of a place is another one."""
        if self._turns.has_others and (self._spool.can_start_again or not self._spool.arrived):
            self._wrong = self._wrong or wrong
            self._listener.note(f"the file from {public_url(self._turns.source.url)} {what.rstrip('.')}")
            raise Broken("Its file is another one.", start_over=True, final=True) from wrong
        if self._wrong is None and self._failures and self._turns.source is not self._source:
            self._tell_of_mirror(wrong)

    def _tell_of_mirror(self, wrong: ExplainedError) -> None:
        """Say whose file is wrong, and why it was asked: what would mend it is not in the request."""
        mirror = public_url(self._turns.source.url)
        url = public_url(self._source.url)
        failed = self._failures.get(url)
        why = f" It was asked because of {url}: {failed.reason}" if failed else ""
        wrong.detail = f"The mirror {mirror}: {wrong.detail}{why}"
        wrong.hint = f"See that {url} can be had, and that the mirror has the same file."

    def _report(self, *, last: bool = False) -> None:
        now = self._policy.clock()
        if last or now - self._reported >= _PROGRESS_INTERVAL:
            self._reported = now
            self._listener.progress(self._come, self._identity.total)

    def _wait_for_retry(self, broken: Broken) -> None:
        """Get ready for another attempt, or raise ``broken`` when it is not worth one."""
        place = public_url(self._turns.source.url)
        self._failures[place] = broken
        has_moved = self._most - self._most_before >= self._policy.min_progress
        turn = self._turns.after(broken, has_moved=has_moved)
        if turn is not Turn.HERE:
            self._go_elsewhere(broken, later=turn is Turn.ELSEWHERE_LATER)
            return
        delay = self._patience.wait(broken)
        if delay is None:
            raise broken
        at = f" at {_amount(self._come)}" if self._come else ""
        if broken.start_over or not self._can_resume():
            self._start_over()
        how = "resuming" if self._come and not self._from_start else "starting again"
        count = f"{self._patience.retry} of {self._policy.retries}"
        self._listener.note(f"{broken.reason.rstrip('.')}{at}; {how} in {delay:.0f} s ({count})")
        self._policy.sleep(delay)

    def _go_elsewhere(self, broken: Broken, *, later: bool) -> None:
        delay: float | None = 0.0
        if later:
            delay = self._patience.wait(Broken(broken.reason, retry_after=broken.retry_after))
            if delay is None:
                raise broken
        # What a place says that has another version says nothing of what others have sent.
        is_other_file = broken.start_over and not self._elsewhere
        if is_other_file or (not self._can_go_on_elsewhere() and self._spool.can_start_again):
            self._start_over()
        wait = f" in {delay:.0f} s" if delay else ""
        following = public_url(self._turns.source.url)
        self._listener.note(f"{broken.reason.rstrip('.')}; trying {following}{wait}")
        self._policy.sleep(delay or 0.0)

    def _can_go_on_elsewhere(self) -> bool:
        """Tell whether the rest may come from another place, and note what has to agree for it."""
        known = self._identity
        if not self._come or self._from_start or known.total is None:
            return False
        # Without a sum a part of another file would not be found out: two places give out their ETags each
        # for itself, and equal ones mean nothing (RFC 9110, section 8.8.3).
        if self._digest.expected is None:
            return False
        self._identity = Identity(etag=None, last_modified=None, total=known.total)
        self._elsewhere = True
        return True

    def _can_resume(self) -> bool:
        """Without a validator two versions could be mixed, and only a checksum would show it."""
        return self._identity.validator is not None or self._digest.expected is not None

    def _failed(self, broken: Broken) -> FetchFailed:
        so_far = f" {_amount(self._come)} had come." if self._come else ""
        url = public_url(self._source.url)
        own = self._failures.get(url, broken)
        lacks_sum = any(each.hint == _GIVE_SUM for each in self._failures.values())
        others = [f"{place}: {each.reason}" for place, each in self._failures.items() if place != url]
        return FetchFailed(
            url=url,
            reason=" ".join([own.reason + so_far, *others]),
            hint=f"{own.hint} {_GIVE_SUM}" if lacks_sum else own.hint,
            status=broken.status,
            attempts=self._attempts,
        )


def _another_version() -> Broken:
    return Broken("It has another version of the image.", final=True)


def _amount(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size} bytes"
