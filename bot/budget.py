"""How many requests an address of ours may make to one host: kept here, before the host has to say so (pain P85).

Some services count by the caller's address, whatever the account: twenty accounts on one machine share what one may.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta

from bot.clock import Clock


class HostBudgets:
    """The requests of this process to each host, within the newest window. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[str, deque[float]] = {}

    def take(self, host: str, most: int, window: timedelta) -> float:
        """Count one request to the host, or say how many seconds it must wait for one of the `most` in `window`."""
        now = self._clock.monotonic()
        with self._lock:
            made = self._made.setdefault(host, deque())
            while made and made[0] <= now - window.total_seconds():
                made.popleft()
            if len(made) >= most:
                return made[0] + window.total_seconds() - now
            made.append(now)
        return 0.0
