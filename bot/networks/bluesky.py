"""Bluesky (AT Protocol): a post is a record in the account's own repository, under a key that we choose.

That key makes "exactly once" easy: `putRecord` with `swapRecord: null` writes only where nothing is, answers the same
for the same bytes, and `getRecord` at the account's own server (its PDS) tells for sure whether it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import Field, SecretStr

from bot.errors import AuthFailed, Busy, Duplicate, Expired, NotSent, Rejected, SendError, SourceError, Unknown
from bot.http import Response
from bot.model import Card, Identity, Limits, LinkPlace, Pace, Payload, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Credentials, Network, NetworkOptions, object_in
from bot.rules.atproto import POSTS, facets_of, home_in, post_in, receipt_of, record_key, tid

_LEXICON = "https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky"
_RATES = "https://docs.bsky.app/docs/advanced-guides/rate-limits"
_THUMB_BYTES = 1_000_000  # {_LEXICON}/embed/external.json
_THUMB_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")  # what the app's own picture service reads
_LANGUAGES = 3  # {_LEXICON}/feed/post.json
_PAGE = 100  # the most that listRecords gives: https://docs.bsky.app/docs/api/com-atproto-repo-list-records
_PAGES = 3  # ours: 300 posts reach back further than any resend window
# A record is listed by its key, and its key bears the delivery's time, which may be a day before the send (the longest
# that the default freshness and a pinned time leave between the two).
_KEY_LAG = timedelta(days=1)


class _NoRecord(Rejected):
    """There is nothing under this key."""


#: Names in a 4xx's body, as https://docs.bsky.app/docs/api/com-atproto-repo-put-record and a PDS 0.5.35 have them.
#: A token that is no longer understood is renewed like one that is over: the app password outlives both. BlobNotFound:
#: the picture was collected, so it is uploaded again. RecordAlreadyExists: other servers' word, atproto/pull/4728.
_CLASSES: Mapping[type[SendError], str] = {
    Expired: "ExpiredToken InvalidToken",
    AuthFailed: "AuthMissing AuthenticationRequired AuthFactorTokenRequired AccountTakedown AccountDeactivated"
    " AccountNotFound RepoNotFound RepoTakendown RepoDeactivated",
    Duplicate: "InvalidSwap RecordAlreadyExists",
    _NoRecord: "RecordNotFound",
    NotSent: "BlobNotFound",
}
_ERRORS = {name: error for error, names in _CLASSES.items() for name in names.split()}


class BlueskyOptions(NetworkOptions):
    """One account."""

    handle: str = Field(description='The account\'s handle or DID, such as "news.example.org".')
    password: SecretStr = Field(description="An app password: Settings → Privacy and security → App passwords.")
    languages: tuple[str, ...] = Field((), description="Languages (BCP 47) of posts whose article names none.")


class Bluesky(Network):
    """See the module's text. Credentials: access_jwt, refresh_jwt. Facts: did, pds (the account's own server)."""

    name = "bluesky"
    title = "Bluesky"
    docs = "https://docs.bsky.app/docs/advanced-guides/posts"
    checked = date(2026, 11, 24)
    Options = BlueskyOptions
    _sizes = dict.fromkeys(("size", "max_bytes"), f"{_LEXICON}/feed/post.json")
    limits = Limits(
        size=300, unit=Unit.GRAPHEMES, max_bytes=3000, link_place=LinkPlace.CARD, auto_links="none", mentions=False,
        card=True, sources=_sizes,
    )  # fmt: skip
    # 5,000 points an hour and 35,000 a day; a put costs 2.
    pace = Pace(
        hour=2_500,
        day=17_500,
        per_host=(3_000, timedelta(minutes=5)),
        sources={"hour": _RATES, "day": _RATES, "per_host": _RATES},
    )
    can = Can(idempotent="permanent", find=True, link_card=True)
    absence_is_proof = True
    address = r"https://bsky\.app/profile/[^/]+/post/([^/?]+)"

    def id_at(self, url: str) -> str | None:
        key = super().id_at(url)
        return f"at://{self._repo}/{POSTS}/{key}" if key else None

    # -- the login ------------------------------------------------------------------------------------------------

    def check(self) -> Identity:
        session = object_in(self.read("GET", self._url("server.getSession"), headers=self._bearer()))
        did = str(session.get("did"))
        if not did.startswith("did:"):
            raise Unknown("The server's answer names no account.")
        if session.get("active") is False:
            raise AuthFailed(f"The account is {session.get('status') or 'not active'}.")
        facts = {"did": did, **home_in(session)}
        return Identity(remote_id=did, name=f"@{session.get('handle') or did}", facts=facts)

    def refresh(self) -> Credentials:
        token = self._secret("refresh_jwt")
        if token:
            try:
                return self._session("server.refreshSession", headers={"Authorization": f"Bearer {token}"})
            except (Expired, AuthFailed, Rejected):
                pass  # the refresh token is over (90 days): the app password is asked instead
        who = {"identifier": self.options.handle, "password": self.options.password.get_secret_value()}
        try:
            return self._session("server.createSession", json=who)
        except (Expired, Rejected) as error:
            raise AuthFailed(error.words, status=error.status) from error

    def _session(self, method: str, **parts: Any) -> Credentials:
        try:
            answer = object_in(self.read("POST", self._url(method), **parts))
        except (NotSent, Unknown) as error:
            raise error if isinstance(error, Expired | Busy) else Busy(error.words, status=error.status) from error
        access, renewal = answer.get("accessJwt"), answer.get("refreshJwt")
        if not isinstance(access, str) or not isinstance(renewal, str):
            raise Busy("The server's answer holds no session.")
        return {"access_jwt": SecretStr(access), "refresh_jwt": SecretStr(renewal)}

    def _secret(self, name: str) -> str:
        stored = self.credentials.get(name)
        return stored.get_secret_value() if stored else ""

    def _bearer(self) -> dict[str, str]:
        """The header of a call that needs the login. Raises Expired without a session: flow then makes one."""
        token = self._secret("access_jwt")
        if not token:
            raise Expired("There is no session yet.")
        return {"Authorization": f"Bearer {token}"}

    def _url(self, method: str) -> str:
        base = self.options.base or self.facts.get("pds") or "https://bsky.social"
        return f"{base.rstrip('/')}/xrpc/com.atproto.{method}"

    @property
    def _repo(self) -> str:
        return str(self.facts.get("did") or self.options.handle)

    # -- the post -------------------------------------------------------------------------------------------------

    def render(self, post: Post) -> Payload:
        made = post.created_at.astimezone(UTC)
        languages = (post.language,) if post.language else self.options.languages
        record: dict[str, Any] = {
            "$type": POSTS,
            "text": post.text,
            "createdAt": made.strftime("%Y-%m-%dT%H:%M:%S.") + f"{made.microsecond // 1000:03}Z",
        }
        if languages:
            record["langs"] = list(languages[:_LANGUAGES])
        card = (post.card or Card(post.link, post.headline)) if post.link else None
        if card:
            about = {"uri": card.link, "title": card.title or post.headline, "description": card.description}
            record["embed"] = {"$type": "app.bsky.embed.external", "external": about}
        facets = list(facets_of(post.text, post.tags))
        if facets:
            record["facets"] = facets
        request: dict[str, Any] = {"repo": self._repo, "collection": POSTS, "rkey": record_key(made, post.delivery)}
        request |= {"swapRecord": None, "validate": True, "record": record}
        if card and card.image:
            request["picture"] = card.image.url  # for `prepare`, which takes it out
        return Payload(_bytes(request), post.text, post.link)

    def prepare(self, payload: Payload) -> Payload:
        """Upload the card's picture if it fits as it is; else the card goes without. Raises only Expired (it mends)."""
        request = json.loads(payload.body)
        picture = request.pop("picture", None)
        if picture is None:
            return payload
        headers = self._bearer()
        try:
            request["record"]["embed"]["external"] |= self._thumb(picture, headers)
        except Expired:
            raise
        except (SendError, SourceError):
            pass
        return replace(payload, body=_bytes(request))

    def _thumb(self, picture: str, headers: Mapping[str, str]) -> Mapping[str, Any]:
        # Redirects are followed here: pictures live behind them, and reading one changes nothing.
        answer = self.http.request("GET", picture, safe=True, redirects=3)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status != 200 or kind not in _THUMB_TYPES or not 0 < len(answer.body) <= _THUMB_BYTES:
            return {}
        headers = {**headers, "Content-Type": kind}
        uploaded = self.read("POST", self._url("repo.uploadBlob"), headers=headers, content=answer.body)
        blob = object_in(uploaded).get("blob")
        return {"thumb": blob} if isinstance(blob, dict) and blob.get("ref") else {}

    def send(self, payload: Payload, key: str) -> Receipt:
        request = json.loads(payload.body)
        request.pop("picture", None)
        headers = {**self._bearer(), "Content-Type": "application/json"}
        answer = self.http.request("POST", self._url("repo.putRecord"), headers=headers, content=_bytes(request))
        receipt = receipt_of(object_in(self.judged(answer)).get("uri"))
        if not receipt.remote_id.endswith(f"/{request['rkey']}"):
            raise Unknown("The answer names another record.")
        return receipt

    # -- looking --------------------------------------------------------------------------------------------------

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        request = json.loads(payload.body)
        query = {name: request[name] for name in ("repo", "collection", "rkey")}
        try:
            answer = object_in(self.read("GET", self._url("repo.getRecord"), params=query))
        except _NoRecord:
            return None
        except Rejected as error:  # another server's account, say after a move: this one can't know
            raise Unknown(error.words, status=error.status) from error
        seen = post_in(answer)
        # Another delivery's record under our key (both hashed alike in one second) is not ours.
        ours = payload.link in seen.links if payload.link else seen.text == payload.text
        return seen.receipt if ours else None

    def recent(self, since: datetime) -> Sequence[Seen]:
        query = {"repo": self._repo, "collection": POSTS, "limit": str(_PAGE)}
        oldest = tid(since - _KEY_LAG, 0)
        found: list[Seen] = []
        for _ in range(_PAGES):
            page = object_in(self.read("GET", self._url("repo.listRecords"), params=query))
            records = page.get("records")
            if not isinstance(records, list):
                raise Unknown("The answer is no list of records.")
            for record in records:
                with suppress(Unknown):  # another program's record of another shape: surely not ours
                    found.append(post_in(record))
            cursor = page.get("cursor")
            if not records or not cursor or str(cursor) < oldest:
                return found
            query["cursor"] = str(cursor)
        raise Unknown(f"The newest {_PAGE * _PAGES} posts don't reach back to {since:%Y-%m-%d %H:%M:%S} UTC.")

    def meaning(self, response: Response) -> SendError | None:
        if not 400 <= response.status < 500 or response.status == 429:
            return None
        try:
            error = _ERRORS.get(response.json()["error"])
        except (ValueError, LookupError, TypeError):
            return None
        return error(response.words(), status=response.status, request_id=response.request_id) if error else None


def _bytes(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
