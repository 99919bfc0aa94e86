"""Memory and idling: `wirepost run` with 20 feeds and 12 accounts and nothing to do; and the peak of a large pass."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial

from bench.figures import Figure, Means, Sample, interleaved, of
from bench.house import source, spoken
from bench.processes import cpu_seconds, resident_mb, running
from bench.server import Server
from bench.stories import as_feed, stories
from bench.wholerun import one_pass

SOURCES = 20
ACCOUNTS = 12
#: After the first look at each source, until all of it is digested; and for how long idling is measured then; seconds.
SETTLED = 15.0
IDLE = 20.0
LARGE = 2_000


def measure(means: Means) -> list[Figure]:
    """Idle without and with an X account; the peak once, since a large pass is long."""
    with Server() as server:
        server.reset()
        server.show(as_feed(stories(30, datetime.now(UTC))))
        few = Means(min(means.rounds, 3), means.folder, contenders=means.contenders)
        idle = interleaved(
            few, {"idle": partial(_idle, server, means, ""), "with X": partial(_idle, server, means, "x")}
        )
        articles = means.articles or LARGE
        once = Means(1, means.folder, contenders=means.contenders)
        large = interleaved(once, {"large": lambda: one_pass(server, means, articles, ACCOUNTS)})
    name = f"idle, {SOURCES} sources, {ACCOUNTS} accounts"
    figures = [
        Figure(f"{name}, no X", "MB", of(idle.get("idle", []), "MB"), 80, more=False),
        Figure(f"{name}, one on X", "MB", of(idle.get("with X", []), "MB"), 90, more=False),
        Figure(f"{name}", "% of a core", of(idle.get("idle", []), "% of a core"), 0.1, more=False),
        Figure(f"peak of a pass {articles} × {ACCOUNTS}", "MB", of(large.get("large", []), "peak MB"), 120, more=False),
    ]
    return [one for one in figures if one.values]


def _idle(server: Server, means: Means, x: str) -> Sample:
    folder = means.fresh("idle")
    said = spoken(server.base, ACCOUNTS - bool(x), folder / "var")
    said["WIREPOST_DEFAULTS__FIRST_LOOK"] = "nothing"
    for number in range(1, SOURCES):
        said |= source(f"FEED{number}", f"{server.base}/feed.xml?{number}")
    if x:
        secrets = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")
        said |= {f"WIREPOST_ACCOUNTS__DESK__{name}": f"{name.lower()}-of-nobody" for name in secrets}
        said |= {"WIREPOST_ACCOUNTS__DESK__NETWORK": "x", "WIREPOST_ACCOUNTS__DESK__BASE": server.base}
        said |= {"WIREPOST_ACCOUNTS__DESK__LIVE": "true", "WIREPOST_ACCOUNTS__DESK__ALLOW_PRIVATE": "true"}
    server.reset()
    with running(said, "run", log=folder / "log") as child:
        until = time.monotonic() + 60
        while len(server.looks()) < SOURCES and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(SETTLED)
        before = cpu_seconds(child.pid)
        time.sleep(IDLE)
        used = cpu_seconds(child.pid) - before
        return {"MB": resident_mb(child.pid), "% of a core": used / IDLE * 100}
