"""What the store says of a driver's error, and writers beside readers on each database."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bot.errors import StoreError
from bot.store import Store, Tx
from bot.store.audit import Note, events_named
from bot.store.databases import lost_race, store_error
from bot.store.schema import meta
from bot.testing.clock import START

WRITERS, WRITES = 8, 50


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("database or disk is full", "the disk is full: nothing is sent until there is room again"),
        ("could not extend file: No space left on device", "the disk is full: nothing is sent until there is room"),
        ("database is locked", "another process has kept the store locked"),
        ("attempt to write a readonly database", "the store can't be written: check the owner and rights"),
        ("unable to open database file", "the store's folder can't be opened: check that it exists"),
        ("database disk image is malformed", "the store is damaged: stop, and restore a backup"),
        ("file is not a database", "the file is no Wirepost store"),
        ("connection failed: FATAL: no pg_hba.conf entry", "the database can't be reached"),
    ],
)
def test_a_drivers_error_is_said_with_what_to_do(words: str, sentence: str) -> None:
    """Words of sqlite.org/rescode.html and of postgresql.org/docs/current/errcodes-appendix.html as the drivers say."""
    error = OperationalError("INSERT INTO meta VALUES (:v)", {"v": "private words"}, Exception(f"{words}\nDETAIL: x"))
    said = str(store_error(error, "the-store"))
    assert said.startswith(f"the-store: {sentence}")
    assert said.endswith(f"({words})")
    assert "private words" not in said
    assert "INSERT" not in said


def test_what_nobody_foresaw_is_said_in_the_drivers_words() -> None:
    error = OperationalError("SELECT 1", {}, Exception("something else\nCONTEXT: y"))
    assert str(store_error(error, "the-store")) == "the-store: something else"
    assert not lost_race(error)


class Twice:
    """An intent that inserts a row which is there."""

    lock = ""

    def apply(self, tx: Tx) -> None:
        tx.insert(meta, {"key": "stop", "value": "private words"})


def test_a_row_that_is_in_the_way_is_named_without_its_values(store: Store) -> None:
    with pytest.raises(StoreError) as told:
        store.commit(Twice())
    assert "meta" in str(told.value)
    assert "private words" not in str(told.value)
    with store.read() as tx:
        assert tx.execute(text("SELECT value FROM meta WHERE key = 'stop'")).scalar() == "0"


def test_p101_writers_beside_readers_lose_nothing_and_nobody_sees_half(store: Store) -> None:
    """Each write makes two rows: a reader that counts an odd number has seen half a write."""
    errors: list[BaseException] = []
    odd: list[int] = []
    done = threading.Event()
    ready = threading.Barrier(WRITERS + 2)

    class Pair:
        def __init__(self, subject: str) -> None:
            self.subject = self.lock = subject

        def apply(self, tx: Tx) -> str:
            Note("probe", self.subject).apply(tx)
            Note("probe", self.subject).apply(tx)
            return self.subject

    def write(number: int) -> None:
        ready.wait(30)
        try:
            for _ in range(WRITES):
                assert store.commit(Pair(f"writer-{number}")) == f"writer-{number}"
        except BaseException as error:  # noqa: BLE001 -- the test looks at it
            errors.append(error)

    def look() -> None:
        ready.wait(30)
        try:
            while not done.is_set():
                with store.read() as tx:
                    seen = int(tx.execute(text("SELECT count(*) FROM audit")).scalar_one())
                if seen % 2:
                    odd.append(seen)
        except BaseException as error:  # noqa: BLE001 -- the test looks at it
            errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    readers = [threading.Thread(target=look) for _ in range(2)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert errors == []
    assert odd == []
    with store.read() as tx:
        written = Counter(one.subject for one in events_named(tx, "probe", since=START))
    assert written == {f"writer-{number}": 2 * WRITES for number in range(WRITERS)}
