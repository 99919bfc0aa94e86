"""discover: what is new in the article stores, what changed, what was taken back?

A source only hands on what it sees; here is decided what that means. The first look is a baseline. Identity is not the
source's id alone. Too much at once trips the breaker: it is all kept, and nothing of it is planned before a person has
looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.errors import Blocked, Ended, SourceError
from bot.flow.newsroom import Newsroom
from bot.log import events
from bot.model import Article, Priority, Reason, Status, Why
from bot.rules.backoff import poll_interval
from bot.rules.duplicates import (
    BURST,
    Judgement,
    Key,
    KeyKind,
    Known,
    Verdict,
    breaker,
    digest,
    judge,
    keys_of,
    title_key,
)
from bot.rules.editorial import Editorial
from bot.sources.base import Batch, Source
from bot.store import Tx
from bot.store import articles as stored_articles
from bot.store import identity as stored_identity
from bot.store import sources as stored_sources
from bot.store.articles import Arrival, ChangedArticle, NewArticle, SeenArticle, Stored
from bot.store.identity import Forget
from bot.store.sources import BeginLook, EndLook, FailLook, PutOff, SourceRow

log = events("discover")

# A publisher's clock may run ahead by so much: such a date is now, not a schedule.
SKEW = timedelta(minutes=10)
# A look may take this long before another worker may try: the source's own request takes at most 30 s.
LOOK_LEASE = timedelta(seconds=120)
# A first look waits so long for files that are being written; what is never finished is left out then.
FIRST_LOOK_WAITS = timedelta(seconds=60)
# So many old keys are forgotten in one transaction.
FORGET = 500
# The same article under so many ids in a source means that the source makes up ids (pain P15).
CHURN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the decision needs to know beside the batch."""

    source: str
    editorial: Editorial
    now: datetime
    last_good_at: datetime | None
    new_id: Callable[[], str]
    ids_of: Mapping[str, int]
    known_titles: frozenset[str] = frozenset()
    baseline_only: bool = False

    @property
    def settle(self) -> timedelta:
        own = self._own("settle")
        return self.editorial.defaults.settle if own is None else own

    @property
    def first_look(self) -> str:
        own = self._own("first_look")
        return self.editorial.defaults.first_look if own is None else own

    def _own(self, name: str) -> Any:
        rules = self.editorial.sources.get(self.source)
        return getattr(rules, name) if rules is not None else None


@dataclass(frozen=True, slots=True)
class Found:
    """The decision: what to write down, what to count, what to tell."""

    arrivals: tuple[Arrival, ...]
    counts: Mapping[str, int]
    events: tuple[tuple[str, Mapping[str, Any]], ...]


def decide(batch: Batch, known: Mapping[Key, Known], view: View) -> Found:
    """What each article of the batch is, and whether the whole of it can be believed. Pure."""
    articles = _in_order(batch.articles, view.now)
    keys = [keys_of(article, seen_on=view.now.date()) for article in articles]
    judged = [
        (article, judge(article, {key: known[key] for key in own if key in known}))
        for article, own in zip(articles, keys, strict=True)
    ]
    trip = breaker(
        judged,
        total=len(articles),
        now=view.now,
        last_good_at=view.last_good_at,
        known_titles=view.known_titles,
    )
    admitted = _admitted(judged, view)
    view = replace(view, new_id=_rising(view.new_id, len(articles)))
    arrivals = tuple(
        _arrival(article, judgement, own, view, trip, index in admitted)
        for index, ((article, judgement), own) in enumerate(zip(judged, keys, strict=True))
    )
    return Found(arrivals, _counts(batch, judged), tuple(_events(batch, judged, view, trip)))


def _in_order(articles: Sequence[Article], now: datetime) -> list[Article]:
    """Oldest first, as they were published (P21); undated ones are from now, in the order of their source."""
    return sorted(articles, key=lambda article: article.published_at or now)


def _rising(new_id: Callable[[], str], number: int) -> Callable[[], str]:
    """Ids in the order of the articles: by them those of one look go out that have no date, or the same (P21)."""
    return iter(sorted(new_id() for _ in range(number))).__next__


def _admitted(judged: Sequence[tuple[Article, Judgement]], view: View) -> set[int]:
    """On a first look: which of the new ones may go out (`first_look`); afterwards, all."""
    fresh = [index for index, (_, judgement) in enumerate(judged) if judgement.verdict is Verdict.NEW]
    if view.baseline_only:
        return set()
    if view.last_good_at is not None or view.first_look == "all":
        return set(fresh)
    if view.first_look == "nothing":
        return set()
    newest = int(view.first_look.removeprefix("newest:"))
    return set(fresh[len(fresh) - newest :]) if newest else set()


