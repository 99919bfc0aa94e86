"""httpx1: a bare loop of POSTs on one kept-alive `httpx.Client`, one thread: no key, no parsing, no ledger."""

from __future__ import annotations

import time

import httpx

from bench.figures import Sample, apart

#: POSTs of one loop.
POSTS = 3_000


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
