"""Putting a backup back: the store is swapped, then what the networks show is taken over, and the person is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bot.app import App
    from bot.cli import Invocation


def put_back(call: Invocation, backup: Path, path: Path, who: str) -> int:
    """Restore an SQLite store. Raises StoreTaken while a worker runs, StoreError for a backup that is none."""
    from bot.app import join
    from bot.clock import SystemRandom
    from bot.store.backup import put_back as swap
    from bot.store.witness import restored_since

    settings = call.settings()
    aside = swap(backup, path, call.clock, stop=SystemRandom().new_id(), who=who)
    click.echo(f"Restored {path} from {backup}." + (f" The old store is kept as {aside}." if aside else ""))
    app = call.app()
    join(app.store, settings, app.newsroom.accounts)
    with app.store.read() as tx:
        since = restored_since(tx)
    held = _take_over(app)
    app.write_witness()
    app.close()
    click.echo(f"Everything is stopped. Own posts since {since:%d %b %Y %H:%M} UTC were read where they can be read.")
    if held:
        click.echo(f"{held} may be out and can't be looked up: wirepost queue --state held")
    click.echo("What was in the store since the backup is forgotten: stops, holds and texts of that time too.")
    click.echo("Look it over (wirepost queue), then: wirepost resume")
    return 0


def _take_over(app: App) -> str:
    """Adopt what the networks show; how many posts are held since nobody can tell, "" if none."""
    from bot.cli.phrasing import plural
    from bot.flow import restore
    from bot.model import Reason, State
    from bot.store import deliveries

    restore.run(app.newsroom, anyway=True)
    with app.store.read() as tx:
        held = deliveries.listing(tx, states=[State.HELD], limit=1_000_000)
    number = sum(one.reason.reason is Reason.RESTORED for one in held)
    return plural(number, "post") if number else ""
