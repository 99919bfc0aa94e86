"""A clock that only moves when told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)


class ManualClock:
    """Wall and monotonic time, moved together by `advance`, apart by `step_wall` (a clock that was set)."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1_000.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        with self._lock:
            return self._monotonic

    def advance(self, length: timedelta | float) -> None:
        """Let time pass: a timedelta or seconds."""
        step = length if isinstance(length, timedelta) else timedelta(seconds=length)
        with self._lock:
            self._now += step
            self._monotonic += step.total_seconds()

    def step_wall(self, length: timedelta | float) -> None:
        """Set the wall clock forward or back; the monotonic one doesn't notice."""
        with self._lock:
            self._now += length if isinstance(length, timedelta) else timedelta(seconds=length)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Nobody waits here: time passes at once, unless the event is set already."""
        if event.is_set():
            return True
        self.advance(max(0.0, seconds))
        return event.is_set()
