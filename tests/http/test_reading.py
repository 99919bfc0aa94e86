"""Reading: redirects, caps, codings. Also P73 (bombs) and the courtesy of a reader."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import OTHER_PUBLIC, PUBLIC, Street, answering, reply, serving

from bot.answer import Garbled, Oversize, expand
from bot.errors import TooLarge, Unreachable
from bot.http import Door
from bot.testing.clock import ManualClock

MIB = 1024 * 1024


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(ManualClock(), user_agent="Wirepost/0.1.0 (+https://example.com)") as opened:
        yield opened


def bomb() -> bytes:
    """1 GiB of zeros as one gzip member of 1 MB: after a full flush the same block packs to the same bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * (16 * MIB)
    head = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    middle = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + middle * 63


def test_p73_a_bomb_of_1_gb_stops_at_the_cap(door: Door) -> None:
    packed = bomb()
    assert len(packed) < 2 * MIB
    with serving(answering(reply(packed, headers={"Content-Encoding": "gzip"}))) as server:
        tracemalloc.start()
        with pytest.raises(TooLarge, match="larger than 10,485,760 bytes"):
            door.reading(allow_private=True).request("GET", server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 30 * MIB


def test_p73_an_honest_feed_of_22_mb_passes_a_raised_cap(door: Door) -> None:
    feed = b"<item><title>Fish &#38; chips</title></item>" * 500_000
    with serving(answering(reply(gzip.compress(feed, 1), headers={"Content-Encoding": "gzip"}))) as server:
        answer = door.reading(allow_private=True, max_bytes=32 * MIB).request("GET", server.url)
        assert answer.body == feed
        with pytest.raises(TooLarge):
            door.reading(allow_private=True).request("GET", server.url)


def test_an_endless_answer_stops_at_the_cap(door: Door) -> None:
    def endless(peer, request) -> bool:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)

    with serving(endless) as server, pytest.raises(TooLarge):
        door.reading(allow_private=True, max_bytes=MIB).request("GET", server.url)


def test_a_length_over_the_cap_is_refused_unread(door: Door) -> None:
    huge = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    with serving(huge) as server, pytest.raises(TooLarge):
        door.reading(allow_private=True).request("GET", server.url)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["gzip", "two members", "padded", "zlib", "raw"]))
def test_what_was_packed_comes_out_whole_however_it_is_cut(data: bytes, size: int, form: str) -> None:
    packed = {
        "gzip": gzip.compress(data),
        "two members": gzip.compress(data[:99]) + gzip.compress(data[99:]),
        "padded": gzip.compress(data) + b"\0" * 512,
        "zlib": zlib.compress(data),
        "raw": raw_deflate(data),
    }[form]
    if form == "raw" and packed[0] & 0x0F == 8:
        return  # looks like zlib's frame; browsers guess wrong there, too
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    name = "deflate" if form in ("zlib", "raw") else "GZip"
    assert expand(chunks, name, 3000) == data
    if form in ("gzip", "zlib") and len(packed) > 1:
        with pytest.raises(Garbled):
            expand([packed[:-1]], name, 3000)
    if data:
        with pytest.raises(Oversize):
            expand(chunks, name, len(data) - 1)


def test_codings_stacked_or_unknown_are_refused() -> None:
    for name in ("br", "zstd", "gzip, gzip", "compress"):
        with pytest.raises(Garbled):
            expand([b"x"], name, 100)
    assert expand([b"a", b"b"], "identity", 100) == b"ab"


def test_redirects_are_followed_as_far_as_asked_and_told(door: Door) -> None:
    def hop(peer, request) -> bool:
        step = int(request.split(b" ")[1].rpartition(b"/")[2])
        if step == 0:
            peer.sendall(reply(b"there"))
        else:
            status = "301 Moved" if step == 3 else "302 Found"
            peer.sendall(reply(status=status, headers={"Location": f"/{step - 1}"}))
        return True

    with serving(hop) as server:
        http = door.reading(allow_private=True)
        answer = http.request("GET", server.url + "/3", redirects=5)
        assert (answer.body, answer.url) == (b"there", server.url + "/0")
        assert answer.hops == ((301, server.url + "/2"), (302, server.url + "/1"), (302, server.url + "/0"))
        assert http.request("GET", server.url + "/5", redirects=5).status == 200
        with pytest.raises(Unreachable, match="more than 5 redirects"):
            http.request("GET", server.url + "/6", redirects=99)
        assert http.request("GET", server.url + "/3").status == 301
        assert http.request("POST", server.url + "/3", content=b"x", redirects=5).status == 301


