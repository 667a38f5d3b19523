"""The status of a deployment: the four documented fields, and the full form beside them."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from agent import messages
from agent.effort import Limit
from agent.exit_codes import ExitCode

SUMMARY_FIELDS = ("servername", "status", "message", "checksum")


class State(StrEnum):
    """Where a deployment stands."""

    DOING = "doing"
    DONE = "done"
    ERROR = "error"


class DiskState(StrEnum):
    """What a deployment has made of the disk, in the words that follow its name."""

    UNTOUCHED = "was not changed"
    MAY_BOOT = "was changed, and may start or not"
    NOT_BOOTABLE = "was changed and does not boot"
    DEPLOYED = "was deployed"


class StepState(StrEnum):
    """Where one step stands."""

    PENDING = "pending"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class StepStatus(_Part):
    """One step: its name, its state and how long it took or has taken."""

    name: str
    state: StepState = StepState.PENDING
    seconds: float | None = None


class Progress(_Part):
    """How far the current step is. ``bytes_total`` is None where it is not known."""

    bytes_done: int
    bytes_total: int | None = None
    bytes_per_second: int = 0
    eta_seconds: int | None = None
    limited_by: Limit | None = None
    """What sets the pace, where that can be told."""


class DiskStatus(_Part):
    """The disk that is being deployed to; ``size`` in bytes."""

    path: str
    model: str | None = None
    serial: str | None = None
    size: int


class Status(_Part):
    """Everything that is known of a deployment at one moment. No secret ever stands in it."""

    servername: str
    status: State = State.DOING
    message: str = messages.STARTING
    checksum: str | None = None
    detail: str | None = None
    hint: str | None = None
    step: str | None = None
    steps: tuple[StepStatus, ...] = ()
    progress: Progress | None = None
    disk: DiskStatus | None = None
    disk_touched: bool = False
    disk_may_boot: bool = Field(default=False, exclude=True)
    """With ``disk_touched``: whether what stands on the disk may boot, be it the old or the new."""
    exit_code: ExitCode | None = Field(default=None, exclude=True)
    """The exit code of a deployment that failed."""
    warnings: tuple[str, ...] = ()
    started_at: str
    finished_at: str | None = None
    description: str | None = None

    @property
    def disk_state(self) -> DiskState:
        """Tell what state the disk is in."""
        if self.status is State.DONE:
            return DiskState.DEPLOYED
        if not self.disk_touched:
            return DiskState.UNTOUCHED
        return DiskState.MAY_BOOT if self.disk_may_boot else DiskState.NOT_BOOTABLE

    def summary(self) -> dict[str, Any]:
        """Give the four documented fields."""
        return {name: getattr(self, name) for name in SUMMARY_FIELDS}

    def full(self) -> dict[str, Any]:
        """Give all fields under the names they have outside."""
        return self.model_dump(mode="json", by_alias=True)


def now() -> str:
    """Give this moment as the status shows it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
