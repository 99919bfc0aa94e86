"""What needs a human is said once, with its end; and health says whether a due post would leave now."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from bot import alerts, health
from bot.errors import Unreachable
from bot.http import Door
from bot.settings.shape import Alerts
from bot.store import Store
from bot.store.stops import Scope, Stop
from bot.store.workers import Beat
from bot.testing.clock import ManualClock
from bot.testing.network import FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time
from tests.flow.stories import House, article

SILENCE = timedelta(days=3)


def causes(house: House) -> alerts.Causes:
    return alerts.causes(alerts.read(house.room, SILENCE))


def test_a_dead_login_is_a_cause_until_the_login_works_again(store: Store, clock: ManualClock) -> None:
    house = House(store, clock)
    assert causes(house) == {}
    house.server.faults.append(Fault.DEAD)
    house.show(article(1))
    assert list(causes(house)) == ["login one"]
    assert "needs a login" in causes(house)["login one"][1]
    pass_time(house.room, timedelta(hours=2), step=timedelta(minutes=10))
    assert "login one" not in causes(house)


def test_an_unclear_post_is_a_cause_after_fifteen_minutes(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    house.server.faults.append(Fault.LOST_AFTER)
    house.show(article(1))
    house.server.down = True
    pass_time(house.room, timedelta(minutes=14), step=timedelta(seconds=30))
    assert "unclear one" not in causes(house)
    pass_time(house.room, timedelta(minutes=2), step=timedelta(seconds=30))
    assert "unclear one" in causes(house)


def test_p23_an_overdue_post_names_itself_its_account_and_the_workers_last_deed(
    sqlite_store: Store, clock: ManualClock
) -> None:
    house = House(sqlite_store, clock)
    from bot.flow import discover, plan, schedule

    house.source.show(article(1))
    discover.run(house.room, anyway=True)
    plan.run(house.room)
    schedule.run(house.room)
    sqlite_store.commit(Beat("worker-1", "reconcile"))
    clock.advance(timedelta(minutes=6))
    kind, words = causes(house)["overdue one"]
    assert kind == "overdue"
    assert house.all()[0].id in words
    assert "one" in words
    assert "reconcile" in words


def test_p30_a_source_that_fails_or_falls_silent_is_named(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    house.source.error = Unreachable("no route to host")
    for _ in range(6):
        look(house.room)
    assert "no route to host" in causes(house)["source main"][1]
    house.source.error = None
    look(house.room)
    assert "source main" not in causes(house)
    clock.advance(timedelta(days=4))
    assert "silent main" in causes(house)


def test_p17_a_flood_is_one_question(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock)
    house.show(*(article(n) for n in range(60)))
    assert "60 articles" in causes(house)["breaker main"][1]


class Channel(BaseHTTPRequestHandler):
    """A webhook that keeps what it is told; a status other than 200 when so told."""

    told: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.status == 200:
            self.told.append(json.loads(body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_p112_one_message_per_cause_a_reminder_each_six_hours_and_one_at_its_end(
    sqlite_store: Store, clock: ManualClock
) -> None:
    channel = type("Channel", (Channel,), {"told": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), channel)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    webhook = SecretStr(f"http://127.0.0.1:{server.server_address[1]}/alerts")
    settings = Alerts(webhook=webhook, allow_private=True)
    house = House(sqlite_store, clock)
    house.room.door = Door(clock, user_agent="Wirepost test")
    sqlite_store.commit(Stop(id="a", scope=Scope.ALL, value="", reason="", who="Ana"))
    house.source.error = Unreachable("no route to host")
    for _ in range(6):
        look(house.room)
    channel.status = 500
    assert alerts.run(house.room, settings) is False
    channel.status = 200
    for _ in range(48):
        alerts.run(house.room, settings)
        clock.advance(timedelta(minutes=30))
    about = [one["state"] for one in channel.told if one["cause"] == "source main"]
    assert about == ["open", "still open", "still open", "still open"]
    house.source.error = None
    look(house.room)
    alerts.run(house.room, settings)
    alerts.run(house.room, settings)
    assert [one["state"] for one in channel.told if one["cause"] == "source main"][-1] == "closed"
    assert [one["state"] for one in channel.told].count("closed") == 1
    with sqlite_store.read() as tx:
        assert tx.now
    assert any("STOPPED everything" in line for line in alerts.red_lines(sqlite_store))
    server.shutdown()
    server.server_close()
    thread.join()


class Worker:
    """As much of a worker as health asks about."""

    def __init__(self, house: House) -> None:
        self.newsroom = house.room
        self.beat_at = house.clock.monotonic()
        self.store_trouble: str | None = None


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_p24_live_ready_and_metrics_over_http(store: Store, clock: ManualClock) -> None:
    house = House(store, clock, options={"one": FakeOptions(token=SecretStr("token-1-canary"))})
    house.show(article(1))
    worker = Worker(house)
    server = health.HealthServer("127.0.0.1:0", worker)
    assert get(server.port, "/live")[0] == 200
    status, said = get(server.port, "/ready")
    assert status == 503
    assert "no worker was seen" in said
    store.commit(Beat("worker-1", "plan"))
    assert get(server.port, "/ready")[0] == 200
    worker.store_trouble = "the disk is full"
    status, said = get(server.port, "/ready")
    assert (status, "the disk is full" in said) == (503, True)
    worker.store_trouble = None
    status, said = get(server.port, "/metrics")
    assert status == 200
    assert 'wirepost_attempts_total{account="one",outcome="' in said
    assert 'wirepost_deliveries{account="one",state="waiting"} 0.0' in said
    assert "canary" not in said
    assert article(1).headline not in said
    clock.advance(61)
    assert get(server.port, "/live")[0] == 503
    assert get(server.port, "/ready")[0] == 503
    assert get(server.port, "/nowhere")[0] == 404
    server.close()


def test_fifty_accounts_make_few_series(sqlite_store: Store, clock: ManualClock) -> None:
    house = House(sqlite_store, clock, *(f"account-{n:02}" for n in range(50)))
    house.show(article(1), article(2))
    lines = health.metrics(Worker(house), health.Tally()).decode().splitlines()
    assert 200 < len([line for line in lines if line and not line.startswith("#")]) < 5_000


@pytest.mark.parametrize("share", [79, 80, 100])
def test_p86_the_budget_is_told_at_80_and_100_percent(share: int) -> None:
    from decimal import Decimal

    found = alerts._budget("one", Decimal(share), Decimal(100))
    assert [cause.split()[1] for cause in found] == [mark for mark in ("80", "100") if share >= int(mark)]
