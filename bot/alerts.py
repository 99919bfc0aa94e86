"""What needs a human, said once: one message per cause, a reminder each six hours, and one when it ends.

`causes` is pure: from what the store shows to the causes that are open now. `run` keeps the store's alert rows in step
and sends what was not said yet. A webhook that fails is tried again at the next round and stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bot.errors import SendError
from bot.flow.newsroom import Newsroom
from bot.log import events
from bot.model import Delivery, Reason, State
from bot.rules.durations import spell_duration
from bot.settings.shape import Alerts as AlertSettings
from bot.store import Store, Tx, articles, attempts, deliveries, stops, witness
from bot.store import accounts as stored_accounts
from bot.store import alerts as stored_alerts
from bot.store import sources as stored_sources
from bot.store.accounts import AccountRow
from bot.store.alerts import Alert, Said, SyncAlerts
from bot.store.audit import Event, events_named
from bot.store.sources import SourceRow
from bot.store.stops import StopSwitch
from bot.store.workers import WorkerRow, all_workers

log = events("alerts")

# A post that is due and has not begun after this is overdue (pain P23).
OVERDUE = timedelta(minutes=5)
# An unclear post that no look-up settled within this needs a person.
UNCLEAR = timedelta(minutes=15)
# A source that failed so often in a row is named; silence is judged by its own longest gap (pain P30).
FAILURES = 6
SILENCE = 3
# Our clock and the networks' may differ by so much.
SKEW = timedelta(seconds=60)
# A cause that lasts is said again no sooner than this (pain P112).
AGAIN = timedelta(hours=6)
# Events of the audit log that a person should hear of while they are this young.
YOUNG = timedelta(hours=6)
# What of the month's money is worth a word, in percent (pain P86).
BUDGET_MARKS = (100, 80)

#: Audit events that are causes by themselves: what to say. `{subject}` and the event's details may stand in it.
TOLD: Mapping[str, str] = {
    "feed_misbehaving": "{subject} gives one article again and again under new ids: look at its feed.",
    "not_visible": "A post has a receipt, but the network doesn't show it: wirepost why {subject}",
    "late_receipt": "A receipt came after its attempt was given up: look at delivery {subject} for a double post.",
    "long_limit": "{subject}: the network wants a longer rest than 26 hours. It said: {words}",
    "state_reset": "The store was lost: a new one began with a baseline, and nothing old goes out. Is that right?",
    "settings_invalid": "The settings file has mistakes; the old settings hold: wirepost check",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the store shows, as far as a person may have to act on it."""

    now: datetime
    accounts: Mapping[str, AccountRow]
    sources: Sequence[SourceRow]
    waiting: Sequence[Delivery]
    unclear: Sequence[Delivery]
    held_articles: Mapping[str, int]
    missed: Mapping[str, int]
    budgets: Mapping[str, tuple[Decimal, Decimal]]
    switches: Sequence[StopSwitch]
    events: Sequence[Event]
    workers: Sequence[WorkerRow]
    restored: bool
    skew: timedelta
    silence: timedelta


Causes = dict[str, tuple[str, str]]


def causes(facts: Facts) -> Causes:
    """Every cause that is open now: {cause: (kind, words)}. Pure."""
    found: Causes = {}
    for name, row in facts.accounts.items():
        found |= _account(name, row)
    for source in facts.sources:
        found |= _source(source, facts)
    found |= _posts(facts)
    for name, (spent, budget) in facts.budgets.items():
        found |= _budget(name, spent, budget)
    for source_name, number in facts.held_articles.items():
        words = f"{number} articles of {source_name} came at once and are held: wirepost release --source {source_name}"
        found[f"breaker {source_name}"] = ("breaker", words)
    for event in facts.events:
        words = TOLD[event.event].format_map(_Details(subject=event.subject, **event.detail))
        found[f"{event.event} {event.subject}"] = (event.event, words)
    if facts.restored:
        found["restored"] = ("restored", "An older store was put back: everything is stopped. Then: wirepost resume")
    if abs(facts.skew) > SKEW:
        ahead = "ahead of" if facts.skew > timedelta(0) else "behind"
        found["clock"] = (
            "clock",
            f"This machine's clock is {_length(facts.skew)} {ahead} the networks': set it right.",
        )
    return found


