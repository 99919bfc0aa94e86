"""P118: a secret shows nowhere, though every server repeats it in every answer, at the loudest log level."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot import alerts, health, log
from bot.alerts.causes import causes_of
from bot.app import hide_secrets_of
from bot.http import Door
from bot.networks.bluesky import Bluesky, BlueskyOptions
from bot.networks.mastodon import Mastodon, MastodonOptions
from bot.networks.webhook import Webhook, WebhookOptions
from bot.store import Store
from bot.testing.clock import ManualClock
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom, pass_time
from tests.flow.stories import Worker, article

CANARY = "canary-7f3a9c51e2"


class Parrot(BaseHTTPRequestHandler):
    """Answers with a status in turn, and says back all that it was told."""

    statuses = (200, 401, 403, 422, 429, 500, 503)
    asked = 0

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        told = {**dict(self.headers.items()), "body": self.rfile.read(length).decode()}
        status = self.statuses[type(self).asked % len(self.statuses)]
        type(self).asked += 1
        body = json.dumps({"error": f"refused: {told}", "message": str(told), "path": self.path}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def parrot() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Parrot", (Parrot,), {}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def loud(clock: ManualClock) -> Iterator[io.StringIO]:
    """Everything that is logged, at DEBUG; the set-up of before is put back."""
    root = logging.getLogger()
    level = root.level
    stream = io.StringIO()
    log.configure(json=True, level="debug", stream=stream, clock=clock)
    yield stream
    log.quiet()
    root.setLevel(level)


NETWORKS = {
    "mastodon": (Mastodon, lambda at: MastodonOptions(server=at, token=SecretStr(CANARY), allow_private=True)),
    "bluesky": (
        Bluesky,
        lambda at: BlueskyOptions(base=at, handle="us.example.com", password=SecretStr(CANARY), allow_private=True),
    ),
    "webhook": (
        Webhook,
        lambda at: WebhookOptions(
            url=SecretStr(f"{at}/hook/{CANARY}"), secret=SecretStr(CANARY + "-key"), allow_private=True
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_p118_no_secret_in_logs_store_metrics_or_alerts(
    sqlite_url: str, clock: ManualClock, parrot: str, loud: io.StringIO, name: str
) -> None:
    network, make = NETWORKS[name]
    options = make(parrot)
    hide_secrets_of([options])
    store = Store(sqlite_url, clock, own_time=False)
    rules = editorial({"one": {"network": name}}, defaults={**AT_ONCE, "first_look": "all", "near_duplicate": "warn"})
    room = newsroom(store, clock, rules, network=network, options={"one": options})
    room.door = Door(clock, user_agent="Wirepost test")
    room.sources["main"].show(*(article(n) for n in range(8)))
    look(room)
    pass_time(room, timedelta(hours=2), step=timedelta(minutes=4))

    told = [loud.getvalue(), health.metrics(Worker(room), health.Tally()).decode(), repr(room.accounts), repr(options)]
    told.append(repr(causes_of(alerts.read(room, timedelta(days=1)))))
    store.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    told += [found.read_bytes().decode("latin-1") for found in path.parent.glob(f"{path.name}*")]
    assert any(len(text) > 1000 for text in told[:1]), "nothing was logged: the test would prove nothing"
    assert [text.count(CANARY) for text in told] == [0] * len(told)
