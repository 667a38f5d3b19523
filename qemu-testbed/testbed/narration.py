"""Tells a person what a deployment is doing, in lines with the seconds since the start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_PROGRESS_SECONDS = 2.0


class Narrator:
    """Prints lines, and keeps how long each phase took."""

    def __init__(self, name: str) -> None:
        """`name` stands at the start of every line."""
        self._name = name
        self._started = time.monotonic()
        self._phase_started = self._started
        self._last_progress = 0.0
        self.phases: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"{self._name:>7} {self.elapsed:7.1f} s  {text}", flush=True)

    def phase_done(self, phase: str) -> None:
        """Close a phase: everything since the one before it ended."""
        now = time.monotonic()
        self.phases[phase] = now - self._phase_started
        self._phase_started = now

    def agent_event(self, event: Mapping[str, Any]) -> None:
        """Tell one of the agent's events."""
        match event:
            case {"event": "step_started", "message": message}:
                self.say(f"  {message} …")
            case {"event": "step_finished", "step": step, "seconds": seconds}:
                self.say(f"  {step}: done in {seconds:.1f} s")
            case {"event": "progress"}:
                self._progress(event)
            case {"event": "warning", "message": message}:
                self.say(f"  warning: {message}")
            case {"event": "error", "message": message}:
                self.say(f"  error: {message}")
                self.say(f"  {event.get('detail') or ''} {event.get('hint') or ''}")
            case {"event": "done"}:
                self.say("  the agent says: done")

    def _progress(self, event: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = now
        done, total = event.get("bytesDone") or 0, event.get("bytesTotal")
        share = f" of {total / 1e6:.0f} MB ({100 * done / total:.0f} %)" if total else " MB"
        rate = f", {event['bytesPerSecond'] / 1e6:.1f} MB/s" if event.get("bytesPerSecond") else ""
        left = f", {event['etaSeconds']:.0f} s left" if event.get("etaSeconds") else ""
        self.say(f"  {event.get('step')}: {done / 1e6:.0f}{share}{rate}{left}")


def table(rows: list[list[str]]) -> str:
    """Lay out rows in columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
