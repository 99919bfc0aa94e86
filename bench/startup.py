"""Starts: whole processes, from the call to what a person waits for."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, Means, Sample, interleaved, of
from bench.house import spoken
from bench.processes import running, whole
from bench.server import Server
from bench.stories import as_feed, stories

#: A start is short, and one is noisy: more rounds than elsewhere.
LEAST_ROUNDS = 9


def measure(means: Means) -> list[Figure]:
    """In interleaved rounds."""
    more = Means(max(means.rounds, LEAST_ROUNDS), means.folder, contenders=means.contenders)
    with Server() as server:
        server.show(as_feed(stories(1, datetime.now(UTC))))
        known = means.fresh("known")
        whole(said(server, known), "run", "--once")

        def first_post(fresh: bool) -> Sample:
            """A newsroom that was never started, or one that has a store and finds one more article."""
            folder = means.fresh("start") if fresh else known
            before = server.count()
            server.show(as_feed(stories(1, datetime.now(UTC), seed=before + 2)))
            began = time.time()
            with running(said(server, folder), "run", log=folder / "log"):
                if server.wait_for(before + 1, 60) == before:
                    raise RuntimeError(f"no post within 60 s: {(folder / 'log').read_text()[-2000:]}")
            return {"s": server.posts()[before].at - began}

        def command(*words: str) -> Sample:
            run = whole(said(server, known), *words)
            if run.code:
                raise RuntimeError(f"wirepost {' '.join(words)} ended with {run.code}")
            return {"s": run.seconds}

        found = interleaved(
            more,
            {
                "first start": lambda: first_post(True),
                "start": lambda: first_post(False),
                "--help": lambda: command("--help"),
                "preview": lambda: command("preview"),
            },
        )
    goals = {
        "first start": ("start to first post, store made anew", 1.0),
        "start": ("start to first post, store there", 1.0),
        "--help": ("wirepost --help", 0.25),
        "preview": ("wirepost preview", 0.8),
    }
    return [Figure(title, "s", of(found[name], "s"), most, more=False) for name, (title, most) in goals.items()]


def said(server: Server, folder: Path) -> dict[str, str]:
    """One feed that is due at every start, and one account."""
    return {**spoken(server.base, 1, folder / "var"), "WIREPOST_SOURCES__MAIN__EVERY": "1s"}
