"""Deliveries: planning them, timing them, and every move a person may make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, and_, bindparam, func, or_, select

from bot.model import MOVES, Delivery, Move, Priority, Reason, State, Status, Why
from bot.store.accounts import Effect, affect, lock_accounts
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import HELD, IN_DOUBT, REHEARSED, WAITING, Instant, accounts, articles, deliveries, rules

FIRST = "first"  # the occasion of an article's first post on an account


def whys_to_json(whys: Iterable[Why]) -> list[list[str]]:
    """Reasons as JSON."""
    return [[why.reason, why.detail] for why in whys]


def whys_from_json(data: Iterable[Sequence[str]] | None) -> tuple[Why, ...]:
    """Reasons again."""
    return tuple(Why(Reason(reason), detail) for reason, detail in data or ())


def delivery(row: Row[Any]) -> Delivery:
    """A delivery's row as a value."""
    return Delivery(
        id=row.id,
        article=row.article,
        story=row.story,
        account=row.account,
        occasion=row.occasion,
        state=State(row.state),
        reason=Why(Reason(row.reason), row.detail),
        priority=Priority(row.priority),
        route=row.route,
        ready_at=row.ready_at,
        ready_why=Reason(row.ready_why) if row.ready_why else None,
        due_at=row.due_at,
        due_why=whys_from_json(row.due_why),
        fresh_until=row.fresh_until,
        pinned_at=row.pinned_at,
        turn=row.turn,
        edited_text=row.edited_text,
        edited_by=row.edited_by,
        text=row.text,
        length=row.length,
        cost=row.cost,
        generation=row.generation,
        tries=row.tries,
        attempt=row.attempt,
        doubted_at=row.doubted_at,
        absent_at=row.absent_at,
        retry_words=row.retry_words,
        sent_at=row.sent_at,
        confirmed_at=row.confirmed_at,
        remote_id=row.remote_id,
        url=row.url,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
    )


_MARK_DIRTY = (
    accounts.update()
    .where(accounts.c.name.in_(bindparam("names", expanding=True)))
    .values(dirty=True, version=accounts.c.version + 1)
)


def mark_dirty(tx: Tx, names: Iterable[str]) -> None:
    """These accounts' times must be reckoned again.

    Account rows are always taken before delivery rows, and by name: transactions that lock in one order can't deadlock.
    """
    wanted = sorted(set(names))
    lock_accounts(tx, wanted)
    tx.execute(_MARK_DIRTY, {"names": wanted})


def rule_out(tx: Tx, why: Why, *which: ColumnElement[bool]) -> None:
    """What of these deliveries still waits or is held will not go. What is out or unclear keeps its state: also what
    is held because nobody could tell whether it is out."""
    clear = or_(deliveries.c.state != State.HELD, deliveries.c.doubted_at.is_(None))
    chosen = and_(deliveries.c.state.in_([State.WAITING, State.HELD]), clear, *which)
    touched = tx.rows(select(deliveries.c.account).where(chosen).distinct().order_by(deliveries.c.account))
    mark_dirty(tx, [row.account for row in touched])  # the account rows first, as everywhere
    tx.execute(
        deliveries.update()
        .where(chosen)
        .values(
            state=State.SKIPPED,
            reason=why.reason,
            detail=why.detail,
            updated_at=tx.now,
            version=deliveries.c.version + 1,
        )
    )


def catch_up(tx: Tx, delivery: str) -> None:
    """What waits again, and was on the wire (or refused) while its article or the rules changed, is planned anew: an
    embargo, a hold, another route may have come. What is in doubt goes again as it was, or not at all."""
    tx.execute(_CATCH_UP, {"is_id": delivery})


_ARTICLE = articles.alias()
_CATCH_UP = (
    articles.update()
    .where(
        articles.c.id.in_(
            select(_ARTICLE.c.id)
            .join(deliveries, deliveries.c.article == _ARTICLE.c.id)
            .where(
                deliveries.c.id == bindparam("is_id"),
                deliveries.c.state == State.WAITING,
                deliveries.c.doubted_at.is_(None),
                or_(
                    deliveries.c.revision < _ARTICLE.c.revision,
                    deliveries.c.rules < select(func.max(rules.c.number)).scalar_subquery(),
                ),
            )
        ),
        articles.c.status == Status.LIVE,
    )
    .values(unplanned=True)
)


