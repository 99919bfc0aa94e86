"""Articles, their revisions, and the keys by which one is known again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Integer, Row, Text, and_, bindparam, literal, or_, select, type_coerce

from bot.model import Article, Reason, Status, Why
from bot.rules.duplicates import Key, KeyKind, Known
from bot.rules.links import link_key
from bot.store.audit import note
from bot.store.deliveries import rule_out
from bot.store.engine import Tx
from bot.store.identity import KNOWN, STRONG, add_keys, claim_keys, hand_over, known, merge, owners_of
from bot.store.schema import ARTICLE_HELD, UNPLANNED, article_keys, articles, deliveries, revisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An article as the store has it. `fresh_from` is where its age is counted from."""

    id: str
    article: Article
    digest: str
    revision: int
    status: Status
    hold: Why | None
    first_seen_at: datetime
    fresh_from: datetime
    settle_until: datetime
    by_hand: Mapping[str, Any] | None = None
    merged_into: str | None = None


@cache
def _adapter() -> TypeAdapter[Article]:
    return TypeAdapter(Article)


def to_json(article: Article) -> dict[str, Any]:
    """The article as JSON, without what is empty."""
    data: dict[str, Any] = _adapter().dump_python(article, mode="json", exclude_defaults=True)
    return data


def from_json(data: Mapping[str, Any]) -> Article:
    """The article again."""
    return _adapter().validate_python(data)


@lru_cache(maxsize=256)
def _read(data: str, published_at: datetime | None) -> Article:
    """The article again, read once for all accounts that ask for it one after the other."""
    return replace(_adapter().validate_json(data), published_at=published_at)


#: An article's row with its content as the text that it is stored as.
STORED = tuple(type_coerce(column, Text).label("content") if column.name == "data" else column for column in articles.c)


def stored(row: Row[Any]) -> Stored:
    """A row of `STORED` as a value."""
    return Stored(
        id=row.id,
        article=_read(row.content, row.published_at),
        digest=row.digest,
        revision=row.revision,
        status=Status(row.status),
        hold=Why(Reason(row.hold), row.hold_note) if row.hold else None,
        first_seen_at=row.first_seen_at,
        fresh_from=row.fresh_from,
        settle_until=row.settle_until,
        by_hand=row.by_hand,
        merged_into=row.merged_into,
    )


# -- intents ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article that no key knows. `by_hand`: {"account", "at"?, "who"} for one that a person posts."""

    id: str
    article: Article
    digest: str
    keys: tuple[Key, ...]
    status: Status = Status.LIVE
    hold: Why | None = None
    settle: timedelta = timedelta(0)
    fresh_from: datetime | None = None
    by_hand: Mapping[str, Any] | None = None

    def record(self, tx: Tx) -> str:
        """Insert it, or attach its keys to the article that was first: the id of the one that stands."""
        return record_new(tx, [self])[0]

    def row(self, now: datetime) -> dict[str, Any]:
        """Its row in the store."""
        return {
            "id": self.id,
            "source": self.article.source,
            "guid": self.article.guid,
            "headline": self.article.headline,
            "link": self.article.link,
            "data": to_json(self.article),
            "digest": self.digest,
            "revision": 1,
            "status": self.status,
            "hold": self.hold.reason if self.hold else None,
            "hold_note": self.hold.detail if self.hold else "",
            "first_seen_at": now,
            "last_seen_at": now,
            "published_at": self.article.published_at,
            "fresh_from": self.fresh_from or now,
            "settle_until": now + self.settle,
            "unplanned": True,
            "by_hand": dict(self.by_hand) if self.by_hand else None,
            "merged_into": None,
        }


