"""Which article a key belongs to, and what happens when two articles turn out to be one story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from bot.model import Reason, State, Status, Why
from bot.rules.duplicates import Key, KeyKind, Known
from bot.store.audit import note
from bot.store.carried import carry_over
from bot.store.deliveries import rule_out
from bot.store.engine import Tx
from bot.store.schema import article_keys, articles, deliveries, occupied, revisions

# Sightings are written down once a day, not at each poll: enough for keys that live 400 days.
SIGHTING = timedelta(days=1)


KNOWN = (
    articles.c.id,
    articles.c.source,
    articles.c.guid,
    articles.c.headline,
    articles.c.link,
    articles.c.published_at,
    articles.c.first_seen_at,
    articles.c.digest,
    articles.c.status,
)


def _one_of(wanted: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """Is it one of these keys? Kind by kind: for pairs in a list SQLite goes through the whole index."""
    values: dict[str, list[str]] = {}
    for kind, value in wanted:
        values.setdefault(kind, []).append(value)
    return or_(*(and_(article_keys.c.kind == kind, article_keys.c.value.in_(each)) for kind, each in values.items()))


def owner(tx: Tx, keys: Sequence[Key]) -> str | None:
    """The article that one of the keys belongs to."""
    if not keys:
        return None
    row = tx.row(
        select(article_keys.c.article)
        .where(_one_of([(str(key.kind), key.value) for key in keys]))
        .order_by(article_keys.c.kind.desc(), article_keys.c.value)
    )
    return row.article if row else None


#: States in which a post is out, or may be.
OUT = (State.SENDING, State.SENT, State.UNKNOWN)
#: What an article says, and where it comes from.
CONTENT = ("source", "guid", "headline", "link", "data", "digest", "hold", "hold_note")
#: Keys that decide by themselves who an article is.
STRONG = (KeyKind.GUID, KeyKind.LINK)
# How long an article is known after it was seen last (pain P07).
KNOWN_FOR = timedelta(days=400)
# SQLite binds at most 32,766 variables in a statement (sqlite.org/limits.html); small parts plan well, too.
PART = 400


def claim_keys(tx: Tx, claims: Sequence[tuple[Key, str]]) -> None:
    """Give each key to its article unless it has an owner already; the first claim of a batch wins."""
    first: dict[Key, str] = {}
    for key, article in claims:
        first.setdefault(key, article)
    tx.insert_each_unless_there(
        article_keys,
        [
            {"kind": key.kind, "value": key.value, "article": article, "last_seen_at": tx.now}
            for key, article in sorted(first.items(), key=lambda claim: (claim[0].kind, claim[0].value))
        ],
    )


def owners_of(tx: Tx, keys: Iterable[Key]) -> dict[Key, str]:
    """The article of each key that has one."""
    wanted = sorted({(str(key.kind), key.value) for key in keys})
    found: dict[Key, str] = {}
    for start in range(0, len(wanted), PART):
        query = (
            select(article_keys.c.kind, article_keys.c.value, article_keys.c.article)
            .where(_one_of(wanted[start : start + PART]))
            .order_by(article_keys.c.kind, article_keys.c.value)
        )
        for row in tx.rows(query):
            found[Key(KeyKind(row.kind), row.value)] = row.article
    return found


def hand_over(tx: Tx, loser: str, winner: str, keys: Sequence[Key]) -> None:
    """All that the loser claimed is the winner's."""
    tx.execute(article_keys.update().where(article_keys.c.article == loser).values(article=winner))
    claim_keys(tx, [(key, winner) for key in keys])


def add_keys(tx: Tx, article: str, keys: Iterable[Key]) -> str:
    """Give the article these keys; where a link belongs to another article, the two are one story: merge them."""
    row = tx.row(select(articles.c.merged_into).where(articles.c.id == article))
    survivor = row.merged_into if row is not None and row.merged_into else article
    for key in keys:
        values = {"kind": key.kind, "value": key.value, "article": survivor, "last_seen_at": tx.now}
        if tx.insert_unless_there(article_keys, values):
            continue
        other = owner(tx, [key])
        if other is not None and other != survivor and key.kind == KeyKind.LINK:
            survivor = merge(tx, survivor, other)
    stale = tx.now - SIGHTING
    mine = article_keys.c.article == survivor
    tx.execute(article_keys.update().where(mine, article_keys.c.last_seen_at < stale).values(last_seen_at=tx.now))
    tx.execute(
        articles.update().where(articles.c.id == survivor, articles.c.last_seen_at < stale).values(last_seen_at=tx.now)
    )
    return survivor


def merge(tx: Tx, one: str, other: str) -> str:
    """Two articles turn out to be one story. What is out (or may be) wins, then what was not taken back, then the
    older. Keys, story, wishes and edits follow; the survivor is planned anew, for accounts that only the other had
    reached."""
    survivor, loser = _rank(tx, one, other)
    _hand_on(tx, loser, survivor)
    tx.execute(article_keys.update().where(article_keys.c.article == loser).values(article=survivor))
    tx.execute(
        articles.update()
        .where(articles.c.id == loser)
        .values(status=Status.MERGED, merged_into=survivor, unplanned=False)
    )
    for row in tx.rows(select(occupied).where(occupied.c.story == loser).order_by(occupied.c.attempt)):
        here = and_(occupied.c.identity == row.identity, occupied.c.story == loser, occupied.c.occasion == row.occasion)
        values = {"identity": row.identity, "story": survivor, "occasion": row.occasion, "attempt": row.attempt}
        if tx.insert_unless_there(occupied, values):
            tx.execute(occupied.delete().where(here))
    tx.execute(deliveries.update().where(deliveries.c.story == loser).values(story=survivor))
    taken = select(deliveries.c.account).where(deliveries.c.article == loser, deliveries.c.state.in_(OUT))
    rule_out(tx, Why(Reason.MERGED, loser), deliveries.c.article == survivor, deliveries.c.account.in_(taken))
    note(tx, "articles_merged", survivor, {"merged": loser})
    carry_over(tx, loser, survivor)
    rule_out(tx, Why(Reason.MERGED, survivor), deliveries.c.article == loser)
    return survivor


