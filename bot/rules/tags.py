"""Tags: which an article gets, how they are spelled, and how signs in a headline are kept from becoming some.

A tag is spelled so that every network reads it as one: letters, marks, digits and underscore, one letter at least
(X: twitter-text; Mastodon: its HASHTAG_NAME_PAT; Bluesky: at most 64 graphemes).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

import regex

from bot.model import Article, Limits, TagStyle
from bot.rules.editorial import TagRules
from bot.rules.text import links_in

#: How many tags a post gets where the newsroom says nothing.
_DEFAULT_MAX = 2
#: app.bsky.richtext.facet#tag: maxGraphemes 64 (https://github.com/bluesky-social/atproto/tree/main/lexicons).
_LONGEST = 64

_STOP_WORDS = """
    uncategorized uncategorised uncategorizable allgemein unkategorisiert nonclassé nonclasse sincategoría
    sincategoria senzacategoria semcategoria безрубрики безкатегории geencategorie okategoriserade
    ikkekategoriseret блог blog blogs news nachrichten noticias actualités actualites notizie nieuws featured
    feature featuredpost general generale général misc miscellaneous other others various home homepage
    frontpage topstory topstories top headlines headline latest latestnews breaking breakingnews trending
    popular mostread editorspick editorspicks slider sticky post posts article articles artikel article story
    stories archive archives default none null test update updates wire newswire pressrelease premium free
    public all
"""
#: Categories that say nothing about an article: defaults of publishing systems and names of places on a page.
STOP_LIST = frozenset(_STOP_WORDS.split())

# -- spelling -----------------------------------------------------------------------------------------------------

#: Names that live by their signs.
_SIGNS = {"c++": "Cpp", "c#": "CSharp", "f#": "FSharp", ".net": "DotNet", "g++": "Gpp", "notepad++": "NotepadPlusPlus"}
_PIECE = regex.compile(r"[\p{L}\p{M}\p{Nd}]+")
_CLOSE = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]")


@lru_cache(maxsize=4096)  # a house uses the same few hundred over and over
def spell_tag(text: str) -> str | None:
    """The text as one tag, without its sign, or None if none can be made.

    Words are joined in CamelCase ("auto-hébergement" → AutoHébergement, "U.S." → US); scripts without capitals by an
    underscore, Chinese, Japanese and Thai by nothing. None without a letter ("2024"), or over 64 characters.
    """
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("#＃")
    plain = _SIGNS.get(plain.casefold(), plain)
    plain = regex.sub(r"[\u200B-\u200D\u2060\u00AD]", "", plain)
    plain = regex.sub(r"(?<=\p{L})['’](?=s\b)", "", plain)  # women's → womens
    pieces = _PIECE.findall(plain)
    tag = ""
    for piece in pieces:
        tag += ("_" if tag and _needs_joint(tag[-1], piece[0]) else "") + _capital(piece)
    return tag if regex.search(r"\p{L}", tag) and len(tag) <= _LONGEST else None


def _needs_joint(before: str, after: str) -> bool:
    """Two words of which no capital shows where the second begins, in a script that is written with spaces."""
    capital_shows = after != after.title() or after.isupper() or before.isdigit() or after.isdigit()
    return not (capital_shows or _CLOSE.match(before) or _CLOSE.match(after))


def _capital(piece: str) -> str:
    """A first capital, unless the word has capitals of its own (iPhone) or begins with a digit."""
    has_capital = any(char.isupper() for char in piece)
    return piece if has_capital else piece[0].title() + piece[1:]


# -- choosing -----------------------------------------------------------------------------------------------------


def tags_for(article: Article, rules: TagRules, *, account: str, network: str, limits: Limits) -> tuple[str, ...]:
    """An article's tags on an account, the best first, without '#', each once whatever its case.

    Order: those the account always gets, categories (the mapped ones first), the section, names found in headline and
    lead. The stop-list and `rules.block` drop a category before and after mapping. At most what network and newsroom
    allow (`rules.max` by account, then network, then "default", else 2).
    """
    cap = min(limits.max_tags, _first(rules.max, account, network, "default", otherwise=_DEFAULT_MAX))
    if limits.tag_style is TagStyle.NONE or cap <= 0:
        return ()
    always = tuple(tag for key in (account, network, "default") for tag in rules.always.get(key, ()))
    categories = (*article.tags, article.section or "")
    return _spelled(always, categories, f"{article.headline}\n{article.summary}", rules)[:cap]


@lru_cache(maxsize=256)
def _spelled(always: tuple[str, ...], categories: tuple[str, ...], text: str, rules: TagRules) -> tuple[str, ...]:
    """All tags, the best first: made once for all accounts of an article."""
    blocked = STOP_LIST | _blocked(rules)
    found: dict[str, str] = {}
    for wanted, is_always in _wanted(always, categories, text, rules):
        tag = spell_tag(wanted)
        if tag is not None and (is_always or _folded(tag) not in blocked):
            found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


@lru_cache(maxsize=8)
def _blocked(rules: TagRules) -> frozenset[str]:
    return frozenset(_folded(word) for word in rules.block)


def _first(table: dict[str, int], *keys: str, otherwise: int) -> int:
    return next((table[key] for key in keys if key in table), otherwise)


def _wanted(
    always: tuple[str, ...], categories: tuple[str, ...], text: str, rules: TagRules
) -> Iterator[tuple[str, bool]]:
    """Candidates in order of worth, and whether the newsroom gave the tag itself."""
    yield from ((tag, True) for tag in always)
    renamed = {_folded(category): tag for category, tag in rules.rename.items()}
    blocked = STOP_LIST | _blocked(rules)
    wanted = [tag for tag in categories if _folded(tag) in renamed or _folded(tag) not in blocked]
    yield from ((renamed[_folded(tag)], False) for tag in wanted if _folded(tag) in renamed)
    yield from ((tag, False) for tag in wanted if _folded(tag) not in renamed)
    yield from ((tag, False) for tag in _names_found(text, rules.names))


def _names_found(text: str, names: dict[str, str]) -> Iterator[str]:
    """The tags of the names that stand in the text as whole words, in the text's order."""
    folded = text.casefold()
    places = []
    for name, tag in names.items():
        word = name.casefold().strip()
        start = "" if not word or _CLOSE.match(word[0]) else r"(?<![\p{L}\p{M}\p{N}_])"
        end = "" if not word or _CLOSE.match(word[-1]) else r"(?![\p{L}\p{M}\p{N}_])"
        match = regex.search(start + regex.escape(word) + end, folded) if word else None
        if match is not None:
            places.append((match.start(), -len(word), tag))
    return (tag for _, _, tag in sorted(places))


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """For comparing: without case, punctuation and spaces."""
    return "".join(_PIECE.findall(unicodedata.normalize("NFC", text.casefold())))


