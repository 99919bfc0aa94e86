"""Facebook beyond the contract: where the token goes, what a code means, and when a Page has to rest."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bot.errors import AuthFailed, Busy, Duplicate, Misconfigured, Rejected, SendError, Unknown
from bot.http import Door
from bot.model import Payload, Pending, Post, Receipt
from bot.networks.facebook import Facebook, FacebookOptions, Gone
from bot.testing.clock import ManualClock
from bot.testing.replay import ReplayServer

NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
PAGE, TOKEN, SECRET = "104000000000001", "canary-page-token-1", "canary-app-secret-2"
LINK = "https://www.example.com/news/bridge?utm_source=desk&utm_medium=social"
KEY = "5a" * 32


@contextmanager
def page(*answers: Mapping[str, Any], **options: Any) -> Iterator[tuple[ReplayServer, Facebook]]:
    """A Page whose `base` is a loopback server; it gives these answers, in order."""
    exchanges = [{"request": {"method": a.get("method", "POST"), "path": "~.*"}, "answer": a} for a in answers]
    with ReplayServer(exchanges) as server, closing(Door(ManualClock(NOW), user_agent="Wirepost-test")) as door:
        http = door.publishing(deadline=10.0, allow_private=True)
        chosen = FacebookOptions(**{"base": server.base, "page": PAGE, "token": TOKEN, **options})
        yield server, Facebook(chosen, {}, {}, http)


def get(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": "GET", **answer}


def post(text: str = "Harbour bridge reopens", link: str | None = LINK) -> Post:
    return Post(account="desk", text=text, link=link, created_at=NOW)


def ends_in(call: Any, *parts: Any) -> Any:
    try:
        return call(*parts)
    except SendError as error:
        return error


def error(code: int, subcode: int | None = None, status: int = 400, **more: Any) -> dict[str, Any]:
    told = {"message": "Words", "type": "OAuthException", "code": code, "error_subcode": subcode}
    return {"status": status, "json": {"error": told}, **more}


CREATED = {"json": {"id": f"{PAGE}_17"}}


# -- where the token goes -----------------------------------------------------------------------------------------


def test_the_frozen_form_goes_out_as_it_is_and_holds_no_token() -> None:
    with page(CREATED, app_secret=SECRET) as (server, facebook):
        payload = facebook.render(post("Größe & “Brücke”\n#Hafen"))
        facebook.send(payload, KEY)
    request = server.requests[0]
    assert request.body == payload.body
    assert dict(request.form) == {"message": "Größe & “Brücke”\n#Hafen", "link": LINK}
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert dict(request.query) == {"appsecret_proof": proof}


def test_p118_tokens_stay_out_of_logs_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """The token check has to name the token in its address; what is logged and raised does not."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpcore")  # which our own log settings, if a test made them, keep quieter
    me = get({"json": {"id": PAGE, "name": "Harbour Desk"}})
    dead = get({"json": {"data": {"is_valid": False}}})
    answers = (CREATED, {"drop": True}, error(190), me, dead, me, get({"drop": True}))
    with page(*answers, app_id="900", app_secret=SECRET) as (_, facebook):
        said = [ends_in(facebook.send, facebook.render(post()), KEY) for _ in range(3)]
        said += [ends_in(facebook.check) for _ in range(2)]
        shown = caplog.text + repr([said, facebook, facebook.options])
        shown += "".join(str(outcome) + str(getattr(outcome, "__cause__", "")) for outcome in said)
    assert [type(outcome) for outcome in said[1:4]] == [Unknown, AuthFailed, AuthFailed]
    assert caplog.records, "something must have been logged, or this proves nothing"
    assert [secret for secret in (TOKEN, SECRET) if secret in shown] == []


def test_the_token_check_asks_as_the_app_with_the_apps_own_proof() -> None:
    needed = ["pages_manage_posts", "pages_read_engagement"]
    me = get({"json": {"id": PAGE, "name": "Harbour Desk"}})
    told = get({"json": {"data": {"is_valid": True, "expires_at": 1_800_000_000, "scopes": needed}}})
    with page(me, told, app_id="900", app_secret=SECRET) as (server, facebook):
        identity = facebook.check()
    asked = server.requests[1]
    app_token = f"900|{SECRET}"
    assert asked.headers["authorization"] == f"Bearer {app_token}"
    assert dict(asked.query)["input_token"] == TOKEN
    assert dict(asked.query)["appsecret_proof"] == hmac.new(SECRET.encode(), app_token.encode(), "sha256").hexdigest()
    assert identity.expires_at == datetime.fromtimestamp(1_800_000_000, UTC)
    assert identity.scopes == tuple(needed)


