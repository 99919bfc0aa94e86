"""How long a text is to a network, where its links are, how it is cut, and how mixed directions stay in order.

Pure, and the only place that counts: compose, the networks and the console ask here. Graphemes are Unicode extended
clusters (UAX 29) by `regex`, which agree with Intl.Segmenter and Ruby's `each_grapheme_cluster`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import regex

from bot.model import Limits, Unit
from bot.rules.weighted import FORBIDDEN, LINK_WEIGHT, Span, mastodon_links, weighted_length, x_links

__all__ = ["ELLIPSIS", "Span", "cut", "fits", "graphemes", "isolate", "links_in", "measure", "over", "right_to_left"]

ELLIPSIS = "…"

# -- length -------------------------------------------------------------------------------------------------------

_CLUSTER = regex.compile(r"\X")
#: Mastodon counts `@user@domain` as `@user` (https://docs.joinmastodon.org/user/posting/#mentions).
_REMOTE_MENTION = regex.compile(r"(?<![=/\w])(@[A-Za-z0-9_]+(?:[.-]+[A-Za-z0-9_]+)*)@\w+(?:[.-]+\w+)*")


def graphemes(text: str) -> list[str]:
    """The extended grapheme clusters, in order."""
    return [match[0] for match in _CLUSTER.finditer(text)]


def links_in(text: str, auto_links: str) -> list[Span]:
    """What a network turns into links by itself, in order.

    "bare": as X does (addresses, and bare domains under a real top-level domain); "scheme": http(s) addresses as
    Mastodon finds them (a closing full stop, comma, quote or unbalanced bracket stays outside); "none": nothing.
    """
    if auto_links == "bare":
        return x_links(text)
    return mastodon_links(text) if auto_links == "scheme" else []


def measure(text: str, limits: Limits) -> int:
    """The length in `limits.unit`, as that network counts it; a detected link costs `limits.link_cost`, if set."""
    if limits.unit is Unit.WEIGHTED:
        return weighted_length(text, LINK_WEIGHT if limits.link_cost is None else limits.link_cost)
    if limits.link_cost is None:
        return _count(text, limits.unit)
    total = last = 0
    for span in links_in(text, limits.auto_links):
        total += _count(_local(text[last : span.start]), limits.unit) + limits.link_cost
        last = span.end
    return total + _count(_local(text[last:]), limits.unit)


def _local(text: str) -> str:
    return _REMOTE_MENTION.sub(r"\1", text) if "@" in text else text


def _count(text: str, unit: Unit) -> int:
    if unit is Unit.GRAPHEMES:
        return len(text) - text.count("\r\n") if text.isascii() else len(graphemes(text))
    if unit is Unit.UTF16:
        return len(text) + sum(char > "\uffff" for char in text)
    if unit is Unit.BYTES:
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text)


def over(text: str, limits: Limits) -> int:
    """By how much the text is too long, 0 if it fits: units above the size or bytes above `max_bytes`, the larger.

    A character that X refuses in any post counts as one too many.
    """
    excess = max(measure(text, limits) - limits.size, 0)
    if limits.max_bytes is not None:
        excess = max(excess, _count(text, Unit.BYTES) - limits.max_bytes)
    if limits.unit is Unit.WEIGHTED and not excess:
        return int(any(char in text for char in FORBIDDEN))
    return excess


def fits(text: str, limits: Limits) -> bool:
    """Would the network take a text of this length?"""
    return over(text, limits) == 0


# -- cutting ------------------------------------------------------------------------------------------------------

#: Scripts written without spaces between words: a line may end, and a text be cut, after any grapheme.
_UNSPACED = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
    r"\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}\p{Script=Balinese}\p{Block=CJK_Symbols_And_Punctuation}"
    r"\p{Block=Halfwidth_And_Fullwidth_Forms}]",
    regex.V1,
)
_WHOLE = regex.compile(r"(?<!\w)[#＃]\w[\w·]*|[@＠]\w[\w.\-]*(?:@[\w.\-]+)?|[\w.+\-]+@\w[\w.\-]*")
#: What must not stand before an ellipsis: white space, a comma or dash that now joins nothing, what only opens.
_DANGLING = regex.compile(r"[\s\p{Ps}\p{Pi}\p{Pd},;:.…/|&+·•،؛、，；：。‚„“\"'#@]+\Z")


def cut(text: str, room: Callable[[str], bool]) -> str:
    """The longest beginning of `text` that `room` takes, with one ellipsis; the text itself if that fits; else "".

    It ends at white space, or between graphemes in scripts without spaces (and anywhere between graphemes if not even
    one word fits); never inside a grapheme, link, mail address, tag or mention. A quotation that the cut leaves open is
    closed, or left out where nothing of it would remain. `room` must take a text if it takes a longer beginning of it.
    """
    if room(text):
        return text
    ends = _ends(text)
    quotes = _quotations(text)
    words = [end for end in ends if _between_words(text, end)]
    for places in (words, ends):
        best = bisect_right(
            range(len(places)), False, key=lambda place: not room(_shortened(text, places[place], quotes))
        )
        while best:  # a link that comes into being at the cut may make a shorter text the longer one
            candidate = _shortened(text, places[best - 1], quotes)
            if candidate != ELLIPSIS and room(candidate):
                return candidate
            best -= 1
    return ELLIPSIS if room(ELLIPSIS) else ""


def _ends(text: str) -> list[int]:
    """Where a beginning may end: after each grapheme that is not inside something whole."""
    spans = [(span.start, span.end) for span in (*mastodon_links(text), *x_links(text))]
    spans += [match.span() for match in _WHOLE.finditer(text)]
    inside = {place for start, end in spans for place in range(start + 1, end)}
    return [match.end() for match in _CLUSTER.finditer(text) if match.end() not in inside and match.end() < len(text)]


def _between_words(text: str, end: int) -> bool:
    before, after = text[end - 1], text[end]
    return after.isspace() or bool(_UNSPACED.match(before) or _UNSPACED.match(after))


def _shortened(text: str, end: int, quotes: Sequence[tuple[int, int, str]]) -> str:
    head = text[:end]
    opened = {start for start, _, _ in quotes}
    while head:
        match = _DANGLING.search(head)
        if match is not None and not _closes(match, quotes):
            head = head[: match.start()]
        elif len(head) - 1 in opened:
            head = head[:-1]
        else:
            break
    closing = "".join(mark for start, stop, mark in reversed(quotes) if start < len(head) <= stop)
    glued = any(
        span.end == len(head) for span in mastodon_links(head)
    )  # Mastodon would take the ellipsis into the link
    return head + (" " if glued else "") + ELLIPSIS + closing


def _closes(match: regex.Match[str], quotes: Sequence[tuple[int, int, str]]) -> bool:
    """Does what looks dangling end a quotation (“ closes „, \" closes \")?"""
    return any(match.start() <= stop < match.end() for _, stop, _ in quotes)


#: What closes a quotation, by what opened it; German, French, Danish and Japanese ways included.
_CLOSING = {
    "“": "”",
    "„": "“”",
    "‟": "”",
    "‘": "’",
    "‚": "‘’",
    "«": "»",
    "»": "«»",
    "‹": "›",
    "›": "‹›",
    "”": "”",
    '"': '"',
    "'": "'",
    "「": "」",
    "『": "』",
    "《": "》",
    "〈": "〉",
    "〝": "〞〟",
}


def _quotations(text: str) -> list[tuple[int, int, str]]:
    """Each quotation that the text opens and closes: offset of its opening mark, of its closing one, and how it closes.

    An apostrophe inside a word is none; a mark that is never closed (inches, '90s) is none.
    """
    found: list[tuple[int, int, str]] = []
    waiting: list[tuple[int, str]] = []
    for place, mark in enumerate(text):
        if mark in "’'" and _inside_word(text, place):
            continue
        level = next((at for at in range(len(waiting) - 1, -1, -1) if mark in _CLOSING[waiting[at][1]]), None)
        if level is not None and not _only_opens(text, place):
            start, opened = waiting[level]
            del waiting[level:]
            spaced = text[start + 1] if opened in "«»‹›" and text[start + 1].isspace() else ""
            found.append((start, place, spaced + mark))
        elif mark in _CLOSING and _may_open(text, place):
            waiting.append((place, mark))
    return sorted(found)


def _inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) - 1 and text[place - 1].isalnum() and text[place + 1].isalnum()


