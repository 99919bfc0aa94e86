"""Disks that fill, schemas from the future, other processes: said in words, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from bot.clock import SystemClock
from bot.errors import StoreError, StoreTaken
from bot.model import Reason, State
from bot.store import Store, Tx, migrate
from bot.store.accounts import Join, all_accounts
from bot.store.audit import Note, events_named
from bot.store.backup import back_up, put_back, verify
from bot.store.hold import Hold
from bot.store.schema import meta
from bot.store.witness import (
    AccountRead,
    Christen,
    Finding,
    ForgetRestored,
    MarkRestored,
    Witness,
    judge,
    read,
    restored_since,
    store_id,
    taken,
    unread_since,
    write,
)
from bot.testing.clock import START, ManualClock
from tests.store.stock import Stock

ROOT = Path(__file__).parents[2]


class Bad:
    """An intent with a defect."""

    lock = ""

    def apply(self, tx: Tx) -> None:
        tx.execute(text("SELECT no_such_column FROM meta"))


def notes(store: Store) -> int:
    with store.read() as tx:
        return len(events_named(tx, "probe", since=START))


def test_head_is_the_newest_migration_and_the_schema_is_what_the_code_says(store: Store) -> None:
    files = sorted(path.name for path in (ROOT / "bot/store/migrations/versions").glob("[0-9]*.py"))
    assert files[-1].startswith(migrate.HEAD)
    with store.engine.connect() as connection:
        assert migrate.differences(connection) == []


def test_p102_a_newer_schema_is_refused_and_the_file_unchanged(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    store = Store(sqlite_url, SystemClock())
    with pytest.raises(StoreError, match="newer than this program"):
        migrate.require(store)
    with pytest.raises(StoreError, match="newer than this program"):
        migrate.migrate(store)
    store.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_defective_intent_spoils_no_other_and_tells_its_own_caller(store: Store) -> None:
    failed: list[BaseException] = []
    ready = threading.Barrier(9)

    def good() -> None:
        ready.wait()
        for _ in range(5):
            store.commit(Note("probe", "x"))

    def bad() -> None:
        ready.wait()
        for _ in range(5):
            try:
                store.commit(Bad())
            except StoreError as error:
                failed.append(error)

    threads = [threading.Thread(target=good) for _ in range(8)] + [threading.Thread(target=bad)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes(store) == 40
    assert len(failed) == 5


@pytest.mark.parametrize("writes", [250, pytest.param(10_000, marks=pytest.mark.soak)])
def test_p101_eight_writers_beside_readers_and_another_process_meet_no_lock(sqlite_url: str, writes: int) -> None:
    store = Store(sqlite_url, ManualClock(), own_time=False)
    other = Store(sqlite_url, ManualClock(), own_time=False)  # as the command line beside the worker
    errors: list[BaseException] = []

    def write_through(to: Store) -> None:
        try:
            for _ in range(writes):
                to.commit(Note("probe", "x"))
                with to.read() as tx:
                    tx.row(text("SELECT count(*) FROM audit"))
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=write_through, args=(store if n % 2 else other,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert notes(store) == 8 * writes
    store.close()
    other.close()


def test_p111_a_full_disk_refuses_before_anything_is_sent_and_goes_on_afterwards(sqlite_url: str) -> None:
    store = Store(sqlite_url, ManualClock(), own_time=False)
    with store.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    full = {"on": True}

    @event.listens_for(store.engine, "begin")
    def limit(connection: object) -> None:
        most = pages + 1 if full["on"] else 1_000_000
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    big = {"words": "x" * 100_000}
    with pytest.raises(StoreError, match="the disk is full"):
        store.commit(Note("probe", "x", big))
    assert notes(store) == 0
    full["on"] = False
    store.commit(Note("probe", "x", big))
    assert notes(store) == 1
    store.close()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not root for a moment, if we are: root may write everything."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@contextmanager
def open_folder(sqlite_url: str) -> Iterator[Path]:
    """A store in a folder that others can look into, as pytest's own can't be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "wirepost.db"
        path.write_bytes(Path(sqlite_url.removeprefix("sqlite:///")).read_bytes())
        yield path


def test_a_store_that_may_not_be_written_is_named_and_goes_on_when_it_may(sqlite_url: str) -> None:
    with open_folder(sqlite_url) as path:
        path.chmod(0o644)
        store = Store(f"sqlite:///{path}", ManualClock(), own_time=False)
        with unprivileged(), pytest.raises(StoreError, match=r"check (the owner|that it exists and may be written)"):
            store.commit(Note("probe", "x"))
        store.close()
        store.commit(Note("probe", "x"))
        assert notes(store) == 1
        store.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'none' / 'wirepost.db'}", SystemClock())
    with pytest.raises(StoreError, match="can't be opened: check that it exists"):
        migrate.revision(store)
    store.close()


def impatient(store: Store) -> Store:
    """A store that waits for another's lock for a moment only."""
    event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 20"))
    store.engine.dispose()
    return store


