"""The ledger of attempts: started before a byte leaves. How one ends is in `outcomes`.

`Start` is the gate to the network: it inserts the attempt with its frozen payload only if the delivery still waits, the
account's pace, budget and breaker allow it, no stop switch is on, nobody else is in flight for that identity, and the
story does not already occupy the account. Everything that moves a delivery afterwards names the attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select

from bot.model import (
    MOVES,
    Action,
    Attempt,
    Delivery,
    Move,
    Outcome,
    Payload,
    Reason,
    Receipt,
    State,
    Status,
    Why,
)
from bot.rules.timing import Pacing
from bot.store.accounts import put_off_trial
from bot.store.deliveries import delivery
from bot.store.engine import Tx
from bot.store.prepared import Prepared
from bot.store.schema import (
    COUNTING,
    IN_DOUBT,
    UNDECIDED,
    Instant,
    accounts,
    articles,
    attempts,
    deliveries,
    occupied,
    spend,
)
from bot.store.stops import Scope, StopSwitch, stopped_by

_MICRO = Decimal(1_000_000)


def attempt(row: Row[Any]) -> Attempt:
    """An attempt's row as a value."""
    receipt = Receipt(row.remote_id or "", row.url, row.ended_at) if row.remote_id or row.url else None
    return Attempt(
        id=row.id,
        delivery=row.delivery,
        account=row.account,
        identity=row.identity,
        action=Action(row.action),
        generation=row.generation,
        key=row.key,
        payload=Payload(body=bytes(row.body), text=row.text, link=row.link, cost=row.cost),
        started_at=row.started_at,
        lease_until=row.lease_until,
        worker=row.worker,
        outcome=Outcome(row.outcome),
        ended_at=row.ended_at,
        words=row.words,
        status=row.status,
        request_id=row.request_id,
        receipt=receipt,
        container=row.container,
        finishing_at=row.finishing_at,
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no attempt was started. `moved`: the delivery or account is no longer as it was read."""

    why: Why | None = None
    stop: StopSwitch | None = None
    moved: bool = False
    taken_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Intent: begin a publish. The started attempt, or why there is none; nothing was written then."""

    current: Delivery
    identity: str
    payload: Payload
    key: str
    generation: int
    lease: timedelta
    worker: str
    pacing: Pacing
    scopes: tuple[tuple[Scope, str], ...] = ()
    #: The one post an hour by which an account without credit tries whether it has some again.
    trial: bool = False

    @property
    def lock(self) -> str:
        return self.current.account

    def apply(self, tx: Tx) -> Attempt | Refused:
        refused = self._account_refuses(tx) or self._pace_refuses(tx)
        if refused is not None:
            return refused
        stop = stopped_by(tx, self.scopes)
        if stop is not None:
            return Refused(Why(Reason.STOPPED, str(stop)), stop=stop)
        begun = self.row(tx)
        inserted = _BEGIN.row(tx, begun)
        if inserted is None:
            return Refused(moved=True)  # somebody is in flight for this identity
        number = int(inserted[0])
        here = {"identity": self.identity, "story": self.current.story, "occasion": self.current.occasion}
        if _OCCUPY.row(tx, {**here, "attempt": number}) is None:
            tx.execute(_UNDO, {"number": number})
            return self._occupied(tx)
        if not self._claim(tx, number):
            tx.execute(_GIVE_UP_PLACE, {"number": number, "whose": self.identity})
            tx.execute(_UNDO, {"number": number})
            return Refused(moved=True)
        charge(tx, self.identity, self.pacing.month, Decimal(self.payload.cost))
        if self.trial:
            put_off_trial(tx, self.current.account)
        return self.attempt(number, begun)

    def _account_refuses(self, tx: Tx) -> Refused | None:
        """Lock the account row: from here on nobody else starts on this account."""
        statement = _MAY_TRY if self.trial else _FREE
        if statement.row(tx, {"is_name": self.current.account, "is_identity": self.identity, "now": tx.now}):
            return None
        return Refused(Why(Reason.NETWORK_LIMIT), moved=True)

    def _pace_refuses(self, tx: Tx) -> Refused | None:
        if self.pacing.gap:
            last = tx.execute(_LAST, {"whose": self.identity, "now": tx.now}).scalar()
            if last is not None and tx.now - last < self.pacing.gap:
                return Refused(Why(Reason.GAP))
        for since, most in self.pacing.windows:
            if tx.execute(_COUNT, {"whose": self.identity, "now": tx.now, "since": since}).scalar_one() >= most:
                return Refused(Why(Reason.CAP))
        if self.pacing.budget is not None:
            spent = spent_in(tx, self.identity, self.pacing.month)
            if spent + Decimal(self.payload.cost) > self.pacing.budget:
                return Refused(Why(Reason.BUDGET))
        return None

    def _occupied(self, tx: Tx) -> Refused:
        """Who has the story's place on the account? Another post, or this delivery itself: it went meanwhile."""
        holder = tx.row(
            select(occupied.c.attempt, attempts.c.delivery)
            .join(attempts, attempts.c.id == occupied.c.attempt, isouter=True)
            .where(
                occupied.c.identity == self.identity,
                occupied.c.story == self.current.story,
                occupied.c.occasion == self.current.occasion,
            )
        )
        if holder is not None and holder.delivery == self.current.id:
            return Refused(moved=True)
        return Refused(Why(Reason.SAME_LINK), taken_by=None if holder is None else holder.attempt)

    def attempt(self, number: int, row: Mapping[str, Any]) -> Attempt:
        """The attempt that was begun with this row."""
        return Attempt(id=number, payload=self.payload, **{name: row[name] for name in _AS_STORED})

    def row(self, tx: Tx) -> dict[str, Any]:
        """The attempt's row, without its number."""
        return {
            "delivery": self.current.id,
            "account": self.current.account,
            "identity": self.identity,
            "action": Action.PUBLISH,
            "generation": self.generation,
            "key": self.key,
            "body": self.payload.body,
            "text": self.payload.text,
            "link": self.payload.link,
            "cost": self.payload.cost,
            "started_at": tx.now,
            "lease_until": tx.now + self.lease,
            "worker": self.worker,
            "outcome": Outcome.OPEN,
            "counts": True,
            "words": "",
        }

    def _claim(self, tx: Tx, number: int) -> bool:
        """Take the delivery if it still is as it was read, its article not withdrawn and not to be planned again."""
        values = {
            "attempt": number,
            "generation": self.generation,
            "text": self.payload.text,
            "detail": self.current.route,
            "updated_at": tx.now,
        }
        return _CLAIM.changed(tx, {"is_id": self.current.id, "is_version": self.current.version, **values}) == 1


#: The columns of a new attempt that its value has under the same names.
_AS_STORED = (
    *("delivery", "account", "identity", "action", "generation", "key"),
    *("started_at", "lease_until", "worker", "outcome"),
)
_BEGIN = Prepared.insert(attempts)
_OCCUPY = Prepared.insert(occupied)
_NOW = bindparam("now", type_=Instant)


def _may_post(breaker: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(
        accounts.c.live_since.is_not(None),
        accounts.c.checked_at.is_not(None),
        breaker,
        accounts.c.token_over_at.is_(None),
        or_(accounts.c.blocked_until.is_(None), accounts.c.blocked_until <= _NOW),
    )


def _account_that(may: ColumnElement[bool]) -> Prepared:
    """Lock the row of an account if it may."""
    mine = and_(accounts.c.name == bindparam("is_name"), accounts.c.identity == bindparam("is_identity"))
    return Prepared(select(accounts.c.name).where(mine, may).with_for_update())


#: The account may post at the time `now`.
FREE = _may_post(accounts.c.breaker.is_(None))
_FREE = _account_that(FREE)
_MAY_TRY = _account_that(
    _may_post(
        and_(accounts.c.breaker == Reason.BILLING, or_(accounts.c.probe_at.is_(None), accounts.c.probe_at <= _NOW))
    )
)
# What lies ahead of us was sent before the clock was set back: it must not block until then.
_MINE = and_(
    attempts.c.identity == bindparam("whose"), COUNTING, attempts.c.started_at <= bindparam("now", type_=Instant)
)
_LAST = select(func.max(attempts.c.started_at)).where(_MINE)
_COUNT = (
    select(func.count()).select_from(attempts).where(_MINE, attempts.c.started_at >= bindparam("since", type_=Instant))
)
#: The article of the delivery is live, and not to be planned again. (Asked for each delivery: a join that EXISTS would
#: become starts at the articles where PostgreSQL has no statistics yet.)
TAKEABLE = (
    select(and_(articles.c.status == Status.LIVE, ~articles.c.unplanned))
    .where(articles.c.id == deliveries.c.article)
    .scalar_subquery()
)
_CLAIM = Prepared(
    deliveries.update()
    .where(
        deliveries.c.id == bindparam("is_id"),
        deliveries.c.version == bindparam("is_version"),
        deliveries.c.state == State.WAITING,
        TAKEABLE,
    )
    .values(
        state=MOVES[State.WAITING, Move.CLAIM],
        reason=Reason.ROUTE,
        tries=deliveries.c.tries + 1,
        version=deliveries.c.version + 1,
    )
)
_UNDO = attempts.delete().where(attempts.c.id == bindparam("number"))
_GIVE_UP_PLACE = occupied.delete().where(
    occupied.c.identity == bindparam("whose"), occupied.c.attempt == bindparam("number")
)


def charge(tx: Tx, identity: str, month: str, amount: Decimal) -> None:
    """Count money that an attempt of a month costs (negative: it was not spent after all)."""
    if not amount or not month:
        return
    micros = int(amount * _MICRO)
    if not tx.insert_unless_there(spend, {"identity": identity, "month": month, "micros": micros}):
        here = and_(spend.c.identity == identity, spend.c.month == month)
        tx.execute(spend.update().where(here).values(micros=spend.c.micros + micros))


# -- reads --------------------------------------------------------------------------------------------------------


def spent_in(tx: Tx, identity: str, month: str) -> Decimal:
    """What the identity's attempts of a month ("2026-11", UTC) cost, unless proved not out."""
    here = and_(spend.c.identity == identity, spend.c.month == month)
    found = tx.execute(select(spend.c.micros).where(here)).scalar()
    return Decimal(found or 0) / _MICRO


def history(tx: Tx, identity: str, *, limit: int) -> list[datetime]:
    """When this identity's newest posts (out, or perhaps out) were started, newest first."""
    query = (
        select(attempts.c.started_at)
        .where(attempts.c.identity == identity, COUNTING)
        .order_by(attempts.c.started_at.desc())
        .limit(limit)
    )
    return [row.started_at for row in tx.rows(query)]


def by_id(tx: Tx, number: int) -> Attempt | None:
    """One attempt, or None."""
    row = tx.row(select(attempts).where(attempts.c.id == number))
    return attempt(row) if row else None


def of_delivery(tx: Tx, delivery_id: str) -> list[Attempt]:
    """All attempts of a delivery, oldest first."""
    query = select(attempts).where(attempts.c.delivery == delivery_id).order_by(attempts.c.id)
    return [attempt(row) for row in tx.rows(query)]


def proved_out_since(tx: Tx, identity: str, since: datetime) -> bool:
    """Did a post of the identity that was begun since then go out for certain?"""
    out = attempts.c.outcome.in_([Outcome.RECEIPT, Outcome.FOUND])
    mine = and_(attempts.c.identity == identity, COUNTING, attempts.c.started_at >= since, out)
    return tx.row(select(attempts.c.id).where(mine).limit(1)) is not None


def undecided(tx: Tx) -> list[tuple[Attempt, Delivery]]:
    """Attempts that are open, pending or unknown while their delivery is sending or unknown, oldest first."""
    numbers = (
        select(attempts.c.id)
        .join(deliveries, and_(deliveries.c.id == attempts.c.delivery, deliveries.c.attempt == attempts.c.id))
        .where(UNDECIDED, IN_DOUBT)
        .order_by(attempts.c.id)
    )
    found = []
    for number in [row.id for row in tx.rows(numbers)]:
        one = by_id(tx, number)
        row = tx.row(select(deliveries).where(deliveries.c.id == one.delivery)) if one else None
        if one is not None and row is not None:
            found.append((one, delivery(row)))
    return found


def last_number(tx: Tx) -> int:
    """The highest attempt number ever given, 0 if none."""
    return tx.execute(select(func.max(attempts.c.id))).scalar() or 0


def outcomes(tx: Tx, *, after: int, also: Iterable[int]) -> list[tuple[int, str, Outcome]]:
    """Number, account and outcome of the attempts with a higher number, and of these."""
    found = []
    for asked in (attempts.c.id.in_(sorted(also)), attempts.c.id > after):  # in one statement SQLite reads all
        query = select(attempts.c.id, attempts.c.account, attempts.c.outcome).where(asked).order_by(attempts.c.id)
        found += [(row.id, row.account, Outcome(row.outcome)) for row in tx.rows(query)]
    return found
