"""What must hold at every commit and every byte of a week, looked at from outside: rows, and the public's own view.

1 Exactly once: no account shows a story twice; each delivery is in one state that its attempts bear out; what is sent
  stays sent; at the end nothing is open, what is sent can be seen, and what can be seen is sent.
2 No flood: starts of what came to the network keep the account's gap and caps; a first look posts nothing, and nothing
  goes that is too old.
3 On the minute: nothing starts before it is due, under embargo, before its date, in quiet hours or without its slot.
6 Stop means stop: nothing starts while a switch is on for it, nor does a second phase.

Pace is reckoned in true time by the *starts* of attempts whose posts came to be there (a byte may leave up to ten
seconds later), anew whenever the wall clock was set or an older store put back: nobody can keep four minutes by a clock
that jumps, or from a post that he can't know of. What a person
pinned to a time counts for the others and keeps no pace itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.model import PROVED_NOT_OUT, Outcome, Reason, State
from bot.store.ledger import imbalances
from bot.store.schema import from_micros, to_micros
from bot.testing.network_server import Published
from tests.flow.ledger_check import faults
from tests.simulation.adversary import Act
from tests.simulation.feeds import Piece, number_in

if TYPE_CHECKING:
    from tests.simulation.world import World

_GOOD = frozenset({Outcome.RECEIPT, Outcome.FOUND})
_OPEN = frozenset({Outcome.OPEN, Outcome.PENDING, Outcome.UNKNOWN})
#: Which outcome a delivery's newest attempt may have.
_NEWEST = {
    State.WAITING: PROVED_NOT_OUT,
    State.SENDING: {Outcome.OPEN, Outcome.PENDING},
    State.SENT: _GOOD,
    State.UNKNOWN: {Outcome.UNKNOWN},
    State.REJECTED: {Outcome.REJECTED},
}
#: A date so little ahead of the first sight is "now" (a publisher's clock).
AHEAD = timedelta(minutes=10)
#: A look at a source answers for it for half a minute; after that, and the time that it takes, what it shows is known.
KNOWN_AFTER = 240.0
#: A start is decided at most so many seconds before it is committed: its last look at the source lies between.
DECIDED = 90.0


class Broken(BaseException):
    """A promise was not kept. No Exception: nothing in the newsroom may take it for one of its troubles."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt as it was started. `epoch`: between which two settings of the clock."""

    attempt: int
    account: int
    true: float
    wall: datetime
    pinned: bool
    epoch: int


