"""Does the ledger balance? What must hold after any story of the flow, read from the rows and compared with the public.

    faults(store, server) == []

Every delivery is in exactly one state that its attempts bear out; what is out (or may be) occupies its story; what
counts for pace and money is what was not proved away; and the public sees each delivery once, and only what was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from bot.model import PROVED_NOT_OUT, Delivery, Outcome, Reason, State, Status
from bot.rules.links import link_key
from bot.store import Store
from bot.store.deliveries import delivery
from bot.store.schema import accounts, articles, attempts, audit, decisions, deliveries, occupied, spend
from bot.testing.network_server import FakeServer

#: What a test writes as a post's delivery where a person posted by hand.
BY_HAND = "by hand"

_GOOD = frozenset({Outcome.RECEIPT, Outcome.FOUND})
#: Which outcome a delivery's newest attempt may have, by the delivery's state.
_NEWEST = {
    State.WAITING: PROVED_NOT_OUT,
    State.SENDING: frozenset({Outcome.OPEN, Outcome.PENDING}),
    State.SENT: _GOOD,
    State.UNKNOWN: frozenset({Outcome.UNKNOWN}),
    State.HELD: PROVED_NOT_OUT | {Outcome.UNKNOWN},
    State.REJECTED: frozenset({Outcome.REJECTED}),
    State.SKIPPED: PROVED_NOT_OUT | {Outcome.UNKNOWN},
    State.WITHDRAWN: _GOOD | {Outcome.UNKNOWN},
}
#: Deliveries of which a post is out, or may be.
_OUT = frozenset({State.SENDING, State.SENT, State.UNKNOWN})


@dataclass(frozen=True, slots=True)
class _Rows:
    deliveries: tuple[Delivery, ...]
    attempts: tuple[Any, ...]
    articles: tuple[Any, ...]
    decided: frozenset[tuple[str, str]]
    occupied: dict[tuple[str, str, str], int]
    spend: dict[tuple[str, str], int]
    identities: dict[str, str | None]
    said_absent: dict[str, int]

    def of(self, delivery: str) -> list[Any]:
        return [row for row in self.attempts if row.delivery == delivery]


def faults(store: Store, server: FakeServer | None = None) -> list[str]:
    """Everything that does not add up, in words; `server`: what the public sees is compared too."""
    rows = _read(store)
    found = [*_states(rows), *_attempts(rows), *_occupied(rows), *_stories(rows), *_decisions(rows), *_money(rows)]
    return found + (list(_public(rows, server)) if server is not None else [])


def _read(store: Store) -> _Rows:
    with store.read() as tx:
        return _Rows(
            deliveries=tuple(delivery(row) for row in tx.rows(select(deliveries).order_by(deliveries.c.id))),
            attempts=tuple(tx.rows(select(attempts).order_by(attempts.c.id))),
            articles=tuple(tx.rows(select(articles).order_by(articles.c.id))),
            decided=frozenset((row.article, row.account) for row in tx.rows(select(decisions))),
            occupied={
                (row.identity, row.story, row.occasion): row.attempt
                for row in tx.rows(select(occupied).order_by(occupied.c.attempt))
            },
            spend={(row.identity, row.month): row.micros for row in tx.rows(select(spend))},
            identities={row.name: row.identity for row in tx.rows(select(accounts).where(~accounts.c.removed))},
            said_absent={
                row.subject: row.detail["attempt"]
                for row in tx.rows(select(audit).where(audit.c.event == "delivery_said_absent").order_by(audit.c.id))
            },
        )


def _adopted(one: Delivery) -> bool:
    """Found on the network, or said to be there, without an attempt of ours that says so."""
    return one.reason.reason in (Reason.RESTORED, Reason.BY_HAND)


def _states(rows: _Rows) -> Iterator[str]:
    for one in rows.deliveries:
        tried = rows.of(one.id)
        good = [row.id for row in tried if row.outcome in _GOOD]
        if len(good) > 1:
            yield f"{one.id}: two attempts are out: {good}"
        if good and one.state not in (State.SENT, State.WITHDRAWN):
            yield f"{one.id}: is {one.state}, but attempt {good[0]} is out"
        if one.state is State.SENT and not good and not _adopted(one):
            yield f"{one.id}: is sent, and no attempt of it is"
        if one.state is State.SENT and (one.sent_at is None or not (one.remote_id or _seen_by_hand(one))):
            yield f"{one.id}: is sent without a receipt"
        found_earlier = one.state is State.SENT and good and one.doubted_at is not None
        if tried and not (_adopted(one) or found_earlier) and tried[-1].outcome not in _NEWEST[one.state]:
            yield f"{one.id}: is {one.state}, its newest attempt {tried[-1].outcome}"
        if one.state in _OUT and not tried and not _adopted(one):
            yield f"{one.id}: is {one.state} without an attempt"
        settled = rows.said_absent.get(one.id, 0)
        doubted = [row for row in tried if row.id > settled]  # a person's "it isn't there" ends a doubt
        if one.doubted_at is not None and len({(row.key, row.body) for row in doubted[_doubted_from(doubted) :]}) > 1:
            yield f"{one.id}: key or bytes changed after a doubt"


def _doubted_from(tried: Sequence[Any]) -> int:
    doubtful = (Outcome.UNKNOWN, Outcome.ABSENT, Outcome.FOUND)
    return next((index for index, row in enumerate(tried) if row.outcome in doubtful), len(tried))


def _seen_by_hand(one: Delivery) -> bool:
    return one.reason.reason is Reason.BY_HAND and one.url is not None


def _attempts(rows: _Rows) -> Iterator[str]:
    known = {one.id for one in rows.deliveries}
    for row in rows.attempts:
        if row.delivery not in known:
            yield f"attempt {row.id}: its delivery is gone"
        if row.counts == (row.outcome in PROVED_NOT_OUT):
            yield f"attempt {row.id}: {row.outcome}, counts is {row.counts}"
        if row.outcome != Outcome.OPEN and row.outcome != Outcome.PENDING and row.ended_at is None:
            yield f"attempt {row.id}: {row.outcome} at no time"
    flying = Counter(row.identity for row in rows.attempts if row.outcome == Outcome.OPEN)
    yield from (f"{identity}: {number} attempts in flight" for identity, number in flying.items() if number > 1)


def _occupied(rows: _Rows) -> Iterator[str]:
    by_id = {row.id: row for row in rows.attempts}
    for place, number in rows.occupied.items():
        if number not in by_id or by_id[number].outcome in PROVED_NOT_OUT:
            yield f"{place}: occupied by attempt {number}, which is not out"
    for one in rows.deliveries:
        if one.state in _OUT and not _adopted(one):
            identity = rows.of(one.id)[-1].identity if rows.of(one.id) else None
            if (identity, one.story, one.occasion) not in rows.occupied:
                yield f"{one.id}: is {one.state}, and its story is not occupied"


def _stories(rows: _Rows) -> Iterator[str]:
    """Two of one story are out only if nobody knew that it was one when they were sent."""
    out: dict[tuple[str, str, str], list[State]] = {}
    for one in rows.deliveries:
        if one.state in _OUT:
            out.setdefault((one.account, one.story, one.occasion), []).append(one.state)
    for place, states in out.items():
        if len(states) > 1 and set(states) != {State.SENT}:
            yield f"{place}: {len(states)} deliveries of one story"


def _decisions(rows: _Rows) -> Iterator[str]:
    for row in rows.articles:
        if row.unplanned or row.status == Status.MERGED or (row.id, "") in rows.decided:
            continue
        missing = [name for name in rows.identities if (row.id, name) not in rows.decided]
        if len(missing) == len(rows.identities):
            yield f"article {row.id} ({row.status}): planned without a decision"


def _money(rows: _Rows) -> Iterator[str]:
    owed: Counter[tuple[str, str]] = Counter()
    for row in rows.attempts:
        if row.counts:
            owed[row.identity, row.started_at.strftime("%Y-%m")] += int(Decimal(row.cost) * 1_000_000)
    for place in sorted(set(owed) | set(rows.spend)):
        if owed[place] != rows.spend.get(place, 0):
            yield f"{place}: {rows.spend.get(place, 0)} millionths counted, {owed[place]} owed"


def _public(rows: _Rows, server: FakeServer) -> Iterator[str]:
    yield from (f"{account}: {one} stands there twice" for account, one in server.doubled())
    by_id = {one.id: one for one in rows.deliveries}
    posts = list(server.posts)
    links = Counter((post.account, link_key(post.link)) for post in posts if post.link and not post.deleted)
    yield from (f"{account}: {link} stands there twice" for (account, link), times in links.items() if times > 1)
    for post in posts:
        if post.delivery == BY_HAND:
            continue
        if post.delivery not in by_id:
            yield f"post {post.id}: nobody sent it"
        elif by_id[post.delivery].state in (State.WAITING, State.REJECTED):
            yield f"post {post.id}: is there, and {post.delivery} is {by_id[post.delivery].state}"
    shown = {post.delivery for post in posts}
    yield from (
        f"{one.id}: sent, and nobody sees it"
        for one in by_id.values()
        if one.state is State.SENT and one.id not in shown
    )
