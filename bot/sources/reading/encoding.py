"""Bytes to text when header, declaration and bytes disagree (P55).

The bytes are asked first: a byte order mark and valid UTF-8 are hard to fake. Among single-byte claims the one that
reads least oddly wins, because a swapped KOI8-R or windows-1251 decodes without complaint into nonsense.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# WHATWG Encoding Standard, "names and labels": what browsers read when a page says the name on the left.
_MEANT = {
    "ascii": "",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "cp950",
}
_DECLARED_XML = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE)
_DECLARED_HTML = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
# Tab, line feed and carriage return are text; the other controls (NUL too) never are.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
# What UTF-8 looks like when it was read as windows-1252 or latin-1: a lead byte's letter and a continuation's sign.
_MOJIBAKE = re.compile(
    r"[ÂÃ][\x80-\x9f¡-¿€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’•–˜™š›œžŸ](?=\W|[a-zà-ÿ]|$)"
    r"|â(?:€|\x80)[\x80-\x9f“”’‘™œ¦•–—˜\"]"
    r"|(?:[ÐÑ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]){2}"
)
# What no honest text holds often: C1 controls, signs inside words, a small letter followed by a capital.
_ODD = re.compile(
    r"[\x80-\x9f\ufffd]|(?<=\w)[¤¦§¨¬¯±¶¸¹²³°×÷†‡‰ª¼½¾│┤╡─═║╔╗░▒▓█](?=\w)|[^\W\d_A-Z](?<=[^\W\d_])(?=[À-ÞА-ЯЁ])"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text without controls, the encoding that was used, and whether every byte had a meaning in it."""

    text: str
    encoding: str
    exact: bool


def charset_of(content_type: str) -> str | None:
    """The charset that a Content-Type header names."""
    match = _CHARSET.search(content_type)
    return match[1] if match else None


def declared_in(data: bytes) -> str | None:
    """The encoding that an XML declaration or an HTML meta element names in the first 1,024 bytes."""
    match = _DECLARED_XML.match(data[:1024]) or _DECLARED_HTML.search(data[:1024])
    return match[1].decode("ascii") if match else None


def decode(data: bytes, claims: Iterable[str | None] = ()) -> Decoded:
    """Text of `data`; `claims` are encodings named beside it (header first, declaration next), each may be wrong."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], name)
    if (wide := _wide(data)) is not None:
        return _decoded(data, wide)
    named = [name for claim in claims if (name := _codec(claim))]
    stateful = [name for name in named if name.startswith(("iso2022", "hz"))]
    if stateful and (b"\x1b" in data or b"~{" in data) and _strict(data, stateful[0]) is not None:
        return _decoded(data, stateful[0])
    if _strict(data, "utf-8") is not None:
        return _decoded(data, "utf-8")
    return _least_odd(data, named)


def garbled(text: str) -> bool:
    """Does it hold a replacement character, or UTF-8 that somebody read as latin-1?"""
    return "\ufffd" in text or _MOJIBAKE.search(text) is not None


def _codec(claim: str | None) -> str:
    try:
        name = codecs.lookup(claim).name if claim else ""
    except LookupError:
        return ""
    return _MEANT.get(name, name)


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: seen by the zero bytes of the first characters (XML 1.0 appendix F)."""
    head = data[:4]
    shapes = {b"\x00\x00\x00": "utf-32-be", b"\x00": "utf-16-be"}
    if len(head) < 4 or 0 not in head:
        return None
    for zeros, name in shapes.items():
        if head.startswith(zeros) and head[len(zeros)] != 0:
            return name
    if head[1:4] == b"\x00\x00\x00":
        return "utf-32-le"
    return "utf-16-le" if head[1] == 0 and head[0] != 0 and head[3] == 0 else None


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeError, LookupError):
        return None


def _decoded(data: bytes, name: str) -> Decoded:
    text = _strict(data, name)
    exact = text is not None
    if text is None:
        text = data.decode(name, "replace")
    return Decoded(_CONTROLS.sub("", text), name, exact)


def _least_odd(data: bytes, named: list[str]) -> Decoded:
    """Not UTF-8: the named encoding that reads least oddly; windows-1252 (a server's default) only comes last."""
    order = sorted(dict.fromkeys([*named, "cp1252"]), key=lambda name: name == "cp1252")
    sample = data[:65_536] if len(data) > 65_536 else data
    best: tuple[int, int] | None = None
    chosen = ""
    for place, name in enumerate(order):
        if name == "utf-8" or _strict(data, name) is None:
            continue
        rank = (len(_ODD.findall(sample.decode(name, "ignore"))), place)
        if best is None or rank < best:
            best, chosen = rank, name
    if not chosen or ("utf-8" in named and _mostly_utf8(data)):
        chosen = "utf-8" if _mostly_utf8(data) or not chosen else chosen
    return _decoded(data, chosen or "cp1252")


def _mostly_utf8(data: bytes) -> bool:
    """Are there more good multi-byte sequences than bad bytes?"""
    text = data.decode("utf-8", "replace")
    return sum(1 for c in text if c > "\x7f" and c != "\ufffd") > text.count("\ufffd")
