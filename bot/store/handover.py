"""The outcome of a post and the start of its account's next one, in one transaction; those of many accounts together.

This is what a busy store does all day. `HandOver.apply` says what it means, one after the other. `together` does the
same for many accounts in one statement each, if every one of them goes as it nearly always does: a receipt came, the
next post may begin. If one of them doesn't, nothing of it stands, and they are applied one by one.

The state that a row must be in stands among the values: spelled out, it would let PostgreSQL go through an index of all
that is open, with the dead rows of the last minutes in it, instead of asking for each row by its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, select, true

from bot.model import MOVES, Attempt, Move, Outcome, Reason, State
from bot.store.accounts import Effect
from bot.store.attempts import FREE, TAKEABLE, Refused, Start
from bot.store.deliveries import mark_dirty
from bot.store.engine import Tx, insert_for
from bot.store.outcomes import Finish
from bot.store.prepared import PreparedRows
from bot.store.schema import Instant, accounts, attempts, deliveries, occupied
from bot.store.stops import stopped_by


@dataclass(frozen=True, slots=True)
class HandOver:
    """Intent: an outcome, and the start of what is next on the same account: what came of each."""

    finish: Finish
    start: Start

    @property
    def lock(self) -> str:
        return self.finish.lock

    def apply(self, tx: Tx) -> tuple[bool, Attempt | Refused]:
        return self.finish.apply(tx), self.start.apply(tx)

    @staticmethod
    def together(tx: Tx, many: Sequence[HandOver]) -> list[tuple[bool, Attempt]] | None:
        """All at once, for different accounts. None: one of them doesn't go so; the transaction must be undone."""
        if not all(one.ordinary for one in many) or len({one.start.identity for one in many}) < len(many):
            return None
        begun = [one.start.row(tx) for one in many]
        if not (_may_go(tx, many) and _all_end(tx, many)):
            return None
        numbers = dict(_BEGIN.run(tx, [[row[name] for name in _BEGUN] for row in begun], {}))
        if len(numbers) < len(many):
            return None
        claims = [_claim(one.start, numbers[one.start.current.id]) for one in many]
        if any(len(step.run(tx, claims, {"now": tx.now})) < len(many) for step in (_OCCUPY, _CLAIM)):
            return None
        return [(True, one.start.attempt(numbers[row["delivery"]], row)) for one, row in zip(many, begun, strict=True)]

    @property
    def ordinary(self) -> bool:
        """A receipt that says nothing of the account; a start without money and without a pace to keep."""
        finish, pacing = self.finish, self.start.pacing
        return (
            finish.outcome is Outcome.RECEIPT
            and finish.receipt is not None
            and finish.effect == _NOTHING
            and finish.lease is None
            and finish.container is None
            and finish.changes == _FORGOTTEN
            and not pacing.gap
            and not pacing.windows
            and pacing.budget is None
            and not self.start.trial
            and not float(self.start.payload.cost)
        )


def _may_go(tx: Tx, many: Sequence[HandOver]) -> bool:
    """Lock the accounts' rows: from here on nobody else ends or starts anything there. May all of them go on?"""
    those = [(one.start.current.account, one.start.identity) for one in many]
    if len(_FREE.run(tx, those, {"now": tx.now})) < len(many):
        return False
    if any(stopped_by(tx, one.start.scopes) is not None for one in many):
        return False
    shifting = [one.lock for one in many if one.finish.shifts]
    if shifting:
        mark_dirty(tx, shifting)
    return True


def _all_end(tx: Tx, many: Sequence[HandOver]) -> bool:
    ends = [_end(tx, one.finish) for one in many]
    return all(len(step.run(tx, ends, {"now": tx.now})) == len(many) for step in (_END, _MOVE))


def _end(tx: Tx, finish: Finish) -> tuple[Any, ...]:
    receipt = finish.receipt
    assert receipt is not None
    told = (receipt.remote_id or None, receipt.url, receipt.at or tx.now)
    return finish.attempt.id, finish.attempt.delivery, Outcome.OPEN, State.SENDING, *told


