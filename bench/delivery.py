"""Delivery: the sending phase alone, from a planned store to all posts at the server and recorded.

A pass is `wirepost run --once` (a thread for each account), a worker is `wirepost run` with all its steps at work. The
ledger is fully durable in both: SQLite in WAL mode with synchronous = FULL, PostgreSQL with synchronous_commit = on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol

from bench.figures import Figure, Means, Sample, apart, interleaved, of, ratios
from bench.house import left_open, new_database, opened, planned, postgres, spoken
from bench.reference import commit, httpx1
from bench.server import Got, Server, ask
from bench.stories import as_feed, stories
from bot.app import App
from bot.worker import Worker

ARTICLES = 500
ACCOUNTS = 12


#: By contender: what the table calls it, its target and its stretch.
GOALS: Mapping[str, tuple[str, float, float | None]] = {
    "SQLite": ("12 accounts, SQLite", 0.9, 1.3),
    "worker": ("12 accounts, SQLite, whole worker", 0.9, 1.3),
    "PostgreSQL": ("12 accounts, PostgreSQL", 0.6, None),
    "one": ("one account, strictly in order, SQLite", 0.45, None),
}


def measure(means: Means) -> list[Figure]:
    """All of it, in interleaved rounds against httpx1."""
    articles = means.articles or ARTICLES
    with Server() as server, ExitStack() as stack:

        @cache
        def database() -> str:
            return stack.enter_context(postgres())

        def run(accounts: int, *, shared: bool = False, worker: bool = False) -> Sample:
            folder = means.fresh("delivery")
            store = new_database(database(), "bench_delivery") if shared else ""
            server.reset()
            server.show(as_feed(stories(articles, datetime.now(UTC))))
            sample = apart(sending, server.base, accounts, articles, str(folder), store, worker)
            checked(server, accounts * articles)
            return sample

        def reference() -> Sample:
            server.reset()
            return httpx1(server.base)

        found = interleaved(
            means,
            {
                "httpx1": reference,
                "commit": lambda: commit(means.fresh("commit")),
                "SQLite": lambda: run(ACCOUNTS),
                "worker": lambda: run(ACCOUNTS, worker=True),
                "PostgreSQL": lambda: run(ACCOUNTS, shared=True),
                "one": lambda: run(1),
            },
        )
    bare = found.get("httpx1", [])
    figures = [
        Figure("httpx1", "posts/s", of(bare, "posts/s")),
        Figure("httpx1, CPU", "ms/post", of(bare, "CPU ms"), more=False),
        Figure("a bare durable commit, SQLite", "ms", of(found.get("commit", []), "ms"), more=False),
    ]
    for name, (title, target, stretch) in GOALS.items():
        samples = found.get(name, [])
        most = 1.3 if name in ("SQLite", "worker") else None
        figures += [
            Figure(f"{articles} articles, {title}", "× httpx1", ratios(samples, bare, "posts/s"), target, stretch),
            Figure("… posts", "posts/s", of(samples, "posts/s")),
            Figure("… CPU", "ms/post", of(samples, "CPU ms"), most, more=False),
            Figure("… commits", "per 1,000 posts", of(samples, "commits/1,000"), more=False),
        ]
    return [one for one in figures if one.values]


def sending(server: str, accounts: int, articles: int, folder: str, store: str, worker: bool) -> Sample:
    """Plan, then time the sending of all of it. Run in a process of its own."""
    posts, commits = accounts * articles, Commits()
    with opened(spoken(server, accounts, Path(folder) / "var", store), commits.note) as app:
        one_pass = planned(app)
        if left_open(app) != posts:
            raise RuntimeError(f"{left_open(app)} of {posts} are planned")
        before = commits.number
        wall, cpu = time.perf_counter(), time.process_time()
        running = begun(app) if worker else None
        if running is None:
            one_pass.steps["deliver"]()
        else:
            recorded(app, server, posts)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if running is not None:
            running.stop()
        if left_open(app):
            raise RuntimeError(f"{left_open(app)} of {posts} are left")
    return {
        "posts/s": posts / wall,
        "CPU ms": cpu / posts * 1000,
        "commits/1,000": (commits.number - before) / posts * 1000,
    }


def begun(app: App) -> Worker:
    """A worker, started on an app that is open already."""
    if app.hold is not None:
        app.hold.release()  # ours: its start takes it
    worker = Worker(app)
    worker.start()
    return worker


def recorded(app: App, server: str, posts: int, seconds: float = 900.0) -> None:
    """Wait until so many posts are at the server, and then until their outcomes are in the store."""
    if ask(server, "wait", {"number": posts, "seconds": seconds}, seconds + 10) < posts:
        raise RuntimeError(f"not {posts} posts within {seconds:.0f} s")
    pause = threading.Event()
    while left_open(app):
        pause.wait(0.005)


class Posted(Protocol):
    """Whoever knows what came."""

    def posts(self) -> list[Got]: ...


def checked(server: Posted, posts: int, *, ordered: bool = True) -> None:
    """Every post is there once, and each account's are in the order of publication."""
    got = server.posts()
    if len(got) != posts or len({(one.account, one.text) for one in got}) != posts:
        raise RuntimeError(f"{len(got)} posts for {posts}")
    last: dict[str, int] = {}
    for one in got if ordered else ():
        number = int(one.text.partition("\n")[0].rpartition("-")[2])
        if number <= last.get(one.account, -1):
            raise RuntimeError(f"account {one.account} got story {number} after story {last[one.account]}")
        last[one.account] = number


class Commits:
    """Counts commits, by the points at which a process could die."""

    def __init__(self) -> None:
        self.number = 0

    def note(self, point: str) -> None:
        if point.startswith("after commit"):
            self.number += 1
