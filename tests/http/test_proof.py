"""A publish ends in proof or in doubt by one fact: did its first byte leave? (section 7; the base of P01 to P08)"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpcore
import pytest
from loopback import PUBLIC, Street, answering, attempt, drop, reply, reset, serving, whole_request

from bot.clock import SystemClock
from bot.errors import NotSent, TooLarge, Unknown, Unreachable
from bot.http import Door, user_agent
from bot.testing.clock import ManualClock

AGENT = user_agent("0.1.0", "https://example.com/bot", "desk@example.com")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def door(clock: ManualClock) -> Iterator[Door]:
    with Door(clock, user_agent=AGENT) as opened:
        yield opened


def test_a_publish_and_its_whole_answer(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply(b'{"id":"7"}', status="201 Created", headers={"X-Request-Id": "r1"}))) as server:
        answer = attempt(door, clock).request(
            "POST", server.url + "/api/v1/statuses", json={"status": "Grüße"}, headers={"Authorization": "Bearer abc"}
        )
    assert (answer.status, answer.json(), answer.request_id) == (201, {"id": "7"}, "r1")
    assert answer.received_at == clock.now()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == '{"status":"Grüße"}'.encode()
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /api/v1/statuses http/1.1"
    assert f"host: 127.0.0.1:{server.port}" in lines
    assert "user-agent: wirepost/0.1.0 (+https://example.com/bot; desk@example.com)" in lines
    assert "authorization: bearer abc" in lines
    assert f"content-length: {len(body)}" in lines


def cut(peer, request) -> bool:
    reset(peer)
    return False


def short(peer, request) -> bool:
    peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')
    return False


UNSURE = {
    "closed without an answer": drop,
    "reset": cut,
    "cut in the body": short,
    "not HTTP": answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "head without end": answering(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 200_000),
    "chunks that are none": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "damaged gzip": answering(reply(b"not gzip at all", headers={"Content-Encoding": "gzip"})),
    "cut gzip": answering(reply(b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})),
    "a coding not asked for": answering(reply(b"\x8b\x00", headers={"Content-Encoding": "br"})),
    "too large": answering(reply(b"x" * 5000)),
    "two lengths": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_after_the_first_byte_all_trouble_is_unknown_for_a_write(name: str, door: Door, clock: ManualClock) -> None:
    with serving(UNSURE[name]) as server:
        with pytest.raises(Unknown) as caught:
            attempt(door, clock, max_bytes=4000).request("POST", server.url, json={"a": 1})
        assert "127.0.0.1: " in caught.value.words
        assert caught.value.__context__ is None and caught.value.__cause__ is None
        kind = TooLarge if name == "too large" else Unreachable
        with pytest.raises(kind):
            attempt(door, clock, max_bytes=4000).request("GET", server.url, safe=True)


def test_nobody_listening_is_proof(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server:
        port = server.port
    with pytest.raises(NotSent, match="can't be reached"):
        attempt(door, clock).request("POST", f"http://127.0.0.1:{port}/", content=b"x")
    with pytest.raises(Unreachable, match="can't be reached"):
        attempt(door, clock).request("GET", f"http://127.0.0.1:{port}/", safe=True)


def test_a_name_without_address_is_proof(clock: ManualClock) -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise OSError("unknown name")

    for resolve in (nothing, lambda host, port: []):
        with Door(clock, user_agent=AGENT, resolve=resolve) as door, pytest.raises(NotSent):
            attempt(door, clock).request("POST", "http://nowhere.example.com/", content=b"x")


@pytest.mark.parametrize("header", ["a\r\nX-Injected: 1", "a\nb", "a\0b"])
def test_a_line_break_in_a_header_never_leaves_and_is_not_quoted(header: str, door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server:
        with pytest.raises(NotSent) as caught:
            attempt(door, clock).request("POST", server.url, content=b"x", headers={"X-Key": "canary-" + header})
        assert "canary" not in str(caught.value)
    assert server.requests == []


# -- no zombies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asleep", ["both clocks", "wall only", "monotonic only"])
def test_p05_send_by_is_checked_at_the_first_write_by_both_local_clocks(asleep: str, clock: ManualClock) -> None:
    class Sleepy(Street):
        """The worker is suspended while it connects: after every check that could be made before."""

        def connect_tcp(self, *args, **more):
            stream = super().connect_tcp(*args, **more)
            if asleep == "wall only":
                clock.step_wall(10.5)
            else:
                clock.advance(10.5)
                if asleep == "monotonic only":
                    clock.step_wall(-10.5)
            return stream

    with serving(answering(reply())) as server:
        street = Sleepy({(PUBLIC, 80): server.port})
        with Door(clock, user_agent=AGENT, network_backend=street, resolve=lambda host, port: [PUBLIC]) as door:
            wanted = {"started_wall": clock.now(), "started_monotonic": clock.monotonic()}
            with pytest.raises(NotSent, match="after 10 s it is not sent"):
                door.publishing(**wanted, send_within=10.0).request("POST", "http://a.example.com/", content=b"x")
            assert street.wanted == [(PUBLIC, 80)]
    assert server.requests == []


def test_send_by_lets_through_what_is_in_time_and_does_not_bind_reads(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server:
        http = attempt(door, clock, send_within=10.0)
        clock.advance(9.9)
        assert http.request("POST", server.url, content=b"x").status == 200
        clock.advance(0.2)
        with pytest.raises(NotSent):
            http.request("POST", server.url, content=b"x")
        assert http.request("GET", server.url, safe=True).status == 200
    assert [request.split(b" ")[0] for request in server.requests] == [b"POST", b"GET"]


# -- kept connections -----------------------------------------------------------------------------------------------


def test_a_connection_is_used_again_but_never_after_4_s_of_idleness(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server:
        for pause, connections in ((0, 1), (3.9, 1), (4.1, 2), (0, 2), (60, 3)):
            clock.advance(pause)
            attempt(door, clock).request("POST", server.url, content=b"x")
            assert server.connections == connections


def test_idleness_is_judged_at_each_use_not_only_when_all_are_looked_through(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server, serving(answering(reply())) as other:
        for pause, place in ((3.0, server), (1.1, other), (3.4, server)):
            clock.advance(pause)
            attempt(door, clock).request("POST", place.url, content=b"x")
        assert server.connections == 2


def test_a_connection_that_the_server_closed_is_not_written_to(door: Door, clock: ManualClock) -> None:
    closed = threading.Event()

    def once(peer, request) -> bool:
        peer.sendall(reply())
        peer.close()
        closed.set()
        return False

    with serving(once) as server:
        for _ in range(20):
            attempt(door, clock).request("POST", server.url, content=b"x")
            assert closed.wait(5)
            closed.clear()
        assert server.connections == 20


def test_a_second_answer_is_never_taken_for_the_next_requests(door: Door, clock: ManualClock) -> None:
    """A proxy that says one thing too many must not make a receipt for a post that nobody made."""
    with serving(answering(reply(b"first") + reply(b"stray"))) as server:
        for _ in range(3):
            assert attempt(door, clock).request("POST", server.url, content=b"x").body == b"first"
        assert server.connections == 3


def test_what_was_opened_under_a_permission_is_not_shared_with_a_request_without(clock: ManualClock) -> None:
    with (
        serving(answering(reply())) as server,
        Door(clock, user_agent=AGENT, resolve=lambda host, port: ["127.0.0.1"]) as door,
    ):
        url = f"http://intranet.example.com:{server.port}/"
        door.reading(allow_private=True).request("GET", url)
        with pytest.raises(Unreachable, match=r"private address 127\.0\.0\.1"):
            door.reading().request("GET", url)
        with pytest.raises(NotSent, match="allow_private"):
            door.publishing().request("POST", url, content=b"x")
    assert len(server.requests) == 1


def test_twelve_threads_share_one_door(door: Door, clock: ManualClock) -> None:
    def echo(peer, request) -> bool:
        peer.sendall(reply(request.partition(b"\r\n\r\n")[2]))
        return True

    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(25):
            said = f"{number}/{turn}".encode()
            answer = attempt(door, clock).request("POST", server.url, content=said)
            if answer.body != said:
                wrong.append((said, answer.body))

    with serving(echo) as server:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(server.requests) == 300
        assert server.connections <= 12


# -- deadlines ------------------------------------------------------------------------------------------------------


def dripping(peer, request) -> bool:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    stop = threading.Event()
    for _ in range(1000):
        stop.wait(0.02)
        peer.sendall(b"x")
    return True


def test_p13_a_dripping_server_is_cut_at_the_total_deadline() -> None:
    clock = SystemClock()
    with serving(dripping) as server, Door(clock, user_agent=AGENT) as door:
        with pytest.raises(Unknown, match=r"no whole answer within 0\.3 s"):
            attempt(door, clock, deadline=0.3).request("POST", server.url, content=b"x")
        with pytest.raises(Unreachable, match=r"no whole answer within 0\.3 s"):
            door.reading(deadline=0.3, allow_private=True).request("GET", server.url)


def test_a_silent_server_is_cut_at_the_total_deadline() -> None:
    clock = SystemClock()
    never = threading.Event()

    def silent(peer, request) -> bool:
        never.wait(5)
        return False

    with serving(silent) as server, Door(clock, user_agent=AGENT) as door:
        with pytest.raises(Unknown):
            attempt(door, clock, deadline=0.1).request("POST", server.url, content=b"x")
        never.set()


def test_a_server_that_stops_reading_is_cut_too() -> None:
    clock = SystemClock()
    never = threading.Event()

    def deaf(peer):
        never.wait(5)
        return peer

    with serving(answering(reply()), on_connect=deaf) as server, Door(clock, user_agent=AGENT) as door:
        with pytest.raises(Unknown):
            attempt(door, clock, deadline=0.2).request("POST", server.url, content=b"x" * 30_000_000)
        never.set()


def test_a_hanging_name_server_is_given_up(clock: ManualClock) -> None:
    """The resolver can't be interrupted, so it is left behind; nothing was sent."""
    from bot.wire import Late, within

    never = threading.Event()
    with pytest.raises(Late):
        within(0.05, lambda: [str(never.wait(5))])
    never.set()
    assert within(5, lambda: ["1.2.3.4"]) == ["1.2.3.4"]


