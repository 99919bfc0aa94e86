"""A whole run: one pass over a feed by `wirepost run --once`, from nothing to everything sent; reading, composing and
timing included. This is the work on which other programs are compared."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.delivery import checked
from bench.figures import Figure, Means, Sample, interleaved, of, ratios
from bench.house import spoken
from bench.processes import whole
from bench.reference import httpx1
from bench.server import Server
from bench.stories import as_feed, stories

ARTICLES = 500
ACCOUNTS = 12


def measure(means: Means) -> list[Figure]:
    """In interleaved rounds against httpx1."""
    articles = means.articles or ARTICLES
    with Server() as server:

        def reference() -> Sample:
            server.reset()
            return httpx1(server.base)

        found = interleaved(
            means, {"httpx1": reference, "whole run": lambda: one_pass(server, means, articles, ACCOUNTS)}
        )
    runs = found.get("whole run", [])
    return [
        Figure(f"whole run {articles} × {ACCOUNTS}, CPU", "ms/post", of(runs, "CPU ms"), 2.6, more=False),
        Figure("… posts", "posts/s", of(runs, "posts/s")),
        Figure("… posts", "× httpx1", ratios(runs, found.get("httpx1", []), "posts/s")),
        Figure("… peak memory", "MB", of(runs, "peak MB"), more=False),
    ]


def one_pass(server: Server, means: Means, articles: int, accounts: int) -> Sample:
    """One process that finds an empty store and so many articles."""
    server.reset()
    server.show(as_feed(stories(articles, datetime.now(UTC))))
    folder = means.fresh("whole")
    posts = articles * accounts
    run = whole(spoken(server.base, accounts, folder / "var"), "run", "--once", log=folder / "log")
    if run.code:
        raise RuntimeError(f"wirepost run --once ended with {run.code}: {(folder / 'log').read_text()[-2000:]}")
    checked(server, posts)
    return {"posts/s": posts / run.seconds, "CPU ms": run.cpu / posts * 1000, "peak MB": run.peak_mb}
