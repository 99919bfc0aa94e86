"""a place in the line for what is due at one instant"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = "state IN ('waiting')"
# As `bot.rules.timing.turn_of` says it: the rank, then when the article was published or first seen.
TURN = """
UPDATE deliveries SET turn = CASE priority WHEN 'breaking' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END * 72057594037927936
+ COALESCE((SELECT COALESCE(published_at, first_seen_at) FROM articles WHERE articles.id = deliveries.article), 0)
"""


def upgrade() -> None:
    op.drop_index("deliveries_waiting", table_name="deliveries")
    op.add_column("deliveries", sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(TURN)
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["account", "due_at", "turn", "article"],
        unique=False,
        sqlite_where=sa.text(WAITING),
        postgresql_where=sa.text(WAITING),
    )


def downgrade() -> None:
    op.drop_index("deliveries_waiting", table_name="deliveries")
    op.drop_column("deliveries", "turn")
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["account", "due_at"],
        unique=False,
        sqlite_where=sa.text(WAITING),
        postgresql_where=sa.text(WAITING),
    )
