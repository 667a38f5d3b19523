"""Takes the request from the provisioning system, as soon as the network lets it."""

from collections.abc import Callable

from agent.boot_mode.retries import REQUEST_RETRIES
from agent.errors import Refused, RequestError
from agent.fetch.broken import Broken
from agent.fetch.redaction import public_url
from agent.fetch.retry import Patience, RetryPolicy
from agent.fetch.source import Source
from agent.request.parse import MAX_REQUEST_SIZE, JsonObject, load_json


def take_request(
    url: str, token: str | None, tell: Callable[[str], None], policy: RetryPolicy = REQUEST_RETRIES
) -> JsonObject:
    """Ask until there is a request or an answer that is final; what is waited for is told to ``tell``.

    Raises Refused when there is none in the end, RequestError when what came is none.
    """
    source = bearing(url, token)
    patience = Patience(policy)
    while True:
        try:
            return load_json(_asked(source, policy))
        except Broken as broken:
            delay = patience.wait(broken)
            if delay is None:
                raise _not_had(url, broken) from None
            tell(f"No request yet: {broken.reason} Asking again in {delay:.0f} s.")
        policy.sleep(delay)


def bearing(url: str, token: str | None) -> Source:
    """Give the place behind ``url``, which is shown the token."""
    return Source(url=url, headers=(("Authorization", f"Bearer {token}"),) if token else ())


def _asked(source: Source, policy: RetryPolicy) -> bytes:
    from agent.fetch.session import Session

    with Session(source, policy) as session, session.ask({}) as answer:
        answer.check(part=False)
        body = bytearray()
        while piece := answer.read():
            body += piece
            if len(body) > MAX_REQUEST_SIZE:
                raise RequestError(
                    "The request is too long.",
                    detail=f"The answer has more than {MAX_REQUEST_SIZE} bytes, which is no request.",
                    hint="Check byoi.request on the kernel's command line: it has to name the request.",
                )
    return bytes(body)


def _not_had(url: str, broken: Broken) -> Refused:
    return Refused(
        "No request could be had from the provisioning system.",
        detail=f"{public_url(url)}: {broken.reason}",
        hint=f"{broken.hint} Then try again with: systemctl restart byoi-agent-boot",
    )
