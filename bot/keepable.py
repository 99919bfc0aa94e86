"""What a network or a server says, as every store can keep it and give it back.

Their JSON may hold halves of surrogate pairs and NUL ("\\ud83d", "\\u0000"), which are no text to SQLite's driver or to
PostgreSQL, and times that name no instant. An outcome must not fail to be written for one character of its words.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def keepable_text(text: str) -> str: ...
@overload
def keepable_text(text: None) -> None: ...
def keepable_text(text: str | None) -> str | None:
    """The text, U+FFFD for what no store takes."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def keepable_time(at: datetime | None) -> datetime | None:
    """The instant; None for one without a zone, or beyond the years that there are."""
    if at is None or at.tzinfo is None:
        return None
    try:
        at.astimezone(UTC)
    except OverflowError:
        return None
    return at