def _hand_on(tx: Tx, loser: str, survivor: str) -> None:
    """What the survivor takes over: a person's wishes; and if it was taken back while the other one lives on (its
    source gave the story another id), what the other one says."""
    rows = {row.id: row for row in tx.rows(select(articles).where(articles.c.id.in_([loser, survivor])))}
    if len(rows) < 2:
        return
    old, new = rows[loser], rows[survivor]
    values: dict[str, Any] = {"unplanned": True}
    if old.by_hand:
        values["by_hand"] = {**old.by_hand, **(new.by_hand or {})}
    if old.by_hand and old.status == Status.LIVE and new.status == Status.BASELINE:
        values |= {"status": Status.LIVE, "fresh_from": old.fresh_from}
    if old.status in (Status.LIVE, Status.HELD) and new.status == Status.WITHDRAWN:
        number = new.revision + 1
        values |= {"status": old.status, "revision": number, **{column: getattr(old, column) for column in CONTENT}}
        tx.insert(revisions, {"article": survivor, "number": number, "data": old.data, "seen_at": tx.now})
    tx.execute(articles.update().where(articles.c.id == survivor).values(**values))


def _rank(tx: Tx, one: str, other: str) -> tuple[str, str]:
    query = (
        select(
            articles.c.id,
            articles.c.status,
            select(func.count())
            .where(deliveries.c.article == articles.c.id, deliveries.c.state.in_(OUT))
            .scalar_subquery()
            .label("out"),
        )
        .where(articles.c.id.in_([one, other]))
        .order_by(articles.c.first_seen_at, articles.c.id)
    )
    ranked = sorted(tx.rows(query), key=lambda row: (-row.out, row.status == Status.WITHDRAWN))
    if len(ranked) < 2:
        return (ranked[0].id if ranked else one), (other if ranked and ranked[0].id == one else one)
    return ranked[0].id, ranked[1].id


def faded(tx: Tx, *, limit: int) -> list[tuple[Key, datetime]]:
    """Keys not seen for 400 days, each with the time before which it had to be seen.

    Counted from the newest sight of anything in the key's own source: one that rests (an unchanged feed for a year)
    forgets nothing, since its next full answer would make news of all that is old.
    """
    found: list[tuple[Key, datetime]] = []
    newest = select(articles.c.source, func.max(articles.c.last_seen_at).label("at")).group_by(articles.c.source)
    for source in tx.rows(newest.order_by(articles.c.source)):
        before = min(source.at, tx.now) - KNOWN_FOR
        old = (
            select(article_keys.c.kind, article_keys.c.value)
            .join(articles, articles.c.id == article_keys.c.article)
            .where(articles.c.source == source.source, article_keys.c.last_seen_at < before)
            .order_by(article_keys.c.kind, article_keys.c.value)
            .limit(limit - len(found))
        )
        found += [(Key(KeyKind(row.kind), row.value), before) for row in tx.rows(old)]
    return found


@dataclass(frozen=True, slots=True)
class Forget:
    """Intent: these keys are known no more, unless one was seen again meanwhile. How many went."""

    keys: tuple[tuple[Key, datetime], ...]
    lock: str = ""

    def apply(self, tx: Tx) -> int:
        gone = 0
        for key, before in self.keys:
            here = and_(article_keys.c.kind == key.kind, article_keys.c.value == key.value)
            gone += tx.changed(article_keys.delete().where(here, article_keys.c.last_seen_at < before))
        return gone


def known_by(tx: Tx, keys: Iterable[Key]) -> dict[Key, Known]:
    """For each key that is known, the article behind it."""
    wanted = sorted({(str(key.kind), key.value) for key in keys})
    found: dict[Key, Known] = {}
    for start in range(0, len(wanted), PART):
        part = wanted[start : start + PART]
        query = (
            select(article_keys.c.kind, article_keys.c.value, *KNOWN)
            .join(articles, articles.c.id == article_keys.c.article)
            .where(_one_of(part))
            .order_by(article_keys.c.kind, article_keys.c.value)
        )
        for row in tx.rows(query):
            found[Key(KeyKind(row.kind), row.value)] = known(row)
    return found


def known(row: Row[Any]) -> Known:
    return Known(
        id=row.id,
        source=row.source,
        guid=row.guid,
        headline=row.headline,
        link=row.link,
        published_at=row.published_at,
        first_seen_at=row.first_seen_at,
        digest=row.digest,
        status=row.status,
    )


def ids_of(tx: Tx, wanted: Iterable[str]) -> dict[str, int]:
    """How many ids of its source each of these articles was seen under."""
    query = (
        select(article_keys.c.article, func.count().label("ids"))
        .where(article_keys.c.article.in_(sorted(wanted)), article_keys.c.kind == KeyKind.GUID)
        .group_by(article_keys.c.article)
        .order_by(article_keys.c.article)
    )
    return {row.article: int(row.ids) for row in tx.rows(query)}
