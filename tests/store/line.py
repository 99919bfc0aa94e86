"""Several intents in one transaction, as when threads wait behind a write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.store import Store, Tx


@dataclass
class Do:
    """An intent from a function."""

    apply: Callable[[Tx], Any]
    lock: str = ""


def in_line(store: Store, number: int) -> None:
    """Wait until so many threads wait to write: the line is the only sign of them."""
    tick = threading.Event()
    while len(store._queue) < number:
        tick.wait(0.005)


class Line:
    """Lets several threads wait behind one write, so that they share the next transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commits: list[str] = []
        self.answers: dict[str, Any] = {}
        store.crash = lambda point: self.commits.append(point) if point.startswith("after commit") else None

    def together(self, **intents: Any) -> dict[str, Any]:
        """All of these in one transaction; each one's result, or the error that it got."""
        begun, go_on = threading.Event(), threading.Event()

        def hold(_: Tx) -> None:
            begun.set()
            assert go_on.wait(30)

        first = threading.Thread(target=self.store.commit, args=(Do(hold),))
        first.start()
        assert begun.wait(30)
        threads = [threading.Thread(target=self._commit, args=item) for item in intents.items()]
        for thread in threads:
            thread.start()
        in_line(self.store, len(intents))
        go_on.set()
        for thread in (first, *threads):
            thread.join()
        return self.answers

    def _commit(self, name: str, intent: Any) -> None:
        try:
            self.answers[name] = self.store.commit(intent)
        except BaseException as error:  # noqa: BLE001 -- the test looks at it
            self.answers[name] = error
