"""Links: which are valid, when two are the same story, which parameters go and come, and links made from a template.

The key is for matching only, never shown and never posted. What is posted keeps the publisher's spelling byte for byte:
no re-encoding, no re-ordering (P61).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote_plus, urljoin, urlsplit

import idna

#: Parameters that only tell where a reader came from: by beginning, and by name (lists of Miniflux and ClearURLs).
_PREFIXES = (
    "utm_", "mtm_", "pk_", "piwik_", "matomo_", "hsa_", "itm_", "hmb_", "oly_", "vero_", "fb_", "_branch_", "at_",
    "wt_", "cmpid", "ns_",
)  # fmt: skip
_NAME_LIST = """
    fbclid gclid dclid gbraid wbraid gclsrc msclkid twclid yclid ysclid igshid igsh mc_cid mc_eid mc_tc mkt_tok
    _hsenc _hsmi __hssc __hstc __hsfp hsctatracking wickedid srsltid _openstat ref_src ref_url spm s_cid sc_cid
    ncid cmp campaign_id campaign_source campaign_medium campaign_name campaign_term campaign_content rb_clickid
    _bhlid __readwiselocation
"""
_NAMES = frozenset(_NAME_LIST.split())
_INDEX = re.compile(r"/(?:index\.(?:html?|php)|default\.aspx)$", re.IGNORECASE)
_TRACKING_FRAGMENT = re.compile(r"(?:utm_\w+|xtor)=", re.IGNORECASE)


# -- what is a link -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # an article's link is asked about for each account
def valid_link(url: str, base: str | None = None) -> str | None:
    """The absolute http(s) address that `url` means (against `base`, if relative), or None.

    White space around and line breaks within are dropped, spaces within become %20; nothing else changes. None for
    `javascript:`, `urn:`, `tag:`, `mailto:` and whatever has no host that could be looked up.
    """
    text = re.sub(r"[\t\r\n]+", "", url.strip()).replace(" ", "%20")
    if not text or any(ord(char) < 32 or char == "\\" for char in text):
        return None
    try:
        joined = urljoin(base, text) if base else text
        parts = urlsplit(joined)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not port_is_fine or not _ascii_host(parts.hostname):
        return None
    return joined


@lru_cache(maxsize=1024)
def _ascii_host(host: str | None) -> str | None:
    """The host in lower case and IDNA 2008 (UTS 46 mapping), None if there is no such name."""
    host = (host or "").rstrip(".")
    if re.fullmatch(r"[a-z0-9_.-]+|[0-9a-f:.]*:[0-9a-f:.]*", host) and ".." not in host and host[:1] not in (".", "-"):
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii") or None
    except (idna.IDNAError, UnicodeError):
        return None


def link_key(url: str) -> str | None:
    """What two addresses of one article have in common, or None if it is not http(s).

    Without scheme, user, `www.`, default port, dot segments, doubled and trailing slashes, index page, fragment (but
    `#!`) and tracking parameters; host in IDNA, percent-encoding in one form, parameters sorted. A path's case counts.
    """
    from w3lib.url import canonicalize_url

    link = valid_link(_once_decoded(url))
    if link is None:
        return None
    parts = urlsplit(clean_link(link))
    host = (_ascii_host(parts.hostname) or "").lower()
    host = host[4:] if host.startswith("www.") and host.count(".") > 1 else host
    port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    query = "&".join(piece for piece in parts.query.split("&") if piece)
    plain = canonicalize_url(f"http://host{re.sub('/{2,}', '/', parts.path) or '/'}" + (f"?{query}" if query else ""))
    path, mark, query = plain.removeprefix("http://host").partition("?")
    path = _INDEX.sub("/", _unreserved(path))
    path = path[:-1] if path.endswith("/") and path != "/" else path
    bang = f"#{parts.fragment}" if parts.fragment.startswith("!") else ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}{port}{path}{mark if query else ''}{_unreserved(query)}{bang}"


def _unreserved(text: str) -> str:
    """Percent-encoding undone where it is never needed (RFC 3986 2.3), the rest with capital hex digits."""
    return re.sub(
        r"%([0-9A-Fa-f]{2})",
        lambda match: char if re.match(r"[A-Za-z0-9._~-]", char := chr(int(match[1], 16))) else match[0].upper(),
        text,
    )


def _once_decoded(url: str) -> str:
    """`&amp;` in an address is a leftover of HTML."""
    return url.replace("&amp;", "&").replace("&#38;", "&").replace("&#038;", "&")


# -- parameters ---------------------------------------------------------------------------------------------------


def _apart(url: str) -> tuple[str, list[str], str]:
    """Address, the parameters as they are spelled, and the fragment with its sign."""
    head, hash_sign, fragment = url.partition("#")
    address, _, query = head.partition("?")
    return address, [piece for piece in query.split("&") if piece], hash_sign + fragment


def _together(address: str, pieces: Iterable[str], fragment: str) -> str:
    query = "&".join(pieces)
    return f"{address}?{query}{fragment}" if query else address + fragment


def _name(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0]).casefold()


def clean_link(url: str) -> str:
    """The address to post: others' tracking parameters gone (and `#utm_…`, `#xtor=…`), all else as it was."""
    address, pieces, fragment = _apart(_once_decoded(url))
    kept = [piece for piece in pieces if not _tracks(_name(piece))]
    if _TRACKING_FRAGMENT.match(fragment[1:]):
        fragment = ""
    return _together(address, kept, fragment) if len(kept) < len(pieces) else address + _query_of(url) + fragment