# -- what a publish doesn't do --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_publish_never_follows_a_redirect(status: str, door: Door, clock: ManualClock) -> None:
    with serving(answering(reply(status=status, headers={"Location": "/elsewhere"}))) as server:
        answer = attempt(door, clock).request("POST", server.url, content=b"x", redirects=5)
    assert answer.status == int(status[:3])
    assert len(server.requests) == 1


def test_the_url_goes_out_as_it_stands(door: Door, clock: ManualClock) -> None:
    """OAuth 1.0a signs the address: nothing in it may be encoded again."""
    path = "/2/tweets?a=%2B%20x+y&b=%e4%BA&c=~!*'();,:@$/?&status=a%3Db"
    with serving(answering(reply())) as server:
        attempt(door, clock).request("POST", server.url + path, content=b"", params={"d": "a b&ü"})
        attempt(door, clock).request("POST", server.url + "/straße?q=ü x", content=b"")
    lines = [request.split(b"\r\n")[0].decode() for request in server.requests]
    assert lines[0] == f"POST {path}&d=a%20b%26%C3%BC HTTP/1.1"
    assert lines[1] == "POST /stra%C3%9Fe?q=%C3%BC%20x HTTP/1.1"


def test_bodies_of_each_kind(door: Door, clock: ManualClock) -> None:
    with serving(answering(reply())) as server:
        http = attempt(door, clock)
        http.request("POST", server.url, form={"a": "1 2", "b": "ü"})
        http.request("POST", server.url)
        http.request("PUT", server.url, content=b"\0" * 100_000, headers={"Content-Type": "image/png"})
        http.request("DELETE", server.url)
    form, empty, picture, delete = (request.partition(b"\r\n\r\n") for request in server.requests)
    assert form[2] == b"a=1+2&b=%C3%BC" and b"x-www-form-urlencoded" in form[0]
    assert b"content-length: 0" in empty[0] and empty[2] == b""
    assert b"image/png" in picture[0] and len(picture[2]) == 100_000
    assert b"content-length" not in delete[0]


