"""Houses for real processes: a folder of articles, accounts on loopback servers, and counting what stands there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from bot.clock import SystemClock
from bot.errors import StoreError
from bot.model import State
from bot.store import Store, attempts, deliveries
from bot.store.schema import deliveries as deliveries_table
from bot.testing.mastodon_server import MastodonServer
from tests.e2e.process import ROOT, eventually, log_of

NEARBY = Path(__file__).parent / "nearby"
# A machine that is busy with other things may take so long for what an idle one does in half a minute.
LONG = 300.0
RULES = """
[defaults]
settle = "0s"
first_look = "all"
near_duplicate = "warn"
caps = {}

[[routes]]
name = "all"
"""
FOLDER = '[sources.main]\nkind = "folder"\npath = "in"\n'


def write_article(folder: Path, number: int) -> None:
    """One story in the house's folder; it comes to be there whole."""
    page = f"---\ntitle: Story number {number} of the day\nlink: https://www.example.com/{number}\n---\nText.\n"
    part = folder / f"{number:04}.part"
    part.write_text(page)
    part.rename(folder / "in" / f"{number:04}.md")


def newsroom(
    folder: Path,
    servers: Sequence[str],
    *,
    articles: int = 0,
    store: str = "",
    network: str = "mastodon",
    source: str = FOLDER,
    top: str = "",
) -> dict[str, str]:
    """A house whose account aN is account N of the server at `servers[N-1]`; the environment that it needs."""
    for name in ("config", "in"):
        (folder / name).mkdir()
    for number in range(articles):
        write_article(folder, number)
    accounts = [
        f'[accounts.a{number}]\nnetwork = "{network}"\nserver = "{server}"\nlive = true\n'
        'allow_private = true\npace = "server"\n'
        for number, server in enumerate(servers, 1)
    ]
    kept = f'[store]\nurl = "{store}"\n' if store else ""
    (folder / "config" / "wirepost.toml").write_text("\n".join([top, RULES, kept, source, *accounts]))
    tokens = {
        f"WIREPOST_ACCOUNTS__A{number}__TOKEN": MastodonServer.token(number) for number in range(1, len(servers) + 1)
    }
    return {**tokens, **(next_door(folder) if network == "nearby" else {})}


def next_door(folder: Path) -> Mapping[str, str]:
    """The environment in which the network `nearby` is installed: an outside package, found by its entry point."""
    info = folder / "site" / "wirepost_nearby-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wirepost-nearby\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[wirepost.networks]\nnearby = wirepost_nearby:Nearby\n")
    return {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, info.parent, NEARBY)))}


# -- counting -----------------------------------------------------------------------------------------------------


def standing(*servers: MastodonServer) -> Counter[tuple[str, int]]:
    """How often each story stands on each account: (account, number of the story)."""
    statuses = [status for server in servers for status in list(server.statuses)]
    return Counter((status.account, int(re.findall(r"/(\d+)", status.text)[-1])) for status in statuses)


def verdict(posts: Mapping[tuple[str, int], int], accounts: int, articles: Iterable[int]) -> dict[str, int]:
    """The exact count: posts wanted, posts that stand, doubles and lost ones; nothing else may stand there."""
    wanted = {(str(account), number) for account in range(1, accounts + 1) for number in articles}
    assert set(posts) <= wanted, sorted(set(posts) - wanted)
    return {
        "wanted": len(wanted),
        "posts": sum(posts.values()),
        "doubled": sum(times - 1 for times in posts.values()),
        "lost": len(wanted - set(posts)),
    }


def exactly(number: int) -> dict[str, int]:
    """The verdict that is promised."""
    return {"wanted": number, "posts": number, "doubled": 0, "lost": 0}


def store_at(folder: Path) -> str:
    """The address of the house's SQLite store."""
    return f"sqlite:///{folder / 'var' / 'wirepost.db'}"


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store, looked into beside its workers."""
    with closing(Store(url, SystemClock())) as store:
        yield store


def unfinished(store: Store, wanted: int) -> str:
    """What is not at its end yet; empty once every delivery is sent and no attempt is open or in doubt."""
    try:
        with store.read() as tx:
            open_now = deliveries.counts(tx)
            sent = tx.execute(select(func.count()).where(deliveries_table.c.state == State.SENT)).scalar_one()
            undecided = len(attempts.undecided(tx))
    except StoreError as error:  # not made yet
        return str(error)
    left = {f"{account} {state}": number for (account, state), number in open_now.items() if number}
    told = {**left, "undecided": undecided, "sent": sent}
    return "" if told == {"undecided": 0, "sent": wanted} else str(told)


def until_all_sent(url: str, folder: Path, wanted: int, within: float = LONG) -> None:
    """Wait until the store knows every delivery as sent."""
    with opened(url) as store:
        left: Callable[[], str] = lambda: unfinished(store, wanted)  # noqa: E731 -- one expression, asked twice
        eventually(lambda: not left(), lambda: f"{left()}\n{log_of(folder)[-3000:]}", within, every=0.25)
