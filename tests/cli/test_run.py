"""`wirepost run`: the dry run, one pass and its exit codes, and the process around the worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House, house, house_with_hook, receiver
from sqlalchemy import create_engine, text

from bot.app import build, prepare
from bot.cli.rehearsing import as_object
from bot.cli.running import differences, says_otherwise
from bot.clock import SystemClock
from bot.errors import NotSent
from bot.pass_once import run_once
from bot.rehearsal import NothingWritten, copy_file, rehearsal
from bot.rehearsal import run as rehearse
from bot.settings import Settings, load
from bot.store import Store
from bot.store.databases import str_url
from bot.store.stops import Lift, Scope, Stop
from bot.testing.clock import ManualClock

ROOT = Path(__file__).parents[2]
LAST = "Dry run: nothing was sent, nothing was stored."


# -- the dry run --------------------------------------------------------------------------------------------------


def test_p107_dry_run_sends_nothing_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 requests to the network, and every file of the data folder as it was, with posts planned and one sent."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        made.story("Mayor opens harbour bridge")
        assert made.one_pass() == 0
        made.story("Ferry sails again on Sunday")
        for step in ("discover", "plan", "schedule"):
            made.one_pass(step)
        made.story("Library never closes again")
        before, asked = made.everything(), list(server.heard)
        capsys.readouterr()
        assert made.call("run", "--dry-run", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert made.everything() == before
        assert server.heard == asked
        assert shown["dry_run"] is True
        assert sorted((post["account"], post["headline"][:5]) for post in shown["posts"]) == [
            ("hook", "Ferry"),
            ("hook", "Libra"),
            ("paper", "Ferry"),
            ("paper", "Libra"),
        ]


def test_p107_the_dry_run_prints_the_bytes_and_times_of_the_real_one(tmp_path: Path) -> None:
    """At the same instant (a clock that stands) payload, text and time of each planned post are the real ones."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        for title in ("Mayor opens harbour bridge", "Ferry sails again on Sunday"):
            made.story(title)
        clock = _now()
        for step in ("discover", "check", "plan", "schedule"):
            _pass(made, clock, step)
        settings = load(made.config, environ={})
        with rehearsal(settings, clock=clock) as copy:
            shown = as_object(settings, rehearse(copy))["posts"]
        assert server.bodies == []
        assert _pass(made, clock) == 0
        assert {post["payload"].encode() for post in shown if post["account"] == "hook"} == set(server.bodies)
        assert len(server.bodies) == 2
        paper = {(post["text"], post["due_at"].isoformat()) for post in shown if post["account"] == "paper"}
        assert {(post["text"], post["at"]) for post in made.posts()} == paper


