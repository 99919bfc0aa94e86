"""What an account never had: the articles of a source that a person may still send to it (`wirepost backfill`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, func, select

from bot.model import Reason, State, Status
from bot.store.articles import STORED, Stored, stored
from bot.store.engine import Tx
from bot.store.schema import articles, deliveries

#: Skips that came of time alone: nobody said no.
OF_TIME = (Reason.REHEARSAL, Reason.BEFORE_ACCOUNT, Reason.STALE, Reason.CAP)


def never_on(tx: Tx, source: str, account: str, *, since: datetime | None, limit: int) -> list[Stored]:
    """The source's articles without a post on the account but such as were skipped for time alone, newest first."""
    when = func.coalesce(articles.c.published_at, articles.c.first_seen_at)
    there = exists(
        select(deliveries.c.id).where(
            deliveries.c.story == articles.c.id,
            deliveries.c.account == account,
            ~((deliveries.c.state == State.SKIPPED) & deliveries.c.reason.in_(OF_TIME)),
        )
    )
    query = select(*STORED).where(
        articles.c.source == source, articles.c.status.in_([Status.BASELINE, Status.LIVE]), ~there
    )
    if since is not None:
        query = query.where(when >= since)
    return [stored(row) for row in tx.rows(query.order_by(when.desc(), articles.c.id).limit(limit))]
