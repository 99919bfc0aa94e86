"""One pass: look at every source, plan, send all that is due, settle what can be settled, end.

It sends what is due now; what settles, waits for a gap or a slot stays planned for the next pass. Accounts are served
side by side, as the worker does. With settle and caps off, one pass sends everything that is new. What got no answer is
waited for until it could be looked up, since a pass that ended before could never settle it: each begins the wait anew.
A network that asks for a short rest gets it, and the pass goes on after that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from bot.app import App, begin
from bot.errors import UsageError
from bot.flow import STEPS, check, deliver, discover, plan, reconcile, restore, schedule
from bot.flow.newsroom import Newsroom
from bot.lean import on_one_core
from bot.model import Delivery, State
from bot.store import Tx, attempts, deliveries, sources, stops
from bot.store.sources import SourceRow
from bot.store.workers import Beat, Leave

# Rounds of a pass: each ends with something moved. More than this means that time, not work, is what is missing.
ROUNDS = 100
# Sources looked at side by side: one that hangs delays no other.
LOOKS = 16
# What is unclear is looked up after the network's `in_flight_max` (60 s after a lost reply) and, should that look fail,
# once more (reconcile's first two distances, 5 s and 30 s); a pass that waited for longer would rather be a worker. The
# same holds for a rest that a network asks for. Whatever leaves meanwhile renews the patience.
PATIENCE = 120.0
# A folder asks for another look after 2 s where a file may still be written; no other source comes back so soon.
SOON = timedelta(seconds=3)
# Steps that act by the clock: the networks are asked for the time first.
BY_THE_CLOCK = ("schedule", "deliver")
# How often it is tried meanwhile.
TRY_EVERY = 1.0


def run_once(app: App, only: str | None = None, *, stopping: threading.Event | None = None) -> int:
    """The exit code: 0 done, 3 some were not sent, 6 stopped, 8 some are unclear. Raises StoreError, UsageError.

    `stopping` ends the pass between two posts.
    """
    one_pass = Pass(app, stopping or threading.Event())
    if only is not None and only not in STEPS:
        raise UsageError(f'There is no step "{only}". The steps are: {", ".join(STEPS)}.')
    begin(app)
    app.store.commit(Beat(app.newsroom.worker, "one pass"))
    began = app.store.now()
    try:
        if only is not None:
            if only in BY_THE_CLOCK:
                check.run(app.newsroom)  # by a wrong clock posts would be too old, or go too early
            one_pass.steps[only]()
        else:
            one_pass.whole()
    finally:
        app.write_witness()
        app.store.commit(Leave(app.newsroom.worker))
    return one_pass.code(began)


class Pass:
    """The steps, as one pass runs them."""

    def __init__(self, app: App, stopping: threading.Event) -> None:
        self.app = app
        self.room = app.newsroom
        self.stopping = stopping
        self.steps: dict[str, Callable[[], bool]] = {
            "discover": self._discover,
            "check": lambda: check.run(self.room),
            "plan": lambda: plan.run(self.room),
            "schedule": lambda: schedule.run(self.room),
            "deliver": self._deliver,
            "reconcile": lambda: restore.run(self.room) or reconcile.run(self.room),
        }

    def whole(self) -> None:
        """Every step until none moves anything any more and nothing is unclear or rests, or that waits too long."""
        clock = self.room.clock
        self._discover()
        if self._asked_again() and not clock.wait(self.stopping, SOON.total_seconds()):
            self._discover()
        self._until_quiet()
        left, patience = self._left(), clock.monotonic() + PATIENCE
        while (self._unclear() or self._rests_briefly()) and clock.monotonic() < patience:
            if clock.wait(self.stopping, TRY_EVERY):
                return
            self._until_quiet()
            if self._left() < left:
                left, patience = self._left(), clock.monotonic() + PATIENCE

    def _until_quiet(self) -> None:
        """Rounds of all steps. The networks are asked who we are at first, and again after posts (a token may end)."""
        rest = ("check", "plan", "schedule", "deliver", "reconcile")
        ask = True
        for _ in range(ROUNDS):
            moved = {
                name: self.steps[name]() for name in rest if not self.stopping.is_set() and (ask or name != "check")
            }
            if not any(moved.values()):
                return
            ask = moved.get("deliver", False)

    def _discover(self) -> bool:
        """Every source, due or not; one whose server asked for rest, or that failed, rests until its time."""
        with self.app.store.read() as tx:
            resting = {row.name for row in sources.all_sources(tx) if _rests(row, tx.now)}
        wanted = [source for name, source in sorted(self.room.sources.items()) if name not in resting]
        with ThreadPoolExecutor(LOOKS, "look") as pool:
            return any(list(pool.map(lambda source: discover.look(self.room, source, anyway=True), wanted)))

    def _asked_again(self) -> bool:
        with self.app.store.read() as tx:
            return any(
                row.next_look_at is not None and not row.errors and row.next_look_at - tx.now < SOON
                for row in sources.all_sources(tx)
                if row.name in self.room.sources
            )

    def _deliver(self) -> bool:
        with self.app.store.read() as tx:
            names = [name for name in deliveries.due_accounts(tx) if name in self.room.accounts]
        if not names:
            return False
        with ThreadPoolExecutor(len(names), "account", initializer=on_one_core) as pool:
            return any(list(pool.map(self._send, names)))

    def _send(self, account: str) -> bool:
        return deliver.run_account(self.room, account, going=lambda: not self.stopping.is_set())

    def _left(self) -> int:
        """How many deliveries have not come to an end."""
        with self.app.store.read() as tx:
            return sum(deliveries.counts(tx).values())

    def _rests_briefly(self) -> bool:
        with self.app.store.read() as tx:
            until = deliveries.limited_until(tx, self.room.accounts)
            return until is not None and until - tx.now <= timedelta(seconds=PATIENCE)

    def _unclear(self) -> bool:
        with self.app.store.read() as tx:
            return bool(attempts.undecided(tx))

    def code(self, began: datetime) -> int:
        """What the pass ends with."""
        with self.app.store.read() as tx:
            counted = deliveries.counts(tx)
            due = deliveries.due_accounts(tx)
            stopped = bool(stops.switches(tx))
            refused = deliveries.listing(tx, states=[State.REJECTED], since=began, limit=1)
            failed = any(row.errors for row in sources.all_sources(tx) if row.name in self.room.sources)
            kept = [one for one in _waiting(tx, self.room) if one.tries or one.due_at is None]
            resting = deliveries.limited_until(tx, self.room.accounts) is not None
            doubted = [one for one in deliveries.listing(tx, states=[State.HELD], since=began) if one.doubted_at]
        if doubted or any(n and state in (State.UNKNOWN, State.SENDING) for (_, state), n in counted.items()):
            return 8
        if stopped and (due or kept):
            return 6
        return 3 if due or refused or failed or kept or resting else 0


def _waiting(tx: Tx, room: Newsroom) -> Iterable[Delivery]:
    for name in sorted(room.accounts):
        yield from deliveries.waiting(tx, name)


def _rests(row: SourceRow, now: datetime) -> bool:
    asked = row.errors > 0 or row.ended
    return asked and row.next_look_at is not None and row.next_look_at > now
