"""Alerts on real stores: what the rows say needs a person, and that it is said once, to one address, by one worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from bot import alerts
from bot.alerts.causes import causes_of
from bot.errors import StoreError, Unreachable
from bot.flow import discover, plan, reconcile
from bot.http import Door, Http
from bot.model import Payload, Post, Reason, State
from bot.networks.base import Cost
from bot.settings.shape import Alerts
from bot.sources.base import Batch, Cursor
from bot.store import Store
from bot.store.alerts import open_alerts
from bot.store.audit import Note
from bot.store.stops import Lift, Scope, Stop
from bot.store.workers import Beat, Leave
from bot.testing.clock import ManualClock
from bot.testing.network import Fake, FakeOptions
from bot.testing.network_server import Fault
from bot.testing.newsroom import look, pass_time
from bot.testing.source import Scripted
from tests.flow.conftest import OpenHouse
from tests.flow.people import Person
from tests.flow.stories import House, article

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
SECRET = "hooks-canary-7Qx2"
LONG = 400 * DAY


class Channel(ThreadingHTTPServer):
    """A webhook that keeps what it takes; it answers `status`, and may let `clock` run while it does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.clock: ManualClock | None = None
        self.settings = Alerts(
            webhook=SecretStr(f"http://127.0.0.1:{self.server_port}/{SECRET}"), allow_private=True, silence=LONG
        )

    def about(self, cause: str) -> list[str]:
        return [one["state"] for one in self.told if one["cause"] == cause]


class _Handler(BaseHTTPRequestHandler):
    server: Channel

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += 1
        if self.server.clock is not None:
            self.server.clock.advance(8 * SECOND)
        if self.server.status == 200:
            self.server.told.append(message)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def on_loopback(desk: House) -> House:
    """From now on the house's door opens real connections: nothing of its own network is asked any more."""
    desk.room.door = Door(desk.clock, user_agent="Wirepost test")
    return desk


def fail(desk: House, times: int = 6) -> None:
    desk.source.error = Unreachable("no route to host")
    for _ in range(times):
        look(desk.room)


def found(desk: House) -> dict[str, str]:
    return {cause: words for cause, (_, words) in causes_of(alerts.read(desk.room, LONG)).items()}


def stop(desk: House, scope: Scope, value: str = "") -> None:
    desk.store.commit(Stop(id=f"s-{scope}", scope=scope, value=value, reason="", who="Ana"))


# -- what the rows say --------------------------------------------------------------------------------------------


def test_p23_overdue_names_the_post_on_both_stores(both: OpenHouse) -> None:
    desk = both("one", "two")
    desk.planned(article(1))
    desk.store.commit(Beat("worker-1", "reconcile"))
    desk.clock.advance(5 * MINUTE + SECOND)
    told = found(desk)
    assert sorted(told) == ["overdue one", "overdue two"]
    assert article(1).headline in told["overdue one"]
    assert next(one.id for one in desk.all() if one.account == "one") in told["overdue one"]
    assert "reconcile" in told["overdue two"]


@pytest.mark.parametrize(
    ("scope", "value", "overdue"),
    [
        (Scope.ALL, "", []),
        (Scope.NETWORK, "fake", []),
        (Scope.SOURCE, "main", []),
        (Scope.ACCOUNT, "one", ["overdue two"]),
        (Scope.ACCOUNT, "elsewhere", ["overdue one", "overdue two"]),
        (Scope.TAG, "rowing", ["overdue one", "overdue two"]),
    ],
)
def test_p23_a_stop_explains_only_what_it_stops(house: OpenHouse, scope: Scope, value: str, overdue: list[str]) -> None:
    """Though the timetable had no time yet to take the stopped posts' times away."""
    desk = house("one", "two")
    desk.planned(article(1))
    desk.clock.advance(6 * MINUTE)
    stop(desk, scope, value)
    assert sorted(found(desk)) == overdue


