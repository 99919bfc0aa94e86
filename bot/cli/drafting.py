"""The posts that an article becomes, by the very code that plans, times and sends them; nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.clock import SeededRandom
from bot.flow import plan, schedule
from bot.flow.clearance import NEAR_WITHIN
from bot.flow.freezing import composed
from bot.flow.newsroom import Newsroom
from bot.flow.schedule import Rhythm
from bot.model import Delivery, Limits, Move, Post, Reason, State, Status, Why
from bot.networks.base import Network
from bot.rules.compose import BadTemplate, CannotFit
from bot.store import Store, Tx, accounts, articles, deliveries
from bot.store.accounts import AccountRow
from bot.store.articles import Stored
from bot.store.deliveries import FIRST
from bot.store.plans import DecisionRow, NewDelivery

if TYPE_CHECKING:
    from bot.clock import Clock
    from bot.settings import Settings

#: A delivery that has left, or may have: its text is what it was, not what it would be.
GONE_OUT = (State.SENDING, State.SENT, State.UNKNOWN, State.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One article on one account. `post` None: no text could be made. `delivery` None: no route takes it there.

    `goes`: would it leave by itself? `live`: is the account live? `stored`: is the delivery in the store already?
    """

    article: Stored
    account: str
    adapter: Network
    live: bool
    goes: bool
    stored: bool
    reasons: tuple[Why, ...]
    trace: tuple[str, ...]
    delivery: Delivery | None
    due_at: datetime | None
    post: Post | None

    @property
    def bounds(self) -> Limits:
        """What this account takes."""
        return self.adapter.bounds()

    @property
    def text(self) -> str:
        """The text, as it went out or would."""
        if self.delivery is not None and self.stored and self.delivery.state in GONE_OUT:
            return self.delivery.text
        if self.post is None:
            return ""
        return self.adapter.render(self.post).text


@dataclass(frozen=True, slots=True)
class Bench:
    """What drafts are made with. Without a store there is an empty queue, and every account joined yesterday."""

    settings: Settings
    room: Newsroom
    rows: Mapping[str, AccountRow]
    tx: Tx | None
    now: datetime


def bench(settings: Settings, clock: Clock, store: Store | None, tx: Tx | None) -> Bench:
    """A newsroom that can only be looked at: it has no login, and its key opens nothing."""
    from bot import __version__
    from bot.app import SITE, build_accounts
    from bot.http import Door, user_agent
    from bot.secrets import Keyring

    now = tx.now if tx is not None else clock.now()
    known = accounts.all_accounts(tx) if tx is not None else {}
    keys = Keyring((bytes(32),))
    room = Newsroom(
        store=store or Store(settings.store_url, clock),
        door=Door(clock, user_agent=user_agent(__version__, SITE)),
        clock=clock,
        random=SeededRandom(0),
        keyring=keys,
        worker="preview",
        sources={},
        accounts=build_accounts(settings, keys),
        editorial=settings.editorial,
        rules=0,
    )
    rows = {
        name: replace(known[name], credentials=None) if name in known else _newcomer(settings, name, now)
        for name in settings.accounts
    }
    return Bench(settings, room, rows, tx, now)


#: What is not known of an account that no network was asked about.
_NEVER_SEEN = (
    *("identity", "title", "expires_at", "credentials", "refreshed_at", "token_over_at", "checked_at"),
    *("blocked_until", "breaker", "breaker_at", "breaker_words", "probe_at"),
)


def _newcomer(settings: Settings, name: str, now: datetime) -> AccountRow:
    yesterday = now - timedelta(days=1)
    said = settings.accounts[name]
    nothing: dict[str, Any] = dict.fromkeys(_NEVER_SEEN)
    return AccountRow(
        name=name,
        network=said.network,
        scopes=(),
        facts={},
        joined_at=yesterday,
        live_since=yesterday if said.live else None,
        dirty=False,
        removed=False,
        version=0,
        **nothing,
    )


def drafts(on: Bench, stored: Stored, only: str | None = None) -> list[Draft]:
    """The article on every account (or one), by name."""
    mine = {}
    if on.tx is not None and stored.id != "new":
        known = deliveries.of_articles(on.tx, [stored.id])[stored.id]
        mine = {one.account: one for one in known if one.occasion == FIRST}
    supposed = stored if stored.status is Status.LIVE else _as_if_new(stored, on)
    planned = plan.decide(supposed, _view(on, supposed, mine))
    decisions = {decision.account: decision for decision in planned.decisions}
    made = {new.account: _as_delivery(new, supposed, on.now) for new in planned.new}
    names = [only] if only is not None else sorted(on.settings.accounts)
    shown = replace(supposed, status=stored.status, hold=stored.hold)
    return [
        _draft(on, shown, name, decisions.get(name) or decisions[""], mine.get(name), made.get(name)) for name in names
    ]


def _as_if_new(stored: Stored, on: Bench) -> Stored:
    """A baseline or held article as if it came now, so that there is something to show."""
    rest = stored.settle_until - stored.first_seen_at
    return replace(
        stored, status=Status.LIVE, hold=None, first_seen_at=on.now, fresh_from=on.now, settle_until=on.now + rest
    )


