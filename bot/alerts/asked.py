"""What the alerts ask the store at every round, as statements that are made once: a round finds nothing, as a rule."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, func, select

from bot.model import Delivery, Reason, State
from bot.store import Tx, deliveries
from bot.store.schema import ARTICLE_HELD, HELD, Instant, articles, sources
from bot.store.schema import deliveries as post

_NUMBER = func.count().label("number")
_UNKNOWN = (
    select(post)
    .where(post.c.state == State.UNKNOWN)
    .order_by(post.c.due_at.is_(None), post.c.due_at, post.c.updated_at, post.c.id)
    .limit(500)
)
_HELD = (
    select(post)
    .where(HELD, post.c.reason.in_([Reason.CANNOT_TELL, Reason.BUDGET]))
    .order_by(post.c.updated_at, post.c.id)
)
_BROKEN = (
    select(articles.c.source, _NUMBER)
    .where(ARTICLE_HELD, articles.c.hold == Reason.MASS_CHANGE)
    .group_by(articles.c.source)
    .order_by(articles.c.source)
)
_ARRIVED = (
    select(articles.c.source, _NUMBER)
    .join(sources, (sources.c.name == articles.c.source) & (articles.c.first_seen_at > sources.c.first_good_at))
    .where(articles.c.first_seen_at >= bindparam("since", type_=Instant))
    .group_by(articles.c.source)
    .order_by(articles.c.source)
)


def unknown(tx: Tx) -> list[Delivery]:
    """Posts that may be out and are still looked for, soonest first, 500 at most."""
    return [deliveries.delivery(row) for row in tx.rows(_UNKNOWN)]


def held(tx: Tx) -> list[Delivery]:
    """Posts held because nobody can tell whether they are out, or because the month's money doesn't pay them."""
    return [deliveries.delivery(row) for row in tx.rows(_HELD)]


def broken(tx: Tx) -> dict[str, int]:
    """How many articles of each source its mass-change breaker holds."""
    return {row.source: int(row.number) for row in tx.rows(_BROKEN)}


def arrived(tx: Tx, *, since: datetime) -> dict[str, int]:
    """How many articles each source has brought since then, its first look apart."""
    return {row.source: int(row.number) for row in tx.rows(_ARRIVED, {"since": since})}