def test_p23_what_is_due_on_an_account_that_left_the_settings_is_told(house: OpenHouse) -> None:
    desk = house("one", "two")
    desk.planned(article(1))
    desk.clock.advance(6 * 60)
    (left,) = (one for one in desk.all() if one.account == "two")
    desk.room.accounts = {name: account for name, account in desk.room.accounts.items() if name == "one"}
    told = found(desk)["overdue two"]
    assert "but two has left the settings: put it back, or wirepost skip " + left.id in told
    Person(desk.room, "Ana").skip(left)
    assert list(found(desk)) == ["overdue one"]


def test_p23_a_stopped_article_hides_no_other_that_is_overdue(house: OpenHouse) -> None:
    desk = house()
    desk.planned(article(1), article(2))
    first = min(desk.all(), key=lambda one: (one.due_at, one.id))
    desk.clock.advance(6 * MINUTE)
    stop(desk, Scope.ARTICLE, first.article)
    words = found(desk)["overdue one"]
    assert first.id not in words
    desk.store.commit(Lift("s-article", "Ana"))
    assert first.id in found(desk)["overdue one"]


@pytest.mark.parametrize("find", [True, False])
def test_a_post_that_nobody_can_look_up_is_told_like_one_that_is_looked_for(house: OpenHouse, find: bool) -> None:
    """Where a network has no look-up, the doubt is a person's at once: it must not be silent for that."""
    desk = house(options={"one": FakeOptions(token=SecretStr("token-1"), find=find)})
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1))
    desk.server.down = True
    pass_time(desk.room, 14 * MINUTE, step=MINUTE)
    assert "unclear one" not in found(desk)
    pass_time(desk.room, 2 * MINUTE, step=MINUTE)
    (one,) = desk.all()
    assert one.state is (State.UNKNOWN if find else State.HELD) or one.reason.reason is Reason.CANNOT_TELL
    assert f"wirepost lookup {one.id}" in found(desk)["unclear one"]
    desk.server.down = False
    reconcile.run(desk.room)


def test_a_dead_login_is_a_cause_until_the_login_works_again(both: OpenHouse) -> None:
    desk = both()
    assert found(desk) == {}
    desk.server.faults.append(Fault.DEAD)
    desk.show(article(1))
    assert list(found(desk)) == ["login one"]
    assert "needs a login" in found(desk)["login one"]
    pass_time(desk.room, 2 * HOUR, step=10 * MINUTE)
    assert "login one" not in found(desk)


def test_p30_a_source_that_fails_or_falls_silent_is_named(house: OpenHouse) -> None:
    desk = house()
    fail(desk)
    assert "no route to host" in found(desk)["source main"]
    desk.source.error = None
    look(desk.room)
    assert "source main" not in found(desk)
    desk.clock.advance(4 * DAY)
    assert "silent main" in causes_of(alerts.read(desk.room, 3 * DAY))


class Overrun(Scripted):
    """Its second look finds nothing of the first; as a feed does, it says so once."""

    def fetch(self, cursor: Cursor, http: Http, now: datetime) -> Batch:
        batch = super().fetch(cursor, http, now)
        notes = ("window_overrun: no item of the last look is listed any more",) if self.looks == 2 else ()
        return replace(batch, notes=notes)


def test_a_feed_that_overran_is_told_though_its_next_look_went_well(house: OpenHouse) -> None:
    """What may be lost is not found again a minute later; a look that came before the alerts' round hid it."""
    desk = house(looked=False)
    desk.room.sources = {"main": Overrun("main")}
    for _ in range(3):
        look(desk.room)
        desk.clock.advance(61)
    assert "articles may be lost" in found(desk)["window_overrun main"]
    desk.clock.advance(6 * HOUR)
    assert found(desk) == {}


class Dear(Fake):
    """A network that charges 30 cents for each post: a dollar is never spent to the last cent."""

    cost = Cost(publish=Decimal("0.3"), publish_link=Decimal("0.3"))

    def render(self, post: Post) -> Payload:
        return replace(super().render(post), cost="0.3")


