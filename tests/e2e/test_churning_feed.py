"""A feed on loopback that does what feeds do, read by real passes: each story once on each account, none lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sqlalchemy import func, select

from bot.clock import SystemClock
from bot.store.schema import articles
from bot.testing.mastodon_server import MastodonServer
from tests.e2e.houses import exactly, newsroom, opened, standing, store_at, verdict
from tests.e2e.process import wirepost

ACCOUNTS = 2


@dataclass(frozen=True)
class Item:
    """One entry of the feed; its number is in its link."""

    number: int
    guid: str
    link: str
    at: datetime

    def xml(self) -> str:
        return (
            f"<item><title>Story number {self.number} of the day</title><link>{self.link}</link>"
            f"<guid>{self.guid}</guid><pubDate>{format_datetime(self.at, usegmt=True)}</pubDate></item>"
        )


@dataclass
class Site:
    """A news site and its feed; what it lists may be changed at any time."""

    base: str = ""
    items: list[Item] = field(default_factory=list)

    def publish(self, numbers: range, at: datetime, apart: timedelta = timedelta(seconds=1)) -> None:
        self.items += [
            Item(n, f"https://www.example.com/?p={n}", f"https://www.example.com/{n}", at + apart * place)
            for place, n in enumerate(numbers)
        ]

    def change(self, how: Callable[[Item], Item]) -> None:
        self.items = [how(item) for item in self.items]

    def body(self) -> bytes:
        items = "".join(item.xml() for item in sorted(self.items, key=lambda item: item.at, reverse=True))
        return f'<rss version="2.0"><channel><title>Daily</title>{items}</channel></rss>'.encode()


@contextmanager
def served() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = site.body()
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_p04_p05_p16_p18_p21_a_feed_that_bursts_changes_its_ids_moves_its_dates_and_is_late(tmp_path: Path) -> None:
    """Keys are ignored, so that only Wirepost's own memory stands between the feed and the timeline."""
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    with served() as site, MastodonServer(keys=False) as server:
        source = (
            f'[sources.wire]\nkind = "feed"\nurl = "{site.base}/feed"\nfirst_look = "nothing"\nallow_private = true\n'
        )
        secrets = newsroom(tmp_path, [server.base] * ACCOUNTS, source=source)

        def a_pass() -> int:
            """One real process looks, plans and sends; how many posts it made."""
            before = len(server.statuses)
            done = wirepost(tmp_path, "run", "--once", **secrets)
            assert done.returncode == 0, done.stdout + done.stderr
            return len(server.statuses) - before

        now = SystemClock().now()
        site.publish(range(1, 31), now - 5 * hour, minute)
        assert a_pass() == 0, "the first look is a baseline"
        site.publish(range(31, 56), SystemClock().now())
        assert a_pass() == 25 * ACCOUNTS, "25 new in a minute are an honest burst"
        site.change(lambda item: replace(item, guid=f"urn:uuid:{item.number:032x}"))
        assert a_pass() == 0, "all ids changed"
        for days in (0, 1):
            site.change(lambda item, days=days: replace(item, at=SystemClock().now() - timedelta(days=days)))
            assert a_pass() == 0, "all dates moved"
        site.change(
            lambda item: replace(
                item, at=now - hour, guid=f"{item.number}", link=f"http://example.com/{item.number}/?utm_source=rss"
            )
        )
        assert a_pass() == 0, "ids, dates, scheme, host and parameters all changed"
        site.publish(range(56, 59), now - 3 * hour, minute)
        assert a_pass() == 3 * ACCOUNTS, "late ones, dated before the newest"
        site.items = site.items[::-1]
        assert a_pass() == 0, "the same again, in another order"
        assert verdict(standing(server), ACCOUNTS, range(31, 59)) == exactly(28 * ACCOUNTS)
        with opened(store_at(tmp_path)) as store, store.read() as tx:
            told = tx.execute(select(func.count(), func.count(articles.c.hold))).one()
            assert tuple(told) == (58, 0), "each is known again, none is a question to a person"
        texts = [status.text for status in server.statuses if status.account == "1"]
        assert texts[:25] == [f"Story number {n} of the day\n\nhttps://www.example.com/{n}" for n in range(31, 56)]
