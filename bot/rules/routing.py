"""Which articles go to which accounts, and why not to the others.

Routes are tried in their order; for each account the first that fits the article and names the account decides. A
route with `to = []` closes the article for every account that no earlier route has taken. Every yes and every no
carries its reason, and the trace of the routes that were tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bot.model import Article, Priority, Reason, Why
from bot.rules.durations import spell_duration
from bot.rules.editorial import Editorial, Route, When
from bot.rules.names import count_words, has_word, name_key, same_name
from bot.rules.shadows import never_matches

__all__ = ["Decision", "Miss", "decide", "edit_needs_second", "never_matches", "priority_of", "sensitive"]

#: How many characters of a text an editor's own expression is tried on: a headline of megabytes must cost little.
_SEARCHED = 1_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What the routes say of one article on one account.

    `why` is the yes's or no's reason, `hold` what keeps a yes from leaving until a person has looked, `trace` one line
    for each route that was tried and names the account or fits: "sport ✗ section is politics".
    """

    account: str
    yes: bool
    why: tuple[Why, ...]
    route: Route | None
    hold: Why | None
    trace: tuple[str, ...]
    priority: Priority = Priority.NORMAL


def decide(
    article: Article, editorial: Editorial, *, age_from: datetime, now: datetime, accounts: Sequence[str]
) -> tuple[Decision, ...]:
    """One decision for each account, in their order.

    `age_from` is the instant from which the article's age counts (published, else first seen).
    """
    look = _Look(article, ZoneInfo(editorial.timezone), age_from, now)
    tried = tuple((route, _first_miss(route.when, look)) for route in editorial.routes)
    return tuple(_for_account(account, article, editorial, tried) for account in accounts)


def priority_of(article: Article, editorial: Editorial, route: Route | None) -> Priority:
    """The route's priority, else the article's own, else its source's, else normal."""
    if route is not None and route.priority is not None:
        return route.priority
    rules = editorial.sources.get(article.source)
    if article.priority is Priority.NORMAL and rules is not None and rules.priority is not None:
        return rules.priority
    return article.priority


# -- one account --------------------------------------------------------------------------------------------------


class Miss(NamedTuple):
    """The first condition that an article fails: what it is like, and what was asked for."""

    found: str
    wanted: str


_Tried = tuple[tuple[Route, Miss | None], ...]


def _for_account(account: str, article: Article, editorial: Editorial, tried: _Tried) -> Decision:
    trace: list[str] = []
    for route, miss in tried:
        closes = not route.to
        if miss is not None and not (closes or route.takes(account)):
            continue  # nobody asks why; fifty routes on fifty accounts would fill the store with such lines
        if miss is not None:
            trace.append(f"{route.name} ✗ {miss.found}")
        elif not closes and not route.takes(account):
            trace.append(f"{route.name} ✗ does not name {account}")
        else:
            trace.append(f"{route.name} ✓")
            priority = priority_of(article, editorial, route)
            if closes:
                why = (Why(Reason.ROUTE_CLOSED, route.reason or f"route {route.name} closes it"),)
                return Decision(account, False, why, route, None, tuple(trace), priority)
            why = (Why(Reason.ROUTE, route.name),)
            return Decision(account, True, why, route, _hold(article, route, account), tuple(trace), priority)
    why = (Why(Reason.NO_ROUTE, _why_no_route(account, tried)),)
    return Decision(account, False, why, None, None, tuple(trace), priority_of(article, editorial, None))


def _hold(article: Article, route: Route, account: str) -> Why | None:
    """What keeps a routed article from leaving by itself: the source's own doubt first, the route's wish last."""
    if article.hold is not None:
        return Why(article.hold, article.hold_note)
    if not article.headline.strip():
        return Why(Reason.NO_HEADLINE)
    if route.link and not article.link:
        return Why(Reason.NO_LINK)
    if route.holds_for(account):
        return Why(Reason.ROUTE_HOLD, f"route {route.name}")
    return None


def _why_no_route(account: str, tried: _Tried) -> str:
    if not tried:
        return "there are no routes"
    naming = [(route, miss) for route, miss in tried if miss is not None and route.takes(account)]
    if not naming:
        return "no route names this account"
    return "; ".join(f'{miss.found}, route "{route.name}" takes {miss.wanted}' for route, miss in naming)


# -- one route's conditions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Look:
    """The article as conditions see it: its words folded once, its times made local."""

    article: Article
    zone: ZoneInfo
    age_from: datetime
    now: datetime

    @property
    def words(self) -> int:
        """Words of the body, of the summary where there is no body; a character of a script without spaces is one."""
        return count_words(self.article.body or self.article.summary)

    @property
    def age(self) -> timedelta:
        return self.now - self.age_from


def _first_miss(when: When, look: _Look) -> Miss | None:
    """The first condition that fails, in the order in which they are written here; None if all hold."""
    for check in _CHECKS:
        miss = check(when, look)
        if miss is not None:
            return miss
    return None


def _listed(names: Iterable[str], joint: str = ", ") -> str:
    return joint.join(names)


def _is(word: str, values: Sequence[str]) -> str:
    """ "section is politics", "tags are a, b", "no tags"."""
    if not values:
        return f"no {word}"
    return f"{word} is {values[0]}" if len(values) == 1 else f"{word}s are {_listed(values)}"


def _one_of(word: str, wanted: Sequence[str], values: Sequence[str]) -> Miss | None:
    """Positive lists: one name in common is enough."""
    if not wanted or any(same_name(name, value) for name in wanted for value in values):
        return None
    return Miss(_is(word, values), _listed(wanted, " or "))


