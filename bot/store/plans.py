"""What plan and schedule write: decisions, new deliveries, refreshed ones, and due times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from bot.model import Delivery, Move, Priority, Reason, State, Status, Why
from bot.store.accounts import lock_accounts
from bot.store.deliveries import mark_dirty, move, whys_from_json, whys_to_json
from bot.store.engine import Tx
from bot.store.prepared import Prepared
from bot.store.schema import accounts, articles, decisions, deliveries, rules


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
    turn: int = 0
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
    """What plan decided for one article's revision; `status` and `by_hand` are the article's as plan read them."""

    article: str
    story: str
    revision: int
    status: Status = Status.LIVE
    by_hand: Mapping[str, Any] | None = None
    decisions: tuple[DecisionRow, ...]
    new: tuple[NewDelivery, ...] = ()
    refresh: tuple[Refresh, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Intent: the plans of several articles. An article that changed meanwhile is left for the next round, and comes
    round once more if one of its deliveries did. Everything is left, if other rules came to hold since `newest`, the
    number of the newest ones as plan read it."""

    plans: tuple[Planned, ...]
    rules: int
    newest: int | None = None
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        touched = {item.account for plan in self.plans for item in plan.new}
        touched |= {item.current.account for plan in self.plans for item in plan.refresh}
        mark_dirty(tx, touched)
        now = _as_they_are(tx, [plan.article for plan in self.plans])
        if self.newest is not None and newest_rules(tx) != self.newest:
            return
        same = [plan for plan in self.plans if now.get(plan.article) == (plan.status, plan.by_hand)]
        valid = [plan for plan in same if self._still_so(tx, plan)]
        tx.insert_or_update_each(decisions, [self._decision(tx, plan, one) for plan in valid for one in plan.decisions])
        for plan in valid:
            lost = [one for one in plan.refresh if not self._refresh(tx, plan, one)]
            if lost:
                tx.execute(_AGAIN, {"is_id": plan.article})
        new = [_row(tx, plan, one, self.rules) for plan in valid for one in plan.new]
        tx.insert_each_unless_there(deliveries, new)

    def _still_so(self, tx: Tx, plan: Planned) -> bool:
        """Take the article's revision for planned, unless it changed or another worker was faster."""
        return _PLANNED.changed(tx, {"is_id": plan.article, "is_revision": plan.revision, "unplanned": False}) == 1

    def _decision(self, tx: Tx, plan: Planned, decision: DecisionRow) -> dict[str, Any]:
        return {
            "article": plan.article,
            "account": decision.account,
            "rules": self.rules,
            "revision": plan.revision,
            "yes": decision.yes,
            "reasons": whys_to_json(decision.reasons),
            "trace": list(decision.trace),
            "at": tx.now,
        }

    def _refresh(self, tx: Tx, plan: Planned, refresh: Refresh) -> bool:
        """Change one delivery. False: it is no longer as it was read."""
        current = refresh.current
        changes = {**refresh.changes, "rules": self.rules, "revision": plan.revision}
        if refresh.move is not None and refresh.why is not None:
            return move(tx, current, refresh.move, refresh.why, **changes)
        as_read = (
            deliveries.c.id == current.id,
            deliveries.c.version == current.version,
            deliveries.c.state == current.state,
        )
        values = {"updated_at": tx.now, "version": current.version + 1, **changes}
        return tx.changed(deliveries.update().where(*as_read).values(**values)) == 1


def _as_they_are(tx: Tx, ids: Iterable[str]) -> dict[str, tuple[Status, Mapping[str, Any] | None]]:
    """Each article's status and a person's wishes: they may change, and ask for a plan, without a new revision."""
    query = select(articles.c.id, articles.c.status, articles.c.by_hand).where(articles.c.id.in_(sorted(ids)))
    rows = tx.rows(query.order_by(articles.c.id).with_for_update())
    return {row.id: (Status(row.status), row.by_hand) for row in rows}


_AGAIN = articles.update().where(articles.c.id == bindparam("is_id")).values(unplanned=True)
_PLANNED = Prepared(
    articles.update().where(
        articles.c.id == bindparam("is_id"), articles.c.revision == bindparam("is_revision"), articles.c.unplanned
    )
)


def _row(tx: Tx, plan: Planned, new: NewDelivery, number: int) -> dict[str, Any]:
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
        "rules": number,
        "revision": plan.revision,
        "ready_at": new.ready_at,
        "ready_why": new.ready_why,
        "due_why": [],
        "fresh_until": new.fresh_until,
        "pinned_at": new.pinned_at,
        "turn": new.turn,
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

    @property
    def is_news(self) -> bool:
        """Does the store not say so already?"""
        return (self.due_at, self.why) != (self.current.due_at, self.current.due_why)

    @property
    def parameters(self) -> dict[str, Any]:
        """The columns to set, and which delivery is meant, as it was read."""
        current = self.current
        columns = {"due_at": self.due_at, "due_why": whys_to_json(self.why)}
        return {"is_id": current.id, "is_version": current.version, **columns}


@dataclass(frozen=True, slots=True)
class SetTimes:
    """Intent: an account's timetable. What moved meanwhile keeps its time; the account stays dirty if it changed, or
    if this was not all of it (`settled`)."""

    account: str
    account_version: int
    times: tuple[Timed, ...]
    settled: bool = True

    @property
    def lock(self) -> str:
        return self.account

    def apply(self, tx: Tx) -> None:
        lock_accounts(tx, [self.account])  # also where the version below is an older one: deliveries come second
        tx.execute(
            accounts.update()
            .where(accounts.c.name == self.account, accounts.c.version == self.account_version)
            .values(dirty=not self.settled)
        )
        for timed in self.times:
            if timed.move is not None:
                move(tx, timed.current, timed.move, timed.why[0], due_at=None)
        times = [timed for timed in self.times if timed.move is None and timed.is_news]
        if times:
            tx.execute(_SET_TIME, [timed.parameters for timed in times])


_SET_TIME = deliveries.update().where(
    deliveries.c.id == bindparam("is_id"),
    deliveries.c.version == bindparam("is_version"),
    deliveries.c.state == State.WAITING,
)


# -- reads --------------------------------------------------------------------------------------------------------


def newest_rules(tx: Tx) -> int:
    """The number of the rules that were applied last, 0 before the first."""
    return tx.execute(select(func.max(rules.c.number))).scalar() or 0


def decisions_of(tx: Tx, article: str) -> list[tuple[str, int, DecisionRow]]:
    """The newest decision per account: (account, rules revision, decision)."""
    query = select(decisions).where(decisions.c.article == article).order_by(decisions.c.account, decisions.c.rules)
    newest: dict[str, tuple[str, int, DecisionRow]] = {}
    for row in tx.rows(query):
        reasons = whys_from_json(row.reasons)
        decision = DecisionRow(account=row.account, yes=row.yes, reasons=reasons, trace=tuple(row.trace))
        newest[row.account] = (row.account, row.rules, decision)
    return list(newest.values())


def planned_before(tx: Tx, ids: Iterable[str], number: int) -> frozenset[str]:
    """Which of these articles older rules decided on: for an account, or that no route takes them."""
    query = (
        select(decisions.c.article, decisions.c.account, decisions.c.reasons)
        .where(decisions.c.article.in_(sorted(ids)), decisions.c.rules < number)
        .order_by(decisions.c.article)
    )
    rows = tx.rows(query)
    return frozenset(row.article for row in rows if row.account or row.reasons[0][0] == Reason.NO_ROUTE)