@pytest.mark.parametrize(
    "given", [{"page": "harbour.desk"}, {"version": "26"}, {"version": "v26.0/me"}, {"page": "1/2"}]
)
def test_options_that_would_change_the_address_are_refused_without_quoting_the_token(given: Mapping[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        FacebookOptions(**{"page": PAGE, "token": TOKEN, **given})
    assert TOKEN not in str(caught.value)


# -- what a code means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404])
@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (1, None, Unknown),
        (1, 99, Unknown),
        (2, None, Unknown),
        (3, None, Misconfigured),
        (4, None, Busy),
        (10, None, Misconfigured),
        (17, None, Busy),
        (32, None, Busy),
        (100, None, Rejected),
        (100, 33, Gone),
        (100, 1609005, Busy),
        (100, 1609008, Rejected),
        (102, None, AuthFailed),
        (190, 463, AuthFailed),
        (200, None, Misconfigured),
        (299, None, Misconfigured),
        (300, None, Unknown),
        (341, None, Busy),
        (368, None, Rejected),
        (368, 1346003, Rejected),
        (368, 1390008, Busy),
        (368, 1404078, AuthFailed),
        (368, 1404082, Duplicate),
        (368, 4854002, AuthFailed),
        (506, None, Duplicate),
        (613, None, Busy),
        (80001, None, Busy),
        (1609005, None, Busy),
        (987654, None, Unknown),
    ],
)
def test_the_code_decides_whatever_the_status(status: int, code: int, subcode: int | None, kind: type) -> None:
    """Throttles come as 400 or 403 and failures inside a 200; a code that no page explains may hide a post."""
    with page(error(code, subcode, status)) as (_, facebook):
        outcome = ends_in(facebook.send, facebook.render(post()), KEY)
    assert type(outcome) is kind
    assert outcome.status == status


@pytest.mark.parametrize("code", [1, 2, 4, 100, 190, 506])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_p01_behind_a_5xx_a_post_may_exist_whatever_its_code(status: int, code: int) -> None:
    with page(error(code, status=status)) as (server, facebook):
        assert type(ends_in(facebook.send, facebook.render(post()), KEY)) is Unknown
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "told", [None, [], "no", {}, {"code": None}, {"code": "x"}, {"code": {}}, {"code": 190, "error_subcode": "x"}]
)
def test_an_error_of_another_shape_in_a_200_is_unknown(told: Any) -> None:
    with page({"json": {"error": told}}) as (_, facebook):
        assert type(ends_in(facebook.send, facebook.render(post()), KEY)) is Unknown


@pytest.mark.parametrize(
    "body", [{}, {"id": None}, {"id": ""}, {"id": 17}, {"success": True}, [], "Service Unavailable"]
)
def test_p25_a_success_without_an_id_is_unknown(body: Any) -> None:
    with page({"json": body}) as (_, facebook):
        assert type(ends_in(facebook.send, facebook.render(post()), KEY)) is Unknown


# -- rest ---------------------------------------------------------------------------------------------------------


def business(minutes: Any, used: Any) -> dict[str, str]:
    rows = [
        {"type": "pages", "call_count": 1, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 0},
        {"type": "pages", "call_count": used, "estimated_time_to_regain_access": minutes},
    ]
    return {"X-Business-Use-Case-Usage": json.dumps({PAGE: rows})}


