"""Send older articles of a source to an account: shown first, done with --yes."""

from __future__ import annotations

from datetime import timedelta

import click

from bot.cli import invocation
from bot.cli.acting import by_option

section = "Act"


@click.command(help=__doc__)
@click.argument("source")
@click.option("--account", required=True, metavar="NAME", help="To which account.")
@click.option("--since", metavar="TIME", help="Only articles published (or first seen) since then.")
@click.option("--max", "most", type=click.IntRange(1, 1000), default=10, show_default=True, help="At most so many.")
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show it (so does leaving out --yes).")
@by_option
@click.pass_context
def command(
    ctx: click.Context, source: str, account: str, since: str | None, most: int, yes: bool, dry_run: bool, by: str
) -> int:
    from bot.cli import reading
    from bot.cli.render import DRY_RUN, one_line, when
    from bot.rules.durations import spell_duration
    from bot.store import articles
    from bot.store.articles import Admit

    call = invocation(ctx)
    settings = call.settings()
    reading.source_named(settings, source)
    reading.account_named(settings, account)
    app = call.app()
    zone = settings.editorial.timezone
    start = when(since, zone, app.store.now()) if since is not None else None
    with app.store.read() as tx:
        found = articles.baseline(tx, source, since=start, limit=10_000)
    chosen = found[:most][::-1]
    gap = settings.editorial.caps_of(account).gap or timedelta(0)
    verb = "plan" if yes and not dry_run else "would plan"
    length = spell_duration(gap * max(0, len(chosen) - 1))
    click.echo(f"{verb} {len(chosen)} of {len(found)} articles on {account}, over {length} or more.")
    for one in chosen:
        click.echo(f"  {one.id}  {one_line(one.article.headline)}")
    if not yes or dry_run:
        click.echo(DRY_RUN)
        return 0
    app.store.commit(Admit(tuple(one.id for one in chosen), by, {account: {"who": by}}))
    return 0
