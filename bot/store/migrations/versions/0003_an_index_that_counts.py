"""the index of a source's articles holds what a scrape counts"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = "articles_by_source"
BEFORE = ["source", "first_seen_at"]


def upgrade() -> None:
    _exchange([*BEFORE, "revision", "status"])


def downgrade() -> None:
    _exchange(BEFORE)


def _exchange(columns: list[str]) -> None:
    op.drop_index(NAME, table_name="articles")
    op.create_index(NAME, "articles", columns, unique=False)
