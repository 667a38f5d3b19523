"""What each error means outside: the documented message, the exit code. The one table of that kind."""

import signal
import traceback
from dataclasses import dataclass
from pathlib import Path

from agent import messages
from agent.deployment.steps import Step, words
from agent.errors import Interrupted, RequestError
from agent.exit_codes import ExitCode
from agent.fetch.errors import ChecksumMismatch, FetchError, FetchFailed, TooBigForMemory
from agent.fetch.redaction import public_url
from agent.reporting.events import Failed
from agent.request.model import Request
from configdrive.errors import ConfigDriveError
from partitioning.errors import ExplainedError, TableUnusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When the error came up."""

    request: Request
    step: Step | None
    disk_touched: bool


def explain(error: BaseException, at: Circumstances) -> Failed:
    """Turn an error into what is reported of it."""
    if not isinstance(error, ExplainedError):
        return defect(error)
    if isinstance(error, Interrupted):
        return _failed(error, _signal_code(error))
    if isinstance(error, FetchError):
        return _fetch_failure(error, at)
    if at.disk_touched:
        return _after_writing_began(error, at)
    return _failed(error, exit_code_before_writing(error))


def explain_before_writing(error: BaseException) -> Failed:
    """Turn an error into what is reported of it, where there is no deployment yet."""
    if not isinstance(error, ExplainedError):
        return defect(error)
    return _failed(error, exit_code_before_writing(error))


def exit_code_before_writing(error: ExplainedError) -> ExitCode:
    """Give the exit code of an error that came up while the disk was still untouched."""
    if isinstance(error, Interrupted):
        return _signal_code(error)
    return ExitCode.WRONG_REQUEST if isinstance(error, RequestError) else ExitCode.REFUSED


def _fetch_failure(error: FetchError, at: Circumstances) -> Failed:
    # The documented messages say what the error's own would say.
    message, code = error.message, ExitCode.FETCH_FAILED
    match error:
        case TooBigForMemory():
            message = messages.too_big_for_memory(at.request.type)
            code = ExitCode.WRITE_FAILED if at.disk_touched else ExitCode.REFUSED
        case ChecksumMismatch():
            message = messages.bad_checksum(error.kind, actual=error.actual, expected=error.expected)
        case FetchFailed():
            message = messages.can_not_download(public_url(at.request.url))
    return Failed(message, error.detail, error.hint, code)


def _after_writing_began(error: ExplainedError, at: Circumstances) -> Failed:
    documented = words(at.step, at.request).failure if at.step else None
    if at.step is Step.VERIFY:
        documented = _verify_message(error)
    return _failed(error, ExitCode.WRITE_FAILED, documented)


def _verify_message(error: ExplainedError) -> str | None:
    if isinstance(error, ConfigDriveError):
        return messages.NO_CONFIGDRIVE
    return messages.CAN_NOT_MOVE_GPT if isinstance(error, TableUnusable) else None


def _failed(error: ExplainedError, code: ExitCode, message: str | None = None) -> Failed:
    if message is None or message == error.message:
        return Failed(error.message, error.detail, error.hint, code)
    return Failed(message, f"{error.message} {error.detail}", error.hint, code)


def _signal_code(error: Interrupted) -> ExitCode:
    return ExitCode.INTERRUPTED if error.signal_number == signal.SIGINT else ExitCode.TERMINATED


def defect(error: BaseException) -> Failed:
    """Report an error that nobody foresaw."""
    # The text of an unforeseen error may hold anything, a secret as well: only its kind and place are told.
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Failed(
        "The agent has a defect.",
        f"{type(error).__name__}{place}.",
        "Please report this line with the version (byoi-agent --version). Trying again does no harm.",
        ExitCode.DEFECT,
    )
