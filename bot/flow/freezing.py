"""What an attempt will carry, and under which conditions it may begin: frozen with its row before any byte leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.flow.due import Case, scopes
from bot.flow.newsroom import Newsroom
from bot.model import Action, Delivery, Payload, Post, Priority, Reason
from bot.networks.base import Network
from bot.rules.compose import compose
from bot.rules.editorial import Editorial, Route
from bot.rules.timetable import shut_at
from bot.rules.timing import Pacing, Timing, pacing_at, timing_for
from bot.store.articles import Stored
from bot.store.attempts import Start


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a delivery may go now: its account's pace and its route."""

    timing: Timing
    route: Route | None

    @property
    def shifts(self) -> bool:
        """Do the times of what else waits on the account hang on when this one goes?"""
        return not self.timing.free or (self.route is not None and self.route.schedule is not None)

    def shut(self, case: Case, editorial: Editorial) -> Reason | None:
        """Whoever was asleep when a post was due may wake in quiet hours: it must not go now."""
        if case.delivery.pinned_at is not None:
            return None
        route = self.route
        schedule = editorial.schedules.get(route.schedule) if route is not None and route.schedule else None
        return shut_at(case.now, self.timing, route.quiet if route is not None else None, schedule)

    def pacing(self, case: Case) -> Pacing:
        """The pace as conditions of the start."""
        pinned = case.delivery.pinned_at is not None
        over_cap = self.route is not None and self.route.over_cap and case.delivery.priority is Priority.BREAKING
        return pacing_at(self.timing, case.now, pinned=pinned, over_cap=over_cap)


def terms_of(newsroom: Newsroom, case: Case) -> Terms:
    """What holds for this delivery on this account."""
    row, editorial = case.row, newsroom.editorial
    timing = timing_for(editorial, row.name, newsroom.accounts[row.name].network.pace, joined_at=row.joined_at)
    return Terms(timing, next((route for route in editorial.routes if route.name == case.delivery.route), None))


def freeze(newsroom: Newsroom, case: Case, terms: Terms) -> Start:
    """The payload and the key of the attempt, and its conditions. Raises CannotFit, BadTemplate, SendError.

    What is in doubt goes out again as it was; all else is composed as its article is now.
    """
    delivery, row, frozen = case.delivery, case.row, case.frozen
    generation = delivery.generation if frozen or not delivery.tries else delivery.generation + 1
    return Start(
        current=delivery,
        identity=row.identity or "",
        payload=frozen.payload if frozen else rendered(newsroom, case),
        key=frozen.key if frozen else newsroom.keyring.delivery_key(delivery.id, Action.PUBLISH, generation),
        generation=generation,
        lease=newsroom.lease(newsroom.accounts[row.name].network),
        worker=newsroom.worker,
        pacing=terms.pacing(case),
        scopes=scopes(newsroom, case.stored, row.name),
        trial=row.breaker is not None,
    )


def rendered(newsroom: Newsroom, case: Case) -> Payload:
    """The payload of a delivery as its article is now, pictures uploaded. Raises CannotFit, BadTemplate, SendError."""
    adapter = newsroom.reader(case.row)
    post = composed(newsroom.editorial, adapter, case.stored, case.delivery)
    return adapter.prepare(adapter.render(post))


def composed(editorial: Editorial, adapter: Network, stored: Stored, delivery: Delivery) -> Post:
    """The post of a delivery: time and identity in it come from the delivery's row."""
    routes = {route.name: route for route in editorial.routes}
    post = compose(
        stored.article,
        editorial=editorial,
        account=delivery.account,
        network=adapter.name,
        limits=adapter.bounds(),
        route=routes.get(delivery.route),
        delivery=delivery.id,
        # When it was due, not when it was planned: networks sort by it. Frozen with the payload at the first attempt.
        created_at=delivery.due_at or delivery.created_at,
        text=delivery.edited_text,
    )
    return replace(post, article=stored.id)
