"""Send older articles of a source to an account: shown first, done with --yes.

The newest are taken, and go out oldest first, by the account's gaps and caps.
"""

from __future__ import annotations

from datetime import timedelta

import click

from bot.cli import invocation
from bot.cli.acting import by_option, desk_of

section = "Act"
# So many articles are looked through; who has more says --since.
MOST = 10_000


@click.command(help=__doc__)
@click.argument("source")
@click.option("--account", required=True, metavar="NAME", help="To which account.")
@click.option("--since", metavar="TIME", help="Only articles published (or first seen) since then: 2026-11-20, or 7d.")
@click.option("--max", "most", type=click.IntRange(1, 1000), default=10, show_default=True, help="At most so many.")
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("-n", "--dry-run", "dry", is_flag=True, help="Only show it (so does leaving out --yes).")
@by_option
@click.pass_context
def command(
    ctx: click.Context, source: str, account: str, since: str | None, most: int, yes: bool, dry: bool, by: str
) -> int:
    from bot.cli import reading
    from bot.cli.phrasing import plural, state_word, why_words
    from bot.cli.render import DRY_RUN, moment, one_line, past
    from bot.rules.durations import spell_duration
    from bot.store.backlog import never_on
    from bot.wishes import carry_out_all

    call = invocation(ctx)
    settings = call.settings()
    reading.source_named(settings, source)
    reading.account_named(settings, account)
    app = call.app()
    start = past(since, settings.editorial.timezone, app.store.now()) if since is not None else None
    with app.store.read() as tx:
        found = never_on(tx, source, account, since=start, limit=MOST)
    chosen = found[:most][::-1]
    gap = settings.editorial.caps_of(account).gap or timedelta(0)
    length = spell_duration(gap * max(0, len(chosen) - 1))
    number = f"{len(chosen)} of {plural(len(found), 'article')} on {account}"
    left = f"{len(found) - len(chosen)} stay as seen"
    if dry or not yes or not chosen:
        click.echo(f"would plan {number} over {length} or more; {left}.")
        for one in chosen:
            click.echo(f"  {one.id}  {one_line(one.article.headline)}")
        click.echo(DRY_RUN if dry or not chosen else f"To do it, add --yes. {DRY_RUN}")
        return 0
    made = carry_out_all(app.newsroom, tuple(one.id for one in chosen), account, by)
    click.echo(f"Planned {number}; {left}.")
    desk, zone, now = desk_of(app, by), settings.editorial.timezone, app.store.now()
    shown = [desk.case(post.id).shown for post in made]
    for name, post in zip(shown, made, strict=True):
        due = f"for {moment(post.due_at, zone, now)}" if post.due_at is not None else f"is {state_word(post)}"
        click.echo(f"  {name}  {due}  {why_words(post, zone, now)}")
    click.echo(f"Undo: wirepost skip {' '.join(shown)}")
    return 0
