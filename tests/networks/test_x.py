"""X beyond the contract: what tweepy and requests must not do behind our back, and what a post costs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

import pytest
from pydantic import SecretStr, ValidationError

from bot.errors import AuthFailed, Busy, Duplicate, Expired, Misconfigured, NotSent, SendError, Unknown
from bot.http import Door
from bot.model import Payload, Post
from bot.networks.x import X, XOptions
from bot.testing.clock import ManualClock
from bot.testing.replay import ReplayServer, Request

NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
FACTS = {"user_id": "1750000000000000001", "username": "harbourdesk"}
OAUTH1 = {
    "consumer_key": "canary-consumer-key-1",
    "consumer_secret": "canary-consumer-secret-2/+=",
    "access_token": "1750000000000000001-canary-access-3",
    "access_token_secret": "canary-access-secret-4&%",
}
OAUTH2 = {"client_id": "Y2xpZW50", "access_token": "canary-bearer-5", "refresh_token": "canary-refresh-6"}
CREATED = {"status": 201, "json": {"data": {"id": "1760000000000000002", "text": "…"}}}
EMPTY = {"json": {"meta": {"result_count": 0}}}


def payload(
    text: str = "Harbour bridge reopens https://www.example.com/news/bridge", link: str | None = None
) -> Payload:
    return X(XOptions(), {}, {}, Silent()).render(post(text, link))


def post(text: str, link: str | None = None) -> Post:
    return Post(account="desk", text=text, link=link, created_at=NOW)


class Silent:
    """An Http that nothing pure asks for anything."""

    def request(self, method: str, url: str, **parts: Any) -> Any:
        raise AssertionError(f"{method} {url}")


@contextmanager
def account(*answers: Mapping[str, Any], options: Mapping[str, Any] = OAUTH1, **held: str) -> Iterator[tuple[Any, X]]:
    """An X account whose `base` is a loopback server under a path of its own; it gives these answers, in order."""
    exchanges = [
        {"request": {"method": method, "path": "~.*"}, "answer": answer} for method, answer in answers_of(answers)
    ]
    clock = ManualClock(NOW)
    with ReplayServer(exchanges) as server, closing(Door(clock, user_agent="Wirepost-test")) as door:
        http = door.publishing(deadline=10.0, allow_private=True)
        credentials = {name: SecretStr(value) for name, value in held.items()}
        yield server, X(XOptions(base=f"{server.base}/stand-in/", **options), credentials, FACTS, http)


def answers_of(answers: tuple[Mapping[str, Any], ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for answer in answers:
        yield answer.get("method", "POST"), answer


def get(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": "GET", **answer}


def ends_in(call: Any, *parts: Any) -> Any:
    try:
        return call(*parts)
    except SendError as error:
        return error


# -- the transport ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_makes_one_request_and_is_unknown(status: int) -> None:
    """A 307 made requests' session POST 31 times."""
    answer = {"status": status, "headers": {"Location": "{base}/stand-in/2/tweets"}}
    with account(*[answer] * 31) as (server, x):
        outcome = ends_in(x.send, payload(), "5a" * 32)
    assert type(outcome) is Unknown
    assert outcome.status == status
    assert len(server.requests) == 1


