"""A worker process of the simulation: the real steps, one at a time, in an order and at moments that the dice choose.

As in a real worker each step runs again when it is woken, by a timer, or by a slow tick, and a post is three things
between which anything may happen: start, send, finish. A process dies at one of its next writes or bytes when its fuse
is burnt down; what it knew is gone then, and another one begins on the same store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.clock import SeededRandom
from bot.errors import SendError
from bot.flow import check, deliver, discover, plan, reconcile, restore, schedule
from bot.flow.deliver import Started
from bot.flow.newsroom import Newsroom
from bot.model import Pending, Receipt, Why
from bot.testing.newsroom import newsroom

if TYPE_CHECKING:
    from tests.simulation.world import Glance, World

#: Seconds between two runs of a step that nothing wakes: shortest and longest. A real worker's steps run far more
#: often; in most of those runs nothing happens, which teaches nothing.
CHECK = (12 * 3600.0, 30 * 3600.0)
DOUBT = (15.0, 130.0)
READ_BACK = (40.0, 280.0)
NOT_READ_BACK = (4 * 3600.0, 12 * 3600.0)
#: Two looks at sources lie so far apart (another worker may be at one, and die over it).
LOOKS = (10.0, 90.0)
#: How soon something due is tried again that could not start.
AGAIN = (30.0, 900.0)
#: Each look at a doubt that settles nothing makes the next wait so much longer.
PATIENCE = 1.8


class Death(BaseException):
    """A process ends here and now."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.name)
        self.process = process


