"""Lateness: of posts whose time has come, of files dropped into a folder, of articles that appear in a feed.

All three with real processes or the real worker, and the server's own clock as the witness (it is the same machine's).
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.delivery import begun, checked, recorded
from bench.figures import Figure, Means, Sample, apart, interleaved, of
from bench.house import opened, planned, source, spoken
from bench.processes import running
from bench.server import Server
from bench.stories import as_feed, as_file, stories
from bot.app import App
from bot.flow import schedule
from bot.model import Delivery, State
from bot.store import deliveries
from bot.store.deliveries import ChangeDelivery

ACCOUNTS = 12
#: Posts with a time of their own: so many articles on each account, within so many seconds, after a lead.
ARTICLES = 25
WITHIN = 12.0
LEAD = 5.0
#: Files dropped, one by one, and articles added to a feed that is looked at so often (seconds).
FILES = 30
NEWS = 10
EVERY = 3.0


def measure(means: Means) -> list[Figure]:
    """Each once per round, three rounds at most: they wait for real time."""
    few = Means(min(means.rounds, 3), means.folder, contenders=means.contenders)
    with Server() as server:
        found = interleaved(
            few,
            {
                "due": lambda: _due(server, means),
                "file": lambda: _files(server, means),
                "feed": lambda: _feed(server, means),
            },
        )
    figures = [
        Figure("lateness of a due post, p99", "ms", of(found.get("due", []), "p99 ms"), 250, more=False),
        Figure("… median", "ms", of(found.get("due", []), "median ms"), more=False),
        Figure("file dropped to its post, p95", "ms", of(found.get("file", []), "p95 ms"), 1_000, more=False),
        Figure("… median", "ms", of(found.get("file", []), "median ms"), more=False),
        Figure(
            "feed to post, beyond its interval, most", "ms", of(found.get("feed", []), "beyond ms"), 500, more=False
        ),
        Figure("… body of a look when nothing changed", "bytes", of(found.get("feed", []), "bytes"), 0, more=False),
    ]
    return [one for one in figures if one.values]


def share(values: list[float], percent: int) -> float:
    """The value that so many of a hundred keep below, the next one measured (no interpolation)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


# -- due posts ----------------------------------------------------------------------------------------------------


def _due(server: Server, means: Means) -> Sample:
    """Posts pinned to instants all over some seconds, by a person as `wirepost move` does it."""
    server.reset()
    server.show(as_feed(stories(ARTICLES, datetime.now(UTC))))
    due = apart(_pinned, server.base, str(means.fresh("due")))
    late = [(one.at - due[one.account, one.text.partition("\n")[0]]) * 1000 for one in server.posts()]
    if len(late) != len(due) or min(late) < 0:
        raise RuntimeError(f"{len(late)} posts for {len(due)}, the earliest {min(late):.0f} ms late")
    return {"p99 ms": share(late, 99), "median ms": statistics.median(late)}


def _pinned(server: str, folder: str) -> dict[tuple[str, str], float]:
    """When each post was due: by account number and headline, as a Unix time."""
    with opened(spoken(server, ACCOUNTS, Path(folder) / "var")) as app:
        planned(app)
        waiting = _waiting(app)
        start = app.newsroom.clock.now() + timedelta(seconds=LEAD)
        for place, one in enumerate(waiting):
            at = start + timedelta(seconds=WITHIN * place / len(waiting))
            app.store.commit(
                ChangeDelivery(
                    current=one, event="delivery_moved", who="bench", changes={"pinned_at": at, "due_at": at}
                )
            )
        schedule.run(app.newsroom)
        due = {(str(int(one.account[1:])), one.text.partition("\n")[0]): _unix(one) for one in _waiting(app)}
        worker = begun(app)
        recorded(app, server, len(due), 120)
        worker.stop()
    return due


def _waiting(app: App) -> list[Delivery]:
    """All that waits, so mixed that each account's turn comes round."""
    with app.store.read() as tx:
        found = deliveries.listing(tx, states=[State.WAITING], limit=10_000)
    return sorted(found, key=lambda one: (one.article, one.account))


def _unix(one: Delivery) -> float:
    assert one.due_at is not None
    return one.due_at.timestamp()


# -- files and feeds ----------------------------------------------------------------------------------------------


def _files(server: Server, means: Means) -> Sample:
    """Files put whole into a watched folder, at odd distances; the last of each one's twelve posts counts."""
    server.reset()
    folder = means.fresh("files")
    shown = folder / "in"
    shown.mkdir()
    took = []
    with running(spoken(server.base, ACCOUNTS, folder / "var", folder=shown), "run", log=folder / "log"):
        as_file(shown, stories(1, datetime.now(UTC), seed=9)[0])
        _expect(server, ACCOUNTS, folder / "log", 60)
        for number in range(FILES):
            time.sleep(0.2 + 0.6 * means.random.random())
            story = stories(1, datetime.now(UTC), seed=10 + number)[0]
            dropped = time.time()
            as_file(shown, story)
            _expect(server, ACCOUNTS * (number + 2), folder / "log", 30)
            took.append((server.posts()[-1].at - dropped) * 1000)
    return {"p95 ms": share(took, 95), "median ms": statistics.median(took)}


def _feed(server: Server, means: Means) -> Sample:
    """Articles that appear in a feed at odd times; what the looks between them cost."""
    server.reset()
    folder = means.fresh("feed")
    shown = stories(30, datetime.now(UTC) - timedelta(minutes=5), seed=99)
    server.show(as_feed(shown))
    said = spoken(server.base, ACCOUNTS, folder / "var") | source("MAIN", f"{server.base}/feed.xml", f"{EVERY:.0f}s")
    said["WIREPOST_DEFAULTS__FIRST_LOOK"] = "newest:1"
    beyond, changes = [], 1
    with running(said, "run", log=folder / "log"):
        _expect(server, ACCOUNTS, folder / "log", 60)
        for number in range(NEWS):
            time.sleep(EVERY * means.random.random())
            shown = [*shown, *stories(1, datetime.now(UTC), seed=100 + number)]
            appeared, changes = time.time(), changes + 1
            server.show(as_feed(shown))
            _expect(server, ACCOUNTS * (number + 2), folder / "log", EVERY + 30)
            beyond.append((server.posts()[-1].at - appeared - EVERY) * 1000)
        looks = server.looks()
    checked(server, ACCOUNTS * (NEWS + 1), ordered=False)
    # Each change is read once; a look in vain, and the last look before a post, may have no body.
    idle = sorted(size for _, size in looks)[: len(looks) - changes]
    return {"beyond ms": max(beyond), "bytes": float(sum(idle)), "looks": float(len(looks))}


def _expect(server: Server, posts: int, log: Path, seconds: float) -> None:
    if server.wait_for(posts, seconds) < posts:
        raise RuntimeError(f"not {posts} posts within {seconds:.0f} s: {log.read_text()[-2000:]}")
