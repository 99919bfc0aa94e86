"""X: posts by tweepy, whose requests leave through our own door.

An adapter under tweepy's session hands each signed request to `Http`, whose rules hold here too. X knows no key and no
draft: what got lost is looked up in the account's own timeline, where each post read costs money.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from io import BytesIO
from typing import Any, Literal
from unicodedata import normalize

import requests
import tweepy
from pydantic import Field, SecretStr, model_validator

from bot.answer import LONGEST_WAIT
from bot.errors import AuthFailed, Busy, Duplicate, Expired, Misconfigured, Rejected, SendError, SourceError, Unknown
from bot.http import Http, Response, reset_time
from bot.model import Identity, Limits, Pace, Payload, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Cost, Credentials, Network, NetworkOptions, object_in, same_link
from bot.rules.weighted import x_links

_DOCS = "https://docs.x.com/x-api"
_COUNTING = dict.fromkeys(("size", "link_cost"), "https://github.com/twitter/twitter-text/blob/master/config/v3.json")
_PRICES = dict.fromkeys(("publish", "publish_link", "read", "delete"), f"{_DOCS}/getting-started/pricing")
_RATES = dict.fromkeys(("gap", "hour", "day"), f"{_DOCS}/fundamentals/rate-limits (100 in 15 min, 300 in 3 h)")
_SIGNED_FOR = "https://api.twitter.com"  # tweepy's host; it answers as api.x.com does
_OAUTH1 = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
#: What a refusal means: status, class, signs (a legacy code, a piece of the body in lower case); no hit: by the status
#: alone. {_DOCS}/fundamentals/response-codes-and-errors; live bodies: github.com/akrherz/iembot/issues/163
ANSWERS: Sequence[tuple[int, type[SendError], tuple[str, ...]]] = (
    (401, Busy, ("code 135;",)),  # the time in the signature is off: our clock, not the login
    (403, Duplicate, ("code 187;", "duplicate content")),
    (403, Busy, ("code 185;",)),  # the account's posts for this day are used up
    (403, AuthFailed, ("code 64;", "code 226;", "code 326;", "user-suspended", "permitted to access this feature")),
    (403, Rejected, ("code 186;", "one cashtag", "invalid url", "not permitted to perform this action")),
    (429, Misconfigured, ("usage-capped", "usage cap exceeded")),  # the month's quota: no window's end lifts it
)
_CHATTY = [logging.getLogger(name) for name in ("tweepy", "oauthlib", "requests_oauthlib")]  # DEBUG prints tokens


class XOptions(NetworkOptions):
    """One account, with one of two logins: OAuth 1.0a (never expires) or OAuth 2 (a new pair of tokens every 2 h)."""

    consumer_key: SecretStr | None = Field(None, description="OAuth 1.0a: the app's key.")
    consumer_secret: SecretStr | None = Field(None, description="OAuth 1.0a: the app's secret.")
    access_token: SecretStr | None = Field(None, description="The account's access token, of either login.")
    access_token_secret: SecretStr | None = Field(None, description="OAuth 1.0a: the access token's secret.")
    client_id: str | None = Field(None, description="OAuth 2: the app's client id.")
    client_secret: SecretStr | None = Field(None, description="OAuth 2: the client secret, of confidential apps only.")
    refresh_token: SecretStr | None = Field(None, description="OAuth 2: the first; the bot keeps those that follow.")
    look_up: bool = Field(False, description="Read own posts back, at a price? Lost and duplicate ones always are.")
    fields: Literal["tweet", "post"] = Field("tweet", description="X's selectors: tweet.fields, or post.fields.")

    @model_validator(mode="after")
    def _one_login(self) -> XOptions:
        given = {name for name in (*_OAUTH1, "client_id", "client_secret", "refresh_token") if getattr(self, name)}
        oauth2 = {"client_id", "refresh_token"} <= given and not given & {*_OAUTH1} - {"access_token"}
        if given and given != {*_OAUTH1} and not oauth2:
            raise ValueError(f"give {', '.join(_OAUTH1)} (OAuth 1.0a), or client_id and refresh_token (OAuth 2)")
        return self


class Transport(requests.adapters.BaseAdapter):
    """A transport for a requests session that sends the frozen bytes through our own door, and keeps the answer."""

    answer: Response

    def __init__(self, http: Http, base: str | None, body: bytes | None) -> None:
        self._http, self._base, self._body = http, base or _SIGNED_FOR, body

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The answer as requests wants it. Never a Location: after a 307 a session would POST again."""
        url = self._base.rstrip("/") + str(request.url).removeprefix(_SIGNED_FOR)
        headers = {n: str(v) for n, v in request.headers.items() if n in ("Authorization", "Content-Type")}
        answer = self._http.request(str(request.method), url, headers=headers, content=self._body, safe=not self._body)
        if 300 <= answer.status < 400:
            raise Unknown("A redirect, which X documents nowhere.", status=answer.status)
        self.answer = answer
        response = requests.Response()
        response.status_code, response.raw = answer.status, BytesIO(answer.body)
        return response