class Process:
    """One worker, from its start to its death."""

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.alive = True
        self.fuse: int | None = None
        self.asleep_until = 0.0
        self.turn_at = 0.0
        self.woken: set[str] = {"check"}
        self.busy: set[str] = set()
        self.looked = 0
        self.next = dict.fromkeys(("discover", "check", "schedule", "deliver", "reconcile"), 0.0)
        self.room: Newsroom

    def begin(self) -> None:
        """What `bot.app.begin` does at a worker's start."""
        world = self.world
        left, finding = world.found_at_start(self)
        random = SeededRandom(world.week.seed * 1_000 + self.number)
        self.room = newsroom(
            world.store,
            world.clock,
            world.rules,
            server=world.server,
            sources=world.sources,
            options=world.options,
            network=world.network,
            random=random,
            worker=self.name,
            crash=self.crash_point,
        )
        world.rooms.append(self.room)
        self.room.patient = False
        self.room.wake = self.wake
        if world.week.workers == 1:
            self.room.orphans = frozenset(left)
        world.after_start(self, finding)

    # -- dying and sleeping -----------------------------------------------------------------------------------------

    def crash_point(self, name: str) -> None:
        """A place where a process could die."""
        if not self.alive:
            raise Death(self)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.world.story.tell(self.name, f"dies at “{name}”")
                self.alive = False
                raise Death(self)

    def wake(self, step: str) -> None:
        """What a step's commit makes another step do; the others are seen by what they would find."""
        if step in ("check", "deliver"):
            self.woken.add(step)

    # -- a turn -----------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Run one step, if there is one to run, and say when the next turn comes."""
        self.world.keep_witness()
        step = self._choose()
        if step is not None:
            self.woken.discard(step)
            self.busy.add(step)
            try:
                getattr(self, f"_{step}")()
            finally:
                self.busy.discard(step)
        self.world.turn_later(self, self._rest())

    def _choose(self) -> str | None:
        """A step that has something to do. (One that has nothing reads and ends, as most ticks of a real worker do.)"""
        now, glance = self.world.clock.monotonic(), self.world.glance()
        ready = {
            "discover": glance.look_due and self.next["discover"] <= now,
            "check": "check" in self.woken or self.next["check"] <= now,
            "plan": glance.unplanned,
            "schedule": glance.dirty and self.next["schedule"] <= now,
            "deliver": glance.due and self.next["deliver"] <= now,
            "reconcile": self._reconciles(glance) and self.next["reconcile"] <= now,
        }
        steps = [step for step, is_ready in ready.items() if is_ready and step not in self.busy]
        return self.world.dice.pick(steps) if steps else None

    def _reconciles(self, glance: Glance) -> bool:
        return glance.undecided or glance.unconfirmed or glance.unread

    def _rest(self) -> float:
        """Seconds until the next turn."""
        dice, now, glance = self.world.dice, self.world.clock.monotonic(), self.world.glance()
        if glance.unplanned or "check" in self.woken:
            return dice.seconds(0.1, 3)
        waits = [self.next["check"] - now, glance.next_look_in, glance.next_due_in]
        if glance.look_due:
            waits.append(self.next["discover"] - now)
        if glance.dirty:
            waits.append(max(self.next["schedule"] - now, dice.seconds(0.5, 60)))
        if glance.due:
            waits.append(self.next["deliver"] - now)
        if self._reconciles(glance):
            waits.append(self.next["reconcile"] - now)
        return max(0.2, min(waits)) + dice.seconds(0, 2)

    def _tick(self, step: str, between: tuple[float, float], times: float = 1.0) -> None:
        self.next[step] = self.world.clock.monotonic() + self.world.dice.seconds(*between) * times

    def _discover(self) -> None:
        """Every source that is due, or of which there is news."""
        self._tick("discover", LOOKS)
        news, self.world.news = self.world.news, set()
        for name in sorted({*news, *discover.due(self.room, self.room.sources)}):
            discover.look(self.room, self.room.sources[name], anyway=name in news)

    def _check(self) -> None:
        check.run(self.room)
        self._tick("check", AGAIN if self.room.parked_by_clock else CHECK)

    def _plan(self) -> None:
        plan.run(self.room)

    def _schedule(self) -> None:
        if not schedule.run(self.room):  # the clocks disagree: nothing is timed before they agree again
            self._tick("schedule", AGAIN)

    def _reconcile(self) -> None:
        restore.run(self.room)
        self.looked = 0 if reconcile.run(self.room) else self.looked + 1
        self._tick(
            "reconcile", DOUBT if self.world.glance().undecided else NOT_READ_BACK, PATIENCE ** min(self.looked, 9)
        )

    def _deliver(self) -> None:
        """Start what is due on one account that has nothing on its way in this process."""
        due = [name for name in self.world.due_accounts() if name in self.room.accounts and name not in self.busy]
        self._tick("deliver", AGAIN)
        if not due:
            return
        account = self.world.dice.pick(due)
        self.busy.add(account)
        try:
            self._begun(account, deliver.start(self.room, account))
        except BaseException:
            self.busy.discard(account)
            raise

    def _begun(self, account: str, started: Started | Why | None) -> None:
        """Something is on its way on an account now, or nothing is, for a reason."""
        if isinstance(started, Started):
            self.world.story.tell(self.name, f"starts attempt {started.attempt.id} of {started.delivery.id}, {account}")
            self.next["deliver"] = 0.0
            self._leg(account, lambda: self._send(started))
            return
        self.busy.discard(account)
        if started is None or started.reason in deliver._GO_ON:
            self.next["deliver"] = 0.0
        else:
            self.world.story.tell(self.name, f"nothing goes on {account}: {started.reason} {started.detail}".rstrip())

    # -- what is on its way -----------------------------------------------------------------------------------------

    def _leg(self, account: str, go: Callable[[], None]) -> None:
        """The account's thread goes on after a moment; now and then it sleeps, past what it was given."""
        dice, week = self.world.dice, self.world.week
        sleeps = not self.world.server.resting and dice.chance(week.sleepy)
        wait = dice.pick((9.0, 12.0, 100.0, 400.0, 3000.0)) if sleeps else dice.seconds(0, 0.5)
        if sleeps:
            self.world.story.tell(self.name, f"the thread of {account} sleeps for {wait:.0f} s")
        self.world.spring(wait)
        self.world.later(wait, self, go)

    def _send(self, started: Started) -> None:
        result = deliver.send(self.room, started)
        self.crash_point("deliver after send")
        self._leg(started.row.name, lambda: self._finish(started, result))

    def _finish(self, started: Started, result: Receipt | Pending | SendError) -> None:
        """The outcome; mostly with the start of what is due next, as a worker does that goes on."""
        account = started.row.name
        self.world.story.tell(self.name, f"attempt {started.attempt.id} ended: {type(result).__name__}")
        self.looked = 0
        self._tick("reconcile", READ_BACK if isinstance(result, Receipt) else DOUBT)
        if self.world.dice.chance(0.7):
            self._begun(account, deliver.hand_over(self.room, started, result))
        else:
            deliver.finish(self.room, started, result)
            self._begun(account, None)