def signature_of(method: str, url: str, authorization: str, query: Mapping[str, str]) -> tuple[str, str]:
    """The signature that was sent, and the one that RFC 5849 3.4 asks for, reckoned here."""
    sent = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', authorization)}
    signature = sent.pop("oauth_signature")
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in {**sent, **query}.items())
    joined = "&".join(f"{k}={v}" for k, v in pairs)
    base = "&".join(quote(part, safe="~") for part in (method, url, joined))
    key = "&".join(quote(OAUTH1[name], safe="~") for name in ("consumer_secret", "access_token_secret"))
    return signature, base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("login", "seed", "own"),
    [
        (OAUTH2, OAUTH2["refresh_token"], True),
        (OAUTH2, "canary-refresh-of-another", False),
        (OAUTH2, None, False),
        (OAUTH1, OAUTH2["refresh_token"], False),
    ],
)
def test_a_stored_pair_is_the_accounts_own_if_it_began_with_the_settings_refresh_token(
    login: Mapping[str, str], seed: str | None, own: bool
) -> None:
    stored = {"access_token": SecretStr("canary-access"), **({"seed": SecretStr(seed)} if seed else {})}
    assert X(XOptions(**login), stored, FACTS, Silent()).own_credentials() is own


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://x.com/harbourdesk/status/1760000000000000002", "1760000000000000002"),
        ("https://x.com/i/web/status/1760000000000000002?s=20", "1760000000000000002"),
        ("https://mobile.twitter.com/harbourdesk/status/1760000000000000002/photo/1", "1760000000000000002"),
        ("https://x.com/harbourdesk", None),
        ("https://x.com.example.com/harbourdesk/status/1760000000000000002", None),
    ],
)
def test_the_address_of_a_post_tells_its_id(url: str, told: str | None) -> None:
    """Reading it back costs money, and may be off."""
    assert X(XOptions(**OAUTH1), {}, FACTS, Silent()).id_at(url) == told


def test_oauth1_signature_holds_for_the_real_host_on_writes_and_reads() -> None:
    """tweepy signs for api.twitter.com; `base` changes where the request goes, after the signing."""
    with account(CREATED, get(EMPTY)) as (server, x):
        x.send(payload(), "5a" * 32)
        x.find(payload(), "5a" * 32, NOW)
    write, read = server.requests
    assert (write.path, read.path) == ("/stand-in/2/tweets", "/stand-in/2/users/1750000000000000001/tweets")
    assert dict(read.query)["tweet.fields"] == "created_at,entities,note_tweet"
    for request, route in ((write, "/2/tweets"), (read, "/2/users/1750000000000000001/tweets")):
        header = request.headers["authorization"]
        assert header.startswith("OAuth ")
        assert 'oauth_signature_method="HMAC-SHA1"' in header
        sent, right = signature_of(request.method, f"https://api.twitter.com{route}", header, request.query)
        assert sent == right


def test_real_calls_go_to_the_host_that_was_signed_for() -> None:
    """Without `base`, nothing is rewritten; a name that can't be resolved is proof that nothing left."""
    asked: list[tuple[str, int]] = []

    def nowhere(host: str, port: int) -> list[str]:
        asked.append((host, port))
        raise OSError("no such name")

    with closing(Door(ManualClock(NOW), user_agent="Wirepost-test", resolve=nowhere)) as door:
        x = X(XOptions(**OAUTH1), {}, FACTS, door.publishing(deadline=10.0))
        assert type(ends_in(x.send, payload(), "5a" * 32)) is NotSent
        assert isinstance(ends_in(x.check), NotSent)
    assert asked == [("api.twitter.com", 443)] * 2


def test_the_frozen_bytes_go_out_as_they_are() -> None:
    """Not as requests would write the same JSON: the attempt's row holds what was sent."""
    frozen = '{ "text":"Größe \\u00fc" }'.encode()
    with account(CREATED) as (server, x):
        x.send(Payload(frozen, "Größe ü"), "5a" * 32)
    request: Request = server.requests[0]
    assert request.body == frozen
    assert request.headers["content-length"] == str(len(frozen))
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Wirepost-test"
    assert "cookie" not in request.headers


def test_a_body_that_is_no_json_is_never_sent() -> None:
    """Only a damaged row could hold one; nobody expected it, so it counts as unknown, and no request is made."""
    with account(CREATED) as (server, x):
        assert type(ends_in(x.send, Payload(b"\xff", "…"), "5a" * 32)) is Unknown
    assert server.requests == []


def test_cookies_of_an_answer_are_not_kept() -> None:
    with account({**CREATED, "headers": {"Set-Cookie": "guest_id=v1; Path=/"}}, CREATED) as (server, x):
        x.send(payload(), "5a" * 32)
        x.send(payload(), "5a" * 32)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


