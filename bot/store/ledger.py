"""Does the ledger balance? Every delivery in one state that its attempts bear out; nothing without its reason."""

from __future__ import annotations

from sqlalchemy import and_, exists, func, select

from bot.model import Outcome, State, Status
from bot.store.engine import Tx
from bot.store.schema import articles, attempts, decisions, deliveries, occupied

_GOOD = (Outcome.RECEIPT, Outcome.FOUND)
_OPEN = (Outcome.OPEN, Outcome.PENDING, Outcome.UNKNOWN)


def imbalances(tx: Tx) -> list[str]:
    """What doesn't add up, one sentence each; none in a sound store."""
    return [*_doubled(tx), *_states(tx), *_undecided(tx), *_places(tx)]


def _doubled(tx: Tx) -> list[str]:
    query = (
        select(attempts.c.delivery, func.count().label("number"))
        .where(attempts.c.outcome.in_(_GOOD))
        .group_by(attempts.c.delivery)
        .having(func.count() > 1)
        .order_by(attempts.c.delivery)
    )
    return [f"{row.delivery} has {row.number} receipts: it may be out twice" for row in tx.rows(query)]


def _states(tx: Tx) -> list[str]:
    """Sending and unknown have their open attempt; waiting and rejected have none that is open or out."""
    current = and_(attempts.c.id == deliveries.c.attempt, attempts.c.outcome.in_(_OPEN))
    lost = (
        select(deliveries.c.id, deliveries.c.state)
        .where(
            deliveries.c.state.in_([State.SENDING, State.UNKNOWN]),
            ~exists(select(attempts.c.id).where(current)),
        )
        .order_by(deliveries.c.id)
    )
    found = [f"{row.id} is {row.state}, but no attempt of it is open" for row in tx.rows(lost)]
    still = and_(attempts.c.delivery == deliveries.c.id, attempts.c.outcome.in_((*_OPEN, *_GOOD)))
    early = (
        select(deliveries.c.id, deliveries.c.state)
        .where(deliveries.c.state.in_([State.WAITING, State.REJECTED]), exists(select(attempts.c.id).where(still)))
        .order_by(deliveries.c.id)
    )
    return found + [f"{row.id} is {row.state}, but an attempt of it may be out" for row in tx.rows(early)]


def _undecided(tx: Tx) -> list[str]:
    told = exists(select(decisions.c.article).where(decisions.c.article == articles.c.id))
    query = (
        select(articles.c.id)
        .where(~articles.c.unplanned, articles.c.status != Status.MERGED, ~told)
        .order_by(articles.c.id)
    )
    return [f"article {row.id} was planned, but has no decision" for row in tx.rows(query)]


def _places(tx: Tx) -> list[str]:
    """What is out holds its place, so that nothing of the story goes there again."""
    held = exists(
        select(occupied.c.attempt).where(occupied.c.story == deliveries.c.story, occupied.c.attempt == attempts.c.id)
    )
    query = (
        select(deliveries.c.id)
        .join(attempts, attempts.c.id == deliveries.c.attempt)
        .where(attempts.c.outcome.in_((*_OPEN, *_GOOD)), deliveries.c.state != State.WITHDRAWN, ~held)
        .order_by(deliveries.c.id)
    )
    return [f"{row.id} is (perhaps) out, but its place on the account is free" for row in tx.rows(query)]
