"""Houses for the stories of the flow; after each story the ledger of every house that it opened must balance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.store import Store
from bot.store.ledger import imbalances
from bot.testing.clock import ManualClock
from tests.flow.ledger_check import faults
from tests.flow.stories import House

OpenHouse = Callable[..., House]


def _houses(store: Store, clock: ManualClock) -> Iterator[OpenHouse]:
    made: list[House] = []

    def opened(*accounts: str, **more: Any) -> House:
        made.append(House(store, clock, *accounts, **more))
        return made[-1]

    yield opened
    for house in made:
        assert faults(store, house.server) == []
        with store.read() as tx:
            assert imbalances(tx) == []  # what `db check` says of the same rows


@pytest.fixture
def house(sqlite_store: Store, clock: ManualClock) -> Iterator[OpenHouse]:
    """Opens a house on SQLite: `house("one", "two", caps={...})`."""
    yield from _houses(sqlite_store, clock)


@pytest.fixture
def both(store: Store, clock: ManualClock) -> Iterator[OpenHouse]:
    """Opens a house on each database in turn: for stories in which the store matters."""
    yield from _houses(store, clock)
