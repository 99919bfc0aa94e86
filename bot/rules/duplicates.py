"""Is this article one that we know? Identity, changes, floods and near-same headlines.

An article is known by several keys, since no single one holds in the wild: sites move and give every item a new id,
feed plugins build ids from dates, editors rename addresses, and some sources use one id for two stories. Ids and links
decide; a title decides only together with its source and time; likeness of headlines alone never does more than ask.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from bot.model import Article, Reason, Why
from bot.rules import links
from bot.rules.durations import spell_duration


class KeyKind(StrEnum):
    """What an article can be known by, the strongest first."""

    GUID = "guid"
    LINK = "link"
    TITLE_DAY = "title_day"
    FINGERPRINT = "fingerprint"
    GUID_TITLE = "guid_title"


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that an article is known by. A LINK is unique across all sources; the others belong to one source."""

    kind: KeyKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store remembers of an article that a key led to."""

    id: str
    source: str
    guid: str
    headline: str
    link: str | None
    published_at: datetime | None
    first_seen_at: datetime
    digest: str
    status: str


class Verdict(StrEnum):
    """What an item of a fetch is to the store."""

    NEW = "new"
    SAME = "same"  # known, and nothing about it changed that a post would show
    CHANGED = "changed"  # known, with something new to show: a revision
    REMAPPED = "remapped"  # known by link or title, under an id or address that is new: add the keys, post nothing
    REUSED = "reused"  # a known id or link, but another story: held for a person


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the known article it is about (None for NEW), and whether that gets a new revision by it."""

    verdict: Verdict
    known: Known | None
    changed: bool = False


# -- words made comparable ----------------------------------------------------------------------------------------

_NOT_WORD = re.compile(r"[\W_]+")
#: Bodies shorter than this (normalised characters) are standfirsts that series share: they prove nothing.
_BODY = 200


#: A look at a source asks for the same links and titles several times over; a link's key costs 0.1 ms.
link_key = lru_cache(maxsize=32_768)(links.link_key)


@lru_cache(maxsize=32_768)
def title_key(headline: str) -> str:
    """A title without case, width, entities, punctuation and spaces too many; "" if nothing is left."""
    return " ".join(_NOT_WORD.sub(" ", unicodedata.normalize("NFKC", _plain(headline)).casefold()).split())


def _plain(text: str) -> str:
    """Text whose entities (once or twice escaped) and white space don't count."""
    return " ".join(unicodedata.normalize("NFC", html.unescape(html.unescape(text))).split())


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


# -- keys ---------------------------------------------------------------------------------------------------------


def keys_of(article: Article, *, seen_on: date) -> tuple[Key, ...]:
    """Everything the article is known by, the strongest first, each key once.

    The day of a title is the published one (UTC), else `seen_on`. An article without id, link and title has no keys.
    """
    keys = []
    if article.guid.strip():
        keys.append(Key(KeyKind.GUID, f"{article.source}\n{article.guid.strip()}"))
    for address in (article.link, *article.aliases):
        form = link_key(address) if address else None
        if form:
            keys.append(Key(KeyKind.LINK, form))
    title = title_key(article.headline)
    if title:
        day = article.published_at.date() if article.published_at else seen_on
        keys.append(Key(KeyKind.TITLE_DAY, f"{article.source}\n{title}\n{day.isoformat()}"))
    body = title_key(article.body)
    if title and len(body) >= _BODY:
        keys.append(Key(KeyKind.FINGERPRINT, f"{article.source}\n{_hashed(title.replace(' ', ''), body)}"))
    if title and article.guid.strip():
        keys.append(Key(KeyKind.GUID_TITLE, f"{article.source}\n{article.guid.strip()}\n{_hashed(title)}"))
    return tuple(dict.fromkeys(keys))


def digest(article: Article) -> str:
    """A hash over what a post shows or obeys: when it changes there is a new revision.

    White space and escaping don't count, nor the order of tags, nor the published and updated dates: large sites touch
    old items all day (P04). The source's own hold and priority count, since lifting either must be seen.
    """
    image = (article.image.url, _plain(article.image.alt)) if article.image else None
    embargo = article.embargo_until.timestamp() if article.embargo_until else None
    shown = (
        _plain(article.headline),
        (link_key(article.link) or article.link) if article.link else None,
        _plain(article.summary),
        image,
        sorted({_plain(tag).casefold() for tag in article.tags}),
        _plain(article.section or ""),
        sorted((name, _plain(text)) for name, text in article.texts.items()),
        embargo,
        article.hold,
        article.priority,
    )
    return _hashed(json.dumps(shown, ensure_ascii=True))


