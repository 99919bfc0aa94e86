"""What a person wants beside the routes: one article on one account, or older ones of a source (`post`, `backfill`).

A wish is written on the article and carried out by plan, under the keys that keep a story from going out twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.desk import Case, TooLate, Unclear, account_stands, became, two_people, with_text
from bot.errors import NoMatch, UsageError
from bot.flow import plan, schedule
from bot.flow.clearance import Start, start_of
from bot.flow.freezing import composed
from bot.flow.newsroom import Newsroom
from bot.model import Article, Delivery, Limits, Post, Reason, State, Status
from bot.reasons import sentence
from bot.rules.compose import BadTemplate, CannotFit
from bot.rules.duplicates import digest, keys_of
from bot.rules.editorial import Editorial
from bot.rules.text import measure
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import deliveries as stored_deliveries
from bot.store.articles import AddArticle, Admit, NewArticle, Stored
from bot.store.deliveries import FIRST

AGAIN = "again-"


@dataclass(frozen=True, slots=True)
class Wish:
    """One article on one account, as plan will see it."""

    article: str
    account: str
    who: str
    occasion: str = FIRST
    at: datetime | None = None

    @property
    def write(self) -> Admit:
        """The intent that writes it on the article."""
        wish: dict[str, Any] = {"who": self.who, "occasion": self.occasion}
        if self.at is not None:
            wish["at"] = self.at.isoformat()
        return Admit((self.article,), self.who, {self.account: wish})


def occasion_for(cases: Sequence[Case], same_link: Delivery | None, *, again: bool) -> str:
    """For which occasion a person's post would be, given the story's posts on the account, oldest first. Pure.

    Raises TooLate where it is planned, refused or out already (within `same_link`, unless `again`), Unclear where it
    may be out.
    """
    for case in cases:
        one = case.delivery
        if case.in_doubt or one.state is State.SENDING:
            raise Unclear(became(case))
        if one.state in (State.WAITING, State.HELD, State.REJECTED):
            raise TooLate(f"{one.account} has it already: {became(case)}")
        if not again and (one.state is State.WITHDRAWN or (same_link is not None and one.id == same_link.id)):
            there = became(case)
            raise TooLate(f"{one.account} had this link already: {there}. To post it once more: --again")
        if one.state is State.SKIPPED and one.occasion == FIRST and two_people(case) is not None:
            raise TooLate(f"{became(case)}. Two people let it go: wirepost retry {case.shown} --second NAME")
    used = {case.delivery.occasion for case in cases if case.delivery.state is not State.SKIPPED}
    if FIRST not in used:
        return FIRST
    numbers = [case.delivery.occasion.removeprefix(AGAIN) for case in cases]
    return f"{AGAIN}{1 + max((int(number) for number in numbers if number.isdigit()), default=0)}"


def too_early(stored: Stored, at: datetime | None, editorial: Editorial) -> Start | None:
    """What keeps the article from going at that time, an embargo or its own date; None if nothing does. Pure."""
    start = start_of(stored, editorial)
    fixed = start.because in (Reason.EMBARGO, Reason.FUTURE)
    return start if fixed and at is not None and at < start.ready_at else None


def story_on(room: Newsroom, stored: Stored, account: str) -> tuple[list[str], Delivery | None]:
    """The ids of the story's deliveries on the account, oldest first; and the one that is out within the window."""
    story = stored.merged_into or stored.id
    with room.store.read() as tx:
        mine = stored_deliveries.of_story(tx, story, account)
        since = tx.now - room.editorial.defaults.same_link
        out = stored_deliveries.same_link(tx, account, story, since=since)
    return [one.id for one in mine], out


def carry_out(room: Newsroom, wish: Wish) -> Delivery | None:
    """Write the wish down, plan and time it; the delivery that came of it, None if the article can't go anywhere."""
    if not room.store.commit(wish.write):
        return None
    plan.run(room)
    schedule.run(room)
    with room.store.read() as tx:
        made = stored_deliveries.of_articles(tx, [wish.article])[wish.article]
    mine = [one for one in made if one.account == wish.account and one.occasion == wish.occasion]
    return mine[0] if mine else None


def carry_out_all(room: Newsroom, articles: tuple[str, ...], account: str, who: str) -> list[Delivery]:
    """Older articles are to go to the account: the deliveries that came of it, in the order of their times."""
    room.store.commit(Admit(articles, who, {account: {"who": who}}))
    plan.run(room)
    schedule.run(room)
    with room.store.read() as tx:
        made = stored_deliveries.of_articles(tx, articles)
    mine = [one for each in made.values() for one in each if one.account == account and one.occasion == FIRST]
    return sorted(mine, key=lambda one: (one.due_at is None, one.due_at or one.created_at, one.id))


def add(room: Newsroom, article: Article) -> Stored:
    """An article from outside the sources joins the store under all its keys; the one that stands if it is known.

    It joins as already seen: a person's wish alone makes it go.
    """
    if article.link is None:
        raise UsageError(f'"{article.headline}" has no link: give it one in its front matter.')
    with room.store.read() as tx:
        keys = keys_of(article, seen_on=tx.now.date())
    new = NewArticle(
        id=room.random.new_id(), article=article, digest=digest(article), keys=keys, status=Status.BASELINE
    )
    standing = room.store.commit(AddArticle(new))
    with room.store.read() as tx:
        stored = stored_articles.by_id(tx, standing)
    if stored is None:
        raise NoMatch(f'"{article.headline}" could not be stored.')
    return stored


def composed_with(room: Newsroom, case: Case, text: str | None) -> tuple[Post, Limits]:
    """The post as it would be with this text, and what the account takes. Raises UsageError, with the count, if not."""
    account_stands(case)
    with room.store.read() as tx:
        row = stored_accounts.by_name(tx, case.delivery.account)
    if row is None:
        raise NoMatch(f"{case.delivery.account} is not in the store any more.")
    adapter = room.reader(row)
    limits = adapter.bounds()
    try:
        return composed(room.editorial, adapter, case.stored, with_text(case, text)), limits
    except BadTemplate as error:
        raise UsageError(f"{case.shown}: {sentence(error.why)}") from None
    except CannotFit as error:
        counted = f"{measure(text, limits)} of {limits.size} {limits.unit}; " if text is not None else ""
        raise UsageError(f"{case.shown}: {counted}{sentence(error.why)}") from None
