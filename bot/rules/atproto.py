"""Forms of the AT Protocol that are pure: keys of records, ranges of rich text in UTF-8 bytes, posts as records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.errors import Unknown
from bot.model import Receipt, Seen
from bot.rules.text import graphemes, links_in

#: The collection that posts are kept in.
POSTS = "app.bsky.feed.post"
#: A tag's most bytes and graphemes:
#: https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/richtext/facet.json
_TAG_BYTES, _TAG_GRAPHEMES = 640, 64
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"


def facets_of(text: str, tags: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The links and the given tags that stand in the text, by their ranges in UTF-8 bytes; in order, none overlapping.

    The server takes wrong ranges and the apps drop them in silence, so each is checked here against the bytes.
    """
    whole = text.encode()
    spans: list[tuple[int, int, dict[str, str]]] = [
        (span.start, span.end, {"$type": "app.bsky.richtext.facet#link", "uri": span.url})
        for span in links_in(text, "scheme")
    ]
    for name in (tag.removeprefix("#") for tag in tags):
        if name and len(name.encode()) <= _TAG_BYTES and len(graphemes(name)) <= _TAG_GRAPHEMES:
            places = re.finditer(rf"(?<![\w#/])#{re.escape(name)}(?!\w)", text)
            spans += [(at.start(), at.end(), {"$type": "app.bsky.richtext.facet#tag", "tag": name}) for at in places]
    done = 0
    for start, end, feature in sorted(spans, key=lambda span: (span[0], -span[1])):
        first, last = len(text[:start].encode()), len(text[:end].encode())
        if start >= done and whole[first:last].decode() == text[start:end]:
            yield {"index": {"byteStart": first, "byteEnd": last}, "features": [feature]}
            done = end


def tid(moment: datetime, low_bits: int) -> str:
    """A moment's whole second plus 30 bits as a TID: 53 bits of microseconds, 10 of clock id, sortable base32
    (https://atproto.com/specs/tid). The upper 20 of the 30 bits stand for the microseconds."""
    micros = int(moment.timestamp()) * 1_000_000 + (low_bits >> 10) % 1_000_000
    number = micros << 10 | low_bits & 1023
    return "".join(_SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))


def record_key(made: datetime, delivery: str) -> str:
    """The key of a delivery's record, always the same.

    Many deliveries are made in one microsecond, so below the second it is a digest of the delivery's id (30 bits): two
    of 1,000 made for one account in one second fall together once in 2,000 times, and a look-up then tells them apart.
    """
    digest = int.from_bytes(hashlib.sha256(delivery.encode()).digest()[:4], "big")
    return tid(made, digest & 0x3FFFFFFF)


def home_in(session: Mapping[str, Any]) -> dict[str, str]:
    """{"pds": address} of the account's own server, if the session's DID document names it.

    See https://atproto.com/specs/did#did-documents.
    """
    try:
        services = session["didDoc"]["service"]
        found = [str(each["serviceEndpoint"]) for each in services if each["id"].endswith("#atproto_pds")]
    except (LookupError, TypeError, AttributeError):
        return {}
    return {"pds": found[0]} if found and found[0].startswith("https://") else {}


def receipt_of(uri: object, at: datetime | None = None) -> Receipt:
    """The proof in a record's address. Raises Unknown if it is no post's."""
    found = re.fullmatch(rf"at://([^/]+)/{re.escape(POSTS)}/([^/]+)", str(uri))
    if found is None:
        raise Unknown("The answer names no post.")
    return Receipt(found[0], f"https://bsky.app/profile/{found[1]}/post/{found[2]}", at)


def post_in(record: Any) -> Seen:
    """A record as the server lists it. Raises Unknown if it is no post."""
    try:
        value = record["value"]
        links = [feature.get("uri") for facet in value.get("facets", ()) for feature in facet["features"]]
        if "external" in value.get("embed", {}):
            links.insert(0, value["embed"]["external"]["uri"])
        at = datetime.fromisoformat(value["createdAt"])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return Seen(receipt_of(record["uri"], at), tuple(filter(None, links)), str(value["text"]), at)
    except (LookupError, TypeError, AttributeError, ValueError):
        raise Unknown("The answer holds no post.") from None
