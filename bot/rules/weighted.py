"""Links and length as X counts them (twitter-text 3, configuration 3), and links as Mastodon's fork of it finds them.

Facts: https://github.com/twitter/twitter-text (config/v3.json, conformance/*.yml, js/src/regexp; last changed 2021) and
https://github.com/mastodon/mastodon/blob/main/config/initializers/twitter_regex.rb. The rules are written anew on code
points; tests/unit/data/x_weights.json holds what npm twitter-text 3.1.0 says of our own strings. Three things differ
from that package on purpose: top-level domains are today's (its list is of 2020); a letter's case is not folded by
JavaScript's upper-casing (which takes a Greek iota for a combining mark); and an emoji is one character, not two halves
of which the second may begin a domain ("$😀.co.uk").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import regex

#: config/v3.json: what a link counts, in whole units.
LINK_WEIGHT = 23
#: config/v3.json: code points that count one; all others count two.
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
#: js/src/extractUrlsWithIndices.js: the longest URL, the longest t.co slug; RFC 1035 2.3.4: the longest label,
#: and the most labels in 253 characters (which bounds the time for "a.a.a. …").
_MAX_URL, _MAX_SLUG, _MAX_LABEL, _MAX_LABELS = 4096, 40, 63, 126
#: A text with one of these is refused (js/src/regexp/invalidCharsGroup.js).
FORBIDDEN = "\ufffe\ufeff\uffff"


@dataclass(frozen=True, slots=True)
class Span:
    """A link in a text: code point offsets, end not included, and the address as it stands there."""

    start: int
    end: int
    url: str


# -- top-level domains --------------------------------------------------------------------------------------------


@cache
def top_level_domains() -> frozenset[str]:
    """Every top-level domain in the ICANN part of the public suffix list, in Unicode and lower case."""
    listed = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8")
    rules = listed.partition("===END ICANN DOMAINS===")[0].splitlines()
    return frozenset(rule.rpartition(".")[2].strip("!*").lower() for rule in rules if rule and rule[:2] != "//")


def _alternatives(words: Iterable[str]) -> str:
    """A pattern that matches exactly these words, the longest first, as a trie (1,450 names in a row are slow)."""
    heads: dict[str, list[str]] = {}
    for word in words:
        heads.setdefault(word[:1], []).append(word[1:])
    ends_here = heads.pop("", None) is not None
    branches = [regex.escape(head) + _alternatives(tails) for head, tails in sorted(heads.items())]
    if not branches:
        return ""
    inner = branches[0] if len(branches) == 1 and not ends_here else f"(?:{'|'.join(branches)})"
    return f"{inner}?" if ends_here else inner


# -- the grammar of links -----------------------------------------------------------------------------------------

_MARKS = r"\u202A-\u202E\u061C\u200E\u200F\u2066-\u2069"
_SPACES = r"\x09-\x0D\x20\x85\xA0\u1680\u180E\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
_LATIN = (
    r"\xC0-\xD6\xD8-\xF6\xF8-\u024F\u0253\u0254\u0256\u0257\u0259\u025B\u0263\u0268\u026F\u0272\u0289\u028B\u02BB"
    r"\u0300-\u036F\u1E00-\u1EFF"
)
_NO_LABEL = r"!'#%&()*+,\\./:;<=>?@\[\]^{|}~$" + _SPACES + FORBIDDEN + _MARKS
_LETTER = rf"[^\-_{_NO_LABEL}]"
_BEFORE = rf"(?:[^A-Za-z0-9@＠$#＃{FORBIDDEN}]|[{_MARKS}]|^)"
_PUNYCODE = r"(?i:xn--[\-0-9a-z]+)"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What may stand in the path and the query of a link, and what may end them."""

    path: str
    path_end: str
    directory: str
    query: str
    query_end: str


_X = _Dialect(
    path=rf"[A-Za-z\u0400-\u04FF0-9!*';:=+,.$/%#\[\]\-\u2013_~@|&{_LATIN}]",
    path_end=rf"[+\-A-Za-z\u0400-\u04FF0-9=_#/{_LATIN}]",
    directory="@",
    query=r"[A-Za-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]",
    query_end=r"[A-Za-z0-9\-_&=#/]",
)
_MASTODON = _Dialect(
    path=r"[^\s<>()?]",
    path_end=r"[^\s()?!*\"'「」<>;:=,.$%\[\]~&|@]",
    directory="",
    query=r"[A-Za-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@^\xA0-\uD7FF\uE000-\U0010FFFD]",
    query_end=r"[A-Za-z0-9_&=#/\-\xA0-\uD7FF\uE000-\U0010FFFD]",
)


