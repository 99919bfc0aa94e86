"""A town's notice board: notices are pinned by POST, listed by GET, and never edited."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from pydantic import Field, SecretStr

from bot.errors import Duplicate, SendError, Unknown
from bot.http import Response
from bot.model import Identity, Limits, Payload, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Network, NetworkOptions, object_in

_DOCS = "https://www.example.com/noticeboard/api"


class NoticeboardOptions(NetworkOptions):
    """One board."""

    board: str = Field("town", description="The board's name.")
    token: SecretStr = Field(description="What the board's keeper gave us.")


class Noticeboard(Network):
    """See the module's text."""

    name, title, docs, checked = "noticeboard", "Notice board", _DOCS, date(2026, 11, 24)
    Options, can, absence_is_proof = NoticeboardOptions, Can(find=True), True
    limits = Limits(size=400, unit=Unit.CHARACTERS, max_tags=2, sources=dict.fromkeys(("size", "max_tags"), _DOCS))

    def _asks(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.options.token.get_secret_value()}"}}

    def _url(self, what: str = "") -> str:
        return f"{self.options.base or 'https://board.example.com'}/boards/{self.options.board}{what}"

    def check(self) -> Identity:
        board = object_in(self.read("GET", self._url(), **self._asks()))
        return Identity(remote_id=str(board.get("id")), name=str(board.get("name")))

    def render(self, post: Post) -> Payload:
        body = {"text": post.text, "link": post.link, "ref": post.delivery}
        return Payload(json.dumps(body, ensure_ascii=False).encode(), post.text, post.link)

    def send(self, payload: Payload, key: str) -> Receipt:
        answer = self.http.request("POST", self._url("/notices"), json=json.loads(payload.body), **self._asks())
        return _receipt(object_in(self.judged(answer)))

    def recent(self, since: datetime) -> list[Seen]:
        found = object_in(self.read("GET", self._url("/notices"), params={"since": since.isoformat()}, **self._asks()))
        notices = [(datetime.fromisoformat(one["pinned_at"]), one) for one in found["notices"]]
        return [Seen(_receipt(one), (one["link"],) if one["link"] else (), one["text"], at) for at, one in notices]

    def meaning(self, response: Response) -> SendError | None:
        return Duplicate(response.words(), status=409) if response.status == 409 else None


def _receipt(notice: Any) -> Receipt:
    if not isinstance(notice.get("id"), str):
        raise Unknown("The board's answer names no notice.")
    return Receipt(notice["id"], notice.get("url"))
