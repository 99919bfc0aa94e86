"""plan: who gets an article and why (not), and in which words?

`decide` is pure: an article whose content changed, or for which the rules did, becomes decisions and deliveries.
Nothing is planned twice: a delivery is one article, one account, one occasion, and what was sent, refused or skipped by
a person stays as it is. When each goes is for `schedule` to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bot.flow.clearance import NEAR_WITHIN, Start, fault_of, second_look, start_of, twin_of, twin_policy
from bot.flow.newsroom import Account, Newsroom
from bot.model import Delivery, Limits, Move, Priority, Reason, State, Status, Why
from bot.rules.compose import CannotFit, compose
from bot.rules.duplicates import Known
from bot.rules.editorial import Editorial, Route
from bot.rules.freshness import before_account, max_age
from bot.rules.routing import Decision
from bot.rules.routing import decide as route
from bot.rules.templates import BadTemplate
from bot.rules.timing import turn_of
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import deliveries as stored_deliveries
from bot.store import plans as stored_plans
from bot.store.accounts import AccountRow
from bot.store.articles import Stored
from bot.store.deliveries import FIRST
from bot.store.plans import DecisionRow, NewDelivery, Plan, Planned, Refresh

# So many deliveries per account may a change of the rules create by itself; more wait for a yes.
BY_RULES = 3
# Articles of one transaction.
BATCH = 100

#: Holds that the article itself caused: they end by themselves when the article is mended.
_MENDABLE = frozenset(
    {
        Reason.NO_LINK,
        Reason.NO_HEADLINE,
        Reason.LINT,
        Reason.ENCODING,
        Reason.FAR_FUTURE,
        Reason.EMBARGO_UNCLEAR,
        Reason.CANNOT_FIT,
        Reason.TEMPLATE,
        Reason.UNREADABLE,
    }
)
#: Why a delivery's own `ready_at` outranks its article's.
_DELAYS = frozenset({Reason.BACKOFF, Reason.NETWORK_LIMIT, Reason.LOGIN, Reason.BILLING, Reason.LOST_REPLY})
#: Skips that a later revision or look may undo, since no person made them and nothing left.
_REVIVABLE = frozenset({Reason.WITHDRAWN, Reason.ROUTE_CHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One account as plan sees it: what it is, since when, what it takes."""

    name: str
    network: str
    limits: Limits
    joined_at: datetime
    live_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the decision needs to know beside the article. `recent` are the articles of the last 48 hours."""

    editorial: Editorial
    now: datetime
    desks: tuple[Desk, ...]
    recent: tuple[Known, ...]
    new_id: Callable[[], str]
    price: Callable[[str, str], str]
    existing: Mapping[str, Sequence[Delivery]]
    earlier: Mapping[str, Mapping[str, Delivery]]
    planned_before: frozenset[str]
    made_by_rules: Counter[str] = field(default_factory=Counter)


def decide(stored: Stored, view: View) -> Planned:
    """What becomes of one article on every account. Pure."""
    plan = Planned(
        article=stored.id,
        story=stored.merged_into or stored.id,
        revision=stored.revision,
        status=stored.status,
        by_hand=stored.by_hand,
        decisions=(),
    )
    if stored.status is not Status.LIVE:
        return replace(plan, decisions=(DecisionRow(account="", yes=False, reasons=(_not_live(stored),)),))
    start = start_of(stored, view.editorial)
    decisions: list[DecisionRow] = []
    new: list[NewDelivery] = []
    refresh: list[Refresh] = []
    twin = twin_of(stored, view.recent)
    mine = {(d.account, d.occasion): d for d in view.existing.get(stored.id, ())}
    for desk, decision in zip(view.desks, _routed(stored, view), strict=True):
        for occasion, hand in _occasions(stored, desk.name):
            current = mine.get((desk.name, occasion))
            draft = _draft(stored, desk, decision, start, view, current, twin, hand)
            if current is not None:
                refresh.extend(_refreshed(current, draft))
            elif draft.state is not None:
                new.append(_new(draft, desk, occasion, view))
        decisions.append(DecisionRow(account=desk.name, yes=draft.yes, reasons=draft.reasons, trace=decision.trace))
    if not any(decision.yes for decision in decisions) and all(
        d.reasons[0].reason is Reason.NO_ROUTE for d in decisions
    ):
        decisions = [DecisionRow(account="", yes=False, reasons=(Why(Reason.NO_ROUTE),), trace=_trace(decisions))]
    return replace(plan, decisions=tuple(decisions), new=tuple(new), refresh=tuple(refresh))


def _occasions(stored: Stored, account: str) -> tuple[tuple[str, Mapping[str, Any] | None], ...]:
    """For which occasions the article goes to the account, each with a person's wish: the first, and one "again"."""
    hand = (stored.by_hand or {}).get(account)
    occasion = hand.get("occasion", FIRST) if hand is not None else FIRST
    return ((FIRST, hand),) if occasion == FIRST else ((FIRST, None), (occasion, hand))


def _trace(decisions: Sequence[DecisionRow]) -> tuple[str, ...]:
    return decisions[0].trace if decisions else ()


