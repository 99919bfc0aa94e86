"""What an answer says: words for people, limits, times. P84."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.http import Response, remaining, reset_time, server_date

NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)


def answer(body: bytes = b"", status: int = 429, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, httpx.Headers(named), body, "https://a.example.com/", NOW)


def seconds(response: Response) -> float | None:
    found = reset_time(response)
    return None if found is None else (found - NOW).total_seconds()


EPOCH = str(int(NOW.timestamp()) + 300)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "120"}, 120),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Tue, 24 Nov 2026 14:08:00 GMT"}, 60),
        ({"retry_after": "Tue, 24 Nov 2026 14:00:00 GMT"}, 0),
        ({"retry_after": "-5"}, 0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "soon", "x_rate_limit_reset": EPOCH}, 300),
        ({"ratelimit_reset": "50"}, 50),
        ({"ratelimit_reset": EPOCH}, 300),
        ({"x_ratelimit_reset": "2026-11-24T14:10:00.000000Z"}, 180),
        ({"x_ratelimit_reset": "2026-11-24T14:10:00"}, 180),
        ({"x_ratelimit_reset": "2026-11-24T15:10:00+01:00"}, 180),
        ({"x_ratelimit_reset": EPOCH + "000"}, 300),
        ({"x_ratelimit_reset_after": "1.25"}, 1.25),
        ({"x_rate_limit_reset": EPOCH}, 300),
        ({"x_rate_limit_reset": "1700000000"}, 0),
        ({"retry_after": "10", "x_rate_limit_reset": EPOCH}, 10),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        # "55 years": an instant taken for a length. Nothing ever waits longer than 26 h.
        ({"retry_after": "99999999"}, 26 * 3600),
        ({"x_rate_limit_reset": "4102444800"}, 26 * 3600),
        ({"retry_after": "Tue, 24 Nov 2099 14:08:00 GMT"}, 26 * 3600),
        ({"retry_after": "1e300"}, 26 * 3600),
    ],
)
def test_p84_the_wait_is_right_in_every_style(headers: dict[str, str], wait: float | None) -> None:
    assert seconds(answer(**headers)) == wait


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_p84_no_value_of_a_header_breaks_or_parks_for_long(value: str) -> None:
    for name in ("retry-after", "ratelimit-reset", "ratelimit", "x-ratelimit-remaining", "date"):
        response = Response(429, httpx.Headers({name: value}), b"", "", NOW)
        found = reset_time(response)
        assert found is None or NOW <= found <= NOW + timedelta(hours=26)
        remaining(response)
        server_date(response)


def test_p84_limits_are_learnt_from_headers() -> None:
    assert remaining(answer(x_ratelimit_remaining="12", x_ratelimit_limit="300")) == (12, 300)
    assert remaining(answer(x_rate_limit_remaining="0", x_rate_limit_limit="100")) == (0, 100)
    assert remaining(answer(ratelimit_remaining="9", ratelimit_limit="10, 10;w=60")) == (9, 10)
    assert remaining(answer(ratelimit='"default";r=4;t=30')) == (4, None)
    assert remaining(answer(x_ratelimit_remaining="many")) == (None, None)


def test_the_servers_clock() -> None:
    assert server_date(answer(date="Tue, 24 Nov 2026 14:06:58 GMT")) == NOW - timedelta(seconds=2)
    assert server_date(answer(date="yesterday")) is None
    assert server_date(answer()) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"Validation failed: Text limit"}', "Validation failed: Text limit"),
        (b'{"error":"InvalidRequest","message":"Bad record"}', "InvalidRequest: Bad record"),
        (b'{"error":{"message":"(#200) No permission","type":"OAuthException","code":200}}', "(#200) No permission"),
        (b'{"title":"Forbidden","detail":"Not allowed","status":403}', "Forbidden: Not allowed"),
        (b'{"errors":[{"message":"Duplicate","code":187},{"message":"Other"}]}', "Duplicate: Other"),
        (b'{"error":"invalid_grant","error_description":"Token expired"}', "invalid_grant: Token expired"),
        ((b"<html><head><title>502 Bad Gateway</title><style>p{}</style></head><body><h1>502 Bad Gateway</h1>"
         b"<script>alert(1)</script>nginx &amp; co</body>"), "502 Bad Gateway 502 Bad Gateway nginx & co"),
        (b"  plain   words\n", "plain words"),
        (b'{"broken":', '{"broken":'),
        (b"", "HTTP 429 without a word."),
        (b'{"ok":false}', '{"ok":false}'),
        (b"[" * 100_000, None),
        (b'{"error":"' + b"x" * 9000 + b'"}', "x" * 2000),
        (b'{"error":"token=abcdefgh1234 is bad"}', "token=[redacted] is bad"),
        ("déjà".encode("latin-1"), "d\ufffdj\ufffd"),
    ],
)  # fmt: skip
def test_words_for_people(body: bytes, words: str | None) -> None:
    found = answer(body).words()
    assert 0 < len(found) <= 2000
    assert words is None or found == words


@given(st.binary(max_size=400))
def test_any_body_has_words(body: bytes) -> None:
    assert 0 < len(answer(body).words()) <= 2000


@pytest.mark.parametrize(
    "body", [b"<script" * 20_000, b"<!--" * 20_000, b"a-token-" * 9000, b"http://" * 9000, b'{"' * 40_000]
)
def test_a_hostile_body_can_not_keep_the_reader_busy(body: bytes) -> None:
    """Without bounds these take minutes: the suite's own time tells."""
    assert answer(body).words()


def test_text_by_its_charset_and_json_that_is_none() -> None:
    assert answer("dé".encode("latin-1"), content_type="text/html; charset=ISO-8859-1").text == "dé"
    assert answer("dé".encode(), content_type="text/html; charset=nonsense").text == "dé"
    for body in (b"", b"<html>", b"\xff\xfe\xfd", b"[" * 100_000):
        with pytest.raises(ValueError):
            answer(body).json()


def test_the_name_that_support_asks_for() -> None:
    assert answer(x_transaction_id="t", cf_ray="c").request_id == "t"
    assert answer(x_fb_trace_id="f").request_id == "f"
    assert answer().request_id is None


def test_its_repr_holds_nothing_that_could_be_secret() -> None:
    response = Response(200, httpx.Headers({"set-cookie": "canary"}), b"canary", "https://x/?token=canary", NOW)
    assert repr(response) == "<Response 200, 6 bytes>"