@cache
def _tail() -> str:
    return rf"(?:(?:(?i:{_alternatives(top_level_domains())}))(?=[^0-9a-zA-Z@+\-]|$)|{_PUNYCODE})"


@cache
def _pattern(dialect: _Dialect) -> regex.Pattern[str]:
    label = rf"{_LETTER}(?:[^{_NO_LABEL}]*{_LETTER})?\."
    name = rf"{_LETTER}(?:(?:-|{_LETTER})*{_LETTER})?\."
    inside = rf"\((?:{dialect.path}+|{dialect.path}*\({dialect.path}+\){dialect.path}*)\)"
    piece = (
        rf"(?:{dialect.path}*(?:{inside}{dialect.path}*)*(?:{dialect.path_end}|{inside})"
        rf"|{dialect.directory}{dialect.path}+/)"
    )
    return regex.compile(
        rf"(?P<before>{_BEFORE})(?P<url>(?P<scheme>(?i:https?)://)?(?P<domain>(?:{label}){{0,{_MAX_LABELS}}}{name}{_tail()})"
        rf"(?::[0-9]+)?(?P<path>/{piece}*)?(?:\?{dialect.query}*{dialect.query_end})?)"
    )


@cache
def _ascii_domain() -> regex.Pattern[str]:
    return regex.compile(rf"(?:[\-A-Za-z0-9{_LATIN}]+\.)+{_tail()}")


@cache
def _tco() -> regex.Pattern[str]:
    return regex.compile(rf"(?i:https?://t\.co/)(?P<slug>[A-Za-z0-9]+)(?:\?{_X.query}*{_X.query_end})?")


def _real(match: regex.Match[str]) -> bool:
    """Could a resolver be asked for this domain, and is the address of a bearable length?"""
    domain = match["domain"]
    if domain.startswith("xn--") and not _ascii_domain().search(domain):
        return False
    if len(match["url"]) + (0 if match["scheme"] else len("https://")) > _MAX_URL:
        return False
    return all(0 < _encoded_length(label) <= _MAX_LABEL for label in domain.split("."))


def _encoded_length(label: str) -> int:
    if label.isascii() or len(label) > _MAX_LABEL:
        return len(label)
    return len("xn--") + len(label.encode("punycode"))


def _bare(match: regex.Match[str]) -> Iterator[Span]:
    """X links the ASCII domains in a run of letters; a path belongs to the last of them."""
    if match["before"][-1:] in ("-", "_", ".", "/"):
        return
    offset, domain = match.start("domain"), match["domain"]
    found = [(offset + part.start(), offset + part.end()) for part in _ascii_domain().finditer(domain)]
    for number, (start, end) in enumerate(found, 1):
        path = match.string[match.end("domain") : match.end("url")] if number == len(found) and match["path"] else ""
        yield Span(start, match.end("url") if path else end, match.string[start:end] + path)


def _full(match: regex.Match[str]) -> Iterator[Span]:
    """An address with its scheme; t.co takes no further path."""
    start, end, url = match.start("url"), match.end("url"), match["url"]
    short = _tco().match(url)
    if short is not None:
        if len(short["slug"]) > _MAX_SLUG:
            return
        url, end = short[0], start + short.end()
    yield Span(start, end, url)


def x_links(text: str) -> list[Span]:
    """What X turns into links: addresses, and bare domains under a real top-level domain."""
    return list(_links(text, _X, bare=True))


def mastodon_links(text: str) -> list[Span]:
    """What Mastodon turns into links: http(s) addresses under a real top-level domain, any letter in their path."""
    return list(_links(text, _MASTODON, bare=False))


@lru_cache(maxsize=64)  # a text is asked whether it fits, then how long it is, then what it costs
def _links(text: str, dialect: _Dialect, *, bare: bool) -> tuple[Span, ...]:
    if "." not in text or not (bare or "://" in text):
        return ()
    spans: list[Span] = []
    for match in _pattern(dialect).finditer(text):
        if not _real(match):
            continue
        if match["scheme"]:
            spans.extend(_full(match))
        elif bare:
            spans.extend(_bare(match))
    return tuple(spans)


# -- weight -------------------------------------------------------------------------------------------------------