@pytest.mark.parametrize(
    ("headers", "minutes"),
    [
        ({}, None),
        ({"X-App-Usage": '{"call_count":94,"total_time":10,"total_cputime":5}'}, None),
        ({"X-App-Usage": '{"call_count":95,"total_time":10,"total_cputime":5}'}, 60),
        ({"X-App-Usage": '{"call_count":1,"total_time":100,"total_cputime":5}'}, 60),
        ({"X-App-Usage": '{"call_count":1,"total_time":1,"total_cputime":97.5}'}, 60),
        (business(0, 20), None),
        (business(37, 100), 37),
        (business(37, 20), 37),
        (business(0, 99), 60),
        ({**business(190, 100), "X-App-Usage": '{"call_count":99}'}, 190),
        ({"X-App-Usage": "?"}, None),
        ({"X-App-Usage": "[1]", "X-Business-Use-Case-Usage": '{"1": 7}'}, None),
        ({"X-App-Usage": '{"call_count":"many"}', **business(12, 100)}, 12),
        (business("soon", 100), None),
    ],
)
def test_usage_headers_say_when_to_go_on(headers: Mapping[str, str], minutes: int | None) -> None:
    """From 95 % on the account rests: calls made while throttled lengthen the block. On success and on refusal."""
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    with page({**CREATED, "headers": dict(headers)}, error(32, headers=dict(headers))) as (_, facebook):
        receipt = facebook.send(facebook.render(post()), KEY)
        refusal = ends_in(facebook.send, facebook.render(post()), KEY)
    assert isinstance(receipt, Receipt)
    assert receipt.busy_until == until
    assert type(refusal) is Busy
    assert refusal.until == until


# -- two phases, look-up ------------------------------------------------------------------------------------------


def test_the_frozen_form_decides_on_the_phases_not_the_option_of_today() -> None:
    """A setting that changes between the freeze and the send must not turn a draft's id into a receipt."""
    with page(two_phase=True) as (_, before):
        draft = before.render(post())
    with page(CREATED) as (_, after):
        assert after.send(draft, KEY) == Pending(f"{PAGE}_17")
    with page() as (_, before):
        plain = before.render(post())
    with page(CREATED, two_phase=True) as (_, after):
        assert isinstance(after.send(plain, KEY), Receipt)
    assert Facebook.can.two_phase


def test_two_phases_are_an_option() -> None:
    for two_phase in (False, True):
        with page(two_phase=two_phase) as (_, facebook):
            assert facebook.abilities().two_phase is two_phase
            assert not facebook.find_is_proof()


def listed(**row: Any) -> dict[str, Any]:
    told = {"id": f"{PAGE}_17", "created_time": "2026-03-02T09:30:41+0000", "message": "Harbour bridge reopens", **row}
    return get({"json": {"data": [told]}})


def card(link: str) -> dict[str, Any]:
    return {"data": [{"type": "share", "url": "https://l.facebook.com/l.php?u=x", "unshimmed_url": link}]}


ME = get({"json": {"id": PAGE, "name": "Harbour Desk"}})


@pytest.mark.parametrize(
    ("row", "link", "found"),
    [
        ({"attachments": card(LINK)}, LINK, True),
        ({"attachments": card(LINK.replace("www.example.com", "WWW.Example.COM"))}, LINK, True),
        ({"attachments": card(LINK.replace("bridge?", "bridge/?"))}, LINK, True),
        ({"attachments": card(LINK.replace("desk", "other-desk"))}, LINK, False),
        ({"attachments": card("https://www.example.com/news/bridge-2")}, LINK, False),
        ({}, LINK, True),
        ({"message": "Another story"}, LINK, False),
        ({"message": " Harbour bridge reopens\n"}, None, True),
        ({"created_time": "2026-03-02T09:20:00+0000", "attachments": card(LINK)}, LINK, False),
    ],
)
def test_what_is_taken_for_ours(row: Mapping[str, Any], link: str | None, found: bool) -> None:
    """The link decides, with its query; the same words with another article's link are another post."""
    with page(listed(**row), *([] if found else [ME])) as (server, facebook):
        outcome = facebook.find(facebook.render(post(link=link)), KEY, NOW)
    assert (outcome is not None) is found
    assert server.surprises == []
    assert server.left == 0


def test_a_payload_of_another_time_is_sent_as_it_was_frozen() -> None:
    frozen = Payload(
        b"link=https%3A%2F%2Fwww.example.com%2Fa&message=Old+words", "Old words", "https://www.example.com/a"
    )
    with page(CREATED) as (server, facebook):
        facebook.send(frozen, KEY)
    assert server.requests[0].body == frozen.body