def _arrival(
    article: Article, judgement: Judgement, keys: tuple[Key, ...], view: View, trip: Why | None, admitted: bool
) -> Arrival:
    known = judgement.known
    if judgement.verdict is Verdict.NEW:
        return _new(article, keys, view, trip, admitted)
    assert known is not None
    if judgement.verdict is Verdict.REUSED:
        return _reused(article, known, keys, view)
    keys = tuple(key for key in keys if key.kind is not KeyKind.GUID_TITLE)
    moved = _rescheduled(article, known)
    if judgement.changed or moved:
        return ChangedArticle(id=known.id, article=article, digest=digest(article), keys=keys, rescheduled=moved)
    return SeenArticle(id=known.id, keys=keys, back=known.status == Status.WITHDRAWN)


def _rescheduled(article: Article, known: Known) -> bool:
    """An article that was dated ahead has another date now. Dates of what is out already change nothing (P04)."""
    planned = known.published_at
    return planned is not None and planned > known.first_seen_at + SKEW and article.published_at != planned


def _new(article: Article, keys: tuple[Key, ...], view: View, trip: Why | None, admitted: bool) -> NewArticle:
    first = view.last_good_at is None
    status = Status.LIVE if admitted else Status.BASELINE
    if trip is not None:
        status = Status.HELD
    at_once = article.priority is Priority.BREAKING or (first and view.settle == timedelta(0))
    return NewArticle(
        id=view.new_id(),
        article=article,
        digest=digest(article),
        keys=tuple(key for key in keys if key.kind is not KeyKind.GUID_TITLE),
        status=status,
        hold=trip,
        settle=timedelta(0) if at_once else view.settle,
        # Chosen on a first look, it counts as published now: `newest:3` means these three, however old (P16).
        fresh_from=None if first or article.published_at is None else article.published_at,
    )


def _reused(article: Article, known: Known, keys: tuple[Key, ...], view: View) -> NewArticle:
    """Another story under a used id or link: an article of its own, held, known by what is left of its keys."""
    own = tuple(key for key in keys if key.kind not in (KeyKind.GUID, KeyKind.LINK))
    return NewArticle(
        id=view.new_id(),
        article=article,
        digest=digest(article),
        keys=own,
        status=Status.BASELINE if view.last_good_at is None else Status.HELD,
        hold=None if view.last_good_at is None else Why(Reason.GUID_REUSE, known.headline),
        settle=view.settle,
        fresh_from=article.published_at,
    )


def _counts(batch: Batch, judged: Sequence[tuple[Article, Judgement]]) -> dict[str, int]:
    counts = {"seen": len(judged), "broken": len(batch.broken), "gone": len(batch.gone)}
    for verdict in Verdict:
        counts[verdict.value] = sum(judgement.verdict is verdict for _, judgement in judged)
    return counts


def _events(
    batch: Batch, judged: Sequence[tuple[Article, Judgement]], view: View, trip: Why | None
) -> list[tuple[str, Mapping[str, Any]]]:
    events: list[tuple[str, Mapping[str, Any]]] = []
    remapped = [judgement.known for _, judgement in judged if judgement.verdict is Verdict.REMAPPED]
    if remapped:
        events.append(("identity_remapped", {"count": len(remapped)}))
    churned = sorted({known.id for known in remapped if known and view.ids_of.get(known.id, 0) >= CHURN})
    if churned:
        events.append(("feed_misbehaving", {"articles": churned}))
    if trip is not None:
        events.append(("mass_change", {"why": trip.detail}))
    overrun = [note.partition(": ")[2] for note in batch.notes if note.startswith("window_overrun")]
    events.extend(("window_overrun", {"words": words}) for words in overrun)
    events.extend(("broken_entry", {"where": broken.where, "why": broken.why}) for broken in batch.broken)
    return events


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom, *, only: str | None = None, anyway: bool = False) -> bool:
    """Look at every source that is due (or at one, due or not). True if anything was found."""
    wanted = [name for name in newsroom.sources if only in (None, name)]
    found = False
    for name in sorted(wanted) if anyway else due(newsroom, wanted):
        found = look(newsroom, newsroom.sources[name], anyway=anyway) or found
    if found:
        newsroom.wake("plan")
    return found


def due(newsroom: Newsroom, names: Iterable[str]) -> list[str]:
    """Which of these sources are to be looked at now."""
    with newsroom.store.read() as tx:
        return stored_sources.due(tx, names)