def test_dry_run_works_without_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line says what would happen, the text below it; not even a folder is made."""
    made = house(tmp_path)
    made.story("Mayor opens harbour bridge")
    made.story("Rowers win the cup", "sport")
    made.story("Canteen menu of the week", "internal")
    before = made.everything()
    assert made.call("run", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert made.everything() == before
    assert not (tmp_path / "var").exists()
    assert lines[-1] == LAST
    assert all(line.startswith(("would ", "  ")) for line in lines[:-1])
    assert lines[0] == "would look at desk: 3 articles seen, 3 new"
    assert any(line.startswith('would send now: "Mayor opens harbour bridge" on paper, ') for line in lines)
    assert (
        'would be held: "Rowers win the cup" on paper: the route wants a person to release it (route sport).' in lines
    )
    assert 'would not send to paper "Canteen menu of the week": Internal notes stay inside.' in lines
    assert "  Mayor opens harbour bridge" in lines


def test_dry_run_of_a_rehearsing_account_and_a_stopped_house(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What keeps a post from going is said in its line."""
    made = house_with_hook(tmp_path, "http://127.0.0.1:9/in", live=False)
    made.story("Mayor opens harbour bridge")
    made.one_pass("discover")
    store = Store(f"sqlite:///{made.database}", SystemClock())
    store.commit(Stop(id="s", scope=Scope.ACCOUNT, value="paper", reason="wrong figures", who="Ana"))
    store.close()
    capsys.readouterr()
    assert made.call("run", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'would not go: "Mayor opens harbour bridge" on hook: the account is not live yet.' in lines
    assert any("Mayor opens" in line and "on paper" in line and "stopped" in line and "Ana" in line for line in lines)


def test_dry_run_online_only_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--online asks who we are; a network that can't be asked is exit 4 and said."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        made.story("Mayor opens harbour bridge")
        before = made.everything()
        assert made.call("run", "--dry-run", "--online") == 0
        assert [method for method, _ in server.heard] == ["HEAD"]
    assert made.call("run", "-n", "--online") == 4
    assert "would need a login for hook: " in capsys.readouterr().out
    assert made.everything() == before


def test_the_doors_of_a_dry_run_let_no_write_through(clock: ManualClock) -> None:
    """By construction, not by good will: publishing is refused, and reading is GET and HEAD."""
    with receiver() as server:
        door = NothingWritten(clock, user_agent="t")
        with pytest.raises(NotSent):
            door.publishing(allow_private=True).request("POST", server.address)
        with pytest.raises(NotSent):
            door.reading(allow_private=True).request("POST", server.address)
        assert door.reading(allow_private=True).request("GET", server.address).status == 200
        door.close()
        assert [method for method, _ in server.heard] == ["GET"]


def _on_postgres(made: House, url: str) -> Settings:
    return replace(load(made.config, environ={}), store_url=url)


def _content(url: str) -> dict[str, list[Any]]:
    """Every row of every table."""
    from sqlalchemy import make_url

    engine = create_engine(str_url(make_url(url)))
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    with engine.connect() as connection:
        tables = [row[0] for row in connection.execute(text(names))]
        found = {name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}")))) for name in tables}
    engine.dispose()
    return found


def test_p107_dry_run_on_postgresql_reads_one_snapshot(tmp_path: Path, postgres_url: str) -> None:
    """Open rows, keys, pace and settings are copied; the server's rows stay as they are; the bytes are real."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        made.story("Mayor opens harbour bridge")
        settings, clock = _on_postgres(made, postgres_url), _now()
        app = build(settings, clock=clock, own_time=False)
        assert run_once(app) == 0
        made.story("Ferry sails again on Sunday")
        for step in ("discover", "plan", "schedule"):
            run_once(app, step)
        sent, before = list(server.heard), _content(postgres_url)
        with rehearsal(settings, clock=clock) as copy:
            found = rehearse(copy)
        assert _content(postgres_url) == before
        assert server.heard == sent
        posts = [one for one in found.posts if one.delivery.account == "hook"]
        assert [(one.headline, one.why) for one in posts] == [("Ferry sails again on Sunday", None)]
        assert run_once(app) == 0
        app.close()
        assert posts[0].payload is not None
        assert server.bodies[-1] == posts[0].payload.body


def test_a_copy_holds_what_is_only_in_the_log_yet(tmp_path: Path) -> None:
    """SQLite's backup API, while a writer is at work; the file's bytes stay as they are."""
    source = tmp_path / "a.db"
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        before = source.read_bytes()
        copy_file(source, tmp_path / "b.db")
        assert source.read_bytes() == before
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(1,)]


# -- one pass -----------------------------------------------------------------------------------------------------


def test_one_pass_sends_all_that_is_due_and_nothing_twice(tmp_path: Path) -> None:
    """Twelve stories on two accounts; a second pass adds nothing."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        for number in range(12):
            made.story(f"Story number {number} about {'abcdefghijkl'[number] * 9}")
        assert made.one_pass() == 0
        assert made.one_pass() == 0
        assert len(made.posts()) == 12
        assert len(server.bodies) == len(set(server.bodies)) == 12


def test_a_file_written_a_moment_ago_is_waited_for(tmp_path: Path) -> None:
    """A fresh file may be half-written: the pass looks again after two seconds (of its own clock)."""
    made = house(tmp_path)
    clock = _now()
    written = clock.now().timestamp()
    os.utime(made.story("Mayor opens harbour bridge"), (written, written))
    assert _pass(made, clock) == 0
    assert len(made.posts()) == 1


def _pass(made: House, clock: ManualClock, only: str | None = None) -> int:
    settings = load(made.config, environ={})
    prepare(settings, clock)
    app = build(settings, clock=clock)
    try:
        return run_once(app, only)
    finally:
        app.close()


def _now() -> ManualClock:
    """A clock that stands at the present: a receiver's Date must agree with it."""
    return ManualClock(SystemClock().now())


def test_a_wrong_clock_parks_the_pass_and_asks_once(tmp_path: Path) -> None:
    """The receiver's Date says that our clock is months off: nothing is sent, and it is not asked over and over."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        made.story("Mayor opens harbour bridge")
        assert _pass(made, ManualClock(SystemClock().now() - timedelta(days=90))) == 3
        assert [method for method, _ in server.heard] == ["HEAD"]


def test_exit_6_while_stopped_and_0_after(tmp_path: Path) -> None:
    """What is due waits for the switch."""
    made = house(tmp_path)
    assert made.one_pass() == 0
    store = Store(f"sqlite:///{made.database}", SystemClock())
    store.commit(Stop(id="s", scope=Scope.ALL, value="", reason="", who="Ana"))
    store.close()
    made.story("Mayor opens harbour bridge")
    assert made.one_pass() == 6
    assert made.posts() == []
    store = Store(f"sqlite:///{made.database}", SystemClock())
    assert store.commit(Lift("s", "Ana"))
    store.close()
    assert made.one_pass() == 0
    assert len(made.posts()) == 1


def test_exit_3_where_some_could_not_be_sent(tmp_path: Path) -> None:
    """One account works, the other's receiver is away: partly done; a source that can't be read likewise."""
    made = house_with_hook(tmp_path, "http://127.0.0.1:9/in")
    made.story("Mayor opens harbour bridge")
    assert _pass(made, _now()) == 3
    assert len(made.posts()) == 1
    alone = house(tmp_path / "alone")
    (alone.folder / "in").rmdir()
    assert alone.one_pass() == 3


def test_exit_8_where_a_post_may_be_out(tmp_path: Path) -> None:
    """The receiver takes the post and hangs up: the pass waits as long as it takes to look, and says 8."""
    with receiver() as server:
        server.hangs_up = True
        made = house_with_hook(tmp_path, server.address)
        made.story("Mayor opens harbour bridge")
        clock = _now()
        assert _pass(made, clock) == 8
        assert len(server.bodies) == 1
        server.hangs_up = False
        clock.advance(60)
        assert _pass(made, clock) == 0
        assert len(server.bodies) == 1


@pytest.mark.parametrize("step", ["discover", "check", "plan", "schedule", "deliver", "reconcile"])
def test_only_runs_one_step(tmp_path: Path, step: str) -> None:
    """On its own each step does its part and nothing goes out."""
    made = house(tmp_path)
    made.story("Mayor opens harbour bridge")
    assert made.one_pass(step) == 0
    assert made.posts() == []


# -- the process --------------------------------------------------------------------------------------------------


def _command(made: House, *words: str) -> list[str]:
    return [sys.executable, "-m", "bot", "-c", str(made.config), *words]


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}


def _run(made: House, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(made, *words), env=_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def _eventually(holds: Callable[[], bool], what: str) -> None:
    tick = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        tick.wait(0.02)
    raise AssertionError(what)


def test_a_wrong_step_is_usage(tmp_path: Path) -> None:
    """Exit 2 with the steps there are; no store is left half made."""
    done = _run(house(tmp_path), "run", "--only", "delivr")
    assert done.returncode == 2
    assert "The steps are: discover, check, plan, schedule, deliver, reconcile." in done.stderr


def test_run_reloads_refuses_a_second_one_and_stops(tmp_path: Path) -> None:
    """Another worker is exit 11; changed settings hold and are shown; wrong ones don't; SIGTERM ends it with 0."""
    made = house(tmp_path)
    log = tmp_path / "log"
    with log.open("w") as out, subprocess.Popen(_command(made, "run"), env=_environment(), stderr=out) as child:
        try:
            _eventually(lambda: '"started"' in log.read_text("utf-8"), "it never started")
            second = _run(made, "run")
            assert second.returncode == 11
            assert "one worker at a time on SQLite" in second.stderr
            good = made.config.read_text("utf-8")
            made.config.write_text(good.replace("hour = 100", "hour = 50"), "utf-8")
            _eventually(lambda: "settings: defaults.caps.hour: 100 → 50" in log.read_text("utf-8"), "no reload")
            made.config.write_text(good.replace('"outbox"', '"outbx"'), "utf-8")
            _eventually(lambda: "The old settings still hold." in log.read_text("utf-8"), "no refusal")
            assert 'did you mean "outbox"?' in log.read_text("utf-8")
            made.config.write_text(good, "utf-8")
            child.send_signal(signal.SIGHUP)
            _eventually(lambda: "settings: defaults.caps.hour: 50 → 100" in log.read_text("utf-8"), "no second reload")
            made.story("Mayor opens harbour bridge")
            _eventually(lambda: len(made.posts()) == 1, "it no longer posts")
            assert _run(made, "check", "--quick").returncode == 0
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0
        finally:
            child.kill()
    assert _run(made, "check", "--quick").returncode == 7


@pytest.mark.parametrize("content", [None, b"", b" \n", b"as it was"])
def test_a_settings_file_that_is_gone_empty_or_as_it_was_is_not_read_again(content: bytes | None) -> None:
    assert not says_otherwise(content, b"as it was")
    assert says_otherwise(b"another", b"as it was")


def test_a_source_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Nothing is on the wire to a network: Ctrl-C ends it, though a feed's server never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/feed"
        made = house(tmp_path, more=f'\n[sources.wire]\nkind = "feed"\nurl = "{url}"\nallow_private = true\n')
        with subprocess.Popen(_command(made, "run"), env=_environment(), stderr=subprocess.DEVNULL) as child:
            try:
                wire, _ = silent.accept()  # the feed is being asked, and hears nothing
                with wire:
                    child.send_signal(signal.SIGINT)
                    # A reading request may take 30 s, three times; ten seconds tell the two apart on any machine.
                    assert child.wait(10) == 0
            finally:
                child.kill()


def test_differences_show_no_secret(tmp_path: Path) -> None:
    """A changed secret is a change, and stays one."""
    made = house_with_hook(tmp_path, "http://127.0.0.1:9/in")
    old = load(made.config, environ={})
    made.config.write_text(made.config.read_text("utf-8").replace("hour = 100", "hour = 7"), "utf-8")
    new = load(made.config, environ={"WIREPOST_ACCOUNTS__HOOK__SECRET": "another-secret-of-mine"})
    assert differences(old, new) == {"defaults.caps.hour": ("100", "7")}
    assert differences(old, old) == {}


def test_settings_that_the_store_refuses_hold_once_it_takes_them_and_wrong_ones_end_nothing(tmp_path: Path) -> None:
    """Wrong ones ended the worker, with a StoreError; good ones were forgotten until the next edit."""
    made = house(tmp_path)
    log = tmp_path / "log"

    def rename(was: str, now: str) -> None:
        with closing(sqlite3.connect(made.database, timeout=30)) as connection:
            connection.execute(f"ALTER TABLE {was} RENAME TO {now}")

    with log.open("w") as out, subprocess.Popen(_command(made, "run"), env=_environment(), stderr=out) as child:
        try:
            _eventually(lambda: '"started"' in log.read_text("utf-8"), "it never started")
            good = made.config.read_text("utf-8")
            rename("audit", "audit_elsewhere")
            made.config.write_text(good.replace('"outbox"', '"outbx"'), "utf-8")
            _eventually(lambda: "The old settings still hold." in log.read_text("utf-8"), "no refusal")
            made.config.write_text(good.replace("hour = 100", "hour = 50"), "utf-8")
            _eventually(lambda: "The settings were not applied yet" in log.read_text("utf-8"), "no word of it")
            rename("audit_elsewhere", "audit")
            _eventually(lambda: "settings: defaults.caps.hour: 100 → 50" in log.read_text("utf-8"), "forgotten")
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0
        finally:
            child.kill()
