"""A store that can't be used, under a real process: sending stops before the next post, it is said why, nothing is
lost, and it goes on by itself when the cause ends (P101, P103, P106, P111)."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from bot.testing.mastodon_server import MastodonServer
from tests.e2e.houses import exactly, newsroom, standing, store_at, until_all_sent, verdict
from tests.e2e.process import command, environment, eventually, log_of, running, wirepost

ACCOUNTS = 2
ARTICLES = 60
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prlimit or its capabilities")
#: Drops root's right to pass over file modes, then becomes the command: root meets the same disk as anybody.
AS_ANYBODY = (
    "import ctypes, os, sys\n"
    "for capability in (1, 2, 3):\n"  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
    "    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)\n"  # PR_CAPBSET_DROP
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def as_anybody(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command run to its end by somebody whom file modes bind."""
    prefix = [sys.executable, "-c", AS_ANYBODY] if os.geteuid() == 0 else []
    return subprocess.run(
        [*prefix, *command(*words)], cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=60
    )


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Watched:
    """A house whose process is watched through its health port."""

    def __init__(self, folder: Path, server: MastodonServer) -> None:
        self.folder, self.server = folder, server
        self._ready = f"http://127.0.0.1:{(port := free_port())}/ready"
        top = f'listen = "127.0.0.1:{port}"'
        self.secrets = newsroom(folder, [server.base] * ACCOUNTS, articles=ARTICLES, network="nearby", top=top)

    def ready(self) -> tuple[int, str]:
        try:
            answer = httpx.get(self._ready, timeout=30, trust_env=False)
        except httpx.HTTPError as error:
            return 0, str(error)
        return answer.status_code, " ".join(json.loads(answer.text)["reasons"])

    def until_not_ready(self, words: str) -> None:
        """Not ready, for this reason, and the log says it too."""
        eventually(
            lambda: self.ready()[0] == 503 and words in self.ready()[1],
            lambda: f"{words}: {self.ready()}\n{log_of(self.folder)[-2000:]}",
        )
        eventually(lambda: words in log_of(self.folder), lambda: f"{words} in the log")

    def until_ready(self) -> None:
        eventually(lambda: self.ready() == (200, ""), lambda: f"ready: {self.ready()}")

    def until_sent(self, number: int) -> None:
        eventually(lambda: len(self.server.statuses) >= number, lambda: log_of(self.folder)[-2000:])

    def all_once(self) -> None:
        """Everything went out in the end, each once."""
        wanted = ACCOUNTS * len(list((self.folder / "in").glob("*.md")))
        until_all_sent(store_at(self.folder), self.folder, wanted)
        assert verdict(standing(self.server), ACCOUNTS, range(wanted // ACCOUNTS)) == exactly(wanted)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 8 MB on a folder, where this machine lets us make one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that there is; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


def test_p111_a_full_disk_stops_sending_before_the_next_post_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "var"), MastodonServer(keys=False, latency=0.05) as server:
        watched = Watched(tmp_path, server)
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(10)
            ballast = fill(tmp_path / "var")
            already = len(server.statuses)
            watched.until_not_ready("the disk is full: nothing is sent until there is room again")
            told = wirepost(tmp_path, "stop", "--all", **watched.secrets)
            assert told.returncode == 1
            assert "the disk is full" in told.stderr
            assert "Traceback" not in told.stderr
            assert {watched.ready()[0] for _ in range(20)} == {503}, "no step that only reads may call it ready"
            assert len(server.statuses) <= already + ACCOUNTS, "what was on the wire, and nothing after it"
            ballast.unlink()
            watched.all_once()
            watched.until_ready()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0


@LINUX
def test_p111_a_file_that_may_not_grow_stops_sending_until_it_may(tmp_path: Path) -> None:
    """A quota, as it is met without root: the operating system's limit on the size of files (EFBIG, not ENOSPC)."""
    with MastodonServer(keys=False, latency=0.05) as server:
        watched = Watched(tmp_path, server)
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(10)
            soft, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
            written = (tmp_path / "var" / "wirepost.db-wal").stat().st_size
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (written, hard))
            already = len(server.statuses)
            watched.until_not_ready("the disk takes no more")
            assert len(server.statuses) <= already + ACCOUNTS
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (soft, hard))
            watched.all_once()
            watched.until_ready()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0