class Promises:
    """Looks at a world after each commit, each post, and at the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._epoch = 0
        self._last = 0
        self._states: dict[str, tuple[State, int]] = {}
        self._finishing: dict[int, int] = {}
        self._begun: dict[str, Begun] = {}
        self._shown: dict[int, list[Begun]] = defaultdict(list)
        self._arrived: dict[str, float] = {}
        self._restored_at = 0.0
        self._set_at = 0.0

    # -- what the world tells ---------------------------------------------------------------------------------------

    def clock_was_set(self) -> None:
        self._epoch += 1
        self._set_at = self.world.clock.monotonic()

    def restored(self) -> None:
        """Another store: what it holds is not held against what the other one held."""
        self._restored_at = self.world.clock.monotonic()
        self._states.clear()
        self._finishing.clear()
        self._last = self._rows("SELECT coalesce(max(id), 0) FROM attempts")[0][0]
        self._epoch += 1

    def since_started(self, delivery: str) -> timedelta:
        begun = self._begun.get(delivery)
        return timedelta(days=99) if begun is None else timedelta(seconds=self.world.clock.monotonic() - begun.true)

    def was_seen(self, post: Published) -> bool:
        """Does the newsroom know that this post is out?"""
        return self._states.get(post.delivery, (None, 0))[0] is State.SENT

    def knows(self, number: int) -> bool:
        """Is this article stored and planned?"""
        query = "SELECT 1 FROM articles WHERE NOT unplanned AND link || '?' LIKE ?"
        return bool(self._rows(query, f"%/news/{number}?%"))

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self.world.peek.execute(query, values).fetchall()

    # -- at every commit --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Something was written."""
        for row in self._rows(_NEW_ATTEMPTS, self._last):
            self._last = row[0]
            self._started(*row)
        for number, at in self._rows("SELECT id, finishing_at FROM attempts WHERE outcome = 'pending'"):
            if at is not None and self._finishing.get(number) != at:
                self._finishing[number] = at
                self._not_stopped(number, "its second phase began")
        for one, state, version, reason, article, account in self._rows(_DELIVERIES):
            before = self._states.get(one)
            if before is None or before[1] != version:
                self._moved(one, State(state), reason, article, account, before[0] if before else None)
                self._states[one] = (State(state), version)

    def _moved(self, one: str, state: State, reason: str, article: str, account: str, before: State | None) -> None:
        """Promise 1, of the rows."""
        if state is not before:
            self.world.story.tell("store", f"{one} ({article} on {account}): {before or 'new'} → {state}, {reason}")
        if before is State.SENT and state not in (State.SENT, State.WITHDRAWN):
            raise Broken(f"promise 1: {one} was sent and is {state}")
        if state not in _NEWEST:
            return
        tried = [
            Outcome(row[0]) for row in self._rows("SELECT outcome FROM attempts WHERE delivery = ? ORDER BY id", one)
        ]
        adopted = reason in (Reason.RESTORED, Reason.BY_HAND)
        if len([outcome for outcome in tried if outcome in _GOOD]) > 1:
            raise Broken(f"promise 1: {one} has two receipts")
        if not tried:
            fine = state in (State.WAITING, State.REJECTED) or (state is State.SENT and adopted)
        else:
            found = any(outcome in _GOOD for outcome in tried)
            fine = tried[-1] in _NEWEST[state] or (state is State.SENT and (adopted or found))
        if not fine:
            raise Broken(f"promise 1: {one} is {state} ({reason}), its attempts {[str(outcome) for outcome in tried]}")

    def _started(self, attempt: int, one: str, identity: str, due: int | None, pinned: int | None,
                 fresh: int | None, doubted: int | None, seen: int, status: str, link: str | None) -> None:  # fmt: skip
        """Promises 2, 3 and 6, of a start."""
        world = self.world
        number, wall, article = int(identity), world.clock.now(), number_in(link)
        plan = world.week.accounts[number - 1]
        world.story.tell("store", f"attempt {attempt} of {one} is committed: article {article}, account {number}")
        again = one in self._begun
        begun = Begun(attempt, number, world.clock.monotonic(), wall, pinned is not None, self._epoch)
        self._begun[one] = begun
        self._not_stopped(attempt, "it started")
        what = f"attempt {attempt} of {one} (article {article} on account {number})"
        if not plan.live:
            raise Broken(f"promise 2: {what} started on an account that only rehearses")
        if status != "live":
            raise Broken(f"promise 1: {what} started, and its article is {status}")
        # A start is decided some seconds before its commit: set back between the two, the clock says less than it did.
        steady = world.clock.monotonic() - self._set_at > DECIDED
        if due is None or (due > to_micros(wall) and steady):
            raise Broken(f"promise 3: {what} started before it was due")
        decided = wall - timedelta(seconds=DECIDED)
        if fresh is not None and doubted is None and to_micros(decided) > fresh:
            raise Broken(f"promise 2: {what} started, and is too old")
        piece = next((piece for piece in world.pieces if piece.number == article), None)
        if piece is None:
            raise Broken(f"promise 1: {what} is an article that nobody wrote")
        if piece.plan.at < 0 and world.week.first_look == "nothing" and piece.number < 1000:
            raise Broken(f"promise 2: {what} was there at the first look")
        if self._embargoed(piece, wall, again, doubted is not None) and steady:
            raise Broken(f"promise 3: {what} started under embargo until {piece.embargo}")
        ahead = piece.dated is not None and from_micros(seen) + AHEAD < piece.dated
        if (
            ahead and piece.dated is not None and wall < piece.dated and steady and not again
        ):  # its date was there once already
            raise Broken(f"promise 3: {what} started before its date {piece.dated}")
        zone = ZoneInfo(plan.zone)
        local, before = wall.astimezone(zone), decided.astimezone(zone)
        shut = any(_inside(span, local.time()) and _inside(span, before.time()) for span in plan.quiet)
        if pinned is None and steady and shut:
            raise Broken(f"promise 3: {what} started at {local:%H:%M:%S}, in its quiet hours")

    def _embargoed(self, piece: Piece, wall: datetime, again: bool, doubted: bool) -> bool:
        """Is it under an embargo that could be known? What may be out already goes again as it was, or not at all."""
        if piece.embargo is None or wall >= piece.embargo:
            return False
        if piece.imposed is None:
            return not again
        feed, now, shown = self.world.sources[piece.plan.source], self.world.clock.monotonic(), piece.imposed_shown
        told = shown is not None and now - max(shown, feed.fails_until) > KNOWN_AFTER and piece in feed.listed()
        return told and not doubted

    def _not_stopped(self, attempt: int, what: str) -> None:
        """Promise 6: no switch is on under which this attempt's article stands on this account."""
        now = to_micros(self.world.clock.now())
        on = self._rows("SELECT scope, value FROM stops WHERE lifted_at IS NULL AND (until IS NULL OR until > ?)", now)
        if not on:
            return
        account, article, data = self._rows(_STOPPABLE, attempt)[0]
        read = json.loads(data)
        under = {("all", ""), ("account", account), ("network", self.world.network.name), ("article", article)}
        under |= {("source", read["source"]), ("section", read.get("section"))}
        under |= {("tag", tag) for tag in read.get("tags", ())}
        hits = sorted(under & set(on))
        if hits:
            raise Broken(f"promise 6: attempt {attempt}: {what} while {hits} was stopped")

    # -- at every post ----------------------------------------------------------------------------------------------

    def arrived(self, post: Published) -> None:
        """Promises 1 and 2, of the public's own view."""
        account, number = int(post.account), number_in(post.link)
        self._arrived[post.id] = self.world.clock.monotonic()
        self.world.story.tell("network", f"{post.id} is there: article {number} on account {account} ({post.delivery})")
        same = [
            other
            for other in self.world.server.posts
            if other.account == post.account and number_in(other.link) == number and not other.deleted
        ]
        if len(same) > 1:
            raise Broken(f"promise 1: account {account} shows article {number} twice: {[one.id for one in same]}")
        begun = self._begun.get(post.delivery)
        if begun is None:
            raise Broken(f"promise 1: {post.id} is there, and nobody started it")
        self._paced(account, begun)
        if post.id not in self.world.server.overdue:  # who looked in time could only think that it never went
            self._shown[account].append(begun)

    def _paced(self, account: int, begun: Begun) -> None:
        plan = self.world.week.accounts[account - 1]
        earlier = [other for other in self._shown[account] if other.epoch == begun.epoch]
        if begun.pinned:
            return
        gap = plan.gap.total_seconds() - 0.001  # both are sums of fractions of seconds
        near = [other for other in earlier if abs(begun.true - other.true) < gap]
        if near:
            raise Broken(f"promise 2: attempts {near[0].attempt} and {begun.attempt} started closer than {plan.gap}")
        zone = ZoneInfo(plan.zone)
        local = begun.wall.astimezone(zone)
        day = [other for other in earlier if other.wall.astimezone(zone).date() == local.date()]
        hour = [other for other in day if other.wall.astimezone(zone).hour == local.hour]
        if len(day) >= plan.day or len(hour) >= plan.hour:
            raise Broken(f"promise 2: account {account} has {len(hour) + 1} posts in an hour, {len(day) + 1} in a day")
        if plan.slots:
            mine = _slot(local, plan.slots)
            used = [
                other
                for other in earlier
                if not other.pinned and _slot(other.wall.astimezone(zone), plan.slots) == mine
            ]
            if used:
                raise Broken(f"promise 3: the slot {mine} took attempts {used[0].attempt} and {begun.attempt}")

    # -- at the end -------------------------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        """Promise 1: nothing is open, nothing is lost, the ledger balances."""
        with self.world.store.read() as tx:
            wrong = imbalances(tx)
        wrong += faults(self.world.store)
        wrong += [*self._still_open(), *self._not_public(), *self._lost()]
        if wrong:
            raise Broken("promise 1, at the end: " + "; ".join(wrong))

    def _still_open(self) -> Iterator[str]:
        for one, state, _, reason, article, account in self._rows(_DELIVERIES):
            if state in ("waiting", "sending", "unknown", "held") and account in self.world.numbers:
                yield f"{one} ({article} on {account}) is still {state}, {reason}"

    def _not_public(self) -> Iterator[str]:
        """What is sent can be seen, unless somebody removed it; what can be seen is sent."""
        there = {(post.account, number_in(post.link)): post for post in self.world.server.posts}
        visible = {place for place, post in there.items() if not post.deleted}
        sent = set()
        for one, account, link, state in self._rows(_PLACES):
            place = (str(self.world.numbers.get(account)), number_in(link))
            if state in ("sent", "withdrawn"):
                sent.add(place)
            if state == "sent" and place not in there:
                yield f"{one} is sent, and {place} was never there"
        for place in sorted(visible - sent, key=str):
            if not self._beyond_recall(there[place]):
                yield f"{place} can be seen, and is not sent"

    def _beyond_recall(self, post: Published) -> bool:
        """Did a store that is gone send it, and could the one that was put back in its place not learn of it: since no
        source shows the article any more, or the network could not be read when a person resumed? Or was it looked for
        when the network's word had run out, and came later all the same?"""
        if post.id in self.world.server.overdue:
            return True
        if self._arrived[post.id] > self._restored_at:
            return False
        week, plan = self.world.week, self.world.week.accounts[int(post.account) - 1]
        unreadable = week.deaf or week.slow or not plan.promises["find"] or Act.NETWORK_DOWN in dict(week.acts).values()
        return bool(unreadable) or not self.knows(number_in(post.link) or 0)

    def _lost(self) -> Iterator[str]:
        """What the sources show is stored and decided; the last article, written in peace, is where it has to be."""
        for feed in self.world.sources.values():
            for article in feed.articles:
                number = number_in(article.link)
                if not self.knows(number or 0) and not self._attached(number or 0):
                    yield f"article {number} of {feed.name} was never stored"
        for name in sorted(self.world.numbers):
            if not self._rows(_IN_PEACE, name):
                yield f"article 900, written in peace, came to nothing on {name}"

    def _attached(self, number: int) -> bool:
        """Does this article's address belong to another one?"""
        query = """
        SELECT 1 FROM article_keys k JOIN articles r ON r.id = k.article WHERE k.kind = 'link' AND k.value LIKE ?
        """
        return bool(self._rows(query, f"%/news/{number}"))


