"""What every step is given: the request, the disk groups, and where to report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.deployment.failure import Circumstances
from agent.deployment.steps import Step, words
from agent.effort import Effort
from agent.exit_codes import ExitCode
from agent.reporting.reporter import Reporter
from agent.request.model import Request
from partitioning.group_config import GroupConfig


@dataclass(slots=True, kw_only=True)
class Context:
    """One deployment's surroundings; ``current`` is the step it is in."""

    request: Request
    group_config: GroupConfig
    reporter: Reporter
    current: Step | None = field(default=None)
    effort: Effort = field(default_factory=Effort)
    exit_code: ExitCode | None = field(default=None)
    """Set when the end has been reported."""

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Enter and leave ``step``, and report both."""
        self.current = step
        with self.reporter.step(step, words(step, self.request).title):
            yield

    def circumstances(self) -> Circumstances:
        """Tell in which circumstances an error came up that is raised now."""
        return Circumstances(
            request=self.request, step=self.current, disk_touched=self.reporter.status.disk_touched
        )
