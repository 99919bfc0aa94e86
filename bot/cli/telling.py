"""The story of one article, read from the store: decisions, deliveries, attempts, receipts, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.cli import phrasing
from bot.model import STATE_WORDS, Attempt, Delivery, Reason, Receipt, State, Status, Why
from bot.store import Tx, accounts, articles, attempts, audit, deliveries, plans
from bot.store.articles import Stored
from bot.store.plans import DecisionRow


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the history."""

    at: datetime
    who: str
    event: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAccount:
    """One article on one account. `decision` None: plan has not looked yet. `parked`: what its account waits for;
    `left`: that is not in the settings any more."""

    account: str
    decision: bool | None
    reasons: tuple[Why, ...]
    trace: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    attempts: Mapping[str, tuple[Attempt, ...]]
    parked: Why | None
    left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All of it, as of `now`."""

    stored: Stored
    accounts: tuple[OnAccount, ...]
    history: tuple[Told, ...]
    now: datetime


def story_of(tx: Tx, stored: Stored, names: Sequence[str], only: str | None) -> Story:
    """Everything about an article; `names`: the accounts of the settings, to which those of its past are added."""
    made = deliveries.of_articles(tx, [stored.id])[stored.id]
    decided = {account: row for account, _, row in plans.decisions_of(tx, stored.id)}
    rows = accounts.all_accounts(tx)
    known = sorted({*names, *(one.account for one in made), *decided} - {""})
    found = []
    for name in known if only is None else [only] if only in known else []:
        mine = tuple(one for one in made if one.account == name)
        decision = decided.get(name) or decided.get("")
        row = rows.get(name)
        found.append(
            OnAccount(
                account=name,
                decision=decision.yes if decision is not None else None,
                reasons=_reasons(stored, decision),
                trace=decision.trace if decision is not None else (),
                deliveries=mine,
                attempts={one.id: tuple(attempts.of_delivery(tx, one.id)) for one in mine},
                parked=Why(row.breaker, row.breaker_words or "") if row is not None and row.breaker else None,
                left=name not in names,
            )
        )
    tried = [(one, attempt) for account in found for one in account.deliveries for attempt in account.attempts[one.id]]
    history = _history(tx, stored, [one for account in found for one in account.deliveries], tried)
    return Story(stored=stored, accounts=tuple(found), history=history, now=tx.now)


def _reasons(stored: Stored, decision: DecisionRow | None) -> tuple[Why, ...]:
    if decision is not None:
        return decision.reasons
    if stored.status is Status.BASELINE:
        return (Why(Reason.BASELINE),)
    return (stored.hold,) if stored.hold else ()


def _history(
    tx: Tx, stored: Stored, mine: Sequence[Delivery], tried: Iterable[tuple[Delivery, Attempt]]
) -> tuple[Told, ...]:
    """The audit's rows, the revisions and the attempts, in one line of time."""
    lines = [Told(stored.first_seen_at, "wirepost", "seen", f"seen in {stored.article.source}")]
    before = None
    for number, at, article in articles.revisions_of(tx, stored.id):
        if before is not None:
            lines.append(Told(at, stored.article.source, "changed", _change(number, before, article)))
        before = article
    lines += [
        Told(event.at, event.who, event.event, _words(event.event, event.detail))
        for event in audit.events_of(tx, stored.id)
    ]
    for one in mine:
        for event in audit.events_of(tx, one.id):
            words = f"{one.account}: {_words(event.event, event.detail)}"
            lines.append(Told(event.at, event.who, event.event, words))
    for one, attempt in tried:
        end = f" {attempt.status}" if attempt.status else ""
        words = f"{one.account}: try to {attempt.action}: {attempt.outcome}{end}"
        lines.append(Told(attempt.ended_at or attempt.started_at, "wirepost", f"attempt_{attempt.outcome}", words))
    return tuple(sorted(lines, key=lambda told: told.at))


def _change(number: int, before: Any, after: Any) -> str:
    if before.headline != after.headline:
        return f'headline "{before.headline}" → "{after.headline}"'
    return f"its content changed (revision {number})"


def _words(event: str, detail: Mapping[str, Any]) -> str:
    """An audit row in words: its name, what it holds."""
    said = ", ".join(f"{key} {value}" for key, value in detail.items() if value not in (None, "", [], {}))
    name = event.removeprefix("delivery_").removeprefix("article_").replace("_", " ")
    return f"{name} ({said})" if said else name


def account_object(one: OnAccount, zone: str, now: datetime) -> dict[str, Any]:
    """One account's part of the JSON."""
    return {
        "account": one.account,
        "decision": {True: "yes", False: "no", None: None}[one.decision],
        "reasons": phrasing.reasons_json(one.reasons, one.deliveries[0] if one.deliveries else None, zone, now),
        "trace": list(one.trace),
        "parked": str(one.parked.reason) if one.parked else None,
        "deliveries": [_delivery_object(delivery, one, zone, now) for delivery in one.deliveries],
    }


def _delivery_object(one: Delivery, on: OnAccount, zone: str, now: datetime) -> dict[str, Any]:
    return {
        "delivery": one.id,
        "occasion": one.occasion,
        "state": str(one.state),
        "word": STATE_WORDS[one.state],
        "due_at": one.due_at,
        "text": one.edited_text or one.text,
        "reasons": phrasing.reasons_json(phrasing.why_of(one), one, zone, now),
        "attempts": [
            {
                "number": attempt.id,
                "action": str(attempt.action),
                "outcome": str(attempt.outcome),
                "started_at": attempt.started_at,
                "ended_at": attempt.ended_at,
                "status": attempt.status,
                "words": attempt.words,
                "request_id": attempt.request_id,
                "text": attempt.payload.text,
            }
            for attempt in on.attempts[one.id]
        ],
        "receipt": _receipt(one),
    }


def _receipt(one: Delivery) -> dict[str, Any] | None:
    if one.remote_id is None and one.url is None:
        return None
    receipt = Receipt(one.remote_id or "", one.url, one.sent_at)
    confirmed = one.confirmed_at if one.state in (State.SENT, State.WITHDRAWN) else None
    return {"remote_id": receipt.remote_id, "url": receipt.url, "at": receipt.at, "confirmed_at": confirmed}