def test_an_early_answer_to_a_long_body_is_still_read(clock: ManualClock) -> None:
    """A server may refuse before it read all: its answer counts, not the broken pipe."""

    def hasty(peer):
        peer.recv(100)
        peer.sendall(reply(status="413 Too Large"))
        whole_request(peer)
        return peer

    with serving(answering(reply()), on_connect=hasty) as server, Door(clock, user_agent=AGENT) as door:
        assert attempt(door, clock).request("POST", server.url, content=b"x" * 200_000).status == 413


# -- fault points ---------------------------------------------------------------------------------------------------


class Died(BaseException):
    pass


@pytest.mark.parametrize(
    ("point", "seen"),
    [("before_first_byte", 0), ("after_first_byte", 1), ("after_last_byte", 1), ("after_answer", 1)],
)
def test_p03_every_fault_point_is_where_it_says(point: str, seen: int, clock: ManualClock) -> None:
    passed: list[str] = []

    def crash(here: str) -> None:
        passed.append(here)
        if here == point:
            raise Died

    arrived = threading.Event()

    def handle(peer, request) -> bool:
        arrived.set()
        peer.sendall(reply())
        return True

    with serving(handle) as server, Door(clock, user_agent=AGENT, crash=crash) as door:
        with pytest.raises(Died):
            attempt(door, clock).request("POST", server.url, content=b"x")
        assert not seen or arrived.wait(5)
        assert len(server.requests) == seen
    points = ["before_first_byte", "after_first_byte", "after_last_byte", "after_answer"]
    assert passed == points[: points.index(point) + 1]


# -- the seams -----------------------------------------------------------------------------------------------------


def test_an_error_that_nobody_expected_is_sorted_by_the_first_byte_too(clock: ManualClock) -> None:
    class Odd(httpcore.NetworkBackend):
        def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
            raise ZeroDivisionError("canary")

    with (
        Door(clock, user_agent=AGENT, network_backend=Odd()) as door,
        pytest.raises(NotSent, match="an unexpected ZeroDivisionError"),
    ):
        attempt(door, clock).request("POST", "http://127.0.0.1/", content=b"x")
