"""The post that an article becomes on one account: its words, its link, its tags, its card, fitted to the network.

A template gives the form; what a person wrote for the account, or edited, stands above every template. Where the whole
does not fit, it gives up in this order: tags one by one from the end, the summary (cut, then dropped), the headline
(cut at a word), and last the template's own words. The link is never touched, and a person's text is never cut: it is
held.

Pure: the same article, settings and times give the same post.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from bot.errors import WirepostError
from bot.model import Article, Card, Limits, LinkPlace, Post, Reason, TagStyle, Unit, Why
from bot.rules.editorial import DEFAULT_TEMPLATE, Editorial, Route
from bot.rules.headline import clean_headline, clean_text
from bot.rules.links import campaign, clean_link, link_key, tracked, valid_link
from bot.rules.tags import neutralise, tags_for
from bot.rules.templates import BadTemplate, Filler, check_template, compiled
from bot.rules.text import ELLIPSIS, cut, fits, isolate, links_in, measure, over

__all__ = ["BadTemplate", "CannotFit", "check_template", "compose"]


class CannotFit(WirepostError):
    """No form of the post is short enough, or a person's text is too long; `why` says by how much."""

    def __init__(self, why: Why) -> None:
        self.why = why
        super().__init__(f"{why.reason}: {why.detail}")


def compose(
    article: Article,
    *,
    editorial: Editorial,
    account: str,
    network: str,
    limits: Limits,
    route: Route | None,
    delivery: str,
    created_at: datetime,
    text: str | None = None,
) -> Post:
    """The post for one account. `text` is an editor's edit of it. Raises CannotFit or BadTemplate, both with `.why`.

    `Post.link` is the address that the post really carries, in its card or its text, so that a look-up can find it.
    `Post.dropped` names what was given up, in order. `Post.article` is left to the caller, who knows its id.
    """
    written = _written(article, account, network, text)
    filler = compiled(_template(editorial, route, account, network)) if written is None else None
    story = _story(article, editorial, account, network, limits, filler.uses if filler else frozenset())
    draft = _fitted(filler, story, limits) if filler else _by_hand(written or "", story, limits)
    card = None
    if limits.card and story.link:
        card = Card(story.link, story.title or editorial.house, story.description, article.image)
    return Post(
        account=account,
        text=draft.text,
        link=story.link if card else draft.link,
        tags=story.tags if limits.tag_style is TagStyle.FIELD else draft.tags,
        card=card,
        language=article.language,
        headline=story.title,
        delivery=delivery,
        created_at=created_at,
        length=draft.length,
        dropped=draft.dropped,
    )


# -- what the article gives ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """An article's words, cleaned: `title` and `description` for a card, the others safe to stand in a text."""

    title: str
    description: str
    headline: str
    summary: str
    section: str
    authors: tuple[str, ...]
    tags: tuple[str, ...]
    raw_link: str
    link: str
    link_in_text: bool
    house: str
    source: str
    account: str
    network: str

    @property
    def text_link(self) -> str:
        """The link, where it has to stand in the text."""
        return self.link if self.link_in_text else ""


_AUTHORS = frozenset({"author", "authors"})
_TAGS = frozenset({"tags", "tag_list"})

#: Code points. What is longer is no headline and no summary but a page taken for one: it is cut here, once, before
#: anything is counted, so that a hostile one of megabytes costs little. `_RAW` bounds what is cleaned at all.
_LONGEST = 1_000
_RAW = 10_000


def _story(
    article: Article, editorial: Editorial, account: str, network: str, limits: Limits, uses: frozenset[str]
) -> _Story:
    """The article's words for this account; those that only a template shows (`uses`) are made only for one."""

    def safe(words: str) -> str:
        return _safe(words, limits, editorial.tags.mentions, editorial.defaults.bare_domains)

    title, description = _cleaned(article.headline, article.summary, article.body[:_RAW])
    return _Story(
        title=title,
        description=description,
        headline=safe(title),
        summary=safe(description) if "summary" in uses else "",
        section=safe(clean_text(article.section or "", html=False)) if "section" in uses else "",
        authors=tuple(safe(clean_text(author, html=False)) for author in article.authors if uses & _AUTHORS),
        tags=_tags(article, editorial, account, network, limits),
        raw_link=article.link or "",
        link=_link(article, editorial, account, network),
        link_in_text=limits.link_place is LinkPlace.TEXT or not limits.card,
        house=editorial.house,
        source=article.source,
        account=account if "account" in uses else "",
        network=network,
    )


