"""What a person may do to a delivery: each act is one conditional move, written with who did it.

An act says what it did in a sentence, and how to undo it; or raises `TooLate` with what became of the post meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.errors import StoreError, UsageError, WirepostError
from bot.flow import reconcile
from bot.flow.deliver import composed
from bot.flow.newsroom import Newsroom
from bot.model import Delivery, Move, Reason, Receipt, State, Why
from bot.reasons import sentence
from bot.rules.compose import BadTemplate, CannotFit
from bot.rules.routing import edit_needs_second
from bot.store import accounts as stored_accounts
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store.deliveries import ChangeDelivery, MoveDelivery
from bot.store.outcomes import Settle

#: Holds that one person alone may not lift (pains P58, P93).
TWO_PEOPLE = frozenset({Reason.EMBARGO_UNCLEAR, Reason.SENSITIVE})


class TooLate(WirepostError):
    """The delivery is no longer in a state in which this can be done; the message says what became of it."""


class Unclear(WirepostError):
    """The post may be out: it must be looked up before anything is sent again."""

    exit_code = 8


@dataclass(frozen=True, slots=True)
class Desk:
    """A person at work on a newsroom's deliveries."""

    room: Newsroom
    who: str

    def hold(self, one: Delivery) -> str:
        """Keep a planned post back until somebody releases it."""
        was = f"planned {_clock(one.due_at)}" if one.due_at else "planned"
        self._move(one, Move.HOLD, Why(Reason.BY_HAND, self.who), due_at=None)
        return f"Held {one.id} (was {was}). Undo: wirepost release {one.id}"

    def release(self, one: Delivery, second: str | None = None) -> str:
        """Let a held post go on. An unclear embargo or a sensitive edit needs a second person's name."""
        reason = one.reason.reason
        if one.state is State.HELD and reason in TWO_PEOPLE:
            others = {self.who, one.edited_by} - {None}
            if second is None or second in others:
                raise UsageError(
                    f"{one.id} is held: {sentence(one.reason)} Two people release it: add --second NAME, "
                    f"somebody else than {' and '.join(sorted(str(name) for name in others))}."
                )
        if one.doubted_at is not None:
            raise Unclear(f"{one.id} may be out. Look first: wirepost lookup {one.id}")
        by = f"{self.who} and {second}" if second else self.who
        # Held for hours, it is released by somebody who knows that: it is never too old.
        self._move(one, Move.RELEASE, Why(Reason.BY_HAND, by), fresh_until=None)
        return f"Released {one.id}. Undo: wirepost hold {one.id}"

    def skip(self, one: Delivery) -> str:
        """It will not go out."""
        self._move(one, Move.SKIP, Why(Reason.BY_HAND, self.who), due_at=None)
        return f"Skipped {one.id}. Undo: wirepost retry {one.id}"

    def retry(self, one: Delivery) -> str:
        """Send after all what was refused or skipped, or try at once what waits for its next try."""
        if one.state in (State.UNKNOWN, State.SENDING):
            told = one.retry_words or "no answer"
            raise Unclear(f"{one.id} may be out ({told}). Look first: wirepost lookup {one.id}")
        now = self.room.store.now()
        asked = {"ready_at": now, "ready_why": None, "due_at": None}
        if one.state is State.WAITING:
            self._change(one, "delivery_hurried", asked)
        else:
            move = Move.RETRY if one.state is State.REJECTED else Move.REOPEN
            # A person wants it: it is never too old, and it keeps its text.
            self._move(one, move, Why(Reason.BY_HAND, self.who), **asked, fresh_until=None)
        return f"Planned {one.id} again on {one.account}. Undo: wirepost skip {one.id}"

    def move(self, one: Delivery, at: datetime | None) -> str:
        """Pin a post to a time; None gives it back to its schedule."""
        if at is not None and at < self.room.store.now():
            raise UsageError(f"{at:%Y-%m-%d %H:%M} UTC is over. Say a time to come, or --now.")
        self._change(one, "delivery_moved", {"pinned_at": at, "due_at": at})
        return f"{one.id} goes {_clock(at) if at else 'by its schedule'}. Undo: wirepost move {one.id} --next"

    def edit(self, one: Delivery, text: str) -> str:
        """Another text for one post. Raises UsageError if it doesn't fit. A sensitive story then waits for a second."""
        with self.room.store.read() as tx:
            row = stored_accounts.by_name(tx, one.account)
            stored = stored_articles.by_id(tx, one.article)
        if row is None or stored is None:
            raise StoreError(f"{one.id}: its account or article is not in the store any more.")
        draft = _edited(one, text, self.who)
        try:
            post = composed(self.room.editorial, self.room.reader(row), stored, draft)
        except (CannotFit, BadTemplate) as error:
            raise UsageError(f"{one.id}: {sentence(error.why)}") from None
        changes = {"edited_text": text, "edited_by": self.who, "text": post.text, "length": post.length}
        second = edit_needs_second(stored.article, self.room.editorial, True)
        if second is not None and one.state is State.WAITING:
            self._move(one, Move.HOLD, second, due_at=None, **changes)
            return f"Edited {one.id}, and held it: {sentence(second)} Somebody else: wirepost release {one.id} --second"
        self._change(one, "delivery_edited", changes)
        return f"Edited {one.id}: {post.length} of {self.room.reader(row).bounds().size}."

    def look_up(self, one: Delivery) -> str:
        """Ask the network. Found is sent; what is not found stays as it is."""
        found = reconcile.look_up(self.room, one)
        if isinstance(found, Receipt):
            return f"Found on {one.account}: {found.url or found.remote_id}. {one.id} is now sent."
        if found is None:
            return f"{one.account} doesn't show it. If you are sure: wirepost lookup {one.id} --not-there"
        raise Unclear(f"{one.account} could not be asked: {found}")

    def there(self, one: Delivery, url: str) -> str:
        """A person saw it on the network."""
        receipt = Receipt(remote_id=url, url=url, at=self.room.store.now())
        self._settle(one, Move.SAID_THERE, receipt, {})
        return f"{one.id} is sent, by your word: {url}"

    def not_there(self, one: Delivery) -> str:
        """A person saw that it is not there: it is sent again."""
        now = self.room.store.now()
        again = {"ready_at": now, "ready_why": None, "due_at": None, "doubted_at": None, "absent_at": now}
        self._settle(one, Move.SAID_ABSENT, None, again)
        return f"{one.id} is planned again, by your word. Undo: wirepost skip {one.id}"

    # -- the writes -----------------------------------------------------------------------------------------------

    def _settle(self, one: Delivery, move: Move, receipt: Receipt | None, changes: dict[str, Any]) -> None:
        with self.room.store.read() as tx:
            attempt = stored_attempts.by_id(tx, one.attempt) if one.attempt else None
        if attempt is None or not self.room.store.commit(
            Settle(
                attempt=attempt,
                move=move,
                why=Why(Reason.BY_HAND, self.who),
                receipt=receipt,
                who=self.who,
                changes=changes,
            )
        ):
            raise TooLate(self._became(one))

    def _move(self, one: Delivery, move: Move, why: Why, **changes: Any) -> None:
        from bot.model import MOVES

        intent = MoveDelivery(current=one, move=move, why=why, who=self.who, changes=changes)
        if (one.state, move) not in MOVES or not self.room.store.commit(intent):
            raise TooLate(self._became(one))

    def _change(self, one: Delivery, event: str, changes: dict[str, Any]) -> None:
        allowed = one.state in (State.WAITING, State.HELD)
        intent = ChangeDelivery(current=one, event=event, who=self.who, changes=changes)
        if not allowed or not self.room.store.commit(intent):
            raise TooLate(self._became(one))

    def _became(self, one: Delivery) -> str:
        """What the delivery is now, in a sentence."""
        with self.room.store.read() as tx:
            now = stored_deliveries.by_id(tx, one.id) or one
        if now.state is State.SENT:
            return f"{now.id} went out at {_clock(now.sent_at)}: {now.url or now.remote_id}"
        if now.state is State.SENDING:
            return f"{now.id} is on the wire just now: wirepost why {now.article}"
        if now.state is State.UNKNOWN:
            return f"{now.id} may be out. Look first: wirepost lookup {now.id}"
        return f"{now.id} is {now.state} now: {sentence(now.reason)}"


def _edited(one: Delivery, text: str, who: str) -> Delivery:
    from dataclasses import replace

    return replace(one, edited_text=text, edited_by=who)


def _clock(at: datetime | None) -> str:
    return f"{at:%H:%M:%S} UTC" if at else "at some time"
