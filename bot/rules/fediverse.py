"""A status of the fediverse, read: its HTML as the text and the links that it was posted with."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from bot.rules.text import links_in


def read_content(html: str) -> tuple[str, tuple[str, ...]]:
    """Text and links of a status's `content`. Mentions and hashtags are no links.

    A long link is shown in pieces, some hidden, but its address is whole (https://docs.joinmastodon.org/user/posting/);
    servers that send bare text have its links found in that.
    """
    content = _Content()
    content.feed(html)
    content.close()
    text = "".join(content.pieces).strip()
    return text, tuple(dict.fromkeys([*content.links, *(span.url for span in links_in(text, "scheme"))]))


def words_of(text: str) -> list[str]:
    """The words of a text, links left out: what stays the same when a server rewrites an address."""
    return re.sub(r"https?://\S+", " ", text).split()


class _Content(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "a" and named.get("href") and "mention" not in (named.get("class") or "").split():
            self.links.append(named["href"] or "")
        if tag == "br":
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.pieces.append("\n\n")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