# -- the verdict --------------------------------------------------------------------------------------------------

#: Below this share of likeness two titles are two stories. Over 300 real headlines, rapidfuzz's plain ratio between
#: different stories never passed 0.52, and an edited title stayed above 0.79 in 95 of 100 cases (rapidfuzz 3.14.6).
SAME_STORY = 0.5
#: A title that was rewritten within a day is an edit (P06).
APART = timedelta(hours=24)
#: How far two publication times may differ and still be one: feeds cut seconds off.
_INSTANT = timedelta(seconds=60)


def judge(article: Article, matches: Mapping[Key, Known]) -> Judgement:
    """What this article is, given the known ones that its keys led to.

    The source's own id counts first, then what bears the very same title, then the order of `KeyKind`, the article's
    own link before its aliases. A key under which it is another story counts only if no other key knows it. The order
    of `matches` and of the fetch doesn't matter. An article has to be judged before its own keys are stored.
    """
    own, title = link_key(article.link) if article.link else None, title_key(article.headline)
    kinds = list(KeyKind)

    def rank(key: Key) -> tuple[bool, bool, int, bool, str]:
        retitled = title_key(matches[key].headline) != title
        return key.kind is not KeyKind.GUID, retitled, kinds.index(key.kind), key.value != own, key.value

    reused: Known | None = None
    for key in sorted(matches, key=rank):
        known = matches[key]
        verdict = _JUDGES[key.kind](article, known)
        if verdict is Verdict.REUSED:
            reused = reused or known
        elif verdict is not None:
            return _judgement(verdict, article, known)
    return Judgement(Verdict.REUSED, reused) if reused else Judgement(Verdict.NEW, None)


def _judgement(verdict: Verdict, article: Article, known: Known) -> Judgement:
    """The verdict with what changed. A second source of a story adds its keys, and never rewrites the first one's."""
    own = article.source == known.source
    if verdict is Verdict.REMAPPED and own and article.guid == known.guid:
        verdict = Verdict.SAME  # under its own id after all: a story that was held because its id was taken
    changed = own and digest(article) != known.digest
    if verdict is Verdict.SAME and changed:
        verdict = Verdict.CHANGED
    return Judgement(verdict, known, changed)


def _by_guid(article: Article, known: Known) -> Verdict:
    """The source's own id. With another title, and another link or a day between them, it was used twice."""
    moved = bool(article.link and known.link) and link_key(article.link or "") != link_key(known.link or "")
    return Verdict.REUSED if _other_story(article, known, moved) else Verdict.SAME


def _by_link(article: Article, known: Known) -> Verdict:
    """A known link under another id: the same article, unless the source gives one link to several stories.

    From another source it is the same story told twice, or under a home page as link for everything.
    """
    return Verdict.REUSED if _other_story(article, known, article.source == known.source) else Verdict.REMAPPED


def _by_title_day(article: Article, known: Known) -> Verdict | None:
    """Same source, title and day, new id and link: a moved site keeps the publication time; a repeat has its own (P15).

    A repeat is an article of its own; `near` finds it.
    """
    if article.source != known.source:
        return None
    both_undated = article.published_at is None and known.published_at is None
    return Verdict.REMAPPED if both_undated or _same_instant(article, known) else None


def _by_fingerprint(article: Article, known: Known) -> Verdict | None:
    """Same source, title and whole body: moved or re-published, whatever its date says (P12)."""
    return Verdict.REMAPPED if article.source == known.source else None


def _by_guid_title(article: Article, known: Known) -> Verdict | None:
    """The story that was found under a used id before: it has no other lasting key (P06)."""
    return Verdict.SAME


_JUDGES = {
    KeyKind.GUID: _by_guid,
    KeyKind.LINK: _by_link,
    KeyKind.TITLE_DAY: _by_title_day,
    KeyKind.FINGERPRINT: _by_fingerprint,
    KeyKind.GUID_TITLE: _by_guid_title,
}


def _other_story(article: Article, known: Known, disagrees: bool) -> bool:
    """Is this a different story under the same key?

    The titles must be unlike, and then a day must lie between them, or a second strong key must disagree (`disagrees`)
    while the publication time differs. Nothing is dropped in silence either way: a wrong guess is one question.
    """
    if _likeness(article.headline, known.headline) >= SAME_STORY:
        return False
    then = known.published_at or known.first_seen_at
    far = article.published_at is not None and abs(article.published_at - then) >= APART
    return far or (disagrees and not _same_instant(article, known))


