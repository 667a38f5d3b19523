"""Who may look at the page."""

import base64
import binascii
from http import HTTPStatus

from agent.serve.call import Call
from agent.serve.credentials import Credentials
from agent.serve.local_calls import LocalCalls, names_loopback
from agent.serve.refusal import CallRefused
from agent.serve.signature import same


class PageAccess:
    """Whoever knows the password; without one, whoever is on this server."""

    def __init__(self, credentials: Credentials | None, *, behind_proxy: bool) -> None:
        """``behind_proxy``: what seems to come from this server may come from anywhere."""
        self._credentials = credentials
        self._behind_proxy = behind_proxy

    def check(self, call: Call) -> None:
        """Refuse whoever may not look. Raises CallRefused."""
        if self._credentials is None:
            LocalCalls().check_head(call)
        elif self._credentials.page_password is None:
            self._check_that_it_is_here(call)
        elif not same(_password(call.only("authorization") or ""), self._credentials.page_password):
            raise CallRefused(
                HTTPStatus.UNAUTHORIZED,
                "PASSWORD_NEEDED",
                "The page wants a password.",
                detail="It is the pagePassword in the credentials of this server; any user name will do.",
                hint="Reload the page and give the password.",
                WWW_Authenticate='Basic realm="byoi-agent", charset="UTF-8"',
            )

    def _check_that_it_is_here(self, call: Call) -> None:
        here = call.comes_from_here and names_loopback(call.only("host") or "")
        if not here or self._behind_proxy:
            raise CallRefused(
                HTTPStatus.FORBIDDEN,
                "FORBIDDEN",
                "The page is not shown here.",
                detail="The credentials have no pagePassword, so only somebody on the server itself sees it.",
                hint="Add pagePassword to the credentials file and start byoi-agent serve again.",
            )
        LocalCalls().check_head(call)


def _password(header: str) -> str:
    """Take the password out of an Authorization header (RFC 7617); empty where there is none."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]
