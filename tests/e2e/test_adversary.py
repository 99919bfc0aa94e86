"""The real process on a real store, against servers that are as bad as real ones: each post once, and none lost.

The servers count. Where it matters, everything is tried with idempotency keys honoured and with keys ignored. The full
counts (1,000 kills) are under the soak marker.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from bot.clock import SeededRandom
from bot.testing.mastodon_server import Fault, MastodonServer, Plan, seeded
from tests.e2e.houses import (
    LONG,
    exactly,
    newsroom,
    opened,
    standing,
    store_at,
    unfinished,
    until_all_sent,
    verdict,
    write_article,
)
from tests.e2e.process import eventually, log_of, running, wirepost

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


def stop(child: subprocess.Popen[str], folder: Path, starts: int = 1) -> None:
    # A process that is only just starting has no handler for the signal yet.
    eventually(lambda: log_of(folder).count('"started"') >= starts, lambda: log_of(folder)[-3000:], LONG)
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


@pytest.mark.soak
def test_p02_where_absence_proves_nothing_a_lost_post_is_held_and_never_sent_again(tmp_path: Path) -> None:
    """GoToSocial has no keys, and its lists prove nothing: what was taken is found, the rest is held."""
    lost = {3: Fault.DROP_BEFORE, 7: Fault.DROP_AFTER, 11: Fault.ERROR_BEFORE, 15: Fault.ERROR_AFTER}
    with MastodonServer(keys=False, software="gotosocial", faults=lambda number, _: lost.get(number)) as server:
        secrets = newsroom(tmp_path, [server.base], articles=20, network="nearby")
        with running(tmp_path, **secrets) as child, opened(store_at(tmp_path)) as store:
            held = "{'a1 held': 2, 'undecided': 0, 'sent': 18}"
            eventually(lambda: unfinished(store, 20) == held, lambda: unfinished(store, 20), 4 * LONG, every=1.0)
            stop(child, tmp_path)
        assert verdict(standing(server), 1, range(20)) == {"wanted": 20, "posts": 18, "doubled": 0, "lost": 2}


#: Seed, kills, articles: one short life in the suite; ten long ones, with keys and without, are the 1,000 of the soak.
LIVES = [(0, 4, 30), *(pytest.param(seed, 50, 60, marks=pytest.mark.soak) for seed in range(1, 11))]


@pytest.mark.parametrize(
    "keys", [pytest.param(True, marks=pytest.mark.soak, id="keys honoured"), pytest.param(False, id="keys ignored")]
)
@pytest.mark.parametrize(("seed", "kills", "articles"), LIVES)
def test_p03_killed_with_9_again_and_again_and_replies_lost_besides(
    tmp_path: Path, keys: bool, seed: int, kills: int, articles: int
) -> None:
    """Killed after a seeded number of posts, or at its start."""
    accounts, random = 4, SeededRandom(2 * seed + keys)
    wanted = accounts * articles
    faults = at_first(seeded(5 + seed, ALL), wanted)
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
            stop(child, tmp_path, kills + 1)
        assert verdict(standing(server), accounts, range(articles)) == exactly(wanted)


def passes_at_once(folder: Path, number: int, secrets: Mapping[str, str]) -> list[int]:
    """The exit codes of so many passes, started at the same time."""
    with ThreadPoolExecutor(number) as pool:
        done = list(pool.map(lambda _: wirepost(folder, "run", "--once", **secrets), range(number)))
    assert not any("Traceback" in one.stderr for one in done)
    return sorted(one.returncode for one in done)


def test_p10_runs_that_overlap_on_one_file_exit_with_11_and_double_nothing(tmp_path: Path) -> None:
    """Beside a worker, and beside each other after it was killed."""
    articles, accounts = 30, 3
    with MastodonServer(keys=False, latency=0.02) as server:
        secrets = newsroom(tmp_path, [server.base] * accounts, articles=articles, network="nearby")
        with running(tmp_path, **secrets) as worker:
            eventually(lambda: len(server.statuses) >= 3, lambda: log_of(tmp_path)[-2000:])
            assert passes_at_once(tmp_path, 2, secrets) == [11, 11]
            worker.send_signal(signal.SIGKILL)
            worker.wait(60)
        for number in range(articles, articles + 10):
            write_article(tmp_path, number)
        codes = passes_at_once(tmp_path, 3, secrets)
        assert codes[0] == 0
        assert set(codes[1:]) <= {0, 11}
        assert wirepost(tmp_path, "run", "--once", **secrets).returncode == 0
        assert verdict(standing(server), accounts, range(articles + 10)) == exactly(accounts * (articles + 10))


def test_p10_passes_that_overlap_on_one_database_share_the_work(tmp_path: Path, postgres_url: str) -> None:
    """A pass may end while another still has a post on the wire (8) or waits for its turn (3); the last ends with 0."""
    articles, accounts = 30, 3
    with MastodonServer(keys=False) as server:
        secrets = newsroom(tmp_path, [server.base] * accounts, articles=articles, store=postgres_url, network="nearby")
        assert set(passes_at_once(tmp_path, 3, secrets)) <= {0, 3, 8}
        assert wirepost(tmp_path, "run", "--once", **secrets).returncode == 0
        assert verdict(standing(server), accounts, range(articles)) == exactly(accounts * articles)