@lru_cache(maxsize=1024)
def _safe(words: str, limits: Limits, keep: tuple[str, ...], bare: Literal["break", "keep"]) -> str:
    return neutralise(words, limits=limits, keep=keep, bare_domains=bare)


@lru_cache(maxsize=256)
def _cleaned(headline: str, summary: str, body: str) -> tuple[str, str]:
    """Headline and summary, cleaned once for all the accounts of an article."""
    description = clean_text(summary[:_RAW], html=False)
    return _bounded(clean_headline(headline[:_RAW], lead=f"{description} {body}")), _bounded(description)


def _bounded(words: str) -> str:
    return cut(words[: _LONGEST + 1], lambda shorter: len(shorter) <= _LONGEST)


def _link(article: Article, editorial: Editorial, account: str, network: str) -> str:
    """The address to post, with the campaign of the account; "" if the article has none."""
    if not article.link:
        return ""
    address = valid_link(article.link)
    if address is None:
        raise CannotFit(Why(Reason.NO_LINK, "its link is no web address"))
    try:
        parameters = campaign(
            editorial.defaults.campaign,
            network=network,
            account=account,
            section=article.section,
            source=article.source,
            house=editorial.house,
            language=article.language,
        )
    except ValueError as error:
        raise BadTemplate(f"campaign: {error}") from None
    return _tracked(address, tuple(parameters.items()))


@lru_cache(maxsize=256)
def _tracked(address: str, parameters: tuple[tuple[str, str], ...]) -> str:
    return tracked(clean_link(address), dict(parameters))


def _tags(article: Article, editorial: Editorial, account: str, network: str, limits: Limits) -> tuple[str, ...]:
    if limits.tag_style is TagStyle.NONE:
        return ()
    return tags_for(article, editorial.tags, account=account, network=network, limits=limits)


# -- a person's text ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """A text that fits, its length, the link and the tags that stand in it, and what it gave up."""

    text: str
    length: int
    link: str | None
    tags: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def _written(article: Article, account: str, network: str, edit: str | None) -> str | None:
    """What a person wrote: the edit of this post, else the article's text for the account, else for the network."""
    for words in (edit, article.texts.get(account), article.texts.get(network)):
        if words is not None and words.strip():
            return words
    return None


def _by_hand(written: str, story: _Story, limits: Limits) -> _Draft:
    """The text as it was written, with the link appended where it holds none. Raises CannotFit rather than cut.

    The article's own plain address becomes the tracked one; any other link stays as the person chose it.
    """
    text = written.replace("\r\n", "\n").strip()
    if story.link and story.link != story.raw_link:
        text = _standing(story.raw_link).sub(lambda _: story.link, text)
    if story.text_link and not _ADDRESS.search(text):
        text = f"{text}\n\n{story.link}"
    text = isolate(text, (story.link,))
    excess = over(text, limits)
    if excess:
        detail = f"the text written for it is {excess} {_units(limits.unit)} over {limits.size}"
        raise CannotFit(Why(Reason.CANNOT_FIT, detail))
    return _Draft(text, measure(text, limits), _carried(text, story))


_ADDRESS = re.compile(r"https?://[^\s\u2068\u2069]+")


_LONGER = r"[\w/?&=#%~+@:;-]"
_GOES_ON = re.compile(_LONGER)


def _standing(link: str) -> re.Pattern[str]:
    """The link where it stands whole in a text, not as the beginning of a longer address."""
    return re.compile(f"{re.escape(link)}(?!{_LONGER})")


def _stands(link: str, text: str) -> bool:
    """Does the link stand whole in the text? (To compile a pattern for each link costs more than all the rest.)"""
    at = text.find(link)
    while at >= 0 and _GOES_ON.match(text, at + len(link)):
        at = text.find(link, at + 1)
    return at >= 0


