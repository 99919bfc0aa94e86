"""One pass: look at every source, plan, send all that is due, settle what can be settled, end.

It sends what is due now; what settles, waits for a gap or a slot stays planned for the next pass. Accounts are served
side by side, as the worker does. With settle and caps off, one pass sends everything that is new.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bot.app import App, begin
from bot.errors import UsageError
from bot.flow import STEPS, check, deliver, discover, plan, reconcile, schedule
from bot.flow.newsroom import Newsroom
from bot.model import State
from bot.store import deliveries, stops

# Rounds of a pass: each ends with something moved. More than this means that time, not work, is what is missing.
ROUNDS = 100


def run_once(app: App, only: str | None = None) -> int:
    """The exit code: 0 done, 3 some were not sent, 6 stopped, 8 some are unclear. Raises StoreError, UsageError."""
    steps: dict[str, Callable[[Newsroom], bool]] = {
        "discover": lambda room: discover.run(room, anyway=True),
        "check": check.run,
        "plan": plan.run,
        "schedule": schedule.run,
        "deliver": lambda room: _deliver(app, room),
        "reconcile": reconcile.run,
    }
    if only is not None and only not in steps:
        raise UsageError(f'There is no step "{only}". The steps are: {", ".join(STEPS)}.')
    begin(app)
    if only is not None:
        steps[only](app.newsroom)
    else:
        steps.pop("discover")(app.newsroom)
        _until_quiet(app.newsroom, steps)
    app.write_witness()
    return _code(app.newsroom)


def _until_quiet(room: Newsroom, steps: dict[str, Callable[[Newsroom], bool]]) -> None:
    for _ in range(ROUNDS):
        moved = [run(room) for run in steps.values()]  # every step runs in every round
        if not any(moved):
            return


def _deliver(app: App, room: Newsroom) -> bool:
    with room.store.read() as tx:
        names = [name for name in deliveries.due_accounts(tx) if name in room.accounts]
    with ThreadPoolExecutor(max(1, min(len(names), max(app.settings.workers, len(names))))) as pool:
        return any(list(pool.map(lambda name: deliver.run_account(room, name), names)))


def _code(room: Newsroom) -> int:
    with room.store.read() as tx:
        counted = deliveries.counts(tx)
        due = deliveries.due_accounts(tx)
        stopped = bool(stops.switches(tx))
    if any(number and state is State.UNKNOWN for (_, state), number in counted.items()):
        return 8
    if due:
        return 6 if stopped else 3
    return 0