def test_p101_a_lock_that_never_ends_is_named_and_the_write_succeeds_after_it(sqlite_url: str) -> None:
    store = impatient(Store(sqlite_url, ManualClock(), own_time=False))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has kept the store locked"):
            store.commit(Note("probe", "x"))
        assert notes(store) == 0  # a reader is not in its way
        other.execute("ROLLBACK")
    store.commit(Note("probe", "x"))
    assert notes(store) == 1
    store.close()


def test_a_long_reader_keeps_nobody_from_writing(sqlite_url: str) -> None:
    store = impatient(Store(sqlite_url, ManualClock(), own_time=False))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM audit").fetchone()
        for _ in range(20):
            store.commit(Note("probe", "x"))
        assert other.execute("SELECT count(*) FROM audit").fetchone() == (0,)
    assert notes(store) == 20
    store.close()


def test_p103_a_store_with_broken_pages_is_named_and_the_backup_helps(sqlite_url: str, tmp_path: Path) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    store = Store(sqlite_url, ManualClock(), own_time=False)
    store.commit(Note("probe", "x", {"words": "y" * 20_000}))
    copy = back_up(store, tmp_path / "backups", START)
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="the store is damaged: stop, and restore a backup"):
        store.commit(Note("probe", "x"))
    store.close()
    put_back(copy, path, ManualClock(), stop="s", who="ann")
    assert notes(store) == 1
    store.close()


def test_p103_a_store_that_somebody_reads_is_not_replaced_while_its_log_alone_has_the_last_rows(
    sqlite_url: str, tmp_path: Path
) -> None:
    """Its log would be put aside before the new file comes; a death between the two would leave it forgetful."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    store = Store(sqlite_url, ManualClock(), own_time=False)
    copy = back_up(store, tmp_path / "backups", START)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM audit").fetchone() == (0,)
        store.commit(Note("probe", "of today"))
        with pytest.raises(StoreError, match="another process reads the store"):
            put_back(copy, path, ManualClock(), stop="s", who="ann")
        assert notes(store) == 1
        assert sorted(each.name for each in path.parent.iterdir() if "restor" in each.name) == []
    put_back(copy, path, ManualClock(), stop="s", who="ann")
    store.close()
    assert notes(store) == 0
    store.close()


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system of 1.2 MB, where this machine lets us make one."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)  # also if the test failed with open files


def test_p111_on_a_disk_that_is_really_full_nothing_starts_until_there_is_room(sqlite_url: str) -> None:
    """Where no small disk can be made, the limit of pages above stands for it."""
    with small_disk() as disk:
        if disk is None:
            return
        path = disk / "wirepost.db"
        path.write_bytes(Path(sqlite_url.removeprefix("sqlite:///")).read_bytes())
        store = Store(f"sqlite:///{path}", ManualClock(), own_time=False)
        stock = Stock(store)
        current = stock.waiting(1)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        full = "the disk is full: nothing is sent until there is room again"
        with pytest.raises(StoreError, match=full):
            for _ in range(1000):  # the log's own file has some room left
                store.commit(Note("probe", "x", {"words": "y" * 4000}))
        with pytest.raises(StoreError, match=full):
            stock.start(current)
        assert stock.read(current.id) == current
        ballast.unlink()
        stock.started(current)
        store.close()


def test_a_damaged_file_and_a_file_that_is_no_store_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wirepost.db"
    path.write_bytes(b"this is no database at all" * 100)
    store = Store(f"sqlite:///{path}", SystemClock())
    with pytest.raises(StoreError, match="is no Wirepost store"):
        migrate.revision(store)
    store.close()


def test_the_store_is_durable_by_its_settings(sqlite_url: str) -> None:
    store = Store(sqlite_url, SystemClock())
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
    store.close()


def test_one_worker_at_a_time_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "wirepost.db"
    code = f"""
from pathlib import Path
from bot.store.hold import Hold
held = Hold(Path({str(path)!r}))
held.take()
print("held", flush=True)
input()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "held"
    with pytest.raises(StoreTaken, match=f"process {child.pid}"):
        Hold(path).take()
    os.kill(child.pid, 9)
    child.wait(20)
    child.stdout.close()
    assert child.stdin is not None
    child.stdin.close()
    mine = Hold(path)
    mine.take()
    mine.release()


def test_p103_a_backup_is_verified_and_put_back(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url, ManualClock(), own_time=False)
    store.commit(Note("probe", "before"))
    copy = back_up(store, tmp_path / "backups", START)
    store.commit(Note("probe", "after"))
    assert store.path is not None
    store.close()
    aside = put_back(copy, store.path, ManualClock(), stop="stop-1", who="Ana")
    assert aside is not None
    assert aside.exists()
    again = Store(sqlite_url, ManualClock(), own_time=False)
    assert notes(again) == 1
    again.close()
    copy.write_bytes(copy.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"damaged|no Wirepost store"):
        verify(copy)