def move(tx: Tx, current: Delivery, step: Move, why: Why, **changes: Any) -> bool:
    """One legal move of a delivery, if it still is as it was read. Raises KeyError for a move that MOVES forbids."""
    target = MOVES[current.state, step]
    moved = tx.changed(
        deliveries.update()
        .where(
            deliveries.c.id == current.id, deliveries.c.state == current.state, deliveries.c.version == current.version
        )
        .values(
            state=target,
            reason=why.reason,
            detail=why.detail,
            updated_at=tx.now,
            version=current.version + 1,
            **changes,
        )
    )
    if moved and target is State.WAITING:
        catch_up(tx, current.id)
    return moved == 1


# -- intents of deliver and of people -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDelivery:
    """Intent: one move, by a rule or a person, of a delivery as it was read. False: it was no longer so."""

    current: Delivery
    move: Move
    why: Why
    who: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        return self.current.account

    def apply(self, tx: Tx) -> bool:
        mark_dirty(tx, [self.current.account])
        if not move(tx, self.current, self.move, self.why, **self.changes):
            return False
        detail = {"from": self.current.state, "move": self.move, "reason": self.why.reason, "detail": self.why.detail}
        note(tx, f"delivery_{self.move}", self.current.id, detail, who=self.who)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDelivery:
    """Intent: an edit or another time for a delivery that still waits or is held. False: too late."""

    current: Delivery
    event: str
    who: str
    changes: Mapping[str, Any]
    effect: Effect = field(default_factory=Effect)

    @property
    def lock(self) -> str:
        return self.current.account

    def apply(self, tx: Tx) -> bool:
        mark_dirty(tx, [self.current.account])
        affect(tx, self.current.account, self.effect)
        changed = tx.changed(
            deliveries.update()
            .where(
                deliveries.c.id == self.current.id,
                deliveries.c.version == self.current.version,
                deliveries.c.state.in_([State.WAITING, State.HELD]),
            )
            .values(updated_at=tx.now, version=self.current.version + 1, **self.changes)
        )
        if changed:
            shown = {key: str(value) for key, value in self.changes.items()}
            note(tx, self.event, self.current.id, shown, who=self.who)
        return changed == 1


@dataclass(frozen=True, slots=True)
class MarkDirty:
    """Intent: these accounts' times must be reckoned again."""

    names: tuple[str, ...]

    @property
    def lock(self) -> str:
        return self.names[0] if self.names else ""

    def apply(self, tx: Tx) -> None:
        mark_dirty(tx, self.names)


# -- reads --------------------------------------------------------------------------------------------------------


def by_id(tx: Tx, delivery_id: str) -> Delivery | None:
    """One delivery, or None."""
    row = tx.row(select(deliveries).where(deliveries.c.id == delivery_id))
    return delivery(row) if row else None


def by_prefix(tx: Tx, prefix: str) -> list[Delivery]:
    """Deliveries whose id begins so, at most 20."""
    query = select(deliveries).where(deliveries.c.id.startswith(prefix, autoescape=True)).order_by(deliveries.c.id)
    return [delivery(row) for row in tx.rows(query.limit(20))]


def of_articles(tx: Tx, ids: Iterable[str]) -> dict[str, list[Delivery]]:
    """Each article's deliveries, oldest first."""
    wanted = sorted(set(ids))
    found: dict[str, list[Delivery]] = {article: [] for article in wanted}
    for start in range(0, len(wanted), 500):
        query = (
            select(deliveries)
            .where(deliveries.c.article.in_(wanted[start : start + 500]))
            .order_by(deliveries.c.created_at, deliveries.c.account, deliveries.c.id)
        )
        for row in tx.rows(query):
            found[row.article].append(delivery(row))
    return found


