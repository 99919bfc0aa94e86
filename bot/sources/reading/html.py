"""HTML read with lxml: a fragment to plain text and its first picture, a page to an entry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urljoin

from bot.model import Image
from bot.sources.reading.entry import Entry, lead_of

#: Characters of a fragment that are read: a lead stands in its first ones, and libxml2 refuses texts over 10 MB.
MAX_MARKUP = 500_000
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "tr",
        "ul",
    ]
)
_SILENT = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "head",
        "iframe",
        "object",
        "svg",
        "figcaption",
        "button",
        "form",
        "nav",
    ]
)
# Pictures that are no pictures of the story: counters, faces, smileys.
_NO_PICTURE = re.compile(r"^data:|gravatar|emoji|feedburner|doubleclick|wp-includes|pixel|/1x1", re.IGNORECASE)


@cache
def _lxml() -> Any:
    import lxml.html

    return lxml.html


def parse(text: str, base: str = "") -> Any:
    """The tree of an HTML text, or None where there is nothing in it. Never fetches (lxml's HTMLParser, no_network)."""
    lxml_html = _lxml()
    parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        tree = lxml_html.document_fromstring(text.encode("utf-8", "replace"), parser=parser, base_url=base or None)
    except (ValueError, AssertionError, _lxml().etree.LxmlError):
        return None
    return tree


def text_of(markup: str) -> str:
    """The words of an HTML fragment, one paragraph a line, without scripts, captions and forms."""
    if "<" not in markup and "&" not in markup:
        return markup
    tree = parse(f"<div>{markup[:MAX_MARKUP]}</div>")
    return "" if tree is None else text_in(tree)


def text_in(tree: Any) -> str:
    """The words below an element, one block a line."""
    pieces: list[str] = []
    for event, element in _lxml().etree.iterwalk(tree, events=("start", "end")):
        if not isinstance(element.tag, str):
            if event == "end" and element.tail:
                pieces.append(element.tail)
            continue
        if element.tag in _BLOCKS:
            pieces.append("\n")
        if event == "start" and not _inside_silent(element):
            pieces.append(_folded(element.text))
        elif event == "end" and element is not tree and not _inside_silent(element.getparent()):
            pieces.append(_folded(element.tail))
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _folded(text: str | None) -> str:
    return re.sub(r"\s+", " ", text) if text else ""


def _inside_silent(element: Any) -> bool:
    while element is not None:
        if element.tag in _SILENT:
            return True
        element = element.getparent()
    return False


def first_image(markup: str, base: str = "") -> Image | None:
    """The first real picture of an HTML fragment, with its alternative text."""
    if "<img" not in markup.lower():
        return None
    tree = parse(f"<div>{markup[:MAX_MARKUP]}</div>")
    return None if tree is None else next(images_in(tree, base), None)


def images_in(tree: Any, base: str) -> Iterator[Image]:
    """Pictures below an element: `srcset` before lazy `data-src` before `src`; counters and faces left out."""
    for img in tree.iter("img"):
        source = _largest(img.get("srcset", "")) or img.get("data-src") or img.get("src") or ""
        width, height = _number(img.get("width")), _number(img.get("height"))
        if not source or _NO_PICTURE.search(source) or 1 in (width, height):
            continue
        yield Image(urljoin(base, source.strip()), img.get("alt", "").strip(), width, height)


def _largest(srcset: str) -> str:
    candidates = [part.split() for part in re.split(r",\s+", srcset) if part.strip()]
    sized = [(_number(part[1].rstrip("wx").split(".")[0]) or 0, part[0]) for part in candidates if len(part) > 1]
    return max(sized)[1] if sized else ""


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() and len(text) < 7 else None


# -- pages --------------------------------------------------------------------------------------------------------


def page_title(text: str) -> str:
    """The <title> of a page, for messages."""
    match = re.search(r"<title[^>]*>(.{0,300}?)</title", text, re.IGNORECASE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def feeds_named(text: str, base: str) -> list[str]:
    """Addresses of the feeds that a page announces (`link rel=alternate`, RSS autodiscovery)."""
    tree = parse(text[:500_000])
    if tree is None:
        return []
    kinds = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")
    return [
        urljoin(base, link.get("href").strip())
        for link in tree.iter("link")
        if link.get("href") and "alternate" in link.get("rel", "").lower() and link.get("type", "").lower() in kinds
    ]


def read_page(text: str, *, where: str, base: str = "") -> Entry:
    """The entry of one HTML page: JSON-LD and meta elements first, then what stands on the page.

    Raises ValueError if there is neither a title nor a heading.
    """
    tree = parse(text, base)
    if tree is None:
        raise ValueError("it holds no HTML")
    meta, linked = _metas(tree), _json_ld(tree)
    story = next(iter(tree.xpath("//article | //main | //*[@itemprop='articleBody']")), None)
    heading = next((text_in(h) for h in tree.iter("h1") if text_in(h)), "")
    title = _first(_words(linked.get("headline")), meta.get("og:title"), heading, page_title(text))
    if not title:
        raise ValueError("it has neither a title nor a first heading")
    body = _body(story if story is not None else tree, heading)
    described = _first(meta.get("og:description"), meta.get("description"), _words(linked.get("description")))
    picture = meta.get("og:image") or _picture_of(linked.get("image"))
    address = next((link.get("href") for link in tree.iter("link") if link.get("rel", "").lower() == "canonical"), None)
    return Entry(
        where=where,
        title=title,
        title_html=False,
        site=meta.get("og:site_name"),
        link=urljoin(base, _first(address, meta.get("og:url")).strip()) or None,
        summary=described or lead_of(body),
        body=body,
        authors=_authors(linked.get("author")) or _listed(meta.get("author")),
        section=_first(meta.get("article:section"), _words(linked.get("articleSection"))) or None,
        tags=_tags(tree, meta, linked),
        language=_first(tree.get("lang"), _words(linked.get("inLanguage"))) or None,
        image=Image(urljoin(base, picture), meta.get("og:image:alt", "")) if picture else _first_picture(story, base),
        published=_first(linked.get("datePublished"), meta.get("article:published_time"), meta.get("date"))
        or _time(tree),
        updated=_first(linked.get("dateModified"), meta.get("article:modified_time")) or None,
        embargo=meta.get("embargo") or meta.get("embargo_until"),
        draft=meta.get("draft", "").lower() in ("true", "yes", "1"),
    )


def _metas(tree: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in tree.iter("meta"):
        name = (meta.get("property") or meta.get("name") or "").lower()
        if name and meta.get("content"):
            found.setdefault(name, meta.get("content").strip())
    return found


def _json_ld(tree: Any) -> dict[str, Any]:
    """The first article-like object of the page's JSON-LD; a broken block loses only itself."""
    for script in tree.iter("script"):
        if script.get("type", "").lower() != "application/ld+json" or not script.text:
            continue
        try:
            blocks = json.loads(script.text.strip().removesuffix(";"), strict=False)
        except (ValueError, RecursionError):
            continue
        for block in _objects(blocks):
            kinds = block.get("@type", "")
            if any("Article" in str(k) or "Posting" in str(k) for k in (kinds if isinstance(kinds, list) else [kinds])):
                return block
    return {}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield one
            yield from _objects(one.get("@graph", []))


def _words(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return value.strip() if isinstance(value, str) else ""


def _first(*values: Any) -> str:
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")


def _authors(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for one in value for name in _authors(one)]
    return _authors(value.get("name")) if isinstance(value, dict) else [value] if isinstance(value, str) else []


def _picture_of(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return _words(value.get("url") if isinstance(value, dict) else value)


def _listed(value: str | None) -> list[str]:
    return [value] if value else []


def _tags(tree: Any, meta: dict[str, str], linked: dict[str, Any]) -> list[str]:
    """Tags by the page's own word: article:tag, JSON-LD keywords, then the keywords element, then rel=tag links."""
    own = [m.get("content") for m in tree.iter("meta") if m.get("property", "").lower() == "article:tag"]
    words = linked.get("keywords") or meta.get("news_keywords") or meta.get("keywords") or []
    words = words.split(",") if isinstance(words, str) else words
    linked_tags = [text_in(a) for a in tree.iter("a") if "tag" in a.get("rel", "").split()]
    return [tag for tag in own if tag] or [w for w in words if isinstance(w, str)] or linked_tags


def _time(tree: Any) -> str | None:
    return next((t.get("datetime") for t in tree.iter("time") if t.get("datetime")), None)


def _body(story: Any, heading: str) -> str:
    lines = [text_in(p) for p in story.iter("p", "blockquote", "li", "h2", "h3")]
    return "\n".join(line for line in lines if line and line != heading)


def _first_picture(story: Any, base: str) -> Image | None:
    return None if story is None else next(images_in(story, base), None)