class _Details(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _length(length: timedelta) -> str:
    return spell_duration(timedelta(seconds=round(abs(length).total_seconds())))


def _account(name: str, row: AccountRow) -> Causes:
    if row.breaker is None:
        return {}
    kind = "login" if row.breaker is Reason.LOGIN else "billing"
    since = row.breaker_at.strftime("%d %b %H:%M UTC") if row.breaker_at else "?"
    need = "needs a login" if kind == "login" else "is refused for want of money or rights"
    words = f"{name} {need} since {since}. The network said: {row.breaker_words or 'nothing'}"
    return {f"{kind} {name}": (kind, words)}


def _source(source: SourceRow, facts: Facts) -> Causes:
    if source.ended:
        return {f"ended {source.name}": ("source", f"{source.name} answers 410: its publisher ended it.")}
    found: Causes = {}
    if source.errors >= FAILURES:
        words = f"{source.name} failed {source.errors} times in a row: {source.last_error}"
        found[f"source {source.name}"] = ("source", words)
    if source.moved_to:
        words = f"{source.name} says that it moved to {source.moved_to}: change its address if that is right."
        found[f"moved {source.name}"] = ("source", words)
    last = source.last_new_at or source.first_good_at
    patience = max(facts.silence, timedelta(seconds=source.longest_gap) * SILENCE)
    if last is not None and facts.now - last > patience:
        words = f"{source.name} brought nothing new for {_length(facts.now - last)}."
        found[f"silent {source.name}"] = ("silent", words)
    for note in source.notes:
        if note.startswith("window_overrun"):
            found[f"overrun {source.name}"] = ("source", f"{source.name}: articles may be lost between looks. {note}")
    return found


def _posts(facts: Facts) -> Causes:
    found: Causes = {}
    old = [one for one in facts.unclear if facts.now - (one.doubted_at or one.updated_at) > UNCLEAR]
    for account in sorted({one.account for one in old}):
        ids = [one.id for one in old if one.account == account]
        words = f"{len(ids)} posts on {account} are unclear for over 15 min, first {ids[0]}: wirepost lookup {ids[0]}"
        found[f"unclear {account}"] = ("unclear", words)
    if not facts.switches:
        for one in facts.waiting:
            found |= _overdue(one, facts)
    for account, number in facts.missed.items():
        words = f"{number} posts on {account} grew too old within the last hour and were not sent."
        found[f"missed {account}"] = ("missed", words)
    return found


def _overdue(one: Delivery, facts: Facts) -> Causes:
    row = facts.accounts.get(one.account)
    if one.due_at is None or row is None or facts.now - one.due_at <= OVERDUE:
        return {}
    if row.breaker is not None or (row.blocked_until is not None and row.blocked_until > facts.now):
        return {}
    doing = facts.workers[0] if facts.workers else None
    last = f"the worker was last seen at {doing.beat_at:%H:%M:%S}, at {doing.doing}" if doing else "no worker was seen"
    words = f"{one.id} on {one.account} was due at {one.due_at:%H:%M UTC} and has not gone; {last}."
    return {f"overdue {one.account}": ("overdue", words)}


def _budget(name: str, spent: Decimal, budget: Decimal) -> Causes:
    for mark in BUDGET_MARKS:
        if budget > 0 and spent * 100 >= budget * mark:
            return {f"budget {mark} {name}": ("budget", f"{name} spent {spent:.2f} of this month's {budget:.2f}.")}
    return {}


# -- the thin part ------------------------------------------------------------------------------------------------


def read(newsroom: Newsroom, silence: timedelta) -> Facts:
    """Read the facts. Raises StoreError."""
    with newsroom.store.read() as tx:
        rows = {name: row for name, row in stored_accounts.all_accounts(tx).items() if name in newsroom.accounts}
        known = [row for row in stored_sources.all_sources(tx) if row.name in newsroom.sources]
        happened = [event for name in TOLD for event in events_named(tx, name, since=tx.now - YOUNG)]
        return Facts(
            now=tx.now,
            accounts=rows,
            sources=known,
            waiting=deliveries.overdue(tx, before=tx.now - OVERDUE),
            unclear=deliveries.listing(tx, states=[State.UNKNOWN]),
            held_articles=_held(tx),
            missed=deliveries.missed(tx, since=tx.now - timedelta(hours=1)),
            budgets=_budgets(newsroom, tx, rows),
            switches=stops.switches(tx),
            events=happened,
            workers=all_workers(tx),
            restored=witness.restored_since(tx) is not None,
            skew=newsroom.skew,
            silence=silence,
        )


def _held(tx: Tx) -> dict[str, int]:
    held: dict[str, int] = {}
    for stored in articles.held(tx):
        held[stored.article.source] = held.get(stored.article.source, 0) + 1
    return held


def _budgets(newsroom: Newsroom, tx: Tx, rows: Mapping[str, AccountRow]) -> dict[str, tuple[Decimal, Decimal]]:
    found = {}
    for name, row in rows.items():
        cap = newsroom.editorial.caps_of(name).cost_month
        if cap is not None and row.identity is not None:
            found[name] = (attempts.spent_in(tx, row.identity, tx.now.strftime("%Y-%m")), cap.amount)
    return found


def run(newsroom: Newsroom, settings: AlertSettings) -> bool:
    """Bring the alerts up to date and send what was not said. True if a message went out. Raises StoreError."""
    open_now = causes(read(newsroom, settings.silence))
    newsroom.store.commit(SyncAlerts(open_now))
    with newsroom.store.read() as tx:
        due = [(alert, False) for alert in stored_alerts.open_alerts(tx) if _to_say(alert, tx.now)]
        due += [(alert, True) for alert in stored_alerts.unsaid_endings(tx)]
    said = False
    for alert, closing in due:
        level = log.info if closing else log.warning
        level("alert_closed" if closing else "alert", cause=alert.cause, words=alert.words)
        if settings.webhook is None or _posted(newsroom, settings, alert, closing=closing):
            newsroom.store.commit(Said(alert.cause, closing))
            said = True
    return said


def _to_say(alert: Alert, now: datetime) -> bool:
    return alert.said_at is None or now - alert.said_at >= AGAIN


def _posted(newsroom: Newsroom, settings: AlertSettings, alert: Alert, *, closing: bool) -> bool:
    assert settings.webhook is not None
    state = "closed" if closing else "open" if not alert.times_said else "still open"
    message = {
        "house": newsroom.editorial.house,
        "kind": alert.kind,
        "cause": alert.cause,
        "state": state,
        "since": alert.opened_at.isoformat(),
        "text": alert.words,
    }
    door = newsroom.door.publishing(allow_private=settings.allow_private)
    try:
        answer = door.request("POST", settings.webhook.get_secret_value(), json=message)
    except SendError as error:
        log.error("alert_not_delivered", cause=alert.cause, error=str(error))
        return False
    if not 200 <= answer.status < 300:
        log.error("alert_not_delivered", cause=alert.cause, status=answer.status)
        return False
    return True


def red_lines(store: Store) -> list[str]:
    """What every listing shows first: what is stopped, and what needs a person. Raises StoreError."""
    with store.read() as tx:
        lines = [f"STOPPED {switch} since {switch.at:%d %b %H:%M UTC}" for switch in stops.switches(tx)]
        return lines + [f"! {alert.words}" for alert in stored_alerts.open_alerts(tx)]