def _query_of(url: str) -> str:
    _, mark, query = _once_decoded(url).partition("#")[0].partition("?")
    return mark + query if query else ""


def _tracks(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES)


def tracked(url: str, parameters: Mapping[str, str]) -> str:
    """The address with our parameters at the end of its query, before the fragment.

    Old parameters stay in order and as spelled; one of ours replaces all of its name, no UTM name stands there twice.
    """
    if not parameters:
        return url
    address, pieces, fragment = _apart(_once_decoded(url))
    taken = {name.casefold() for name in parameters}
    kept = []
    for piece in pieces:
        name = _name(piece)
        if name not in taken:
            kept.append(piece)
            if name.startswith("utm_"):
                taken.add(name)
    ours = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items()]
    return _together(address, [*kept, *ours], fragment)


# -- from templates -----------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\{([^{}]*)\}")
#: Latin letters that no decomposition takes apart.
_LATIN = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})


@lru_cache(maxsize=1024)
def slug(text: str) -> str:
    """Lower-case words joined by hyphens; Latin letters lose their accents, other scripts stay."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_LATIN))
    plain = unicodedata.normalize("NFC", re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", folded))
    return re.sub(r"-{2,}", "-", "".join(_slug_char(char) for char in re.sub(r"['’]", "", plain))).strip("-")


def _slug_char(char: str) -> str:
    return char if char.isalnum() or unicodedata.category(char).startswith("M") else "-"


def campaign(templates: Mapping[str, str], **values: str | None) -> dict[str, str]:
    """UTM parameters from the newsroom's templates: `{network}` and the like become slugs; empty ones are left out.

    Raises ValueError for a name that is not among `values`, naming those that are.
    """
    filled = {name: _filled(template, values, name) for name, template in templates.items()}
    return {name: value for name, value in filled.items() if value}


def _filled(template: str, values: Mapping[str, str | None], name: str) -> str:
    return _PLACE.sub(lambda match: slug(_value(match[1], values, name) or ""), template).strip(" -_")


def link_from(template: str, slug: str, **fields: str | None) -> str:
    """An address from a source's template such as `https://example.com/{section}/{slug}`, values percent-encoded.

    Raises ValueError if the template names something unknown, if the article has no such value, or if what comes out is
    no http(s) address.
    """
    values: dict[str, str | None] = {"slug": slug, **fields}

    def encoded(match: re.Match[str]) -> str:
        value = _value(match[1], values, template)
        if not value:
            raise ValueError(f"{template}: this article has no {match[1]}")
        return quote(value, safe="")

    link = _PLACE.sub(encoded, template)
    if valid_link(link) is None:
        raise ValueError(f"{template}: not an http(s) address")
    return link


def _value(name: str, values: Mapping[str, str | None], where: str) -> str | None:
    if name not in values:
        raise ValueError(f"{where}: unknown name {{{name}}}; known: {', '.join(sorted(values))}")
    return values[name]
