"""The command of bench/README.md: one pass over a feed to several accounts, without any settings file."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bot.testing.mastodon_server import Fault, MastodonServer, scripted
from tests.e2e.process import PATIENCE, ROOT, environment

ITEM = (
    "<item><title>Story number {0} of the day</title><link>https://www.example.com/{0}</link>"
    "<guid>story-{0}</guid><pubDate>Tue, 03 Nov 2026 07:{0:02}:00 GMT</pubDate></item>"
)


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, and no log."""

    def log_message(self, *_: object) -> None:
        """Silent."""


def shown_command(feed: str, server: str) -> str:
    """The page's last block of shell, with these addresses."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "bench" / "README.md").read_text("utf-8"), re.M | re.S)
    named = blocks[-1].replace("http://127.0.0.1:8000/feed.xml", feed).replace("http://127.0.0.1:3000", server)
    assert feed in named
    assert server in named
    return named.replace("\nwirepost ", f"\n{sys.executable} -m bot ")


def test_the_command_for_comparisons_sends_everything_once_and_ends(tmp_path: Path) -> None:
    """Ten articles on three accounts, one answer lost and one limit on the way; the second call adds nothing."""
    items = "".join(ITEM.format(number) for number in range(10))
    (tmp_path / "feed.xml").write_text(f'<rss version="2.0"><channel><title>Day</title>{items}</channel></rss>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        with MastodonServer(faults=scripted([None] * 5 + [Fault.ERROR_AFTER])) as server:
            command = shown_command(f"http://127.0.0.1:{files.server_address[1]}/feed.xml", server.base)
            for _ in range(2):
                done = subprocess.run(
                    ["sh", "-c", command],
                    cwd=tmp_path,
                    env=environment(),
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                counted = Counter((status.account, status.text) for status in server.statuses)
                assert len(counted) == 30, done.stderr
                assert set(counted.values()) == {1}
        files.shutdown()
