"""A person at work on a newsroom's deliveries, for the stories of the flow."""

from __future__ import annotations

from datetime import datetime

from bot import desk
from bot.desk import Act, Case
from bot.flow.freezing import composed
from bot.flow.newsroom import Newsroom
from bot.model import Delivery, Receipt
from bot.store import accounts


class Person:
    """What `wirepost hold`, `release`, `skip`, `move`, `edit` and `lookup` do, by name."""

    def __init__(self, room: Newsroom, name: str) -> None:
        self._room = room
        self._desk = desk.Desk(store=room.store, editorial=room.editorial, who=name)

    def hold(self, one: Delivery) -> str:
        return self._desk.do(one.id, desk.hold)

    def release(self, one: Delivery, second: str | None = None) -> str:
        return self._desk.do(one.id, lambda case: desk.release(case, second))

    def skip(self, one: Delivery) -> str:
        return self._desk.do(one.id, desk.skip)

    def move(self, one: Delivery, at: datetime | None) -> str:
        return self._desk.do(one.id, lambda case: desk.move(case, at))

    def confirm(self, one: Delivery, receipt: Receipt) -> str:
        return self._desk.do(one.id, lambda case: desk.there(case, receipt))

    def deny(self, one: Delivery) -> str:
        return self._desk.do(one.id, desk.not_there)

    def edit(self, one: Delivery, text: str) -> str:
        return self._desk.do(one.id, lambda case: self._edited(case, text))

    def _edited(self, case: Case, text: str) -> Act:
        with self._room.store.read() as tx:
            row = accounts.by_name(tx, case.delivery.account)
        assert row is not None
        adapter = self._room.reader(row)
        post = composed(self._room.editorial, adapter, case.stored, desk.with_text(case, text))
        return desk.edit(case, text, post, adapter.bounds().size)
