"""a place in the line for what is due at one instant; indexes that the planners can see to fit"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# As `bot.rules.timing.turn_of` says it: the rank, then when the article was published or first seen.
TURN = """
UPDATE deliveries SET turn = CASE priority WHEN 'breaking' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END * 72057594037927936
+ COALESCE((SELECT COALESCE(published_at, first_seen_at) FROM articles WHERE articles.id = deliveries.article), 0)
"""

# name: (table, columns, condition) before and after; None: not there.
INDEXES = {
    "articles_held": (None, ("articles", ["first_seen_at"], "status = 'held'")),
    "deliveries_by_story": (None, ("deliveries", ["story"], None)),
    "deliveries_due": (
        ("deliveries", ["due_at"], "state IN ('waiting')"),
        ("deliveries", ["due_at"], "state = 'waiting'"),
    ),
    "deliveries_held": (
        ("deliveries", ["updated_at"], "state IN ('held')"),
        ("deliveries", ["account", "updated_at"], "state = 'held'"),
    ),
    "deliveries_open": (
        ("deliveries", ["state", "account"], "state IN ('sending', 'unknown')"),
        ("deliveries", ["account", "state"], "state IN ('sending', 'unknown')"),
    ),
    "deliveries_sent": (
        ("deliveries", ["account", "sent_at"], "state IN ('sent')"),
        ("deliveries", ["account", "sent_at"], "state = 'sent'"),
    ),
    "deliveries_unconfirmed": (
        ("deliveries", ["account", "sent_at"], "state = 'sent' AND confirmed_at IS NULL"),
        ("deliveries", ["sent_at"], "state = 'sent' AND confirmed_at IS NULL"),
    ),
    "deliveries_waiting": (
        ("deliveries", ["account", "due_at"], "state IN ('waiting')"),
        ("deliveries", ["account", "due_at", "turn", "article", "id"], "state = 'waiting'"),
    ),
}


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(TURN)
    for name, (before, after) in INDEXES.items():
        _exchange(name, before, after)


def downgrade() -> None:
    for name, (before, after) in INDEXES.items():
        _exchange(name, after, before)
    op.drop_column("deliveries", "turn")


def _exchange(name: str, old: Any, new: Any) -> None:
    if old is not None:
        op.drop_index(name, table_name=old[0])
    if new is not None:
        table, columns, condition = new
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
