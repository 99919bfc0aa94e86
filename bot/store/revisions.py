"""The applied editorial settings, numbered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.model import Status
from bot.rules.editorial import Editorial
from bot.store.accounts import lock_accounts
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.schema import accounts, articles, rules


@dataclass(frozen=True, slots=True)
class RulesRevision:
    """One applied state of the editorial settings."""

    number: int
    at: datetime
    author: str
    note: str
    editorial: Editorial


@dataclass(frozen=True, slots=True)
class ApplyRules:
    """Intent: these editorial settings hold from now on. Gives the revision's number, the old one if nothing changed.

    A new revision re-plans what waits and what is still fresh (`fresh` is the longest max_age in it); it reopens
    nothing: plan leaves alone what was sent, rejected or skipped by a person.
    """

    editorial: Editorial
    author: str
    note: str
    fresh: timedelta
    lock: str = ""

    def apply(self, tx: Tx) -> int:
        data = to_json(self.editorial)
        lock_accounts(tx)
        row = tx.row(select(rules).order_by(rules.c.number.desc()).limit(1))
        if row is not None and row.data == data:
            return int(row.number)
        number = int(row.number) + 1 if row is not None else 1
        made = tx.insert_unless_there(
            rules, {"number": number, "at": tx.now, "author": self.author, "note": self.note, "data": data}
        )
        if made and row is not None:
            tx.execute(
                articles.update()
                .where(articles.c.status == Status.LIVE, articles.c.fresh_from >= tx.now - self.fresh)
                .values(unplanned=True)
            )
            tx.execute(accounts.update().values(dirty=True, version=accounts.c.version + 1))
            note(tx, "rules_applied", str(number), {"note": self.note}, who=self.author)
        return number


def to_json(editorial: Editorial) -> dict[str, Any]:
    """The settings as JSON, without what is default."""
    return editorial.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def current(tx: Tx) -> RulesRevision | None:
    """The newest revision, or None in a new store."""
    row = tx.row(select(rules).order_by(rules.c.number.desc()).limit(1))
    if row is None:
        return None
    return RulesRevision(row.number, row.at, row.author, row.note, Editorial.model_validate(row.data))