def record_new(tx: Tx, news: Sequence[NewArticle]) -> list[str]:
    """Insert new articles together, ten thousand at a first look if need be: for each the id of the one that stands.

    All keys are claimed first; who finds a strong key in another's hands (of this batch, of another process) has lost,
    and hands its own keys to the winner. Links in the hands of several make all of these one story.
    """
    claim_keys(tx, [(key, new.id) for new in news for key in new.keys])
    owners = owners_of(tx, [key for new in news for key in new.keys if key.kind in STRONG])
    winners: list[NewArticle] = []
    lost: dict[str, str] = {}

    def standing(article: str) -> str:
        while article in lost:  # who lost itself has nothing to give: on to the one that stands
            article = lost[article]
        return article

    for new in news:
        other = next((owners[key] for key in new.keys if owners.get(key, new.id) != new.id), None)
        if other is None:
            winners.append(new)
        else:
            lost[new.id] = standing(other)
            hand_over(tx, new.id, lost[new.id], new.keys)
            note(tx, "article_attached", lost[new.id], {"source": new.article.source, "guid": new.article.guid})
    rows = [new.row(tx.now) for new in winners]
    tx.insert(articles, rows)
    tx.insert(revisions, [{"article": row["id"], "number": 1, "data": row["data"], "seen_at": tx.now} for row in rows])
    for new in news:
        links = {owners[key] for key in new.keys if key.kind is KeyKind.LINK} if new.id in lost else ()
        for other in sorted(links):
            one, two = standing(new.id), standing(other)
            if one != two:
                survivor = merge(tx, one, two)
                lost[two if survivor == one else one] = survivor
    return [standing(new.id) for new in news]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedArticle:
    """A known article with other content: a new revision, unless the store has it already.

    `rescheduled`: it was dated ahead, and its date changed. Any other date of a known article is frozen at first sight.
    """

    id: str
    article: Article
    digest: str
    keys: tuple[Key, ...]
    rescheduled: bool = False

    def record(self, tx: Tx) -> str:
        data = to_json(self.article)
        changed = tx.changed(
            articles.update()
            .where(
                articles.c.id == self.id,
                articles.c.status != Status.MERGED,
                or_(articles.c.digest != self.digest, literal(self.rescheduled)),
            )
            .values(
                headline=self.article.headline,
                link=self.article.link,
                data=data,
                digest=self.digest,
                revision=articles.c.revision + 1,
                unplanned=True,
                last_seen_at=tx.now,
                **({"published_at": self.article.published_at} if self.rescheduled else {}),
            )
        )
        if changed:
            number = tx.execute(select(articles.c.revision).where(articles.c.id == self.id)).scalar_one()
            tx.insert(revisions, {"article": self.id, "number": number, "data": data, "seen_at": tx.now})
        _bring_back(tx, self.id)
        return add_keys(tx, self.id, self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenArticle:
    """A known article, unchanged; under a new id perhaps. `back`: it had been withdrawn and is listed again."""

    id: str
    keys: tuple[Key, ...]
    back: bool = False

    def record(self, tx: Tx) -> str:
        if self.back:
            _bring_back(tx, self.id)
        return add_keys(tx, self.id, self.keys)


Arrival = NewArticle | ChangedArticle | SeenArticle


def _bring_back(tx: Tx, article: str) -> None:
    """A withdrawn article that its source lists again is live again."""
    tx.execute(
        articles.update()
        .where(articles.c.id == article, articles.c.status == Status.WITHDRAWN)
        .values(status=Status.LIVE, unplanned=True)
    )


def withdraw(tx: Tx, article: str, evidence: str) -> bool:
    """The publisher took it back: nothing of it goes out; what is out or unclear keeps its state for `follow`."""
    if not tx.changed(
        articles.update()
        .where(articles.c.id == article, articles.c.status.in_([Status.LIVE, Status.HELD]))
        .values(status=Status.WITHDRAWN, unplanned=True)
    ):
        return False
    rule_out(tx, Why(Reason.WITHDRAWN, evidence), deliveries.c.article == article)
    note(tx, "article_withdrawn", article, {"evidence": evidence})
    return True


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Intent: see `withdraw`."""

    article: str
    evidence: str
    lock: str = ""

    def apply(self, tx: Tx) -> bool:
        return withdraw(tx, self.article, self.evidence)


@dataclass(frozen=True, slots=True)
class AddArticle:
    """Intent: one article that comes by hand (`wirepost post`), not from a look at a source."""

    arrival: Arrival
    lock: str = ""

    def apply(self, tx: Tx) -> str:
        return self.arrival.record(tx)


@dataclass(frozen=True, slots=True)
class Admit:
    """Intent: a person lets articles go on to planning: of the baseline or a hold (`backfill`, `release`), or any that
    is to go to an account by hand (`by_hand`: {account: {"who", "at"?, "occasion"?}}, kept with the time of the wish).
    """

    ids: tuple[str, ...]
    who: str
    by_hand: Mapping[str, Any] | None = None
    lock: str = ""

    def apply(self, tx: Tx) -> int:
        return sum(self._admit(tx, article) for article in self.ids)

    def _admit(self, tx: Tx, article: str) -> int:
        row = tx.row(select(articles.c.status, articles.c.by_hand).where(articles.c.id == article))
        admissible = {Status.BASELINE, Status.HELD} | ({Status.LIVE} if self.by_hand else set())
        if row is None or row.status not in admissible:
            return 0
        values: dict[str, Any] = {"status": Status.LIVE, "hold": None, "hold_note": "", "unplanned": True}
        if row.status != Status.LIVE:
            values["fresh_from"] = tx.now
        if self.by_hand:
            asked = {name: {**wish, "asked": tx.now.isoformat()} for name, wish in self.by_hand.items()}
            values["by_hand"] = {**(row.by_hand or {}), **asked}
        tx.execute(articles.update().where(articles.c.id == article).values(**values))
        note(tx, "article_admitted", article, self.by_hand, who=self.who)
        return 1


@dataclass(frozen=True, slots=True)
class MarkSeen:
    """Intent: a person says that held articles are old news: they join the baseline."""

    ids: tuple[str, ...]
    who: str
    lock: str = ""

    def apply(self, tx: Tx) -> int:
        changed = tx.changed(
            articles.update()
            .where(articles.c.id.in_(self.ids), articles.c.status == Status.HELD)
            .values(status=Status.BASELINE, hold=None, hold_note="", unplanned=True)
        )
        for article in self.ids:
            note(tx, "article_marked_seen", article, who=self.who)
        return changed


# -- reads --------------------------------------------------------------------------------------------------------


def known_headlines(tx: Tx, source: str, headlines: Iterable[str]) -> list[str]:
    """Which of these headlines the source had before."""
    query = (
        select(articles.c.headline)
        .where(articles.c.source == source, articles.c.headline.in_(sorted(set(headlines))))
        .distinct()
        .order_by(articles.c.headline)
    )
    return [row.headline for row in tx.rows(query)]


def recent(tx: Tx, *, since: datetime, limit: int = 500) -> list[Known]:
    """Articles first seen since then (baseline and merged left out), newest first."""
    query = (
        select(*KNOWN)
        .where(articles.c.first_seen_at >= since, articles.c.status.in_([Status.LIVE, Status.HELD]))
        .order_by(articles.c.first_seen_at.desc(), articles.c.id)
        .limit(limit)
    )
    return [known(row) for row in tx.rows(query)]


_BY_IDS = select(*STORED).where(articles.c.id.in_(bindparam("ids", expanding=True))).order_by(articles.c.id)
_BY_ID = select(*STORED).where(articles.c.id == bindparam("is_id"))


def by_id(tx: Tx, article: str) -> Stored | None:
    """One article, or None."""
    row = tx.row(_BY_ID, {"is_id": article})
    return stored(row) if row else None


def by_ids(tx: Tx, ids: Iterable[str]) -> dict[str, Stored]:
    """These articles by id."""
    return {row.id: stored(row) for row in tx.rows(_BY_IDS, {"ids": sorted(set(ids))})}


def of_source(tx: Tx, source: str, guids: Iterable[str]) -> list[Stored]:
    """The articles of a source with these ids, as the source names them."""
    keys = [f"{source}\n{guid}" for guid in guids]
    query = (
        select(*STORED)
        .join(article_keys, article_keys.c.article == articles.c.id)
        .where(article_keys.c.kind == KeyKind.GUID, article_keys.c.value.in_(keys))
        .order_by(articles.c.first_seen_at, articles.c.id)
    )
    return [stored(row) for row in tx.rows(query)]


def unplanned(tx: Tx, *, limit: int) -> list[Stored]:
    """Articles that plan has not looked at since they last changed, oldest first."""
    return [stored(row) for row in tx.rows(_UNPLANNED, {"most": limit})]


_UNPLANNED = (
    select(*STORED)
    .where(UNPLANNED)
    .order_by(articles.c.first_seen_at, articles.c.id)
    .limit(bindparam("most", type_=Integer))
)


def find(tx: Tx, words: str, *, limit: int = 20) -> list[Stored]:
    """Articles by id prefix, link (any alias) or words of the headline, newest first."""
    key = link_key(words) if "://" in words else None
    if key is not None:
        query = (
            select(*STORED)
            .join(article_keys, article_keys.c.article == articles.c.id)
            .where(article_keys.c.kind == KeyKind.LINK, article_keys.c.value == key)
        )
    else:
        parts = [articles.c.headline.icontains(word, autoescape=True) for word in words.split()]
        query = select(*STORED).where(or_(articles.c.id.startswith(words, autoescape=True), and_(*parts)))
    query = query.order_by(articles.c.first_seen_at.desc(), articles.c.id).limit(limit)
    return [stored(row) for row in tx.rows(query)]


def held(tx: Tx) -> list[Stored]:
    """Articles that a person must decide on, oldest first."""
    query = select(*STORED).where(ARTICLE_HELD).order_by(articles.c.first_seen_at, articles.c.id)
    return [stored(row) for row in tx.rows(query)]


def revisions_of(tx: Tx, article: str) -> list[tuple[int, datetime, Article]]:
    """All revisions: number, when seen, content; oldest first."""
    query = select(revisions).where(revisions.c.article == article).order_by(revisions.c.number)
    return [(row.number, row.seen_at, from_json(row.data)) for row in tx.rows(query)]
