"""The store: bring it to this version's schema, check it, back it up, put a backup back."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import click

from bot.cli import Invocation, invocation
from bot.cli.acting import by_option, dry_option
from bot.errors import UsageError

section = "Keep"


@click.group(help=__doc__)
def command() -> None:
    pass


@command.command("migrate")
@click.option("--check", is_flag=True, help="Only say whether there is anything to do.")
@click.pass_context
def migrate_command(ctx: click.Context, check: bool) -> int:
    """Bring the store to this version's schema. It is backed up first."""
    from bot.app import alone, prepare
    from bot.store import Store, migrate

    call = invocation(ctx)
    settings = call.settings()
    with closing(Store(settings.store_url, call.clock)) as store:
        found = migrate.revision(store) if store.path is None or store.path.exists() else None
        if check:
            click.echo(f"The store has schema {found or 'none'}, this program {migrate.HEAD}.")
            return 0 if found == migrate.HEAD else 7
        older = found not in (None, migrate.HEAD)
        if older:
            migrate.require_older(store)
    with alone(settings, call.clock):
        if older:
            click.echo(f"Backed up to {_back_up(call, settings.var / 'backups')}")
        done = prepare(settings, call.clock, migrate_shared=True)
    click.echo(f"The store has schema {migrate.HEAD}." + ("" if done else " There was nothing to do."))
    return 0


@command.command("check")
@click.pass_context
def check_command(ctx: click.Context) -> int:
    """Is the store sound, and does its ledger balance? Changes nothing."""
    from bot.cli.reading import opened
    from bot.store import ledger, migrate

    with opened(invocation(ctx), any_schema=True) as store:
        faults = ledger.damage(store)
        if not faults:
            migrate.require(store)
            with store.read() as tx:
                faults = ledger.imbalances(tx)
    for fault in faults:
        click.echo(f"FAIL  {fault}")
    if not faults:
        click.echo("ok    the store is sound, and its ledger balances")
    return 7 if faults else 0


@command.command("backup")
@click.option("--to", "folder", type=click.Path(file_okay=False), help="Into this folder.")
@click.pass_context
def backup_command(ctx: click.Context, folder: str | None) -> int:
    """Copy the store while it works, and verify the copy. Copies older than two weeks are removed from the folder.
    The key (var/key) is not in it: keep a copy of that apart."""
    from bot.store.backup import prune

    call = invocation(ctx)
    if folder == "":  # a cron line's variable that is not set
        raise UsageError("--to names no folder: give one, or leave --to out.")
    target = Path(folder) if folder else call.settings().var / "backups"
    click.echo(f"Backed up to {_back_up(call, target)}")
    for old in prune(target, call.clock.now()):
        click.echo(f"Removed {old}")
    return 0


def _back_up(call: Invocation, folder: Path) -> Path:
    from bot.cli.reading import opened
    from bot.store.backup import back_up

    with opened(call, any_schema=True) as store:
        return back_up(store, folder, call.clock.now())


@command.command("restore")
@click.argument("backup", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Don't ask back.")
@dry_option
@by_option
@click.pass_context
def restore_command(ctx: click.Context, backup: Path, yes: bool, dry: bool, by: str) -> int:
    """Put a backup in the store's place. Everything is stopped then, until you resume."""
    from bot.cli.reading import sqlite_path
    from bot.cli.render import DRY_RUN
    from bot.cli.restoring import put_back
    from bot.store.backup import verify

    call = invocation(ctx)
    path = sqlite_path(call.settings())
    if path is None:
        raise UsageError("This store is PostgreSQL: put it back with pg_restore; the worker sees that it is older.")
    verify(backup)
    if dry:
        click.echo(f"would put {backup} in the place of {path}, and stop everything.\n{DRY_RUN}")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"This replaces {path}; posts made since the backup are not in it. To do it: --yes")
        click.confirm(f"Replace {path} by {backup}? Posts made since then are not in it.", abort=True, err=True)
    return put_back(call, backup, path, by)
