"""Does the ledger balance? Every delivery in one state that its attempts bear out; nothing without its reason."""

from __future__ import annotations

from sqlalchemy import and_, exists, func, or_, select, text

from bot.errors import StoreError
from bot.model import Outcome, Reason, State, Status
from bot.store.engine import Store, Tx
from bot.store.schema import accounts, articles, attempts, decisions, deliveries, occupied

_GOOD = (Outcome.RECEIPT, Outcome.FOUND)
_OPEN = (Outcome.OPEN, Outcome.PENDING, Outcome.UNKNOWN)


def damage(store: Store) -> list[str]:
    """What the database itself says is broken in its file; PostgreSQL looks after its own."""
    if not store.is_sqlite:
        return []
    try:
        with store.read() as tx:
            told = [str(row[0]) for row in tx.rows(text("PRAGMA integrity_check"))]
    except StoreError as error:
        return [str(error)]
    return [line for line in told if line != "ok"]


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
    mine = attempts.c.delivery == deliveries.c.id
    still = exists(select(attempts.c.id).where(mine, attempts.c.outcome.in_(_OPEN)))
    out = exists(select(attempts.c.id).where(mine, attempts.c.outcome.in_(_GOOD)))
    early = (
        select(deliveries.c.id, deliveries.c.state)
        .where(
            or_(
                and_(deliveries.c.state.in_([State.WAITING, State.REJECTED]), still),
                and_(deliveries.c.state.not_in([State.SENT, State.WITHDRAWN]), out),
            )
        )
        .order_by(deliveries.c.id)
    )
    found += [f"{row.id} is {row.state}, but an attempt of it may be out" for row in tx.rows(early)]
    # A person who saw it may know its address alone.
    seen = and_(deliveries.c.reason == Reason.BY_HAND, deliveries.c.url.is_not(None))
    nowhere = and_(deliveries.c.remote_id.is_(None), ~seen)
    unproved = (
        select(deliveries.c.id)
        .where(deliveries.c.state == State.SENT, or_(nowhere, deliveries.c.sent_at.is_(None)))
        .order_by(deliveries.c.id)
    )
    return found + [f"{row.id} is sent, but without a receipt" for row in tx.rows(unproved)]


def _undecided(tx: Tx) -> list[str]:
    """A planned article has a decision for every account that was there when it came, or one for all of them."""
    mine = decisions.c.article == articles.c.id
    for_all = exists(select(decisions.c.article).where(mine, decisions.c.account == ""))
    for_one = exists(select(decisions.c.article).where(mine, decisions.c.account == accounts.c.name))
    query = (
        select(articles.c.id, accounts.c.name)
        .join(accounts, and_(~accounts.c.removed, accounts.c.joined_at <= articles.c.first_seen_at))
        .where(~articles.c.unplanned, articles.c.status != Status.MERGED, ~for_all, ~for_one)
        .order_by(articles.c.id, accounts.c.name)
    )
    return [f"article {row.id} was planned, but has no decision for {row.name}" for row in tx.rows(query)]


def _places(tx: Tx) -> list[str]:
    """What is out holds its place, so that nothing of the story goes there again."""
    held = exists(
        select(occupied.c.attempt).where(  # by whichever of the story's posts: two of them may be out after a merge
            occupied.c.identity == attempts.c.identity,
            occupied.c.story == deliveries.c.story,
            occupied.c.occasion == deliveries.c.occasion,
        )
    )
    query = (
        select(deliveries.c.id)
        .join(attempts, attempts.c.id == deliveries.c.attempt)
        .where(attempts.c.outcome.in_((*_OPEN, *_GOOD)), deliveries.c.state != State.WITHDRAWN, ~held)
        .order_by(deliveries.c.id)
    )
    return [f"{row.id} is (perhaps) out, but its place on the account is free" for row in tx.rows(query)]