def _not_live(stored: Stored) -> Why:
    reasons = {Status.BASELINE: Reason.BASELINE, Status.WITHDRAWN: Reason.WITHDRAWN, Status.MERGED: Reason.MERGED}
    return stored.hold or Why(reasons.get(stored.status, Reason.MASS_CHANGE))


def _routed(stored: Stored, view: View) -> tuple[Decision, ...]:
    names = [desk.name for desk in view.desks]
    return route(stored.article, view.editorial, age_from=stored.fresh_from, now=view.now, accounts=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What a delivery on one account would be. `state` None: there is none, only the decision."""

    yes: bool
    reasons: tuple[Why, ...]
    state: State | None = None
    why: Why
    priority: Priority = Priority.NORMAL
    route: str = ""
    ready_at: datetime
    ready_why: Reason | None = None
    fresh_until: datetime | None = None
    pinned_at: datetime | None = None
    asked: datetime | None = None
    turn: int = 0
    text: str = ""
    length: int = 0
    cost: str = "0"


def _draft(
    stored: Stored,
    desk: Desk,
    decision: Decision,
    start: Start,
    view: View,
    current: Delivery | None,
    twin: Known | None,
    hand: Mapping[str, Any] | None,
) -> _Draft:
    if not decision.yes and hand is None:
        return _Draft(yes=False, reasons=decision.why, why=decision.why[0], ready_at=start.ready_at)
    late = _too_late(stored, desk, by_hand=hand is not None)
    text, length, cost, unfit = _composed(stored, desk, decision, view, current)
    hold = fault_of(stored, decision, start) or unfit
    hold = hold or second_look(stored, decision, view.editorial, current, twin, by_hand=hand is not None)
    by = Why(Reason.BY_HAND, hand["who"]) if hand is not None else Why(Reason.ROUTE, _name(decision.route))
    again = hand is not None and hand.get("occasion", FIRST) != FIRST
    skip = late or (None if again else _skip(stored, desk, view, None if hand else twin))
    if skip is None and hold is None and current is None and stored.id in view.planned_before and hand is None:
        view.made_by_rules[desk.name] += 1
        if view.made_by_rules[desk.name] > BY_RULES:
            hold = Why(Reason.RULES_CHANGED)
    return _Draft(
        yes=skip is None,
        reasons=tuple(why for why in (skip, hold, by) if why is not None),
        state=State.SKIPPED if skip else State.HELD if hold else State.WAITING,
        why=skip or hold or by,
        priority=decision.priority,
        route=_name(decision.route),
        ready_at=start.ready_at,
        ready_why=start.because if start.ready_at > view.now else None,
        fresh_until=None if hand is not None else _fresh_until(stored, decision, start, view.editorial),
        pinned_at=_moment(hand, "at"),
        asked=_moment(hand, "asked"),
        turn=turn_of(decision.priority, stored.article.published_at or stored.first_seen_at),
        text=text,
        length=length,
        cost=cost,
    )


def _name(route: Route | None) -> str:
    return route.name if route is not None else ""


def _moment(hand: Mapping[str, Any] | None, name: str) -> datetime | None:
    """A time of a person's wish: "at" when it is to go, "asked" when it was said."""
    at = hand.get(name) if hand else None
    return datetime.fromisoformat(at) if at else None


def _fresh_until(stored: Stored, decision: Decision, start: Start, editorial: Editorial) -> datetime:
    age = max_age(stored.article, decision.route, decision.priority, editorial)
    return start.fresh_from(stored) + age


def _too_late(stored: Stored, desk: Desk, *, by_hand: bool) -> Why | None:
    early = before_account(stored.first_seen_at, desk.joined_at, desk.live_since)
    return Why(Reason.BEFORE_ACCOUNT) if early and not by_hand else None


def _skip(stored: Stored, desk: Desk, view: View, twin: Known | None) -> Why | None:
    """The same story again: on this account already, or the same headline again from the same source."""
    earlier = view.earlier.get(stored.id, {}).get(desk.name)
    if earlier is not None:
        return Why(Reason.SAME_LINK, earlier.url or earlier.id)
    if twin is not None and twin_policy(stored, twin, view.editorial) == "skip":
        return Why(Reason.NEAR_DUPLICATE, twin.headline)
    return None


def _composed(
    stored: Stored, desk: Desk, decision: Decision, view: View, current: Delivery | None
) -> tuple[str, int, str, Why | None]:
    """The text as it would look now, its length and price; or why there can't be one."""
    try:
        post = compose(
            stored.article,
            editorial=view.editorial,
            account=desk.name,
            network=desk.network,
            limits=desk.limits,
            route=decision.route,
            delivery=current.id if current else "",
            created_at=view.now,
            text=current.edited_text if current else None,
        )
    except (CannotFit, BadTemplate) as error:
        return "", 0, "0", error.why
    return post.text, post.length, view.price(desk.name, post.text), None


def _new(draft: _Draft, desk: Desk, occasion: str, view: View) -> NewDelivery:
    assert draft.state is not None
    return NewDelivery(
        id=view.new_id(),
        account=desk.name,
        occasion=occasion,
        state=draft.state,
        why=draft.why,
        priority=draft.priority,
        route=draft.route,
        ready_at=draft.ready_at,
        ready_why=draft.ready_why,
        fresh_until=draft.fresh_until,
        pinned_at=draft.pinned_at,
        turn=draft.turn,
        text=draft.text,
        length=draft.length,
        cost=draft.cost,
    )


def _refreshed(current: Delivery, draft: _Draft) -> Iterable[Refresh]:
    """What a new revision or new rules mean for a delivery that is there already."""
    if current.doubted_at is not None or current.state not in (State.WAITING, State.HELD, State.SKIPPED):
        return
    facts: dict[str, Any] = {
        "priority": draft.priority,
        "turn": draft.turn,
        "route": draft.route,
        "fresh_until": draft.fresh_until if current.fresh_until is not None else None,
        "text": draft.text,
        "length": draft.length,
        "cost": draft.cost,
    }
    if current.ready_why not in _DELAYS or draft.ready_at > current.ready_at:
        facts |= {"ready_at": draft.ready_at, "ready_why": draft.ready_why}
        if current.due_at is not None and draft.ready_at > current.due_at:
            facts["due_at"] = None  # an embargo came: until it is timed anew nobody may take it at its old time
    move, why = _moved(current, draft)
    if current.state is State.SKIPPED:
        if move is None:
            return
        # Its old time has passed: it is timed anew. (Once planned, the pin is for `move` to change.)
        facts |= {"pinned_at": draft.pinned_at, "due_at": None}
    yield Refresh(current=current, move=move, why=why, changes=facts)


def _moved(current: Delivery, draft: _Draft) -> tuple[Move | None, Why | None]:
    """The move that the draft asks of the delivery as it stands, if any."""
    if current.state is State.SKIPPED:
        revive = draft.state is State.WAITING and current.reason.reason in _REVIVABLE and not current.tries
        # A wish reopens what was skipped before it was said, and nothing that was skipped since.
        by_hand = draft.state is State.WAITING and draft.asked is not None and current.updated_at <= draft.asked
        return (Move.REOPEN, draft.why) if revive or by_hand else (None, None)
    if draft.state is None:
        return Move.RULED_OUT, Why(Reason.ROUTE_CHANGED, draft.reasons[0].detail)
    if draft.state is State.SKIPPED:
        return (Move.RULED_OUT, draft.why) if current.fresh_until is not None else (None, None)
    if current.state is State.HELD and draft.state is State.WAITING and current.reason.reason in _MENDABLE:
        return Move.RELEASE, draft.why
    released = current.reason.reason is Reason.BY_HAND
    caused = draft.why.reason in _MENDABLE or draft.why.reason is Reason.SENSITIVE
    if current.state is State.WAITING and draft.state is State.HELD and caused and not released:
        return Move.HOLD, draft.why
    return None, None


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom) -> bool:
    """Plan every article that needs it. True if there was one."""
    planned = False
    while _plan_some(newsroom):
        planned = True
    if planned:
        newsroom.wake("schedule")
    return planned