def _claim(start: Start, number: int) -> tuple[Any, ...]:
    current = start.current
    place = (start.identity, current.story, current.occasion)
    which = (current.id, current.version, State.WAITING)
    return number, *place, *which, start.generation, start.payload.text, current.route


#: What an ordinary outcome says of its account: nothing.
_NOTHING = Effect()
#: What it changes in its delivery beside the move: the words of an earlier failure go.
_FORGOTTEN = {"retry_words": ""}

_NOW = bindparam("now", type_=Instant)
_FREE = PreparedRows(
    (accounts.c.name, accounts.c.identity),
    lambda given, _: (
        select(accounts.c.name)
        .join(given, and_(accounts.c.name == given.c.name, accounts.c.identity == given.c.identity))
        .where(FREE)
        .order_by(accounts.c.name)
        .with_for_update(of=accounts)
    ),
)
_ENDED = (
    *(attempts.c.id, attempts.c.delivery, attempts.c.outcome, deliveries.c.state),
    *(attempts.c.remote_id, attempts.c.url, deliveries.c.sent_at),
)
_END = PreparedRows(
    _ENDED,
    lambda given, _: (
        attempts.update()
        .where(attempts.c.id == given.c.id, attempts.c.outcome == given.c.outcome)
        .values(outcome=Outcome.RECEIPT, ended_at=_NOW, counts=true(), remote_id=given.c.remote_id, url=given.c.url)
        .returning(attempts.c.id)
    ),
)
_MOVE = PreparedRows(
    _ENDED,
    lambda given, _: (
        deliveries.update()
        .where(
            deliveries.c.id == given.c.delivery,
            deliveries.c.state == given.c.state,
            deliveries.c.attempt == given.c.id,
        )
        .values(
            state=MOVES[State.SENDING, Move.RECEIPT],
            reason=Reason.SENT,
            detail="",
            retry_words="",
            remote_id=given.c.remote_id,
            url=given.c.url,
            sent_at=given.c.sent_at,
            updated_at=_NOW,
            version=deliveries.c.version + 1,
        )
        .returning(deliveries.c.id)
    ),
)
#: The columns of an attempt that begins, in the order of its row of values.
_BEGUN = (
    *("delivery", "account", "identity", "action", "generation", "key", "body", "text", "link", "cost"),
    *("started_at", "lease_until", "worker", "outcome", "counts", "words"),
)
_BEGIN = PreparedRows(
    tuple(attempts.c[name] for name in _BEGUN),
    lambda given, is_postgresql: (
        insert_for(attempts, is_postgresql)
        .from_select(_BEGUN, select(*given.c).where(true()))
        .on_conflict_do_nothing()
        .returning(attempts.c.delivery, attempts.c.id)
    ),
)
_CLAIMED = (
    *(occupied.c.attempt, occupied.c.identity, occupied.c.story, occupied.c.occasion),
    *(deliveries.c.id, deliveries.c.version, deliveries.c.state),
    *(deliveries.c.generation, deliveries.c.text, deliveries.c.detail),
)
_PLACE = ("attempt", "identity", "story", "occasion")
_OCCUPY = PreparedRows(
    _CLAIMED,
    lambda given, is_postgresql: (
        insert_for(occupied, is_postgresql)
        .from_select(_PLACE, select(*(given.c[name] for name in _PLACE)).where(true()))
        .on_conflict_do_nothing()
        .returning(occupied.c.attempt)
    ),
)
_CLAIM = PreparedRows(
    _CLAIMED,
    lambda given, _: (
        deliveries.update()
        .where(
            deliveries.c.id == given.c.id,
            deliveries.c.version == given.c.version,
            deliveries.c.state == given.c.state,
            TAKEABLE,
        )
        .values(
            state=MOVES[State.WAITING, Move.CLAIM],
            reason=Reason.ROUTE,
            attempt=given.c.attempt,
            generation=given.c.generation,
            text=given.c.text,
            detail=given.c.detail,
            updated_at=_NOW,
            tries=deliveries.c.tries + 1,
            version=deliveries.c.version + 1,
        )
        .returning(deliveries.c.id)
    ),
)
