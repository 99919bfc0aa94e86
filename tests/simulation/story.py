"""What happened in a week, told so that a person can follow it: one line an event, in virtual time."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.testing.clock import ManualClock


class Story:
    """The lines of one week. `true` is the time that nobody can set; a wall clock that was set is shown beside it."""

    def __init__(self, clock: ManualClock, title: str) -> None:
        self._clock = clock
        self._start = clock.now()
        self._began = clock.monotonic()
        self.lines = [title]
        self.depth = 0

    def true(self) -> datetime:
        """The time as it really is."""
        return self._start + timedelta(seconds=self._clock.monotonic() - self._began)

    def tell(self, who: str, what: str) -> None:
        """Add a line."""
        true = self.true()
        off = round((self._clock.now() - true).total_seconds())
        wall = f" (clock {off:+d} s)" if off else ""
        self.lines.append(f"{true:%a %d %b %H:%M:%S.%f}"[:-3] + f"{wall} {'  ' * self.depth}{who}: {what}")

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines) + "\n"
