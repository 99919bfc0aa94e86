"""What an adapter's call came to, compared with what a fixture expects, and what must not show in any of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from bot.errors import SendError
from bot.model import Identity, Payload, Pending, Receipt
from bot.networks.base import Network
from bot.testing.replay import unfit

# -- what came of it ----------------------------------------------------------------------------------------------


def ends_in(expect: Mapping[str, Any]) -> str:
    """The name of what a case must end in: the error's class, or the kind of result."""
    return str(expect["error"]) if "error" in expect else next(iter(expect))


def _is_error(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, SendError), f"{got!r} instead of {wanted['error']}"
    assert type(got).__name__ == wanted["error"] or wanted["error"] in {kind.__name__ for kind in type(got).__mro__[:2]}
    assert "status" not in wanted or got.status == wanted["status"]
    assert wanted.get("words", "") in got.words
    if "until" in wanted:
        until = getattr(got, "until", None)
        assert until == datetime.fromisoformat(wanted["until"]), f"until {until}"


def _is_receipt(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, Receipt), repr(got)
    assert unfit(wanted["receipt"], {"remote_id": got.remote_id, "url": got.url}) == []


def _is_identity(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, Identity), repr(got)
    told = {f.name: getattr(got, f.name) for f in fields(got)}
    told["expires_at"] = told["expires_at"].isoformat() if told.get("expires_at") else None
    told |= {"facts": dict(told.get("facts", {})), "scopes": list(told.get("scopes", ()))}
    assert unfit(wanted["identity"], told) == []


def _is_seen(wanted: Mapping[str, Any], got: Any) -> None:
    assert not isinstance(got, SendError), repr(got)
    told = [
        {
            "remote_id": seen.receipt.remote_id,
            "url": seen.receipt.url,
            "links": list(seen.links),
            "text": seen.text,
            "at": seen.at.isoformat(),
        }
        for seen in got
    ]
    assert unfit(wanted["seen"], told) == []


def _is_credentials(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, Mapping), repr(got)
    assert all(isinstance(value, SecretStr) for value in got.values())
    assert {name: value.get_secret_value() for name, value in got.items()} == wanted["credentials"]


def _is_pending(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, Pending), repr(got)
    assert got.container == wanted["pending"]["container"]


def _is_none(wanted: Mapping[str, Any], got: Any) -> None:
    assert got is None, repr(got)


def _is_payload(wanted: Mapping[str, Any], got: Any) -> None:
    assert isinstance(got, Payload), repr(got)
    assert unfit(wanted["payload"], json.loads(got.body)) == []
    assert all(name in json.loads(got.body) for name in wanted["payload"])


EXPECT: Mapping[str, Callable[[Mapping[str, Any], Any], None]] = {
    "error": _is_error,
    "receipt": _is_receipt,
    "identity": _is_identity,
    "seen": _is_seen,
    "credentials": _is_credentials,
    "pending": _is_pending,
    "none": _is_none,
    "payload": _is_payload,
}


# -- what must not show -------------------------------------------------------------------------------------------


def numbers(told: Any) -> Iterator[str]:
    """The names of a declaration's numbers that say something: neither unset, zero nor left at the class's default."""
    for field in fields(told):
        value = getattr(told, field.name)
        plain = field.name in ("sources", "currency", "unit", "link_place", "tag_style", "markup", "auto_links")
        if not plain and not isinstance(value, bool) and value and value != field.default:
            yield field.name


def secrets_of(adapter: Network) -> list[str]:
    """Every secret that the adapter was given."""
    values = [value for _, value in adapter.options] + list(adapter.credentials.values())
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def leaks(secrets: list[str], *texts: str) -> list[str]:
    """The secrets (their first letters) that stand in one of the texts."""
    return [secret[:4] + "…" for secret in secrets if len(secret) > 4 and any(secret in text for text in texts)]


def no_leak(adapter: Network, outcome: Any) -> None:
    """No secret in what is logged or stored: the outcome, its words, and everything's repr."""
    words = outcome.words if isinstance(outcome, SendError) else ""
    shown = [repr(outcome), str(outcome), words, repr(adapter), repr(adapter.options), str(adapter.options)]
    cause = getattr(outcome, "__cause__", None)
    assert leaks(secrets_of(adapter), *shown, repr(cause), str(cause)) == []
