"""The world of one week, in one thread: an agenda of events in virtual time, and the real newsroom in the midst of it.

Each event is one step of a worker, one leg of a post (start, send, finish), one act of a person, or one misfortune.
While an answer takes its time, the events that fall into it happen: other workers, stops, clock changes, deaths. After
every commit the promises are looked at, and when the week is over the adversary rests and what is left must come to its
end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.flow import restore
from bot.flow.newsroom import Account, Newsroom
from bot.model import Delivery
from bot.networks.base import Network
from bot.rules.editorial import Editorial
from bot.store import attempts, witness
from bot.store.accounts import Join
from bot.store.revisions import ApplyRules
from bot.store.schema import to_micros
from bot.store.witness import Christen, Finding, Witness
from bot.testing.clock import ManualClock
from bot.testing.network import Fake
from bot.testing.newsroom import editorial
from tests.simulation.adversary import WEEK, Act, ArticlePlan, Week
from tests.simulation.dice import Dice
from tests.simulation.editors import Editors
from tests.simulation.feeds import Feed, Piece
from tests.simulation.ground import Ground
from tests.simulation.internet import Internet
from tests.simulation.processes import Death, Process
from tests.simulation.promises import Broken, Promises
from tests.simulation.story import Story

#: After the week: how long the adversary rests at most, and how many events any week may have (a world that spins).
REST = timedelta(days=5)
EVENTS = 60_000
#: How deep events happen within the answers of others.
DEPTH = 3
#: The witness is written so often while a worker lives (seconds).
WITNESS = 60.0


@dataclass(order=True, slots=True)
class Event:
    """Something to happen: at true seconds, in the order in which it was planned; in a process, or (None) outside."""

    at: float
    number: int
    process: Process | None
    go: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Glance:
    """What a worker's timers would tell it: read past the store's own code."""

    due: bool
    dirty: bool
    unplanned: bool
    undecided: bool
    unconfirmed: bool
    unread: bool
    look_due: bool
    next_due_in: float
    next_look_in: float


class World:
    """`network` is the adapter of all accounts: a test brings a wrong one to see it caught."""

    def __init__(self, week: Week, ground: Ground, *, network: type[Network] = Fake) -> None:
        self.week, self.ground, self.network = week, ground, network
        self.dice = Dice(week.seed * 7 + 1)
        self.clock = ManualClock(week.start)
        self.story = Story(self.clock, f"seed {week.seed}")
        self.store = ground.store
        ground.clear(self.clock, self._at_point)
        self.server = Internet(week, self.clock, self.dice, self.story)
        self.server.arrived = lambda post: self.promises.arrived(post)
        self.server.meanwhile = self._while_waiting
        self.sources = {name: Feed(name) for name in week.sources}
        self.pieces: list[Piece] = []
        self.numbers = {f"desk{plan.number}": plan.number for plan in week.accounts}
        self.names = dict(self.numbers)  # those of before a renaming, too: the same person behind another label
        self.editors = Editors(self)
        self.processes: list[Process] = []
        self.rooms: list[Newsroom] = []
        self.stack: list[Process | None] = [None]
        self.agenda: list[Event] = []
        self.events = self.born = 0
        self.polls: set[str] = set()
        self.news: set[str] = set()
        self.armed: list[Act] = []
        self.witness: Witness | None = None
        self.witness_at = -WITNESS
        self.restored_ever = False
        self.drift = timedelta(0)
        self.waiting_until = 0.0
        self.over = False
        self.copies = 0
        self._settings()
        self.promises = Promises(self)

    # -- the store --------------------------------------------------------------------------------------------------

    @property
    def peek(self) -> sqlite3.Connection:
        """Reads the store's file past the store's own code."""
        return self.ground.peek

    def close(self) -> None:
        """Let go of the store."""
        for room in self.rooms:
            room.door.close()
        self.ground.close()

    def _at_point(self, name: str) -> None:
        """A named point of the store: whoever acts may die there; after a commit the promises are looked at."""
        if name.startswith("after commit"):
            self.promises.look()
        if self.stack[-1] is not None:
            self.stack[-1].crash_point(name)

    def glance(self) -> Glance:
        now = to_micros(self.clock.now())
        values = (now, now, now - 82_800_000_000, now - 30_000_000)
        row = self.peek.execute(_GLANCE, values).fetchone()
        due, next_due, dirty, unplanned, undecided, unconfirmed, next_look, looked, unread = row
        return Glance(
            due=bool(due),
            dirty=bool(dirty),
            unplanned=bool(unplanned),
            undecided=bool(undecided),
            unconfirmed=bool(unconfirmed),
            unread=bool(unread),
            look_due=bool(self.news) or looked < len(self.sources) or (next_look is not None and next_look <= now),
            next_due_in=(next_due - now) / 1e6 if next_due is not None else 1e9,
            next_look_in=(next_look - now) / 1e6 if next_look is not None else 1e9,
        )

    def due_accounts(self) -> list[str]:
        query = "SELECT DISTINCT account FROM deliveries WHERE state = 'waiting' AND due_at <= ? ORDER BY account"
        return [row[0] for row in self.peek.execute(query, (to_micros(self.clock.now()),))]

    # -- settings ---------------------------------------------------------------------------------------------------

    def _settings(self) -> None:
        """The settings file as it is now."""
        week = self.week
        plans = {name: week.accounts[number - 1] for name, number in self.numbers.items()}
        slotted = tuple(sorted(name for name, plan in plans.items() if plan.slots))
        self.rules: Editorial = editorial(
            {name: {**plan.rules, "network": self.network.name} for name, plan in sorted(plans.items())},
            defaults={
                "settle": f"{int(week.settle.total_seconds())}s",
                "max_age": f"{int(week.max_age.total_seconds())}s",
                "first_look": week.first_look,
                "near_duplicate": "warn",
            },
            schedules={"slots": {"daily": plans[slotted[0]].slots}} if slotted else {},
            routes=[
                *([{"name": "slots", "to": slotted, "schedule": "slots"}] if slotted else []),
                {"name": "all", "to": [name for name in sorted(plans) if name not in slotted]},
            ],
        )
        self.options: dict[str, Any] = {
            name: self.network.Options.model_validate({"token": SecretStr(f"token-{plan.number}"), **plan.promises})
            for name, plan in sorted(plans.items())
        }

    def template_room(self) -> Newsroom:
        """A newsroom to make the command line's from: that of the worker that began last."""
        return self.rooms[-1]

    def _reload(self, process: Process) -> None:
        """What `bot.app.App.apply` does when the settings changed."""
        wanted = tuple((name, self.network.name, rules.live) for name, rules in sorted(self.rules.accounts.items()))
        room = process.room
        accounts = {
            name: Account.marked(room.keyring, name, self.network, options) for name, options in self.options.items()
        }
        self.store.commit(Join(wanted, {name: account.mark for name, account in accounts.items()}))
        number = self.store.commit(ApplyRules(self.rules, "settings file", "reload", timedelta(days=30)))
        room.accounts = accounts
        room.editorial, room.rules = self.rules, number
        process.wake("check")

    # -- the agenda -------------------------------------------------------------------------------------------------

    def later(self, seconds: float, process: Process | None, go: Callable[[], None]) -> None:
        """Plan an event."""
        self.born += 1
        heappush(self.agenda, Event(self.clock.monotonic() + max(0.0, seconds), self.born, process, go))

    def turn_later(self, process: Process, seconds: float) -> None:
        process.turn_at = self.clock.monotonic() + seconds
        self.later(seconds, process, lambda at=process.turn_at: self._turn(process, at))

    def _turn(self, process: Process, at: float) -> None:
        if process.turn_at == at:  # else another turn was planned since
            process.turn()

    def nudge(self) -> None:
        """Somebody wrote into the store: the workers' ticks find it."""
        for process in self.processes:
            if process.alive:
                self.turn_later(process, self.dice.seconds(0.5, 15))

    def _happen(self, one: Event) -> None:
        """One event, with the clock at its time or, if others took longer, later.

        What a process would do while it waits for an answer comes after that: its threads share locks, and here is one
        thread only.
        """
        self.events += 1
        if self.events > EVENTS:
            raise Broken("the world spins: something is done again and again without an end")
        process = one.process
        if process is not None and not process.alive:
            return
        if process is not None and process.asleep_until > self.clock.monotonic():
            self.later(process.asleep_until - self.clock.monotonic() + 0.001, process, one.go)
            return
        if process is not None and process in self.stack:
            self.later(self.waiting_until - self.clock.monotonic() + 0.001, process, one.go)
            return
        self.stack.append(process)
        self.story.depth = len(self.stack) - 2
        try:
            one.go()
        except Death as death:
            assert death.process is process, "another process's death must not end this one's event"
            self._bury(death.process)
        finally:
            self.stack.pop()
            self.story.depth = max(0, len(self.stack) - 2)

    def _advance_to(self, at: float) -> None:
        ahead = at - self.clock.monotonic()
        if ahead > 0:
            self.clock.advance(ahead)

    def _while_waiting(self, seconds: float) -> None:
        """An answer takes so long; what was planned for that time happens meanwhile."""
        until = self.clock.monotonic() + seconds
        mine, before, self.waiting_until = self.stack[-1], self.waiting_until, until
        if len(self.stack) <= DEPTH:
            while self.agenda and self.agenda[0].at <= until:
                one = heappop(self.agenda)
                self._advance_to(one.at)
                self._happen(one)
        self._advance_to(until)
        self.waiting_until = before
        if mine is not None and not mine.alive:
            raise Death(mine)

    def _run_until(self, at: float, done: Callable[[], bool] = lambda: False) -> None:
        while self.agenda and self.agenda[0].at <= at and not done():
            one = heappop(self.agenda)
            self._advance_to(one.at)
            self._happen(one)

    # -- processes --------------------------------------------------------------------------------------------------

    def _start_process(self) -> None:
        self.born += 1
        process = Process(self, f"worker-{self.born}", self.born)
        self.processes.append(process)
        self.later(0, process, lambda: self._begin(process))

    def _begin(self, process: Process) -> None:
        self.story.tell(process.name, "starts")
        process.begin()
        self.turn_later(process, self.dice.seconds(0, 2))

    def found_at_start(self, process: Process) -> tuple[list[int], Finding]:
        """What a worker finds when it compares the store with the witness."""
        with self.store.read() as tx:
            now = witness.taken(tx)
            left = [attempt.id for attempt, _ in attempts.undecided(tx)]
        finding = witness.judge(self.witness, now)
        if not now.store_id:
            self.store.commit(Christen(f"store-{self.week.seed}", lost=False))
        return left, finding

    def after_start(self, process: Process, finding: Finding) -> None:
        if finding is Finding.RESTORED:
            self.story.tell(process.name, "finds an older store than before: everything stops")
            restore.begin(process.room, "an older store was put back", "wirepost")
            self.restored_ever = True
            self.later(self.dice.seconds(300, 20_000), None, self.editors.resume)
        self._write_witness()

    def keep_witness(self) -> None:
        """A worker writes it once a minute."""
        if self.clock.monotonic() - self.witness_at >= WITNESS:
            self._write_witness()

    def _write_witness(self) -> None:
        with self.store.read() as tx:
            self.witness = witness.taken(tx)
        self.witness_at = self.clock.monotonic()

    def _bury(self, process: Process) -> None:
        """A process is dead; another one begins after a while, unless everybody is at rest already."""
        if process in self.processes:
            self.processes.remove(process)
            self.later(1.0 if self.over else self.dice.pick((1.0, 30.0, 600.0, 20_000.0)), None, self._start_process)

    # -- the publisher ----------------------------------------------------------------------------------------------

    def _publish(self, plan: ArticlePlan) -> None:
        piece = Piece(plan, self.week.start)
        self.pieces.append(piece)
        for name in (plan.source, plan.also):
            if name is not None:
                self.sources[name].pieces.append(piece)
                self._poll_soon(name)
        self.story.tell("publisher", f"article {piece.number} in {plan.source}: {piece.headline}")

    def _poll_soon(self, name: str) -> None:
        """The source's next poll comes within minutes."""
        if name not in self.polls:
            self.polls.add(name)
            self.later(self.dice.seconds(5, 600), None, lambda: self._polled(name))

    def _polled(self, name: str) -> None:
        self.polls.discard(name)
        self.news.add(name)
        for process in self.processes:
            if process.alive:
                self.turn_later(process, self.dice.seconds(0, 5))

    def _changes(self) -> Piece | None:
        newest = [piece for piece in self.pieces if not piece.withdrawn][-8:]
        return self.dice.pick(newest) if newest else None

    # -- the week ---------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """The week, and the rest after it. Raises Broken."""
        for name, feed in self.sources.items():
            feed.failing = lambda feed=feed: feed.fails_until > self.clock.monotonic()
            feed.monotonic = self.clock.monotonic
            feed.meanwhile = self._slow_source
            self.story.tell("publisher", f"source {name}")
        for plan in self.week.articles:
            if plan.at < 0:
                self._publish(plan)
            else:
                self.later(plan.at, None, lambda plan=plan: self._publish(plan))
        for _ in range(self.week.workers):
            self._start_process()
        for at, act in self.week.acts:
            self.later(at, None, lambda act=act: self._act(act))
        self._run_until(self.clock.monotonic() + WEEK.total_seconds())
        self._rest()
        self.promises.at_the_end()

    def _slow_source(self) -> None:
        if not self.over and self.dice.chance(self.week.slow):
            self._while_waiting(self.dice.pick((2.0, 20.0, 29.0)))

    def _rest(self) -> None:
        """The adversary rests: the wire is sound, clocks are right, everybody is awake, every question is answered."""
        self.over = self.server.resting = True
        self.server.down = False
        self.server.dead.clear()
        self.clock.step_wall(-self.drift)
        self.drift = timedelta(0)
        self.promises.clock_was_set()
        self.story.tell("adversary", "rests")
        for feed in self.sources.values():
            feed.fails_until, feed.extra = 0.0, []
        for process in self.processes:
            process.fuse, process.asleep_until = None, 0.0
        if not self.processes:
            self._start_process()
        for name in self.sources:
            self._poll_soon(name)  # what a dead worker had begun to read is read again before the week is judged
        began = self.clock.monotonic()
        until = began + REST.total_seconds()
        self._run_until(began + 120)
        self.editors.resume()
        self._run_until(began + 1200)
        self._publish(replace(self.week.articles[-1], number=900, at=WEEK.total_seconds() + 1200, source="main",
                              also=None, dated=timedelta(0), embargo=None, breaking=False))  # fmt: skip
        for hours in (2, 8, 26, 50):
            self.editors.clear_all()
            self._run_until(began + hours * 3600, self._calm)
            if self._calm():
                break
        self._run_until(until, self._calm)
        self.editors.clear_all()
        self._run_until(self.clock.monotonic() + 3 * 24 * 3600, self._calm)

    def _calm(self) -> bool:
        """Is nothing left that has to come to an end?"""
        open_states = "SELECT 1 FROM deliveries WHERE state IN ('waiting', 'sending', 'unknown', 'held') LIMIT 1"
        return self.promises.knows(900) and self.peek.execute(open_states).fetchone() is None

    def since_started(self, one: Delivery) -> timedelta:
        """How long ago, in truth, an attempt of the delivery was started last."""
        return self.promises.since_started(one.id)

    # -- acts -------------------------------------------------------------------------------------------------------

    def _act(self, act: Act) -> None:
        """At once; or, where that is the worst moment, while the next post is on its way."""
        if act in _LURKING and self.dice.chance(0.5):
            self.armed.append(act)
            return
        self._strike(act)

    def _strike(self, act: Act) -> None:
        if not self.over:
            if act is not Act.EDITOR:
                self.story.tell("adversary", str(act))
            _ACTS[act](self)

    def spring(self, wait: float) -> None:
        """A post begins or goes on in so many seconds: what lies in wait for one happens before that."""
        armed, self.armed = self.armed, []
        for act in armed:
            self.later(self.dice.seconds(0, wait), None, lambda act=act: self._strike(act))

    def _living(self) -> Process | None:
        living = [process for process in self.processes if process.alive]
        return self.dice.pick(living) if living else None

    def _die(self) -> None:
        process = self._living()
        if process is not None and process.fuse is None:
            process.fuse = self.dice.number(1, 30)

    def _freeze(self) -> None:
        process = self._living()
        if process is not None:
            process.asleep_until = self.clock.monotonic() + self.dice.pick((20.0, 150.0, 3600.0, 12_000.0))

    def _set_clock(self) -> None:
        """Forward or back; somebody sets it right after a while."""
        step = timedelta(seconds=self.dice.pick((-3600, -240, -45, 45, 150, 240, 3600, 18_000)))
        self._step(step)
        self.later(self.dice.pick((30.0, 900.0, 30_000.0)), None, lambda: self._step(-step))

    def _step(self, step: timedelta) -> None:
        if not self.over:
            self.drift += step
            self.clock.step_wall(step)
            self.promises.clock_was_set()
            self.story.tell("adversary", f"the clock is set by {step.total_seconds():+.0f} s")
            self.nudge()

    def _login_dies(self) -> None:
        number = str(self.dice.pick(self.week.accounts).number)
        self.server.dead.add(number)
        self.later(self.dice.pick((900.0, 20_000.0)), None, lambda: self._log_in(number))

    def _log_in(self, number: str) -> None:
        self.server.dead.discard(number)
        self.story.tell("ann", f"logs account {number} in again")

    def _token_ends(self) -> None:
        self.server.stale.add(str(self.dice.pick(self.week.accounts).number))

    def _network_down(self) -> None:
        self.server.down = True
        self.later(self.dice.pick((40.0, 600.0, 9000.0)), None, self._network_up)

    def _network_up(self) -> None:
        self.server.down = False
        self.story.tell("network", "can be reached again")

    def _removed(self) -> None:
        there = [post for post in self.server.posts if not post.deleted and self.promises.was_seen(post)]
        if there:
            self.server.remove(self.dice.pick(there[-6:]))

    def _retitle(self) -> None:
        piece = self._changes()
        if piece is not None:
            piece.retitle(self.dice.chance(0.3))
            self.story.tell("publisher", f"article {piece.number} is now: {piece.headline}")
            self._poll_soon(piece.plan.source)

    def _embargo(self) -> None:
        piece = self._changes()
        if piece is not None and piece.imposed is None:
            piece.imposed = self.story.true() + timedelta(seconds=self.dice.number(600, 40_000))
            self.story.tell("publisher", f"article {piece.number} is under embargo until {piece.imposed:%a %H:%M:%S}")
            self._poll_soon(piece.plan.source)

    def _churn(self) -> None:
        name = self.dice.pick(sorted(self.sources))
        self.sources[name].ids += 1
        self._poll_soon(name)

    def _withdraw(self) -> None:
        """An article is taken back, and shown again perhaps."""
        piece = self._changes()
        if piece is None:
            return
        piece.withdrawn = True
        self.story.tell("publisher", f"article {piece.number} is withdrawn")
        self._poll_soon(piece.plan.source)
        if self.dice.chance(0.5):
            self.later(self.dice.pick((300.0, 3600.0, 40_000.0)), None, lambda: self._show_again(piece))

    def _show_again(self, piece: Piece) -> None:
        piece.withdrawn = False
        self.story.tell("publisher", f"article {piece.number} is shown again")
        self._poll_soon(piece.plan.source)

    def _flood(self) -> None:
        name = self.dice.pick(sorted(self.sources))
        feed = self.sources[name]
        old = replace(self.week.articles[0], source=name, also=None, embargo=None, breaking=False)
        days = self.dice.number(3, 900)
        feed.extra = [
            Piece(replace(old, number=1000 + n, at=-86_400.0 * days, dated=timedelta(0)), self.week.start)
            for n in range(self.dice.number(4, 18))
        ]
        self.pieces[:0] = feed.extra
        self._poll_soon(name)

    def _source_fails(self) -> None:
        feed = self.sources[self.dice.pick(sorted(self.sources))]
        feed.fails_until = self.clock.monotonic() + self.dice.pick((600.0, 20_000.0))

    def _rename(self) -> None:
        old = self.dice.pick(sorted(self.numbers))
        number = self.numbers.pop(old)
        self.numbers[f"{old}x"] = self.names[f"{old}x"] = number
        self._settings()
        self.story.tell("ann", f"renames {old} to {old}x")
        for process in self.processes:
            if process.alive:
                self.later(self.dice.seconds(0, 30), process, lambda process=process: self._reload(process))

    def _copy(self) -> None:
        """A copy of the store is made now, and put back some time: every other one by `db backup`."""
        self.copies += 1
        backup = self.copies % 2 == 1
        copy = self.ground.copy(backup=backup)
        with self.store.read() as tx:
            then = replace(witness.taken(tx), copied=backup)
        self.later(self.dice.pick((900.0, 9000.0, 90_000.0)), None, lambda: self._put_back(copy, then))

    def _last_attempt(self) -> int:
        return self.peek.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()[0]

    def _put_back(self, copy: Path, then: Witness) -> None:
        """Everything stops, the older store takes the place of the newer one, and workers begin again.

        Not where the witness is younger than the copy but knows of no attempt since: docs/decisions/simulation.md.
        """
        assert self.witness is not None
        if len(self.stack) > 2:  # somebody's answer is awaited: a moment later
            self.later(60, None, lambda: self._put_back(copy, then))
            return
        unnoticed = witness.judge(self.witness, then) is not Finding.RESTORED
        if self.over or (unnoticed and self._last_attempt() > then.last_attempt):
            return
        for process in [process for process in self.processes if process.alive]:
            process.alive = False
            self.processes.remove(process)
        self.ground.put(copy)
        self.promises.restored()
        self.story.tell("adversary", "the older store is in its place")
        for _ in range(self.week.workers):
            self.later(self.dice.seconds(1, 600), None, self._start_process)


