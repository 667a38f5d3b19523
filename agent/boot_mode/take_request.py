"""Takes the request, or another text, from the provisioning system, as soon as the network lets it."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.boot_mode.retries import REQUEST_RETRIES
from agent.errors import Refused, RequestError
from agent.fetch.broken import Broken
from agent.fetch.redaction import public_url
from agent.fetch.retry import Patience, RetryPolicy
from agent.fetch.source import Source
from agent.request.parse import MAX_REQUEST_SIZE, JsonObject, load_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A text that the provisioning system has."""

    what: str
    """What a person calls it."""
    parameter: str
    """Where its URL stands."""
    most_bytes: int


_REQUEST = Wanted(what="request", parameter="byoi.request", most_bytes=MAX_REQUEST_SIZE)


def take_request(
    url: str, token: str | None, tell: Callable[[str], None], policy: RetryPolicy = REQUEST_RETRIES
) -> JsonObject:
    """Ask until there is a request or an answer that is final; what is waited for is told to ``tell``.

    Raises Refused when there is none in the end, RequestError when what came is none.
    """
    return load_json(taken(_REQUEST, url, token, tell, policy))


def taken(
    wanted: Wanted, url: str, token: str | None, tell: Callable[[str], None], policy: RetryPolicy
) -> bytes:
    """Ask until it comes, or an answer that is final. Raises Refused, RequestError when it is too long."""
    source = bearing(url, token)
    patience = Patience(policy)
    while True:
        try:
            return _asked(wanted, source, policy)
        except Broken as broken:
            delay = patience.wait(broken)
            if delay is None:
                raise _not_had(wanted, url, broken) from None
            tell(f"No {wanted.what} yet: {broken.reason} Asking again in {delay:.0f} s.")
        policy.sleep(delay)


def bearing(url: str, token: str | None) -> Source:
    """Give the place behind ``url``, which is shown the token."""
    return Source(url=url, headers=(("Authorization", f"Bearer {token}"),) if token else ())


def _asked(wanted: Wanted, source: Source, policy: RetryPolicy) -> bytes:
    from agent.fetch.session import Session

    with Session(source, policy) as session, session.ask({}) as answer:
        answer.check(part=False)
        body = bytearray()
        while piece := answer.read():
            body += piece
            if len(body) > wanted.most_bytes:
                raise _too_long(wanted)
    return bytes(body)


def _too_long(wanted: Wanted) -> RequestError:
    return RequestError(
        f"The {wanted.what} is too long.",
        detail=f"The answer has more than {wanted.most_bytes} bytes, which is no {wanted.what}.",
        hint=f"Check {wanted.parameter} on the kernel's command line: it has to name the {wanted.what}.",
    )


def _not_had(wanted: Wanted, url: str, broken: Broken) -> Refused:
    return Refused(
        f"No {wanted.what} could be had from the provisioning system.",
        detail=f"{public_url(url)}: {broken.reason}",
        hint=f"{broken.hint} Then try again with: systemctl restart byoi-agent-boot",
    )