@pytest.mark.parametrize("options", [OAUTH1, OAUTH2], ids=["oauth1", "oauth2"])
def test_p118_tokens_stay_out_of_logs_at_debug(options: Mapping[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """tweepy, oauthlib and requests_oauthlib print headers and keys at DEBUG; whoever turns that on, it stays off."""
    caplog.set_level(logging.DEBUG)
    for name in ("tweepy", "oauthlib", "requests_oauthlib", "requests", "urllib3", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, name)
    refused = {"status": 403, "json": {"title": "Forbidden", "detail": "no"}}
    with account(CREATED, refused, {"drop": True}, get(EMPTY), get({"status": 401, "text": ""}), options=options) as (
        _,
        x,
    ):
        said = [ends_in(x.send, payload(), "5a" * 32) for _ in range(3)]
        said += [ends_in(x.find, payload(), "5a" * 32, NOW), ends_in(x.check)]
        shown = caplog.text + repr([said, x, x.options]) + "".join(str(error.__cause__) for error in said[1:3])
    assert caplog.records, "something must have been logged, or this proves nothing"
    assert [secret for name, secret in options.items() if name != "client_id" and secret in shown] == []
    assert "oauth_signature" not in shown
    assert min(logging.getLogger(name).level for name in ("tweepy", "oauthlib", "requests_oauthlib")) >= logging.INFO


def test_finding_the_networks_does_not_load_tweepy() -> None:
    """They are found by name; tweepy and requests take half a second to load."""
    code = "import sys, bot.networks as n; print('x' in n.names(), sorted({'tweepy', 'requests'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


# -- answers ------------------------------------------------------------------------------------------------------


def test_p13_a_duplicate_is_told_apart_and_then_found() -> None:
    """The 403 names no post, so the timeline is asked: one request each."""
    link = "https://www.example.com/news/bridge?utm_source=desk"
    entity = {"url": "https://t.co/AAAAAAAAAA", "expanded_url": link}
    row = {
        "id": "1760000000000000009",
        "text": "Bridge https://t.co/AAAAAAAAAA",
        "created_at": "2026-03-02T09:30:59.000Z",
    }
    page = {"data": [{**row, "entities": {"urls": [entity]}}], "meta": {"result_count": 1}}
    refusal = {"status": 403, "json": {"detail": "You are not allowed to create a Tweet with duplicate content."}}
    ours = payload(f"Bridge {link}", link)
    with account(refusal, get({"json": page})) as (server, x):
        assert type(ends_in(x.send, ours, "5a" * 32)) is Duplicate
        found = x.find(ours, "5a" * 32, NOW)
    assert found is not None
    assert found.remote_id == "1760000000000000009"
    assert found.at == datetime(2026, 3, 2, 9, 30, 59, tzinfo=UTC)
    assert len(server.requests) == 2


def test_p87_no_credit_parks_the_account_and_is_no_fault_of_the_post() -> None:
    answer = {"status": 402, "json": {"title": "CreditsDepleted", "detail": "no credits", "type": "…/credits-depleted"}}
    with account(answer) as (_, x):
        outcome = ends_in(x.send, payload(), "5a" * 32)
    assert type(outcome) is Misconfigured
    assert "credits" in outcome.words


@pytest.mark.parametrize(
    "body", [{}, {"data": None}, {"data": {}}, {"data": {"id": ""}}, {"data": {"id": 17}}, {"data": [7]}, [], 7, None]
)
def test_p25_a_success_without_an_id_is_unknown(body: Any) -> None:
    for status in (200, 201):
        with account({"status": status, "json": body}) as (_, x):
            assert type(ends_in(x.send, payload(), "5a" * 32)) is Unknown


HOUR, DAY = NOW + timedelta(minutes=9), NOW + timedelta(hours=20)


def stamp(at: datetime) -> str:
    return str(int(at.timestamp()))


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({}, None),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": stamp(HOUR)}, HOUR),
        ({"x-rate-limit-remaining": "5", "x-rate-limit-reset": stamp(HOUR)}, None),
        ({"x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": stamp(DAY)}, DAY),
        (
            {
                "x-rate-limit-remaining": "0",
                "x-rate-limit-reset": stamp(HOUR),
                "x-app-limit-24hour-remaining": "0",
                "x-app-limit-24hour-reset": stamp(DAY),
            },
            DAY,
        ),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "soon"}, None),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "-5"}, None),
        ({"x-rate-limit-remaining": "0"}, None),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "9" * 10}, NOW + timedelta(hours=26)),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "9" * 40}, None),
    ],
)
def test_a_receipt_tells_of_a_used_up_window(headers: Mapping[str, str], until: datetime | None) -> None:
    with account({**CREATED, "headers": dict(headers)}) as (_, x):
        assert x.send(payload(), "5a" * 32).busy_until == until


