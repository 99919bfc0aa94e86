"""What the contract suites send, when, and the answers that no documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.model import Card, Image, Limits, LinkPlace, Post, TagStyle
from bot.rules.text import fits, measure

NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
SINCE = datetime(2026, 3, 2, 9, 30, 30, tzinfo=UTC)
SAMPLE_KEY = "5a" * 32
SAMPLE_LINK = "https://www.example.com/news/harbour-bridge?utm_source=desk&utm_medium=social"
SAMPLE_HEADLINE = "Harbour bridge reopens after a 2-day “storm” closure 🌉"

#: Answers that no documentation has for a publish: each must end Unknown, after one request and no other.
UNEXPECTED: Mapping[str, Mapping[str, Any]] = {
    "drop": {"drop": True},
    "garbage": {"garbage": "220 smtp.example.com ESMTP\r\n"},
    "302": {"status": 302, "headers": {"Location": "{base}/elsewhere"}},
    "307": {"status": 307, "headers": {"Location": "{base}/elsewhere"}},
    "308": {"status": 308, "headers": {"Location": "{base}/elsewhere"}},
    "408": {"status": 408, "text": "Request Timeout"},
    "500": {"status": 500, "text": "<h1>Internal Server Error</h1>"},
    "502": {"status": 502, "text": "<h1>Bad Gateway</h1>"},
    "504": {"status": 504, "json": {"error": "upstream"}},
    "520": {"status": 520, "text": ""},
    "200 html": {"status": 200, "text": "<h1>Welcome</h1>"},
    "200 empty": {"status": 200, "text": ""},
    "200 list": {"status": 200, "json": []},
    "200 null": {"status": 200, "json": None},
    "200 object": {"status": 200, "json": {}},
    "200 wrong": {"status": 200, "json": {"id": None, "data": [], "uri": 7, "created_at": "soon"}},
    "204": {"status": 204, "text": ""},
}
#: Refusals whose bodies are not what the documentation shows: any SendError is right, any other exception is wrong.
STRANGE = [
    {"status": status, **body}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
    for body in ({"text": "<html>blocked</html>"}, {"json": ["no"]}, {"json": {"error": {"code": None}}}, {"json": 7})
]


def sample_post(limits: Limits, **changes: Any) -> Post:
    """The suite's post, composed as the limits say: link and tags in the text, in the card, or in their own fields."""
    tags = tuple(changes.pop("tags", ("HarbourBridge", "Storm"))) if limits.tag_style is not TagStyle.NONE else ()
    link = changes.pop("link", SAMPLE_LINK)
    headline = changes.pop("headline", SAMPLE_HEADLINE)
    image = Image("https://www.example.com/bridge.jpg", "The bridge at dawn", 1200, 630, "image/jpeg")
    parts = [headline]
    if link and limits.link_place is LinkPlace.TEXT:
        parts.append(link)
    if tags and limits.tag_style is TagStyle.INLINE:
        parts.append(" ".join(f"#{tag}" for tag in tags))
    text = "\n\n".join(parts)
    card = Card(link, headline, "Engineers found no damage to the piers.", image) if link and limits.card else None
    given: dict[str, Any] = {
        "account": "desk",
        "text": text,
        "link": link,
        "tags": tags,
        "card": card,
        "language": "en",
        "headline": headline,
        "article": "a2bridge4567",
        "delivery": "d2bridge4567",
        "created_at": datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC),
        "length": measure(text, limits),
    }
    return Post(**{**given, **changes})


def fitted(limits: Limits, headline: str, link: str | None, tags: tuple[str, ...]) -> Post:
    """A post cut to the limits, as compose would hand it over."""
    while True:
        post = sample_post(limits, headline=headline, link=link, tags=tags)
        if fits(post.text, limits) or not headline:
            return post
        headline = headline[: len(headline) * 3 // 4]
