"""Who may call where there are no credentials: programs on this server, but no web page in a browser on it.

A page from anywhere can make its reader's browser send requests to 127.0.0.1, be it under that name or, with
a name of its own that leads there, under another (DNS rebinding).
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from agent.serve.call import Call, is_loopback
from agent.serve.refusal import CallRefused


class LocalCalls:
    """Lets pass what no other page can have made a browser send."""

    def check_head(self, call: Call) -> None:
        """Refuse what comes from a page of another origin, or from elsewhere. Raises CallRefused."""
        if not call.comes_from_here:
            raise _refused("A proxy has passed it on.", "Start the server with credentials.")
        host = call.only("host") or ""
        if not names_loopback(host):
            raise _refused(
                "The call does not name this server by a loopback address.",
                "Call it 127.0.0.1, [::1] or localhost, or start it with credentials.",
            )
        if call.headers.getlist("origin") not in ([], [f"{call.scheme}://{host}"]):
            raise _refused("It comes from a web page of another origin.", _CREDENTIALS)
        if _comes_from_another_site(call):
            raise _refused("It was made by a web page of another site.", _CREDENTIALS)

    def check_body(self, call: Call, body: bytes) -> None:
        """Let every body pass."""


_CREDENTIALS = "Call from a program, or start the server with credentials."


def names_loopback(host: str) -> bool:
    """Tell whether a Host header names the machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback(name)


def _comes_from_another_site(call: Call) -> bool:
    # A link that somebody follows may lead here; the page that it stands in gets to see nothing of it.
    if call.method == "GET" and call.headers.get("sec-fetch-mode") == "navigate":
        return False
    return not set(call.headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}


def _refused(detail: str, hint: str) -> CallRefused:
    return CallRefused(
        HTTPStatus.FORBIDDEN, "FORBIDDEN", "This call is not allowed.", detail=detail, hint=hint
    )