def _same_instant(article: Article, known: Known) -> bool:
    if article.published_at is None or known.published_at is None:
        return False
    return abs(article.published_at - known.published_at) <= _INSTANT


def _likeness(one: str, other: str) -> float:
    """0 to 1. A title that is empty on either side says nothing, and counts as alike."""
    left, right = title_key(one), title_key(other)
    if not left or not right or left == right:
        return 1.0
    from rapidfuzz import fuzz  # 55 ms and 4 MB to load: only where stories are compared

    return fuzz.ratio(left, right) / 100


# -- too much at once ---------------------------------------------------------------------------------------------

#: The breaker looks only past this many unseen items: an honest burst of a newsroom is 20 in one poll (P18), so the
#: number alone never trips it.
BURST = 10
SHARE = 0.3
FLOOD = 50
#: An item may be dated so long before the last look and still be honest: caches and delayed publishing hold it back.
_LATE = timedelta(hours=1)


def breaker(
    judged: Sequence[tuple[Article, Judgement]],
    *,
    total: int,
    now: datetime,
    last_good_at: datetime | None,
    known_titles: Collection[str] = frozenset(),
) -> Why | None:
    """Why nothing of this fetch may be planned until a person has looked; None if it is honest.

    It trips when more than 10 and more than 30 % of the fetch's `total` items are unseen and most of those are old
    (dated before the last good look), undated, or bear a title that is known under another id; or when more than 50
    fresh ones arrive at once. `last_good_at=None` is a first look and never trips. `known_titles` are `title_key`s of
    the source.
    """
    if last_good_at is None:
        return None
    unseen = [article for article, judgement in judged if judgement.verdict is Verdict.NEW]
    old = [article for article in unseen if article.published_at and article.published_at < last_good_at - _LATE]
    if len(unseen) - len(old) > FLOOD:
        return Why(Reason.MASS_CHANGE, f"{len(unseen)} new at once, {_since(now, last_good_at)}")
    if len(unseen) <= BURST or len(unseen) <= SHARE * total:
        return None
    undated = [article for article in unseen if article.published_at is None]
    retitled = [article for article in unseen if title_key(article.headline) in known_titles]
    odd = {id(article) for article in (*old, *undated, *retitled)}
    if 2 * len(odd) <= len(unseen):
        return None
    shares = ((old, "from before the last look"), (undated, "without a date"), (retitled, "known under another id"))
    told = ", ".join(f"{len(some)} {words}" for some, words in shares if some)
    return Why(Reason.MASS_CHANGE, f"{len(unseen)} of {total} are new at once, {_since(now, last_good_at)}: {told}")


def _since(now: datetime, then: datetime) -> str:
    minutes = max(0, (now - then) // timedelta(minutes=1))
    return f"{spell_duration(timedelta(minutes=minutes))} after the last look"


# -- near-same headlines ------------------------------------------------------------------------------------------

#: rapidfuzz token_set_ratio on processed text: 300 real headlines against edited selves scored 97 and more in 95 of 100
#: cases, 1,000 pairs of different ones at most 63. Series ("stocks close higher", "… lower") score 89 to 97 in every
#: measure, so that likeness can only ask, never decide.
NEAR = 94.0
#: One headline whose words are a part of the other's scores 100: compare only those of similar length.
_LENGTHS = 2.0


def near(headline: str, link: str | None, recent: Sequence[Known]) -> Known | None:
    """The recent article whose headline is nearly this one's, the likest first; None if there is none.

    The caller passes the articles of the last 48 h. Those under the same link are the same article and not meant here.
    """
    if not recent:
        return None
    from rapidfuzz import fuzz, process

    wanted = title_key(headline)
    own = link_key(link) if link else None
    titles = [title_key(known.headline) for known in recent]
    likest: list[tuple[float, float, Known]] = []
    for title, score, index in process.extract(
        wanted, titles, scorer=fuzz.token_set_ratio, score_cutoff=NEAR, limit=None
    ):
        known = recent[index]
        same_link = own is not None and known.link is not None and link_key(known.link) == own
        if wanted and title and _as_long(wanted, title) and not same_link:
            likest.append((score, fuzz.ratio(wanted, title), known))  # words that are a part of the other score 100
    return max(likest, key=lambda found: (found[0], found[1], found[2].id))[2] if likest else None


def _as_long(one: str, other: str) -> bool:
    return max(len(one), len(other)) <= _LENGTHS * min(len(one), len(other))


def repeats(article: Article, known: Known) -> bool:
    """Is this the very title again, from the very source? Then a person need not be asked: it is skipped (P15)."""
    return article.source == known.source and title_key(article.headline) == title_key(known.headline) != ""
