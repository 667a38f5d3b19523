"""What is wrong with a command line."""

import re

import typer

from agent.errors import RequestError

_FLAG = re.compile(r"--[a-z][a-z-]{0,24}")


def usage_error(error: typer.TyperException, command: str | None) -> RequestError:
    """Say what is wrong with the command line, without a word of it that may be a secret.

    typer's own texts repeat the values: after a forgotten quote, that is a token from a header.
    ``command`` is the command that was meant; None where it is none of them.
    """
    called = f"byoi-agent {command}" if command else "byoi-agent"
    return RequestError(
        f"The command line of {called} is wrong." if command else "The command line is wrong.",
        detail=_usage_words(error),
        hint=f"{_meant(error)}Look at: {called} --help{_quotes(error)}",
    )


# What typer says, shortened to what is wrong: the words after it, or before it, are the operator's own.
_COMPLAINTS = (
    "requires an argument",
    "does not take a value",
    "unexpected extra argument",
    "No such command",
    "valid integer",
)
_PLAINER = {
    "does not take a value": "it does not take a value",
    "requires an argument": "it needs a value",
    "valid integer": "an integer is expected",
}


_MEANT_COMMAND = re.compile(r"No such command .*Did you mean '([a-z]+)'\?", re.DOTALL)


def _meant(error: typer.TyperException) -> str:
    if found := _MEANT_COMMAND.fullmatch(error.format_message()):
        return f"Is {found[1]} meant? "
    # The program's own options, of which one looks like what was typed.
    close = [name for name in getattr(error, "possibilities", None) or () if _FLAG.fullmatch(name)]
    return f"Is {close[0]} meant? " if close else ""


def _quotes(error: typer.TyperException) -> str:
    unexpected = "unexpected extra argument" in error.format_message()
    return ". A value with a space in it needs quotes." if unexpected else ""


def _usage_words(error: typer.TyperException) -> str:
    flag = _flag(error)
    if type(error).__name__ == "NoSuchOption":
        return f"No such option: {flag}." if flag else "There is an option that is not known."
    said = error.format_message()
    found = next((text for text in _COMPLAINTS if text in said), "it could not be understood")
    complaint = _PLAINER.get(found, found)
    return f"{flag}: {complaint}." if flag else f"{complaint[0].upper()}{complaint[1:]}."


def _flag(error: typer.TyperException) -> str | None:
    """Give the flag the error is about, when that is one, and not a value in its place."""
    names = getattr(getattr(error, "param", None), "opts", None) or [getattr(error, "option_name", None)]
    longest = max((name for name in names if name), key=len, default="")
    return longest if _FLAG.fullmatch(longest) else None