def look(newsroom: Newsroom, source: Source, *, anyway: bool = False) -> bool:
    """One look at one source, in one transaction. True if it brought something new."""
    begun = newsroom.store.commit(BeginLook(source.name, source.kind, newsroom.worker, LOOK_LEASE, anyway))
    if begun is None or (begun.ended and not anyway):
        return False
    now = newsroom.store.now()
    try:
        http = newsroom.reading(source)
        batch = newsroom.safely(lambda: source.fetch(begun.cursor, http, now))
    except SourceError as error:
        log.warning("source_failed", source=source.name, error=str(error), errors=begun.errors + 1)
        newsroom.store.commit(_failed(newsroom, source, begun, error))
        return False
    newsroom.crash("discover after fetch")
    if _still_filling(newsroom, begun, batch):
        newsroom.store.commit(PutOff(source.name, newsroom.worker, timedelta(seconds=batch.next_in or 1.0)))
        return False
    newsroom.looks.keep(source.name, batch)
    ended = _judged(newsroom, source, begun, batch, now)
    touched = newsroom.store.commit(ended)
    _tell(ended)
    news = any(not isinstance(arrival, SeenArticle) or arrival.back for arrival in ended.arrivals)
    return touched is not None and (news or bool(ended.gone))


def forget(newsroom: Newsroom) -> bool:
    """Keys of articles that nobody showed for 400 days go, some at a time. True if there may be more.

    Not by a clock that may be wrong: what is forgotten could go out again.
    """
    if newsroom.parked_by_clock or newsroom.time_unheard:
        return True
    with newsroom.store.read() as tx:
        old = stored_identity.faded(tx, limit=FORGET)
    if old:
        log.info("forgot", keys=newsroom.store.commit(Forget(tuple(old))))
    return len(old) == FORGET


def _still_filling(newsroom: Newsroom, begun: SourceRow, batch: Batch) -> bool:
    """A first look decides what is old; one that doesn't see all of it would take the rest for a flood of new ones."""
    first = begun.first_good_at is None and batch.partial
    return first and newsroom.sightings.age(("filling", begun.name)) < FIRST_LOOK_WAITS.total_seconds()


def _tell(ended: EndLook) -> None:
    for arrival in ended.arrivals:
        if isinstance(arrival, NewArticle) and arrival.status is not Status.BASELINE:
            log.info("article", source=ended.name, article=arrival.id, headline=arrival.article.headline)
        elif isinstance(arrival, ChangedArticle):
            log.info("article_changed", source=ended.name, article=arrival.id, headline=arrival.article.headline)
    for event, detail in ended.events:
        log.warning(event, source=ended.name, **detail)


def _judged(newsroom: Newsroom, source: Source, begun: SourceRow, batch: Batch, now: datetime) -> EndLook:
    keys = [key for article in batch.articles for key in keys_of(article, seen_on=now.date())]
    with newsroom.store.read() as tx:
        known = stored_identity.known_by(tx, keys)
        view = View(
            source=source.name,
            editorial=newsroom.editorial,
            now=now,
            last_good_at=begun.last_good_at,
            new_id=newsroom.random.new_id,
            ids_of=stored_identity.ids_of(tx, {known.id for known in known.values()}),
            known_titles=_known_titles(tx, source.name, batch, known),
            baseline_only=stored_sources.must_baseline(tx, begun),
        )
        found = decide(batch, known, view)
        gone = [
            (stored.id, evidence.evidence)
            for evidence in batch.gone
            for stored in stored_articles.of_source(tx, source.name, [evidence.guid])
            if _may_go(stored)
        ]
    interval = poll_interval(
        source.options.every,
        errors=0,
        retry_after=batch.retry_after,
        next_in=batch.next_in,
        uniform=newsroom.random.uniform,
    )
    return EndLook(
        name=source.name,
        worker=newsroom.worker,
        cursor=batch.cursor,
        next_look_in=interval,
        arrivals=found.arrivals,
        gone=tuple(gone),
        counts=found.counts,
        notes=batch.notes,
        moved_to=batch.moved_to,
        events=found.events,
    )


def _known_titles(tx: Tx, source: str, batch: Batch, known: Mapping[Key, Known]) -> frozenset[str]:
    """Titles that the source had before; asked only where so much is unknown that the breaker may trip."""
    if len(batch.articles) - len({known.id for known in known.values()}) <= BURST:
        return frozenset()
    titles = stored_articles.known_headlines(tx, source, [article.headline for article in batch.articles])
    return frozenset(title_key(title) for title in titles)


def _may_go(stored: Stored) -> bool:
    return stored.status in (Status.LIVE, Status.HELD)


def _failed(newsroom: Newsroom, source: Source, begun: SourceRow, error: SourceError) -> FailLook:
    interval = poll_interval(
        source.options.every,
        errors=begun.errors + 1,
        blocked=isinstance(error, Blocked),
        retry_after=error.retry_after,
        next_in=None,
        uniform=newsroom.random.uniform,
    )
    return FailLook(source.name, newsroom.worker, str(error), interval, ended=isinstance(error, Ended))
