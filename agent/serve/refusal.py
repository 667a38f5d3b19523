"""A call that is not carried out, and what the caller is told."""

from http import HTTPStatus
from typing import Any

from partitioning.errors import ExplainedError


class CallRefused(ExplainedError):
    """What is wrong with a call: the HTTP status, a word for programs, and the words for people."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, *, detail: str, hint: str, **headers: str
    ) -> None:
        """``code`` is the answer's errorCode; an underscore in the name of a header stands for a hyphen."""
        super().__init__(message, detail=detail, hint=hint)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> dict[str, Any]:
        """Give the body of the answer: OVHcloud's three fields, and what they do not say."""
        return {
            "message": self.message,
            "errorCode": self.code,
            "httpCode": f"{self.status.value} {self.status.phrase}",
            "detail": self.detail,
            "hint": self.hint,
        }
