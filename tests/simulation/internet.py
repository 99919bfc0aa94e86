"""The network of a week: the test server behind the real door, made worse by what the week says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from bot.testing.clock import ManualClock
from bot.testing.network_server import Answer, FakeServer, Fault, Published
from tests.simulation.adversary import Week
from tests.simulation.dice import Dice
from tests.simulation.story import Story

#: Until when what is taken late is there. A server that ignores keys keeps its network's word on what may still be on
#: its way (60 s); one that honours them may take longer, since the same key never publishes twice.
LATE = {False: timedelta(seconds=55), True: timedelta(seconds=150)}


class TrueTime:
    """The clock of everybody but the bot's own machine."""

    def __init__(self, story: Story, clock: ManualClock) -> None:
        self._story = story
        self.monotonic = clock.monotonic
        self.wait = clock.wait

    def now(self) -> datetime:
        return self._story.true()


class Internet(FakeServer):
    """`arrived` is told of each new post; `meanwhile` lets the rest of the world go on while an answer takes time."""

    def __init__(self, week: Week, clock: ManualClock, dice: Dice, story: Story) -> None:
        super().__init__(TrueTime(story, clock) if week.tells_time else clock, keys=week.keys)
        self._week = week
        self._dice = dice
        self._story = story
        self.late = LATE[week.keys is not None]
        self.limit = timedelta(seconds=dice.pick((5, 38, 900, 7200)))
        self.fault = self._fails
        self.resting = False
        #: Posts that came to be there later than the network's word on what may still be on its way.
        self.overdue: set[str] = set()
        self.arrived: Callable[[Published], None] = lambda post: None
        self.meanwhile: Callable[[float], None] = lambda seconds: None

    def _fails(self, account: str, body: Mapping[str, object]) -> Fault | None:
        fault = None if self.resting else self._dice.weighted(self._week.faults)
        if fault is not None:
            self._story.tell("network", f"{fault} for account {account}")
        return fault

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        deaf = method == "GET" and not self.resting and self._dice.chance(self._week.deaf)
        had = len(self.posts)
        answer = self._refusing() if deaf else super().answer(method, target, headers, body)
        for post in self.posts[had:]:
            if post.visible_at - self._clock.now() > LATE[False]:
                self.overdue.add(post.id)
            self.arrived(post)
        if not self.resting and self._dice.chance(self._week.slow):
            self.meanwhile(self._dice.pick((1.5, 6.0, 19.0, 25.0, 40.0)))
        if self._week.tells_time:
            answer.headers["Date"] = format_datetime(self._story.true().astimezone(UTC), usegmt=True)
        return answer

    def _refusing(self) -> Answer:
        """What a read gets that is not answered."""
        lost = self._dice.chance(0.5)
        return Answer(self._dice.pick((429, 500, 503)), {"error": "not now"}, lost=lost)

    def remove(self, post: Published) -> None:
        """Somebody deletes it there."""
        post.deleted = True
        self._story.tell("network", f"{post.id} is removed by hand from account {post.account}")
