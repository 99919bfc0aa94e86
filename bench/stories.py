"""The articles of the measurements: headlines that share few words, dated a second apart; as a feed or as files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

_WORDS = (
    "rail", "strike", "court", "levy", "storm", "coastal", "road", "mayor", "harbour", "bridge", "library",
    "telescope", "baker", "tax", "glacier", "museum", "sketch", "ferry", "service", "teacher", "offer", "port",
    "oak", "chess", "club", "title", "dairy", "price", "orchestra", "island", "vaccine", "trial", "stadium", "roof",
    "otter", "canal", "census", "snow", "printer", "fine", "choir", "cave", "budget", "vote", "school", "meal",
    "hospital", "wing", "nurse", "pay", "river", "flood", "warning", "police", "inquiry", "report", "leak",
    "minister", "deputy", "resigns", "returns", "opens", "closes", "doubles", "halves", "delays", "approves",
    "rejects", "wins", "loses", "seeks", "finds", "bans", "backs", "drops", "raises", "cuts", "plans", "reviews",
    "after", "before", "over", "under", "against",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """One article: its number tells its place in the order of publication, its headline ends with it."""

    number: int
    headline: str
    link: str
    published_at: datetime


def stories(number: int, newest: datetime, seed: int = 1) -> list[Story]:
    """So many stories, oldest first, the same for the same seed."""
    draw = random.Random(seed)
    found = []
    for index in range(number):
        words = " ".join(draw.sample(_WORDS, 7))
        at = newest - timedelta(seconds=number - 1 - index)
        link = f"https://www.example.com/news/{at:%Y/%m/%d}/{seed}-{index}"
        found.append(Story(index, f"{words.capitalize()}, {seed}-{index}", link, at))
    return found


def as_feed(shown: Sequence[Story]) -> bytes:
    """An RSS document, newest first, as a CMS makes it."""
    items = "".join(
        f"<item><title>{escape(one.headline)}</title><link>{one.link}</link>"
        f'<guid isPermaLink="false">story-{one.link.rpartition("/")[2]}</guid>'
        f"<pubDate>{format_datetime(one.published_at)}</pubDate>"
        f"<category>city</category><description>{escape(one.headline)}: what happened.</description>"
        "</item>\n"
        for one in reversed(shown)
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Daily Example</title>'
    return f"{head}<link>https://www.example.com/</link>\n{items}</channel></rss>".encode()


def as_file(folder: Path, story: Story) -> Path:
    """One Markdown file, put in place whole, as a CMS's export does."""
    path = folder / f"{story.link.rpartition('/')[2]}.md"
    page = f"---\ntitle: {story.headline}\nlink: {story.link}\ndate: {story.published_at.isoformat()}\n---\nText.\n"
    draft = folder / f".{path.name}.part"
    draft.write_text(page)
    draft.rename(path)
    return path
