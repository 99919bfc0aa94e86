"""The year itself: the real flow and store, on a clock that goes from one instant with something due to the next.

Two things are the driver's and not the worker's: which instants there are (the worker has timers for the same ones),
and that accounts are checked when the worker starts, and posts read back a few times a day at most, instead of each
hour and each minute.
"""

from __future__ import annotations

import gc
import sys
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from bot.clock import SeededRandom
from bot.flow import check, deliver, discover, plan, reconcile, schedule
from bot.flow.newsroom import Newsroom
from bot.model import Article
from bot.rules.editorial import Editorial
from bot.sources.base import SourceOptions
from bot.store import Store, deliveries, sources
from bot.testing.clock import ManualClock
from bot.testing.network_server import FakeServer
from bot.testing.newsroom import editorial, newsroom
from bot.testing.source import Scripted
from tests.flow.stories import WORDS
from tests.year.almanac import GAP, HOUR, SETTLE, Absence, Desk, Expected, Piece

#: A source shows its newest two articles.
SHOWN = 2
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Leap:
    """At an instant somebody sets the wall clock, forward or back."""

    at: datetime
    by: timedelta


@dataclass(frozen=True)
class Stretch:
    """A part of the year with what is to happen in it."""

    begins: datetime
    ends: datetime
    expected: Expected
    restarts: Sequence[Absence] = ()
    leaps: Sequence[Leap] = ()


def rules(desks: Sequence[Desk]) -> Editorial:
    """Each desk's articles go to its account by its slots."""
    accounts: dict[str, dict[str, Any]] = {}
    schedules, routes = {}, []
    for desk in desks:
        accounts[desk.name] = {"timezone": desk.zone.key}
        if desk.quiet is not None:
            accounts[desk.name]["quiet"] = ["-".join(f"{at:%H:%M}" for at in desk.quiet)]
        schedules[desk.name] = {
            WEEK[day]: [at.isoformat("minutes") for at in times] for day, times in desk.slots.items()
        }
        routes.append(
            {"name": desk.name, "when": {"sources": list(desk.sources)}, "to": [desk.name], "schedule": desk.name}
        )
    defaults: dict[str, Any] = {
        "settle": SETTLE,
        "max_age": "72h",
        "caps": {"hour": 6, "day": 60, "gap": GAP},
        "near_duplicate": "warn",
    }
    return editorial(accounts, defaults=defaults, schedules=schedules, routes=routes)


def headline(name: str) -> str:
    """Words of a headline; some days apart they come again."""
    return f"{WORDS[crc32(name.encode()) % len(WORDS)]}, {name}"


@dataclass
class World:
    """Everything outside the worker, and the worker."""

    url: str
    clock: ManualClock
    desks: Sequence[Desk]
    polls: timedelta
    rounds: timedelta
    server: FakeServer = field(init=False)
    sources: dict[str, Scripted] = field(init=False)
    room: Newsroom = field(init=False)
    lives: int = 0
    posted: list[tuple[str, str, datetime]] = field(default_factory=list)
    published: deque[Piece] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.server = FakeServer(self.clock)
        self.rules = rules(self.desks)
        names = sorted(name for desk in self.desks for name in desk.sources)
        zone = ZoneInfo("UTC")
        self.sources = {name: Scripted(name, SourceOptions(every=self.polls), zone) for name in names}
        self.start()

    # -- the worker's life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process begins: everything but the store's file is new."""
        self.lives += 1
        self.room = newsroom(
            Store(self.url, self.clock, own_time=False),
            self.clock,
            self.rules,
            server=self.server,
            sources=self.sources,
            random=SeededRandom(self.lives),
            worker=f"worker-{self.lives}",
        )
        check.run(self.room)

    def stop(self) -> None:
        """The process ends: nothing of it is left but what it committed."""
        self.room.store.close()
        self.room.door.close()

    # -- a stretch of time ----------------------------------------------------------------------------------------

    def live(self, stretch: Stretch) -> list[tuple[str, str, datetime]]:
        """Go through a stretch; who posted what, and when."""
        self.clock.advance(stretch.begins - self.clock.now())
        self.posted = []
        self.published = deque(sorted(stretch.expected.pieces, key=lambda piece: (piece.published, piece.name)))
        agenda = self._agenda(stretch)
        while True:
            self._work()
            moment = self._next(agenda[0][0] if agenda else stretch.ends)
            self.clock.advance(max(timedelta(0), moment - self.clock.now()))
            if agenda and moment >= agenda[0][0]:
                agenda.pop(0)[1]()
            elif moment >= stretch.ends:
                break
        reconcile.run(self.room)
        self._collect(stretch.ends)
        return self.posted

    def _agenda(self, stretch: Stretch) -> list[tuple[datetime, Callable[[], None]]]:
        """What happens at set instants whatever is due, in order."""
        found: list[tuple[datetime, Callable[[], None]]] = []
        for absence in stretch.restarts:
            insort(found, (absence.begins, self._down_until(absence.ends)), key=lambda each: each[0])
        for leap in stretch.leaps:
            insort(found, (leap.at, self._set_clock(leap.by)), key=lambda each: each[0])
        moment = stretch.begins + self.rounds
        while moment < stretch.ends:
            insort(found, (moment, self._round), key=lambda each: each[0])
            moment += self.rounds
        return found

    def _down_until(self, ends: datetime) -> Callable[[], None]:
        def happens() -> None:
            self.stop()
            self.clock.advance(ends - self.clock.now())
            self.start()

        return happens

    def _set_clock(self, by: timedelta) -> Callable[[], None]:
        return lambda: self.clock.step_wall(by)

    def _round(self) -> None:
        reconcile.run(self.room)
        self._collect(self.clock.now() - HOUR)

    def _work(self) -> None:
        """What the worker does at an instant: look where something is due, plan, time, send."""
        for name in self._news():
            discover.run(self.room, only=name, anyway=True)
        discover.run(self.room)
        plan.run(self.room)
        schedule.run(self.room)
        deliver.run(self.room)
        schedule.run(self.room)

    def _news(self) -> list[str]:
        """The publishers show what is published by now; whose sources told of it (as a watched folder does)."""
        told = []
        while self.published and self.published[0].published <= self.clock.now():
            piece = self.published.popleft()
            source = self.sources[piece.source]
            source.show(*source.articles[-SHOWN + 1 :], article(piece))
            told.append(piece.source)
        return sorted(set(told))

    def _next(self, latest: datetime) -> datetime:
        """The next instant at which anything is due."""
        with self.room.store.read() as tx:
            times = [deliveries.next_due_at(tx, after=tx.now), sources.next_look(tx)]
        times.append(self.published[0].published if self.published else None)
        return min([latest, *(moment for moment in times if moment is not None)])

    def _collect(self, before: datetime) -> None:
        """Note what stands there, and let the server forget what was read back: its memory is not the bot's."""
        done = [post for post in self.server.posts if post.visible_at <= before]
        self.posted.extend((post.account, str(post.link), post.visible_at) for post in done)
        self.server.posts = [post for post in self.server.posts if post.visible_at > before]
        self.server.requests.clear()


def article(piece: Piece) -> Article:
    return Article(
        source=piece.source,
        guid=piece.name,
        headline=headline(piece.name),
        link=link(piece),
        published_at=piece.published,
    )


def link(piece: Piece) -> str:
    return f"https://www.example.com/{piece.desk}/{piece.name}"


def held() -> int:
    """The bytes of all containers that this process holds: what grows when something is never forgotten."""
    gc.collect()
    return sum(sys.getsizeof(each) for each in gc.get_objects())