def _inside(span: str, moment: time) -> bool:
    start, end = (time.fromisoformat(part) for part in span.split("-"))
    return start <= moment < end if start < end else moment >= start or moment < end


def _slot(local: datetime, slots: tuple[str, ...]) -> tuple[str, str]:
    """The newest slot at or before a local time: its date and time."""
    passed = [slot for slot in slots if time.fromisoformat(slot) <= local.time()]
    if passed:
        return local.date().isoformat(), passed[-1]
    return (local.date() - timedelta(days=1)).isoformat(), slots[-1]


_NEW_ATTEMPTS = """
SELECT a.id, a.delivery, a.identity, d.due_at, d.pinned_at, d.fresh_until, d.doubted_at,
  r.first_seen_at, r.status, r.link
FROM attempts a JOIN deliveries d ON d.id = a.delivery JOIN articles r ON r.id = d.article
WHERE a.id > ? ORDER BY a.id
"""
_DELIVERIES = "SELECT id, state, version, reason, article, account FROM deliveries ORDER BY id"
_PLACES = """
SELECT d.id, d.account, r.link, d.state FROM deliveries d JOIN articles r ON r.id = d.article ORDER BY d.id
"""
#: Where the last article has to be: out, or too late for others that were before it.
_IN_PEACE = """
SELECT 1 FROM deliveries d JOIN articles r ON r.id = d.article
WHERE d.account = ? AND r.link || '?' LIKE '%/news/900?%'
  AND (d.state = 'sent' OR (d.state = 'skipped' AND d.reason IN ('cap', 'stale', 'rehearsal', 'by_hand')))
"""
_STOPPABLE = """
SELECT d.account, d.article, r.data
FROM attempts a JOIN deliveries d ON d.id = a.delivery JOIN articles r ON r.id = d.article WHERE a.id = ?
"""
