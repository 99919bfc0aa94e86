"""What keeps an article from going, or until when: embargo, date, faults, twins, second looks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.model import Delivery, Reason, Why
from bot.rules.duplicates import Known, near, repeats
from bot.rules.editorial import Editorial
from bot.rules.embargo import embargo_note, parse_embargo
from bot.rules.faults import encoding_fault, lint
from bot.rules.routing import Decision, edit_needs_second
from bot.store.articles import Stored

# A publisher's clock may run ahead by so much: such a date is now, not a schedule (sources of the field say minutes).
SKEW = timedelta(minutes=10)
# Dated further ahead than this, an article is a mistake or a plan that a person should see (pain P70).
FAR = timedelta(hours=24)
# How far back a near-same headline counts.
NEAR_WITHIN = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Start:
    """Before when an article may not go, and what says so; `hold`: why a person has to say when."""

    ready_at: datetime
    because: Reason
    hold: Why | None

    def fresh_from(self, stored: Stored) -> datetime:
        """From when the article's age counts: an embargoed or scheduled one is new when it may be told."""
        scheduled = self.because in (Reason.EMBARGO, Reason.FUTURE)
        return max(self.ready_at, stored.fresh_from) if scheduled else stored.fresh_from


def start_of(stored: Stored, editorial: Editorial) -> Start:
    """Settle time, embargo (told by a field or in the text) and a date ahead: the latest of them decides."""
    article = stored.article
    embargo, hold = article.embargo_until, None
    note = embargo_note(f"{article.headline}\n{article.summary}\n{article.body[:2000]}") if embargo is None else None
    if note is not None:
        embargo = parse_embargo(note, editorial.timezone, article.published_at)
        hold = Why(Reason.EMBARGO_UNCLEAR, note) if embargo is None else None
    published = article.published_at
    if published is not None and published - stored.first_seen_at > FAR:
        local = published.astimezone(ZoneInfo(editorial.timezone))
        hold = hold or Why(Reason.FAR_FUTURE, local.strftime("%d %b %Y %H:%M"))
    candidates = [(stored.settle_until, Reason.SETTLE)]
    if embargo is not None:
        candidates.append((embargo, Reason.EMBARGO))
    if published is not None and published > stored.first_seen_at + SKEW:
        candidates.append((published, Reason.FUTURE))
    ready_at, because = max(candidates, key=lambda pair: pair[0])
    return Start(ready_at, because, hold)


def twin_of(stored: Stored, recent: Sequence[Known]) -> Known | None:
    """An earlier article with nearly this headline."""
    mine = (stored.first_seen_at, stored.id)
    older = [known for known in recent if (known.first_seen_at, known.id) < mine]
    return near(stored.article.headline, stored.article.link, older)


def twin_policy(stored: Stored, twin: Known | None, editorial: Editorial) -> str:
    """What becomes of an article with a twin: "skip", "hold" or "warn"; without one, "warn"."""
    if twin is None:
        return "warn"
    return "skip" if repeats(stored.article, twin) else editorial.defaults.near_duplicate


def fault_of(stored: Stored, decision: Decision, start: Start) -> Why | None:
    """What is wrong with the article itself, the gravest first: it goes to nobody before it is mended or released."""
    article = stored.article
    if article.hold is not None:
        return Why(article.hold, article.hold_note)
    faults = (
        encoding_fault(article.headline),
        encoding_fault(article.summary),
        start.hold,
        lint(article.headline) if article.headline else Why(Reason.NO_HEADLINE),
    )
    found = next((fault for fault in faults if fault is not None), None)
    needs_link = decision.route is None or decision.route.link
    if found is None and article.link is None and needs_link:
        return Why(Reason.NO_LINK)
    return found


def second_look(
    stored: Stored,
    decision: Decision,
    editorial: Editorial,
    current: Delivery | None,
    twin: Known | None,
    *,
    by_hand: bool = False,
) -> Why | None:
    """What a person has to agree to, though nothing is wrong: the route's hold, a sensitive edit, a twin.

    `by_hand`: a person asked for it and has agreed, but to a sensitive edit a second one must (pain P58).
    """
    edited = bool(stored.article.texts) or (current is not None and current.edited_text is not None)
    sensitive = edit_needs_second(stored.article, editorial, edited)
    if by_hand:
        return sensitive
    held = decision.hold or sensitive
    if held is None and twin is not None and twin_policy(stored, twin, editorial) == "hold":
        return Why(Reason.NEAR_DUPLICATE, twin.headline)
    return held