def test_p86_budgets_are_read_from_the_ledger_on_both_stores(both: OpenHouse) -> None:
    desk = both(account={"caps": {"cost_month": "1.00 USD"}})
    desk.room.accounts = {"one": replace(desk.room.accounts["one"], network=Dear)}
    desk.show(article(1), article(2))
    assert found(desk) == {}
    desk.show(article(1), article(2), article(3))
    assert list(found(desk)) == ["budget 80 one"]
    desk.show(article(1), article(2), article(3), article(4))
    assert desk.states()[State.HELD, Reason.BUDGET] == 1
    assert list(found(desk)) == ["budget 80 one", "unpaid one"]
    assert "1 posts on one are held" in found(desk)["unpaid one"]


def test_p30_what_a_source_brought_is_counted_without_its_first_look(both: OpenHouse) -> None:
    desk = both(looked=False, first_look="all", max_age="1h")
    desk.source.show(*(article(number) for number in range(9)))
    look(desk.room)
    assert alerts.read(desk.room, LONG).arrived == {}
    desk.clock.advance(HOUR)
    desk.show(article(10), article(11))
    assert alerts.read(desk.room, LONG).arrived == {"main": 2}
    desk.clock.advance(31 * DAY)
    assert alerts.read(desk.room, LONG).arrived == {}


def test_p30_a_source_of_six_a_day_is_silent_after_three_of_its_nights(house: OpenHouse) -> None:
    desk = house()
    for number in range(8 * 6):
        desk.clock.advance(2 * HOUR if number % 6 else 14 * HOUR)
        desk.source.show(article(100 + number))
        discover.run(desk.room, anyway=True)
    desk.clock.advance(3 * 14 * HOUR)
    assert "silent main" not in found(desk)
    desk.clock.advance(5 * MINUTE)  # the first night was a minute longer: the house's first look
    assert "silent main" in found(desk)
    plan.run(desk.room)


def test_p17_only_what_the_breaker_holds_is_counted_as_its_own(both: OpenHouse) -> None:
    desk = both()
    desk.show(*(article(number) for number in range(60)))
    assert found(desk)["breaker main"].startswith("60 articles of main")
    desk.room.sources = {}
    assert found(desk) == {}


def test_mistakes_in_the_settings_end_with_the_next_good_reading(house: OpenHouse) -> None:
    desk = house()
    desk.store.commit(Note("settings_invalid", "settings", {"problems": 2}))
    assert list(found(desk)) == ["settings_invalid settings"]
    desk.clock.advance(MINUTE)
    desk.store.commit(Note("settings_reloaded", "2"))
    assert found(desk) == {}
    desk.clock.advance(MINUTE)
    desk.store.commit(Note("settings_invalid", "settings", {"problems": 1}))
    assert list(found(desk)) == ["settings_invalid settings"]


# -- how it is said -----------------------------------------------------------------------------------------------


def test_p112_two_days_of_one_cause_are_eight_messages_and_one_at_its_end(both: OpenHouse, channel: Channel) -> None:
    desk = on_loopback(both())
    fail(desk)
    for _ in range(48):
        alerts.run(desk.room, channel.settings)
        desk.clock.advance(HOUR)
    mine = [one for one in channel.told if one["cause"] == "source main"]
    assert [one["state"] for one in mine] == ["open"] + ["still open"] * 7
    assert [one["times"] for one in mine] == list(range(1, 9))
    assert {one["since"] for one in mine} == {mine[0]["since"]}
    assert mine[0]["kind"] == "source"
    assert "no route to host" in mine[0]["text"]
    desk.source.error = None
    discover.run(desk.room, anyway=True)
    for _ in range(3):
        alerts.run(desk.room, channel.settings)
    assert channel.about("source main")[8:] == ["closed"]