def in_place(headline: str, tags: Sequence[str]) -> tuple[str, ...]:
    """The tags that say something the headline does not: those that are no word (or words in a row, up to 4) of it."""
    words = [word.casefold() for word in _PIECE.findall(regex.sub(r"(?<=\p{L})['’](?=s\b)", "", headline))]
    said = {"".join(words[start : start + length]) for length in range(1, 5) for start in range(len(words))}
    return tuple(tag for tag in tags if _folded(tag) not in said)


# -- keeping signs from working -----------------------------------------------------------------------------------

#: U+2060 WORD JOINER: invisible, breaks no line (a zero-width space would), and neither a letter to the networks' tag
#: and mention patterns nor part of an ASCII domain to X's (tried with twitter-text 3.1.0). Counts 2 on X, 1 elsewhere.
BREAKER = "\u2060"
#: A mail address whose last letter before the sign keeps X and Mastodon from seeing a mention ("RT@" does not).
_MAIL = regex.compile(
    r"(?<![@＠\w.+\-])(?![Rr][Tt]:?@)[\w.+\-]*[A-Za-z0-9_]@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.\p{L}{2,}"
)
_HANDLE = regex.compile(r"[@＠](?=[\w\p{M}])(?P<name>[A-Za-z0-9_]+(?:[.\-]+[A-Za-z0-9_]+)*(?:@[\w.\-]+\w)?)?")
_HASH = regex.compile(r"(?<![\p{L}\p{M}\p{N}_])[#＃](?=[\p{L}\p{M}\p{N}_\u00B7\u200C\u200D\u0F0B\u30FB])")


def neutralise(
    text: str,
    *,
    limits: Limits,
    keep: Collection[str] = (),
    bare_domains: Literal["break", "keep"] = "break",
) -> str:
    """A headline in which nothing works as a mention, a tag or a link that nobody meant, though it reads the same.

    A word joiner goes behind `@` where names ping, behind `#` where the network makes tags of words, and before each
    dot of a bare domain where it makes links of those (unless the editor keeps them). Mail addresses and links with a
    scheme stay whole; so do the handles in `keep` (with or without `@`, any case).
    """
    kept = {handle.lstrip("@＠").casefold() for handle in keep}
    whole = [match.span() for match in _MAIL.finditer(text)]
    whole += [(span.start, span.end) for span in links_in(text, "scheme")]
    whole += [(span.start, span.end) for span in links_in(text, "bare") if "://" in span.url]
    places: set[int] = set()
    if limits.mentions:
        places |= {
            match.start() + 1 for match in _HANDLE.finditer(text) if (match["name"] or "").casefold() not in kept
        }
    if limits.tag_style is TagStyle.INLINE:
        places |= {match.end() for match in _HASH.finditer(text)}
    text = _broken(text, (place for place in places if not any(start < place < end for start, end in whole)))
    return _without_bare_links(text) if limits.auto_links == "bare" and bare_domains == "break" else text


def _broken(text: str, places: Iterable[int]) -> str:
    for place in sorted(places, reverse=True):
        text = text[:place] + BREAKER + text[place:]
    return text


def _without_bare_links(text: str) -> str:
    """Each dot of each bare domain broken, until none is left (breaking one may bare the next)."""
    while spans := [span for span in links_in(text, "bare") if "://" not in span.url]:
        dots = (
            place
            for span in spans
            for place in range(span.start, span.start + len(regex.split(r"[/?:]", span.url)[0]))
            if text[place] == "."
        )
        text = _broken(text, dots)
    return text
