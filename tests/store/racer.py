"""A process that races others on one store. Reads one JSON order a line, does it, answers one JSON line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bot.model import Attempt, Move, Outcome, Reason, Receipt, Why
from bot.rules.duplicates import digest, keys_of
from bot.store import Store, attempts, deliveries
from bot.store.accounts import BeginRefresh, EndRefresh
from bot.store.accounts import by_name as account
from bot.store.articles import AddArticle, NewArticle
from bot.store.migrate import migrate, require
from bot.store.outcomes import Finish
from bot.store.sources import BeginLook, EndLook
from bot.store.stops import Scope, Stop
from bot.testing.clock import START, ManualClock
from tests.store.stock import LEASE, article, starting


def look(store: Store, order: Mapping[str, Any]) -> list[str]:
    """A look at a source of one's own that brings stories which every other racer's source has too."""
    me = str(order["me"])
    news = []
    for number in order["numbers"]:
        content = article(number, source=me, guid=f"{me}-{number}")
        keys = keys_of(content, seen_on=START.date())
        news.append(NewArticle(id=f"{me}-{number}", article=content, digest=digest(content), keys=keys))
    assert store.commit(BeginLook(me, "feed", me, LEASE)) is not None
    touched = store.commit(EndLook(name=me, worker=me, cursor={}, next_look_in=LEASE, arrivals=tuple(news)))
    return list(touched or ())


def add(store: Store, order: Mapping[str, Any]) -> list[str]:
    """The same, one article at a time."""
    me = str(order["me"])
    standing = []
    for number in order["numbers"]:
        content = article(number, source=me, guid=f"{me}-{number}")
        keys = keys_of(content, seen_on=START.date())
        new = NewArticle(id=f"{me}-{number}", article=content, digest=digest(content), keys=keys)
        standing.append(store.commit(AddArticle(new)))
    return standing


def send(store: Store, order: Mapping[str, Any]) -> list[str]:
    """Start each delivery and end it with a receipt, until a stop is met; those that were ours."""
    mine = []
    for identity in order["deliveries"]:
        with store.read() as tx:
            current = deliveries.by_id(tx, identity)
        assert current is not None
        result = store.commit(starting(current, worker=str(order["me"])))
        if isinstance(result, Attempt):
            mine.append(identity)
            receipt = Receipt(f"r-{result.id}")
            store.commit(
                Finish(
                    attempt=result, outcome=Outcome.RECEIPT, move=Move.RECEIPT, why=Why(Reason.SENT), receipt=receipt
                )
            )
    return mine


def stop(store: Store, order: Mapping[str, Any]) -> int:
    """Stop everything once a given number of attempts have begun; the last attempt's number after that commit."""
    while True:
        with store.read() as tx:
            if attempts.last_number(tx) >= order["after"]:
                break
    store.commit(Stop(id="s", scope=Scope.ALL, value="", reason="fire", who="ann"))
    with store.read() as tx:
        return attempts.last_number(tx)


def refresh(store: Store, order: Mapping[str, Any]) -> bool:
    """Renew an account's credentials, if nobody else does or did."""
    me = str(order["me"])
    with store.read() as tx:
        row = account(tx, "desk")
    assert row is not None
    if not store.commit(BeginRefresh("desk", me, LEASE, row.refreshed_at)):
        return False
    return store.commit(EndRefresh("desk", me, f"sealed by {me}"))


def migrating(store: Store, order: Mapping[str, Any]) -> bool:
    """Bring the store to our schema and use it."""
    migrate(store)
    require(store)
    return True


DOING: Mapping[str, Callable[[Store, Mapping[str, Any]], Any]] = {
    "look": look,
    "add": add,
    "send": send,
    "stop": stop,
    "refresh": refresh,
    "migrate": migrating,
}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        store = Store(order["store"], ManualClock(), own_time=False)
        try:
            answer = {"answer": DOING[order["do"]](store, order)}
        except Exception as error:  # noqa: BLE001 -- told to the test, which fails on it
            answer = {"error": repr(error)}
        store.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
