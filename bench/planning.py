"""Planning: route, compose, time and store, after the feed was read; in deliveries a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

from bench.figures import Figure, Means, Sample, apart, interleaved, of
from bench.house import left_open, opened, planned, spoken
from bench.server import Server
from bench.stories import as_feed, stories

ACCOUNTS = 12
SIZES = (500, 2_000)


def measure(means: Means) -> list[Figure]:
    """Both sizes, in interleaved rounds."""
    with Server() as server:

        def run(articles: int) -> Sample:
            server.show(as_feed(stories(articles, datetime.now(UTC))))
            return apart(_planning, server.base, articles, str(means.fresh("planning")))

        sizes = (means.articles,) if means.articles else SIZES
        found = interleaved(means, {f"{size:,} × {ACCOUNTS}": partial(run, size) for size in sizes})
    figures = []
    for size, samples in found.items():
        figures += [
            Figure(f"planning {size}, SQLite", "deliveries/s", of(samples, "deliveries/s"), 3_000),
            Figure("… CPU", "ms/delivery", of(samples, "CPU ms"), more=False),
            Figure("… of which route, compose, store", "deliveries/s", of(samples, "plan")),
            Figure("… of which time, store", "deliveries/s", of(samples, "schedule")),
            Figure("… reading the feed", "articles/s", of(samples, "read")),
        ]
    return figures


def _planning(server: str, articles: int, folder: str) -> Sample:
    with opened(spoken(server, ACCOUNTS, Path(folder) / "var")) as app:
        clocks, cpus = [time.perf_counter()], [time.process_time()]

        def note(step: str) -> None:
            clocks.append(time.perf_counter())
            cpus.append(time.process_time())

        planned(app, note)
        discover, _, plan, schedule = (end - start for start, end in pairwise(clocks))
        deliveries = left_open(app)
        if deliveries != articles * ACCOUNTS:
            raise RuntimeError(f"{deliveries} deliveries are planned for {articles} × {ACCOUNTS}")
    return {
        "deliveries/s": deliveries / (plan + schedule),
        "plan": deliveries / plan,
        "schedule": deliveries / schedule,
        "read": articles / discover,
        "CPU ms": (cpus[-1] - cpus[2]) / deliveries * 1000,
    }
