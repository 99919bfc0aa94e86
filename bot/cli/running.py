"""The process around the worker: its start, its signals, its settings file, its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bot.errors import SettingsError, StoreError
from bot.lean import one_heap, settle

if TYPE_CHECKING:
    from bot.app import App
    from bot.cli import Invocation
    from bot.settings import Settings
    from bot.worker import Worker

# How often the settings file's content is looked at: a watch on the file would miss Kubernetes' exchange of a link.
SETTINGS_EVERY = 5.0
# At the end, idle threads go by themselves within this (seconds); what is left then hangs on somebody else.
BRIEFLY = 0.5
#: What only a new start can change.
FIXED = ("store.url", "listen", "var", "key", "workers", "log")


@contextmanager
def opened(call: Invocation, *, migrate: bool) -> Iterator[App]:
    """The store brought to our schema, the log set up, everything wired. Raises SettingsError, StoreError."""
    from bot.app import alone, build, prepare

    one_heap()
    settings = call.settings()
    _log(settings, call)
    with alone(settings, call.clock):
        _back_up(call, settings)
        prepare(settings, migrate_shared=migrate)
    _warn(call, settings)
    app = build(settings)
    if app.newsroom.keyring.made is not None:
        call.say(f"Made a key for stored logins: {app.newsroom.keyring.made}. Keep a copy of it in a safe place.")
    settle()
    try:
        yield app
    finally:
        app.close()


def once(call: Invocation, only: str | None, *, migrate: bool) -> int:
    """One pass, or one step of it; the exit code. A signal ends it between two posts."""
    from bot.pass_once import run_once

    stopping = threading.Event()
    _on_signals(stopping, stopping, threading.Event())
    with opened(call, migrate=migrate) as app:
        return run_once(app, only, stopping=stopping)


def serve(call: Invocation, *, migrate: bool) -> int:
    """The worker until a signal; the exit code: 0, or 8 if something was still on the wire at the end."""
    from bot.health import HealthServer
    from bot.worker import Worker

    wake, stopping, reload = threading.Event(), threading.Event(), threading.Event()
    _on_signals(wake, stopping, reload)
    with opened(call, migrate=migrate) as app:
        worker = Worker(app)
        seen = _content(app.settings.path)  # before the start, which takes its time
        worker.start()
        health = HealthServer(app.settings.listen, worker) if app.settings.listen else None
        try:
            _watch(call, worker, seen, wake, stopping, reload)
            code = 0 if worker.stop() else 8
            if worker.unfit is not None:
                raise worker.unfit
        finally:
            if health is not None:
                health.close()
        return _leave(code)


def _watch(
    call: Invocation,
    worker: Worker,
    seen: bytes | None,
    wake: threading.Event,
    stopping: threading.Event,
    reload: threading.Event,
) -> None:
    """Until it is to stop or must: reload on request, and whenever the settings file's content is another."""
    path = worker.app.settings.path
    old, refused = worker.app.settings, ""
    while not stopping.is_set() and worker.unfit is None:
        call.clock.wait(wake, SETTINGS_EVERY)
        wake.clear()
        content = _content(path)
        if not stopping.is_set() and (reload.is_set() or says_otherwise(content, seen)):
            reload.clear()
            seen = content
            refused = _reload(call, worker, old, refused)
            if refused:
                reload.set()  # tried again until the store takes them
            else:
                old = worker.app.settings


def says_otherwise(content: bytes | None, seen: bytes | None) -> bool:
    """Does the settings file say something else than it did? One that is gone or empty says nothing: an editor may be
    saving it just now, and without accounts nothing would go out. Pure."""
    return content is not None and bool(content.strip()) and content != seen


def _reload(call: Invocation, worker: Worker, old: Settings, said: str) -> str:
    """Valid settings hold from now on, and what differs from `old` is printed; with mistakes in them those stay.

    Why the store refused them, else "". `said` is what was printed of that already.
    """
    from bot.settings import environment, load, render

    try:
        new = load(call.config, environ=environment())
        changed = differences(old, new)
        worker.reload(new)
    except SettingsError as error:
        text = (_content(old.path) or b"").decode("utf-8-sig", "replace")
        call.say(render(error.problems, text))
        call.say("The old settings still hold.")
        worker.refuse(error)
        return ""
    except StoreError as error:
        if str(error) != said:
            call.say(f"The settings were not applied yet: {error}")
        return str(error)
    for key, (was, now) in changed.items():
        late = " (holds from the next start)" if key.startswith(FIXED) else ""
        call.say(f"settings: {key}: {was} → {now}{late}")
    if not changed:
        call.say("settings: read again, nothing differs")
    return ""


def differences(old: Settings, new: Settings) -> Mapping[str, tuple[str, str]]:
    """What differs, by key: (before, after). Secrets show as "(set)"."""
    from bot.settings.effective import effective

    before, after = ({key: str(value) for key, value, _ in effective(one)} for one in (old, new))
    keys = sorted(before.keys() | after.keys())
    pairs = {key: (before.get(key, "not set"), after.get(key, "not set")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _log(settings: Settings, call: Invocation) -> None:
    from bot import log

    as_json = settings.log == "json" or (settings.log == "auto" and not sys.stderr.isatty())
    level = "error" if call.quiet else ("info", "debug")[min(call.verbose, 1)]
    log.configure(json=as_json, level=level, clock=call.clock)


def _back_up(call: Invocation, settings: Settings) -> None:
    """An SQLite store of an older schema is copied before it is migrated. Raises StoreError."""
    from bot.cli.reading import sqlite_path
    from bot.store import Store, migrate

    path = sqlite_path(settings)
    if path is None or not path.exists():
        return
    store = Store(settings.store_url, call.clock)
    try:
        found = migrate.revision(store)
    finally:
        store.close()
    if found is None or found >= migrate.HEAD:
        return  # empty, ours, or newer: `prepare` refuses the newer one
    from bot.rehearsal import copy_file

    target = settings.var / "backups" / f"before-{migrate.HEAD}-{call.clock.now():%Y%m%d-%H%M%S}.db"
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_file(path, target)
    call.say(f"Copied the store to {target} before bringing it from schema {found} to {migrate.HEAD}.")


def _warn(call: Invocation, settings: Settings) -> None:
    """What a start should say though it goes on: data that a container would lose."""
    from bot.health import data_is_mount

    if data_is_mount(settings.var / "wirepost.db") is False:
        call.say(
            f"Warning: {settings.var} lies inside the container and is lost with it, and what was posted is forgotten. "
            "Mount a volume there."
        )


def _on_signals(wake: threading.Event, stopping: threading.Event, reload: threading.Event) -> None:
    """Stop on the first INT or TERM, leave at once on the second; read the settings again on HUP."""

    def stop(number: int, frame: Any) -> None:
        if stopping.is_set():
            os._exit(130)
        stopping.set()
        wake.set()

    def again(number: int, frame: Any) -> None:
        reload.set()
        wake.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, again)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _leave(code: int) -> int:
    """The exit code; at once if a thread still hangs on a source: its door and Python itself would wait for that.

    Everything is recorded by then, and the lock on the store dies with the process.
    """
    others = [one for one in threading.enumerate() if one is not threading.main_thread()]
    for one in others:
        one.join(BRIEFLY / len(others))
    return _exit(code) if any(one.is_alive() for one in others) else code


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)
