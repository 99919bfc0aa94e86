"""The seam to the networks: what one network file declares and implements.

A network is one file in this folder (or an outside package's entry point in the group `wirepost.networks`) with one
subclass of `Network`. Everything known about that network stands there as class attributes, and nowhere else. An
adapter object is built per call, holds no state beyond what it was built with, and never sleeps, retries, loops,
caches, reads the clock, the environment or the store, or imports a sibling.

It may raise only the `SendError` family; whatever else escapes counts as `Unknown` (it may be out).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.errors import (
    AuthFailed,
    Busy,
    Expired,
    Misconfigured,
    NotSent,
    Rejected,
    SendError,
    SourceError,
    Unknown,
)
from bot.http import Http, Response, reset_time
from bot.model import Card, Identity, Limits, Pace, Payload, Pending, Post, Receipt, Seen

#: What the bot itself renews and stores, encrypted: access and refresh tokens, sessions. Empty before the first login.
Credentials = Mapping[str, SecretStr]


class NetworkOptions(BaseModel):
    """The keys that every account may have beside its network's own."""

    # What was given may be a secret: an error's text never quotes it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base: str | None = Field(None, description="Another address of the service's API, for stand-ins and own servers.")
    allow_private: bool = Field(False, description="May the address resolve to a private network? Off: refused.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Can:
    """What the network's API can do. `idempotent`: "none", seconds that a key is remembered, or "permanent"."""

    idempotent: Literal["none", "permanent"] | int = "none"
    find: bool = False
    edit: bool = False
    delete: bool = False
    threads: bool = False
    two_phase: bool = False
    link_card: bool = False
    measure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """How long a request may still take effect after we stopped hearing of it (seconds), by what we heard.

    `lost`: no answer, or 502, 503, 504, 52x from a proxy; `server_error`: an explicit 500 by the service itself.
    """

    lost: float = 60.0
    server_error: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money per action, where the network charges; `currency` is ISO 4217. Prices are data with a date and a source."""

    currency: str = "USD"
    publish: Decimal = Decimal(0)
    publish_link: Decimal = Decimal(0)
    read: Decimal = Decimal(0)
    delete: Decimal = Decimal(0)
    sources: Mapping[str, str] = field(default_factory=dict)


class Network(ABC):
    """One kind of service. See the module's docstring for what an adapter must never do."""

    name: ClassVar[str]
    title: ClassVar[str]
    docs: ClassVar[str]
    checked: ClassVar[date]
    Options: ClassVar[type[NetworkOptions]]
    limits: ClassVar[Limits]
    pace: ClassVar[Pace] = Pace()
    cost: ClassVar[Cost] = Cost()
    in_flight_max: ClassVar[InFlight] = InFlight()
    resend_window: ClassVar[timedelta] = timedelta(minutes=10)
    can: ClassVar[Can]
    absence_is_proof: ClassVar[bool] = False
    #: The public address of a post as a pattern whose group is the remote id; "" where the address doesn't tell it.
    address: ClassVar[str] = ""
    #: True only for `outbox`: writes locally, so its accounts are live from the start.
    local: ClassVar[bool] = False
    #: False where each read costs money, unless the account's options budget for it.
    reads_are_free: ClassVar[bool] = True

    def __init__(self, options: Any, credentials: Credentials, facts: Mapping[str, Any], http: Http) -> None:
        self.options = options
        self.credentials = credentials
        self.facts = facts
        self.http = http

    # -- what this account's server or plan allows --------------------------------------------------------------

    def bounds(self) -> Limits:
        """The limits of this very account: the class's, unless `facts` (from `check`) say otherwise. Pure."""
        return self.limits

    def abilities(self) -> Can:
        """`can`, as this very server honours it (Mastodon's key is ignored by some compatible servers). Pure."""
        return self.can

    def reads_back(self) -> bool:
        """May every sent post be read back, on this very account? Not where each read costs money. Pure."""
        return self.reads_are_free and self.abilities().find

    def find_is_proof(self) -> bool:
        """Does a complete read without our post prove that it is not there, on this very server? Pure."""
        return self.absence_is_proof

    def own_credentials(self) -> bool:
        """Were the stored credentials renewed from what the settings hold? Then an account that got another name in the
        settings keeps them: where a token renews once only, they are all that is left of its login. Pure."""
        return False

    def id_at(self, url: str) -> str | None:
        """The remote id of the account's post at this address, None if the address doesn't tell it. Pure."""
        found = re.fullmatch(self.address, url) if self.address else None
        return found[1] if found else None

    # -- the exchange -------------------------------------------------------------------------------------------

    @abstractmethod
    def check(self) -> Identity:
        """Who we are there, what we may do, and until when. Changes nothing. Raises as `read` does."""

    @abstractmethod
    def render(self, post: Post) -> Payload:
        """The bytes of the publish request. Pure and deterministic: the same post gives the same bytes."""

    @abstractmethod
    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        """Publish once. `key` is 64 hex digits, the same for every send of one generation."""

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        """Our post as the network has it, or None: not in a complete, consistent read back to `since`.

        Raises NotSent if it could not be read now, Unknown if what was read does not reach back to `since`.
        """
        wanted = payload.link
        for seen in self.recent(since):
            if (wanted is not None and wanted in seen.links) or (wanted is None and seen.text == payload.text):
                return seen.receipt
        return None

    def recent(self, since: datetime) -> Sequence[Seen]:
        """The account's own posts since then, newest first, by one list call. Raises as `find` does."""
        raise Unknown(f"{self.title} can't be read back.")

    def prepare(self, payload: Payload) -> Payload:
        """Upload what the payload needs (pictures). Safe to repeat; publishes nothing."""
        return payload

    def poll(self, payload: Payload, key: str, container: str) -> Receipt | Pending | None:
        """Two-phase only: how far the container is. None = it is gone and nothing was published."""
        raise Unknown(f"{self.title} has no second phase.")

    def finish(self, payload: Payload, key: str, container: str) -> Receipt | Pending:
        """Two-phase only: publish the container. Repeatable where the network documents that."""
        raise Unknown(f"{self.title} has no second phase.")

    def refresh(self) -> Credentials:
        """New credentials from the stored ones. Flow calls it under the store's lock and stores them before use.

        Raises AuthFailed if the network refuses for good, Busy if it could not be asked.
        """
        raise AuthFailed(f"{self.title} has nothing to refresh: log in again.")

    # -- answers ------------------------------------------------------------------------------------------------

    def meaning(self, response: Response) -> SendError | None:
        """This network's own reading of an answer, before the common one. None = nothing special."""
        return None

    def judged(self, response: Response) -> Response:
        """The response if it is a success; else raises what it means for an attempt that changes something."""
        error = self.meaning(response) or common_meaning(response)
        if error is not None:
            raise error
        return response

    def read(self, method: str, url: str, **parts: Any) -> Response:
        """A request that changes nothing: trouble on the way is NotSent, 5xx is Busy, the rest as `judged`."""
        try:
            response = self.http.request(method, url, safe=True, **parts)
        except SourceError as error:
            raise NotSent(str(error)) from error
        if response.status >= 500:
            raise Busy(response.words(), status=response.status, until=reset_time(response))
        return self.judged(response)


def card_object(card: Card | None) -> dict[str, str | None] | None:
    """A link card as plain JSON, for networks that hand it on as it is."""
    if card is None:
        return None
    return {
        "link": card.link,
        "title": card.title,
        "description": card.description,
        "image": card.image.url if card.image else None,
        "alt": card.image.alt if card.image else None,
    }


def common_meaning(response: Response) -> SendError | None:
    """What a status means where the network's file says nothing else. None for 2xx.

    401 and 403 are documented refusals: nothing was done. 408 and 5xx on a write say nothing about what was done, and a
    3xx is an answer that no publishing API gives.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    words, request_id = response.words(), response.request_id
    if status == 401:
        return AuthFailed(words, status=status, request_id=request_id)
    if status in (402, 403):
        return Misconfigured(words, status=status, request_id=request_id)
    if status == 429:
        return Busy(words, until=reset_time(response), status=status, request_id=request_id)
    if 400 <= status < 500 and status != 408:
        return Rejected(words, status=status, request_id=request_id)
    return Unknown(words, status=status, request_id=request_id)


def object_in(response: Response) -> Mapping[str, Any]:
    """The JSON object that an answer is. Raises Unknown if it is anything else: then nobody knows what happened."""
    value = _json_in(response)
    if not isinstance(value, dict):
        raise Unknown("The answer is no JSON object.", status=response.status, request_id=response.request_id)
    return value


def objects_in(response: Response) -> Sequence[Mapping[str, Any]]:
    """The JSON objects that an answer lists. Raises Unknown if it is anything else."""
    value = _json_in(response)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unknown("The answer is no list of objects.", status=response.status, request_id=response.request_id)
    return value


def _json_in(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def same_link(one: str, other: str) -> bool:
    """Do both lead to the same page? Networks give an address back with another case of its host, or a slash more or
    less at its end; the path and the query, which may name the delivery, must be the same.
    """
    a, b = urlsplit(one), urlsplit(other)
    return (a.netloc.lower(), a.path.rstrip("/"), a.query) == (b.netloc.lower(), b.path.rstrip("/"), b.query)


def only_send_errors(error: Exception) -> SendError:
    """Any exception as one of the seam's: what nobody expected is Unknown, without its text (it may hold a secret)."""
    if isinstance(error, SendError):
        return error
    return Unknown(f"An unexpected {type(error).__name__} in the adapter.")


__all__ = [
    "Can",
    "Cost",
    "Credentials",
    "Expired",
    "InFlight",
    "Network",
    "NetworkOptions",
    "common_meaning",
    "object_in",
    "objects_in",
    "only_send_errors",
    "same_link",
]
