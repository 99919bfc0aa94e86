"""Twelve accounts on a server that takes 100 ms for each post; then the same with one account that is rate-limited.

Each account has one post in flight, so that its order holds: 12 in 100 ms, 120 a second, is the most there can be.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.delivery import begun, checked
from bench.figures import Figure, Means, Sample, apart, interleaved, of
from bench.house import left_open, opened, planned, spoken
from bench.server import Server, ask
from bench.stories import as_feed, stories

ACCOUNTS = 12
ARTICLES = 50
SECONDS = 0.1
#: The account that gets nothing but 429.
LIMITED = 1


def measure(means: Means) -> list[Figure]:
    """With all accounts free, and with one limited."""
    articles = means.articles or ARTICLES
    with Server() as server:

        def run(*limited: int) -> Sample:
            server.reset()
            server.show(as_feed(stories(articles, datetime.now(UTC))))
            posts = articles * (ACCOUNTS - len(limited))
            server.behave(latency=SECONDS, limited=limited)
            began = apart(_sending, server.base, articles, str(means.fresh("latency")), posts)
            checked(server, posts)
            others = max(one.at for one in server.posts() if one.account != str(LIMITED)) - began
            return {"posts/s": posts / (max(one.at for one in server.posts()) - began), "others": others}

        found = interleaved(means, {"free": run, "one limited": partial(run, LIMITED)})
    free, limited = found["free"], found["one limited"]
    share = [one["others"] / other["others"] for one, other in zip(limited, free, strict=True)]
    name = f"{ACCOUNTS} accounts, {SECONDS * 1000:.0f} ms a post"
    return [
        Figure(name, "posts/s", of(free, "posts/s"), 100),
        Figure("… the others' time while one is rate-limited", "× their time", share, 1.1, more=False),
    ]


def _sending(server: str, articles: int, folder: str, posts: int) -> float:
    """When the worker began, as a Unix time."""
    with opened(spoken(server, ACCOUNTS, Path(folder) / "var")) as app:
        planned(app)
        if left_open(app) != articles * ACCOUNTS:
            raise RuntimeError(f"{left_open(app)} are planned")
        began = datetime.now(UTC).timestamp()
        worker = begun(app)
        if ask(server, "wait", {"number": posts, "seconds": 300}, 310) < posts:
            raise RuntimeError(f"not {posts} posts within 300 s")
        worker.stop()
    return began
