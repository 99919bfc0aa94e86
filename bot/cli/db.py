"""The store: bring it to this version's schema, check it, back it up, put a backup back."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli import Invocation, invocation
from bot.cli.acting import by_option

section = "Keep"


@click.group(help=__doc__)
def command() -> None:
    pass


@command.command("migrate")
@click.option("--check", is_flag=True, help="Only say whether there is anything to do.")
@click.pass_context
def migrate_command(ctx: click.Context, check: bool) -> int:
    """Bring the store to this version's schema. An SQLite store is backed up first."""
    from bot.app import prepare
    from bot.store import Store, migrate

    call = invocation(ctx)
    settings = call.settings()
    store = Store(settings.store_url, call.clock)
    there = store.path is None or store.path.exists()
    found = migrate.revision(store) if there else None
    if check:
        store.close()
        click.echo(f"The store has schema {found or 'none'}, this program {migrate.HEAD}.")
        return 0 if found == migrate.HEAD else 7
    if found not in (None, migrate.HEAD) and store.path is not None:
        _back_up(call, settings.var / "backups")
    store.close()
    done = prepare(settings, call.clock, migrate_shared=True)
    click.echo(f"The store has schema {migrate.HEAD}." + ("" if done else " There was nothing to do."))
    return 0


@command.command("check")
@click.pass_context
def check_command(ctx: click.Context) -> int:
    """Is the store sound, and does its ledger balance?"""
    from sqlalchemy import text

    from bot.store import ledger

    store = invocation(ctx).app().store
    faults = []
    if store.is_sqlite:
        with store.read() as tx:
            faults = [row[0] for row in tx.rows(text("PRAGMA integrity_check")) if row[0] != "ok"]
    with store.read() as tx:
        faults += ledger.imbalances(tx)
    for fault in faults:
        click.echo(f"FAIL  {fault}")
    if not faults:
        click.echo("ok    the store is sound, and its ledger balances")
    return 7 if faults else 0


@command.command("backup")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Into this folder.")
@click.pass_context
def backup_command(ctx: click.Context, folder: Path | None) -> int:
    """Copy the store while it works. Copies older than two weeks are removed from the folder."""
    from bot.store.backup import prune

    call = invocation(ctx)
    target = folder or call.settings().var / "backups"
    click.echo(f"Backed up to {_back_up(call, target)}")
    for old in prune(target, call.clock.now()):
        click.echo(f"Removed {old}")
    return 0


def _back_up(call: Invocation, folder: Path) -> Path:
    from bot.store import Store
    from bot.store.backup import back_up

    store = Store(call.settings().store_url, call.clock)
    try:
        return back_up(store, folder, call.clock.now())
    finally:
        store.close()


@command.command("restore")
@click.argument("backup", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Don't ask back.")
@by_option
@click.pass_context
def restore_command(ctx: click.Context, backup: Path, yes: bool, by: str) -> int:
    """Put a backup in the store's place. Everything is stopped then, until you resume."""
    from bot.app import build, join, prepare
    from bot.errors import UsageError
    from bot.flow import restore
    from bot.store import Store
    from bot.store.backup import put_back, verify

    call = invocation(ctx)
    settings = call.settings()
    path = Store(settings.store_url, call.clock).path
    if path is None:
        raise UsageError("This store is PostgreSQL: put it back with pg_restore; the worker sees that it is older.")
    verify(backup)
    if not yes:
        click.confirm(f"Replace {path} by {backup}? Posts made since then are not in it.", abort=True, err=True)
    aside = put_back(backup, path, call.clock.now())
    prepare(settings, call.clock)
    app = build(settings)
    join(app.store, settings)
    restore.begin(app.newsroom, f"restored from {backup.name}", by)
    restore.run(app.newsroom, anyway=True)
    app.write_witness()
    app.close()
    click.echo(f"Restored {path} from {backup}." + (f" The old store is kept as {aside}." if aside else ""))
    click.echo("Everything is stopped. Own posts since then were read from the networks where they can be read;")
    click.echo("what can't be known is on hold: wirepost queue. Then: wirepost resume")
    return 0
