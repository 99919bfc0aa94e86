"""restore: an older store is back. What went out since its last row? Read it from the networks before anything leaves.

Everything is stopped meanwhile. What a network shows as ours is adopted by its link; where it can't be read, what was
due since then is held for a person. Resuming is a human act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.flow.newsroom import Newsroom
from bot.model import Delivery, Move, Reason, Seen, Why
from bot.rules.links import link_key
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store.accounts import AccountRow
from bot.store.backup import mark_restored
from bot.store.deliveries import MoveDelivery
from bot.store.witness import restored_since

# The networks are read again so often while the store is marked as restored.
AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expected:
    """A delivery that the restored store would still send, and the addresses of its article."""

    delivery: Delivery
    links: tuple[str, ...]
    text: str


def decide(expected: Sequence[Expected], seen: Sequence[Seen] | None, since: datetime) -> tuple[MoveDelivery, ...]:
    """Adopt what is on the network; hold what can't be known (`seen` None: the network can't be read). Pure."""
    moves = []
    for one in expected:
        found = _found(one, seen or ())
        if found is not None:
            changes = {"sent_at": found.at, "remote_id": found.receipt.remote_id, "url": found.receipt.url}
            moves.append(
                MoveDelivery(
                    current=one.delivery, move=Move.FOUND, why=Why(Reason.RESTORED), who="wirepost", changes=changes
                )
            )
        elif seen is None and one.delivery.ready_at >= since:
            moves.append(MoveDelivery(current=one.delivery, move=Move.HOLD, why=Why(Reason.RESTORED), who="wirepost"))
    return tuple(moves)


def _found(one: Expected, seen: Sequence[Seen]) -> Seen | None:
    wanted = {link_key(link) for link in one.links} - {None}
    for post in seen:
        if wanted & {link_key(link) for link in post.links} or (one.text and post.text == one.text):
            return post
    return None


# -- the thin part ------------------------------------------------------------------------------------------------


def begin(newsroom: Newsroom, reason: str, who: str) -> None:
    """Stop everything and remember since when posts may be missing."""
    mark_restored(newsroom.store, newsroom.random.new_id(), reason, who)


def run(newsroom: Newsroom, *, anyway: bool = False) -> bool:
    """Adopt what the networks show, as long as the store is marked as restored. True if anything moved."""
    with newsroom.store.read() as tx:
        since = restored_since(tx)
        rows = stored_accounts.all_accounts(tx)
    if since is None:
        return False
    if not anyway and newsroom.sightings.age("restore") < AGAIN.total_seconds():
        return False
    newsroom.sightings.again("restore")
    moved = False
    for name, row in rows.items():
        if name in newsroom.accounts and row.live_since is not None:
            moved = _account(newsroom, row, since) or moved
    return moved


def _account(newsroom: Newsroom, row: AccountRow, since: datetime) -> bool:
    seen: Sequence[Seen] | None = None
    adapter = newsroom.reader(row)
    if adapter.abilities().find:
        try:
            seen = adapter.recent(since)
        except Exception:  # noqa: BLE001 -- whatever an adapter raises: it can't be read, and what can't be known is held
            seen = None
    with newsroom.store.read() as tx:
        waiting = stored_deliveries.waiting(tx, row.name)
        stored = {one.article: stored_articles.by_id(tx, one.article) for one in waiting}
        known = {one.id: stored_attempts.of_delivery(tx, one.id) for one in waiting if one.tries}
    expected = []
    for one in waiting:
        article = stored[one.article]
        links = (article.article.link, *article.article.aliases) if article else ()
        sent = [attempt.payload.link for attempt in known.get(one.id, [])]
        expected.append(Expected(one, tuple(link for link in (*links, *sent) if link), one.text))
    moves = decide(expected, seen, since)
    for move in moves:
        newsroom.store.commit(move)
    return bool(moves)
