"""TLS and proxies: what counts as the first byte, and whose certificate is believed (section 7)."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from loopback import OTHER_PUBLIC, PUBLIC, Street, answering, attempt, drop, reply, serving, whole_request

from bot.errors import NotSent, Unknown
from bot.http import Door
from bot.testing.clock import ManualClock

AGENT = "t"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example.com")])
    day = datetime.datetime(2000, 1, 1)  # noqa: DTZ001 -- what x509 takes
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2090))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def wrapped(certificate: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda peer: context.wrap_socket(peer, server_side=True)


def test_tls_is_verified_and_its_failure_is_proof(certificate: Path, clock: ManualClock) -> None:
    with serving(answering(reply(b"hello")), on_connect=wrapped(certificate)) as server:
        street = Street({(PUBLIC, 443): server.port})

        def opened(ca_file: Path | None) -> Door:
            return Door(
                clock,
                user_agent=AGENT,
                network_backend=street,
                resolve=lambda host, port: [PUBLIC],
                ca_file=None if ca_file is None else str(ca_file),
            )

        with opened(certificate) as door:
            assert attempt(door, clock).request("POST", "https://a.example.com/", content=b"x").body == b"hello"
            with pytest.raises(NotSent, match="certificate verify failed"):
                attempt(door, clock).request("POST", "https://b.example.com/", content=b"x")
        with opened(None) as door, pytest.raises(NotSent, match="certificate verify failed"):
            attempt(door, clock).request("POST", "https://a.example.com/", content=b"x")
    assert len(server.requests) == 1


def test_a_reset_inside_tls_is_doubt_and_a_plain_server_is_proof(certificate: Path, clock: ManualClock) -> None:
    def deaf_to_tls(peer):
        peer.recv(100)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return peer

    with (
        serving(drop, on_connect=wrapped(certificate)) as broken,
        serving(answering(reply()), on_connect=deaf_to_tls) as plain,
    ):
        street = Street({(PUBLIC, 443): broken.port, (OTHER_PUBLIC, 443): plain.port})
        homes = {"a.example.com": [PUBLIC], "plain.example.com": [OTHER_PUBLIC]}
        with Door(
            clock,
            user_agent=AGENT,
            network_backend=street,
            resolve=lambda host, port: homes[host],
            ca_file=str(certificate),
        ) as door:
            with pytest.raises(Unknown):
                attempt(door, clock).request("POST", "https://a.example.com/", content=b"x")
            with pytest.raises(NotSent):
                attempt(door, clock).request("POST", "https://plain.example.com/", content=b"x")


def test_a_proxys_connect_is_no_first_byte(certificate: Path, clock: ManualClock) -> None:
    def refuse(peer, request) -> bool:
        peer.sendall(reply(status="502 Bad Gateway"))
        return False

    def die(peer, request) -> bool:
        peer.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        return False

    for behaviour in (refuse, die, drop):
        with (
            serving(behaviour) as proxy,
            Door(clock, user_agent=AGENT, proxy=f"http://me:pw@127.0.0.1:{proxy.port}") as door,
            pytest.raises(NotSent),
        ):
            attempt(door, clock, allow_private=False).request("POST", "https://a.example.com/", content=b"x")
        assert proxy.requests[0].startswith(b"CONNECT a.example.com:443")
        assert b"Basic bWU6cHc=" in proxy.requests[0]


def test_through_a_proxy_the_request_itself_is_the_first_byte(certificate: Path, clock: ManualClock) -> None:
    context = wrapped(certificate)

    def tunnel(peer, request) -> bool:
        peer.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        inner = context(peer)
        try:
            proxy.requests.append(whole_request(inner))
        finally:
            inner.close()
        return False

    with (
        serving(tunnel) as proxy,
        Door(clock, user_agent=AGENT, proxy=f"http://127.0.0.1:{proxy.port}", ca_file=str(certificate)) as door,
    ):
        with pytest.raises(Unknown):
            attempt(door, clock, allow_private=False).request("POST", "https://a.example.com/", content=b"x")
        with pytest.raises(NotSent, match="private"):
            attempt(door, clock, allow_private=False).request("POST", "http://10.0.0.1/", content=b"x")
    assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT", b"POST"]
