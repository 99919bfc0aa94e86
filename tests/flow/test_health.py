"""Health over real HTTP: does the loop turn (live), would a due post leave now (ready), and the numbers (metrics)."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from bot import alerts, health
from bot.errors import Unreachable
from bot.settings.shape import Alerts
from bot.store import Store, migrate
from bot.store.articles import Withdraw
from bot.store.stops import Scope, Stop
from bot.store.workers import Beat
from bot.testing.clock import ManualClock
from bot.testing.network import FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time
from tests.flow.conftest import OpenHouse
from tests.flow.stories import House, Worker, article

MINUTE = timedelta(minutes=1)
QUIET = Alerts(silence=timedelta(days=400))
Asked = tuple[int, dict[str, Any]]


class Port:
    """A health server and its worker; asks it over HTTP."""

    def __init__(self, desk: House, listen: str = "127.0.0.1:0") -> None:
        self.worker = Worker(desk.room)
        self.host = listen.rpartition(":")[0].strip("[]")
        self.server = health.HealthServer(listen, self.worker)

    def get(self, path: str) -> tuple[int, str, str]:
        connection = HTTPConnection(self.host, self.server.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
        finally:
            connection.close()

    def report(self, path: str) -> Asked:
        status, kind, body = self.get(path)
        assert kind == "application/json"
        return status, json.loads(body)

    def numbers(self) -> dict[str, float]:
        """Every series with its value."""
        status, kind, body = self.get("/metrics")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        lines = [line.rpartition(" ") for line in body.splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}


OpenPort = Callable[..., Port]


@pytest.fixture
def port() -> Iterator[OpenPort]:
    made: list[Port] = []

    def opened(desk: House, listen: str = "127.0.0.1:0") -> Port:
        made.append(Port(desk, listen))
        return made[-1]

    yield opened
    for one in made:
        one.server.close()


def beat(desk: House, worker: str = "worker-1") -> None:
    desk.store.commit(Beat(worker, "plan"))


# -- live ---------------------------------------------------------------------------------------------------------


def test_p24_live_hangs_on_the_loops_beat_alone(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    one = port(desk)
    for age, status in ((0, 200), (60, 200), (61, 503)):
        desk.clock.advance(age - desk.clock.monotonic() + one.worker.beat_at)
        assert one.report("/live") == (status, {"beat_age_seconds": age})
    one.worker.beat_at = desk.clock.monotonic()
    assert one.report("/live")[0] == 200


def test_live_is_no_matter_of_the_wall_clock(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    one = port(desk)
    desk.clock.step_wall(timedelta(days=3))
    assert one.report("/live")[0] == 200


def test_p24_a_store_that_cannot_be_reached_is_not_ready_and_needs_no_restart(
    both: OpenHouse, port: OpenPort, clock: ManualClock, tmp_path: Path
) -> None:
    desk = both()
    beat(desk)
    one = port(desk)
    assert one.report("/ready")[0] == 200
    good = desk.room.store
    desk.room.store = Store(f"sqlite:///{tmp_path}/nowhere/wirepost.db", clock, own_time=False)
    status, said = one.report("/ready")
    assert status == 503
    assert said["reasons"]
    assert one.report("/live")[0] == 200
    assert one.numbers()["wirepost_store_up"] == 0
    desk.room.store.close()
    desk.room.store = good
    assert one.report("/ready")[0] == 200
    assert one.numbers()["wirepost_store_up"] == 1


# -- ready --------------------------------------------------------------------------------------------------------


def test_p24_ready_within_a_minute_of_this_workers_beat(both: OpenHouse, port: OpenPort) -> None:
    desk = both()
    one = port(desk)
    assert one.report("/ready")[1]["reasons"] == ["no worker was seen of this process"]
    beat(desk)
    desk.clock.advance(60)
    assert one.report("/ready")[0] == 200
    desk.clock.advance(1)
    status, said = one.report("/ready")
    assert status == 503
    assert "last beat was at" in said["reasons"][0]


def test_p24_another_workers_beat_makes_a_stuck_one_not_ready(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    beat(desk)
    desk.clock.advance(61)
    beat(desk, "worker-2")
    assert port(desk).report("/ready")[0] == 503


def test_p23_p24_an_overdue_post_makes_not_ready_until_it_went(house: OpenHouse, port: OpenPort) -> None:
    """The process beats and answers, and yet nothing leaves: that is what ready is asked for."""
    desk = house()
    one = port(desk)
    desk.planned(article(1))
    desk.clock.advance(6 * MINUTE)
    beat(desk)
    alerts.run(desk.room, QUIET)
    status, said = one.report("/ready")
    assert status == 503
    assert article(1).headline in said["reasons"][0]
    look(desk.room)
    alerts.run(desk.room, QUIET)
    assert one.report("/ready")[0] == 200


def test_p29_a_dead_login_a_lost_source_and_a_stop_leave_it_ready(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    one = port(desk)
    desk.server.fault = lambda account, body: Fault.DEAD
    desk.show(article(1))
    desk.source.error = Unreachable("no route to host")
    for _ in range(6):
        look(desk.room)
    desk.store.commit(Stop(id="s", scope=Scope.ALL, value="", reason="wrong figures", who="Ana"))
    beat(desk)
    alerts.run(desk.room, QUIET)
    status, said = one.report("/ready")
    assert (status, said["reasons"]) == (200, [])
    assert said["stopped"] == ["everything (Ana: wrong figures)"]


def test_p111_trouble_with_the_store_is_a_reason_in_its_words(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    beat(desk)
    one = port(desk)
    one.worker.store_trouble = "var/wirepost.db: the disk is full"
    assert one.report("/ready") == (
        503,
        {"data_is_mount": health.data_is_mount(desk.store.path), "stopped": [], "reasons": [one.worker.store_trouble]},
    )


def test_a_store_of_another_schema_is_not_ready(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    beat(desk)
    one = port(desk)
    with desk.store.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    status, said = one.report("/ready")
    assert status == 503
    assert "9999" in said["reasons"][0]
    assert one.numbers()["wirepost_schema_version"] == 9999


@pytest.mark.parametrize(
    ("mark", "mounts", "inside"),
    [
        (".dockerenv", None, True),
        ("run/.containerenv", None, True),
        (None, "overlay / overlay rw,relatime 0 0\nproc /proc proc rw 0 0\n", True),
        (None, "/dev/sda1 / ext4 rw 0 0\noverlay /var/lib/x overlay rw 0 0\n", False),
        (None, None, False),
    ],
)
def test_p106_a_container_is_known_by_its_root(
    tmp_path: Path, mark: str | None, mounts: str | None, inside: bool
) -> None:
    if mark is not None:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    if mounts is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/mounts").write_text(mounts, "utf-8")
    assert health.in_container(tmp_path) is inside


def test_p106_data_in_a_folder_that_is_no_mount_is_told(tmp_path: Path) -> None:
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / ".dockerenv").touch()
    assert health.data_is_mount(None, root=inside) is None
    assert health.data_is_mount(tmp_path / "wirepost.db", root=tmp_path / "elsewhere") is None
    # /proc is a mount wherever there is one; /nonexistent lies on the root itself
    assert health.data_is_mount(Path("/nonexistent/var/wirepost.db"), root=inside) is False
    assert health.data_is_mount(Path("/proc/wirepost.db"), root=inside) is Path("/proc").is_mount()


# -- metrics ------------------------------------------------------------------------------------------------------


def test_metrics_say_what_the_store_says(both: OpenHouse, port: OpenPort) -> None:
    caps = {"hour": 10, "day": 20, "gap": "0s"}
    desk = both("one", "two", account={"caps": caps})
    one = port(desk)
    desk.server.fault = lambda account, body: Fault.DEAD if account == "2" else None
    desk.show(article(1), article(2))
    desk.show(article(1, summary="Mended."), article(2))
    with desk.store.read() as tx:
        first = tx.execute(text("SELECT id FROM articles ORDER BY guid LIMIT 1")).scalar_one()
    desk.store.commit(Withdraw(first, "404"))
    desk.store.commit(Stop(id="s", scope=Scope.TAG, value="rowing", reason="", who="Ana"))
    beat(desk)
    got = one.numbers()
    now = desk.clock.now().timestamp()
    for series, value in {
        'wirepost_articles_total{result="new",source="main"}': 2,
        'wirepost_articles_total{result="changed",source="main"}': 1,
        'wirepost_articles_total{result="withdrawn",source="main"}': 1,
        'wirepost_source_last_success_timestamp_seconds{source="main"}': now,
        'wirepost_source_errors{source="main"}': 0,
        'wirepost_attempts_total{account="one",outcome="receipt"}': 2,
        'wirepost_attempts_total{account="two",outcome="auth_failed"}': 1,
        'wirepost_attempts_total{account="two",outcome="receipt"}': 0,
        'wirepost_account_info{account="one",network="fake"}': 1,
        'wirepost_account_up{account="one"}': 1,
        'wirepost_account_up{account="two"}': 0,
        'wirepost_account_last_sent_timestamp_seconds{account="one"}': now,
        'wirepost_deliveries{account="two",state="waiting"}': 1,
        'wirepost_cap_remaining{account="one",window="hour"}': 8,
        'wirepost_cap_remaining{account="one",window="day"}': 18,
        'wirepost_cap_remaining{account="two",window="day"}': 20,
        'wirepost_account_cost{account="one",currency="USD"}': 0,
        'wirepost_oldest_due_seconds{account="one"}': 0,
        'wirepost_stopped{scope="tag"}': 1,
        'wirepost_stopped{scope="all"}': 0,
        "wirepost_worker_heartbeat_timestamp_seconds": now,
        "wirepost_worker_beat_age_seconds": 0,
        "wirepost_schema_version": int(migrate.HEAD),
        "wirepost_store_up": 1,
    }.items():
        assert got.get(series) == value, (series, got.get(series))
    assert 'wirepost_cap_remaining{account="one",window="month"}' not in got
    assert got["wirepost_store_bytes"] > 10_000


def test_each_attempt_is_counted_once_when_it_has_ended(both: OpenHouse, port: OpenPort) -> None:
    """What was before this worker is not counted, and what is unclear only when it is known."""
    desk = both()
    desk.show(article(1))
    one = port(desk)

    def ended() -> dict[str, float]:
        ours = {series: value for series, value in one.numbers().items() if series.startswith("wirepost_attempts_")}
        return {series.rpartition("=")[2].strip('"}'): value for series, value in ours.items() if value}

    assert ended() == {}
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1), article(2))
    assert ended() == {}
    desk.show(article(1), article(2), article(3))
    assert ended() == {"receipt": 1}
    pass_time(desk.room, 5 * MINUTE, step=MINUTE)
    assert ended() == {"receipt": 1, "found": 1}


def test_oldest_due_is_how_long_the_oldest_waits(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    desk.planned(article(1))
    desk.clock.advance(100)
    assert port(desk).numbers()['wirepost_oldest_due_seconds{account="one"}'] == 100


def test_labels_hold_names_of_the_settings_and_of_enums_alone_and_are_few(house: OpenHouse, port: OpenPort) -> None:
    names = [f"desk-{n:02}" for n in range(49)] + ['odd "name"\\n']
    options = {name: FakeOptions(token=SecretStr(f"canary-token-{n + 1}")) for n, name in enumerate(sorted(names))}
    desk = house(*names, options=options)
    beat(desk)
    desk.show(article(1))
    one = port(desk)
    body = one.get("/metrics")[2]
    series = [line for line in body.splitlines() if not line.startswith("#")]
    assert 400 < len(series) < 5_000
    assert 'account="odd \\"name\\"\\\\n"' in body
    assert "canary" not in body
    assert article(1).headline not in body
    assert not [delivery.id for delivery in desk.all() if delivery.id in body or delivery.article in body]
    labels = {name for line in series for name in re.findall(r"[{,](\w+)=", line)}
    assert labels == {
        "account",
        "currency",
        "network",
        "outcome",
        "result",
        "scope",
        "source",
        "state",
        "version",
        "window",
    }
    for line in body.splitlines():
        assert line.startswith(("# HELP wirepost_", "# TYPE wirepost_", "wirepost_")), line


# -- the port -----------------------------------------------------------------------------------------------------


def test_other_paths_are_told_what_there_is(house: OpenHouse, port: OpenPort) -> None:
    one = port(house())
    assert one.report("/")[0] == 404
    assert one.report("/live?probe=1")[0] == 200
    assert "Python" not in str(one.get("/live"))


def test_an_ipv6_address_is_served(house: OpenHouse, port: OpenPort) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 9)) == 99:  # EADDRNOTAVAIL
            pytest.skip("this machine has no IPv6 loopback")
    assert port(house(), "[::1]:0").report("/live")[0] == 200


def test_a_taken_port_is_an_oserror(house: OpenHouse, port: OpenPort) -> None:
    desk = house()
    taken = port(desk).server.port
    with pytest.raises(OSError, match="in use"):
        health.HealthServer(f"127.0.0.1:{taken}", Worker(desk.room))


def test_who_connects_and_says_nothing_keeps_nobody_waiting(house: OpenHouse, port: OpenPort) -> None:
    one = port(house())
    with (
        socket.create_connection(("127.0.0.1", one.server.port)),
        socket.create_connection(("127.0.0.1", one.server.port)),
    ):
        assert one.report("/live")[0] == 200
