"""The worker: runs the steps when they are woken, and lets none of them stop another.

Each step has a thread of its own that sleeps until it is woken: by another step's commit (on PostgreSQL by that of any
worker), by a timer for the next known time (APScheduler holds the timers and nothing else; the truth is in rows), or by
the safety net: it never sleeps longer than its slow tick, whatever the timers' wall clock does meanwhile. Sources are
looked at and accounts checked in pools, so that one that hangs delays no other; each account that has something due has
a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot import alerts
from bot.app import App, begin
from bot.errors import SettingsError, StoreError, WirepostError, WrongSchema
from bot.flow import check, deliver, discover, plan, reconcile, restore, schedule
from bot.lean import on_one_core
from bot.log import events
from bot.store import backup, deliveries, migrate, sources
from bot.store.audit import Note
from bot.store.bell import Bell
from bot.store.workers import Beat, Leave

# How long each step sleeps at most if nothing wakes it: the safety net, not the rhythm.
TICK = {
    "discover": timedelta(seconds=15),
    "check": timedelta(seconds=60),
    "plan": timedelta(seconds=15),
    "schedule": timedelta(seconds=15),
    "deliver": timedelta(seconds=5),
    "reconcile": timedelta(seconds=15),
    "watch": timedelta(seconds=15),
}
# While something is in doubt, reconcile comes round so often.
IN_DOUBT = timedelta(seconds=5)
# The heartbeat, witness (written by the start itself) and alerts let the first post go first.
FIRST_WATCH = timedelta(seconds=1)
# Looks, and checks, under way at once: a source that hangs takes one place until its deadline (30 s), never all.
LOOKS = 16
# A stop waits so long for what is on the wire: a request's whole time and the write of its outcome.
STOP_WITHIN = 25.0
# Old keys are looked for so often, in seconds.
A_DAY = 86_400.0
# Causes for alerts are looked for so often, in seconds: at every second heartbeat, of which they are half the cost.
ALERTS_EVERY = 20.0
# After the store failed: the next try.
STORE_RETRY = 2.0

#: To which step belongs what runs in the pools for it.
_STEP_OF = {"account": "deliver", "look": "discover"}

log = events("worker")


class Worker:
    """All steps of one process, from `start` to `stop`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.newsroom = app.newsroom
        self.newsroom.wake = self._committed
        self.stopping = threading.Event()
        self.doing = "starting"
        self.beat_at = app.newsroom.clock.monotonic()
        self._trouble: dict[str, str] = {}
        #: Why this worker must end: another version has brought the store to its own schema.
        self.unfit: WrongSchema | None = None
        self._events = {step: threading.Event() for step in TICK}
        self._threads: list[threading.Thread] = []
        self._busy: dict[str, Future[Any]] = {}
        self._again: set[str] = set()
        self._pool_lock = threading.Lock()
        self._looks = ThreadPoolExecutor(LOOKS, "look")
        self._checks = ThreadPoolExecutor(LOOKS, "check")
        self._sends = ThreadPoolExecutor(
            max(app.settings.workers, len(app.newsroom.accounts), 1), "account", initializer=on_one_core
        )
        self._unwatch: list[Callable[[], None]] = []
        self._scheduler: Any = None
        #: On SQLite nobody else is there to hear it.
        self._bell = None if app.store.is_sqlite else Bell(app.store, app.newsroom.worker, self.wake, self.stopping)

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: store and witness, then every step at once. Raises StoreError, StoreTaken."""
        finding = begin(self.app)
        log.info("started", store=self.app.store.url.get_backend_name(), finding=finding, **self._sizes())
        self._scheduler = _scheduler()
        for step in TICK:
            self._run_in_thread(step, partial(self._loop, step))
        self._scheduler.start()
        if self._bell is not None:
            self._run_in_thread("bell", self._bell.run)
        self._watch_sources()
        for step in TICK:
            if step != "watch":
                self.wake(step)
        self._later("watch", FIRST_WATCH)

    def stop(self) -> bool:
        """Take no more work, let what is on the wire end and be recorded. True if all of it did in time."""
        self.stopping.set()
        for event in self._events.values():
            event.set()
        for unwatch in self._unwatch:
            unwatch()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        deadline = self.newsroom.clock.monotonic() + STOP_WITHIN
        in_time = [self._ends(future, deadline) for future in self._flying()]
        for thread in self._threads:
            thread.join(max(0.1, deadline - self.newsroom.clock.monotonic()))
        self._looks.shutdown(wait=False, cancel_futures=True)
        self._checks.shutdown(wait=False, cancel_futures=True)
        self._sends.shutdown(wait=False, cancel_futures=True)
        if self.unfit is None:
            self._leave()
        log.info("stopped", in_time=all(in_time))
        return all(in_time)

    def wake(self, step: str) -> None:
        """Let a step run soon."""
        event = self._events.get(step)
        if event is not None:
            event.set()

    def _committed(self, step: str) -> None:
        """A step's commit lets another run soon: here, and in the other workers."""
        self.wake(step)
        if self._bell is not None:
            self._bell.ring(step)

    def _sizes(self) -> dict[str, int]:
        return {"sources": len(self.newsroom.sources), "accounts": len(self.newsroom.accounts)}

    def _flying(self) -> list[Future[Any]]:
        with self._pool_lock:
            return [future for key, future in self._busy.items() if key.startswith("account ")]

    def _ends(self, future: Future[Any], deadline: float) -> bool:
        from concurrent.futures import wait

        wait([future], max(0.0, deadline - self.newsroom.clock.monotonic()))
        return future.done()

    def _leave(self) -> None:
        try:
            self.app.write_witness()
            self.app.store.commit(Leave(self.newsroom.worker))
        except WirepostError as error:
            log.warning("leave_failed", error=str(error))

    # -- steps ----------------------------------------------------------------------------------------------------

    def _run_in_thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _loop(self, step: str) -> None:
        event, run, tick = self._events[step], getattr(self, f"_{step}"), TICK[step].total_seconds()
        while not self.stopping.is_set():
            # No job of APScheduler: that reckons by the wall clock, and rests for an hour when it is set back by one.
            self.newsroom.clock.wait(event, tick)
            event.clear()
            if not self.stopping.is_set():
                self._guarded(step, run)

    @property
    def store_trouble(self) -> str | None:
        """What the store last refused, until whom it refused it succeeds; a beat clears all, for it really writes."""
        return next(iter(list(self._trouble.values())), None)

    def _guarded(self, what: str, run: Callable[[], object]) -> None:
        """Run one step once. Whatever it raises is told and ends here: the other steps, and its next run, go on."""
        word = what.partition(" ")[0]
        step = _STEP_OF.get(word, word)
        try:
            if step != "watch":
                self.doing = step
            run()
            if step == "watch":
                self._trouble.clear()
            self._trouble.pop(what, None)
        except StoreError as error:
            self._trouble[what] = str(error)
            log.error("store_failed", step=step, error=str(error))
            self._later(step, timedelta(seconds=STORE_RETRY))
        except Exception as error:
            log.exception("step_failed", step=step, error=type(error).__name__)

    def _discover(self) -> None:
        for name in discover.due(self.newsroom, self.newsroom.sources):
            self._submit(self._looks, f"look {name}", self._look, self.newsroom.sources[name], False)
        self._time_looks()

    def _time_looks(self) -> None:
        with self.app.store.read() as tx:
            self._timer("discover", sources.next_look(tx), tx.now)

    def _look(self, source: Any, anyway: bool) -> None:
        self._again.discard(source.name)
        if discover.look(self.newsroom, source, anyway=anyway):
            self._committed("plan")
        while self._told_meanwhile(source.name):
            if discover.look(self.newsroom, source, anyway=True):
                self._committed("plan")
        self._time_looks()

    def _told_meanwhile(self, name: str) -> bool:
        """Did the source tell of something during the look? If not, whatever it tells from now on is a look of its own:
        both under the lock of `_submit`, or what is told between the two would be nobody's."""
        with self._pool_lock:
            if name in self._again and self._going():
                self._again.discard(name)
                return True
            self._busy.pop(f"look {name}", None)
            return False

    def _told(self, source: Any) -> Callable[[], None]:
        """What a watched source calls: look now; and once more if a look is under way, for it may be past the news."""

        def look() -> None:
            self._again.add(source.name)
            self._submit(self._looks, f"look {source.name}", self._look, source, True)

        return look

    def _check(self) -> None:
        check.end_of_want(self.newsroom)
        for name in check.begin(self.newsroom):
            self._submit(self._checks, f"check {name}", check.one, self.newsroom, name)

    def _plan(self) -> None:
        plan.run(self.newsroom)
        self.wake("schedule")

    def _schedule(self) -> None:
        schedule.run(self.newsroom)
        with self.app.store.read() as tx:
            self._timer("deliver", deliveries.next_due_at(tx), tx.now)

    def _deliver(self) -> None:
        with self.app.store.read() as tx:
            names = deliveries.due_accounts(tx)
            self._timer("deliver", deliveries.next_due_at(tx, after=tx.now), tx.now)
        for name in names:
            if name in self.newsroom.accounts:
                self._submit(self._sends, f"account {name}", self._send, name)

    def _send(self, account: str) -> None:
        if deliver.run_account(self.newsroom, account, going=self._going):
            self.wake("deliver")

    def _going(self) -> bool:
        return not self.stopping.is_set()

    def _reconcile(self) -> None:
        restore.run(self.newsroom)
        reconcile.run(self.newsroom)
        if reconcile.in_doubt(self.newsroom):
            self._later("reconcile", IN_DOUBT)

    def _watch(self) -> None:
        """The heartbeat, the witness, the alerts: none of them may keep another from happening."""
        self.beat_at = self.newsroom.clock.monotonic()
        failed: list[StoreError] = []
        upkeep = (self._beat, self.app.write_witness, self._alert, self._back_up, self._forget)
        for part in (self._require, *upkeep):
            try:
                part()
            except WrongSchema as error:
                self.unfit = error
                self.stopping.set()  # no post begins any more
                raise
            except StoreError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def _require(self) -> None:
        """A newer version may take the store over while this one runs (on PostgreSQL, by --migrate)."""
        migrate.require(self.app.store)

    def _beat(self) -> None:
        self.app.store.commit(Beat(self.newsroom.worker, self.doing))

    def _back_up(self) -> None:
        """An SQLite store is copied once a day (PostgreSQL has its own tools); a copy that fails stops nothing."""
        if not self.app.store.is_sqlite:
            return
        try:
            made = backup.daily(self.app.store, self.app.settings.var / "backups", self.newsroom.clock.now())
        except StoreError as error:
            log.error("backup_failed", error=str(error))
        else:
            if made is not None:
                log.info("backed_up", file=str(made))

    def _forget(self) -> None:
        """Once a day, and some at a time: old keys."""
        since = self.newsroom.sightings.since("old keys")
        if (since is None or since >= A_DAY) and not discover.forget(self.newsroom):
            self.newsroom.sightings.again("old keys")

    def _alert(self) -> None:
        since = self.newsroom.sightings.since("alerts")
        if since is None or since >= ALERTS_EVERY:
            self.newsroom.sightings.again("alerts")
            alerts.run(self.newsroom, self.app.settings.alerts)

    # -- timers and pools -----------------------------------------------------------------------------------------

    def _submit(self, pool: ThreadPoolExecutor, key: str, run: Callable[..., object], *args: object) -> None:
        """Run in the pool unless the same thing is running there already."""
        with self._pool_lock:
            running = self._busy.get(key)
            if self.stopping.is_set() or (running is not None and not running.done()):
                return
            self._busy[key] = pool.submit(self._guarded, key, lambda: run(*args))

    def _timer(self, step: str, at: datetime | None, now: datetime) -> None:
        """Wake a step at a time of the store's clock."""
        if at is not None:
            self._later(step, max(timedelta(0), at - now))

    def _later(self, step: str, wait: timedelta) -> None:
        if self._scheduler is None or self.stopping.is_set():
            return
        if wait <= timedelta(0):
            self.wake(step)
            return
        at = self.newsroom.clock.now() + wait
        self._scheduler.add_job(self.wake, "date", args=[step], run_date=at, id=f"timer {step}", replace_existing=True)

    def _watch_sources(self) -> None:
        """Sources that tell when they have something (a folder) are looked at then."""
        for source in self.newsroom.sources.values():
            told = self._told(source)
            unwatch = source.watch(told)
            if unwatch is not None:
                self._unwatch.append(unwatch)
                told()  # what came while nobody watched

    def refuse(self, error: SettingsError) -> None:
        """The settings file has mistakes: the old settings hold, and a person is told."""
        log.error("settings_invalid", problems=len(error.problems), error=str(error))
        try:
            self.app.store.commit(Note("settings_invalid", "settings", {"problems": len(error.problems)}))
        except StoreError as trouble:  # the log and the terminal have told it
            log.error("store_failed", step="settings", error=str(trouble))

    def reload(self, settings: Any) -> None:
        """Other settings hold from now on. Raises StoreError: not all of it is written, and it is to be repeated."""
        self.app.apply(settings, "settings file", "reload")
        for unwatch in self._unwatch:
            unwatch()
        self._unwatch = []
        self._watch_sources()
        for step in TICK:
            self.wake(step)
        self.app.store.commit(Note("settings_reloaded", str(self.newsroom.rules)))


def _scheduler() -> Any:
    """APScheduler's background scheduler, in UTC: late timers run always, and once."""
    from apscheduler.schedulers.background import BackgroundScheduler

    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    return BackgroundScheduler(timezone="UTC", job_defaults=defaults)
