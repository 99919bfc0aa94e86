"""A stocked store for tests of its intents: accounts that are somebody, articles, deliveries in any state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.model import (
    Article,
    Attempt,
    Delivery,
    Identity,
    Move,
    Outcome,
    Payload,
    Priority,
    Reason,
    Receipt,
    State,
    Why,
)
from bot.rules.duplicates import Key, KeyKind, digest, keys_of
from bot.rules.timing import Pacing
from bot.store import Store, articles, attempts, deliveries
from bot.store.accounts import Checked, Join
from bot.store.articles import AddArticle, NewArticle, SeenArticle
from bot.store.attempts import Refused, Start
from bot.store.outcomes import Finish
from bot.store.plans import DecisionRow, NewDelivery, Plan, Planned
from bot.store.schema import accounts
from bot.testing.clock import START

WHY = Why(Reason.ROUTE)
LEASE = timedelta(seconds=90)
RECEIPT = Receipt("r-1", "https://www.example.com/r-1", START)


def article(number: int = 1, **more: Any) -> Article:
    """An article of its own."""
    plain: dict[str, Any] = {
        "source": "main",
        "guid": f"guid-{number}",
        "headline": f"Headline number {number}",
        "link": f"https://www.example.com/news/{number}",
    }
    return Article(**{**plain, **more})


def new_article(identity: str, content: Article, **more: Any) -> NewArticle:
    """What discover writes for an article that nobody knows."""
    keys = keys_of(content, seen_on=START.date())
    return NewArticle(id=identity, article=content, digest=digest(content), keys=keys, **more)


def link_of(number: int) -> Key:
    return next(key for key in keys_of(article(number), seen_on=START.date()) if key.kind is KeyKind.LINK)


def merge(store: Store, one: str, other_number: int) -> str:
    """Article `one` turns out to have the other's link: the id of the one that stands for both."""
    return store.commit(AddArticle(SeenArticle(id=one, keys=(link_of(other_number),))))


class Stock:
    """Fills a store and reads it back."""

    def __init__(self, store: Store, *accounts: str) -> None:
        self.store = store
        self.accounts = accounts or ("desk",)
        store.commit(Join(tuple((name, "fake", True) for name in self.accounts)))
        for name in self.accounts:
            assert store.commit(Checked(name, "fake", Identity(remote_id=f"@{name}", name=name)))

    def article(self, number: int = 1, **more: Any) -> str:
        """A stored article; its id."""
        return self.store.commit(AddArticle(new_article(f"article-{number}", article(number), **more)))

    def waiting(self, number: int = 1, account: str = "", **more: Any) -> Delivery:
        """A delivery that is due, of article `number`; `more`: other columns of it."""
        account = account or self.accounts[0]
        with self.store.read() as tx:
            stored = articles.by_id(tx, f"article-{number}")
        if stored is None:
            self.article(number)
            with self.store.read() as tx:
                stored = articles.by_id(tx, f"article-{number}")
        assert stored is not None
        self.plan(stored.id, account, f"{number}-{account}", stored.revision)
        current = self.read(f"{number}-{account}")
        changes = {"due_at": START, **more}
        state = State(changes.pop("state", State.WAITING))
        with self.store.engine.begin() as connection:
            table = deliveries.deliveries
            connection.execute(table.update().where(table.c.id == current.id).values(state=state, **changes))
        return self.read(current.id)

    def plan(self, article: str, account: str, identity: str, revision: int = 1) -> None:
        """Plan an article for one account."""
        new = NewDelivery(
            id=identity,
            account=account,
            occasion=deliveries.FIRST,
            state=State.WAITING,
            why=WHY,
            priority=Priority.NORMAL,
            route="all",
            ready_at=START,
            ready_why=None,
            fresh_until=START + timedelta(hours=6),
        )
        names = {*self.accounts, account}
        decided = [DecisionRow(account=name, yes=name == account, reasons=(WHY,)) for name in sorted(names)]
        self.again(article)
        planned = Planned(article=article, story=article, revision=revision, decisions=tuple(decided), new=(new,))
        self.store.commit(Plan((planned,), 1))
        assert self.read(identity).article == article

    def again(self, article: str, *, unplanned: bool = True) -> None:
        """The article is unplanned again (or was planned meanwhile)."""
        with self.store.engine.begin() as connection:
            table = articles.articles
            connection.execute(table.update().where(table.c.id == article).values(unplanned=unplanned))

    def start(self, current: Delivery, **more: Any) -> Attempt | Refused:
        """Begin an attempt for it."""
        return self.store.commit(starting(current, **more))

    def started(self, current: Delivery, **more: Any) -> Attempt:
        """An attempt that has begun."""
        attempt = self.start(current, **more)
        assert isinstance(attempt, Attempt), attempt
        return attempt

    def started_after_mending(self, account: str, number: int) -> Attempt:
        """An attempt on an account that was parked, after a good check."""
        with self.store.engine.begin() as connection:
            mended = {"breaker": None, "token_over_at": None, "blocked_until": None}
            connection.execute(accounts.update().where(accounts.c.name == account).values(**mended))
        return self.started(self.waiting(number, account))

    def sent(self, number: int = 1, account: str = "", **more: Any) -> Delivery:
        """A delivery that is out."""
        attempt = self.started(self.waiting(number, account, **more))
        assert self.store.commit(finishing(attempt, Outcome.RECEIPT, Move.RECEIPT, receipt=RECEIPT))
        return self.read(attempt.delivery)

    def unknown(self, number: int = 1, account: str = "") -> tuple[Attempt, Delivery]:
        """An attempt whose answer was lost, and its delivery."""
        attempt = self.started(self.waiting(number, account))
        doubt = {"doubted_at": START}
        assert self.store.commit(finishing(attempt, Outcome.UNKNOWN, Move.MAYBE_SENT, changes=doubt))
        return self.attempt(attempt), self.read(attempt.delivery)

    def read(self, delivery: str) -> Delivery:
        with self.store.read() as tx:
            found = deliveries.by_id(tx, delivery)
        assert found is not None
        return found

    def attempt(self, named: Attempt) -> Attempt:
        """The attempt as it is now."""
        with self.store.read() as tx:
            found = attempts.by_id(tx, named.id)
        assert found is not None
        return found

    def attempt_of(self, delivery: str) -> Attempt:
        """The newest attempt of a delivery."""
        with self.store.read() as tx:
            return attempts.of_delivery(tx, delivery)[-1]

    def state(self, delivery: str) -> State:
        return self.read(delivery).state


def starting(current: Delivery, **more: Any) -> Start:
    """The intent that begins an attempt; `more`: other fields of it."""
    plain: dict[str, Any] = {
        "identity": f"@{current.account}",
        "payload": Payload(b"bytes", "text"),
        "key": f"key-{current.id}",
        "generation": 1,
        "lease": LEASE,
        "worker": "worker-1",
        "pacing": Pacing(month="2026-11"),
    }
    return Start(current=current, **{**plain, **more})


def finishing(attempt: Attempt, outcome: Outcome, move: Move | None, **more: Any) -> Finish:
    """The intent that ends it."""
    return Finish(attempt=attempt, outcome=outcome, move=move, **{"why": WHY, **more})


def as_read(current: Delivery, **more: Any) -> Delivery:
    """The delivery as somebody read it before: with other columns than it has."""
    return replace(current, **more)


def priced(cost: str) -> Mapping[str, Any]:
    """A payload that costs money."""
    return {"payload": Payload(b"bytes", "text", cost=cost)}
