"""Addresses: what a URL really points at, and whether a stranger may send us there.

Pure functions. The check that counts is made on the *resolved* address at the moment of connecting (`bot/wire.py`);
what stands here refuses the rest early and in words.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import compile as pattern
from urllib.parse import quote, urljoin, urlsplit

#: Special-purpose IPv4 blocks that no public server has (IANA registry, read 2026-11; RFC 6890 and its successors).
#: Listed rather than left to `ipaddress.is_global` alone, whose table differs between Python's patch releases.
_NOT_PUBLIC_4: Sequence[ipaddress.IPv4Network] = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and several clouds' metadata
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay, withdrawn
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved and broadcast
    )
)
#: Global unicast is 2000::/3 (RFC 4291, 2.4). All else is refused by that alone: ::, ::1, v4-mapped ::ffff:0:0/96,
#: NAT64 64:ff9b::/96 and 64:ff9b:1::/48, unique local fc00::/7, link-local fe80::/10, multicast ff00::/8.
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Sequence[ipaddress.IPv6Network] = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo (carries IPv4), ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries IPv4
        "3fff::/20",  # documentation
    )
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = pattern(r"[\x00-\x1f\x7f]")
_NUMBER = pattern(r"(?:\d+|0[xX][0-9a-fA-F]*)\Z")
_HOST = pattern(r"[A-Za-z0-9._-]{1,253}\Z")
#: Every printable ASCII character: what stands in a URL already is never encoded again (OAuth 1.0a signs it).
_AS_IT_IS = "".join(map(chr, range(0x21, 0x7F)))


class Refused(Exception):
    """We won't go there; the text says why, in words for whoever set the address. Nothing was sent."""


@lru_cache(maxsize=4096)
def is_public(address: str) -> bool:
    """Is this IP address (as text) one that any stranger's server may have? Names and nonsense are not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in block for block in _NOT_PUBLIC_4)
    return found in _GLOBAL_6 and not any(found in block for block in _NOT_PUBLIC_6)


def is_literal(host: str) -> bool:
    """Is the host an IP address rather than a name?"""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `path` is path and query exactly as given; `host` is ASCII without brackets."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    userinfo: str | None = None

    @property
    def authority(self) -> str:
        """What stands in the Host header: the port only if it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __repr__(self) -> str:
        """Without path, query and login: each may hold a secret."""
        return f"<Target {self.scheme}://{self.authority}>"


@lru_cache(maxsize=1024)
def aim(url: str) -> Target:
    """Take an address apart. Raises Refused for anything but a plain http or https URL."""
    text = url.strip(" ")
    if _CONTROL.search(text):
        raise Refused("The address holds a control character.")
    try:
        text.encode()  # half a character (a lone surrogate) can't be written in UTF-8
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except UnicodeEncodeError:
        raise Refused("The address holds half a character.") from None
    except ValueError as error:
        raise Refused(f"The address can't be read: {error}.") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise Refused(f"Only http and https addresses are opened, not {scheme or 'one without a scheme'}.")
    if "\\" in parts.netloc:
        raise Refused("The address has a backslash before its path.")
    if port == 0:
        raise Refused("Port 0 is no port.")
    host = _plain_host(host)
    path = quote(parts.path, safe=_AS_IT_IS) or "/"
    if parts.query:
        path += "?" + quote(parts.query, safe=_AS_IT_IS)
    userinfo = parts.netloc.rpartition("@")[0] or None
    port = port or _DEFAULT_PORTS[scheme]
    target = Target("", scheme, host, port, path if path.startswith("/") else "/" + path, userinfo)
    return Target(f"{scheme}://{target.authority}{target.path}", scheme, host, port, target.path, userinfo)


def _plain_host(host: str) -> str:
    """The host in ASCII; refuses number forms that only some resolvers take for an address (2130706433, 0x7f.1)."""
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host)) if "%" not in host else _refuse_host(host)
        except ValueError:
            _refuse_host(host)
    if not host.isascii():
        import idna  # only for names outside ASCII

        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            _refuse_host(host)
    host = host.lower()
    if not _HOST.match(host):
        _refuse_host(host)
    if _NUMBER.match(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            _refuse_host(host)
    return host


def _refuse_host(host: str) -> str:
    raise Refused(f"“{host[:80]}” is no host name and no IP address in its plain form.")


def next_hop(current: Target, location: str) -> Target:
    """Where a redirect leads. Raises Refused for what no redirect may do (address ranges are checked on connecting).

    A redirect may not leave https, may not carry credentials, and may go to ports 80 and 443 or stay on its own port.
    """
    try:
        joined = urljoin(current.url, location.strip())
    except ValueError as error:
        raise Refused(f"The redirect's address can't be read: {error}.") from None
    target = aim(joined)
    if current.scheme == "https" and target.scheme == "http":
        raise Refused(f"A redirect from https to http ({target.host}) is not followed.")
    if target.userinfo is not None:
        raise Refused(f"A redirect with a user name in it ({target.host}) is not followed.")
    if target.port not in (80, 443, current.port):
        raise Refused(f"A redirect to port {target.port} of {target.host} is not followed.")
    return target
