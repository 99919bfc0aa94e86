"""Run the bot: watch the sources, post what is due, until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import Invocation, invocation

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.worker import Worker

section = "Start"

# How often the settings file's content is looked at: a watch on the file would miss Kubernetes' exchange of a link.
SETTINGS_EVERY = 2.0


@click.command()
@click.option("--once", is_flag=True, help="One pass: look at every source, send what is due, end.")
@click.option("--only", metavar="STEP", help="With --once: run this step only.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go out; send and store nothing.")
@click.option("--online", is_flag=True, help="With --dry-run: networks may be asked what changes nothing.")
@click.option("--migrate", is_flag=True, help="Bring a PostgreSQL store to this version's schema first.")
@click.pass_context
def command(ctx: click.Context, once: bool, only: str | None, dry_run: bool, online: bool, migrate: bool) -> int:
    """Watch the sources and post what is due.

    Ctrl-C stops when what is on the wire has ended; a second Ctrl-C stops at once and leaves that unclear.
    """
    call = invocation(ctx)
    settings = call.settings()
    if only is not None and not once:
        raise click.UsageError("--only STEP goes with --once.")
    if dry_run:
        from bot.rehearsal import rehearse

        return rehearse(settings, click.echo, online=online)
    from bot.app import build, prepare

    prepare(settings, migrate_shared=migrate)
    _log(settings, call)
    app = build(settings)
    try:
        if once:
            from bot.pass_once import run_once

            return run_once(app, only)
        return _serve(call, app)
    finally:
        app.close()


def _log(settings: Settings, call: Invocation) -> None:
    from bot import log

    as_json = settings.log == "json" or (settings.log == "auto" and not sys.stderr.isatty())
    level = "error" if call.quiet else ("info", "debug")[min(call.verbose, 1)]
    log.configure(json=as_json, level=level, stream=sys.stderr)


def _serve(call: Invocation, app: Any) -> int:
    from bot.health import HealthServer
    from bot.worker import Worker

    worker = Worker(app)
    wake = threading.Event()
    stopping, reload = _on_signals(wake)
    worker.start()
    health = HealthServer(app.settings.listen, worker) if app.settings.listen else None
    seen = _content(app.settings.path)
    try:
        while not stopping.is_set():
            wake.wait(SETTINGS_EVERY)
            wake.clear()
            content = _content(app.settings.path)
            if reload.is_set() or content != seen:
                reload.clear()
                seen = content
                _reload(call, worker)
        return 0 if worker.stop() else 8
    finally:
        if health is not None:
            health.close()


def _on_signals(wake: threading.Event) -> tuple[threading.Event, threading.Event]:
    """Stop on the first INT or TERM, leave at once on the second; read the settings again on HUP."""
    stopping, reload = threading.Event(), threading.Event()

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
    return stopping, reload


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _reload(call: Invocation, worker: Worker) -> None:
    """Valid settings hold from now on; with mistakes in them the old ones stay, and it is said."""
    from bot.errors import SettingsError, StoreError
    from bot.settings import environment, load, render

    try:
        worker.reload(load(call.config, environ=environment()))
    except SettingsError as error:
        call.say(render(error.problems, ""))
        worker.refuse(error)
    except StoreError as error:
        call.say(f"The settings were not applied: {error}")