def of_story(tx: Tx, story: str, account: str) -> list[Delivery]:
    """A story's deliveries on an account, oldest first."""
    query = (
        select(deliveries)
        .where(deliveries.c.story == story, deliveries.c.account == account)
        .order_by(deliveries.c.created_at, deliveries.c.id)
    )
    return [delivery(row) for row in tx.rows(query)]


def waiting(tx: Tx, account: str) -> list[Delivery]:
    """What waits on an account, by time."""
    query = (
        select(deliveries)
        .where(deliveries.c.account == account, WAITING)
        .order_by(deliveries.c.due_at, deliveries.c.turn, deliveries.c.article, deliveries.c.id)
    )
    return [delivery(row) for row in tx.rows(query)]


_NEXT_DUE = (
    select(deliveries)
    .where(deliveries.c.account == bindparam("of"), WAITING, deliveries.c.due_at <= bindparam("now", type_=Instant))
    .order_by(deliveries.c.due_at, deliveries.c.turn, deliveries.c.article, deliveries.c.id)
    .limit(bindparam("most", type_=Integer))
)


def next_due(tx: Tx, account: str, *, limit: int = 1) -> list[Delivery]:
    """What is due on an account now, in order."""
    return [delivery(row) for row in tx.rows(_NEXT_DUE, {"of": account, "now": tx.now, "most": limit})]


_DUE_ACCOUNTS = (
    select(deliveries.c.account)
    .where(WAITING, deliveries.c.due_at <= bindparam("now", type_=Instant))
    .distinct()
    .order_by(deliveries.c.account)
)


def due_accounts(tx: Tx) -> list[str]:
    """Accounts on which something is due now."""
    return [row.account for row in tx.rows(_DUE_ACCOUNTS, {"now": tx.now})]


def next_due_at(tx: Tx, *, after: datetime | None = None) -> datetime | None:
    """When the next delivery is due anywhere (after a given time)."""
    query, values = (_NEXT_AT, {}) if after is None else (_NEXT_AT_AFTER, {"after": after})
    found: datetime | None = tx.execute(query, values).scalar()
    return found


_NEXT_AT = (
    select(deliveries.c.due_at).where(WAITING, deliveries.c.due_at.is_not(None)).order_by(deliveries.c.due_at).limit(1)
)
_NEXT_AT_AFTER = _NEXT_AT.where(deliveries.c.due_at > bindparam("after", type_=Instant))


def limited_until(tx: Tx, names: Iterable[str]) -> datetime | None:
    """When the next delivery on these accounts is due of those that wait because a network asked for rest."""
    asked = or_(deliveries.c.ready_why == Reason.NETWORK_LIMIT, deliveries.c.due_at <= accounts.c.blocked_until)
    query = (
        select(func.min(deliveries.c.due_at))
        .join(accounts, accounts.c.name == deliveries.c.account)
        .where(deliveries.c.state == State.WAITING, deliveries.c.account.in_(sorted(names)), asked)
    )
    found: datetime | None = tx.execute(query).scalar()
    return found


def out_of_stories(tx: Tx, wanted: Iterable[Any], *, since: datetime) -> dict[str, dict[str, Delivery]]:
    """For each stored article: by account, a post of *another* article of the same story that is (perhaps) out."""
    by_story = {stored.merged_into or stored.id: stored.id for stored in wanted}
    query = (
        select(deliveries)
        .where(
            deliveries.c.story.in_(sorted(by_story)),
            deliveries.c.state.in_([State.SENDING, State.SENT, State.UNKNOWN]),
            or_(deliveries.c.sent_at.is_(None), deliveries.c.sent_at >= since),
        )
        .order_by(deliveries.c.created_at, deliveries.c.id)
    )
    found: dict[str, dict[str, Delivery]] = {}
    for row in tx.rows(query):
        mine = by_story[row.story]
        if row.article != mine:
            found.setdefault(mine, {}).setdefault(row.account, delivery(row))
    return found


def with_receipts(tx: Tx, account: str, remote_ids: Iterable[str]) -> frozenset[str]:
    """Which of these posts are known as a delivery's of the account."""
    query = select(deliveries.c.remote_id).where(
        deliveries.c.account == account, deliveries.c.remote_id.in_(sorted(set(remote_ids)))
    )
    return frozenset(row.remote_id for row in tx.rows(query.order_by(deliveries.c.remote_id)))


