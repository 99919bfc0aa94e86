"""Several workers as real processes on one PostgreSQL, and one source that hangs beside many that don't."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.model import State
from bot.store import Store, deliveries
from bot.testing.mastodon_server import MastodonServer
from tests.e2e.houses import newsroom
from tests.e2e.process import eventually, running, wirepost


@pytest.mark.parametrize(("articles", "accounts"), [(25, 8), pytest.param(250, 8, marks=pytest.mark.soak)])
def test_p10_four_processes_on_one_database_send_each_post_once(
    tmp_path: Path, postgres_url: str, articles: int, accounts: int
) -> None:
    with MastodonServer() as server, ExitStack() as stack:
        secrets = newsroom(tmp_path, [server.base] * accounts, store=postgres_url, articles=articles)
        children = [stack.enter_context(running(tmp_path, **secrets)) for _ in range(4)]
        wanted = articles * accounts
        eventually(lambda: len(server.statuses) >= wanted, f"{wanted} posts", within=150)
        store = Store(postgres_url, SystemClock())

        def settled() -> bool:
            with store.read() as tx:
                return len(deliveries.listing(tx, states=[State.SENT], limit=10_000)) == wanted

        eventually(settled, "every delivery is sent")
        store.close()
        for child in children:
            child.send_signal(signal.SIGTERM)
        assert [child.wait(30) for child in children] == [0, 0, 0, 0], (tmp_path / "run.log").read_text()
        posts = Counter((status.account, status.text) for status in server.statuses)
    assert len(posts) == wanted
    assert set(posts.values()) == {1}


class Hanging(BaseHTTPRequestHandler):
    """A server that takes a request and never answers."""

    asked = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        self.asked.set()
        self.over.wait(60)

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_p29_a_source_that_hangs_delays_no_other(tmp_path: Path) -> None:
    hanging = ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    hanging.daemon_threads = True
    thread = threading.Thread(target=hanging.serve_forever, daemon=True)
    thread.start()
    with MastodonServer() as server:
        secrets = newsroom(tmp_path, [server.base] * 2, articles=3)
        path = tmp_path / "config" / "wirepost.toml"
        port = hanging.server_address[1]
        feed = f'[sources.a-hanging]\nkind = "feed"\nurl = "http://127.0.0.1:{port}/feed"\nallow_private = true\n'
        path.write_text(path.read_text() + feed)
        with running(tmp_path, **secrets) as child:
            eventually(Hanging.asked.is_set, "the hanging source was asked")
            eventually(lambda: len(server.statuses) == 6, f"six posts\n{(tmp_path / 'run.log').read_text()}", within=20)
            Hanging.over.set()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0
    hanging.shutdown()
    hanging.server_close()
    thread.join()


def test_a_pass_by_hand_ends_when_nothing_is_left_and_again_it_sends_nothing(tmp_path: Path) -> None:
    with MastodonServer() as server:
        secrets = newsroom(tmp_path, [server.base] * 3, articles=10)
        first = wirepost(tmp_path, "run", "--once", **secrets)
        assert first.returncode == 0, first.stderr
        assert len(server.statuses) == 30
        second = wirepost(tmp_path, "run", "--once", **secrets)
        assert second.returncode == 0, second.stderr
        assert len(server.statuses) == 30
