"""How an attempt ends, and where that moves its delivery. Every move here names its attempt: what another attempt
superseded moves nothing, and a receipt that comes late settles the doubt about its own attempt only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, bindparam, select

from bot.model import MOVES, PROVED_NOT_OUT, Attempt, Move, Outcome, Reason, Receipt, State, Why
from bot.store.accounts import Effect, affect, lock_accounts
from bot.store.attempts import attempt, charge
from bot.store.audit import note
from bot.store.deliveries import catch_up, mark_dirty
from bot.store.engine import Tx
from bot.store.prepared import Prepared
from bot.store.schema import attempts, deliveries, occupied
from bot.store.stops import Scope, stopped_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Intent: the outcome of an attempt, and where its delivery goes. False: it came late and moved nothing.

    `shifts`: the times of what waits on the account hang on it.
    """

    attempt: Attempt
    outcome: Outcome
    move: Move | None
    why: Why
    words: str = ""
    status: int | None = None
    request_id: str | None = None
    receipt: Receipt | None = None
    container: str | None = None
    lease: timedelta | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    effect: Effect = field(default_factory=Effect)
    shifts: bool = True

    @property
    def lock(self) -> str:
        return self.attempt.account

    def apply(self, tx: Tx) -> bool:
        affect(tx, self.attempt.account, self.effect)
        if self.move is not None:  # the account's row first, as `Start` takes it, whose insert waits for our attempt's
            (mark_dirty if self.shifts else lock_accounts)(tx, [self.attempt.account])
        if not self._end_attempt(tx):
            return self._came_late(tx)
        if self.outcome in PROVED_NOT_OUT:
            release(tx, self.attempt)
        if self.move is not None:
            self._move(tx, State.SENDING)
        return True

    def _end_attempt(self, tx: Tx) -> bool:
        changes: dict[str, Any] = {} if self.lease is None else {"lease_until": tx.now + self.lease}
        values = {
            "outcome": self.outcome,
            "ended_at": tx.now,
            "words": self.words,
            "status": self.status,
            "request_id": self.request_id,
            "container": self.container,
            "counts": self.outcome not in PROVED_NOT_OUT,
            **_receipt_columns(self.receipt),
            **changes,
        }
        return _END.changed(tx, {"is_id": self.attempt.id, "is_outcome": Outcome.OPEN, **values}) == 1

    def _move(self, tx: Tx, state: State) -> bool:
        assert self.move is not None
        return _move_by_attempt(tx, self.attempt, state, self.move, self.why, self.receipt, self.changes)

    def _came_late(self, tx: Tx) -> bool:
        """The lease was over before. A receipt still settles a doubt about this very attempt; else it is noted.

        Unless it stands already: the commit that wrote it broke off, and it is tried again.
        """
        if self.receipt is not None and self._stands(tx):
            return True
        late = f"{self.outcome}: {self.words}" if self.words else str(self.outcome)
        tx.execute(attempts.update().where(attempts.c.id == self.attempt.id).values(late_words=late))
        if self.receipt is None:
            return False
        settled = Settle(attempt=self.attempt, move=Move.FOUND, why=self.why, receipt=self.receipt).apply(tx)
        if not settled:
            detail = {"attempt": self.attempt.id, "remote_id": self.receipt.remote_id, "url": self.receipt.url}
            note(tx, "late_receipt", self.attempt.delivery, detail)
        return settled

    def _stands(self, tx: Tx) -> bool:
        row = tx.row(select(attempts).where(attempts.c.id == self.attempt.id, attempts.c.outcome == Outcome.RECEIPT))
        told = _receipt_columns(self.receipt)
        return row is not None and all(getattr(row, name) == value for name, value in told.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Intent: an unknown attempt found, proved absent, or given up on. False: it was settled otherwise meanwhile."""

    attempt: Attempt
    move: Move
    why: Why
    receipt: Receipt | None = None
    words: str = ""
    who: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        return self.attempt.account

    def apply(self, tx: Tx) -> bool:
        mark_dirty(tx, [self.attempt.account])
        # Found by the last look before a resend, it waits already; every other move is one of what is in doubt.
        states = (State.UNKNOWN, State.HELD, *((State.WAITING,) if self.move is Move.FOUND else ()))
        if not any((state, self.move) in MOVES and self._move(tx, state) for state in states):
            return False
        outcome, doubted = self._outcome(), self._doubted(tx)
        # As the row has it now: who brings a late receipt doesn't know that the attempt was proved absent meanwhile.
        if doubted.outcome is Outcome.ABSENT:
            retake(tx, doubted)
        if outcome in PROVED_NOT_OUT:
            release(tx, doubted)
        if outcome is not None:
            tx.execute(
                attempts.update()
                .where(attempts.c.id == doubted.id, attempts.c.outcome.in_(_DOUBTFUL))
                .values(
                    outcome=outcome,
                    late_words=self.words or None,
                    counts=outcome is Outcome.FOUND,
                    **_receipt_columns(self.receipt),
                )
            )
        if self.who:
            note(tx, f"delivery_{self.move}", self.attempt.delivery, {"attempt": self.attempt.id}, who=self.who)
        return True

    def _outcome(self) -> Outcome | None:
        """How the attempt ended after all; None: nobody can tell, and it stays unknown."""
        if self.move in (Move.FOUND, Move.SAID_THERE):
            return Outcome.FOUND
        if self.move is Move.RULED_OUT and self.why.reason is Reason.DUPLICATE_REJECTED:
            return Outcome.DUPLICATE
        absent = self.move in (Move.ABSENT, Move.SAID_ABSENT) or self.why.reason is Reason.WITHDRAWN
        return Outcome.ABSENT if absent else None

    def _doubted(self, tx: Tx) -> Attempt:
        """The attempt that the doubt is about: an earlier one, where the resend was refused or never left."""
        row = tx.row(
            select(attempts)
            .where(
                attempts.c.delivery == self.attempt.delivery,
                attempts.c.id <= self.attempt.id,
                attempts.c.outcome.in_(_DOUBTFUL),
            )
            .order_by(attempts.c.id.desc())
        )
        return attempt(row) if row is not None else self.attempt

    def _move(self, tx: Tx, state: State) -> bool:
        return _move_by_attempt(tx, self.attempt, state, self.move, self.why, self.receipt, self.changes)


#: Outcomes of which nobody is quite sure: a look or a person may still say otherwise.
_DOUBTFUL = (Outcome.UNKNOWN, Outcome.ABSENT)


@dataclass(frozen=True, slots=True)
class Expire:
    """Intent: a lease is over and no outcome was recorded: the delivery is unknown. False: one came just now."""

    attempt: Attempt

    @property
    def lock(self) -> str:
        return self.attempt.account

    def apply(self, tx: Tx) -> bool:
        mark_dirty(tx, [self.attempt.account])
        expired = tx.changed(
            attempts.update()
            .where(attempts.c.id == self.attempt.id, attempts.c.outcome == Outcome.OPEN)
            .values(outcome=Outcome.UNKNOWN, ended_at=tx.now, words="No outcome was recorded before the lease ended.")
        )
        if not expired:
            return False
        if not _move_by_attempt(tx, self.attempt, State.SENDING, Move.MAYBE_SENT, Why(Reason.LOST_REPLY), None, {}):
            return False
        # The doubt is as old as the attempt, not as its discovery: the window for a resend may be over already (P02).
        first = and_(deliveries.c.id == self.attempt.delivery, deliveries.c.doubted_at.is_(None))
        tx.execute(deliveries.update().where(first).values(doubted_at=self.attempt.started_at))
        return True


@dataclass(frozen=True, slots=True)
class BeginFinish:
    """Intent: phase two of a pending attempt starts now, unless a stop is on. False: it may not."""

    attempt: Attempt
    lease: timedelta
    scopes: tuple[tuple[Scope, str], ...]

    @property
    def lock(self) -> str:
        return self.attempt.account

    def apply(self, tx: Tx) -> bool:
        if stopped_by(tx, self.scopes) is not None:
            return False
        return (
            tx.changed(
                attempts.update()
                .where(attempts.c.id == self.attempt.id, attempts.c.outcome == Outcome.PENDING)
                .values(finishing_at=tx.now, lease_until=tx.now + self.lease)
            )
            == 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPending:
    """Intent: a pending attempt is published, or its container is gone and nothing was."""

    attempt: Attempt
    outcome: Outcome
    move: Move
    why: Why
    receipt: Receipt | None = None
    words: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        return self.attempt.account

    def apply(self, tx: Tx) -> bool:
        mark_dirty(tx, [self.attempt.account])
        values = {
            "outcome": self.outcome,
            "ended_at": tx.now,
            "words": self.words,
            "counts": self.outcome not in PROVED_NOT_OUT,
            **_receipt_columns(self.receipt),
        }
        if not _END.changed(tx, {"is_id": self.attempt.id, "is_outcome": Outcome.PENDING, **values}):
            return False
        if self.outcome in PROVED_NOT_OUT:
            release(tx, self.attempt)
        return _move_by_attempt(tx, self.attempt, State.SENDING, self.move, self.why, self.receipt, self.changes)


@dataclass(frozen=True, slots=True)
class Confirm:
    """Intent: these sent posts were read back. A receipt that is not there is noted for an alert (`not_visible`)."""

    account: str
    there: tuple[str, ...]
    not_there: tuple[str, ...]

    @property
    def lock(self) -> str:
        return self.account

    def apply(self, tx: Tx) -> None:
        seen = [*self.there, *self.not_there]
        tx.execute(
            deliveries.update()
            .where(deliveries.c.id.in_(seen), deliveries.c.state == State.SENT)
            .values(confirmed_at=tx.now)
        )
        for missing in self.not_there:
            note(tx, "not_visible", missing, {"account": self.account})


def _receipt_columns(receipt: Receipt | None) -> dict[str, Any]:
    return {} if receipt is None else {"remote_id": receipt.remote_id or None, "url": receipt.url}


def _move_by_attempt(
    tx: Tx,
    named: Attempt,
    state: State,
    step: Move,
    why: Why,
    receipt: Receipt | None,
    changes: Mapping[str, Any],
) -> bool:
    """A move of the delivery that names its attempt: what another attempt superseded moves nothing.

    What waits again is planned again if its article changed while it was on the wire (an embargo, a fault): plan leaves
    alone what is under way, and nothing starts before plan was there.
    """
    target = MOVES[state, step]
    values: dict[str, Any] = {"state": target, "reason": why.reason, "detail": why.detail, "updated_at": tx.now}
    if target is State.SENT and receipt is not None:
        values |= {"sent_at": receipt.at or tx.now, **_receipt_columns(receipt)}
    named_by = {"is_id": named.delivery, "is_state": state, "is_attempt": named.id}
    moved = _MOVE.changed(tx, {**named_by, **values, **changes}) == 1
    if moved and target is State.WAITING:
        catch_up(tx, named.delivery)
    return moved


_END = Prepared(
    attempts.update().where(attempts.c.id == bindparam("is_id"), attempts.c.outcome == bindparam("is_outcome"))
)
_MOVE = Prepared(
    deliveries.update()
    .where(
        deliveries.c.id == bindparam("is_id"),
        deliveries.c.state == bindparam("is_state"),
        deliveries.c.attempt == bindparam("is_attempt"),
    )
    .values(version=deliveries.c.version + 1)
)


def release(tx: Tx, named: Attempt) -> None:
    """Proved not out: the story's place on the account is free again, and its money was not spent.

    Unless another post of the story is out or in doubt there (two articles that merged): then the place is that one's.
    """
    tx.execute(occupied.delete().where(occupied.c.identity == named.identity, occupied.c.attempt == named.id))
    _give_place_on(tx, named)
    charge(tx, named.identity, named.started_at.strftime("%Y-%m"), -Decimal(named.payload.cost))


def _give_place_on(tx: Tx, named: Attempt) -> None:
    row = tx.row(select(deliveries.c.story, deliveries.c.occasion).where(deliveries.c.id == named.delivery))
    if row is None:
        return
    other = tx.row(
        select(attempts.c.id)
        .join(deliveries, deliveries.c.id == attempts.c.delivery)
        .where(
            deliveries.c.story == row.story,
            deliveries.c.occasion == row.occasion,
            attempts.c.identity == named.identity,
            attempts.c.id != named.id,
            attempts.c.outcome.not_in(sorted(PROVED_NOT_OUT)),
        )
        .order_by(attempts.c.id)
    )
    if other is not None:
        place = {"identity": named.identity, "story": row.story, "occasion": row.occasion}
        tx.insert_unless_there(occupied, {**place, "attempt": other.id})


def retake(tx: Tx, named: Attempt) -> None:
    """Proved absent, and there after all: what `release` gave back is taken again."""
    row = tx.row(select(deliveries.c.story, deliveries.c.occasion).where(deliveries.c.id == named.delivery))
    if row is not None:
        place = {"identity": named.identity, "story": row.story, "occasion": row.occasion}
        tx.insert_unless_there(occupied, {**place, "attempt": named.id})
    charge(tx, named.identity, named.started_at.strftime("%Y-%m"), Decimal(named.payload.cost))
