"""What needs a human, said once: one message per cause, a reminder each six hours, and one when it ends.

`run` keeps the store's alert rows in step with the causes that are open (`causes.py`) and sends what was not said yet.
Of several workers one speaks. A webhook that fails is tried again at the next round, is a cause itself, and stops
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from bot.alerts import asked, channel
from bot.alerts.causes import A_MONTH, ENDED_BY, OVERDUE, TOLD, Facts, causes_of, telling
from bot.errors import StoreError
from bot.flow.newsroom import Newsroom
from bot.log import events
from bot.model import Delivery, Reason
from bot.settings.shape import Alerts as AlertSettings
from bot.store import Store, Tx, attempts, deliveries, stops, witness
from bot.store import accounts as stored_accounts
from bot.store import alerts as stored_alerts
from bot.store import articles as stored_articles
from bot.store import sources as stored_sources
from bot.store.accounts import AccountRow
from bot.store.alerts import Alert, SyncAlerts
from bot.store.audit import Event, events_among
from bot.store.stops import StopSwitch, scopes_of
from bot.store.workers import WorkerRow, all_workers

log = events("alerts")

# Events of the audit log that a person should hear of while they are this young.
YOUNG = timedelta(hours=6)
# A worker beats every 15 s; one not seen for so long does nothing any more.
ALIVE = timedelta(seconds=60)
# Of an account's due posts so many are looked through for one that no stop holds.
DUE_AT_ONCE = 200


def read(newsroom: Newsroom, silence: timedelta) -> Facts:
    """Read the facts. Raises StoreError."""
    with newsroom.store.read() as tx:
        rows = {name: row for name, row in stored_accounts.all_accounts(tx).items() if name in newsroom.accounts}
        held = asked.held(tx)
        known = [row for row in stored_sources.all_sources(tx) if row.name in newsroom.sources]
        return Facts(
            now=tx.now,
            accounts=rows,
            sources=known,
            arrived=asked.arrived(tx, since=tx.now - A_MONTH),
            waiting=_overdue_now(newsroom, tx),
            unclear=[*asked.unknown(tx), *(one for one in held if one.reason.reason is Reason.CANNOT_TELL)],
            unpaid=Counter(one.account for one in held if one.reason.reason is Reason.BUDGET),
            broken={name: number for name, number in asked.broken(tx).items() if name in newsroom.sources},
            missed=deliveries.missed(tx, since=tx.now - timedelta(hours=1)),
            budgets=_budgets(newsroom, tx, rows),
            events=_young(tx),
            dumb=channel.failure(tx),
            workers=all_workers(tx),
            restored=witness.restored_since(tx) is not None,
            skew=newsroom.skew,
            silence=silence,
            open={alert.cause: alert.words for alert in stored_alerts.open_alerts(tx)},
        )


def _overdue_now(newsroom: Newsroom, tx: Tx) -> list[Delivery]:
    late, on = deliveries.overdue(tx, before=tx.now - OVERDUE), stops.switches(tx)
    found = []
    for first in late:
        if first.account not in newsroom.accounts:
            found.append(first)
            continue
        here = deliveries.next_due(tx, first.account, limit=DUE_AT_ONCE) if on else [first]
        free = (one for one in here if not _stopped(newsroom, tx, one, on))
        found += [one for one in (next(free, None),) if one is not None]
    return found


def _stopped(newsroom: Newsroom, tx: Tx, one: Delivery, on: Sequence[StopSwitch]) -> bool:
    article = stored_articles.by_id(tx, one.article) if on else None
    if article is None:
        return False
    scopes = scopes_of(article.article, article.id, one.account, newsroom.accounts[one.account].network.name)
    return any((switch.scope, switch.value) in scopes for switch in on)


def _young(tx: Tx) -> list[Event]:
    """Events to tell that are young, and not ended by another; by their names' order, each name's oldest first."""
    by_name: dict[str, list[Event]] = {}
    for event in events_among(tx, {*TOLD, *ENDED_BY.values()}, since=tx.now - YOUNG):
        by_name.setdefault(event.event, []).append(event)
    found = []
    for name in TOLD:
        over = max((event.at for event in by_name.get(ENDED_BY.get(name, ""), ())), default=None)
        found += [event for event in by_name.get(name, ()) if over is None or event.at > over]
    return found


def _budgets(newsroom: Newsroom, tx: Tx, rows: Mapping[str, AccountRow]) -> dict[str, tuple[Decimal, Decimal]]:
    found = {}
    for name, row in rows.items():
        cap = newsroom.editorial.caps_of(name).cost_month
        if cap is not None and row.identity is not None:
            found[name] = (attempts.spent_in(tx, row.identity, tx.now.strftime("%Y-%m")), cap.amount)
    return found


def run(newsroom: Newsroom, settings: AlertSettings) -> bool:
    """Bring the alerts up to date and send what was not said. True if a message went out.

    Raises StoreError, after it was said if there is a webhook: that the store fails can't wait for the store.
    """
    try:
        said = _round(newsroom, settings)
    except StoreError as error:
        channel.store_fails(newsroom, settings, error)
        raise
    channel.store_works(newsroom, settings)
    return said


def _round(newsroom: Newsroom, settings: AlertSettings) -> bool:
    facts = read(newsroom, settings.silence)
    if newsroom.worker != speaker(facts.workers, facts.now, newsroom.worker):
        return False
    found = causes_of(facts)
    if {cause: words for cause, (_, words) in found.items()} != facts.open:
        newsroom.store.commit(SyncAlerts(found))
    with newsroom.store.read() as tx:
        due = [(alert, False) for alert in telling(stored_alerts.open_alerts(tx)) if _to_say(alert, tx.now)]
        due += [(alert, True) for alert in stored_alerts.unsaid_endings(tx)]
    for alert, closing in due:
        level = log.info if closing else log.warning
        level("alert_closed" if closing else "alert", cause=alert.cause, words=alert.words)
    return channel.say(newsroom, settings, due, failing=facts.dumb is not None)


def _to_say(alert: Alert, now: datetime) -> bool:
    return alert.said_at is None or now - alert.said_at >= channel.AGAIN


def speaker(workers: Iterable[WorkerRow], now: datetime, me: str) -> str:
    """The worker that speaks for all: of those alive the first by name; if none was seen, oneself. Pure."""
    return min((row.id for row in workers if now - row.beat_at <= ALIVE), default=me)


# -- above every listing ------------------------------------------------------------------------------------------


def red_lines(store: Store) -> list[str]:
    """What every listing shows first: what is stopped, and what needs a person. Raises StoreError."""
    with store.read() as tx:
        on = stops.switches(tx)
        lines = [f"STOPPED {switch} since {switch.at:%d %b %H:%M UTC}" for switch in on]
        lines += [f"! {line}" for line in _nobody_works(tx, on)]
        return lines + [f"! {alert.words}" for alert in telling(stored_alerts.open_alerts(tx))]


def _nobody_works(tx: Tx, on: Sequence[StopSwitch]) -> list[str]:
    """Who would say that posts are overdue is the worker; if there is none, each listing says so itself (pain P23)."""
    seen = all_workers(tx)
    late = deliveries.overdue(tx, before=tx.now - OVERDUE)
    if not late or on or any(tx.now - row.beat_at <= ALIVE for row in seen):
        return []
    last = f"the last was seen on {seen[0].beat_at:%d %b %H:%M UTC}" if seen else "none was seen"
    return [f"No worker runs ({last}), and posts are due since {late[0].due_at:%d %b %H:%M UTC}: wirepost run"]
