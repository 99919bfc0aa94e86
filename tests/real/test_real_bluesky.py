"""Bluesky against a real server: what the fixture says must be what the server does."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bot.clock import SystemClock, SystemRandom
from bot.errors import AuthFailed, Duplicate, Expired, NotSent, Rejected, SendError
from bot.http import Door
from bot.model import Image, Payload, Post
from bot.networks.base import Credentials
from bot.networks.bluesky import Bluesky, BlueskyOptions
from bot.testing.samples import SAMPLE_KEY, SINCE, sample_post

pytestmark = pytest.mark.real

_PASSWORD = "secret-app-password"
#: One red pixel.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


@dataclass(slots=True)
class Desk:
    """An account of its own, logged in."""

    door: Door
    options: BlueskyOptions
    credentials: Credentials
    facts: dict[str, Any]

    def adapter(self, credentials: Credentials | None = None, **options: Any) -> Bluesky:
        chosen = self.options.model_copy(update=options)
        held = self.credentials if credentials is None else credentials
        return Bluesky(chosen, held, self.facts, self.door.publishing(allow_private=True))

    def payload(self, **changes: Any) -> Payload:
        adapter = self.adapter()
        post: Post = sample_post(adapter.bounds(), delivery=SystemRandom().new_id(), **changes)
        assert post.card is not None
        return adapter.render(post if "card" in changes else replace(post, card=replace(post.card, image=None)))


@pytest.fixture
def desk(pds: str) -> Iterator[Desk]:
    handle = f"{SystemRandom().new_id()}.test"
    with closing(Door(SystemClock(), user_agent="Wirepost-test")) as door:
        account = {"handle": handle, "email": f"{handle}@example.com", "password": _PASSWORD}
        made = door.publishing(allow_private=True, deadline=60).request(
            "POST", f"{pds}/xrpc/com.atproto.server.createAccount", json=account
        )
        assert made.status == 200, made.words()
        options = BlueskyOptions(handle=handle, password=_PASSWORD, base=pds, allow_private=True)
        new = Desk(door, options, {}, {})
        new.credentials = new.adapter().refresh()
        new.facts = dict(new.adapter().check().facts)
        yield new


def _over(token: str, secret: str) -> str:
    """The same token, over since some months."""
    head, body, _ = token.split(".")
    told = json.loads(urlsafe_b64decode(body + "=="))
    told |= {"iat": told["iat"] - 9_000_000, "exp": told["exp"] - 9_000_000}
    text = f"{head}.{urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip('=')}"
    mark = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{urlsafe_b64encode(mark).decode().rstrip('=')}"


def _outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except SendError as error:
        return type(error)


def test_the_same_bytes_are_one_record_and_others_are_refused(desk: Desk) -> None:
    adapter, payload = desk.adapter(), desk.payload()
    assert adapter.find(payload, SAMPLE_KEY, SINCE) is None
    receipts = {adapter.send(payload, SAMPLE_KEY).remote_id for _ in range(3)}
    assert len(receipts) == 1
    other = replace(payload, body=payload.body.replace(b"Harbour", b"Harbor"))
    with pytest.raises(Duplicate, match="InvalidSwap"):
        adapter.send(other, SAMPLE_KEY)
    found = adapter.find(payload, SAMPLE_KEY, SINCE)
    assert found is not None
    assert {found.remote_id} == receipts
    seen = adapter.recent(SINCE)
    assert [(post.receipt.remote_id, post.links, post.text) for post in seen] == [
        (found.remote_id, (payload.link,), payload.text)
    ]


def test_parallel_sends_of_one_delivery_are_one_record(desk: Desk) -> None:
    payload = desk.payload()
    outcomes: list[object] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(_outcome(lambda: desk.adapter().send(payload, SAMPLE_KEY))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({getattr(outcome, "remote_id", outcome) for outcome in outcomes}) == 1
    assert len(desk.adapter().recent(SINCE)) == 1


def test_a_token_that_is_over_is_renewed_and_the_login_only_when_it_must(desk: Desk, jwt_secret: str) -> None:
    kind = type(desk.credentials["access_jwt"])
    old = {name: kind(_over(value.get_secret_value(), jwt_secret)) for name, value in desk.credentials.items()}
    with pytest.raises(Expired, match="ExpiredToken"):
        desk.adapter(old).send(desk.payload(), SAMPLE_KEY)
    with pytest.raises(Expired, match="ExpiredToken"):
        desk.adapter(old).check()
    by_token = desk.adapter({**desk.credentials, "access_jwt": old["access_jwt"]}).refresh()
    assert desk.adapter(by_token).check().remote_id == desk.facts["did"]
    by_password = desk.adapter(old).refresh()
    assert desk.adapter(by_password).check().remote_id == desk.facts["did"]
    with pytest.raises(AuthFailed, match="Invalid identifier or password"):
        desk.adapter(old, password=kind("wrong-password")).refresh()


@pytest.mark.parametrize("text", ["x" * 301, "👩‍👩‍👧‍👦" * 130], ids=["graphemes", "bytes"])
def test_both_limits_are_the_server_s(text: str, desk: Desk) -> None:
    """301 graphemes; 130 graphemes of more than 3,000 bytes. One less of either is taken."""
    adapter = desk.adapter()
    with pytest.raises(Rejected, match="too big"):
        adapter.send(desk.payload(text=text), SAMPLE_KEY)
    fits = text[:300] if text[0] == "x" else text[: 7 * 119]
    adapter.send(desk.payload(text=fits), SAMPLE_KEY)


def test_a_picture_that_was_never_uploaded_is_proved_not_sent(desk: Desk) -> None:
    payload = desk.payload()
    request = json.loads(payload.body)
    link = {"$link": "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"}
    thumb = {"$type": "blob", "ref": link, "mimeType": "image/png", "size": 70}
    request["record"]["embed"]["external"]["thumb"] = thumb
    with pytest.raises(NotSent, match="BlobNotFound"):
        desk.adapter().send(replace(payload, body=json.dumps(request).encode()), SAMPLE_KEY)


def test_the_card_takes_the_picture_along(desk: Desk) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Picture) as pictures:
        threading.Thread(target=pictures.serve_forever, daemon=True).start()
        image = Image(f"http://127.0.0.1:{pictures.server_address[1]}/a.png")
        post = sample_post(desk.adapter().bounds())
        assert post.card is not None
        ready = desk.adapter().prepare(desk.payload(card=replace(post.card, image=image)))
        pictures.shutdown()
    thumb = json.loads(ready.body)["record"]["embed"]["external"]["thumb"]
    assert (thumb["mimeType"], thumb["size"]) == ("image/png", len(_PNG))
    assert desk.adapter().send(ready, SAMPLE_KEY).remote_id.startswith(f"at://{desk.facts['did']}/")


class _Picture(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(_PNG)))
        self.end_headers()
        self.wfile.write(_PNG)

    def log_message(self, *parts: object) -> None:
        """Quiet."""
