"""Time and randomness: the only module that reads either.

Everything else is handed a `Clock` and a `Random`, so that a test or the simulation can bring its own.
Instants are aware datetimes in UTC; durations are seconds (float) or timedeltas.
"""

from __future__ import annotations

import random as _random
import secrets as _secrets
import threading
import time
from datetime import UTC, datetime
from typing import Protocol

# CLOCK_BOOTTIME goes on while the machine sleeps (Linux, clock_gettime(2)); elsewhere time.monotonic is the nearest.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Wall time, monotonic time, and waiting."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back; they go on through a suspended machine where the system offers that."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event` at most so many seconds; true if it was set."""
        ...


class Random(Protocol):
    """Ids and jitter. Not a source of keys: those come from `bot.secrets`."""

    def new_id(self) -> str:
        """A fresh id: 12 characters of a-z and 2-7 (60 bits), short enough to be typed by a unique prefix."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def spell_id(bits: int) -> str:
    """60 bits as 12 characters, five bits each (RFC 4648 base32, lower case)."""
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(55, -1, -5))


class SystemRandom:
    """The operating system's randomness."""

    def new_id(self) -> str:
        return spell_id(_secrets.randbits(60))

    def uniform(self, low: float, high: float) -> float:
        return _secrets.SystemRandom().uniform(low, high)


class SeededRandom:
    """The same ids and jitter for the same seed: for tests, the simulation and dry runs that must print the same."""

    def __init__(self, seed: int) -> None:
        self._random = _random.Random(seed)  # noqa: S311 -- not for secrets

    def new_id(self) -> str:
        return spell_id(self._random.getrandbits(60))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
