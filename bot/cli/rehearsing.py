"""What `run --dry-run` prints: each line begins with "would", the text stands below it as it would leave."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import click

from bot import rehearsal
from bot.cli import phrasing
from bot.cli.render import DRY_RUN, moment, one_line, print_json
from bot.networks import network

if TYPE_CHECKING:
    from bot.cli import Invocation
    from bot.rehearsal import Rehearsed, Would
    from bot.settings import Settings


def show(call: Invocation, *, online: bool, as_json: bool) -> int:
    """Rehearse the run and print it; the exit code. Raises StoreError."""
    settings = call.settings()
    with rehearsal.rehearsal(settings, clock=call.clock) as app:
        found = rehearsal.run(app, online=online)
    if as_json:
        print_json(as_object(settings, found))
    else:
        for line in lines(settings, found):
            click.echo(line)
        click.echo(DRY_RUN)
    return 4 if any(error is not None for error in found.login.values()) else 0


def lines(settings: Settings, found: Rehearsed) -> list[str]:
    """One line for each post, source and refusal; a post's text below its line, moved in by two spaces."""
    told = []
    if found.started_as == "restored":
        told.append("would stop everything: an older store was put back, and posts since then may be missing in it")
    for name, counts in found.seen.items():
        told.append(f"would look at {name}: {_seen(counts)}")
    for one in found.posts:
        told.append(_line(settings, found, one))
        if one.payload is not None:
            told += [f"  {line}" for line in one.payload.text.split("\n")]
    zone = settings.editorial.timezone
    for headline, account, whys in found.refused:
        where = f" to {account}" if account else ""
        why = phrasing.would_not(whys[0], account, None, zone, found.now).removeprefix("would not go: ")
        told.append(f'would not send{where} "{one_line(headline)}": {why}')
    for name, error in found.login.items():
        if error is not None:
            told.append(f"would need a login for {name}: {one_line(error.words or type(error).__name__)}")
    return told


def _seen(counts: Any) -> str:
    words = {"seen": "articles seen", "new": "new", "changed": "changed", "gone": "gone", "broken": "broken"}
    return ", ".join(f"{counts.get(key, 0)} {word}" for key, word in words.items() if counts.get(key) or key == "seen")


def _line(settings: Settings, found: Rehearsed, one: Would) -> str:
    zone, delivery = settings.editorial.timezone, one.delivery
    head = f'"{one_line(one.headline)}" on {delivery.account}'
    if one.why is not None:
        said = phrasing.would_not(one.why, delivery.account, delivery, zone, found.now)
        return f"{said.partition(':')[0]}: {head}:{said.partition(':')[2]}"
    at = "now" if one.due_at is None or one.due_at <= found.now else moment(one.due_at, zone, found.now)
    limits = network(settings.accounts[delivery.account].network).limits
    place = phrasing.route_place(settings, delivery.route)
    route = f', route "{delivery.route}" ({place})' if delivery.route else ""
    rest = f" ({one.unsure})" if one.unsure else ""
    return f"would send {at}: {head}, {one.length} {phrasing.units(limits.unit, one.length)}{route}{rest}"


def as_object(settings: Settings, found: Rehearsed) -> dict[str, Any]:
    """The same for programs. `payload` is the request's body as text, `sha256` that of its bytes."""
    zone = settings.editorial.timezone
    posts = [
        {
            "delivery": one.delivery.id,
            "article": one.delivery.article,
            "headline": one.headline,
            "account": one.delivery.account,
            "network": settings.accounts[one.delivery.account].network,
            "goes": one.why is None,
            "text": one.payload.text if one.payload is not None else "",
            "payload": one.payload.body.decode("utf-8", "replace") if one.payload is not None else None,
            "sha256": sha256(one.payload.body).hexdigest() if one.payload is not None else None,
            "length": one.length,
            "due_at": one.due_at,
            "reasons": phrasing.reasons_json(
                (one.why,) if one.why is not None else phrasing.why_of(one.delivery), one.delivery, zone, found.now
            ),
            "unsure": one.unsure,
        }
        for one in found.posts
    ]
    refused = [
        {"headline": headline, "account": account, "reasons": phrasing.reasons_json(whys, None, zone, found.now)}
        for headline, account, whys in found.refused
    ]
    return {"dry_run": True, "posts": posts, "refused": refused, "sources": found.seen}
