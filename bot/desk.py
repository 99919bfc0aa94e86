"""What a person may do to a delivery: each act is decided purely, written as one conditional move, and can be undone.

An act is what to write, what to say when it is written, and the command that undoes it. `Desk` reads the delivery,
decides, writes under the row's version, and reads again if somebody was faster; what came too late is said.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.errors import NoMatch, UsageError, WirepostError
from bot.flow.clearance import Start, start_of
from bot.model import MOVES, PROVED_NOT_OUT, Attempt, Delivery, Move, Outcome, Post, Reason, Receipt, State, Status, Why
from bot.reasons import sentence
from bot.rules.editorial import Editorial
from bot.rules.routing import edit_needs_second
from bot.store import Store, Tx
from bot.store import articles as stored_articles
from bot.store import attempts as stored_attempts
from bot.store import deliveries as stored_deliveries
from bot.store.articles import Stored
from bot.store.deliveries import ChangeDelivery, MoveDelivery
from bot.store.outcomes import Settle

#: Holds that one person alone may not lift (pains P58, P93).
TWO_PEOPLE = frozenset({Reason.EMBARGO_UNCLEAR, Reason.SENSITIVE})
#: Waits for a time that only the publisher sets: no person's pin or retry comes before it (P93).
_FIXED = frozenset({Reason.EMBARGO, Reason.FUTURE})
#: Skips that are mended elsewhere: sending again what is there already is `post --again`.
_THERE_ALREADY = frozenset({Reason.SAME_LINK, Reason.DUPLICATE_REJECTED})
# Somebody was faster: read and decided anew so often.
TRIES = 3


class TooLate(WirepostError):
    """The delivery is not in a state in which this can be done; the message says what became of it."""


class Unclear(WirepostError):
    """The post may be out: it must be looked up before anything is done to it."""

    exit_code = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A delivery as it stands, with all that decides what a person may do to it. `shown` is its id as people see it,
    `file` the settings file that they read."""

    delivery: Delivery
    stored: Stored
    attempts: tuple[Attempt, ...]
    editorial: Editorial
    now: datetime
    shown: str
    who: str
    file: str

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def in_doubt(self) -> bool:
        """May a post be out, or is it frozen until that is known?"""
        one = self.delivery
        settled = one.state is State.REJECTED and all(tried.outcome in PROVED_NOT_OUT for tried in self.attempts)
        return one.state is State.UNKNOWN or (
            one.doubted_at is not None and one.state is not State.SENT and not settled
        )

    @property
    def start(self) -> Start:
        """Before when the article may not go, by embargo, date or settle time."""
        return start_of(self.stored, self.editorial)

    def clock(self, at: datetime | None, pattern: str = "%H:%M") -> str:
        """A time as the newsroom's clock shows it; the day too unless it is today."""
        if at is None:
            return "no time yet"
        zone = ZoneInfo(self.editorial.timezone)
        local, today = at.astimezone(zone), self.now.astimezone(zone).date()
        day = "" if local.date() == today else f"{local:%a} {local.day} {local:%b} "
        return day + local.strftime(pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing to do: the write, how it is said before (`would`) and after (`done`), and what undoes it."""

    write: MoveDelivery | ChangeDelivery | Settle
    would: str
    done: str
    rest: str = ""
    undo: str = ""

    def said(self, *, dry: bool = False) -> str:
        """The line for the person."""
        if dry:
            return f"would {self.would} {self.rest}".rstrip()
        return f"{self.done} {self.rest}".rstrip() + (f". Undo: {self.undo}" if self.undo else "")


# -- the decisions, pure ------------------------------------------------------------------------------------------


def became(case: Case) -> str:
    """What the delivery is now, in a sentence, with the way on."""
    one, shown = case.delivery, case.shown
    if one.state is State.SENT:
        return f"{shown} went out at {case.clock(one.sent_at, '%H:%M:%S')}: {one.url or one.remote_id}"
    if one.state is State.SENDING:
        return f"{shown} is on the wire just now: wirepost why {one.article}"
    if case.in_doubt:
        return f"{shown} may be out ({_doubt(case)}). Look first: wirepost lookup {shown}"
    more = {
        State.HELD: f"wirepost release {shown}",
        State.REJECTED: f"wirepost retry {shown}",
        State.SKIPPED: f"wirepost retry {shown}",
        State.WAITING: f"it is planned for {case.clock(one.due_at)}" if one.due_at else "it has no time yet",
    }.get(one.state)
    return f"{shown} is {one.state}: {sentence(one.reason)}" + (f" ({more})" if more else "")


def _doubt(case: Case) -> str:
    words = case.delivery.retry_words or (case.attempt.words if case.attempt is not None else "")
    at = case.delivery.doubted_at or (case.attempt.started_at if case.attempt is not None else None)
    return f"{words or 'no answer came'}{f', {case.clock(at)}' if at is not None else ''}"


def _moved(case: Case, step: Move, why: Why | None = None, *, who: str = "", **changes: Any) -> MoveDelivery:
    """The move as a write. Raises TooLate where MOVES forbids it, Unclear where the post may be out."""
    one = case.delivery
    if case.in_doubt and (one.state, step) != (State.WAITING, Move.HOLD):
        raise Unclear(became(case))
    if (one.state, step) not in MOVES:
        raise TooLate(became(case))
    by = who or case.who
    return MoveDelivery(current=one, move=step, why=why or Why(Reason.BY_HAND, by), who=by, changes=changes)


def _changed(case: Case, event: str, **changes: Any) -> ChangeDelivery:
    """A change as a write. Raises TooLate unless it waits or is held, Unclear where its bytes are frozen by a doubt."""
    one = case.delivery
    if case.in_doubt:
        raise Unclear(became(case))
    if one.state not in (State.WAITING, State.HELD):
        raise TooLate(became(case))
    return ChangeDelivery(current=one, event=event, who=case.who, changes=changes)


def two_people(case: Case, edited: str | None = None) -> Why | None:
    """Why one person alone may not let this go: judged by the story itself, whatever state it was brought into."""
    one = case.delivery
    if one.reason.reason in TWO_PEOPLE and one.state is State.HELD:
        return one.reason
    hold = case.start.hold
    if hold is not None and hold.reason in TWO_PEOPLE:
        return hold
    own_text = (edited or one.edited_text) is not None or bool(case.stored.article.texts)
    return edit_needs_second(case.stored.article, case.editorial, own_text)


def _names(case: Case, second: str | None) -> str:
    """Who lets it go. Raises UsageError where two are needed and one is named."""
    needed = two_people(case)
    named = (second or "").strip()
    if needed is not None and named.casefold() in ("", case.who.strip().casefold()):
        raise UsageError(
            f"{case.shown}: {sentence(needed)} Two people let it go: add --second NAME, somebody else than {case.who}."
        )
    return f"{case.who} and {named}" if named else case.who


def hold(case: Case) -> Act:
    """Keep a planned post back until somebody releases it."""
    write = _moved(case, Move.HOLD, due_at=None)
    was = f"{case.shown} (was planned {case.clock(case.delivery.due_at)})"
    return Act(write=write, would="hold", done="Held", rest=was, undo=f"wirepost release {case.shown}")


def release(case: Case, second: str | None = None) -> Act:
    """Let a held post go on; the released one is never too old. Two names where the story needs them."""
    one = case.delivery
    _moved(case, Move.RELEASE)  # is it still in time?
    account_stands(case)
    by = _names(case, second)
    write = _moved(case, Move.RELEASE, who=by, fresh_until=None, **_ready(case))
    rest = f"{case.shown} on {one.account}"
    return Act(write=write, would="release", done="Released", rest=rest, undo=f"wirepost hold {case.shown}")


def skip(case: Case) -> Act:
    """It will not go out."""
    write = _moved(case, Move.SKIP, due_at=None)
    rest = f"{case.shown} on {case.delivery.account}"
    return Act(write=write, would="skip", done="Skipped", rest=rest, undo=f"wirepost retry {case.shown}")


def keep_fresh(case: Case) -> Act:
    """It grew too old while everything was stopped, and is to go all the same."""
    write = _changed(case, "delivery_kept_fresh", fresh_until=None)
    return Act(write=write, would="keep", done="Kept", rest=f"{case.shown} on {case.delivery.account}")


def retry(case: Case, second: str | None = None) -> Act:
    """Send after all what was refused or skipped, or try at once what waits for its next try."""
    one = case.delivery
    if case.in_doubt or one.state is State.SENDING:
        raise Unclear(became(case))
    rest, undo = f"{case.shown} again on {one.account}", f"wirepost skip {case.shown}"
    if one.state is State.WAITING:
        account_stands(case)
        if not one.tries:
            raise UsageError(f"{became(case)}: nothing failed. To send it now: wirepost move {case.shown} --now")
        return Act(write=_changed(case, "delivery_hurried", **_ready(case)), would="plan", done="Planned", rest=rest)
    if case.stored.status is not Status.LIVE:
        raise TooLate(f"{case.shown}: its article is {case.stored.status}, so nothing of it goes out.")
    if one.reason.reason in _THERE_ALREADY:
        again = f"wirepost post {one.article} --account {one.account} --again"
        raise TooLate(f"{case.shown}: {sentence(one.reason)} To post it once more: {again}")
    step = Move.RETRY if one.state is State.REJECTED else Move.REOPEN
    _moved(case, step)  # is it still in time?
    account_stands(case)
    by = _names(case, second)
    write = _moved(case, step, who=by, fresh_until=None, doubted_at=None, **_ready(case))
    return Act(write=write, would="plan", done="Planned", rest=rest, undo=undo)


def account_stands(case: Case, else_do: str | None = None) -> None:
    """Raises UsageError where the settings have no such account any more: nothing can be sent or asked there."""
    one = case.delivery
    if one.account not in case.editorial.accounts:
        other = else_do or f"post the article on another account: wirepost post {one.article} --account NAME"
        raise UsageError(
            f"{case.shown} is on {one.account}, which has left the settings: there is no [accounts.{one.account}] in "
            f"{case.file}. Put the account back there, or {other}"
        )


def _ready(case: Case) -> dict[str, Any]:
    """As soon as the account's pace allows, but never before the embargo, the date or the settle time."""
    start = case.start
    later = start.ready_at > case.now
    ready = start.ready_at if later else case.now
    return {"ready_at": ready, "ready_why": start.because if later else None, "due_at": None}


def move(case: Case, at: datetime | None) -> Act:
    """Pin a post to a time; None gives it back to its schedule. Raises UsageError for a time that can't be."""
    one, start = case.delivery, case.start
    if at is not None and at < case.now:
        raise UsageError(f"{case.clock(at)} is over: it is {case.clock(case.now)}. Say a time to come, or --now.")
    if at is not None and start.because in _FIXED and at < start.ready_at:
        words = {Reason.EMBARGO: "under embargo", Reason.FUTURE: "dated ahead"}[start.because]
        raise UsageError(f"{case.shown} is {words} until {case.clock(start.ready_at)}: no earlier time can be given.")
    held = one.state is State.HELD
    due = max(at, one.ready_at) if at is not None and not held else None
    write = _changed(case, "delivery_moved", pinned_at=at, due_at=due)
    account_stands(case)
    place = f"for {case.clock(at)}" if at is not None else "by its schedule"
    also = f"; it is on hold: wirepost release {case.shown}" if held else ""
    before = case.clock(one.pinned_at, "%Y-%m-%dT%H:%M") if one.pinned_at is not None else ""
    back = f"--to {before.rpartition(' ')[2]}" if before and one.pinned_at and one.pinned_at > case.now else "--next"
    undo = f"wirepost move {case.shown} {back}"
    return Act(write=write, would="move", done="Moved", rest=f"{case.shown} {place}{also}", undo=undo)


def edit(case: Case, text: str | None, post: Post, size: int) -> Act:
    """Another text for one post (`post`: composed with it); None: the template's again. A sensitive story then waits
    for a second person."""
    one = case.delivery
    by = case.who if text is not None else None
    changes: dict[str, Any] = {"edited_text": text, "edited_by": by, "text": post.text, "length": post.length}
    undo = f"wirepost edit {case.shown} " + (f"--text {shlex.quote(one.edited_text)}" if one.edited_text else "--reset")
    rest = f"{case.shown}: {post.length} of {size}"
    second = edit_needs_second(case.stored.article, case.editorial, text is not None)
    _changed(case, "delivery_edited")  # is it still in time?
    if second is None or (one.state is State.HELD and one.reason.reason in TWO_PEOPLE):
        write: MoveDelivery | ChangeDelivery = _changed(case, "delivery_edited", **changes)
        return Act(write=write, would="edit", done="Edited", rest=rest, undo=undo)
    if one.state is State.HELD:
        write = _changed(case, "delivery_edited", **changes, reason=second.reason, detail=second.detail)
    else:
        write = _moved(case, Move.HOLD, second, due_at=None, **changes)
    compare = f"The article's headline: {case.stored.article.headline}\nThe text: {post.text}"
    rest += f", and held it. {sentence(second)}\n{compare}\nSomebody else lets it go: wirepost release {case.shown} "
    return Act(write=write, would="edit", done="Edited", rest=rest + "--second NAME", undo="")


def there(case: Case, receipt: Receipt) -> Act:
    """A person saw it on the network."""
    one = case.delivery
    rest = f"{case.shown} as sent, by your word: {receipt.url}"
    why = Why(Reason.BY_HAND, case.who)
    seen = {"confirmed_at": case.now}  # its address is a person's word: reading back compares ids
    if one.state is State.HELD and one.reason.reason is Reason.RESTORED:
        at = {"sent_at": receipt.at, "remote_id": receipt.remote_id or None, "url": receipt.url}
        write: MoveDelivery | Settle = MoveDelivery(
            current=one, move=Move.SAID_THERE, why=why, who=case.who, changes={**seen, **at}
        )
    else:
        write = _said(case, Move.SAID_THERE, why, receipt, seen)
    return Act(write=write, would="mark", done="Marked", rest=rest)


def not_there(case: Case) -> Act:
    """A person saw that it is not there: it is sent again, as soon as nothing of it can be on its way any more."""
    again: Mapping[str, Any] = {**_ready(case), "doubted_at": None, "absent_at": case.now, "fresh_until": None}
    write = _said(case, Move.SAID_ABSENT, Why(Reason.BY_HAND, case.who), None, again)
    account_stands(case)
    if case.attempt is not None and case.attempt.lease_until > case.now:
        until = case.clock(case.attempt.lease_until, "%H:%M:%S")
        raise Unclear(f"{case.shown} may still be on its way until {until}: look again then.")
    rest = f"{case.shown} again on {case.delivery.account}, by your word"
    return Act(write=write, would="plan", done="Planned", rest=rest, undo=f"wirepost skip {case.shown}")


def _said(case: Case, step: Move, why: Why, receipt: Receipt | None, changes: Mapping[str, Any]) -> Settle:
    """A person's word on what is in doubt: the newest attempt, or an earlier one whose resend was refused or never
    left. Raises TooLate where there is no doubt."""
    one, attempt = case.delivery, case.attempt
    doubted = any(tried.outcome in (Outcome.UNKNOWN, Outcome.ABSENT) for tried in case.attempts)
    if attempt is None or not case.in_doubt or not doubted or (one.state, step) not in MOVES:
        raise TooLate(f"There is nothing unclear: {became(case)}")
    return Settle(attempt=attempt, move=step, why=why, receipt=receipt, who=case.who, changes=changes)


# -- the thin part ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A person at work. `spell` gives an id as people see it, `file` is where the settings stand; `dry`: nothing is
    written."""

    store: Store
    editorial: Editorial
    who: str
    dry: bool = False
    file: str = "the settings file"
    spell: Callable[[Tx, str], str] = field(default=lambda tx, one: one)

    def case(self, delivery: str) -> Case:
        """The delivery as it stands now. Raises NoMatch."""
        with self.store.read() as tx:
            one = stored_deliveries.by_id(tx, delivery)
            stored = stored_articles.by_id(tx, one.article) if one is not None else None
            if one is None or stored is None:
                raise NoMatch(f"{delivery} is not in the store any more.")
            attempts = tuple(stored_attempts.of_delivery(tx, delivery)) if one.tries or one.attempt else ()
            shown = self.spell(tx, delivery)
            now = tx.now
        return Case(
            delivery=one,
            stored=stored,
            attempts=attempts,
            editorial=self.editorial,
            now=now,
            shown=shown,
            who=self.who,
            file=self.file,
        )

    def do(self, delivery: str, decide: Callable[[Case], Act]) -> str:
        """Decide on the delivery as it is, and write it: what was done. Raises TooLate, Unclear, UsageError."""
        for _ in range(TRIES):
            act = decide(self.case(delivery))
            if self.dry or self.store.commit(act.write):
                return act.said(dry=self.dry)
        raise TooLate(became(self.case(delivery)))


def with_text(case: Case, text: str | None) -> Delivery:
    """The delivery as it would be with this text: what is composed to see whether it fits."""
    return replace(case.delivery, edited_text=text)
