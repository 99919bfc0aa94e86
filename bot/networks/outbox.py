"""The outbox: a folder instead of a network. Each post is written there as it would look, and printed.

posts.jsonl    the truth: one post a line, only ever appended to and synced to the disk, found again by its key
index.html     the newest posts as a page, for people
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from pydantic import Field

from bot.errors import NotSent, Unknown
from bot.journal import Journal, JournalError
from bot.model import Identity, Limits, Payload, Post, Receipt, Seen, Unit
from bot.networks.base import Can, Network, NetworkOptions, card_object

_SHOWN = 50  # posts on the page: our choice, so that writing it costs the same on every day
# A post bears its delivery's time, which lies before the send: by a day at most, with the longest default freshness.
_LAG = timedelta(days=1)
_STYLE = """
body { max-width: 38rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; }
article { border: 1px solid #8a8a8a; border-radius: .5rem; padding: 1rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
header { color: #595959; font-size: .875rem; }
.text { white-space: pre-wrap; margin: .5rem 0; }
.card { display: block; border-left: .25rem solid #595959; padding-left: .75rem; color: inherit; }
"""
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


class OutboxOptions(NetworkOptions):
    """Where the posts go."""

    folder: Path = Field(Path("var/outbox"), description="The folder to write to; it is made if it is missing.")
    echo: bool = Field(True, description="Print each post as well.")


class Outbox(Network):
    """See the module's text."""

    name = "outbox"
    title = "Outbox"
    docs = "https://jsonlines.org/"
    checked = date(2026, 11, 24)
    Options = OutboxOptions
    limits = Limits(
        size=500, unit=Unit.GRAPHEMES, card=True, sources={"size": "docs/networks.md#outbox (our own choice)"}
    )
    can = Can(idempotent="permanent", find=True, link_card=True)
    absence_is_proof = True
    local = True

    def check(self) -> Identity:
        with self._opened():
            return Identity(remote_id=str(self._folder.resolve()), name=str(self._folder))

    def render(self, post: Post) -> Payload:
        body = {
            "account": post.account,
            "at": post.created_at.isoformat(),
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
        with self._opened() as journal:
            known = journal.find(key)
            if known is not None:
                return self._receipt(known)
            post = {"key": key, **json.loads(payload.body)}
            try:
                journal.append(post)
            except JournalError as error:
                raise (NotSent if error.nothing_written else Unknown)(str(error)) from error
            # The post is out from here on: what follows may fail and must not say otherwise.
            with suppress(OSError, ValueError):
                _write_page(self._folder, journal.newest(_SHOWN))
                if self.options.echo:
                    _echo(post)
            return self._receipt(post)

    def find(self, payload: Payload, key: str, since: datetime) -> Receipt | None:
        with self._opened() as journal:
            post = journal.find(key)
        return self._receipt(post) if post else None

    def recent(self, since: datetime) -> Sequence[Seen]:
        with self._opened() as journal:
            posts = journal.newest()
        found = [(datetime.fromisoformat(post["at"]), post) for post in posts]
        return [
            Seen(self._receipt(post), (post["link"],) if post["link"] else (), post["text"], at)
            for at, post in found
            if at >= since - _LAG
        ]

    # -- the folder -----------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return Path(self.options.folder)

    @contextmanager
    def _opened(self) -> Iterator[Journal]:
        """The posts, for this process alone. Raises NotSent if the folder can't be used."""
        try:
            journal = Journal(self._folder / "posts.jsonl")
        except JournalError as error:
            raise NotSent(str(error)) from error
        with closing(journal):
            yield journal

    def _receipt(self, post: Mapping[str, Any]) -> Receipt:
        mark = _mark(post["key"])
        return Receipt(mark, f"{(self._folder / 'index.html').resolve().as_uri()}#{mark}")


def _mark(key: str) -> str:
    return f"post-{key[:16]}"


# -- for people ---------------------------------------------------------------------------------------------------


def _write_page(folder: Path, posts: Sequence[Mapping[str, Any]]) -> None:
    """index.html, replaced in one step, so that a reader never sees half of it."""
    fresh = folder / "index.html.new"
    fresh.write_text(
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Outbox</title>\n<style>{_STYLE}</style>\n<h1>Outbox</h1>\n<main>\n"
        + "".join(_shown(post) for post in posts)
        + "</main>\n</html>\n",
        encoding="utf-8",
    )
    fresh.replace(folder / "index.html")


def _shown(post: Mapping[str, Any]) -> str:
    """One post as HTML: everything in it is text, and only http(s) addresses become links."""
    made, card = escape(str(post["at"])), post.get("card")
    parts = [
        f'<article id="{escape(_mark(post["key"]))}" lang="{escape(post.get("language") or "")}">',
        f"<header>{escape(post.get('account') or '')} · {made[:16].replace('T', ' ')} UTC</header>",
        f"<p><strong>{escape(post['warning'])}</strong></p>" if post.get("warning") else "",
        f'<p class="text">{escape(post["text"])}</p>',
    ]
    link = card["link"] if card else post.get("link")
    if link and link.startswith(("https://", "http://")):
        title, about = (card["title"], card["description"]) if card else (link, "")
        alt = f"<br><em>[{escape(card['alt'] or card['image'])}]</em>" if card and card.get("image") else ""
        parts.append(
            f'<a class="card" rel="noopener noreferrer" href="{escape(link)}"><strong>{escape(title)}</strong>'
            f"<br>{escape(about)}{alt}<br><small>{escape(link)}</small></a>"
        )
    return "\n".join(part for part in parts if part) + "\n</article>\n"


def _echo(post: Mapping[str, Any]) -> None:
    """Print a post. Control characters are left out: a headline must not be able to move the cursor."""
    text = "".join(char for char in post["text"] if char == "\n" or char.isprintable())
    body = text.replace("\n", "\n  ")
    shown = f"-- {post['at'][:16].replace('T', ' ')} UTC  {post['account']}\n  {body}\n"
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(shown.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
