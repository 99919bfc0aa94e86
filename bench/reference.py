"""httpx1: a bare loop of POSTs on one kept-alive `httpx.Client`, one thread: no key, no parsing, no ledger.

And a bare loop of durable commits: what the disk asks for, whatever the code.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import httpx

from bench.figures import Sample, apart

#: POSTs of one loop.
POSTS = 3_000
#: Commits of one loop.
COMMITS = 300


def httpx1(server: str, posts: int = POSTS) -> Sample:
    """One loop, in a process of its own."""
    return apart(_loop, server, posts)


def _loop(server: str, posts: int) -> Sample:
    with httpx.Client() as client:
        url, headers = f"{server}/api/v1/statuses", {"Authorization": "Bearer token-0"}
        client.get(f"{server}/api/v2/instance").raise_for_status()
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(posts):
            status = f"Rail strike is off, {number}\n\nhttps://www.example.com/news/{number}"
            answer = client.post(url, headers=headers, json={"status": status})
            if answer.status_code != 200:
                raise RuntimeError(f"the server says {answer.status_code}")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"posts/s": posts / wall, "CPU ms": cpu / posts * 1000}


def commit(folder: Path) -> Sample:
    """One row per commit, on SQLite as the store opens it: WAL, synchronous = FULL."""
    took = []
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
        store.execute("CREATE TABLE one (x)")
        for number in range(COMMITS):
            began = time.perf_counter()
            store.execute("INSERT INTO one VALUES (?)", (number,))
            took.append(time.perf_counter() - began)
    return {"ms": statistics.median(took) * 1000}
