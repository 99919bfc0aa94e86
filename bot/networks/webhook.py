"""A signed JSON request to an address of your own: the way to anything that Wirepost does not know.

The receiver gets `POST` with the post as JSON and these headers:

    X-Wirepost-Delivery: <id>             the same for every try of the same post: keep it, and drop what you have
    X-Wirepost-Signature: t=<unix seconds>,v1=<hex>

`v1` is HMAC-SHA256, keyed with the account's `secret`, over `<t>.<id>.<body>`; `t` is when the post was made, not when
it was sent. Any 2xx is the receipt; `{"id": …, "url": …}` in its body, if there, becomes the post's id and address. 409
says that this delivery is known. Nothing can be read back, so a lost answer always waits for a person.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bot.errors import Duplicate, Misconfigured, NotSent, SendError, SourceError
from bot.http import Response
from bot.model import Identity, Limits, Payload, Post, Receipt, Unit
from bot.networks.base import Can, Network, NetworkOptions, card_object

#: What the receiver's status means where it differs from the common reading. 404 and 410: the address is wrong or gone,
#: so every further post would fail too (RFC 9110 15.5.5, 15.5.11); 409: it has this delivery (RFC 9110 15.5.10).
_STATUS: dict[int, type[SendError]] = {404: Misconfigured, 409: Duplicate, 410: Misconfigured}


class WebhookOptions(NetworkOptions):
    """One receiver."""

    url: SecretStr = Field(description="Where to post; secret, since many receivers keep their token in it.")
    secret: SecretStr = Field(min_length=16, description="The key of the signature, shared with the receiver.")


class Webhook(Network):
    """See the module's text for the request."""

    name = "webhook"
    title = "Webhook"
    docs = "https://www.rfc-editor.org/rfc/rfc2104"
    checked = date(2026, 11, 24)
    Options = WebhookOptions
    # No network behind it counts; the cap only keeps a runaway template from becoming a request of megabytes.
    limits = Limits(
        size=10_000, unit=Unit.CHARACTERS, card=True, sources={"size": "docs/networks.md#webhook (our own choice)"}
    )
    can = Can()

    @property
    def _address(self) -> str:
        base: str | None = self.options.base
        return base or str(self.options.url.get_secret_value())

    def check(self) -> Identity:
        """Asks the address with HEAD: whatever it answers below 500, somebody is there. The secret can't be tried."""
        try:
            answer = self.http.request("HEAD", self._address, safe=True)
        except SourceError as error:
            raise NotSent(str(error)) from error
        if answer.status >= 500:
            raise NotSent(answer.words(), status=answer.status)
        host = urlsplit(self._address).hostname or ""
        # The path may hold a token, so the id shows a digest of it.
        mark = hashlib.sha256(self.options.url.get_secret_value().encode()).hexdigest()[:12]
        return Identity(remote_id=f"{mark}@{host}", name=host)

    def render(self, post: Post) -> Payload:
        body: dict[str, Any] = {
            "version": 1,
            "account": post.account,
            "delivery": post.delivery,
            "article": post.article,
            "created_at": post.created_at.isoformat(),
            "text": post.text,
            "headline": post.headline,
            "link": post.link,
            "tags": list(post.tags),
            "language": post.language,
            "warning": post.warning,
            "card": card_object(post.card),
        }
        return Payload(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), post.text, post.link)

    def send(self, payload: Payload, key: str) -> Receipt:
        made = int(datetime.fromisoformat(json.loads(payload.body)["created_at"]).timestamp())
        answer = self.judged(
            self.http.request(
                "POST",
                self._address,
                headers={
                    "Content-Type": "application/json",
                    "X-Wirepost-Delivery": key,
                    "X-Wirepost-Signature": f"t={made},v1={self._sign(made, key, payload.body)}",
                },
                content=payload.body,
            )
        )
        remote_id, url = _named(answer)
        return Receipt(remote_id or key, url)

    def _sign(self, made: int, key: str, body: bytes) -> str:
        secret = self.options.secret.get_secret_value().encode()
        return hmac.new(secret, f"{made}.{key}.".encode() + body, hashlib.sha256).hexdigest()

    def meaning(self, response: Response) -> SendError | None:
        error = _STATUS.get(response.status)
        return error(response.words(), status=response.status, request_id=response.request_id) if error else None


def _named(answer: Response) -> tuple[str | None, str | None]:
    """The id and address that the receiver gave the post, if its body names them."""
    try:
        body = answer.json()
    except ValueError:
        return None, None
    if not isinstance(body, dict):
        return None, None
    number, url = body.get("id"), body.get("url")
    known = str(number) if isinstance(number, str | int) and not isinstance(number, bool) and number != "" else None
    return known, url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
