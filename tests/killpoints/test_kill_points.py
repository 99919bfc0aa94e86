"""The process really dies (os._exit) between any two writes or bytes: after a restart no double, nothing lost.

P03: 72 real kills in the suite, spread over all points of discover, check, plan, schedule, deliver and
reconcile, densest where an attempt is open; on both databases, and against servers that keep every promise and none.
The soak marker has 1,200.

After each death, before anything is mended: the ledger balances, and an article stands in the store with its source's
cursor, a plan with its deliveries (P28). After the restart: each post once, nobody left in sending (P31), and in doubt
only what was in doubt: an attempt that was open at the death, or whose answer the server lost.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.model import Outcome, State, Status
from bot.store import Store
from bot.store.ledger import imbalances
from bot.store.migrate import differences, require, revision
from bot.store.schema import articles, attempts, deliveries, meta, metadata
from bot.store.sources import all_sources
from bot.testing import mastodon_server
from bot.testing.clock import START, ManualClock
from bot.testing.mastodon_server import MastodonServer, scripted
from bot.testing.network_server import FakeServer, Fault
from tests.conftest import empty_database
from tests.flow.ledger_check import faults
from tests.killpoints.lives import Child, Loopback

ACCOUNTS = 2
#: Kills of each story on each database: 6 stories x 2 databases x 5 = 60, and 8 with threads.
KILLS = 5
#: A life: two looks with so many seconds after them in all. The second shows the first article under another id and
#: with another headline, and a new one.
LIFE = 220
FIRST = {"guid": "one", "headline": "Rail strike is off", "link": "https://www.example.com/news/1"}
MOVED = {**FIRST, "guid": "one-again", "headline": "Rail strike is off after talks"}
SECOND = {"guid": "two", "headline": "Court rules on levy", "link": "https://www.example.com/news/2"}
LOOKS = [[FIRST], [MOVED, SECOND]]
POSTS = 2 * ACCOUNTS
#: The second life: long enough for a dead worker's look (120 s) and lease (90 s), and for a look-up (60 s) after it.
AFTERWARDS = 300


@dataclass(frozen=True)
class Story:
    """A network's promises and its server's faults. `lost`: how many answers it loses; `stale`: whose token is over."""

    network: str
    lost: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: timedelta | None = None
    faults: Sequence[Any] = ()
    stale: Sequence[str] = ()
    ends: frozenset[State] = frozenset({State.SENT})


STORIES = {
    "keys honoured, an answer lost": Story(
        "mastodon", lost=1, keys=timedelta(hours=1), faults=(mastodon_server.Fault.DROP_AFTER,)
    ),
    "keys ignored, a request lost": Story("mastodon", lost=1, faults=(mastodon_server.Fault.DROP_BEFORE,)),
    "keys for ever, a request lost": Story(
        "fake",
        lost=1,
        options={"idempotent": "permanent"},
        keys=timedelta(days=400),
        faults=(Fault.LOST_BEFORE,),
    ),
    "two phases, the second's answer lost": Story(
        "fake", lost=1, options={"two_phase": True}, faults=(None, None, Fault.LOST_AFTER)
    ),
    # The first post meets a token that is over; it is renewed once, stored, and the post goes out at once (P81).
    "a token that is over": Story("fake", stale=("1",)),
    # Nothing can be looked up: what was on the way when the process died is held for a person, and never sent again.
    "neither key nor look-up": Story("fake", options={"find": False}, ends=frozenset({State.SENT, State.HELD})),
}


@dataclass(frozen=True)
class Network:
    """A server for one story: where it is, its clock, and what it published as (account, link)."""

    base: str
    clock: ManualClock
    published: Callable[[], Counter[tuple[str, str]]]


@contextmanager
def serving(story: Story) -> Iterator[Network]:
    clock = ManualClock(START + timedelta(seconds=100))
    if story.network == "mastodon":
        keys, lost = story.keys is not None, scripted(story.faults)
        with MastodonServer(keys=keys, faults=lost, clock=clock) as mastodon:
            posts = mastodon.statuses
            yield Network(mastodon.base, clock, lambda: Counter((one.account, _link(one.text)) for one in posts))
        return
    fake = FakeServer(clock, keys=story.keys)
    fake.faults.extend(story.faults)
    fake.stale.update(story.stale)
    with Loopback(fake) as loopback:
        yield Network(loopback.base, clock, lambda: Counter((one.account, _link(one.text)) for one in fake.posts))


def _link(text: str) -> str:
    return next(word for word in text.split() if word.startswith("https://"))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    opened = Child()
    yield opened
    opened.close()


class Places:
    """The store's place, emptied for each life: a template's copy on SQLite, the same database on PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None
        if self._path is not None:
            shutil.copyfile(self._path, self._path.with_suffix(".empty"))
        self.store = Store(url, ManualClock(), own_time=False)

    def empty(self) -> None:
        self.store.close()
        if self._path is not None:
            for name in ("-wal", "-shm"):
                self._path.with_name(self._path.name + name).unlink(missing_ok=True)
            shutil.copyfile(self._path.with_suffix(".empty"), self._path)
            return
        with self.store.engine.begin() as connection:
            for table in metadata.sorted_tables:
                if table is not meta:
                    connection.execute(table.delete())