def _only_opens(text: str, place: int) -> bool:
    """A mark used for both (\" ' » ” “) that follows a space and precedes a letter opens."""
    return text[place] in "\"'»›”“‘" and (
        place > 0 and text[place - 1] == " " and text[place + 1 : place + 2].isalnum()
    )


def _may_open(text: str, place: int) -> bool:
    if text[place] in "\"'»›”“‘":
        return (place == 0 or not text[place - 1].isalnum()) and not text[place + 1 : place + 2].isspace()
    return place + 1 < len(text)


# -- direction ----------------------------------------------------------------------------------------------------

_STRONG = regex.compile(r"(?P<right>[\p{Bidi_Class=R}\p{Bidi_Class=AL}])|\p{Bidi_Class=L}")
_FIRST_STRONG, _POP = "\u2068", "\u2069"


def right_to_left(text: str) -> bool:
    """Is the first letter with a direction one that runs from right to left (UAX 9, P2 and P3)?"""
    match = _STRONG.search(text)
    return match is not None and match["right"] is not None


def isolate(text: str, parts: Sequence[str], *, headline: str | None = None) -> str:
    """The text with each of `parts` (link, tags as spelled) in first-strong isolates, if the headline runs to the left.

    Otherwise the text as it is. A link's isolate is closed after a space: Mastodon would take the mark into the link.
    The marks count in every unit (4 of X's units a pair), so measure what comes out. Twice isolated is once isolated.
    """
    if not right_to_left(text if headline is None else headline):
        return text
    for part in sorted({part for part in parts if part}, key=len, reverse=True):
        pattern = rf"(?<![\w{_FIRST_STRONG}]){regex.escape(part)}(?!\w)"
        close = " " + _POP if "://" in part else _POP
        text = regex.sub(pattern, lambda match, close=close: _FIRST_STRONG + match[0] + close, text)
    return text
