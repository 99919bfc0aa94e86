"""The network that tests use does what its faults say, through the real door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import AuthFailed, Busy, Duplicate, Expired, Misconfigured, NotSent, Rejected, SendError, Unknown
from bot.http import Door
from bot.model import Pending
from bot.testing.clock import ManualClock
from bot.testing.network import Fake, FakeOptions
from bot.testing.network_server import FakeServer, Fault
from bot.testing.samples import NOW, SAMPLE_KEY, sample_post

Build = Callable[..., Fake]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def server(clock: ManualClock) -> FakeServer:
    return FakeServer(clock)


@pytest.fixture
def fake(clock: ManualClock, server: FakeServer) -> Iterator[Build]:
    with closing(Door(clock, user_agent="test", network_backend=server, resolve=server.resolve)) as door:
        yield lambda credentials=None, **options: Fake(FakeOptions(**options), credentials or {}, {}, door.publishing())


def _payload(adapter: Fake) -> Any:
    return adapter.render(sample_post(adapter.bounds()))


@pytest.mark.parametrize(
    ("fault", "error", "there"),
    [
        (Fault.LOST_BEFORE, Unknown, 0),
        (Fault.LOST_AFTER, Unknown, 1),
        (Fault.ERROR_BEFORE, Unknown, 0),
        (Fault.ERROR_AFTER, Unknown, 1),
        (Fault.GATEWAY_AFTER, Unknown, 1),
        (Fault.GARBAGE_AFTER, Unknown, 1),
        (Fault.LIMITED, Busy, 0),
        (Fault.EXPIRED, Expired, 0),
        (Fault.DEAD, AuthFailed, 0),
        (Fault.REFUSED, Rejected, 0),
        (Fault.BILLING, Misconfigured, 0),
        (Fault.DUPLICATE, Duplicate, 0),
    ],
)
def test_each_fault_ends_as_it_must(
    fault: Fault, error: type[SendError], there: int, fake: Build, server: FakeServer
) -> None:
    server.faults.append(fault)
    adapter = fake()
    with pytest.raises(error):
        adapter.send(_payload(adapter), SAMPLE_KEY)
    assert len(server.visible()) == there


def test_a_server_that_is_down_is_proved_not_sent(fake: Build, server: FakeServer) -> None:
    """Also on a connection that stood open: it is looked at before it is used."""
    adapter = fake()
    adapter.check()
    server.down = True
    with pytest.raises(NotSent):
        adapter.send(_payload(adapter), SAMPLE_KEY)
    assert server.posts == []


def test_what_is_taken_late_appears_late(fake: Build, server: FakeServer, clock: ManualClock) -> None:
    server.faults.append(Fault.TAKEN_LATE)
    adapter = fake()
    payload = _payload(adapter)
    with pytest.raises(Unknown):
        adapter.send(payload, SAMPLE_KEY)
    assert adapter.find(payload, SAMPLE_KEY, NOW) is None
    clock.advance(timedelta(seconds=31))
    assert adapter.find(payload, SAMPLE_KEY, NOW) is not None


@pytest.mark.parametrize(("keys", "copies"), [(None, 2), (timedelta(hours=1), 1)])
def test_keys_are_honoured_or_ignored(keys: timedelta | None, copies: int, fake: Build, server: FakeServer) -> None:
    server.keys = keys
    adapter = fake()
    for _ in range(2):
        adapter.send(_payload(adapter), SAMPLE_KEY)
    assert len(server.posts) == copies
    assert server.doubled() == ([("1", "d2bridge4567")] if copies > 1 else [])


def test_a_key_is_forgotten_in_time(fake: Build, server: FakeServer, clock: ManualClock) -> None:
    server.keys = timedelta(hours=1)
    adapter = fake()
    adapter.send(_payload(adapter), SAMPLE_KEY)
    clock.advance(timedelta(hours=1, seconds=1))
    adapter.send(_payload(adapter), SAMPLE_KEY)
    assert len(server.posts) == 2


def test_a_refresh_mends_an_expired_token(fake: Build, server: FakeServer) -> None:
    server.stale.add("1")
    with pytest.raises(Expired):
        fake().check()
    fresh = fake().refresh()
    assert fake(credentials=fresh).check().remote_id == "1"


def test_the_second_phase_publishes_once_however_often_it_is_asked(fake: Build, server: FakeServer) -> None:
    adapter = fake(two_phase=True)
    payload = _payload(adapter)
    pending = adapter.send(payload, SAMPLE_KEY)
    assert isinstance(pending, Pending)
    assert server.visible() == []
    assert adapter.poll(payload, SAMPLE_KEY, pending.container) == pending
    server.faults.append(Fault.LOST_AFTER)
    with pytest.raises(Unknown):
        adapter.finish(payload, SAMPLE_KEY, pending.container)
    receipt = adapter.finish(payload, SAMPLE_KEY, pending.container)
    assert adapter.poll(payload, SAMPLE_KEY, pending.container) == receipt
    assert [post.id for post in server.visible()] == [receipt.remote_id]
    assert adapter.poll(payload, SAMPLE_KEY, "another") is None


def test_accounts_are_told_apart(fake: Build, server: FakeServer) -> None:
    for token in ("token-1", "token-2"):
        adapter = fake(token=token)
        adapter.send(_payload(adapter), SAMPLE_KEY)
    assert [post.account for post in server.visible()] == ["1", "2"]
    assert server.doubled() == []
