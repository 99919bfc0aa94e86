"""Secrets: never shown (P118), encrypted at rest, bound to their place; keys that derive from one key file."""

from __future__ import annotations

import base64
import html
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import StoreError
from bot.secrets import _PATTERNS, REDACTED, Keyring, Redactor, derived, keep_out, redact

SECRET = 'cänary/+p="w&<x>'


def test_p118_a_known_secret_is_kept_out_in_every_form() -> None:
    known = Redactor()
    known.keep_out(SECRET)
    forms = [
        SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), quote(SECRET, safe="").lower(),
        json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), html.escape(SECRET), repr(SECRET),
        repr({"a": SECRET}), json.dumps({"inner": {"a": SECRET}}),
        base64.b64encode(f"user:{SECRET}".encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"us:{SECRET}x".encode()).decode(), base64.b64encode(f"u:{SECRET}xy".encode()).decode(),
    ]  # fmt: skip
    for form in forms:
        shown = known(f"before {form} after")
        assert REDACTED in shown and shown.startswith("before ") and shown.endswith(" after"), form
        assert "canary" not in shown and "nary" not in shown, form
    assert "nary" not in repr(known)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="[]"), min_size=8, max_size=40),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_p118_any_secret_inside_any_text_is_gone(secret: str, before: str, after: str) -> None:
    known = Redactor()
    known.keep_out(secret)
    assert secret.strip() not in known(before + secret + after).replace(REDACTED, "")
    inside = base64.b64encode((before + secret + after).encode()).decode()
    assert known(inside) != inside


def test_short_values_stay_or_every_text_would_be_full_of_holes() -> None:
    known = Redactor()
    for value in ("", "   ", "admin", "\n"):
        known.keep_out(value)
    assert known("the admin said: nothing   ") == "the admin said: nothing   "


def test_of_two_secrets_the_longer_is_found_first() -> None:
    known = Redactor()
    known.keep_out("secret-one")
    known.keep_out("secret-one-and-more")
    assert known("x secret-one-and-more y secret-one z") == f"x {REDACTED} y {REDACTED} z"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary1234",
        "Authorization: Basic Y2FuYXJ5Y2FuYXJ5",
        "{'authorization': 'Bearer canary1234'}",
        "(b'Authorization', b'Bearer canary1234')",
        '{"Authorization": "DPoP canary1234"}',
        "Proxy-Authorization: Basic canary1234",
        "GET /v25.0/me?access_token=canary1234&fields=id",
        "url=https%3A%2F%2Fx%3Faccess_token%3Dcanary1234",
        "grant_type=refresh_token&refresh_token=canary1234&client_secret=canary5678",
        '{"accessJwt":"canary1234","refreshJwt":"canary5678"}',
        'OAuth oauth_consumer_key="canary1", oauth_nonce="canary2", oauth_signature="canary%3D", oauth_token="canary4"',
        "https://api.telegram.org/bot123456789:canary_canary_canary_canary_canary1/sendMessage",
        "https://user:canary1234@example.com/feed",
        "https://discord.com/api/webhooks/123456/canary_canary_canary_canary",
        "https://hooks.slack.com/services/T0/B0/canarycanary",
        "eyJhbGciOiJIUzI1NiJ9.canarycanarycanary.canary",
        "app_password: canary1-abcd-efgh",
        "Set-Cookie: session=canary1234; cookie=canary1234",
        "X-Api-Key: canary12345",
        'password="canary1234"',
        "appsecret_proof=canary1234",
    ],
)
def test_p118_what_looks_like_a_credential_is_kept_out(text: str) -> None:
    shown = redact(text)
    assert REDACTED in shown
    if "session" not in text:
        assert "canary" not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The access token: expired.",
        "Basic authentication is not supported",
        "Bearer token required",
        "https://example.com/a?utm_source=x&id=12345678#top",
        "invalid signature",
        "Meeting at 12:30, 5 people; ratio 16:9",
        "Secretary of State resigns",
        "did:plc:abc123 at://did:plc:abc123/app.bsky.feed.post/3k",
        "mailto:desk@example.com",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


@given(
    st.from_regex(
        r"[\w-]*(bearer|authorization|access_token|api-key|eyJ|123456|secret|webhooks|)[\w-]*", fullmatch=True
    )
)
def test_a_single_word_looks_like_no_credential(word: str) -> None:
    """So it need not be looked through: most fields of a line of log are such words."""
    assert Redactor()(word) == word
    assert not any(shape.search(word) for shape, _ in _PATTERNS)


@pytest.mark.parametrize(
    "text", ["a-" * 30_000, "token" * 12_000, "authorization" * 5_000, "http://" * 9_000, "1" * 60_000]
)
def test_a_hostile_text_can_not_keep_it_busy(text: str) -> None:
    """Without bounds in the expressions these take minutes: the suite's own time tells."""
    assert redact(text)


