"""Does the worker live? Answered from /live, else from the store's heartbeat, without the imports that cost.

A container asks this every half minute, so neither the settings' models nor SQLAlchemy nor httpx is loaded: only the
two keys that say where to look.
"""

from __future__ import annotations

import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import click

if TYPE_CHECKING:
    from bot.cli import Invocation

# A worker beats every 15 s (bot/worker.py); one that was not seen for so long is dead or stuck (bot/health.py).
BEAT = timedelta(seconds=60)
# The answer of a server on this machine.
ANSWER_WITHIN = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def alive(call: Invocation) -> int:
    """0 if it lives, 7 if not; one line says how that is known."""
    said, listen, store = _pointers(call)
    if listen:
        return _told(*_asked(listen))
    if store is not None and store.suffix != "":
        return _told(*_seen(store, call.clock.now()))
    return _told(*_seen_on_server(call)) if said else _told(False, "the settings file can't be read: wirepost check")


def _told(well: bool, words: str) -> int:
    click.echo(words, err=not well)
    return 0 if well else 7


def _pointers(call: Invocation) -> tuple[bool, str | None, Path | None]:
    """Could the settings be read, where the health server listens, and the SQLite file; None for another store."""
    context = click.get_current_context()
    config = call.config or _variable(context, "WIREPOST_CONFIG") or "config/wirepost.toml"
    path = Path(config)
    try:
        tree: dict[str, Any] = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return False, None, None
    folder = path.absolute().parent
    root = folder.parent if folder.name == "config" else folder
    listen = _variable(context, "WIREPOST_LISTEN") or tree.get("listen")
    var = root / (_variable(context, "WIREPOST_VAR") or tree.get("var") or "var")
    said = tree.get("store") or {}
    url = _variable(context, "WIREPOST_STORE") or (said if isinstance(said, str) else said.get("url"))
    if url is None:
        return True, listen, var / "wirepost.db"
    mark = "sqlite:///"
    return True, listen, root / url.removeprefix(mark) if url.startswith(mark) else None


def _variable(context: click.Context, name: str) -> str | None:
    """An environment variable, as click reads it for an option."""
    value = click.Option([f"--{name.lower()}"], envvar=name).resolve_envvar_value(context)
    return value or None


def _asked(listen: str) -> tuple[bool, str]:
    host, _, port = listen.rpartition(":")
    address = f"http://{_near(host)}:{port}/live"
    try:
        with urlopen(address, timeout=ANSWER_WITHIN) as answer:
            return answer.status == 200, f"{address}: {answer.status}"
    except (URLError, OSError) as error:
        return False, f"{address}: {getattr(error, 'reason', error)}"


def _near(host: str) -> str:
    """Where a server that listens there is reached from here: everywhere means here."""
    return "127.0.0.1" if host in ("", "0.0.0.0") else "[::1]" if host == "[::]" else host  # noqa: S104 -- what is listened on, spelled as what to ask


def _seen(path: Path, now: datetime) -> tuple[bool, str]:
    """The newest heartbeat of an SQLite store, read as a file that may not be changed."""
    if not path.exists():
        return False, f"{path}: there is no store yet"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=ANSWER_WITHIN)) as store:
            micros = store.execute("SELECT max(beat_at) FROM workers").fetchone()[0]
    except sqlite3.Error as error:
        return False, f"{path}: {error}"
    return _judged(None if micros is None else _EPOCH + timedelta(microseconds=micros), now)


def _seen_on_server(call: Invocation) -> tuple[bool, str]:
    from bot.cli.reading import opened
    from bot.store.workers import all_workers

    with opened(call) as store, store.read() as tx:
        beats = [row.beat_at for row in all_workers(tx)]
        return _judged(max(beats, default=None), tx.now)


def _judged(beat: datetime | None, now: datetime) -> tuple[bool, str]:
    if beat is None:
        return False, "no worker runs"
    age = now - beat
    return age <= BEAT, f"the worker was last seen {max(0, round(age.total_seconds()))} s ago"
