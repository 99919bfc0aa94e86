"""restore: an older store is back. What went out since its last row? Read it from the networks before anything leaves.

Everything is stopped meanwhile. What a network shows as ours is adopted by its link; where it can't be read, what waits
is held for a person. Resuming is a human act. After it each account is read until that went well once: what a person
held before the backup, and let go after it, could not be told from what is still held while the network was silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.flow.newsroom import Newsroom
from bot.model import Delivery, Move, Reason, Seen, State, Why
from bot.rules.duplicates import Key, KeyKind, link_key
from bot.store import Tx
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store import identity as stored_identity
from bot.store.accounts import AccountRow
from bot.store.backup import mark_restored
from bot.store.deliveries import MoveDelivery
from bot.store.witness import AccountRead, restored_since, unread_since, whose

# The networks are read again so often while the store is marked as restored.
AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expected:
    """A delivery that the restored store does not know to be out, and the addresses of its article."""

    delivery: Delivery
    links: tuple[str, ...]
    text: str


def decide(expected: Sequence[Expected], seen: Sequence[Seen] | None) -> tuple[MoveDelivery, ...]:
    """Adopt what is on the network; hold what can't be known (`seen` None: the network can't be read). Pure.

    No time excuses: a person or the timetable may have moved it after the backup, and an embargo or a date ahead may
    have come to the article after it went out.
    """
    moves = []
    left = list(seen or ())
    for one in expected:
        found = _found(one, left)
        if found is not None:
            left.remove(found)
            changes = {"sent_at": found.at, "remote_id": found.receipt.remote_id, "url": found.receipt.url}
            moves.append(
                MoveDelivery(
                    current=one.delivery, move=Move.FOUND, why=Why(Reason.RESTORED), who="wirepost", changes=changes
                )
            )
        elif seen is None and one.delivery.state is State.WAITING:
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
    """Adopt what the networks show, as long as there is something to learn from them. True if anything moved.

    `anyway`: a person is about to resume, so that what can't be known now is held.
    """
    with newsroom.store.read() as tx:
        since, unread = restored_since(tx), unread_since(tx)
        rows = stored_accounts.all_accounts(tx) if since is not None or unread else {}
    if not rows:
        return False
    if not anyway and newsroom.sightings.age("restore") < AGAIN.total_seconds():
        return False
    newsroom.sightings.again("restore")
    moved = False
    for row in rows.values():
        back_to = since or unread.get(whose(row))
        if row.name in newsroom.accounts and row.live_since is not None and row.identity and back_to is not None:
            moved = _account(newsroom, row, back_to, hold=anyway and since is not None) or moved
    return moved


def _account(newsroom: Newsroom, row: AccountRow, since: datetime, *, hold: bool) -> bool:
    seen, unreadable = _seen(newsroom, row, since)
    with newsroom.store.read() as tx:
        new = _unknown(tx, row.name, seen) if seen is not None else None
        expected = [*_waiting(tx, row.name), *_at_rest(tx, row.name, new or ())]
    moves = decide(expected, new) if new is not None or hold else ()
    for move in moves:
        newsroom.store.commit(move)
    if seen is not None or unreadable:
        newsroom.store.commit(AccountRead(whose(row)))
    return bool(moves)


def _seen(newsroom: Newsroom, row: AccountRow, since: datetime) -> tuple[Sequence[Seen] | None, bool]:
    """The account's own posts, None if it can't be read; and whether nobody ever could."""
    try:
        adapter = newsroom.reader(row)
        return (adapter.recent(since), False) if adapter.abilities().find else (None, True)
    except Exception:  # noqa: BLE001 -- whatever stands in the way (its server, our key): what can't be known is held
        return None, False


def _unknown(tx: Tx, account: str, seen: Sequence[Seen]) -> list[Seen]:
    """The posts that are nobody's receipt yet."""
    known = stored_deliveries.with_receipts(tx, account, [post.receipt.remote_id for post in seen])
    return [post for post in seen if post.receipt.remote_id not in known]


def _waiting(tx: Tx, account: str) -> Iterator[Expected]:
    """What the restored store would still send."""
    for one in stored_deliveries.waiting(tx, account):
        stored = stored_articles.by_id(tx, one.article)
        links = (stored.article.link, *stored.article.aliases) if stored is not None else ()
        sent = [attempt.payload.link for attempt in stored_attempts.of_delivery(tx, one.id)] if one.tries else []
        yield Expected(one, tuple(link for link in (*links, *sent) if link), one.text)


def _at_rest(tx: Tx, account: str, seen: Sequence[Seen]) -> Iterator[Expected]:
    """What it would not send, and a person may have let go after the backup: held, refused, skipped."""
    links = {Key(KeyKind.LINK, key): link for post in seen for link in post.links if (key := link_key(link))}
    for shared, article in stored_identity.owners_of(tx, links).items():
        for one in stored_deliveries.of_articles(tx, [article])[article]:
            if one.account == account and one.state in _AT_REST and one.doubted_at is None:
                yield Expected(one, (links[shared],), "")


_AT_REST = (State.HELD, State.REJECTED, State.SKIPPED)
