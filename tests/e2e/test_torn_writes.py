"""P103: killed while writing, with what a failing power leaves besides: every file is clean at the next start.

The house writes to all of its files at once: the store and its log, the outbox and its index, the witness. After each
kill the store is sound and the witness whole; what a torn write leaves behind the last confirmed byte is added then.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from bot.clock import SeededRandom
from tests.e2e.houses import FOLDER, LONG, RULES, store_at, until_all_sent, write_article
from tests.e2e.process import eventually, log_of, running, wirepost

ACCOUNTS = 2
HALF_A_LINE = b'{"key":"3f3f3f3f","account":"b","text":"Story num'
HALF_A_WITNESS = '{"store_id": "x", "last_att'


def house(folder: Path, articles: int) -> None:
    """Two outboxes in two folders, and a health port for nobody."""
    for name in ("config", "in"):
        (folder / name).mkdir()
    for number in range(articles):
        write_article(folder, number)
    outboxes = [
        f'[accounts.{name}]\nnetwork = "outbox"\nfolder = "var/{name}"\necho = false\npace = "server"\n'
        for name in "ab"
    ]
    (folder / "config" / "wirepost.toml").write_text("\n".join([RULES, FOLDER, *outboxes]))


def written(folder: Path) -> list[dict[str, object]]:
    """All that stands in both outboxes, whole lines only."""
    found = []
    for name in "ab":
        path = folder / "var" / name / "posts.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        found += [{**json.loads(line), "outbox": name} for line in lines]
    return found


def sound(folder: Path) -> None:
    """The store is whole, and so is the witness if there is one."""
    with closing(sqlite3.connect(folder / "var" / "wirepost.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.execute("PRAGMA foreign_key_check").fetchall() == []
    witness = folder / "var" / "witness.json"
    if witness.exists():
        assert json.loads(witness.read_text())["store_id"]


def tear(folder: Path, random: SeededRandom) -> None:
    """What a failing power leaves: half of a write behind what was confirmed, in each file."""
    var, share = folder / "var", random.uniform(0, 1)
    for name in "ab":
        with (var / name / "posts.jsonl").open("ab") as outbox:
            outbox.write(HALF_A_LINE[: int(len(HALF_A_LINE) * share)])
        index = var / name / "posts.index"
        if index.exists() and share < 0.2:
            index.write_bytes(index.read_bytes()[: int(index.stat().st_size * share)])
    (var / "witness.1-1.new").write_text(HALF_A_WITNESS[: int(len(HALF_A_WITNESS) * share)])
    log = var / "wirepost.db-wal"
    if log.exists() and log.stat().st_size:
        frame = log.read_bytes()[32 : 32 + 24 + 4096]
        with log.open("ab") as file:  # a frame of the log with a wrong checksum behind it, cut off somewhere
            file.write(frame[: int(len(frame) * share)])


@pytest.mark.parametrize(
    ("seed", "kills", "articles"),
    [
        pytest.param(0, 20, 60, marks=pytest.mark.soak),
        *(pytest.param(seed, 50, 100, marks=pytest.mark.soak) for seed in range(1, 5)),
    ],
)
def test_p103_killed_while_writing_every_file_is_whole_at_the_next_start(
    tmp_path: Path, seed: int, kills: int, articles: int
) -> None:
    house(tmp_path, articles)
    wanted, random = ACCOUNTS * articles, SeededRandom(seed)
    for kill in range(kills):
        with running(tmp_path) as child:
            enough = min(len(written(tmp_path)) + int(random.uniform(0, 1.8 * wanted / kills)), wanted)
            eventually(
                lambda enough=enough, kill=kill: (
                    len(written(tmp_path)) >= enough and log_of(tmp_path).count('"started"') > kill
                ),
                lambda: log_of(tmp_path)[-3000:],
                LONG,
            )
            child.send_signal(signal.SIGKILL)
        sound(tmp_path)
        if kill % 2 and (tmp_path / "var" / "a" / "posts.jsonl").exists():
            tear(tmp_path, random)
    with running(tmp_path) as child:
        until_all_sent(store_at(tmp_path), tmp_path, wanted)
        eventually(lambda: log_of(tmp_path).count('"started"') > kills, lambda: log_of(tmp_path)[-3000:], LONG)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    sound(tmp_path)
    told = wirepost(tmp_path, "db", "check")
    assert told.returncode == 0, told.stdout + told.stderr
    links = Counter((post["outbox"], post["link"]) for post in written(tmp_path))
    assert len(links) == wanted
    assert set(links.values()) == {1}