_GLANCE = """
SELECT
  EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting' AND due_at <= ?),
  (SELECT min(due_at) FROM deliveries WHERE state = 'waiting' AND due_at > ?),
  EXISTS (SELECT 1 FROM accounts WHERE dirty AND NOT removed),
  EXISTS (SELECT 1 FROM articles WHERE unplanned),
  EXISTS (SELECT 1 FROM deliveries WHERE state IN ('sending', 'unknown')),
  EXISTS (SELECT 1 FROM deliveries WHERE state = 'sent' AND confirmed_at IS NULL AND sent_at BETWEEN ? AND ?),
  (SELECT min(next_look_at) FROM sources WHERE NOT ended),
  (SELECT count(*) FROM sources),
  EXISTS (SELECT 1 FROM meta WHERE key LIKE 'restored_since' OR key LIKE 'unread_since/%')
"""

#: What may wait for a post that is on its way.
_LURKING = frozenset(
    {Act.CLOCK, Act.STOP, Act.DIE, Act.TOKEN_ENDS, Act.WITHDRAW, Act.NETWORK_DOWN, Act.EDITOR, Act.RENAME}
)

_ACTS: dict[Act, Callable[[World], None]] = {
    Act.EDITOR: lambda world: world.editors.act(),
    Act.STOP: lambda world: world.editors.stop(),
    Act.DIE: World._die,
    Act.FREEZE: World._freeze,
    Act.CLOCK: World._set_clock,
    Act.LOGIN_DIES: World._login_dies,
    Act.TOKEN_ENDS: World._token_ends,
    Act.NETWORK_DOWN: World._network_down,
    Act.REMOVED: World._removed,
    Act.RETITLE: World._retitle,
    Act.EMBARGO: World._embargo,
    Act.CHURN: World._churn,
    Act.WITHDRAW: World._withdraw,
    Act.FLOOD: World._flood,
    Act.SOURCE_FAILS: World._source_fails,
    Act.RENAME: World._rename,
    Act.RESTORE: World._copy,
}