@pytest.fixture
def places(store_url: str) -> Iterator[Places]:
    opened = Places(store_url)
    yield opened
    opened.store.close()


def a_life(story: Story, places: Places, network: Network, **more: Any) -> dict[str, Any]:
    return {
        "store": places.url,
        "network": story.network,
        "server": network.base,
        "options": dict(story.options),
        "accounts": ACCOUNTS,
        "looks": LOOKS,
        "start": START.isoformat(),
        "seed": 1,
        "for": LIFE,
        **more,
    }


def points_of(child: Child, story: Story, places: Places) -> list[str]:
    """All points of one undisturbed life; it is lived in the fork server, which is warm from then on."""
    places.empty()
    with serving(story) as network:
        points = child.through(a_life(story, places, network, here=True))
        assert all_once(network, POSTS)
    return points


def all_once(network: Network, wanted: int) -> bool:
    posts = network.published()
    return set(posts.values()) == {1} and len(posts) == wanted


def in_doubt(points: Sequence[str]) -> list[int]:
    """The points (counted from 1) at which an attempt is on its way."""
    found, open_now = [], False
    for number, name in enumerate(points, 1):
        open_now = (open_now or name == "deliver before start") and name != "deliver after finish"
        if open_now:
            found.append(number)
    return found


def spread(points: Sequence[int], number: int, shift: float = 0.5) -> list[int]:
    """So many of them, evenly; `shift` (0 to 1) moves all within their shares, so that stories die at other points."""
    return [points[int(len(points) / number * (place + shift))] for place in range(number)]


def half_done(store: Store) -> list[str]:
    """What a death left half-written: nothing, ever. What is open is open, not inconsistent."""
    with store.read() as tx:
        there = tx.execute(select(func.count()).select_from(articles)).scalar_one()
        looked = [source for source in all_sources(tx) if source.last_good_at is not None]
        planned = select(articles.c.id).where(~articles.c.unplanned, articles.c.status == Status.LIVE)
        plans = {row.id: 0 for row in tx.rows(planned.order_by(articles.c.id))}
        for row in tx.rows(select(deliveries.c.article).order_by(deliveries.c.id)):
            plans[row.article] = plans.get(row.article, 0) + 1
        found = [f"{one} has {number} deliveries" for one, number in plans.items() if number not in (0, ACCOUNTS)]
        found += imbalances(tx)
    if bool(there) != bool(looked):
        found.append(f"{there} articles, and the cursor says {looked}")
    return found + faults(store)


def open_attempts(store: Store) -> int:
    with store.read() as tx:
        return int(tx.execute(select(func.count()).where(attempts.c.outcome == Outcome.OPEN)).scalar_one())


