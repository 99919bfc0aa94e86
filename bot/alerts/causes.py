"""Which causes for an alert are open, by what the store shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bot.alerts import channel
from bot.flow.newsroom import SKEW_PARKS
from bot.model import Delivery, Reason
from bot.rules.durations import spell_duration
from bot.store.accounts import AccountRow
from bot.store.alerts import Alert
from bot.store.audit import Event
from bot.store.sources import SourceRow
from bot.store.workers import WorkerRow

# A post that is due and has not begun after this is overdue (pain P23).
OVERDUE = timedelta(minutes=5)
# An unclear post that no look-up settled within this needs a person.
UNCLEAR = timedelta(minutes=15)
# A source that failed so often in a row is named; silence is judged by its own longest gap (pain P30).
FAILURES = 6
SILENCE = 3
# A source that brings so many a day is known by its own gaps alone (pain P30), once a whole week of them was seen:
# nights and a weekend are in them then.
BUSY = 5
A_WEEK = timedelta(days=7)
A_MONTH = timedelta(days=30)
# Our clock and the networks' may differ by so much; once told, by so much less: `Date` counts whole seconds, and a
# difference that trembles about the mark would open and close the cause with each answer.
SKEW = timedelta(seconds=60)
SKEW_ENDS = timedelta(seconds=50)
# What of the month's money is worth a word, in percent (pain P86).
BUDGET_MARKS = (80, 100)

#: Audit events that are causes by themselves: what to say. `{subject}` and the event's details may stand in it.
TOLD: Mapping[str, str] = {
    "feed_misbehaving": "{subject} gives one article again and again under new ids: look at its feed.",
    "window_overrun": "{subject}: articles may be lost between looks ({number} times): {words}",
    "not_visible": "{number} posts of {by} have a receipt, but the network doesn't show them: wirepost why {subject}",
    "late_receipt": "A receipt came after its attempt was given up: look at delivery {subject} for a double post.",
    "long_limit": "{subject}: the network wants a longer rest than 26 hours. It said: {words}",
    "state_reset": "The store was lost: a new one began with a baseline, and nothing old goes out. Is that right?",
    "settings_invalid": "The settings file has mistakes; the old settings hold: wirepost check",
}
#: Events that end such a cause before it is old.
ENDED_BY: Mapping[str, str] = {"settings_invalid": "settings_reloaded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the store shows, as far as a person may have to act on it."""

    now: datetime
    accounts: Mapping[str, AccountRow] = field(default_factory=dict)
    sources: Sequence[SourceRow] = ()
    #: What each source brought in the last 30 days, its first look apart.
    arrived: Mapping[str, int] = field(default_factory=dict)
    #: Of each account, also of one that left the settings, the first post that is due for over 5 min and not stopped.
    waiting: Sequence[Delivery] = ()
    #: Posts that may be out: still looked for, or left to a person.
    unclear: Sequence[Delivery] = ()
    #: Posts of each account that the month's money can't pay.
    unpaid: Mapping[str, int] = field(default_factory=dict)
    #: Articles of each source that its mass-change breaker holds.
    broken: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)
    #: Spent and allowed in this month, by account.
    budgets: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    #: Since when, and why, the channel takes no messages.
    dumb: Event | None = None
    workers: Sequence[WorkerRow] = ()
    restored: bool = False
    skew: timedelta = timedelta(0)
    silence: timedelta = timedelta(days=1)
    #: Causes that are open already, with their words.
    open: Mapping[str, str] = field(default_factory=dict)


Causes = dict[str, tuple[str, str]]


def causes_of(facts: Facts) -> Causes:
    """Every cause that is open now: {cause: (kind, words)}."""
    found: Causes = {}
    for name, row in facts.accounts.items():
        found |= _account(name, row)
    for source in facts.sources:
        found |= _source(source, facts)
    found |= _posts(facts)
    for name, (spent, budget) in facts.budgets.items():
        found |= _budget(name, spent, budget)
    for name, number in facts.unpaid.items():
        words = f"{number} posts on {name} are held: the month's money doesn't pay them. wirepost queue --state held"
        found[f"unpaid {name}"] = ("budget", words)
    for name, number in facts.broken.items():
        words = f"{number} articles of {name} came at once and are held: wirepost release --source {name}"
        found[f"breaker {name}"] = ("breaker", words)
    return found | _events(facts.events) | _house(facts)


def _house(facts: Facts) -> Causes:
    """What concerns no single account or source."""
    found: Causes = {}
    if facts.restored:
        found["restored"] = ("restored", "An older store was put back: everything is stopped. Then: wirepost resume")
    if abs(facts.skew) > (SKEW_ENDS if "clock" in facts.open else SKEW):
        ahead = "ahead of" if facts.skew > timedelta(0) else "behind"
        parked = ", nothing goes out" if abs(facts.skew) > SKEW_PARKS else ""
        words = f"This machine's clock is {_length(facts.skew)} {ahead} the networks'{parked}: set it right."
        found["clock"] = ("clock", words)
    if facts.dumb is not None:
        words = f"No alert got through since {facts.dumb.at:%d %b %H:%M UTC}: {facts.dumb.detail.get('error')}"
        found[channel.CAUSE] = (channel.CAUSE, words)
    return found


