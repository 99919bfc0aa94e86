"""A whole newsroom for tests: real flow, store, rules and door; only the wire, the clock and the sources are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from bot.clock import Random, SeededRandom
from bot.flow import check, deliver, discover, plan, reconcile, schedule
from bot.flow.newsroom import Account, Newsroom
from bot.http import Door
from bot.networks.base import Network
from bot.rules.editorial import Editorial
from bot.secrets import Keyring
from bot.store import Store
from bot.store.accounts import Join
from bot.store.revisions import ApplyRules
from bot.testing.clock import ManualClock
from bot.testing.network import Fake, FakeOptions
from bot.testing.network_server import FakeServer
from bot.testing.source import Scripted

KEY = "0" * 64

#: No caps, no gaps, no settle time: what a test of anything but timing wants.
AT_ONCE: Mapping[str, Any] = {"settle": "0s", "caps": {"hour": 1000, "day": 10_000, "gap": "0s"}}


def editorial(
    accounts: Mapping[str, Mapping[str, Any]], *, defaults: Mapping[str, Any] = AT_ONCE, **rest: Any
) -> Editorial:
    """Editorial settings with one route for all articles to all accounts, unless `routes` says otherwise."""
    rules = {name: {"network": "fake", "live": True, **more} for name, more in accounts.items()}
    routes = rest.pop("routes", [{"name": "all"}])
    return Editorial.model_validate({"accounts": rules, "routes": routes, "defaults": dict(defaults), **rest})


def newsroom(
    store: Store,
    clock: ManualClock,
    rules: Editorial,
    *,
    server: FakeServer | None = None,
    sources: Mapping[str, Scripted] | None = None,
    options: Mapping[str, Any] | None = None,
    network: type[Network] = Fake,
    random: Random | None = None,
    worker: str = "worker-1",
    crash: Callable[[str], None] = lambda point: None,
) -> Newsroom:
    """A newsroom whose accounts are all on one fake server: account number N logs in as token-N."""
    server = server or FakeServer(clock)
    door = Door(clock, user_agent="Wirepost test", network_backend=server, resolve=server.resolve, crash=crash)
    names, keyring = sorted(rules.accounts), Keyring((bytes.fromhex(KEY),))
    connections = {
        name: Account.marked(
            keyring, name, network, (options or {}).get(name) or FakeOptions(token=SecretStr(f"token-{index + 1}"))
        )
        for index, name in enumerate(names)
    }
    marks = {name: account.mark for name, account in connections.items()}
    store.commit(Join(tuple((name, "fake", rules.accounts[name].live) for name in names), marks))
    number = store.commit(ApplyRules(rules, "test", "", timedelta(days=30)))
    return Newsroom(
        store=store,
        door=door,
        clock=clock,
        random=random or SeededRandom(1),
        keyring=keyring,
        worker=worker,
        sources=sources or {"main": Scripted("main")},
        accounts=connections,
        editorial=rules,
        rules=number,
        crash=crash,
    )


def settle_down(room: Newsroom, *, rounds: int = 20) -> None:
    """Run every step until none of them does anything, without letting time pass."""
    for _ in range(rounds):
        moved = [step.run(room) for step in (check, plan, schedule, deliver, reconcile)]
        if not any(moved):
            return


def look(room: Newsroom) -> None:
    """Look at every source now, due or not, and let what follows happen."""
    discover.run(room, anyway=True)
    settle_down(room)


def pass_time(room: Newsroom, length: timedelta, *, step: timedelta = timedelta(seconds=5)) -> None:
    """Let time go by in small steps, with every step of the flow run after each."""
    clock = room.clock
    assert isinstance(clock, ManualClock)
    left = length
    while left > timedelta(0):
        clock.advance(min(step, left))
        left -= step
        discover.run(room)
        settle_down(room)
