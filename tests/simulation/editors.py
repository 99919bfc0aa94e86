"""The people of a newsroom: they hold, release, skip, move, edit and retry, tell the truth about what is unclear, set
and lift stops, log in again, and resume a restored store, as the command line does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot import desk, standstill
from bot.desk import Act as DeskAct
from bot.desk import Case
from bot.errors import WirepostError
from bot.flow.newsroom import Newsroom
from bot.http import Door
from bot.model import Delivery, Reason, Receipt, State
from bot.store import articles as stored_articles
from bot.store import deliveries as stored_deliveries
from bot.store.articles import Admit, MarkSeen
from bot.store.stops import Lift, Scope, Stop, switches
from bot.store.witness import restored_since
from bot.testing.network_server import Published
from tests.simulation.adversary import SECTIONS
from tests.simulation.feeds import number_in

if TYPE_CHECKING:
    from tests.simulation.world import World

WHO = "ann"
#: Nobody looks at a network and back in less time than this.
LOOKS_AFTER = timedelta(minutes=5)


class Editors:
    """Whatever a person does to the newsroom of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def room(self) -> Newsroom:
        """The command line's own newsroom: another process on the same store."""
        world = self.world
        door = Door(world.clock, user_agent="Wirepost test", network_backend=world.server, resolve=world.server.resolve)
        return replace(
            world.template_room(), worker="cli", door=door, in_flight=set(), looked={}, last_look={}, ahead={},
            wake=lambda step: None, crash=lambda point: None, orphans=frozenset(), _skews={},
        )  # fmt: skip

    def act(self) -> None:
        """One thing that an editor does today."""
        kinds = (self._hold, self._release, self._skip, self._move, self._edit, self._retry, self._clear, self._clear)
        self.world.dice.pick(kinds)()

    # -- posts ------------------------------------------------------------------------------------------------------

    def _some(self, *states: State) -> Delivery | None:
        with self.world.store.read() as tx:
            found = stored_deliveries.listing(tx, states=states, limit=1000)
        found = sorted((one for one in found if one.account in self.world.numbers), key=lambda one: one.id)
        return self.world.dice.pick(found) if found else None

    def _do(self, one: Delivery | None, what: str, decide: Callable[[Case], DeskAct]) -> None:
        if one is None:
            return
        table = desk.Desk(store=self.world.store, editorial=self.world.rules, who=WHO)
        try:
            said = table.do(one.id, decide)
        except WirepostError as error:
            said = f"may not {what} {one.id}: {error}"
        self.world.story.tell(WHO, said.split("\n")[0])
        self.world.nudge()

    def _hold(self) -> None:
        self._do(self._some(State.WAITING), "hold", desk.hold)

    def _release(self) -> None:
        one = self._some(State.HELD)
        if one is not None and one.reason.reason is Reason.RESTORED:
            self.clear(one)
        else:
            self._do(one, "release", lambda case: desk.release(case, "ben"))

    def _skip(self) -> None:
        self._do(self._some(State.WAITING, State.HELD), "skip", desk.skip)

    def _move(self) -> None:
        one = self._some(State.WAITING, State.HELD)
        later = self.world.dice.pick((None, 0.0, 600.0, 7200.0))
        at = None if later is None else self.world.clock.now() + timedelta(seconds=later)
        self._do(one, "move", lambda case: desk.move(case, at))

    def _edit(self) -> None:
        one = self._some(State.WAITING, State.HELD)
        text = None
        if one is not None and "https://" in one.text and self.world.dice.chance(0.8):
            text = f"Read this: {one.text[one.text.index('https://') :].split()[0]}"
        room = self.room()

        def edited(case: Case) -> DeskAct:
            from bot.wishes import composed_with

            post, limits = composed_with(room, case, text)
            return desk.edit(case, text, post, limits.size)

        self._do(one, "edit", edited)

    def _retry(self) -> None:
        one = self._some(State.REJECTED, State.SKIPPED, State.WAITING)
        if one is not None and self.world.restored_ever and self.shown_for(one):
            return  # after a restore a person looks before she sends again
        self._do(one, "retry", lambda case: desk.retry(case, "ben"))

    # -- what is unclear --------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self.clear(self._some(State.HELD, State.UNKNOWN, State.WAITING))

    def clear(self, one: Delivery | None) -> None:
        """Look at the account and say what is there: the truth."""
        if one is None or (one.doubted_at is None and one.reason.reason is not Reason.RESTORED):
            return
        if self.world.since_started(one) < LOOKS_AFTER:
            return
        posts = self.shown_for(one)
        if posts:
            receipt = Receipt(posts[0].id, posts[0].told()["url"], posts[0].visible_at)
            self._do(one, "confirm", lambda case: desk.there(case, receipt))
        elif one.reason.reason is Reason.RESTORED and one.state is State.HELD:
            self._do(one, "release", lambda case: desk.release(case, "ben"))
        else:
            self._do(one, "deny", desk.not_there)

    def shown_for(self, one: Delivery) -> list[Published]:
        """What a person finds of this story on the account, if she looks long enough."""
        with self.world.store.read() as tx:
            stored = stored_articles.by_id(tx, one.article)
        number = number_in(stored.article.link) if stored is not None else None
        identity = self.world.names[one.account]
        return [
            post
            for post in self.world.server.posts
            if post.account == str(identity) and number_in(post.link) == number and not post.deleted
        ]

    def clear_all(self) -> None:
        """The end of the week: every open question is answered."""
        with self.world.store.read() as tx:
            held = stored_deliveries.listing(tx, states=[State.HELD], limit=1000)
            articles = stored_articles.held(tx)
        for one in sorted(held, key=lambda one: one.id):
            if one.doubted_at is not None or one.reason.reason is Reason.RESTORED:
                self.clear(one)
            else:
                self._do(one, "decide", desk.skip if self.world.dice.chance(0.5) else _released)
        self.judge([stored.id for stored in articles])

    def judge(self, ids: Sequence[str]) -> None:
        """Held articles: a flood is old news or is let go; what shares its address with another is old news."""
        for one in ids:
            with self.world.store.read() as tx:
                stored = stored_articles.by_id(tx, one)
            reused = stored is not None and stored.hold is not None and stored.hold.reason is Reason.GUID_REUSE
            if reused or self.world.dice.chance(0.7):
                self.world.store.commit(MarkSeen((one,), WHO))
                self.world.story.tell(WHO, f"article {one} is old news")
            else:
                self.world.store.commit(Admit((one,), WHO))
                self.world.story.tell(WHO, f"article {one} may go")
        self.world.nudge()

    # -- stops ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Set a switch of any scope; lift it later, unless it ends by itself."""
        world, dice = self.world, self.world.dice
        scope = dice.pick(list(Scope))
        value = self._value(scope)
        if value is None:
            return
        one = self.room().random.new_id() + str(len(world.story.lines))
        ends = world.clock.now() + timedelta(seconds=dice.seconds(600, 20_000)) if dice.chance(0.3) else None
        world.store.commit(Stop(id=one, scope=scope, value=value, reason="", who=WHO, until=ends))
        world.story.tell(WHO, f"stops {scope} {value}" + (f" until {ends:%a %H:%M}" if ends else ""))
        world.nudge()
        if ends is None:
            world.later(dice.pick((30.0, 600.0, 7200.0, 40_000.0)), None, lambda: self.lift(one))

    def _value(self, scope: Scope) -> str | None:
        world = self.world
        if scope is Scope.ARTICLE:
            one = self._some(State.WAITING, State.HELD, State.SENDING)
            return one.article if one is not None else None
        values = {
            Scope.ALL: [""],
            Scope.NETWORK: [world.network.name],
            Scope.ACCOUNT: sorted(world.numbers),
            Scope.SOURCE: sorted(world.sources),
            Scope.SECTION: list(SECTIONS),
            Scope.TAG: ["news"],
        }
        return world.dice.pick(values[scope])

    def lift(self, one: str) -> None:
        """Lift one switch; a restored store is resumed, not lifted."""
        if self.world.store.commit(Lift(one, WHO)):
            self.world.story.tell(WHO, "lifts a stop")
            self.world.nudge()

    def resume(self) -> None:
        """`wirepost resume`: everything that is stopped goes on; a restored store takes over what is out first."""
        room = self.room()
        with self.world.store.read() as tx:
            on, since = switches(tx), restored_since(tx)
        blind = standstill.take_over(room) if since is not None else []
        if blind:
            self.world.story.tell(WHO, f"can't resume: {', '.join(blind)} can't be read")
            self.world.later(900, None, self.resume)
            return
        standstill.lift(room, on, WHO)
        self.world.story.tell(WHO, "resumes")
        self.world.nudge()


def _released(case: Case) -> DeskAct:
    return desk.release(case, "ben")