def test_keep_out_from_many_threads() -> None:
    known = Redactor()
    threads = [
        threading.Thread(target=lambda n=n: [known.keep_out(f"secret-{n}-{i}") for i in range(20)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(known(f"secret-{n}-{i}") == REDACTED for n in range(8) for i in range(20))


# -- the key file ---------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_for_its_owner_only_and_said(tmp_path: Path) -> None:
    path = tmp_path / "var" / "key"
    first = Keyring.load(None, path)
    assert first.made == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Keyring.load("", path)
    assert (again.made, again.key_id) == (None, first.key_id)
    assert os.listdir(path.parent) == ["key"]
    assert redact(path.read_text().splitlines()[-1]) == REDACTED


def test_of_many_that_start_at_once_one_makes_the_key(tmp_path: Path) -> None:
    found: list[Keyring] = []
    threads = [threading.Thread(target=lambda: found.append(Keyring.load(None, tmp_path / "key"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ring.key_id for ring in found}) == 1 and len(found) == 12
    assert sum(ring.made is not None for ring in found) == 1


def test_a_given_key_goes_before_the_file_in_either_alphabet(tmp_path: Path) -> None:
    raw = bytes(range(200, 232))
    rings = [
        Keyring.load(text, tmp_path / "none")
        for text in (
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            f"# a comment\n{base64.b64encode(raw).decode()}\n",
        )
    ]
    assert len({ring.key_id for ring in rings}) == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "text", ["hunter2-canary", "a" * 43 + "!", base64.b64encode(b"canary").decode(), "#only\n#notes"]
)
def test_a_key_that_is_none_is_said_without_being_shown(text: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="32 bytes in base64") as caught:
        Keyring.load(text, tmp_path / "none")
    assert text not in str(caught.value)
    (tmp_path / "key").write_text(text)
    with pytest.raises(StoreError, match="holds no usable key"):
        Keyring.load(None, tmp_path / "key")


def test_a_key_file_that_can_not_be_read_or_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        Keyring.load(None, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"WIREPOST_KEY_FILE|can't be read"):
        Keyring.load(None, tmp_path / "file" / "key")


@given(st.text(max_size=200), st.text(max_size=30))
def test_what_is_encrypted_comes_back_only_in_its_place(plain: str, place: str) -> None:
    ring = Keyring((b"k" * 32,))
    cell = ring.encrypt(plain, place=place)
    assert ring.decrypt(cell, place=place) == plain
    with pytest.raises(StoreError, match="belongs elsewhere"):
        ring.decrypt(cell, place=place + "x")


def test_a_place_can_not_be_feigned_by_the_text() -> None:
    ring = Keyring((b"k" * 32,))
    with pytest.raises(StoreError):
        ring.decrypt(ring.encrypt("bc", place="a"), place="ab")


def test_a_rotation_reads_the_old_and_writes_the_new() -> None:
    old, new = b"o" * 32, b"n" * 32
    cell = Keyring((old,)).encrypt("token", place="accounts/7/credentials")
    both = Keyring((new, old))
    assert both.decrypt(cell, place="accounts/7/credentials") == "token"
    assert not both.is_current(cell)
    renewed = both.encrypt("token", place="accounts/7/credentials")
    assert both.is_current(renewed)
    assert Keyring((new,)).decrypt(renewed, place="accounts/7/credentials") == "token"


def test_the_wrong_key_is_named_and_never_shown() -> None:
    first, second = Keyring((b"1" * 32,)), Keyring((b"2" * 32,))
    cell = first.encrypt("canary", place="accounts/7")
    with pytest.raises(StoreError) as caught:
        second.decrypt(cell, place="accounts/7")
    said = str(caught.value)
    assert first.key_id in said and second.key_id in said and "accounts/7" in said
    for damaged in (cell[:-4] + "AAAA", first.key_id + ":", first.key_id + ":é"):
        with pytest.raises(StoreError, match="damaged"):
            first.decrypt(damaged, place="accounts/7")
    for nothing in ("", "x", "::"):
        with pytest.raises(StoreError):
            first.decrypt(nothing, place="accounts/7")
    assert base64.urlsafe_b64encode(b"1" * 32).decode() not in repr(first) + said


@given(st.binary(min_size=32, max_size=32), st.text(max_size=20))
def test_derivation_is_rfc_5869(key: bytes, label: str) -> None:
    """Proved against another implementation, so that cryptography need not be imported to derive."""
    assert derived(key, label) == HKDF(hashes.SHA256(), 32, salt=None, info=label.encode()).derive(key)


def test_delivery_keys_differ_by_each_part_and_stay_the_same() -> None:
    ring = Keyring((b"k" * 32,))
    parts = [("d1", "publish", 1), ("d1", "publish", 2), ("d1", "edit", 1), ("d2", "publish", 1), ("d", "1publish", 1)]
    keys = [ring.delivery_key(*part) for part in parts]
    assert len(set(keys)) == len(parts)
    assert all(len(key) == 64 and int(key, 16) >= 0 for key in keys)
    assert keys == [Keyring((b"k" * 32,)).delivery_key(*part) for part in parts]
    assert keys[0] != Keyring((b"l" * 32,)).delivery_key(*parts[0])


def test_the_key_in_use_is_kept_out_of_texts() -> None:
    key = b"\x07" * 32
    Keyring((key,))
    assert redact(f"key {base64.urlsafe_b64encode(key).decode()}") == f"key {REDACTED}"
    keep_out("another-canary")
    assert redact("another-canary") == REDACTED


def test_deriving_needs_no_heavy_import() -> None:
    code = (
        "import sys; from bot.secrets import Keyring; Keyring((b'k' * 32,)).delivery_key('d', 'publish', 1);"
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
