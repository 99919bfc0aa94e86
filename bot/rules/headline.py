"""The real headline out of what a store gives: entities, tags, invisible characters, site names, repeats, capitals.

Nothing is guessed: quotes and dashes stay as typed (P56), and garbled letters are left for `encoding_fault` to hold.
What keeps a headline from going out stands in `bot.rules.faults` and `bot.rules.embargo`, and is named here too.
"""

from __future__ import annotations

import html as entities
import re
import unicodedata

import regex

from bot.rules.embargo import embargo_note, parse_embargo
from bot.rules.faults import encoding_fault, lint

__all__ = ["clean_headline", "clean_text", "embargo_note", "encoding_fault", "lint", "parse_embargo"]

# -- text ---------------------------------------------------------------------------------------------------------

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
#: Inline elements that titles carry. A `<` that starts none of them is a sign of its own ("a < b", "the <div> tag").
_INLINE = re.compile(
    r"</?(?:a|abbr|acronym|b|bdi|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strike|strong|sub|sup|tt|u|var"
    r"|wbr)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,6};?|#[0-9]{1,7};?|[A-Za-z][A-Za-z0-9]{1,31};)")
#: What one decoding leaves of a text that was encoded twice: any number, and a name between two letters (AT&amp;T).
_LEFT_OVER = re.compile(r"&#(?:[xX][0-9a-fA-F]{2,6}|[0-9]{2,7});|(?<=\w)&[A-Za-z][A-Za-z0-9]{1,31};(?=\w)")
#: A headline with one of these words is about such signs, and keeps them.
_ABOUT_SIGNS = re.compile(
    r"\b(?:html|xml|rss|entit\w*|(?:un)?escap\w*|(?:en|de)cod\w*|unicode|ascii|utf|markup|mark-up|character\w*|symbol\w*"
    r"|apostrophe\w*|ampersand\w*|quot\w+ marks?|typograph\w*|syntax|tags?|cod(?:e|ing)|php|css|javascript|wordpress"
    r"|appears?|shows? up|write|type|typing|means?|mean)\b",
    re.IGNORECASE,
)
#: Bytes 128 to 159 read as ISO 8859-1 are windows-1252 (https://encoding.spec.whatwg.org/#names-and-labels).
_WINDOWS = {byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0xA0)} | {0x85: " "}
#: Other control characters, noncharacters, bidi embeddings, overrides and isolates, zero-width space, word joiner,
#: invisible operators, soft hyphen, byte order mark, variation and shorthand format controls, interlinear marks.
_INVISIBLE = regex.compile(
    r"[\x00-\x08\x0E-\x1F\x7F\u00AD\u180E\u200B\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\uFDD0-\uFDEF\uFFFE\uFFFF"
    r"\U000E0001]"
)
#: Joiners mean something inside emoji and in scripts that join (Arabic, Indic …); elsewhere they only hide in words.
_IDLE_JOINER = regex.compile(
    r"(?<![\p{Emoji_Presentation}\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F\u200C\u200D\p{M}"
    r"\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Nko}\p{Script=Devanagari}\p{Script=Bengali}"
    r"\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}"
    r"\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}])[\u200C\u200D]"
)
_SPACE = regex.compile(r"[\u00A0\u202F\s]{2,}|[^\S\u00A0\u202F]")
#: A no-break space stays where typography wants one: « mot », 10 000, 5 %, « Pourquoi ? ».
_LOOSE_NBSP = regex.compile(r"(?<![«‹\d])[\u00A0\u202F](?![»›:;!?%€\d])")


def clean_text(raw: str, *, html: bool) -> str:
    """One line of plain text in NFC.

    With `html`, inline tags go and character references are decoded exactly once; numbers 128 to 159 mean windows-1252.
    What is left encoded then (or in plain text) is decoded once more only where it can be nothing else (P46): numbers,
    and names between two letters, unless the text speaks of HTML, entities, symbols … and so means them literally.
    """
    text = raw
    if html:
        text = _INLINE.sub("", _BREAK.sub(" ", text))
        text = _REFERENCE.sub(lambda match: entities.unescape(match[0]), text)
    if not _ABOUT_SIGNS.search(text):
        text = _LEFT_OVER.sub(lambda match: entities.unescape(match[0]), text)
    text = text.translate(_WINDOWS).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _IDLE_JOINER.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))
    return str(_LOOSE_NBSP.sub(" ", _SPACE.sub(" ", text))).strip()


# -- headlines ----------------------------------------------------------------------------------------------------

_LINE = re.compile(r"[\r\n\x85\u2028\u2029]+|<br\s*/?>", re.IGNORECASE)
_JOINT = r"\s+[|\-–—·•:»«›/]+\s+|\s*\|\s*"
#: Notes on the processing of a text, not part of it, and untrue by the time it is posted: dropped, in any case.
#: Labels that tell readers what they get (EXCLUSIVE, BREAKING, LIVE, OPINION, REVIEW, WATCH …) stay.
_PROCESS = re.compile(
    r"^(?:[\[(]\s*(?:updated?|corrected|correction|refiled?)(?:\s+\d[\d:.]*)?\s*[\])]\s*[:|–—-]?\s*"
    r"|(?:updated?|corrected|refile|rpt|wrapup)(?:\s+\d[\d:.]*)?(?:\s*[:|]\s*|\s*[–—]\s*|\s+-\s+|(?<=\d)-(?=\w)))"
    r"|\s*[\[(]\s*(?:updated?|corrected)(?:\s+\d[\d:.]*)?\s*[\])]$",
    re.IGNORECASE,
)


