"""How old is too old, and what was there before an account was."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.model import Article, Priority
from bot.rules.editorial import Editorial, Route


def max_age(article: Article, route: Route | None, priority: Priority, editorial: Editorial) -> timedelta:
    """How old an article may get before it is not worth sending: route, else source, else the default."""
    source = editorial.sources.get(article.source)
    if route is not None and route.max_age is not None:
        return route.max_age
    if priority is Priority.BREAKING:
        return editorial.defaults.max_age_breaking
    if source is not None and source.max_age is not None:
        return source.max_age
    return editorial.defaults.max_age


def before_account(first_seen_at: datetime, joined_at: datetime, live_since: datetime | None) -> bool:
    """Was the article there before the account joined, or before it went live?"""
    return first_seen_at < max(joined_at, live_since or joined_at)
