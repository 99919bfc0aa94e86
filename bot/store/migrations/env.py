"""Alembic's environment: run by `bot.store.migrate` on a connection that it hands over, never from a shell."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import TypeDecorator

from bot.store.schema import metadata, tell_conditions


def _plain_type(kind: str, item: Any, autogen: Any) -> str | Literal[False]:
    """Migrations are written in plain column types: they must not change when our own types do."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{type(item.impl_instance).__name__}()"
    return False


def run() -> None:
    """Bring the handed connection's schema to the wanted revision, in the caller's transaction."""
    connection = context.config.attributes["connection"]
    tell_conditions(connection.dialect.name)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        render_item=_plain_type,
    )
    context.run_migrations()


run()