def overdue(tx: Tx, *, before: datetime) -> list[Delivery]:
    """What still waits though it was due before then, oldest first, at most one per account."""
    first: dict[str, Delivery] = {}
    for row in tx.rows(_OVERDUE, {"before": before}):
        first.setdefault(row.account, delivery(row))
    return list(first.values())


def missed(tx: Tx, *, since: datetime) -> dict[str, int]:
    """How many posts of each account grew too old since then."""
    return {row.account: int(row.number) for row in tx.rows(_MISSED, {"since": since})}


#: Read at every tick of a worker, so made once.
_OVERDUE = (
    select(deliveries)
    .where(WAITING, deliveries.c.due_at < bindparam("before", type_=Instant))
    .order_by(deliveries.c.due_at, deliveries.c.id)
    .limit(200)
)
_MISSED = (
    select(deliveries.c.account, func.count().label("number"))
    .where(
        deliveries.c.updated_at >= bindparam("since", type_=Instant),
        deliveries.c.state == State.SKIPPED,
        deliveries.c.reason.in_([Reason.STALE, Reason.CAP]),
    )
    .group_by(deliveries.c.account)
    .order_by(deliveries.c.account)
)


def rehearsed(tx: Tx, account: str, *, limit: int) -> list[datetime]:
    """When a rehearsing account's newest posts would have gone, newest first: they keep its pace like real ones."""
    query = (
        select(deliveries.c.updated_at)
        .where(deliveries.c.account == account, REHEARSED)
        .order_by(deliveries.c.updated_at.desc())
        .limit(limit)
    )
    return [row.updated_at for row in tx.rows(query)]


def newest_change(tx: Tx) -> datetime | None:
    """When any delivery changed last: how far this store remembers."""
    row = tx.row(select(deliveries.c.updated_at).order_by(deliveries.c.updated_at.desc()).limit(1))
    return row.updated_at if row else None


def same_link(tx: Tx, account: str, story: str, *, since: datetime) -> Delivery | None:
    """An earlier post of the story on the account since then, out or perhaps out."""
    query = (
        select(deliveries)
        .where(
            deliveries.c.story == story,
            deliveries.c.account == account,
            deliveries.c.state.in_([State.SENDING, State.SENT, State.UNKNOWN]),
            or_(deliveries.c.sent_at.is_(None), deliveries.c.sent_at >= since),
        )
        .order_by(deliveries.c.created_at)
    )
    row = tx.row(query)
    return delivery(row) if row else None


def listing(
    tx: Tx,
    *,
    states: Sequence[State],
    account: str | None = None,
    since: datetime | None = None,
    limit: int = 500,
) -> list[Delivery]:
    """Deliveries in these states, soonest first (without a time: last), for `wirepost queue`."""
    conditions: list[ColumnElement[bool]] = [deliveries.c.state.in_(states)]
    if account is not None:
        conditions.append(deliveries.c.account == account)
    if since is not None:
        conditions.append(deliveries.c.updated_at >= since)
    order = (deliveries.c.due_at.is_(None), deliveries.c.due_at, deliveries.c.updated_at, deliveries.c.id)
    query = select(deliveries).where(and_(*conditions)).order_by(*order).limit(limit)
    return [delivery(row) for row in tx.rows(query)]


def counts(tx: Tx) -> dict[tuple[str, State], int]:
    """How many deliveries each account has in each open state (sending, waiting, held, unknown)."""
    found: dict[tuple[str, State], int] = {}
    for condition in (WAITING, IN_DOUBT, HELD):  # an index each
        query = (
            select(deliveries.c.account, deliveries.c.state, func.count().label("number"))
            .where(condition)
            .group_by(deliveries.c.account, deliveries.c.state)
            .order_by(deliveries.c.account, deliveries.c.state)
        )
        found |= {(row.account, State(row.state)): int(row.number) for row in tx.rows(query)}
    return dict(sorted(found.items()))