def test_p112_of_a_budgets_marks_the_highest_alone_is_said_again(house: OpenHouse, channel: Channel) -> None:
    """At 100 % the mark at 80 is not over, and nobody needs to hear of it."""
    desk = house(account={"caps": {"cost_month": "1.50 USD"}})
    desk.room.accounts = {"one": replace(desk.room.accounts["one"], network=Dear)}
    network = desk.room.door
    desk.show(*(article(number) for number in range(4)))
    alerts.run(on_loopback(desk).room, channel.settings)
    desk.room.door = network
    desk.show(*(article(number) for number in range(5)))
    assert list(found(desk)) == ["budget 80 one", "budget 100 one"]
    on_loopback(desk)
    for _ in range(24):
        alerts.run(desk.room, channel.settings)
        desk.clock.advance(HOUR)
    assert channel.about("budget 80 one") == ["open"]
    assert channel.about("budget 100 one") == ["open"] + ["still open"] * 3
    assert [line for line in alerts.red_lines(desk.store) if "month" in line] == [
        "! one spent 1.50 of this month's 1.50: that is all of it."
    ]


def test_a_cause_that_comes_back_is_a_new_one(house: OpenHouse, channel: Channel) -> None:
    desk = on_loopback(house())
    for _ in range(2):
        fail(desk)
        alerts.run(desk.room, channel.settings)
        desk.source.error = None
        discover.run(desk.room, anyway=True)
        alerts.run(desk.room, channel.settings)
        desk.clock.advance(HOUR)
    assert channel.about("source main") == ["open", "closed", "open", "closed"]


def test_a_channel_that_fails_stops_nothing_is_noted_once_and_told_when_it_works_again(
    both: OpenHouse, channel: Channel
) -> None:
    desk = on_loopback(both())
    fail(desk)
    channel.status = 500
    for _ in range(5):
        assert alerts.run(desk.room, channel.settings) is False
        desk.clock.advance(15 * SECOND)
    assert channel.asked == 5  # tried again each round, one message a round
    (noted,) = desk.events("alert_failed")
    assert noted.detail == {"error": "it answers 500"}
    assert any("No alert got through since" in line for line in alerts.red_lines(desk.store))
    channel.status = 200
    assert alerts.run(desk.room, channel.settings) is True
    alerts.run(desk.room, channel.settings)
    assert [(one["cause"], one["state"]) for one in channel.told] == [("source main", "open")]
    assert len(desk.events("alert_works")) == 1
    assert not any("No alert got through" in line for line in alerts.red_lines(desk.store))


def test_a_channel_is_tried_again_even_if_what_it_should_say_is_over(house: OpenHouse, channel: Channel) -> None:
    desk = on_loopback(house())
    fail(desk)
    channel.status = 503
    alerts.run(desk.room, channel.settings)
    desk.source.error = None
    discover.run(desk.room, anyway=True)
    alerts.run(desk.room, channel.settings)
    channel.status = 200
    for _ in range(3):
        alerts.run(desk.room, channel.settings)
    assert [(one["cause"], one["state"]) for one in channel.told] == [("channel", "open"), ("channel", "closed")]


def test_an_address_that_was_taken_away_is_no_channel_that_fails(house: OpenHouse, channel: Channel) -> None:
    desk = on_loopback(house())
    fail(desk)
    channel.status = 500
    alerts.run(desk.room, channel.settings)
    for _ in range(2):
        alerts.run(desk.room, Alerts())
    with desk.store.read() as tx:
        assert [alert.cause for alert in open_alerts(tx)] == ["source main"]


@pytest.mark.parametrize("address", ["not-an-address", "http://127.0.0.1:9/hooks-canary-7Qx2", "https://[::1"])
def test_a_wrong_address_is_a_failing_channel_and_is_never_shown(house: OpenHouse, address: str) -> None:
    """A webhook's address is a secret: neither the note nor the red line holds it. Loopback needs allow_private."""
    desk = on_loopback(house())
    fail(desk)
    settings = Alerts(webhook=SecretStr(address))
    assert alerts.run(desk.room, settings) is False
    alerts.run(desk.room, settings)
    (noted,) = desk.events("alert_failed")
    assert noted.detail["error"]
    assert SECRET not in str(noted.detail)
    assert SECRET not in str(alerts.red_lines(desk.store))