_SKIN = "[\U0001f3fb-\U0001f3ff]"
_SEX = "\u200d[\u2640\u2642]\ufe0f"
_CHILDREN = "(?:👧\u200d[👦👧]|👦\u200d👦|[👦👧])"
#: Text characters that U+FE0F turns into an emoji: those of Unicode 11, as the package knows them.
_TEXT_EMOJI = (
    r"[[\p{Emoji}--\p{Emoji_Presentation}--[#*0-9\u267e\u26a7]]"
    r"\u231a\u231b\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26d4"
    r"\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2757\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f21a\U0001f22f]"
)
#: What takes a skin tone there (later Unicode versions added hands, holding people and pregnant persons).
_SKINNED = r"[[\p{Emoji_Modifier_Base}\u26f7]--[👪-👭👯💏💑🤌🤏🤝🤼🥷🦻\U0001f9cd-\U0001f9cf\U0001fac3-\U0001faff]]"
#: Regions with a flag (ISO 3166-1 and the reserved codes that Unicode adds): first letter, then every second one.
_FLAGS = (
    "Acdefgilmoqrstuwxz Babdefghijlmnoqrstvwyz Cacdfghiklmnopruvwxyz Degjkmoz Eaceghrstu Fijkmor "
    "Gabdefghilmnpqrstuwy Hkmnrtu Icdelmnoqrst Jemop Keghimnprwyz Labcikrstuvy Macdefghklmnopqrstuvwxyz "
    "Nacefgilopruz Om Paefghklmnrstwy Qa Reosuw Sabcdeghijklmnorstvxyz Tacdfghjklmnortvwz Uagmnsyz "
    "Vaceginu Wfs Xk Yet Zamw"
)


def _letters(code: str) -> str:
    """The tag characters that spell a region's code in a flag."""
    return "".join(chr(0xE0000 + ord(letter)) for letter in code)


def _flags() -> str:
    """Two regional indicators that are a flag."""
    letter = {chr(ord("a") + place): chr(0x1F1E6 + place) for place in range(26)}
    return "|".join(
        f"{letter[group[0].lower()]}[{''.join(letter[second] for second in group[1:])}]" for group in _FLAGS.split()
    )


@cache
def _emoji() -> regex.Pattern[str]:
    """Sequences that count as one emoji. A later sequence counts by its parts: never less than X counts."""
    return regex.compile("|".join(_EMOJI), regex.V1)


_EMOJI = (
    f"[👨👩]{_SKIN}?\u200d(?:[\u2695\u2696\u2708]\ufe0f|[🌾🍳🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒\U0001f9b0-\U0001f9b3])",
    f"[🏋🏌🕴🕵\u26f9](?:{_SKIN}|\ufe0f){_SEX}",
    f"[🏃🏄🏊👮👱👳👷💁💂💆💇🙅-🙇🙋🙍🙎🚣🚴-🚶🤦🤵🤷-🤹🤽🤾🦸🦹\U0001f9d6-\U0001f9dd]{_SKIN}?{_SEX}",
    f"[👯🤼🧞🧟]{_SEX}",
    "(?:👨\u200d❤\ufe0f\u200d(?:💋\u200d)?👨|👩\u200d❤\ufe0f\u200d(?:💋\u200d)?[👨👩])",
    f"(?:👨\u200d[👨👩]|👩\u200d👩|👨|👩)\u200d{_CHILDREN}",
    "🏳\ufe0f\u200d🌈|🏴\u200d☠\ufe0f|👁\u200d🗨",
    "[#*0-9]\ufe0f?\u20e3",
    f"[🏋🏌🕴🕵🖐☝⛷⛹✌✍]\ufe0f?{_SKIN}",
    f"{_TEXT_EMOJI}\ufe0f",
    f"{_SKINNED}{_SKIN}",
    f"🏴{_letters('gb')}(?:{_letters('eng')}|{_letters('sct')}|{_letters('wls')})\U000e007f",
    _flags(),
)


def weighted_length(text: str, link: int = LINK_WEIGHT) -> int:
    """X's weighted length: NFC, each link `link`, each emoji sequence 2, each other code point 1 or 2."""
    text = unicodedata.normalize("NFC", text)
    total = last = 0
    for span in x_links(text):
        total += _weight(text[last : span.start]) + link
        last = span.start + len(span.url)  # not its end: X skips the linked address, which may leave letters out
    return total + _weight(text[last:])


def _weight(text: str) -> int:
    if text.isascii() and "\u20e3" not in text:
        return len(text)
    rest, sequences = _emoji().subn("", text)
    return 2 * int(sequences) + sum(_light(ord(char)) or 2 for char in rest)


def _light(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _LIGHT) else 0
