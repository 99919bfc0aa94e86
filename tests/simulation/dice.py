"""A seed's choices. Nothing else in the simulation is random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from bot.clock import SeededRandom

T = TypeVar("T")


class Dice:
    """The same throws for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = SeededRandom(seed)

    def chance(self, share: float) -> bool:
        """True so often, of 1."""
        return self._random.uniform(0, 1) < share

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return min(high, low + int(self._random.uniform(0, high - low + 1)))

    def seconds(self, low: float, high: float) -> float:
        """A length of time, in milliseconds that people can read."""
        return round(self._random.uniform(low, high), 3)

    def moment(self, length: timedelta) -> float:
        """Seconds from the start of a length, anywhere in it."""
        return self.seconds(0, length.total_seconds())

    def pick(self, things: Sequence[T]) -> T:
        """One of them, each as likely."""
        return things[self.number(0, len(things) - 1)]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of them, by weight."""
        at = self._random.uniform(0, sum(weights.values()))
        for thing, weight in weights.items():
            at -= weight
            if at < 0:
                return thing
        return next(reversed(list(weights)))

    def some(self, things: Sequence[T], share: float) -> list[T]:
        """Each of them with this chance, in their order."""
        return [thing for thing in things if self.chance(share)]
