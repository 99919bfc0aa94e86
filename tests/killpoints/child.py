"""A process that can die at any point of the flow. It serves forks of itself, so that imports are paid for once.

Reads one JSON scenario a line, forks, runs it in the fork, and answers with the fork's exit code and last words.
A point is: a statement of SQL, a commit, a byte on the wire, or a named place in a step. `die_at` is its number.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event

from bot.clock import SeededRandom
from bot.flow import discover
from bot.http import Door
from bot.model import Article
from bot.networks.mastodon import Mastodon, MastodonOptions
from bot.store import Store
from bot.testing.clock import ManualClock
from bot.testing.newsroom import AT_ONCE, editorial, newsroom, pass_time, settle_down

DIED = 9


class Points:
    """Counts the places where this process could die, and dies at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.die_at = die_at
        self.names: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self.names.append(name)
            if len(self.names) == self.die_at:
                os._exit(DIED)


def run(scenario: dict[str, Any]) -> list[str]:
    """One life of the worker; the points that it passed."""
    points = Points(scenario.get("die_at"))
    clock = ManualClock(datetime.fromisoformat(scenario["start"]))
    store = Store(scenario["store"], clock, own_time=False, crash=points)
    event.listen(store.engine, "before_cursor_execute", lambda *parts: points(f"sql {parts[2][:60]}"))
    accounts = {f"a{number}": {"network": "mastodon"} for number in range(1, scenario["accounts"] + 1)}
    options = {
        name: MastodonOptions(server=scenario["server"], token=SecretStr(f"token-{name[1:]}"), allow_private=True)
        for name in accounts
    }
    room = newsroom(
        store,
        clock,
        editorial(accounts, defaults={**AT_ONCE, "first_look": "all"}),
        options=options,
        network=Mastodon,
        random=SeededRandom(scenario["seed"]),
        worker=f"worker-{os.getpid()}",
        crash=points,
    )
    room.door = Door(clock, user_agent="Wirepost test", crash=points)
    source = room.sources["main"]
    source.show(*(_article(number) for number in range(scenario["articles"])))  # type: ignore[attr-defined]
    discover.run(room, anyway=True)
    settle_down(room)
    pass_time(room, timedelta(seconds=scenario["for"]), step=timedelta(seconds=15))
    store.close()
    return points.names


def _article(number: int) -> Article:
    titles = ("Rail strike is off", "Court rules on levy", "Storm closes coastal road")
    return Article(
        source="main",
        guid=f"guid-{number}",
        headline=titles[number % len(titles)],
        link=f"https://www.example.com/news/{number}",
    )


def serve() -> None:
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            code, said = 0, ""
            try:
                said = json.dumps(run(json.loads(line)))
            except BaseException as error:  # noqa: BLE001 -- told to the test, which fails on it
                code, said = 1, json.dumps(repr(error))
            os.write(writing, said.encode()[:60_000])
            os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"code": os.waitstatus_to_exitcode(status), "said": said}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
