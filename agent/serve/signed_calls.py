"""Who may call where there are credentials: whoever signs with one of them, now, and only once."""

from collections.abc import Callable
from http import HTTPStatus

from agent.serve.call import Call
from agent.serve.credentials import Credentials, Keys
from agent.serve.refusal import CallRefused
from agent.serve.seen_signatures import WINDOW, SeenSignatures
from agent.serve.signature import parse_timestamp, same, signature

_CHANGING = ("POST", "DELETE")
_CLOCKS_DIFFER = 2
"""Seconds that a client may be behind although it has asked this server: both count whole ones."""


class SignedCalls:
    """Lets pass what is signed."""

    def __init__(
        self,
        credentials: Credentials,
        base_url: str | None,
        *,
        clock: Callable[[], float],
        seen: SeenSignatures | None = None,
    ) -> None:
        """``base_url`` is what clients call this server by; None: what each call says itself."""
        self._keys = credentials.keys
        self._base_url = base_url
        self._clock = clock
        self._started = int(clock())
        self._seen = seen or SeenSignatures()

    def check_head(self, call: Call) -> None:
        """Refuse a call before its body is read, where that is clear already. Raises CallRefused."""
        self._keys_of(call)
        self._check_time(call)

    def check_body(self, call: Call, body: bytes) -> None:
        """Refuse a call that is not signed, or was made before. Raises CallRefused."""
        given, timestamp = call.only("x-ovh-signature") or "", call.only("x-ovh-timestamp") or ""
        url = self._url(call)
        expected = signature(self._keys_of(call), method=call.method, url=url, body=body, timestamp=timestamp)
        if not same(given, expected):
            raise _bad_signature(
                f"It does not fit the method, the URL ({url}), the body, the timestamp and the keys.",
                "Check the application secret, and that the client uses this very URL (see --base-url).",
            )
        self._check_new(call.method, expected)

    def _keys_of(self, call: Call) -> Keys:
        application, consumer = call.only("x-ovh-application") or "", call.only("x-ovh-consumer") or ""
        # All are looked at, so that the time tells nothing of them.
        known = [keys for keys in self._keys if same(keys.application_key, application)]
        if not known:
            raise _refused(
                "INVALID_KEY",
                "This application key is invalid.",
                "X-Ovh-Application is missing, or is none of the application keys of this server.",
                "Use the keys in the file that the server was started with (--credentials).",
            )
        found = [keys for keys in known if same(keys.consumer_key, consumer)]
        if not found:
            raise _refused(
                "INVALID_CREDENTIAL",
                "This credential is not valid.",
                "X-Ovh-Consumer is missing, or is no consumer key that goes with this application key.",
                "Use the keys in the file that the server was started with (--credentials).",
            )
        return found[0]

    def _check_time(self, call: Call) -> None:
        timestamp, now = parse_timestamp(call.only("x-ovh-timestamp") or ""), self._clock()
        if timestamp is None:
            raise _bad_signature(
                "X-Ovh-Timestamp is missing, or no number of seconds.", "Sign every call but /auth/time."
            )
        if abs(now - timestamp) > WINDOW:
            raise _bad_signature(
                f"X-Ovh-Timestamp differs from this server's time by {abs(now - timestamp):.0f} s; "
                f"{WINDOW} are the most there may be.",
                "Take the time from GET /1.0/auth/time, as the official clients do.",
            )
        if call.method in _CHANGING and timestamp < self._started - _CLOCKS_DIFFER:
            # What was taken before that, nobody here remembers.
            raise _bad_signature("The call was signed before this server started.", "Make the call again.")

    def _check_new(self, method: str, expected: str) -> None:
        if method not in _CHANGING:
            new = self._seen.may_ask(expected)
        elif self._seen.is_full:
            raise CallRefused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY_CALLS",
                "There were too many calls.",
                detail="This server remembers every call that changes something, and has no room for more.",
                hint="Wait two minutes, then try again.",
                Retry_After=str(2 * WINDOW),
            )
        else:
            new = self._seen.is_new(expected)
        if not new:
            raise _bad_signature(
                "A call with this signature was made before.", "Sign every call anew, with the time of it."
            )

    def _url(self, call: Call) -> str:
        base = self._base_url or f"{call.scheme}://{call.only('host') or ''}"
        return base + call.target


def _bad_signature(detail: str, hint: str) -> CallRefused:
    return _refused("INVALID_SIGNATURE", "Invalid signature.", detail, hint)


def _refused(code: str, message: str, detail: str, hint: str) -> CallRefused:
    return CallRefused(HTTPStatus.FORBIDDEN, code, message, detail=detail, hint=hint)
