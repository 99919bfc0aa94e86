"""Deliveries: planning them, timing them, and every move a person may make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from bot.model import MOVES, Delivery, Move, Priority, Reason, State, Why
from bot.store.accounts import Effect, affect
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import accounts, articles, decisions, deliveries

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


def mark_dirty(tx: Tx, names: Iterable[str]) -> None:
    """These accounts' times must be reckoned again.

    Account rows are always taken before delivery rows: transactions that lock in one order can't deadlock.
    """
    tx.execute(
        accounts.update()
        .where(accounts.c.name.in_(sorted(set(names))))
        .values(dirty=True, version=accounts.c.version + 1)
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
    return moved == 1


# -- intents of plan ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """Why an article goes to an account, or not. The account "" stands for all (no route, baseline)."""

    account: str
    yes: bool
    reasons: tuple[Why, ...]
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery as plan makes it: waiting, held, or at once skipped with its reason."""

    id: str
    account: str
    occasion: str
    state: State
    why: Why
    priority: Priority
    route: str
    ready_at: datetime
    ready_why: Reason | None
    fresh_until: datetime | None
    pinned_at: datetime | None = None
    text: str = ""
    length: int = 0
    cost: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """New facts for a delivery that still waits or is held (text, time limits), or a move that the rules make."""

    current: Delivery
    move: Move | None = None
    why: Why | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What plan decided for one article's revision."""

    article: str
    story: str
    revision: int
    decisions: tuple[DecisionRow, ...]
    new: tuple[NewDelivery, ...] = ()
    refresh: tuple[Refresh, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Intent: the plans of several articles; an article that changed meanwhile is left for the next round."""

    plans: tuple[Planned, ...]
    rules: int
    lock: str = ""

    def apply(self, tx: Tx) -> int:
        """How many deliveries are new."""
        made = 0
        touched = {item.account for plan in self.plans for item in plan.new}
        touched |= {item.current.account for plan in self.plans for item in plan.refresh}
        mark_dirty(tx, touched)
        for plan in self.plans:
            if tx.changed(
                articles.update()
                .where(articles.c.id == plan.article, articles.c.revision == plan.revision, articles.c.unplanned)
                .values(unplanned=False)
            ):
                self._decide(tx, plan)
                made += self._deliver(tx, plan)
        return made

    def _decide(self, tx: Tx, plan: Planned) -> None:
        for decision in plan.decisions:
            tx.insert_or_update(
                decisions,
                {
                    "article": plan.article,
                    "account": decision.account,
                    "rules": self.rules,
                    "revision": plan.revision,
                    "yes": decision.yes,
                    "reasons": whys_to_json(decision.reasons),
                    "trace": list(decision.trace),
                    "at": tx.now,
                },
            )

    def _deliver(self, tx: Tx, plan: Planned) -> int:
        made = 0
        for new in plan.new:
            made += tx.insert_unless_there(deliveries, _row(tx, plan, new, self.rules))
        for refresh in plan.refresh:
            current = refresh.current
            changes = {**refresh.changes, "rules": self.rules, "revision": plan.revision}
            if refresh.move is not None and refresh.why is not None:
                move(tx, current, refresh.move, refresh.why, **changes)
            else:
                tx.execute(
                    deliveries.update()
                    .where(
                        deliveries.c.id == current.id,
                        deliveries.c.version == current.version,
                        deliveries.c.state == current.state,
                    )
                    .values(updated_at=tx.now, version=current.version + 1, **changes)
                )
        return made


def _row(tx: Tx, plan: Planned, new: NewDelivery, rules: int) -> dict[str, Any]:
    return {
        "id": new.id,
        "article": plan.article,
        "story": plan.story,
        "account": new.account,
        "occasion": new.occasion,
        "state": new.state,
        "reason": new.why.reason,
        "detail": new.why.detail,
        "priority": new.priority,
        "route": new.route,
        "rules": rules,
        "revision": plan.revision,
        "ready_at": new.ready_at,
        "ready_why": new.ready_why,
        "due_why": [],
        "fresh_until": new.fresh_until,
        "pinned_at": new.pinned_at,
        "text": new.text,
        "length": new.length,
        "cost": new.cost,
        "generation": 1,
        "tries": 0,
        "retry_words": "",
        "created_at": tx.now,
        "updated_at": tx.now,
        "version": 1,
    }


@dataclass(frozen=True, slots=True)
class Timed:
    """When one waiting delivery is due, with why; or that no time is left for it."""

    current: Delivery
    due_at: datetime | None
    why: tuple[Why, ...]
    move: Move | None = None


@dataclass(frozen=True, slots=True)
class SetTimes:
    """Intent: an account's timetable. What moved meanwhile keeps its time; the account stays dirty if it changed."""

    account: str
    account_version: int
    times: tuple[Timed, ...]

    @property
    def lock(self) -> str:
        return self.account

    def apply(self, tx: Tx) -> None:
        tx.execute(
            accounts.update()
            .where(accounts.c.name == self.account, accounts.c.version == self.account_version)
            .values(dirty=False)
        )
        for timed in self.times:
            current = timed.current
            if timed.move is not None:
                target = MOVES[current.state, timed.move]
                changes: dict[str, Any] = {
                    "state": target,
                    "reason": timed.why[0].reason,
                    "detail": timed.why[0].detail,
                    "updated_at": tx.now,
                    "version": current.version + 1,
                    "due_at": None,
                }
            else:
                changes = {"due_at": timed.due_at, "due_why": whys_to_json(timed.why)}
            tx.execute(
                deliveries.update()
                .where(
                    deliveries.c.id == current.id,
                    deliveries.c.version == current.version,
                    deliveries.c.state == State.WAITING,
                )
                .values(**changes)
            )


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


def decisions_of(tx: Tx, article: str) -> list[tuple[str, int, DecisionRow]]:
    """The newest decision per account: (account, rules revision, decision)."""
    query = select(decisions).where(decisions.c.article == article).order_by(decisions.c.account, decisions.c.rules)
    newest: dict[str, tuple[str, int, DecisionRow]] = {}
    for row in tx.rows(query):
        reasons = whys_from_json(row.reasons)
        decision = DecisionRow(account=row.account, yes=row.yes, reasons=reasons, trace=tuple(row.trace))
        newest[row.account] = (row.account, row.rules, decision)
    return list(newest.values())


def waiting(tx: Tx, account: str) -> list[Delivery]:
    """What waits on an account, by time."""
    query = (
        select(deliveries)
        .where(deliveries.c.account == account, deliveries.c.state == State.WAITING)
        .order_by(deliveries.c.due_at, deliveries.c.id)
    )
    return [delivery(row) for row in tx.rows(query)]


def next_due(tx: Tx, account: str, *, limit: int = 1) -> list[Delivery]:
    """What is due on an account now, in order."""
    query = (
        select(deliveries)
        .where(deliveries.c.account == account, deliveries.c.state == State.WAITING, deliveries.c.due_at <= tx.now)
        .order_by(deliveries.c.due_at, deliveries.c.id)
        .limit(limit)
    )
    return [delivery(row) for row in tx.rows(query)]


def due_accounts(tx: Tx) -> list[str]:
    """Accounts on which something is due now."""
    query = (
        select(deliveries.c.account)
        .where(deliveries.c.state == State.WAITING, deliveries.c.due_at <= tx.now)
        .distinct()
        .order_by(deliveries.c.account)
    )
    return [row.account for row in tx.rows(query)]


def next_due_at(tx: Tx, *, after: datetime | None = None) -> datetime | None:
    """When the next delivery is due anywhere (after a given time)."""
    query = select(deliveries.c.due_at).where(deliveries.c.state == State.WAITING, deliveries.c.due_at.is_not(None))
    if after is not None:
        query = query.where(deliveries.c.due_at > after)
    found: datetime | None = tx.execute(query.order_by(deliveries.c.due_at).limit(1)).scalar()
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


def planned_before(tx: Tx, ids: Iterable[str], rules: int) -> frozenset[str]:
    """Which of these articles were decided on under older rules."""
    query = (
        select(decisions.c.article)
        .where(decisions.c.article.in_(sorted(ids)), decisions.c.rules < rules, decisions.c.account != "")
        .distinct()
        .order_by(decisions.c.article)
    )
    return frozenset(row.article for row in tx.rows(query))


def rehearsed(tx: Tx, account: str, *, limit: int) -> list[datetime]:
    """When a rehearsing account's newest posts would have gone, newest first: they keep its pace like real ones."""
    query = (
        select(deliveries.c.updated_at)
        .where(deliveries.c.account == account, deliveries.c.reason == Reason.REHEARSAL)
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
    open_states = (State.WAITING, State.SENDING, State.UNKNOWN, State.HELD)
    query = (
        select(deliveries.c.account, deliveries.c.state, func.count().label("number"))
        .where(deliveries.c.state.in_(open_states))
        .group_by(deliveries.c.account, deliveries.c.state)
        .order_by(deliveries.c.account, deliveries.c.state)
    )
    return {(row.account, State(row.state)): int(row.number) for row in tx.rows(query)}
