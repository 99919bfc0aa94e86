"""Where a URL may lead: P115 (redirects), P116 (rebinding), P117 (one door)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import OTHER_PUBLIC, PUBLIC, Street, answering, reply, serving

import bot
from bot.addresses import Refused, aim, is_public, next_hop
from bot.errors import NotSent, Unreachable
from bot.http import Door
from bot.testing.clock import ManualClock

#: Addresses that nobody outside may send us to, in the forms in which they are written.
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::127.0.0.1]",
    "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[100::1]",
]  # fmt: skip
#: Spellings that only some resolvers take for an address, and other tricks.
ODD = [
    "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0", "0x7f.0x0.0x0.0x1",
    "127.0.0.1.", "10.0x1", "１２７.０.０.１", "①②⑦.0.0.1", "127。0。0。1", "[::1%25eth0]", "[::1", "1.2.3.4.5",
    "256.1.1.1", "exa mple.com", "exam\\ple.com", "-", "",
]  # fmt: skip
#: Names whose owner lets them point inside.
NAMES = ["localhost", "localhost.", "metadata.google.internal", "127.0.0.1.nip.example.com", "inside.example.com"]


def homes(host: str, port: int) -> list[str]:
    """What the names of these tests resolve to."""
    if host.startswith("public"):
        return [PUBLIC]
    return {"inside.example.com": ["10.0.0.7"], "metadata.google.internal": ["169.254.169.254"]}.get(
        host, ["::1", "127.0.0.1"]
    )


def hostile_urls() -> list[str]:
    return [f"http://{host}/latest/meta-data" for host in (*PRIVATE, *ODD, *NAMES)] + [
        "file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "ftp://127.0.0.1/", "//127.0.0.1/", "javascript:1",
        "http://public.example.com\\@127.0.0.1/", "http://public.example.com@127.0.0.1/", "http://127.0.0.1:6379/",
        "http://127.0.0.1:0/", "http://public.example.com:99999/", "http://public.example.com\r\nX: 1/", "http:///x",
        "http://127.0.0.1#@public.example.com/", "http://127.0.0.1%2f@[::1]/",
    ]  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_p115_hostile_addresses_reach_no_socket(clock: ManualClock) -> None:
    assert len(hostile_urls()) >= 60
    street = Street()
    with Door(clock, user_agent="t", network_backend=street, resolve=homes) as door:
        for url in hostile_urls():
            with pytest.raises(Unreachable):
                door.reading().request("GET", url, redirects=5)
            with pytest.raises(NotSent):
                door.publishing().request("POST", url, content=b"x")
    assert street.wanted == []


@pytest.mark.parametrize("hops", [1, 2, 3, 4, 5])
def test_p115_redirects_reach_no_private_socket(hops: int, clock: ManualClock) -> None:
    """Each hostile address at the end of a chain of 1 to 5 honest hops, for a source of either permission."""
    ends = iter(())

    def hop(peer, request) -> bool:
        path = request.split(b" ")[1]
        step = int(path.rpartition(b"/")[2])
        location = f"http://public{step}.example.com/{step - 1}" if step > 1 else next(ends)
        peer.sendall(reply(status="302 Found", headers={"Location": location}))
        return True

    urls = [url for url in hostile_urls() if "\r" not in url and url.isascii()]
    with serving(hop) as server:
        street = Street({(PUBLIC, 80): server.port})
        with Door(clock, user_agent="t", network_backend=street, resolve=homes) as door:
            for allowed in (False, True):
                ends = iter(urls)
                for url in urls:
                    if url.startswith(("//", "http:///", "javascript")) or "://-" in url:
                        next(ends)  # relative to the public host: honest, or no address at all
                        continue
                    with pytest.raises(Unreachable):
                        door.reading(allow_private=allowed).request(
                            "GET", f"http://public.example.com/{hops}", redirects=5
                        )
    assert {address for address, _ in street.wanted} == {PUBLIC}
    assert len(server.requests) >= hops * 2 * 50


def test_p116_rebinding_is_impossible(clock: ManualClock) -> None:
    """A name that answers public first and loopback next: 1,000 tries, one look-up each, none of them inside."""
    street = Street()
    asked = count()

    def rebinding(host: str, port: int) -> list[str]:
        return [PUBLIC] if next(asked) % 2 == 0 else ["127.0.0.1"]

    with Door(clock, user_agent="t", network_backend=street, resolve=rebinding) as door:
        for _ in range(1000):
            with pytest.raises(Unreachable):
                door.reading().request("GET", "http://rebind.example.com/")
    assert set(street.wanted) == {(PUBLIC, 80)}
    assert len(street.wanted) == 500
    assert next(asked) == 1000


def test_p116_of_a_mixed_answer_only_the_public_address_is_used(clock: ManualClock) -> None:
    with serving(answering(reply(b"honest"))) as server:
        street = Street({(PUBLIC, 80): server.port, ("127.0.0.1", 80): server.port})
        mixed = ["127.0.0.1", "::1", OTHER_PUBLIC, PUBLIC]
        with Door(clock, user_agent="t", network_backend=street, resolve=lambda host, port: mixed) as door:
            assert door.reading().request("GET", "http://mixed.example.com/").body == b"honest"
    assert street.wanted == [(OTHER_PUBLIC, 80), (PUBLIC, 80)]


@given(st.ip_addresses())
def test_no_special_address_counts_as_public(address) -> None:
    special = (
        address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
        or address.is_reserved or address.is_unspecified
    )  # fmt: skip
    assert not (special and is_public(str(address)))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001:82b::200e"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_not(host: str) -> None:
    assert not is_public(host.strip("[]"))


@pytest.mark.parametrize(
    ("given_url", "host", "port", "path"),
    [
        ("http://Example.COM", "example.com", 80, "/"),
        ("https://example.com:8443?x=1#part", "example.com", 8443, "/?x=1"),
        ("https://münchen.example.com/ä?ü", "xn--mnchen-3ya.example.com", 443, "/%C3%A4?%C3%BC"),
        ("https://[2606:4700::1111]/a", "2606:4700::1111", 443, "/a"),
        (" https://example.com/%7Euser/%zz ", "example.com", 443, "/%7Euser/%zz"),
        ("http://me:pw@example.com/", "example.com", 80, "/"),
        ("http://under_score.example.com/", "under_score.example.com", 80, "/"),
        ("http://1234.example.com/", "1234.example.com", 80, "/"),
    ],
)
def test_an_address_is_taken_apart(given_url: str, host: str, port: int, path: str) -> None:
    found = aim(given_url)
    assert (found.host, found.port, found.path) == (host, port, path)


def test_no_repr_shows_what_could_be_secret() -> None:
    assert repr(aim("https://me:canary@example.com/bot123:canary?token=canary")) == "<Target https://example.com>"
    with pytest.raises(Refused, match="half a character"):
        aim("http://example.com/\ud800")


def test_the_systems_own_resolver_is_used_if_no_other_is_given(clock: ManualClock) -> None:
    with serving(answering(reply(b"here"))) as server, Door(clock, user_agent="t") as door:
        url = f"http://localhost:{server.port}/"
        assert door.reading(allow_private=True).request("GET", url).body == b"here"
        with pytest.raises(Unreachable, match="localhost is the private address"):
            door.reading().request("GET", url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = aim("http://" + text)
    except Refused:
        return
    assert found.path.startswith("/") and found.path.isascii() and " " not in found.path
    assert found.host.isascii() and aim(found.url).host == found.host


@pytest.mark.parametrize(
    ("at", "location", "to"),
    [
        ("http://a.example.com/x/y", "z?q", "http://a.example.com/x/z?q"),
        ("http://a.example.com/x", "//b.example.com/", "http://b.example.com/"),
        ("http://a.example.com:8080/x", "/y", "http://a.example.com:8080/y"),
        ("http://a.example.com/x", "https://a.example.com/x", "https://a.example.com/x"),
        ("https://a.example.com/x", "http://a.example.com/x", None),
        ("http://a.example.com/x", "http://a.example.com:6379/", None),
        ("http://a.example.com/x", "http://me@b.example.com/", None),
        ("http://a.example.com/x", "http://b.example.com:22/", None),
    ],
)
def test_what_a_redirect_may_do(at: str, location: str, to: str | None) -> None:
    if to is None:
        with pytest.raises(Refused, match="not followed"):
            next_hop(aim(at), location)
    else:
        assert next_hop(aim(at), location).url == to


# -- one door -------------------------------------------------------------------------------------------------------

#: What opens connections, by module (empty: all of it), and the parts of the house that may use it.
OPENERS: dict[str, tuple[set[str], set[str]]] = {
    "httpx": (
        {"Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport", "get", "post", "put", "patch", "delete",
         "head", "options", "request", "stream"}, set(),
    ),
    "httpcore": (
        {"ConnectionPool", "HTTPConnection", "HTTP11Connection", "HTTPProxy", "SOCKSProxy", "SyncBackend", "request",
         "stream", "AsyncConnectionPool"}, {"wire.py"},
    ),
    "socket": ({"socket", "create_connection", "getaddrinfo", "gethostbyname"}, {"wire.py"}),
    "requests": (set(), {"networks/x.py"}),
    "urllib.request": (set(), {"cli/pulse.py"}),  # asks this machine's own health port, before anything is loaded
    "urllib3": (set(), set()),
    "http.client": (set(), set()),
    "aiohttp": (set(), set()),
    "websockets": (set(), set()),
    "ftplib": (set(), set()),
    "smtplib": (set(), set()),
}  # fmt: skip


def openers(place: str, tree: ast.AST) -> Iterator[str]:
    """Each place where a module of the house could open a connection past the door."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        for name in names:
            for opener, (parts, allowed) in OPENERS.items():
                whole = not parts and (name == opener or name.startswith(opener + "."))
                if place not in allowed and (whole or name in {f"{opener}.{part}" for part in parts}):
                    yield f"{place}:{node.lineno}: {name}"


def test_p117_one_module_opens_connections() -> None:
    root = Path(bot.__file__).parent
    found: list[str] = []
    for file in sorted(root.rglob("*.py")):
        place = file.relative_to(root).as_posix()
        if place.startswith("testing/"):
            continue  # stand-in servers for contract suites; nothing in the running bot imports them
        found += openers(place, ast.parse(file.read_text("utf-8")))
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import httpx\nhttpx.Client()", "from httpx import AsyncClient", "import httpcore\nhttpcore.ConnectionPool()",
        "from urllib.request import urlopen",
        "from urllib import request", "import requests.adapters", "import socket\nsocket.socket()",
        "from socket import create_connection", "import http.client",
    ],
)  # fmt: skip
def test_p117_the_check_can_fail(code: str) -> None:
    assert list(openers("networks/new.py", ast.parse(code)))
    assert not list(
        openers("networks/new.py", ast.parse("import httpx\nhttpx.Headers()\nfrom urllib.parse import quote"))
    )
