"""Flat with history: a claim and a timetable in a store that remembers a million deliveries, against ten thousand.

The history is written by SQL, as copies of one post that was really sent, spread over the last 400 days: articles with
their keys and decisions, deliveries, attempts and what they occupy. Then due posts are claimed in it, one by one.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.delivery import sending
from bench.figures import Figure, Means, Sample, apart, interleaved, of, ratios
from bench.house import left_open, opened, planned, spoken
from bench.server import Server
from bench.stories import as_feed, stories
from bot.flow import check, deliver, schedule
from bot.flow.deliver import Started
from bot.store.deliveries import MarkDirty

SIZES = (10_000, 1_000_000)
ACCOUNTS = 12
#: Claims of one round, and how often the waiting posts of an account are timed.
CLAIMS = 96
TIMES = 60
#: Articles that wait and are due, shown in so many looks: more than 50 new ones at once would be a flood, and held.
WAITING = 90
LOOKS = 2
_DAYS = 400


def measure(means: Means) -> list[Figure]:
    """Two stores, each made once; claims and timetables in turn in one and the other."""
    with Server() as server:
        server.show(as_feed(stories(1, datetime.now(UTC) - timedelta(minutes=5), seed=7)))
        folders = {size: means.fresh("history") for size in SIZES}
        for size, folder in folders.items():
            began = time.monotonic()
            apart(sending, server.base, ACCOUNTS, 1, str(folder), "", False)
            remember(folder / "var" / "wirepost.db", size)
            print(f"  {size:,} deliveries written in {time.monotonic() - began:.0f} s", flush=True)
            server.reset()
        shown = stories(WAITING, datetime.now(UTC))
        for look in range(1, LOOKS + 1):
            server.show(as_feed(shown[: WAITING * look // LOOKS]))
            for folder in folders.values():
                apart(_fill, server.base, str(folder))
        runs = {f"{size:,}": partial(apart, _claims, server.base, str(folder)) for size, folder in folders.items()}
        found = interleaved(means, runs)
    few, many = (found[f"{size:,}"] for size in SIZES)
    name = f"{SIZES[1]:,} stored deliveries over {SIZES[0]:,}"
    return [
        Figure(f"{name}: claim + timetable", "×", ratios(many, few, "ms"), 1.5, more=False),
        Figure("… claim", "×", ratios(many, few, "claim ms"), more=False),
        Figure("… timetable of an account", "×", ratios(many, few, "timetable ms"), more=False),
        Figure("… claim, with the long history", "ms", of(many, "claim ms"), more=False),
        Figure("… timetable, with the long history", "ms", of(many, "timetable ms"), more=False),
    ]


def _fill(server: str, folder: str) -> None:
    """Articles that wait and are due."""
    with opened(spoken(server, ACCOUNTS, Path(folder) / "var")) as app:
        planned(app)
        if not left_open(app):
            raise RuntimeError("nothing waits")


def _claims(server: str, folder: str) -> Sample:
    """Claim posts (each is then really sent, untimed), and time what waits."""
    with opened(spoken(server, ACCOUNTS, Path(folder) / "var")) as app:
        room = app.newsroom
        check.run(room)  # until a network has told the time, nothing starts
        room.sources = {}  # the look at the source before a claim costs the same whatever the history
        names = sorted(room.accounts)
        claims, times = [], []
        for turn in range(CLAIMS):
            began = time.perf_counter()
            started = deliver.start(room, names[turn % len(names)])
            claims.append(time.perf_counter() - began)
            if not isinstance(started, Started):
                raise RuntimeError(f"no claim: {started}")
            deliver.finish(room, started, deliver.send(room, started))
        for turn in range(TIMES):
            app.store.commit(MarkDirty((names[turn % len(names)],)))
            began = time.perf_counter()
            schedule.run(room)
            times.append(time.perf_counter() - began)
    claim, timetable = statistics.median(claims) * 1000, statistics.median(times[1:]) * 1000
    return {"ms": claim + timetable, "claim ms": claim, "timetable ms": timetable}


# -- history ------------------------------------------------------------------------------------------------------

#: Tables that grow with each post or article, and the columns that make a row one of its own.
_OWN = {
    "articles": {"id": "p.id||'-'||i", "guid": "p.guid||'-'||i"},
    "article_keys": {"value": "p.value||'-'||i", "article": "p.article||'-'||i"},
    "decisions": {"article": "p.article||'-'||i"},
    "deliveries": {"id": "p.id||'-'||i", "article": "p.article||'-'||i", "story": "p.story||'-'||i"},
    "attempts": {"id": "NULL", "delivery": "p.delivery||'-'||i", "key": "p.key||'-'||i"},
    "occupied": {"story": "p.story||'-'||i"},
}


def remember(path: Path, size: int) -> None:
    """Copy the store's one article with its sent deliveries until so many are there, back over the days."""
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA journal_mode = WAL")
        copies = size // ACCOUNTS
        back = f"({_DAYS} * 86400000000 / {copies}) * i"
        confirmed = "COALESCE(p.confirmed_at, p.sent_at)"
        for table, own in _OWN.items():
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            said = {name: own.get(name, f"p.{name}") for name in columns}
            if table == "deliveries":
                said["confirmed_at"] = confirmed
                said["attempt"] = "-i"  # what it points to is never asked
            for name in columns:
                if name.endswith("_at") or name in ("at", "fresh_from", "settle_until", "fresh_until", "lease_until"):
                    said[name] = f"{said[name]} - {back}"
            store.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies}) "
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(said[name] for name in columns)} FROM n, (SELECT * FROM {table}) p"
            )
        store.commit()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
