"""Facebook Pages: link posts by the Graph API, looked up in the Page's own list of published posts.

The Graph API has no idempotency key. Its HTTP status is no class of error: throttles come as 400 or 403, failures
inside a 200, and posts were created behind codes 1 and 2. So the answer's code decides; one not listed is Unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

from pydantic import Field, SecretStr

from bot.errors import AuthFailed, Busy, Duplicate, Misconfigured, Rejected, SendError, Unknown
from bot.http import Response
from bot.model import Identity, Limits, LinkPlace, Payload, Pending, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Network, NetworkOptions, object_in, same_link

_GRAPH = "https://developers.facebook.com/docs/graph-api"
_RATES = f"{_GRAPH}/overview/rate-limiting"


class Gone(Rejected):
    """No such post, or none that this token may see."""


#: What an answer's error code means, or its subcode (seven digits, outranks the code): {_GRAPH}/guides/error-handling.
#: Posts behind codes 1 and 2: github.com/facebookarchive/php-graph-sdk/issues/1141, github.com/arsduo/koala/issues/699
ANSWERS: Mapping[int, type[SendError]] = {
    **dict.fromkeys((1, 2), Unknown),
    **dict.fromkeys((4, 17, 32, 341, 613, 80001), Busy),  # throttles: app, user, Page, business, custom
    **dict.fromkeys((3, 10, *range(200, 300)), Misconfigured),  # a permission or capability is lacking
    **dict.fromkeys((102, 190), AuthFailed),  # whatever the subcode: a Page token can't be refreshed
    **dict.fromkeys((100, 368), Rejected),  # a wrong parameter; blocked by policy
    506: Duplicate,  # the same as the post before
    1390008: Busy,  # posting too fast; hours to days
    1404082: Duplicate,
    **dict.fromkeys((4854002, 1404078), AuthFailed),  # the Page must confirm its identity, or its right to publish
    1609005: Busy,  # the link could not be read: its page may not be out yet
    **dict.fromkeys((1609008, 1349125, 2061006), Rejected),  # an address or content that Facebook refuses
}
_GONE = (100, 33)
_NEEDED = ("pages_manage_posts", "pages_read_engagement")  # to publish; to read back
_FIELDS = "id,created_time,message,permalink_url,attachments{type,url,unshimmed_url}"
_SLACK = timedelta(minutes=2)  # created_time is Facebook's clock, in whole seconds; `since` is ours
_NEARLY_USED = 95.0  # per cent; calls made while throttled lengthen the block (_RATES), so we stop before
_AN_HOUR = 60.0  # minutes: the rolling window of X-App-Usage (_RATES), for when no estimate came


class FacebookOptions(NetworkOptions):
    """One Page."""

    page: str = Field(pattern=r"^[0-9]+$", description="The Page's numeric id.")
    token: SecretStr = Field(description="A Page access token with pages_manage_posts and pages_read_engagement.")
    app_id: str | None = Field(None, description="The app's id; with its secret, `check` tells scopes and expiry too.")
    app_secret: SecretStr | None = Field(None, description="The app's secret; each call then carries appsecret_proof.")
    version: str = Field("v26.0", pattern=r"^v\d+\.\d+$", description="Graph API version; each lives about two years.")
    two_phase: bool = Field(
        False,
        description="Make an unpublished post first, then publish it. Unproved: where in the feed it then appears is"
        " documented nowhere. Try it on a Page without readers.",
    )


class Facebook(Network):
    """A Page's feed. Absence from its list is no proof: ranked, in no promised order, empty without a permission."""

    name = "facebook"
    title = "Facebook Page"
    docs = "https://developers.facebook.com/docs/pages-api/posts"
    checked = date(2026, 11, 23)
    Options = FacebookOptions
    limits = Limits(
        size=63_206,
        unit=Unit.CHARACTERS,
        link_place=LinkPlace.CARD,
        auto_links="bare",
        mentions=False,  # @[page-id] needs a feature grant
        card=True,  # Facebook builds it, from the page behind the link
        sources={"size": "docs/networks.md (on no page of Meta's; the figure that publishing tools use)"},
    )
    can = Can(find=True, two_phase=True)

    def abilities(self) -> Can:
        return Can(find=True, two_phase=self.options.two_phase)

    def check(self) -> Identity:
        me = self._get("me", fields="id,name")
        if str(me.get("id")) != self.options.page:
            raise Misconfigured(
                f"The token speaks for {me.get('name')!r} (id {me.get('id')}), not for the Page {self.options.page}:"
                " take the Page's own token from /me/accounts."
            )
        scopes, ends = self._token_facts()
        return Identity(remote_id=self.options.page, name=str(me.get("name", "")), scopes=scopes, expires_at=ends)

    def render(self, post: Post) -> Payload:
        form = {"message": post.text, "link": post.link, "published": "false" if self.options.two_phase else None}
        body = urlencode({name: value for name, value in form.items() if value is not None})
        return Payload(body.encode("ascii"), post.text, post.link)

    def send(self, payload: Payload, key: str) -> Receipt | Pending:
        response = self._post(f"{self.options.page}/feed", payload.body)
        remote_id = object_in(response).get("id")
        if not isinstance(remote_id, str) or not remote_id:
            raise Unknown("The answer holds no id.", status=response.status, request_id=response.request_id)
        if "published" in parse_qs(payload.body.decode("ascii")):  # as frozen, whatever the option says now
            return Pending(remote_id)
        return Receipt(remote_id, _address(remote_id), busy_until=_rest_until(response))

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        for seen in self.recent(since):
            if _is_ours(seen, payload):
                return seen.receipt
        self.check()  # a token without its permission gets an empty list, no refusal
        return None

    def recent(self, since: datetime) -> Sequence[Seen]:
        page = self._get(f"{self.options.page}/published_posts", fields=_FIELDS, limit="100")
        posts = sorted((_seen(row) for row in page["data"]), key=lambda seen: seen.at, reverse=True)
        wanted = [seen for seen in posts if seen.at >= since - _SLACK]
        if "next" in page.get("paging", {}) and len(wanted) == len(posts):
            raise Unknown("The list of the Page's posts does not reach back far enough.")
        return wanted

    def poll(self, payload: Payload, key: str, container: str) -> Receipt | Pending | None:
        try:
            post = self._get(container, fields="id,is_published,permalink_url")
        except Gone:
            self.check()  # a token that lost its permission sees as little
            return None
        if post.get("is_published") is not True:
            return Pending(container)
        return Receipt(container, post.get("permalink_url") or _address(container))

    def finish(self, payload: Payload, key: str, container: str) -> Receipt | Pending:
        response = self._post(container, b"is_published=true")  # names the post, so that no second one can come of it
        if object_in(response).get("success") is not True:
            raise Unknown("The answer holds no success.", status=response.status, request_id=response.request_id)
        return Receipt(container, _address(container), busy_until=_rest_until(response))

    def meaning(self, response: Response) -> SendError | None:
        code, subcode = _error(response)
        if code is None or response.status >= 500:  # behind a 5xx a post may exist, whatever its code
            return None
        about: dict[str, Any] = {"status": response.status, "request_id": response.request_id}
        kind = ANSWERS.get(subcode if subcode > 1_000_000 else code) or ANSWERS.get(code, Unknown)
        if kind is Busy:
            about["until"] = _rest_until(response)
        return (Gone if (code, subcode) == _GONE else kind)(response.words(), **about)

    def _token_facts(self) -> tuple[tuple[str, ...], datetime | None]:
        """Scopes and end of the token, where the app's credentials are given. Refuses one that can't do the work."""
        app_id, secret = self.options.app_id, self.options.app_secret
        if app_id is None or secret is None:
            return (), None
        ours = self.options.token.get_secret_value()
        facts = self._get("debug_token", token=f"{app_id}|{secret.get_secret_value()}", input_token=ours)["data"]
        if not facts.get("is_valid"):
            raise AuthFailed("Facebook says that this token is no longer valid: make a new one for the Page.")
        scopes = tuple(facts.get("scopes", ()))
        if lacking := [scope for scope in _NEEDED if scope not in scopes]:
            raise Misconfigured(f"The token lacks {' and '.join(lacking)}: grant it to the app and make a new token.")
        ends = [facts.get(name) for name in ("expires_at", "data_access_expires_at")]  # 0 = never
        return scopes, min((datetime.fromtimestamp(end, UTC) for end in ends if end), default=None)

    def _get(self, path: str, *, token: str | None = None, **params: str) -> Mapping[str, Any]:
        """A read's JSON object. Trouble on Facebook's side is Busy whatever its code: a read changes nothing."""
        headers, proof = self._login(token)
        try:
            return object_in(self.read("GET", self._url(path), params={**params, **proof}, headers=headers))
        except Unknown as error:
            raise Busy(error.words, status=error.status, request_id=error.request_id) from error

    def _post(self, path: str, form: bytes) -> Response:
        headers, proof = self._login()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.judged(self.http.request("POST", self._url(path), params=proof, headers=headers, content=form))

    def _url(self, path: str) -> str:
        return f"{(self.options.base or 'https://graph.facebook.com').rstrip('/')}/{self.options.version}/{path}"

    def _login(self, token: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and parameters that show who we are. The token goes as a header (RFC 6750, 2.1): in an address or a
        form it would end in logs and in the ledger. Its HMAC goes along: {_GRAPH}/guides/secure-requests
        """
        token = token or self.options.token.get_secret_value()
        headers, secret = {"Authorization": f"Bearer {token}"}, self.options.app_secret
        if secret is None:
            return headers, {}
        proof = hmac.new(secret.get_secret_value().encode(), token.encode(), hashlib.sha256)
        return headers, {"appsecret_proof": proof.hexdigest()}


def _address(remote_id: str) -> str:
    return f"https://www.facebook.com/{remote_id}"


def _error(response: Response) -> tuple[int | None, int]:
    """Code and subcode (0 = none) of the error that an answer of any status holds; code None = it holds none."""
    try:
        error = response.json()["error"]
        return int(error["code"]), int(error.get("error_subcode") or 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, 0


def _usage(response: Response) -> Iterator[tuple[float, float]]:
    """Of each quota that the answer's headers tell of: per cent used, and minutes until access returns (_RATES)."""
    for name in ("x-app-usage", "x-business-use-case-usage"):
        try:
            header = json.loads(response.headers.get(name, "{}"))
            for row in [header] if name == "x-app-usage" else [row for rows in header.values() for row in rows]:
                used = max(float(row.get(part, 0)) for part in ("call_count", "total_time", "total_cputime"))
                yield used, float(row.get("estimated_time_to_regain_access", 0))
        except (ValueError, TypeError, AttributeError):
            continue  # a header that can't be read tells nothing


def _rest_until(response: Response) -> datetime | None:
    """Until when to rest, if a quota is used up or nearly so."""
    waits = [minutes or _AN_HOUR for used, minutes in _usage(response) if minutes or used >= _NEARLY_USED]
    return response.received_at + timedelta(minutes=max(waits)) if waits else None


def _seen(row: Mapping[str, Any]) -> Seen:
    """One published post. An attachment's `url` leads through l.facebook.com; `unshimmed_url` is the one we gave."""
    at = datetime.fromisoformat(row["created_time"])
    cards = row.get("attachments", {}).get("data", ())
    links = tuple(link for card in cards if (link := card.get("unshimmed_url") or card.get("url")))
    return Seen(
        Receipt(row["id"], row.get("permalink_url") or _address(row["id"]), at), links, row.get("message", ""), at
    )


def _is_ours(seen: Seen, payload: Payload) -> bool:
    """By the link; by the text only where no link is shown (there is none, or Facebook could build no card)."""
    if payload.link is None or not seen.links:
        return seen.text.strip() == payload.text.strip()
    return any(same_link(link, payload.link) for link in seen.links)