def _plan_some(newsroom: Newsroom) -> bool:
    with newsroom.store.read() as tx:
        batch = stored_articles.unplanned(tx, limit=BATCH)
        if not batch:
            return False
        ids = [stored.id for stored in batch]
        rules, newest = newsroom.rules, stored_plans.newest_rules(tx)
        view = View(
            editorial=newsroom.editorial,
            now=tx.now,
            desks=desks(newsroom, stored_accounts.all_accounts(tx)),
            recent=tuple(stored_articles.recent(tx, since=tx.now - NEAR_WITHIN)),
            new_id=newsroom.random.new_id,
            price=lambda account, text: price(newsroom.accounts[account], text),
            existing=stored_deliveries.of_articles(tx, ids),
            earlier=stored_deliveries.out_of_stories(tx, batch, since=tx.now - newsroom.editorial.defaults.same_link),
            planned_before=stored_plans.planned_before(tx, ids, rules),
        )
    newsroom.store.commit(Plan(tuple(decide(stored, view) for stored in batch), rules, newest))
    newsroom.crash("plan after articles")
    return True


def desks(newsroom: Newsroom, rows: Mapping[str, AccountRow]) -> tuple[Desk, ...]:
    """The accounts of the settings as plan sees them, by name."""
    found = []
    for name, account in sorted(newsroom.accounts.items()):
        row = rows.get(name)
        if row is None:
            continue
        bounds = newsroom.reader(row).bounds()
        found.append(
            Desk(
                name=name,
                network=account.network.name,
                limits=bounds,
                joined_at=row.joined_at,
                live_since=row.live_since,
            )
        )
    return tuple(found)


def price(account: Account, text: str) -> str:
    """What publishing this text costs on the account's network, as its file says."""
    from bot.rules.text import links_in

    cost = account.network.cost
    holds_link = bool(cost.publish_link) and bool(links_in(text, account.network.limits.auto_links))
    return str(cost.publish_link if holds_link else cost.publish)
