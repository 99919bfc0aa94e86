"""Stop switches: what must not go out, since when, why, by whom, until when.

Starting an attempt reads the switches under a shared lock on one guard row; setting a switch takes that row for itself.
So no attempt is started after the switch's commit, in any process; and the switch learns which were already open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from bot.model import Article
from bot.store.accounts import lock_accounts
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.prepared import Prepared
from bot.store.schema import IN_FLIGHT, Instant, accounts, attempts, meta, stops

_GUARD = "stop"


class Scope(StrEnum):
    """What a switch stops. The value of `all` is "", of `section` and `tag` the casefolded word."""

    ALL = "all"
    NETWORK = "network"
    ACCOUNT = "account"
    SOURCE = "source"
    SECTION = "section"
    TAG = "tag"
    ARTICLE = "article"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSwitch:
    """One switch that is on."""

    id: str
    scope: Scope
    value: str
    reason: str
    by: str
    at: datetime
    until: datetime | None

    def __str__(self) -> str:
        what = "everything" if self.scope is Scope.ALL else f"{self.scope} {self.value}"
        return f"{what} ({self.by}: {self.reason})" if self.reason else f"{what} ({self.by})"


def scopes_of(article: Article, article_id: str, account: str, network: str) -> tuple[tuple[Scope, str], ...]:
    """Everything under which this article on this account can be stopped."""
    found = [
        (Scope.ALL, ""),
        (Scope.ACCOUNT, account),
        (Scope.NETWORK, network),
        (Scope.SOURCE, article.source),
        (Scope.ARTICLE, article_id),
    ]
    if article.section:
        found.append((Scope.SECTION, article.section.casefold()))
    found.extend((Scope.TAG, tag.casefold()) for tag in article.tags)
    return tuple(found)


Scopes = Iterable[tuple[Scope, str]]


def _switch(row: Row[Any]) -> StopSwitch:
    return StopSwitch(
        id=row.id,
        scope=Scope(row.scope),
        value=row.value,
        reason=row.reason,
        by=row.by,
        at=row.at,
        until=row.until,
    )


_ON = (
    select(stops)
    .where(stops.c.lifted_at.is_(None), or_(stops.c.until.is_(None), stops.c.until > bindparam("now", type_=Instant)))
    .order_by(stops.c.at, stops.c.id)
)
_ANY_ON = Prepared(_ON.with_only_columns(stops.c.id).order_by(None).limit(1))
_SHARED_GUARD = Prepared(select(meta.c.value).where(meta.c.key == _GUARD).with_for_update(read=True))


def stopped_by(tx: Tx, scopes: Scopes) -> StopSwitch | None:
    """The oldest switch that is on for one of these scopes, read under the guard: for the start of an attempt."""
    if _GUARD not in tx.shared:  # under the guard they can't change until the transaction ends
        if tx.is_postgresql:
            _SHARED_GUARD.row(tx, {})
        tx.shared[_GUARD] = switches(tx) if _ANY_ON.row(tx, {"now": tx.now}) else []
    wanted = {(Scope.ALL, ""), *scopes}
    return next((switch for switch in tx.shared[_GUARD] if (switch.scope, switch.value) in wanted), None)


def switches(tx: Tx) -> list[StopSwitch]:
    """All switches that are on, oldest first."""
    return [_switch(row) for row in tx.rows(_ON, {"now": tx.now})]


def guard_row() -> dict[str, str]:
    """The row that every start shares and every switch takes; made with the store."""
    return {"key": _GUARD, "value": "0"}


def _take(tx: Tx, switch: str) -> None:
    """All accounts are timed anew; and nothing starts beside this. In the order in which `Start` takes its rows."""
    lock_accounts(tx)
    tx.execute(accounts.update().values(dirty=True, version=accounts.c.version + 1))
    tx.execute(meta.update().where(meta.c.key == _GUARD).values(value=switch))
    tx.shared.pop(_GUARD, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Intent: switch on. The ids of attempts that were already open: they can't be called back."""

    id: str
    scope: Scope
    value: str
    reason: str
    who: str
    until: datetime | None = None
    lock: str = ""

    def apply(self, tx: Tx) -> tuple[int, ...]:
        _take(tx, self.id)
        tx.insert(
            stops,
            {
                "id": self.id,
                "scope": self.scope,
                "value": self.value,
                "reason": self.reason,
                "by": self.who,
                "at": tx.now,
                "until": self.until,
            },
        )
        note(tx, "stopped", f"{self.scope} {self.value}".strip(), {"reason": self.reason}, who=self.who)
        open_now = select(attempts.c.id).where(IN_FLIGHT).order_by(attempts.c.id)
        return tuple(row.id for row in tx.rows(open_now))


@dataclass(frozen=True, slots=True)
class Lift:
    """Intent: switch off. What waited is timed anew (all accounts), so that it goes out in order, by gaps and caps."""

    id: str
    who: str
    lock: str = ""

    def apply(self, tx: Tx) -> bool:
        _take(tx, self.id)
        lifted = tx.changed(
            stops.update()
            .where(stops.c.id == self.id, stops.c.lifted_at.is_(None))
            .values(lifted_at=tx.now, lifted_by=self.who)
        )
        if lifted:
            note(tx, "resumed", self.id, who=self.who)
        return lifted == 1