@pytest.mark.parametrize(
    ("witness", "now", "finding"),
    [
        (None, ("", 0), Finding.NEW),
        (None, ("a", 7), Finding.SAME),
        (Witness("a", 0, (), START), ("", 0), Finding.NEW),
        (Witness("a", 5, (), START), ("", 0), Finding.RESET),
        (Witness("a", 0, ("@us",), START), ("", 0), Finding.RESET),
        (Witness("a", 5, (), START), ("a", 5), Finding.SAME),
        (Witness("a", 5, (), START), ("a", 9), Finding.SAME),
        (Witness("a", 5, (), START), ("a", 4), Finding.RESTORED),
        (Witness("a", 5, (), START), ("b", 0), Finding.SAME),
        (Witness("a", 5, (), START, ("r1",)), ("a", 9), Finding.RESTORED),  # from before r1, and counts from further
        (Witness("a", 5, (), START, ("r1",)), ("a", 4, "r1"), Finding.RESTORED),
        (Witness("a", 5, (), START, ("r1", "r2")), ("a", 9, "r1"), Finding.RESTORED),
        (Witness("a", 9, (), START, ("r1",)), ("a", 5, "r1", "r2"), Finding.SAME),  # this worker slept through r2
        (Witness("a", 9, (), START), ("a", 5, "r1"), Finding.SAME),
        (Witness("a", 5, (), START, ("r2",)), ("a", 9, "r1"), Finding.RESTORED),
    ],
)
def test_p09_what_store_and_witness_say_together(
    witness: Witness | None, now: tuple[str, int, *tuple[str, ...]], finding: Finding
) -> None:
    store, last, *descent = now
    assert judge(witness, Witness(store, last, (), START, tuple(descent))) is finding


def test_a_witness_is_written_whole_and_a_broken_one_is_no_excuse(tmp_path: Path) -> None:
    path = tmp_path / "witness.json"
    assert read(path) is None
    write(path, Witness("a", 5, ("@us",), START, ("r1", "r2")))
    assert read(path) == Witness("a", 5, ("@us",), START, ("r1", "r2"))
    path.write_text(f'{{"store_id": "a", "last_attempt": 5, "identities": [], "at": "{START.isoformat()}"}}')
    assert read(path) == Witness("a", 5, (), START)  # as version 0.1 wrote it
    path.write_text('{"store_id": "a"')
    with pytest.raises(StoreError, match="witness can't be read"):
        read(path)


def test_a_witness_survives_the_death_of_its_writer_and_says_when_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "witness.json"
    write(path, Witness("a", 5, (), START))
    path.with_suffix(".new").write_text('{"store_id": "a", "last_att')  # where a writer died
    assert read(path) == Witness("a", 5, (), START)
    write(path, Witness("a", 6, ("@b", "@a"), START))
    assert read(path) == Witness("a", 6, ("@a", "@b"), START)
    with pytest.raises(StoreError, match="witness can't be written"):
        write(path / "below" / "witness.json", Witness("a", 7, (), START))


def test_a_restored_store_remembers_since_when_until_a_person_resumes(store: Store) -> None:
    with store.read() as tx:
        assert (store_id(tx), restored_since(tx)) == (None, None)
    store.commit(Christen("the-id", lost=False))
    store.commit(Christen("another", lost=False))
    store.commit(MarkRestored(START, "r1"))
    with store.read() as tx:
        assert (store_id(tx), restored_since(tx)) == ("the-id", START - timedelta(hours=1))
    store.commit(ForgetRestored("ann", ("fake/1", "fake/2")))
    store.commit(AccountRead("fake/2"))
    with store.read() as tx:
        assert restored_since(tx) is None
        assert unread_since(tx) == {"fake/1": START - timedelta(hours=1)}
        assert taken(tx).descent == ("r1",)
        assert [one.who for one in events_named(tx, "restore_acknowledged", since=START)] == ["ann"]


def test_an_account_that_was_not_in_the_settings_at_the_resume_sends_nothing_of_before_it_once_it_is_back(
    store: Store, clock: ManualClock
) -> None:
    """Nobody could ask its network what went out since the backup: put back, it posted it a second time."""
    stock = Stock(store, "desk", "away")
    waiting, kept = stock.waiting(1, "away"), stock.waiting(1, "desk")
    store.commit(MarkRestored(START, "r1"))
    store.commit(Join((("desk", "fake", True),)))
    clock.advance(60)
    store.commit(ForgetRestored("ann", ("fake/@desk",)))
    store.commit(Join((("away", "fake", True), ("desk", "fake", True))))
    assert (stock.state(waiting.id), stock.read(waiting.id).reason.reason) == (State.HELD, Reason.RESTORED)
    assert stock.state(kept.id) is State.WAITING
    with store.read() as tx:
        joined = {name: row.joined_at for name, row in all_accounts(tx).items()}
    assert joined == {"away": START + timedelta(seconds=60), "desk": START}


def test_a_postgres_url_without_a_driver_and_a_wrong_one(store: Store) -> None:
    with store.read() as tx:
        assert tx.row(text(f"SELECT count(*) FROM {meta.name}")) is not None
    wrong = Store("postgresql://nobody@127.0.0.1:9/none", SystemClock())
    with pytest.raises(StoreError, match=r"can't be reached"):
        migrate.revision(wrong)
    wrong.close()
