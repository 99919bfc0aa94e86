"""What the stories of the flow share: articles, a newsroom with its server, and the ledger's balance after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.clock import SeededRandom
from bot.flow import discover, plan, schedule
from bot.flow.newsroom import Newsroom
from bot.model import Article, Delivery, Outcome, Reason, State
from bot.store import Store, attempts, deliveries
from bot.store.audit import events_named
from bot.testing.clock import ManualClock
from bot.testing.network_server import FakeServer
from bot.testing.newsroom import AT_ONCE, editorial, look, newsroom
from bot.testing.source import Scripted

#: Headlines that share no words, so that none is a near twin of another.
WORDS = (
    "Rail strike is off", "Court rules on levy", "Storm closes coastal road", "Mayor opens harbour bridge",
    "Library lends telescopes", "Bakers win tax case", "Glacier retreats again", "Museum finds lost sketch",
    "Ferry service doubles", "Teachers accept offer", "Port city plants oaks", "Chess club takes title",
    "Dairy prices tumble", "Orchestra tours islands", "Vaccine trial begins", "Stadium roof repaired",
    "Otters return to canal", "Census delayed by snow", "Printer fined for waste", "Choir records in cave",
)  # fmt: skip


def article(number: int = 1, **more: Any) -> Article:
    """An article of its own; `number` also names its id, link and headline."""
    fields: dict[str, Any] = {
        "source": "main",
        "guid": f"guid-{number}",
        "headline": f"{WORDS[number % len(WORDS)]} in ward {number // len(WORDS)}"
        if number >= len(WORDS)
        else WORDS[number],
        "link": f"https://www.example.com/news/{number}",
        **more,
    }
    return Article(**fields)


class Worker:
    """As much of a worker as health and its numbers ask about."""

    def __init__(self, room: Newsroom) -> None:
        self.newsroom = room
        self.beat_at = room.clock.monotonic()
        self.store_trouble: str | None = None


class House:
    """A newsroom, its only source, its server and its clock."""

    def __init__(
        self,
        store: Store,
        clock: ManualClock,
        *accounts: str,
        rules: Mapping[str, Any] | None = None,
        account: Mapping[str, Any] | None = None,
        server: FakeServer | None = None,
        looked: bool = True,
        options: Mapping[str, Any] | None = None,
        **defaults: Any,
    ) -> None:
        self.store, self.clock = store, clock
        self.server = server or FakeServer(clock)
        names = accounts or ("one",)
        self.rules = editorial(
            {name: dict(account or {}) for name in names},
            defaults={**AT_ONCE, "near_duplicate": "warn", **defaults},
            **(rules or {}),
        )
        self.source = Scripted("main")
        self.options = options
        self.room = self.newsroom()
        if looked:  # the baseline is behind us
            look(self.room)
            clock.advance(60)

    def newsroom(self, worker: str = "worker-1") -> Newsroom:
        """Another worker on the same store; the first one's process is forgotten."""
        return newsroom(
            self.store,
            self.clock,
            self.rules,
            server=self.server,
            sources={"main": self.source},
            options=self.options,
            random=SeededRandom(sum(worker.encode())),
            worker=worker,
        )

    def show(self, *articles: Article) -> None:
        """The source shows these now, and what follows happens."""
        self.source.show(*articles)
        look(self.room)

    def planned(self, *articles: Article) -> list[Delivery]:
        """The source shows these now; their posts are planned and timed, and nothing is sent."""
        self.source.show(*articles)
        discover.run(self.room, anyway=True)
        plan.run(self.room)
        schedule.run(self.room)
        return self.all()

    def all(self) -> list[Delivery]:
        with self.store.read() as tx:
            return deliveries.listing(tx, states=list(State), limit=100_000)

    def states(self) -> Counter[tuple[State, Reason]]:
        return Counter((one.state, one.reason.reason) for one in self.all())

    def outcomes(self) -> list[Outcome]:
        """How the attempts of the only delivery ended, in order."""
        (one,) = self.all()
        with self.store.read() as tx:
            return [attempt.outcome for attempt in attempts.of_delivery(tx, one.id)]

    def sent(self) -> list[str]:
        """The headlines that the public sees, in order."""
        return [post.text.split("\n")[0] for post in self.server.visible()]

    def times(self) -> list[datetime]:
        return [post.visible_at for post in self.server.visible()]

    def events(self, name: str) -> list[Any]:
        with self.store.read() as tx:
            return events_named(tx, name, since=tx.now - timedelta(days=400))

    def balances(self) -> None:
        """Every delivery is in exactly one state that its attempts bear out, and the public sees just what was sent."""
        assert self.server.doubled() == []
        for one in self.all():
            with self.store.read() as tx:
                tried = attempts.of_delivery(tx, one.id)
            good = [each for each in tried if each.outcome in (Outcome.RECEIPT, Outcome.FOUND)]
            open_ones = [each for each in tried if each.outcome in (Outcome.OPEN, Outcome.UNKNOWN, Outcome.PENDING)]
            assert len(good) <= 1, one
            if one.state is State.SENT:
                assert good or one.reason.reason is Reason.RESTORED or one.doubted_at, one
                assert not open_ones, one
            if one.state in (State.WAITING, State.REJECTED):
                assert not good, one
                assert not open_ones, one
        shown = Counter(post.delivery for post in self.server.visible())
        sent = {one.id for one in self.all() if one.state is State.SENT}
        assert sent <= set(shown), "sent, but the public doesn't see it"
