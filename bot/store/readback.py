"""Sent posts that nobody has read back yet: of each only what a list of the account's posts is compared with, since an
account may have sent thousands in a day, and one that can't be read keeps all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, select

from bot.store.engine import Tx
from bot.store.schema import UNCONFIRMED, Instant, deliveries


@dataclass(frozen=True, slots=True)
class Unread:
    """A sent post, as far as a look at its account needs it."""

    id: str
    remote_id: str | None
    sent_at: datetime


_IN_TIME = and_(
    UNCONFIRMED, deliveries.c.sent_at.between(bindparam("since", type_=Instant), bindparam("until", type_=Instant))
)
_ACCOUNTS = select(deliveries.c.account).where(_IN_TIME).distinct()
_POSTS = (
    select(deliveries.c.id, deliveries.c.remote_id, deliveries.c.sent_at)
    .where(_IN_TIME, deliveries.c.account == bindparam("account"))
    .order_by(deliveries.c.sent_at, deliveries.c.id)
)


def accounts_unread(tx: Tx, *, since: datetime, until: datetime) -> list[str]:
    """The accounts that have sent something in that time which was not read back, by name."""
    return sorted(row.account for row in tx.rows(_ACCOUNTS, {"since": since, "until": until}))


def unread(tx: Tx, account: str, *, since: datetime, until: datetime) -> list[Unread]:
    """What the account sent in that time and was not read back, the oldest first."""
    found = tx.rows(_POSTS, {"account": account, "since": since, "until": until})
    return [Unread(row.id, row.remote_id, row.sent_at) for row in found]