def doubted(store: Store) -> int:
    """How many attempts were ever of unknown outcome."""
    doubtful = (Outcome.UNKNOWN, Outcome.ABSENT, Outcome.FOUND)
    with store.read() as tx:
        return int(tx.execute(select(func.count()).where(attempts.c.outcome.in_(doubtful))).scalar_one())


def kill_at(child: Child, story: Story, places: Places, point: int, **more: Any) -> str:
    """One death and what comes after it; the point's name."""
    places.empty()
    with serving(story) as network:
        name, at = child.killed(a_life(story, places, network, die_at=point, **more))
        assert half_done(places.store) == [], (point, name)
        left = open_attempts(places.store)
        restart(child, story, places, network, at)
        posts = network.published()
        assert set(posts.values()) <= {1}, (point, name, f"doubled: {posts}")
        with places.store.read() as tx:
            rows = tx.rows(select(deliveries.c.state, func.count().label("number")).group_by(deliveries.c.state))
            states = {State(row.state): row.number for row in rows}
        assert set(states) <= story.ends, (point, name, states)
        assert sum(states.values()) == POSTS, (point, name, f"lost: {states}")
        assert states.get(State.HELD, 0) <= left, (point, name, states)
        assert len(posts) >= states.get(State.SENT, 0), (point, name, f"lost: {posts}")
        assert doubted(places.store) <= left + story.lost, (point, name)
        assert faults(places.store) == [], (point, name)
    return name


def restart(child: Child, story: Story, places: Places, network: Network, at: datetime) -> None:
    """Another worker on the same store, a minute after the death."""
    later = at + timedelta(seconds=60)
    network.clock.step_wall(later + timedelta(seconds=100) - network.clock.now())
    again = {"start": later.isoformat(), "seed": 2, "for": AFTERWARDS, "looks": LOOKS[-1:]}
    child.through(a_life(story, places, network, **again))


@pytest.mark.parametrize("kills", [KILLS, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", STORIES)
def test_p03_p28_p31_a_death_at_any_point_doubles_nothing_and_loses_nothing(
    child: Child, places: Places, name: str, kills: int
) -> None:
    story = STORIES[name]
    points = points_of(child, story, places)
    assert {point.partition(" ")[0] for point in points} >= {"write", "before", "after", "discover", "plan", "deliver"}
    dense = in_doubt(points)
    calm = sorted(set(range(1, len(points) + 1)) - set(dense))
    shift = (list(STORIES).index(name) + 0.5) / len(STORIES)
    for point in (*spread(dense, kills // 2, shift), *spread(calm, kills - kills // 2, shift)):
        kill_at(child, story, places, point)


def test_p81_a_death_while_a_token_is_renewed_parks_nobody(child: Child, places: Places) -> None:
    story = STORIES["a token that is over"]
    points = points_of(child, story, places)
    for name in ("check before refresh", "check before refresh is stored"):
        kill_at(child, story, places, points.index(name) + 1)


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.soak)])
def test_p03_a_death_in_the_middle_of_shared_transactions(child: Child, places: Places, kills: int) -> None:
    """A thread for each account: their starts and outcomes share commits, and the order differs from life to life."""
    story = STORIES["keys ignored, a request lost"]
    dense = in_doubt(points_of(child, story, places))
    for point in spread(dense[: len(dense) // 2], kills):  # the order differs, and with it the number of points
        kill_at(child, story, places, point, threads=True)


def test_p103_a_death_in_the_middle_of_a_migration_leaves_the_store_as_it_was(
    child: Child, tmp_path: Path, postgres_server: str
) -> None:
    for url in (f"sqlite:///{tmp_path / 'new.db'}", empty_database(postgres_server)):
        store = Store(url, ManualClock(), own_time=False)
        life = {"store": url, "migrate": True, "start": START.isoformat()}
        for point in (1, 4, 20, 39):
            child.killed({**life, "die_at": point})
            assert revision(store) is None, point
        child.through(life)
        require(store)
        with store.engine.connect() as connection:
            assert differences(connection) == []
        store.close()