def test_credentials_stay_with_their_host() -> None:
    def away(peer, request) -> bool:
        host = "a" if b"/again" not in request else "b"
        path = "again" if host == "a" else "end"
        peer.sendall(
            reply(b"end")
            if b"/end" in request
            else reply(status="302 Found", headers={"Location": f"http://{host}.example.com/{path}"})
        )
        return True

    with serving(away) as server:
        street = Street({(PUBLIC, 80): server.port, (OTHER_PUBLIC, 80): server.port})
        found = {"a.example.com": [PUBLIC], "b.example.com": [OTHER_PUBLIC]}
        with Door(
            ManualClock(), user_agent="t", network_backend=street, resolve=lambda host, port: found[host]
        ) as door:
            sent = {"Authorization": "Bearer canary", "X-Api-Key": "canary", "Cookie": "canary", "If-None-Match": '"7"'}
            door.reading(headers={"X-House": "canary"}).request(
                "GET", "http://me:canary@a.example.com/start", headers=sent, redirects=5
            )
    start, again, end = server.requests
    assert start.count(b"canary") == 4 and again.count(b"canary") == 4
    assert b"canary" not in end and b'if-none-match: "7"' in end
    assert [address for address, _ in street.wanted] == [PUBLIC, OTHER_PUBLIC]


def test_a_login_in_the_address_becomes_a_header_and_is_never_told(door: Door) -> None:
    with serving(answering(reply())) as server:
        url = f"http://me:p%40ss@127.0.0.1:{server.port}/feed"
        answer = door.reading(allow_private=True).request("GET", url)
    assert b"authorization: Basic bWU6cEBzcw==" in server.requests[0]
    assert "p%40ss" not in answer.url + repr(answer)


def test_a_login_in_the_address_survives_a_redirect_on_its_own_host(door: Door) -> None:
    def moved(peer, request) -> bool:
        peer.sendall(reply(b"") if b"/new" in request else reply(status="301 Moved", headers={"Location": "/new"}))
        return True

    with serving(moved) as server:
        door.reading(allow_private=True).request("GET", f"http://me:pw@127.0.0.1:{server.port}/old", redirects=1)
    assert [b"authorization: Basic bWU6cHc=" in request for request in server.requests] == [True, True]


def test_head_and_304_have_no_body_and_keep_the_connection(door: Door) -> None:
    def handle(peer, request) -> bool:
        if request.startswith(b"HEAD"):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nContent-Encoding: gzip\r\n\r\n")
        elif b"if-none-match" in request:
            peer.sendall(b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n")
        else:
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    with serving(handle) as server:
        http = door.reading(allow_private=True)
        assert http.request("HEAD", server.url).body == b""
        assert http.request("GET", server.url, headers={"If-None-Match": "x"}).status == 304
        assert http.request("DELETE", server.url).status == 204
        assert server.connections == 1
    assert b"accept-encoding: gzip, deflate" in server.requests[0]


def test_a_reader_names_itself_unless_told_otherwise(door: Door) -> None:
    with serving(answering(reply())) as server:
        door.reading(allow_private=True).request("GET", server.url)
        door.reading(allow_private=True, headers={"User-Agent": "Mine/1"}).request("GET", server.url)
    assert b"user-agent: Wirepost/0.1.0 (+https://example.com)" in server.requests[0]
    assert b"user-agent: Mine/1" in server.requests[1]


def test_idle_connections_of_other_hosts_are_closed_in_time() -> None:
    """P114: a bot that reads a hundred hosts holds no hundred sockets."""
    clock = ManualClock()
    with serving(answering(reply())) as server:
        street = Street({(PUBLIC, 80): server.port})
        with Door(clock, user_agent="t", network_backend=street, resolve=lambda host, port: [PUBLIC]) as door:
            for number in range(100):
                door.reading().request("GET", f"http://host{number}.example.com/")
                clock.advance(1)
            kept = [line for waiting in door._lines._idle.values() for line in waiting]
    assert server.connections == 100
    assert len(kept) <= 10  # looked through every 4 s for what is older than 4 s


def test_httpx_itself_can_use_the_door() -> None:
    with serving(answering(reply(b"hello", headers={"X-A": "1"}))) as server:
        street = Street({(PUBLIC, 80): server.port})
        door = Door(ManualClock(), user_agent="t", network_backend=street, resolve=lambda host, port: [PUBLIC])
        with httpx.Client(transport=door) as client:
            answer = client.post("http://a.example.com/x?y=1", content=b"abc")
            assert (answer.status_code, answer.text, answer.headers["x-a"]) == (200, "hello", "1")
            with pytest.raises(Unreachable, match="private"):
                client.get("http://127.0.0.1/")
