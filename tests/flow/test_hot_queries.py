"""What a worker asks all day long costs the same after a year: no statement reads a growing table through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event

from bot import health
from bot.testing.newsroom import pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, Worker, article

MINUTE = timedelta(minutes=1)
#: Tables that grow with each article or post.
GROWING = frozenset(
    {"articles", "article_keys", "revisions", "decisions", "deliveries", "attempts", "occupied", "audit"}
)
#: Indexes that hold rows in open states only: reading one of them through is reading what is open.
OPEN_ONLY = frozenset(
    {
        "articles_unplanned",
        "attempts_one_in_flight",
        "attempts_undecided",
        "deliveries_due",
        "deliveries_held",
        "deliveries_open",
        "deliveries_unconfirmed",
        "deliveries_waiting",
    }
)


@contextmanager
def recorded(engine: Engine) -> Iterator[dict[str, Any]]:
    """Each statement that is run meanwhile, with values of one of its runs."""
    found: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            found[statement] = values[0] if many else values

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def read_through(house: House, statements: dict[str, Any]) -> list[str]:
    """Statements that SQLite would answer by going through all rows of a growing table."""
    found = []
    with house.store.engine.connect() as connection:
        for statement, values in statements.items():
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
                verb, table, *rest = step.detail.split()
                if verb == "SCAN" and table in GROWING and not OPEN_ONLY & set(rest):
                    found.append(f"{step.detail}: {' '.join(statement.split())}")
    return sorted(found)


def day(house: House) -> None:
    """Something of each kind: new, changed, seen again, due, sent, read back, doubtful."""
    house.server.faults.extend([None, "lost_before", "limited"])
    house.show(*(article(number) for number in range(4)))
    pass_time(house.room, 20 * MINUTE, step=MINUTE)
    house.show(article(0, headline="Another headline altogether"), *(article(number) for number in range(2, 7)))
    pass_time(house.room, 10 * MINUTE, step=MINUTE)


def test_a_scrape_reads_neither_attempts_nor_articles_through(house: OpenHouse) -> None:
    """Articles are counted in an index, which is a hundredth of their table."""
    desk = house("one", "two")
    tally = health.Tally()
    health.metrics(Worker(desk.room), tally)
    day(desk)
    with recorded(desk.store.engine) as statements:
        told = health.metrics(Worker(desk.room), tally).decode()
    assert 'wirepost_attempts_total{account="one",outcome="receipt"} 7.0' in told
    counted = "SCAN articles USING COVERING INDEX articles_by_source: "
    assert [found for found in read_through(desk, statements) if not found.startswith(counted)] == []


def test_p114_no_statement_of_the_flow_reads_a_growing_table_through(house: OpenHouse) -> None:
    desk = house("one", "two", caps={"gap": "1m", "hour": 30, "day": 60})
    with recorded(desk.store.engine) as statements:
        day(desk)
    assert len(desk.server.posts) == 14
    assert len(statements) > 30
    assert read_through(desk, statements) == []