def _view(on: Bench, stored: Stored, mine: Mapping[str, Delivery]) -> plan.View:
    same_link = on.settings.editorial.defaults.same_link
    tx = on.tx
    return plan.View(
        editorial=on.settings.editorial,
        now=on.now,
        desks=plan.desks(on.room, on.rows),
        recent=tuple(articles.recent(tx, since=on.now - NEAR_WITHIN)) if tx is not None else (),
        new_id=on.room.random.new_id,
        price=lambda account, text: plan.price(on.room.accounts[account], text),
        existing={stored.id: list(mine.values())},
        earlier=deliveries.out_of_stories(tx, [stored], since=on.now - same_link) if tx is not None else {},
        planned_before=frozenset(),
    )


def _draft(
    on: Bench, stored: Stored, name: str, decision: DecisionRow, mine: Delivery | None, made: Delivery | None
) -> Draft:
    row = on.rows[name]
    adapter = on.room.reader(row)
    delivery = mine or made
    due_at, timed = (mine.due_at, ()) if mine is not None else _timed(on, row, made, stored)
    reasons, goes = _reasons(stored, decision, mine, made, timed)
    if mine is None and due_at is not None and delivery is not None:
        delivery = replace(delivery, due_at=due_at)
    return Draft(
        article=stored,
        account=name,
        adapter=adapter,
        live=row.live_since is not None,
        goes=goes,
        stored=mine is not None,
        reasons=reasons,
        trace=decision.trace,
        delivery=delivery,
        due_at=due_at if goes or mine is not None else None,
        post=_post(on, adapter, stored, delivery),
    )


def _post(on: Bench, adapter: Network, stored: Stored, delivery: Delivery | None) -> Post | None:
    if delivery is None:
        return None
    try:
        post: Post = composed(on.settings.editorial, adapter, stored, delivery)
    except (CannotFit, BadTemplate):
        return None
    return post


def _reasons(
    stored: Stored, decision: DecisionRow, mine: Delivery | None, made: Delivery | None, timed: tuple[Why, ...]
) -> tuple[tuple[Why, ...], bool]:
    """Why, and whether it goes by itself. What the store says of the article outranks what would be."""
    if mine is not None:
        waits = mine.state is State.WAITING
        return ((mine.reason, *mine.due_why) if waits else (mine.reason,)), waits or mine.state is State.SENDING
    if stored.status is not Status.LIVE:
        instead = _INSTEAD.get(stored.status, Reason.MASS_CHANGE)
        return (stored.hold or Why(instead), *decision.reasons), False
    goes = made is not None and made.state is State.WAITING and (not timed or timed[0].reason not in _NEVER)
    return (*decision.reasons, *timed), goes


#: Why an article that is not live goes nowhere, where the store gives no reason of its own.
_INSTEAD = {Status.BASELINE: Reason.BASELINE, Status.WITHDRAWN: Reason.WITHDRAWN, Status.MERGED: Reason.MERGED}
#: With these at its head, a time is none.
_NEVER = frozenset({Reason.STALE, Reason.CAP, Reason.BUDGET})


def _timed(
    on: Bench, row: AccountRow, made: Delivery | None, stored: Stored
) -> tuple[datetime | None, tuple[Why, ...]]:
    """When the timetable would let it go, among what waits already."""
    if made is None or made.state is not State.WAITING:
        return None, ()
    if on.tx is not None and row.version != 0:
        rhythm = schedule.rhythm_of(on.room, on.tx, row)
    else:
        network = on.room.accounts[row.name]
        rhythm = Rhythm(
            editorial=on.settings.editorial,
            row=row,
            network=network,
            waiting=(),
            history=(),
            spent=Decimal(0),
        )
    times = schedule.retime(on.now, replace(rhythm, waiting=(*rhythm.waiting, made)))
    timed = next(one for one in times if one.current.id == made.id)
    return (None if timed.move in (Move.RULED_OUT, Move.HOLD) else timed.due_at), timed.why


#: What a delivery has only once it was timed, edited or tried.
_NOT_YET = (
    *("due_at", "edited_text", "edited_by", "attempt", "doubted_at", "absent_at", "sent_at", "confirmed_at"),
    *("remote_id", "url"),
)


def _as_delivery(new: NewDelivery, stored: Stored, now: datetime) -> Delivery:
    """The delivery that plan would store."""
    empty: dict[str, Any] = dict.fromkeys(_NOT_YET)
    kept = ("id", "account", "occasion", "state", "priority", "route", "ready_at", "ready_why", "fresh_until")
    return Delivery(
        **{name: getattr(new, name) for name in (*kept, "pinned_at", "turn", "text", "length", "cost")},
        **empty,
        article=stored.id,
        story=stored.merged_into or stored.id,
        reason=new.why,
        due_why=(),
        generation=1,
        tries=0,
        retry_words="",
        created_at=now,
        updated_at=now,
        version=1,
    )
