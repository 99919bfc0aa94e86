"""A network for tests, as an adapter: `Fake`. Its server is `bot.testing.network_server.FakeServer`.

    server = FakeServer(clock)
    door = Door(clock, user_agent="test", network_backend=server, resolve=server.resolve)
    options = FakeOptions(token="token-1")          # account 1

The requests go through the real door, HTTP and all; only the wire ends in this process instead of in a socket. What the
network promises is chosen by the options. The adapter passes the same contract suite as every other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, SecretStr

from bot.errors import Busy, Duplicate, Expired, NotSent, Rejected, SendError, Unknown
from bot.http import Response
from bot.model import Identity, Limits, Payload, Pending, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Credentials, Network, NetworkOptions, object_in


class FakeOptions(NetworkOptions):
    """What this account's server promises."""

    base: str = Field("http://fake.example.com", description="Where the server is.")
    token: SecretStr = Field(SecretStr("token-1"), description="Names the account: token-N is account N.")
    idempotent: Literal["none", "permanent"] | int = Field("none", description="How long keys are promised to hold.")
    find: bool = Field(True, description="Can posts be looked up?")
    proof: bool = Field(True, description="Is absence proof?")
    two_phase: bool = Field(False, description="Publish in two phases?")
    size: int = Field(300, description="Longest text, in characters.")


class _NotThere(Rejected):
    """404: no such container."""


class Fake(Network):
    """Speaks to `FakeServer`, or to anything that answers as tests/networks/fake.json says."""

    name = "fake"
    title = "Fake"
    docs = "https://www.example.com/"
    checked = date(2026, 11, 24)
    Options = FakeOptions
    limits = Limits(size=300, unit=Unit.CHARACTERS, sources={"size": "docs/networks.md (a stand-in's own choice)"})
    can = Can(idempotent="permanent", find=True, two_phase=True)
    absence_is_proof = True
    address = r"https://fake\.example\.com/(\w+)"

    def bounds(self) -> Limits:
        return replace(self.limits, size=self.options.size)

    def abilities(self) -> Can:
        options = self.options
        return Can(idempotent=options.idempotent, find=options.find, two_phase=options.two_phase)

    def find_is_proof(self) -> bool:
        return bool(self.options.proof)

    def check(self) -> Identity:
        me = object_in(self._get("/me"))
        return Identity(remote_id=str(me["id"]), name=str(me["name"]), facts={"plan": "free"})

    def render(self, post: Post) -> Payload:
        body = {"text": post.text, "link": post.link, "delivery": post.delivery, "made": post.created_at.isoformat()}
        return Payload(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), post.text, post.link)

    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        answer = object_in(self._post("/drafts" if self.options.two_phase else "/posts", key, payload.body))
        if not self.options.two_phase:
            return _receipt(answer)
        container = answer.get("container")
        if not isinstance(container, str):
            raise Unknown("The answer names no container.")
        return Pending(container)

    def recent(self, since: datetime) -> Sequence[Seen]:
        posts = object_in(self._get("/posts", {"since": since.isoformat()})).get("posts")
        if not isinstance(posts, list):
            raise Unknown("The answer is no list of posts.")
        return [
            Seen(_receipt(post), (post["link"],) if post["link"] else (), post["text"], _time(post["at"]))
            for post in posts
        ]

    def poll(self, payload: Payload, key: str, container: str) -> Receipt | Pending | None:
        try:
            state = object_in(self._get(f"/drafts/{container}"))
        except _NotThere:
            return None
        return _receipt(state["post"]) if state.get("post") else Pending(container)

    def finish(self, payload: Payload, key: str, container: str) -> Receipt | Pending:
        return _receipt(object_in(self._post(f"/drafts/{container}/publish", key, b"{}")))

    def refresh(self) -> Credentials:
        try:
            answer = object_in(self.read("POST", f"{self.options.base}/token", headers=self._login(renewal=True)))
        except Busy:
            raise
        except (NotSent, Unknown) as error:
            raise Busy(error.words) from error
        return {"access": SecretStr(str(answer["access"]))}

    def _login(self, *, renewal: bool = False) -> dict[str, str]:
        own: SecretStr = self.options.token if renewal else self.credentials.get("access", self.options.token)
        return {"Authorization": f"Bearer {own.get_secret_value()}"}

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        return self.read("GET", f"{self.options.base}{path}", params=query, headers=self._login())

    def _post(self, path: str, key: str, body: bytes) -> Response:
        headers = {**self._login(), "Idempotency-Key": key, "Content-Type": "application/json"}
        return self.judged(self.http.request("POST", f"{self.options.base}{path}", headers=headers, content=body))

    def meaning(self, response: Response) -> SendError | None:
        words, status = response.words(), response.status
        if status == 401 and "expired" in words:
            return Expired(words, status=status)
        kind = {404: _NotThere, 409: Duplicate}.get(status)
        return kind(words, status=status) if kind else None


def _time(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise Unknown("The answer has no readable time.") from None


def _receipt(post: Mapping[str, Any]) -> Receipt:
    number = post.get("id")
    if not isinstance(number, str):
        raise Unknown("The answer holds no post.")
    return Receipt(number, str(post.get("url")), _time(post.get("at")))