def _carried(text: str, story: _Story) -> str | None:
    """The link by which the post can be found again: ours, else another address of the story, else the first."""
    if story.link and _stands(story.link, text):
        return story.link
    urls = [span.url for span in links_in(text, "scheme")] or _ADDRESS.findall(text)
    own = link_key(story.raw_link) if story.raw_link else None
    return next((url for url in urls if own is not None and link_key(url) == own), urls[0] if urls else None)


def _units(unit: Unit) -> str:
    return {Unit.UTF16: "UTF-16 units", Unit.WEIGHTED: "weighted characters"}.get(unit, unit.value)


# -- a template's text --------------------------------------------------------------------------------------------


def _template(editorial: Editorial, route: Route | None, account: str, network: str) -> str:
    """The route's template, else the account's, the network's, the house's default, ours."""
    if route is not None and route.template is not None:
        if route.template not in editorial.templates:
            raise BadTemplate(f'route "{route.name}" names the template "{route.template}", and there is none')
        return editorial.templates[route.template]
    return next(
        (editorial.templates[name] for name in (account, network, "default") if name in editorial.templates),
        DEFAULT_TEMPLATE,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a template is filled with that may be given up."""

    headline: str
    summary: str
    tags: tuple[str, ...]


@lru_cache(maxsize=256)
def _fitted(filler: Filler, story: _Story, limits: Limits) -> _Draft:
    """The first form of the post that fits; the template's own words go last. Raises CannotFit."""
    if not story.headline:
        raise CannotFit(Why(Reason.NO_HEADLINE))
    link = story.text_link or None
    default = compiled(DEFAULT_TEMPLATE)
    for form, words in ((filler, ()), (default, ("the template's own words",))):
        for parts, dropped in _forms(form, story, limits):
            text = _made(form, story, parts)
            if fits(text, limits):
                kept = parts.tags if form.uses & _TAGS else ()
                return _Draft(text, measure(text, limits), link, kept, (*words, *dropped))
    shortest = _made(default, story, _Parts(ELLIPSIS, "", ()))
    detail = f"with no more than its link it is {over(shortest, limits)} {_units(limits.unit)} over {limits.size}"
    raise CannotFit(Why(Reason.CANNOT_FIT, detail))


def _forms(filler: Filler, story: _Story, limits: Limits) -> Iterator[tuple[_Parts, tuple[str, ...]]]:
    """Ever shorter parts and what was given up for them: less and less tags, less summary, none, less headline."""
    parts = _Parts(story.headline, story.summary, story.tags if limits.tag_style is TagStyle.INLINE else ())
    gone: tuple[str, ...] = ()
    yield parts, gone
    while parts.tags:
        if filler.uses & _TAGS:
            gone = (*gone, f"#{parts.tags[-1]}")
        parts = replace(parts, tags=parts.tags[:-1])
        yield parts, gone
    if story.summary and "summary" in filler.uses:
        shorter = cut(story.summary, lambda words: fits(_made(filler, story, replace(parts, summary=words)), limits))
        if shorter.strip(ELLIPSIS):
            yield replace(parts, summary=shorter), (*gone, "part of the summary")
        parts, gone = replace(parts, summary=""), (*gone, "the summary")
        yield parts, gone
    shorter = cut(story.headline, lambda words: fits(_made(filler, story, replace(parts, headline=words)), limits))
    if shorter.strip(ELLIPSIS):
        yield replace(parts, headline=shorter), (*gone, "part of the headline")


def _made(filler: Filler, story: _Story, parts: _Parts) -> str:
    """The template filled with these parts; the link is in it wherever it has to stand in the text."""
    spelled = [f"#{tag}" for tag in parts.tags]
    text = filler.fill(
        {
            "headline": parts.headline,
            "link": story.text_link,
            "tags": " ".join(spelled),
            "tag_list": parts.tags,
            "summary": parts.summary,
            "section": story.section,
            "author": ", ".join(story.authors),
            "authors": story.authors,
            "house": story.house,
            "source": story.source,
            "account": story.account,
            "network": story.network,
        }
    )
    if story.text_link and not _stands(story.text_link, text):
        text = f"{text}\n\n{story.text_link}"
    return isolate(text, (story.text_link, *spelled), headline=story.headline)
