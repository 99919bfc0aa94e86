"""The tables. One store serves SQLite and PostgreSQL; nothing here is written twice for the two.

Instants are whole microseconds since 1970 in UTC (one integer type on both, exact and indexable). JSON is text with
sorted keys, so that equal values are equal bytes. Partial indexes cover only rows in open states: what a worker looks
for costs the same after a million sent posts as after ten thousand. A statement that is to use one names its condition
from here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    literal_column,
)

from bot.model import Outcome, Reason, State, Status

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970. Raises ValueError for a datetime without a zone (invariant: none is stored)."""
    if moment.tzinfo is None:
        raise ValueError("an instant without a zone can't be stored")
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant, UTC."""
    return EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """A JSON value as text with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


# SQLite gives AUTOINCREMENT only to INTEGER, PostgreSQL needs 64 bits: this is both.
Number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()


def _where(condition: ColumnElement[bool]) -> dict[str, Any]:
    return {"info": {"where": condition}}


def tell_conditions(dialect: str) -> None:
    """Tell this database's part of SQLAlchemy which rows each index covers, before tables are made or compared.

    Not when the tables are declared: that would load both databases' parts into every process, 2 MB and 0.03 s.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            if "where" in index.info:
                index.dialect_options[dialect]["where"] = index.info["where"]


def _among(column: Column[Any], *values: str) -> ColumnElement[bool]:
    """The column is one of these, spelled out: no planner sees that a bound value fits a partial index."""
    spelled: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in values]
    return column == spelled[0] if len(spelled) == 1 else column.in_(spelled)


def _so(column: Column[bool]) -> ColumnElement[bool]:
    return literal_column(column.name)  # without its type, which SQLite would be told to compare with 1


meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("cursor", Json, nullable=False),
    Column("first_good_at", Instant),
    Column("last_good_at", Instant),
    Column("last_look_at", Instant),
    Column("last_new_at", Instant),
    Column("next_look_at", Instant),
    Column("looking_until", Instant),
    Column("looking_by", Text),
    Column("errors", Integer, nullable=False),
    Column("last_error", Text),
    Column("longest_gap", Integer, nullable=False),
    Column("last_counts", Json),
    Column("notes", Json),
    Column("moved_to", Text),
    Column("ended", Boolean, nullable=False),
)

articles = Table(
    "articles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("guid", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("link", Text),
    Column("data", Json, nullable=False),
    Column("digest", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("hold", Text),
    Column("hold_note", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("published_at", Instant),
    Column("fresh_from", Instant, nullable=False),
    Column("settle_until", Instant, nullable=False),
    Column("unplanned", Boolean, nullable=False),
    Column("by_hand", Json),
    Column("merged_into", Text),
)
UNPLANNED = _so(articles.c.unplanned)
ARTICLE_HELD = _among(articles.c.status, Status.HELD)
Index("articles_unplanned", articles.c.first_seen_at, **_where(UNPLANNED))
Index("articles_held", articles.c.first_seen_at, **_where(ARTICLE_HELD))
#: With what a scrape counts, so that it reads no article (health.py).
Index("articles_by_source", articles.c.source, articles.c.first_seen_at, articles.c.revision, articles.c.status)
Index("articles_by_age", articles.c.first_seen_at)

article_keys = Table(
    "article_keys",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("article", Text, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
)
Index("article_keys_by_article", article_keys.c.article)

revisions = Table(
    "revisions",
    metadata,
    Column("article", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", Json, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("article", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("rules", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("yes", Boolean, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("trace", Json, nullable=False),
    Column("at", Instant, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("network", Text, nullable=False),
    Column("identity", Text),
    Column("title", Text),
    Column("scopes", Json),
    Column("expires_at", Instant),
    Column("facts", Json, nullable=False),
    Column("credentials", Text),
    Column("refreshed_at", Instant),
    Column("token_over_at", Instant),
    Column("refreshing_until", Instant),
    Column("refreshing_by", Text),
    Column("checked_at", Instant),
    Column("joined_at", Instant, nullable=False),
    Column("live_since", Instant),
    Column("blocked_until", Instant),
    Column("breaker", Text),
    Column("breaker_at", Instant),
    Column("breaker_words", Text),
    Column("probe_at", Instant),
    Column("dirty", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)
Index(
    "accounts_one_identity",
    accounts.c.network,
    accounts.c.identity,
    unique=True,
    **_where(and_(accounts.c.identity.is_not(None), ~_so(accounts.c.removed))),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("article", Text, nullable=False),
    Column("story", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("ready_at", Instant, nullable=False),
    Column("ready_why", Text),
    Column("due_at", Instant),
    Column("due_why", Json, nullable=False),
    Column("fresh_until", Instant),
    Column("pinned_at", Instant),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("edited_text", Text),
    Column("edited_by", Text),
    Column("text", Text, nullable=False),
    Column("length", Integer, nullable=False),
    Column("cost", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("attempt", Number),
    Column("doubted_at", Instant),
    Column("absent_at", Instant),
    Column("retry_words", Text, nullable=False),
    Column("sent_at", Instant),
    Column("confirmed_at", Instant),
    Column("remote_id", Text),
    Column("url", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("article", "account", "occasion", name="deliveries_once"),
)
WAITING = _among(deliveries.c.state, State.WAITING)
IN_DOUBT = _among(deliveries.c.state, State.SENDING, State.UNKNOWN)
HELD = _among(deliveries.c.state, State.HELD)
SENT = _among(deliveries.c.state, State.SENT)
UNCONFIRMED = and_(SENT, deliveries.c.confirmed_at.is_(None))
REHEARSED = _among(deliveries.c.reason, Reason.REHEARSAL)
Index(
    "deliveries_waiting",
    deliveries.c.account,
    deliveries.c.due_at,
    deliveries.c.turn,
    deliveries.c.article,
    deliveries.c.id,
    **_where(WAITING),
)
Index("deliveries_due", deliveries.c.due_at, **_where(WAITING))
Index("deliveries_open", deliveries.c.account, deliveries.c.state, **_where(IN_DOUBT))
Index("deliveries_held", deliveries.c.account, deliveries.c.updated_at, **_where(HELD))
Index("deliveries_unconfirmed", deliveries.c.sent_at, **_where(UNCONFIRMED))
Index("deliveries_sent", deliveries.c.account, deliveries.c.sent_at, **_where(SENT))
Index("deliveries_recent", deliveries.c.updated_at)
Index("deliveries_rehearsed", deliveries.c.account, deliveries.c.updated_at, **_where(REHEARSED))
Index("deliveries_by_story", deliveries.c.story)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("delivery", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),
    Column("link", Text),
    Column("cost", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("worker", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("words", Text, nullable=False),
    Column("status", Integer),
    Column("request_id", Text),
    Column("remote_id", Text),
    Column("url", Text),
    Column("container", Text),
    Column("finishing_at", Instant),
    Column("late_words", Text),
    sqlite_autoincrement=True,
)
COUNTING = _so(attempts.c.counts)
IN_FLIGHT = _among(attempts.c.outcome, Outcome.OPEN)
UNDECIDED = _among(attempts.c.outcome, Outcome.OPEN, Outcome.PENDING, Outcome.UNKNOWN)
Index("attempts_one_in_flight", attempts.c.identity, unique=True, **_where(IN_FLIGHT))
Index("attempts_undecided", attempts.c.id, **_where(UNDECIDED))
Index("attempts_by_delivery", attempts.c.delivery, attempts.c.id)
Index("attempts_pace", attempts.c.identity, attempts.c.started_at, **_where(COUNTING))

occupied = Table(
    "occupied",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("story", Text, primary_key=True),
    Column("occasion", Text, primary_key=True),
    Column("attempt", Number, nullable=False),
)

spend = Table(
    "spend",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("micros", BigInteger, nullable=False),
)

stops = Table(
    "stops",
    metadata,
    Column("id", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
    Column("lifted_at", Instant),
    Column("lifted_by", Text),
)
Index("stops_open", stops.c.at, **_where(stops.c.lifted_at.is_(None)))

rules = Table(
    "rules",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("author", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("data", Json, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Json, nullable=False),
    sqlite_autoincrement=True,
)
Index("audit_by_subject", audit.c.subject, audit.c.id)
Index("audit_by_event", audit.c.event, audit.c.at)

alerts = Table(
    "alerts",
    metadata,
    Column("cause", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("said_at", Instant),
    Column("times_said", Integer, nullable=False),
    Column("closed_at", Instant),
    Column("closing_said", Boolean, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("beat_at", Instant, nullable=False),
    Column("doing", Text, nullable=False),
)
