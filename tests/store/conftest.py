"""A stocked store, on each database."""

from __future__ import annotations

import pytest

from bot.store import Store
from tests.store.stock import Stock


@pytest.fixture
def stock(store: Store) -> Stock:
    """One account, `desk`, that is `@desk` on its network."""
    return Stock(store)


@pytest.fixture
def two(store: Store) -> Stock:
    """Two accounts, `desk` and `late`."""
    return Stock(store, "desk", "late")


@pytest.fixture
def sqlite_stock(sqlite_store: Store) -> Stock:
    """One account on SQLite, for tables of moves: the conditions are the same statements on both."""
    return Stock(sqlite_store)