def test_a_429_waits_for_the_window_even_if_no_header_says_that_it_is_used_up() -> None:
    answer = {"status": 429, "headers": {"x-rate-limit-reset": stamp(HOUR)}, "text": "Too Many Requests"}
    with account(answer) as (_, x):
        outcome = ends_in(x.send, payload(), "5a" * 32)
    assert type(outcome) is Busy
    assert outcome.until == HOUR


# -- logins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"consumer_key": "canary-1"},
        {**OAUTH1, "access_token_secret": None},
        {**OAUTH1, "client_id": "Y2xpZW50"},
        {"client_id": "Y2xpZW50"},
        {"client_id": "Y2xpZW50", "access_token": "canary-5"},
        {"refresh_token": "canary-6"},
        {**OAUTH2, "consumer_key": "canary-1"},
    ],
)
def test_half_a_login_is_refused_in_words(given: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"OAuth 1\.0a") as caught:
        XOptions(**given)
    assert "canary" not in str(caught.value)


def test_no_login_at_all_renders_but_never_sends() -> None:
    """An account that only rehearses needs no keys."""
    with account(options={}) as (server, x):
        assert x.render(post("Bridge reopens")).text == "Bridge reopens"
        assert type(ends_in(x.send, payload(), "5a" * 32)) is AuthFailed
    assert server.requests == []


def test_oauth2_expires_is_refreshed_and_goes_on_with_the_new_pair() -> None:
    """Refresh tokens are good for one use: what comes back replaces both."""
    pair = {"access_token": "canary-second", "refresh_token": "canary-next", "expires_in": 7200, "token_type": "bearer"}
    with account({"status": 401, "text": ""}, {"json": pair}, options=OAUTH2) as (server, x):
        assert type(ends_in(x.send, payload(), "5a" * 32)) is Expired
        fresh = x.refresh()
    assert server.requests[1].path == "/stand-in/2/oauth2/token"
    assert dict(server.requests[1].form)["refresh_token"] == "canary-refresh-6"
    held = {name: value.get_secret_value() for name, value in fresh.items()}
    assert (held["access_token"], held["refresh_token"]) == ("canary-second", "canary-next")
    with account(CREATED, {"json": pair}, options=OAUTH2, **held) as (server, x):
        x.send(payload(), "5a" * 32)
        x.refresh()
    assert server.requests[0].headers["authorization"] == "Bearer canary-second"
    assert dict(server.requests[1].form)["refresh_token"] == "canary-next"


# -- money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("Harbour bridge reopens", "0.015"),
        ("Harbour bridge reopens https://www.example.com/news/bridge", "0.2"),
        ("Booking.com is down", "0.2"),
        ("Write to desk@example.com", "0.015"),
        ("Node.js 30 is out", "0.015"),
        ("#Bridge @harbour $HBR", "0.015"),
    ],
)
def test_p86_a_link_makes_a_post_thirteen_times_dearer(text: str, price: str) -> None:
    """What counts is what X would link, not what the article's link is: a brand name with a live domain costs too."""
    assert Decimal(payload(text).cost) == Decimal(price)


def test_p86_prices_are_data_with_their_source() -> None:
    assert {name: str(getattr(X.cost, name)) for name in X.cost.sources} == {
        "publish": "0.015",
        "publish_link": "0.2",
        "read": "0.005",
        "delete": "0.01",
    }
    assert 250 * X.cost.publish_link == 50
    assert X.cost.currency == "USD"
    assert not X.reads_are_free


def test_the_request_has_no_field_that_the_specification_does_not_know() -> None:
    """Its schema of POST /2/tweets takes no additional properties (openapi.json 2.167)."""
    assert json.loads(payload().body).keys() == {"text"}
