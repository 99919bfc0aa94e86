"""A draft on paper: the line above its text, the framed text, and the same for programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.cli import phrasing
from bot.cli.render import moment, one_line

if TYPE_CHECKING:
    from bot.cli.drafting import Draft
    from bot.model import Why
    from bot.settings import Settings


def page(settings: Settings, draft: Draft, now: datetime) -> list[str]:
    """A line that says where, how long, by which route and when; and the text in a box."""
    zone = settings.editorial.timezone
    text, bounds = draft.text, draft.bounds
    parts = [draft.account, draft.adapter.title]
    if text:
        length = _length(draft)
        parts.append(f"{length} of {bounds.size} {phrasing.units(bounds.unit, bounds.size)}")
    if draft.post is not None and draft.post.card is not None:
        parts.append("link card")
    if draft.delivery is not None and draft.delivery.route:
        route = draft.delivery.route
        parts.append(f'route "{route}" ({phrasing.route_place(settings, route)})')
    lines = [" · ".join([*parts, _fate(draft, zone, now)])]
    return lines + _box(text) if text else lines


def _fate(draft: Draft, zone: str, now: datetime) -> str:
    """ "would go 14:10"; for what is out or was decided before, what the store says."""
    delivery = draft.delivery
    if draft.stored and delivery is not None and not draft.goes:
        return phrasing.say(delivery.reason, delivery, zone, now)
    if draft.goes and draft.due_at is not None:
        rest = "" if draft.live else ", but the account is not live: it would be made, not sent"
        return f"would go {moment(draft.due_at, zone, now)}{rest}"
    if draft.goes:
        return "would go, its time is not reckoned yet"
    return phrasing.would_not(_first(draft), draft.account, delivery, zone, now)


def _first(draft: Draft) -> Why:
    """The reason that keeps it from going, not the route that would have taken it."""
    from bot.model import Reason

    quiet = (Reason.ROUTE, Reason.BY_HAND, Reason.AT_ONCE, Reason.SLOT)
    return next((why for why in draft.reasons if why.reason not in quiet), draft.reasons[0])


def _length(draft: Draft) -> int:
    if draft.post is not None and not (draft.stored and draft.text != draft.post.text):
        return draft.post.length
    return draft.delivery.length if draft.delivery is not None else 0


def _box(text: str) -> list[str]:
    """The text as it stands, framed. Control characters other than line breaks are shown as spaces."""
    lines = [one_line(line) if not line.isprintable() else line for line in text.split("\n")]
    width = max(len(line) for line in lines)
    body = [f"│ {line:<{width}} │" for line in lines]
    return [f"┌{'─' * (width + 2)}┐", *body, f"└{'─' * (width + 2)}┘"]


def as_object(settings: Settings, draft: Draft, now: datetime) -> dict[str, Any]:
    zone, post, bounds, delivery = settings.editorial.timezone, draft.post, draft.bounds, draft.delivery
    card = post.card if post is not None else None
    route = delivery.route if delivery is not None else ""
    return {
        "article": draft.article.id,
        "headline": draft.article.article.headline,
        "account": draft.account,
        "network": draft.adapter.name,
        "text": draft.text,
        "length": _length(draft),
        "limit": bounds.size,
        "unit": str(bounds.unit),
        "link": post.link if post is not None else None,
        "tags": list(post.tags) if post is not None else [],
        "card": {"link": card.link, "title": card.title, "description": card.description} if card is not None else None,
        "due_at": draft.due_at,
        "goes": draft.goes,
        "live": draft.live,
        "state": str(delivery.state) if delivery is not None and draft.stored else None,
        "route": route,
        "route_at": phrasing.route_place(settings, route),
        "dropped": list(post.dropped) if post is not None else [],
        "reasons": phrasing.reasons_json(draft.reasons, delivery, zone, now),
        "trace": list(draft.trace),
        "dry_run": True,
    }
