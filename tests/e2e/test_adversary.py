"""The real process on a real store, against servers that are as bad as real ones: each post once, and none lost.

The servers count. Where it matters, everything is tried with idempotency keys honoured and with keys ignored. The full
counts (1,000 kills) are under the soak marker.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from bot.clock import SeededRandom
from bot.testing.mastodon_server import Fault, MastodonServer, Plan, seeded
from tests.e2e.houses import LONG, exactly, newsroom, standing, store_at, until_all_sent, verdict
from tests.e2e.process import eventually, log_of, running

DROPS = {Fault.DROP_AFTER: 0.10}
ERRORS = {Fault.ERROR_BEFORE: 0.04, Fault.ERROR_AFTER: 0.04}
ALL = {Fault.DROP_BEFORE: 0.03, Fault.DROP_AFTER: 0.05, **ERRORS}
LIMITS = (Fault.LIMITED, Fault.LIMITED_DATE, Fault.LIMITED_ISO)


class EachItsOwn:
    """Each account meets its own adversary, whose numbers count this account's posts alone."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        self._numbers = {account: count(1) for account in plans}

    def __call__(self, number: int, account: str) -> Fault | None:
        return self._plans[account](next(self._numbers[account]), account)


def at_first(plan: Plan, most: int) -> Plan:
    """The plan for the first posts; what is sent again after them gets through, so that the end is near."""
    return lambda number, account: plan(number, account) if number <= most else None


def limits_between(plan: Plan, every: int, most: int) -> Plan:
    """The plan, and a 429 after so many posts, in one header style after another."""

    def both(number: int, account: str) -> Fault | None:
        if number % every == 0 and number <= most:
            return LIMITS[number // every % len(LIMITS)]
        return plan(number, account)

    return both


def stop(child: subprocess.Popen[str], folder: Path) -> None:
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0, log_of(folder)[-2000:]


@pytest.mark.parametrize("articles", [200, pytest.param(300, marks=pytest.mark.soak)])
def test_p01_p83_lost_replies_errors_and_limits_double_nothing_and_lose_nothing(tmp_path: Path, articles: int) -> None:
    """Four accounts, each with an adversary of its own, in one process: their look-ups are waited for at once (60 s).

    One reply in ten lost after the post was taken, with keys honoured and ignored; 500s before and after accepting with
    429s in three header styles between them; and all faults at once where keys are ignored.
    """
    honoured = EachItsOwn(
        {
            "1": at_first(seeded(1, DROPS), articles),
            "2": at_first(limits_between(seeded(2, ERRORS), 30, articles), articles),
        }
    )
    ignored = EachItsOwn({"3": at_first(seeded(3, DROPS), articles), "4": at_first(seeded(4, ALL), articles)})
    with (
        MastodonServer(keys=True, faults=honoured, limit=timedelta(seconds=1)) as keen,
        MastodonServer(keys=False, faults=ignored) as deaf,
    ):
        servers = [keen.base, keen.base, deaf.base, deaf.base]
        secrets = newsroom(tmp_path, servers, articles=articles)
        with running(tmp_path, **secrets) as child:
            until_all_sent(store_at(tmp_path), tmp_path, 4 * articles)
            stop(child, tmp_path)
        assert verdict(standing(keen, deaf), 4, range(articles)) == exactly(4 * articles)
        assert keen.refused == articles // 30


@pytest.mark.parametrize("keys", [True, False], ids=["keys honoured", "keys ignored"])
@pytest.mark.parametrize(("kills", "articles"), [(8, 50), pytest.param(500, 200, marks=pytest.mark.soak)])
def test_p03_killed_with_9_again_and_again_and_replies_lost_besides(
    tmp_path: Path, keys: bool, kills: int, articles: int
) -> None:
    """Killed after a seeded number of posts, or at its start; 1,000 kills in the soak."""
    accounts, random = 4, SeededRandom(kills + keys)
    wanted = accounts * articles
    faults = at_first(seeded(5, ALL), wanted)
    with MastodonServer(keys=keys, faults=faults) as server:
        secrets = newsroom(tmp_path, [server.base] * accounts, articles=articles, network="nearby")
        for kill in range(kills):
            more = int(random.uniform(0, 1.6 * wanted / kills))
            with running(tmp_path, **secrets) as child:
                enough = min(len(server.statuses) + more, wanted)
                eventually(
                    lambda enough=enough, kill=kill: (
                        len(server.statuses) >= enough and log_of(tmp_path).count('"started"') > kill
                    ),
                    lambda: log_of(tmp_path)[-3000:],
                    LONG,
                )
                child.send_signal(signal.SIGKILL)
        with running(tmp_path, **secrets) as child:
            until_all_sent(store_at(tmp_path), tmp_path, wanted)
            stop(child, tmp_path)
        assert verdict(standing(server), accounts, range(articles)) == exactly(wanted)