def _events(happened: Iterable[Event]) -> Causes:
    """One cause for all events of a name about one account, source or post."""
    together: dict[tuple[str, str], list[Event]] = {}
    for event in happened:
        by = str(event.detail.get("account", event.subject))
        together.setdefault((event.event, by), []).append(event)
    found: Causes = {}
    for (name, by), them in together.items():
        last = them[-1]
        words = _Details({**last.detail, "number": len(them), "by": by, "subject": last.subject})
        found[f"{name} {by}"] = (name, TOLD[name].format_map(words))
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
    words = f"{name} {need} since {since}: {row.breaker_words or 'the network said no more'}"
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
    if last is not None and facts.now - last > _patience(source, facts):
        words = f"{source.name} brought nothing new for {_length(facts.now - last)}."
        found[f"silent {source.name}"] = ("silent", words)
    return found


def _patience(source: SourceRow, facts: Facts) -> timedelta:
    """How long it may bring nothing: three times its longest gap, and if it is no busy one at least the setting."""
    own = timedelta(seconds=source.longest_gap) * SILENCE
    return own if _busy(source, facts) else max(facts.silence, own)


def _busy(source: SourceRow, facts: Facts) -> bool:
    """Did it usually bring five a day, while it brought anything? The silence itself must not count against it."""
    first, last = source.first_good_at, source.last_new_at
    if first is None or last is None or facts.now - first < A_WEEK:
        return False
    while_it_did = max(last - max(first, facts.now - A_MONTH), A_WEEK)
    return facts.arrived.get(source.name, 0) >= BUSY * (while_it_did / timedelta(days=1))


def _posts(facts: Facts) -> Causes:
    found: Causes = {}
    old = [one for one in facts.unclear if facts.now - (one.doubted_at or one.updated_at) > UNCLEAR]
    for account in sorted({one.account for one in old}):
        ids = [one.id for one in old if one.account == account]
        words = f"{len(ids)} posts on {account} are unclear for over 15 min, first {ids[0]}: wirepost lookup {ids[0]}"
        found[f"unclear {account}"] = ("unclear", words)
    for one in facts.waiting:
        found |= _overdue(one, facts)
    for account, number in facts.missed.items():
        words = f"{number} posts on {account} grew too old within the last hour and were not sent."
        found[f"missed {account}"] = ("missed", words)
    return found


def _overdue(one: Delivery, facts: Facts) -> Causes:
    row = facts.accounts.get(one.account)
    if one.due_at is None or facts.now - one.due_at <= OVERDUE:
        return {}
    if row is None:
        words = f"{_title(one)} was due at {one.due_at:%H:%M UTC}, but {one.account} has left the settings"
        return {f"overdue {one.account}": ("overdue", f"{words}: put it back, or wirepost skip {one.id}")}
    if row.breaker is not None or (row.blocked_until is not None and row.blocked_until > facts.now):
        return {}
    if abs(facts.skew) > SKEW_PARKS:
        return {}
    doing = facts.workers[0] if facts.workers else None
    last = f"the worker was last seen at {doing.beat_at:%H:%M:%S}, at {doing.doing}" if doing else "no worker was seen"
    words = f"{_title(one)} on {one.account} was due at {one.due_at:%H:%M UTC} and has not gone; {last}."
    return {f"overdue {one.account}": ("overdue", words)}


def _title(one: Delivery) -> str:
    """A post as a message names it: its id, and the beginning of its text."""
    first = (one.edited_text or one.text or "").strip().partition("\n")[0]
    return f'{one.id} "{first[:60]}{"…" if len(first) > 60 else ""}"' if first else one.id


def _budget(name: str, spent: Decimal, budget: Decimal) -> Causes:
    """Each mark that was passed: at 100 % the one at 80 is not over, and no message may say so."""
    words = f"{name} spent {spent:.2f} of this month's {budget:.2f}: "
    return {
        f"budget {mark} {name}": (
            "budget",
            words + ("that is all of it." if mark == 100 else f"that is {mark} % of it or more."),
        )
        for mark in BUDGET_MARKS
        if budget > 0 and spent * 100 >= budget * mark
    }


def telling(open_now: Sequence[Alert]) -> list[Alert]:
    """The open alerts that say something of their own: of one budget's marks the highest."""
    low, high = (f"budget {mark} " for mark in BUDGET_MARKS)
    outdone = {low + alert.cause.removeprefix(high) for alert in open_now if alert.cause.startswith(high)}
    return [alert for alert in open_now if alert.cause not in outdone]