class X(Network):
    """An account on X, which forbids like text on several accounts: give each a template of its own."""

    name = "x"
    title = "X"
    docs = f"{_DOCS}/posts/manage-tweets/introduction"
    checked = date(2026, 11, 23)
    Options = XOptions
    limits = Limits(size=280, unit=Unit.WEIGHTED, link_cost=23, auto_links="bare", sources=_COUNTING)
    pace = Pace(gap=timedelta(seconds=9), hour=100, day=2400, sources=_RATES)
    cost = Cost(  # a read is one post; 0.001 where the app's owner reads its own
        publish=Decimal("0.015"), publish_link=Decimal("0.2"), read=Decimal("0.005"), delete=Decimal("0.01"),
        sources=_PRICES,
    )  # fmt: skip
    can = Can(find=True)  # absence is no proof: how soon a post is in the timeline is documented nowhere
    reads_are_free = False
    address = r"https://(?:www\.|mobile\.)?(?:x|twitter)\.com/\w+(?:/web)?/status/(\d+)(?:[/?].*)?"

    def reads_back(self) -> bool:
        return bool(self.options.look_up)

    def own_credentials(self) -> bool:
        return bool(self.credentials.get("seed", "") == self.options.refresh_token)

    def check(self) -> Identity:
        response = self._call("/2/users/me")
        user = object_in(response)["data"]
        if (level := response.headers.get("x-access-level", "")) == "read":
            raise Misconfigured("The app may only read: give it Read and write, then make the access token anew.")
        facts = {"user_id": user["id"], "username": user["username"]}
        scopes = tuple(self._tokens().get("scope", level).split())
        return Identity(remote_id=user["id"], name=f"@{user['username']}", scopes=scopes, facts=facts)

    def render(self, post: Post) -> Payload:
        price = self.cost.publish_link if x_links(post.text) else self.cost.publish
        return Payload(json.dumps({"text": post.text}).encode("ascii"), post.text, post.link, str(price))

    def send(self, payload: Payload, key: str) -> Receipt:
        response = self._call("/2/tweets", body=payload.body)
        post = object_in(response).get("data")
        if not isinstance(post, dict) or not isinstance(post.get("id"), str) or not post["id"]:
            raise Unknown("The answer holds no id.", status=response.status, request_id=response.request_id)
        return self._receipt(post["id"], busy_until=_used_up_until(response))

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        link, posts = payload.link, self._timeline(since)
        alike = [post for post in posts if post.text.split() == normalize("NFC", payload.text).split()]
        linked = [post for post in posts if link is not None and any(same_link(link, one) for one in post.links)]
        return next((post.receipt for post in alike + linked), None)

    def recent(self, since: datetime) -> Sequence[Seen]:
        if not self.options.look_up:
            raise Unknown("Reading X costs money: `look_up = true` on the account allows it.")
        return self._timeline(since)

    def refresh(self) -> Credentials:
        """A new pair. It uses the old refresh token up, so that a lost answer ends in a new login."""
        client_id, secret, tokens = self.options.client_id, self.options.client_secret, self._tokens()
        if client_id is None:
            return super().refresh()
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
        pair = f"{client_id}:{secret.get_secret_value() if secret else ''}".encode()
        basic = {"Authorization": f"Basic {b64encode(pair).decode()}"} if secret else {}  # RFC 6749, 2.3.1
        url = f"{(self.options.base or 'https://api.x.com').rstrip('/')}/2/oauth2/token"
        try:
            response = self.http.request("POST", url, headers=basic, form=form)
            new = object_in(response) if response.status == 200 else {}
        except (SendError, SourceError) as error:
            raise Busy(str(error)) from error
        if "access_token" not in new:
            raise (AuthFailed if response.status in (400, 401, 403) else Busy)(response.words(), status=response.status)
        tokens |= {name: new[name] for name in ("access_token", "refresh_token", "scope") if name in new}
        tokens |= {"seed": self.options.refresh_token.get_secret_value()}
        return {name: SecretStr(text) for name, text in tokens.items()}

    def meaning(self, response: Response) -> SendError | None:
        status, words = response.status, response.text.lower()
        words += "".join(f" code {code};" for code in re.findall(r'"code"\s*:\s*(\d+)', words))
        alone = {401: Expired if self.options.client_id else AuthFailed, 429: Busy}.get(status)
        hits = (kind for at, kind, signs in ANSWERS if at == status and any(sign in words for sign in signs))
        kind: type[SendError] | None = next(hits, alone)
        about: dict[str, Any] = {"status": status, "request_id": response.request_id}
        about |= {"until": _used_up_until(response) or reset_time(response)} if kind is Busy else {}
        return None if kind is None else kind(response.words(), **about)

    def _call(self, route: str, query: Mapping[str, str] | None = None, body: bytes | None = None) -> Response:
        """The answer to one signed request, if a success; else raises as the seam says. Unforeseen is Unknown."""
        transport = Transport(self.http, self.options.base, body)
        for logger in _CHATTY:
            logger.setLevel(max(logger.level, logging.INFO))
        try:
            client = tweepy.Client(**self._login(), wait_on_rate_limit=False)
            client.session.adapters.clear()
            client.session.mount("https://", transport)
            client.session.trust_env = False
            method, sent, oauth1 = "POST" if body else "GET", body and json.loads(body), self.options.client_id is None
            client.request(method, route, params=query, json=sent, user_auth=oauth1)
        except SourceError as error:
            raise Busy(str(error)) from error
        except SendError:
            raise
        except tweepy.HTTPException:
            pass  # a refusal: the answer, which the transport kept, says more than tweepy's reading of it
        except Exception as error:  # noqa: BLE001 -- whatever it was; its text may hold a token
            raise Unknown(f"tweepy failed with {type(error).__name__}.") from None
        if body is None and transport.answer.status >= 500:
            raise Busy(transport.answer.words(), status=transport.answer.status)
        return self.judged(transport.answer)

    def _login(self) -> dict[str, str]:
        """What tweepy signs with."""
        if self.options.client_id is None:
            if self.options.consumer_key is None:
                raise AuthFailed(f"No login: set {', '.join(_OAUTH1)}, or client_id and refresh_token.")
            return {name: getattr(self.options, name).get_secret_value() for name in _OAUTH1}
        if "access_token" not in self._tokens():
            raise Expired("No access token yet: the refresh token brings one.")
        return {"bearer_token": self._tokens()["access_token"]}

    def _tokens(self) -> dict[str, str]:
        """OAuth 2: the stored pair, unless the settings were given a new first refresh token since (its `seed`)."""
        given = {name: getattr(self.options, name) for name in ("access_token", "refresh_token")}
        stored = self.credentials if self.own_credentials() else given
        return {name: secret.get_secret_value() for name, secret in stored.items() if secret is not None}

    def _timeline(self, since: datetime) -> list[Seen]:
        """Own posts since then, newest first: at most 100, which is what X lets an account make in an hour."""
        fields, since = self.options.fields, (since - timedelta(minutes=2)).astimezone(UTC)  # created_at is X's clock
        user_id = self.facts.get("user_id") or self.check().remote_id
        query = {"max_results": "100", "exclude": "retweets", "start_time": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        query |= {f"{fields}.fields": f"created_at,entities,note_{fields}"}
        page = object_in(self._call(f"/2/users/{user_id}/tweets", query))
        if "errors" in page or "next_token" in page["meta"]:
            raise Unknown("The timeline that X gave is not whole.")
        return [self._seen(row) for row in page.get("data", ())]

    def _seen(self, row: Mapping[str, Any]) -> Seen:
        """One post, its t.co addresses turned back. A long post keeps its whole text in its note."""
        note = row.get("note_tweet") or row.get("note_post") or row
        urls = [url for url in note.get("entities", {}).get("urls", ()) if "media_key" not in url]
        text = normalize("NFC", unescape(note["text"]))
        for url in urls:
            text = text.replace(url["url"], url["expanded_url"])
        links = [url[kind] for url in urls for kind in ("expanded_url", "unwound_url") if kind in url]
        at = datetime.fromisoformat(row["created_at"])
        return Seen(self._receipt(row["id"], at=at), tuple(links), text, at)

    def _receipt(self, remote_id: str, **parts: datetime | None) -> Receipt:
        return Receipt(remote_id, f"https://x.com/{self.facts.get('username') or 'i/web'}/status/{remote_id}", **parts)


def _used_up_until(response: Response) -> datetime | None:
    """When the last of the used-up windows ends; with the day's used up, x-rate-limit-reset is hours too early."""
    head, names = response.headers, ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour")
    resets = (head.get(f"{name}-reset", "") for name in names if head.get(f"{name}-remaining") == "0")
    ends = [datetime.fromtimestamp(int(reset), UTC) for reset in resets if re.fullmatch(r"[0-9]{1,10}", reset)]
    return min(max(ends), response.received_at + LONGEST_WAIT) if ends else None
