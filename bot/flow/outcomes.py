"""What an answer means for the attempt, the delivery and the account: the table of states and moves, as code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.errors import AuthFailed, Busy, Duplicate, Expired, Misconfigured, NotSent, Rejected, SendError
from bot.model import Attempt, Delivery, Move, Outcome, Pending, Reason, Receipt, Why
from bot.rules.backoff import busy_until, next_try
from bot.store.accounts import Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an outcome means for the attempt, the delivery and the account."""

    outcome: Outcome
    move: Move | None
    why: Why
    receipt: Receipt | None = None
    container: str | None = None
    changes: Mapping[str, Any]
    effect: Effect = field(default_factory=Effect)


def judge(result: Receipt | Pending | SendError, delivery: Delivery, now: datetime, uniform: Any) -> Verdict:
    """The plan's section 4 as one table. Pure but for the jitter that it is handed."""
    if isinstance(result, Receipt):
        effect = Effect(blocked_until=result.busy_until, words="")
        return Verdict(
            outcome=Outcome.RECEIPT,
            move=Move.RECEIPT,
            why=Why(Reason.SENT),
            receipt=result,
            changes={"retry_words": ""},
            effect=effect,
        )
    if isinstance(result, Pending):
        return Verdict(
            outcome=Outcome.PENDING, move=None, why=Why(Reason.ROUTE), container=result.container, changes={}
        )
    if isinstance(result, NotSent):
        return _not_sent(result, delivery, now, uniform)
    return _other(result, delivery, now)


def _not_sent(error: NotSent, delivery: Delivery, now: datetime, uniform: Any) -> Verdict:
    """Proved: it waits again. A network that is busy burns no try; an expired token is tried again at once."""
    changes: dict[str, Any] = {"due_at": None, "retry_words": error.words}
    if isinstance(error, Expired):
        return Verdict(
            outcome=Outcome.EXPIRED,
            move=Move.NOT_SENT,
            why=Why(Reason.LOGIN),
            changes={**changes, "ready_at": now, "ready_why": Reason.LOGIN, "tries": delivery.tries},
            effect=Effect(token_over=True, words=error.words),
        )
    if isinstance(error, Busy):
        rest = busy_until(error.until, now, delivery.tries + 1, uniform)
        told = error.until is not None
        # Told when to come back, it costs no try; without a word, each try makes the wait longer.
        tries = delivery.tries if told else delivery.tries + 1
        at: dict[str, Any] = {"ready_at": rest.at, "ready_why": Reason.NETWORK_LIMIT, "tries": tries}
        alarming = rest.alarming or (error.until is not None and error.until - now > ALARMING)
        effect = Effect(blocked_until=rest.at if told else None, alarming=alarming, words=error.words)
        why = Why(Reason.NETWORK_LIMIT, error.words)
        return Verdict(outcome=Outcome.BUSY, move=Move.NOT_SENT, why=why, changes={**changes, **at}, effect=effect)
    at = {"ready_at": now + next_try(delivery.tries + 1, uniform=uniform), "ready_why": Reason.BACKOFF}
    why = Why(Reason.BACKOFF, error.words)
    return Verdict(outcome=Outcome.NOT_SENT, move=Move.NOT_SENT, why=why, changes={**changes, **at})


def doubt_began(delivery: Delivery, tried: Sequence[Attempt]) -> datetime | None:
    """From when the window for a resend counts; None: there is no doubt. Pure.

    What the service itself answered with a 500, and a complete look afterwards did not show, is over: nothing of it is
    on the way any more. The first attempt that did not end so began the doubt; if all did, the newest.
    """
    if delivery.doubted_at is None:
        return None
    doubted = [
        one for one in tried if one.outcome in _IN_DOUBT and (one.ended_at or one.started_at) >= delivery.doubted_at
    ]
    left = [one for one in doubted if not (one.status == 500 and one.outcome is Outcome.ABSENT)]
    return max(delivery.doubted_at, min((one.started_at for one in left or doubted[-1:]), default=delivery.doubted_at))


_IN_DOUBT = frozenset({Outcome.UNKNOWN, Outcome.ABSENT})
#: No documented quota lasts longer than a day: a person is told of a longer rest. (The door cuts a wish of years down
#: to 26 h as it comes in: `bot.answer.LONGEST_WAIT`.)
ALARMING = timedelta(hours=25)
#: A parked account is asked again no sooner: one probe an hour (pain P87).
PROBE = timedelta(hours=1)
_PARKS = {
    AuthFailed: (Outcome.AUTH_FAILED, Reason.LOGIN),
    Misconfigured: (Outcome.MISCONFIGURED, Reason.BILLING),
}


def _other(error: SendError, delivery: Delivery, now: datetime) -> Verdict:
    for kind, (outcome, reason) in _PARKS.items():
        if isinstance(error, kind):
            return Verdict(
                outcome=outcome,
                move=Move.PARK,
                why=Why(reason, error.words),
                changes={"due_at": None, "ready_at": now, "retry_words": error.words, "tries": delivery.tries},
                effect=Effect(breaker=reason, words=error.words, probe_in=PROBE),
            )
    if isinstance(error, Rejected):
        return Verdict(outcome=Outcome.REJECTED, move=Move.REFUSED, why=Why(Reason.REFUSED, error.words), changes={})
    reason = Reason.DUPLICATE_REJECTED if isinstance(error, Duplicate) else Reason.LOST_REPLY
    return Verdict(
        outcome=Outcome.UNKNOWN,
        move=Move.MAYBE_SENT,
        why=Why(reason, error.words),
        changes={"doubted_at": delivery.doubted_at or now, "retry_words": error.words},
    )
