"""What an editor gave to a post, its own words or a time, stays with the story when two articles turn out to be one.

The losing article's posts will not go. Where the survivor has a post on the same account that may still change, that
one takes over what it has none of its own; the rest is written down. Nothing is sent by it: no post comes to be, and
none that is out, may be out or was let go by a person is touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from bot.model import Delivery, Move, Reason, State
from bot.store.audit import note
from bot.store.deliveries import mark_dirty, move, of_articles
from bot.store.engine import Tx
from bot.store.schema import articles, deliveries


def carry_over(tx: Tx, loser: str, survivor: str) -> None:
    """Give the survivor's posts what a person gave to the loser's, and write down what found no place."""
    made = of_articles(tx, [loser, survivor])
    given = [one for one in made[loser] if _changeable(one) and _own(one)]
    if not given:
        return
    mark_dirty(tx, [one.account for one in given])
    theirs = {(one.account, one.occasion): one for one in made[survivor]}
    named = select(articles.c.id, articles.c.link).where(articles.c.id.in_([loser, survivor])).order_by(articles.c.id)
    links = {row.id: row.link for row in tx.rows(named)}
    for one in given:
        to = theirs.get((one.account, one.occasion))
        gift = _gift(one, to, links[loser], links[survivor]) if to is not None and _takes(to) else {}
        if to is not None and gift and not _give(tx, one, to, gift):
            gift = {}
        if to is not None and gift:
            note(tx, "delivery_taken_over", to.id, {"from": one.id, **_said(gift)})
        left = {name: own for name, own in _own(one).items() if name not in gift and own != getattr(to, name, None)}
        if left:
            note(tx, "article_left_behind", survivor, {"from": one.id, "account": one.account, **_said(left)})


def _changeable(one: Delivery) -> bool:
    """May a person still change it? Its bytes stand once it may be out."""
    return one.state in (State.WAITING, State.HELD) and one.doubted_at is None


def _takes(to: Delivery) -> bool:
    """May the survivor's post take anything over? What a person let go goes as that person saw it."""
    return _changeable(to) and not (to.state is State.WAITING and to.reason.reason is Reason.BY_HAND)


def _own(one: Delivery) -> dict[str, Any]:
    """What a person gave to a post."""
    own = {"edited_text": one.edited_text, "pinned_at": one.pinned_at}
    return {name: value for name, value in own.items() if value is not None}


def _gift(one: Delivery, to: Delivery, old: str | None, new: str | None) -> dict[str, Any]:
    """The columns that the survivor's post takes over; in the words its own link stands where the other's stood."""
    gift = {name: value for name, value in _own(one).items() if getattr(to, name) is None}
    if "edited_text" in gift:
        gift["edited_by"] = one.edited_by
        if old and new:
            gift["edited_text"] = re.sub(rf"{re.escape(old)}(?!\S)", lambda _: new, gift["edited_text"])
    return gift


def _give(tx: Tx, one: Delivery, to: Delivery, gift: Mapping[str, Any]) -> bool:
    """Write it, unless the post moved. Words that waited for a person's yes go on waiting for it."""
    waits = "edited_text" in gift and one.state is State.HELD
    if waits and to.state is State.WAITING:
        return move(tx, to, Move.HOLD, one.reason, due_at=None, **gift)
    if waits and one.reason.reason is Reason.SENSITIVE:
        gift = {**gift, "reason": one.reason.reason, "detail": one.reason.detail}
    unmoved = (deliveries.c.id == to.id, deliveries.c.version == to.version, deliveries.c.state == to.state)
    changed = deliveries.update().where(*unmoved).values(updated_at=tx.now, version=to.version + 1, **gift)
    return tx.changed(changed) == 1


def _said(own: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in own.items() if value is not None}