def test_p24_a_slow_channel_holds_the_loop_for_one_message_more_than_its_round(
    house: OpenHouse, channel: Channel
) -> None:
    """The loop that speaks is the one that beats: 30 causes at 8 s each would look like death."""
    names = [f"account-{n:02}" for n in range(30)]
    desk = house(*names)
    desk.server.fault = lambda account, body: Fault.BILLING
    desk.show(article(1))
    assert len(found(on_loopback(desk))) == 30
    channel.clock = desk.clock
    rounds = 0
    while len(channel.told) < 30:
        began = desk.clock.monotonic()
        assert alerts.run(desk.room, channel.settings)
        assert desk.clock.monotonic() - began <= 25
        rounds += 1
    assert rounds > 1
    assert len({one["cause"] for one in channel.told}) == 30


def test_of_two_workers_one_speaks_and_the_other_takes_over(both: OpenHouse, channel: Channel) -> None:
    desk = on_loopback(both())
    other = desk.newsroom("worker-2")
    other.door = desk.room.door
    fail(desk)
    for name in ("worker-1", "worker-2"):
        desk.store.commit(Beat(name, "watch"))
    assert alerts.run(other, channel.settings) is False
    assert alerts.run(desk.room, channel.settings) is True
    assert alerts.run(other, channel.settings) is False
    assert len(channel.told) == 1
    desk.clock.advance(6 * HOUR)
    desk.store.commit(Beat("worker-2", "watch"))
    assert alerts.run(other, channel.settings) is True  # the first one is dead
    desk.store.commit(Leave("worker-2"))
    assert channel.about("source main") == ["open", "still open"]


def test_p111_a_store_that_fails_is_told_without_the_store_and_told_when_it_works(
    house: OpenHouse, channel: Channel, clock: ManualClock, sqlite_url: str
) -> None:
    desk = on_loopback(house())
    path = desk.store.path
    assert path is not None
    kept = path.read_bytes()
    desk.store.close()
    for trail in ("-wal", "-shm"):
        path.with_name(path.name + trail).unlink(missing_ok=True)
    path.write_bytes(b"no database at all" * 100)
    with closing(Store(sqlite_url, clock, own_time=False)) as broken:
        desk.room.store = broken
        for _ in range(7 * 60):
            with pytest.raises(StoreError):
                alerts.run(desk.room, channel.settings)
            clock.advance(MINUTE)
    assert channel.about("store") == ["open", "still open"]
    path.write_bytes(kept)
    desk.room.store = desk.store = Store(sqlite_url, clock, own_time=False)
    for _ in range(2):
        alerts.run(desk.room, channel.settings)
    assert channel.about("store") == ["open", "still open", "closed"]
    desk.store.close()


# -- above every listing ------------------------------------------------------------------------------------------


def test_red_lines_hold_the_stopped_band_and_what_is_open(both: OpenHouse) -> None:
    desk = both()
    assert alerts.red_lines(desk.store) == []
    fail(desk)
    stop(desk, Scope.ALL)
    alerts.run(desk.room, Alerts(silence=LONG))
    band, line = alerts.red_lines(desk.store)
    assert band.startswith("STOPPED everything (Ana) since")
    assert line.startswith("! main failed 6 times in a row")


def test_p23_without_any_worker_each_listing_itself_says_that_posts_are_due(both: OpenHouse) -> None:
    """The worker is who would find an overdue post: dead, it finds none."""
    desk = both()
    desk.planned(article(1))
    desk.clock.advance(6 * MINUTE)
    (line,) = alerts.red_lines(desk.store)
    assert line.startswith("! No worker runs (none was seen), and posts are due since")
    desk.store.commit(Beat("worker-1", "watch"))
    assert alerts.red_lines(desk.store) == []
    desk.clock.advance(61 * SECOND)
    (line,) = alerts.red_lines(desk.store)
    assert "the last was seen on" in line
    stop(desk, Scope.ALL)
    assert all("No worker" not in line for line in alerts.red_lines(desk.store))