def clean_headline(raw: str, *, site: str | None = None, html: bool = False, lead: str = "") -> str:
    """The headline once, without the site's name, process kickers ("UPDATE:") and shouting.

    Lines that repeat count once (a scraped page may hold the headline three times). `site` is the publication's name:
    it goes from either end, with its separator. A headline without a small letter is put in sentence case; known
    acronyms stay, and words that `lead` (the article's text) writes with a capital are written so.
    """
    lines = dict.fromkeys(line for part in _LINE.split(raw) if (line := clean_text(part, html=html)))
    text = _said_once(" ".join(lines))
    text = _without_site(text, site) if site else text
    while (shorter := _PROCESS.sub("", text, count=1).strip()) != text and shorter:
        text = shorter
    return _calm(text, lead)


def _said_once(text: str) -> str:
    """A headline of 12 characters or more that stands there twice or thrice in a row, once."""
    for times in (3, 2):
        size, rest = divmod(len(text) - (times - 1), times)
        if rest == 0 and size >= 12 and " ".join([text[:size]] * times) == text:
            return text[:size]
    return text


def _bare_name(name: str) -> str:
    """A site's name for comparing: letters and digits, without "The" and a domain's end."""
    folded = re.sub(r"^(?:www\.|the\s+)|\.(?:com|org|net|[a-z]{2}|co\.uk)$", "", name.strip().casefold())
    return re.sub(r"[\W_]+", "", folded)


def _without_site(text: str, site: str) -> str:
    wanted = _bare_name(clean_text(site, html=False))
    joints = list(re.finditer(_JOINT, text))
    first = re.match(r"[^:|]{2,60}?(?::\s+|\s*\|\s*|\s+[\-–—·»]\s+)", text)
    if joints and wanted and _bare_name(text[joints[-1].end() :]) == wanted:
        return _without_site(text[: joints[-1].start()].rstrip(), site)
    if first and wanted and _bare_name(re.sub(r"\W+$", "", first[0])) == wanted and text[first.end() :]:
        return text[first.end() :].lstrip()
    return text


# -- capitals -----------------------------------------------------------------------------------------------------

#: Acronyms that newsrooms write in capitals. Those that are words too (WHO, IT, OR) are left to the lead.
_ACRONYM_LIST = """
    AFP AI AIDS AP ASEAN BAFTA BBC BMW BRICS BT CBS CDC CDU CEO CFO CIA CNN COVID COVID-19 CSU CV DC DDR DIY DNA
    DVD DUP ECB EDF EPA ESA EU EUR FA FAA FBI FC FCC FDA FDP FIFA FTSE GCHQ GDP GDR GM GMO GMT GOP GP GPS HBO
    HIV HMRC HR HSBC IAEA IBM ICC ICE ICJ IMF INS IOC IPO IRA IRS ISIS ISS ITV JFK KGB KKK LA LGBT LGBTQ LGBTQ+
    LNG LSE MEP MI5 MI6 MIT MLB MP MPS MRI NASA NATO NBA NBC NFL NGO NHL NHS NPR NSA NY NYC NYPD OECD OPEC PC
    PDF PLC PM PR PS5 RAF RAI RBS RFK RNA RSPCA RTL SARS SCO SEC SNP SPD SUV TNT TSB TV UAE UAW UCLA UEFA UFC
    UFO UK UKIP UN UNESCO UNHCR UNICEF US USA USB USD USSR VAT VIP VPN VR VW WTO WW1 WW2 WWE WWF WWI WWII YMCA
    ZDF II III IV VI VII VIII IX XI XII XIII XIV XV XVI
"""
_ACRONYMS = frozenset(_ACRONYM_LIST.split())
_PROPER_LIST = """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February April June July August September
    October November December Christmas Easter America American Europe European Africa African Asia Asian
    Britain British China Chinese England English France French German Germany India Indian Ireland Irish Israel
    Israeli Italian Italy Japan Japanese London Moscow Paris Putin Russia Russian Scotland Scottish Spain
    Spanish Trump Ukraine Ukrainian Wales Washington York
"""
_PROPER = frozenset(_PROPER_LIST.split())
_WORD = re.compile(r"[^\W_]+(?:[.'’\-+&][^\W_]+)*\.?\+?")


def _calm(text: str, lead: str) -> str:
    """Sentence case for a headline of three words and twelve letters or more that has no small letter at all."""
    letters = [char for char in text if char.isalpha()]
    shouting = len(letters) >= 12 and len(text.split()) >= 3 and any(char != char.lower() for char in letters)
    if not shouting or any(char.islower() for char in letters):
        return text
    known = {name.upper(): name for name in _PROPER} | _names_in(lead)
    calm = _WORD.sub(lambda match: _calm_word(match[0], known), text)
    return re.sub(r"(^\W*|(?:[!?:]|[^\W\d_]{2}\.)\s+\W*)(\w)", lambda match: match[1] + match[2].upper(), calm)


def _names_in(lead: str) -> dict[str, str]:
    """Words that a text writes with a capital inside a sentence, by their form in capitals."""
    return {word.upper(): word for word in re.findall(r"(?<=[^\W_] |, )[^\W\d_][\w’'-]*\w", lead) if word[:1].isupper()}


def _calm_word(word: str, known: dict[str, str]) -> str:
    bare = re.sub(r"['’]S$", "", word)
    ending = word[len(bare) :].lower()
    if (
        bare in _ACRONYMS
        or any(char.isdigit() for char in bare)
        or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]?\.?|I", bare)
    ):
        return bare + ending
    if bare in known:
        return known[bare] + ending
    if "-" in bare:
        return "-".join(_calm_word(part, known) for part in bare.split("-")) + ending
    return bare.lower() + ending
