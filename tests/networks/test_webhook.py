"""The webhook's signature, as a receiver would check it."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import closing
from typing import Any

from bot.http import Door
from bot.networks.webhook import Webhook, WebhookOptions
from bot.testing.clock import ManualClock
from bot.testing.replay import ReplayServer
from bot.testing.samples import NOW, SAMPLE_KEY, sample_post

_SECRET = "secret-signing-key-1"
_ANY: dict[str, Any] = {"request": {"method": "POST", "path": "/hook"}, "answer": {"status": 204}}


def test_a_receiver_can_check_the_signature_and_the_delivery() -> None:
    """HMAC-SHA256 over time, delivery id and body; two sends of one generation are the same request, byte for byte."""
    with ReplayServer([_ANY, _ANY]) as server, closing(Door(ManualClock(NOW), user_agent="test")) as door:
        options = WebhookOptions(url=f"{server.base}/hook", secret=_SECRET, allow_private=True)
        adapter = Webhook(options, {}, {}, door.publishing(allow_private=True))
        payload = adapter.render(sample_post(adapter.bounds()))
        for _ in range(2):
            adapter.send(payload, SAMPLE_KEY)
    first, second = server.requests
    assert first.headers["x-wirepost-delivery"] == SAMPLE_KEY
    stamp, _, mark = first.headers["x-wirepost-signature"].removeprefix("t=").partition(",v1=")
    assert int(stamp) == int(sample_post(adapter.bounds()).created_at.timestamp())
    signed = f"{stamp}.{SAMPLE_KEY}.".encode() + first.body
    assert hmac.compare_digest(mark, hmac.new(_SECRET.encode(), signed, hashlib.sha256).hexdigest())
    assert (first.body, first.headers) == (second.body, second.headers)


def test_it_promises_nothing() -> None:
    """Neither key nor look-up: an unknown can only be held."""
    assert Webhook.can.idempotent == "none"
    assert not Webhook.can.find
    assert not Webhook.absence_is_proof