def test_p101_a_long_reader_is_in_nobodys_way_and_a_long_writer_only_delays(tmp_path: Path) -> None:
    path = tmp_path / "var" / "wirepost.db"
    with MastodonServer(keys=False, latency=0.05) as server:
        watched = Watched(tmp_path, server)
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(4)
            with (
                closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as reader,
                closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as writer,
            ):
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM attempts").fetchone()
                watched.until_sent(14)
                writer.execute("BEGIN IMMEDIATE")
                already = len(server.statuses)
                watched.until_not_ready("another process has kept the store locked")
                assert len(server.statuses) <= already + ACCOUNTS
                writer.execute("ROLLBACK")
                watched.all_once()
                reader.execute("ROLLBACK")
            watched.until_ready()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0


@LINUX
def test_p106_a_folder_and_a_store_that_may_not_be_written_are_named_with_what_mends_them(tmp_path: Path) -> None:
    with MastodonServer() as server:
        secrets = newsroom(tmp_path, [server.base] * ACCOUNTS, articles=3)
        var = tmp_path / "var"
        var.mkdir()
        var.chmod(0o555)
        told = as_anybody(tmp_path, "run", **secrets)
        assert told.returncode == 1
        assert f"chmod -R u+rwX {var}" in told.stderr
        assert "Traceback" not in told.stderr
        var.chmod(0o755)
        assert wirepost(tmp_path, "run", "--once", "--only", "discover", **secrets).returncode == 0
        (var / "wirepost.db").chmod(0o444)
        told = as_anybody(tmp_path, "run", **secrets)
        assert told.returncode == 1, told.stderr
        assert "can't be written" in told.stderr
        assert "Traceback" not in told.stderr
        assert server.statuses == []
        for path in var.glob("wirepost.db*"):  # SQLite gives what it makes beside a store the store's own rights
            path.chmod(0o644)
        assert as_anybody(tmp_path, "run", "--once", **secrets).returncode == 0
        assert verdict(standing(server), ACCOUNTS, range(3)) == exactly(6)


def damage(path: Path) -> None:
    """Every page of the store but the first is overwritten, and what its log holds is lost with them."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))


def test_p103_a_store_damaged_under_the_process_sends_nothing_more_until_a_backup_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "var" / "wirepost.db"
    with MastodonServer(keys=False, latency=0.05) as server:
        watched = Watched(tmp_path, server)
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(10)
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0
        told = wirepost(tmp_path, "db", "backup", **watched.secrets)
        assert told.returncode == 0, told.stderr
        backup = max((tmp_path / "var" / "backups").glob("wirepost-*.db"))
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(len(server.statuses) + 10)
            damage(path)
            watched.until_not_ready("the store is damaged: stop, and restore a backup (wirepost db restore)")
            child.send_signal(signal.SIGKILL)
            child.wait(60)
        wirepost(tmp_path, "run", **watched.secrets)
        already = len(server.statuses)  # what was on the wire at the kill has landed by now
        told = wirepost(tmp_path, "run", **watched.secrets)
        assert told.returncode == 1
        assert "restore a backup" in told.stderr
        assert "Traceback" not in told.stderr
        assert len(server.statuses) == already
        told = wirepost(tmp_path, "db", "restore", str(backup), "--yes", **watched.secrets)
        assert told.returncode == 0, told.stderr
        with running(tmp_path, **watched.secrets) as child:
            watched.until_ready()
            assert len(server.statuses) == already
            told = wirepost(tmp_path, "resume", "--missed", "fresh", **watched.secrets)
            assert told.returncode == 0, told.stderr
            watched.all_once()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0


def test_p102_a_store_that_a_newer_version_took_over_stops_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "var" / "wirepost.db"
    with MastodonServer(latency=0.05) as server:
        watched = Watched(tmp_path, server)
        with running(tmp_path, **watched.secrets) as child:
            watched.until_sent(4)
            with closing(sqlite3.connect(path, timeout=30)) as other:
                (ours,) = other.execute("SELECT version_num FROM alembic_version").fetchone()
                other.execute("UPDATE alembic_version SET version_num = '9999'")
                other.commit()
            assert child.wait(60) == 1
        assert "newer than this program" in log_of(tmp_path)
        already, before = len(server.statuses), hashlib.sha256(path.read_bytes()).hexdigest()
        told = wirepost(tmp_path, "run", **watched.secrets)
        assert told.returncode == 1
        assert "newer than this program" in told.stderr
        assert len(server.statuses) == already
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before
        with closing(sqlite3.connect(path, timeout=30)) as other:
            other.execute("UPDATE alembic_version SET version_num = ?", (ours,))
            other.commit()
        with running(tmp_path, **watched.secrets):
            watched.all_once()