def _none_of(word: str, barred: Sequence[str], values: Sequence[str]) -> Miss | None:
    """Negative lists: one name in common is too many."""
    for value in values:
        if any(same_name(name, value) for name in barred):
            return Miss(f"{word} is {value}", f"none with {word} {value}")
    return None


def _sources(when: When, look: _Look) -> Miss | None:
    if not when.sources or look.article.source in when.sources:
        return None
    return Miss(f"source is {look.article.source}", f"source {_listed(when.sources, ' or ')}")


def _sections(when: When, look: _Look) -> Miss | None:
    values = _section(look.article)
    return _one_of("section", when.sections, values) or _none_of("section", when.not_sections, values)


def _tags(when: When, look: _Look) -> Miss | None:
    return _one_of("tag", when.tags, look.article.tags) or _none_of("tag", when.not_tags, look.article.tags)


def _authors(when: When, look: _Look) -> Miss | None:
    return _one_of("author", when.authors, look.article.authors)


def _languages(when: When, look: _Look) -> Miss | None:
    """ "en" takes "en-GB" (RFC 4647, basic filtering); "en-GB" does not take "en"."""
    if not when.languages:
        return None
    own = (look.article.language or "").replace("_", "-").casefold()
    for wanted in when.languages:
        form = wanted.replace("_", "-").casefold()
        if own == form or own.startswith(form + "-"):
            return None
    return Miss(_is("language", [own] if own else []), _listed(when.languages, " or "))


def _keywords(when: When, look: _Look) -> Miss | None:
    article = look.article
    if not when.keywords or any(has_word(text, when.keywords) for text in (article.headline, article.summary)):
        return None
    return Miss("no keyword in headline or summary", f"stories with {_listed(when.keywords, ' or ')}")


def _patterns(when: When, look: _Look) -> Miss | None:
    for name, pattern, text in (
        ("headline", when.headline, look.article.headline),
        ("link", when.link, look.article.link or ""),
    ):
        if pattern is not None and not re.search(pattern, text[:_SEARCHED]):
            return Miss(f"{name} does not match", f"a {name} that matches {pattern}")
    return None


def _length(when: When, look: _Look) -> Miss | None:
    if when.min_words is not None and look.words < when.min_words:
        return Miss(f"it has {look.words} words", f"at least {when.min_words}")
    if when.max_words is not None and look.words > when.max_words:
        return Miss(f"it has {look.words} words", f"at most {when.max_words}")
    return None


def _age(when: When, look: _Look) -> Miss | None:
    shown = spell_duration(timedelta(minutes=max(0, look.age // timedelta(minutes=1))))
    if when.newer_than is not None and look.age > when.newer_than:
        return Miss(f"it is {shown} old", f"stories newer than {spell_duration(when.newer_than)}")
    if when.older_than is not None and look.age < when.older_than:
        return Miss(f"it is {shown} old", f"stories older than {spell_duration(when.older_than)}")
    return None


def _hours(when: When, look: _Look) -> Miss | None:
    if not when.hours:
        return None
    at = (look.article.published_at or look.age_from).astimezone(look.zone)
    if any(span.holds(at.time()) for span in when.hours):
        return None
    return Miss(f"published at {at:%H:%M}", f"the hours {_listed(str(span) for span in when.hours)}")


def _priority(when: When, look: _Look) -> Miss | None:
    if when.priority is None or look.article.priority is when.priority:
        return None
    return Miss(f"priority is {look.article.priority}", f"priority {when.priority}")


def _nested(when: When, look: _Look) -> Miss | None:
    for inner in when.all:
        miss = _first_miss(inner, look)
        if miss is not None:
            return miss
    if when.any:
        misses = [_first_miss(inner, look) for inner in when.any]
        failed = [miss for miss in misses if miss is not None]
        if len(failed) == len(misses):
            found = dict.fromkeys(miss.found for miss in failed)
            return Miss(_listed(found, " and "), _listed((miss.wanted for miss in failed), " or "))
    if when.not_ is not None and _first_miss(when.not_, look) is None:
        return Miss("it is one of the exceptions", "all but its exceptions")
    return None


#: Cheap and telling conditions first: the first that fails is the one that `why` shows.
_CHECKS: tuple[Callable[[When, _Look], Miss | None], ...] = (
    _sources,
    _sections,
    _tags,
    _authors,
    _languages,
    _priority,
    _keywords,
    _patterns,
    _length,
    _age,
    _hours,
    _nested,
)


def _section(article: Article) -> tuple[str, ...]:
    return (article.section,) if article.section else ()


# -- sensitive stories --------------------------------------------------------------------------------------------


def _sensitive_by(article: Article, editorial: Editorial) -> str:
    """What makes the story sensitive, in words; "" if nothing does.

    A tag counts whole or as one word of a longer one ("Murder trial" is a trial): too many second looks cost minutes,
    one too few cost a correction.
    """
    rules = editorial.sensitive
    for name in (*article.tags, *_section(article)):
        for wanted in rules.tags:
            if same_name(name, wanted) or name_key(wanted) in name_key(name).split("-"):
                return f"tag {name}"
    for word in rules.words:
        if has_word(article.headline, (word,)) or has_word(article.summary, (word,)):
            return f"word {word}"
    return ""


def sensitive(article: Article, editorial: Editorial) -> bool:
    """Is this a story of which an edited text needs a second look (P58)?"""
    return _sensitive_by(article, editorial) != ""


def edit_needs_second(article: Article, editorial: Editorial, edited: bool) -> Why | None:
    """The hold for a text that a person changed on a sensitive story; None where nobody changed anything."""
    cause = _sensitive_by(article, editorial) if edited else ""
    return Why(Reason.SENSITIVE, cause) if cause else None
