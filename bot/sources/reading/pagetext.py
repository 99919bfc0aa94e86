"""Plain text as it is scraped off a news page: the story out of the furniture (P59).

Such a text repeats its headline (page title, picture, article), carries menus, boxes and teasers around it, and no
address. The rules go line by line; words of furniture are data, per language.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from bot.sources.reading.entry import Entry
from bot.sources.reading.frontmatter import Unreadable

#: A paragraph of a story is at least this long and ends like a sentence; menus and teasers do not.
LONG = 80

# A line that is, or begins with, one of these is site furniture wherever it stands.
_FURNITURE = re.compile(
    r"^(?:connect with us|skip to (?:main )?content|menu|search|share(?: (?:this|on)\b.*)?|tweet|pin it|e-?mail|print|"
    r"advertise(?:ment)?s?|sponsored.*|follow us.*|sign (?:up|in).*|log ?in|subscribe.*|newsletters?.*|cookies?\b.*|"
    r"privacy.*|terms\b.*|accept all.*|(?:in)?getty images|trending.*|most (?:popular|read|viewed).*|latest(?: news)?|"
    r"breaking news|good news|home|news|back to top|to top|top|copyright.*|©.*|all rights reserved.*|loading.*|"
    r"\d+ (?:comments?|shares?|min(?:ute)? read).*|(?:facebook|twitter|x|whatsapp|linkedin|pinterest|reddit)|telegram|"
    r"anzeige|werbung|teilen|men[uü]|suche|anmelden.*|abonnieren.*|nach oben|startseite|drucken|merken|folgen sie.*|"
    r"publicité|partager|rechercher|s['’]abonner.*|abonnez-vous.*|haut de page|accueil|suivez-nous.*|"
    r"publicidad|compartir|buscar|suscr[ií]b.*|inicio|volver arriba|síguenos.*|"
    r"pubblicità|condividi|cerca|iscriviti.*|torna su|seguici.*|advertentie|delen|zoeken|inloggen|naar boven)"
    r"[.:!]?$",
    re.IGNORECASE,
)
# A teaser for another story: the line goes, the story may go on below it.
_TEASER = re.compile(
    r"^(?:also (?:read|see|on)|read (?:also|more|next|this)|see also|related|recommended|watch|more:|mehr zum thema|"
    r"lesen sie auch|auch interessant|(?:à )?lire aussi|lea también|te puede interesar|leggi anche|lees ook)\b[:\s]",
    re.IGNORECASE,
)
# From here on the page speaks of something else.
_TAIL = re.compile(
    r"^(?:(?:did you )?liked? this (?:story|article)|enjoyed this|about (?:the )?authors?\b|more (?:in|from|on) |"
    r"related (?:articles|stories|posts|topics)|recommended for you|you may also|(?:leave a )?comments?\b.{0,20}$|"
    r"filed under|tags?:|topics:|share this|join the conversation|most (?:popular|read)|all rights|copyright|©|"
    r"(?:back )?to top$|mehr zum thema$|kommentare|schlagw[oö]rter|über den autor|commentaires|sur le même sujet|"
    r"comentarios|commenti|reacties|meer over)",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"/\s*(?:flickr|getty|reuters|afp|ap|epa|dpa|shutterstock|unsplash|wikimedia)\b|\bCC(?: BY[\w-]*)?$|"
    r"getty images|\bAP photo|\(?(?:reuters|afp|dpa|epa)\)?$|"
    r"^(?:photo|image|picture|credit|foto|bild|crédit)s?\s*(?:by|:|©)|"
    r"©|\bvia (?:ap|reuters|getty|afp|flickr|wikimedia)\b|\bfile photo\b",
    re.IGNORECASE,
)
_NAME = r"[^\W\d_a-z][\w’'.-]+(?:\s+(?:(?:van|von|de|der|den|di|da|al|bin|el|la|le)\s+)*[^\W\d_a-z][\w’'.-]*){1,3}"
_ABOUT = re.compile(rf"^About\s+({_NAME})$")
_BYLINE = re.compile(
    rf"^(?:(?:Posted|Written|Published)\s+)?(?:By|by|BY|Von|Par|Por|Di|Door)\s+"
    rf"({_NAME}(?:(?:,| and| &| und| et)\s+{_NAME})*)"
    r"(?:\s*(?:\||·|•|–|—|-|,|\bon\b)\s*(.{4,60}))?$"
)
_NAME_DATE = re.compile(rf"^({_NAME})\s*[|·•]\s*(.*\d{{4}}.*)$")
_DATED = re.compile(
    r"^(?:first )?(posted|published|updated|last updated|modified)(?:\s+on)?[:\s]\s*(.{4,60})$", re.IGNORECASE
)
_MORE_IN = re.compile(r"^More (?:in|from)\s+(.{2,40})$", re.IGNORECASE)
_CRUMBS = re.compile(r"^(?:Home|Startseite|Accueil|Inicio)\s*(?:[>»›/]\s*[^>»›/]{2,40}){1,5}$", re.IGNORECASE)
_EMBARGO = re.compile(
    r"^\W*(?:strictly\s+)?(?:under\s+)?embargo|not for (?:publication|release|broadcast)|^sperrfrist|sous embargo",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Box:
    """What stands around a story: byline, section, dates, picture credit, embargo."""

    author: str = ""
    section: str = ""
    published: str = ""
    updated: str = ""
    embargo: str = ""


def read_page_text(text: str, where: str) -> Entry:
    """The entry of a scraped page. Raises Unreadable if nothing in it looks like a story."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    start = next((at for at, line in enumerate(lines) if _is_paragraph(line)), None)
    headline, repeated = _headline(lines[: start if start is not None else len(lines)])
    if not headline or (start is None and not repeated):
        raise Unreadable(0, "it looks like no story: no repeated headline and no paragraph of 80 characters or more")
    body = _body(lines, start, headline)
    box = _surroundings(lines, headline)
    return Entry(
        where=where,
        title=headline,
        summary=body[0] if body else "",
        body="\n".join(body),
        authors=[box.author] if box.author else [],
        section=box.section or None,
        published=box.published or None,
        updated=box.updated or None,
        embargo=box.embargo or None,
    )


def _is_paragraph(line: str) -> bool:
    wide = sum(1 for c in line if c >= "\u2e80")  # ideographs say in one what letters say in two or three
    ends = line.rstrip('"”’»)]').endswith((".", "!", "?", "…", "。", "！", "？"))
    return len(line) + wide >= LONG and ends and not _TEASER.match(line) and not _is_noise(line)


def _is_noise(line: str) -> bool:
    return bool(_FURNITURE.match(line) or _TEASER.match(line) or _TAIL.match(line))


def _is_credit(line: str) -> bool:
    return len(line) <= 200 and _CREDIT.search(line) is not None


def _is_label(line: str) -> bool:
    return any(p.search(line) for p in (_BYLINE, _NAME_DATE, _DATED, _CRUMBS, _EMBARGO, _ABOUT))


def _headline(head: list[str]) -> tuple[str, bool]:
    """The line repeated most before the story begins, else the first that can be one; and whether it was repeated."""
    counts = Counter(line for line in head if _can_be_headline(line))
    if not counts:
        return "", False
    best, times = counts.most_common(1)[0]
    return best, times > 1


def _can_be_headline(line: str) -> bool:
    ends = line.endswith((".", "。", ":")) and not line.endswith("...")
    return 8 <= len(line) <= 200 and not ends and not (_is_noise(line) or _is_credit(line) or _is_label(line))


def _body(lines: list[str], start: int | None, headline: str) -> list[str]:
    found: list[str] = []
    for at in range(start if start is not None else len(lines), len(lines)):
        line = lines[at]
        if _TAIL.match(line) or _is_bio(lines, at):
            break
        short = len(line) < LONG
        if line == headline or _FURNITURE.match(line) or _TEASER.match(line):
            continue
        if short and (_is_credit(line) or _is_label(line)):
            continue
        found.append(line)
    return found


def _is_bio(lines: list[str], at: int) -> bool:
    """ "About NAME", followed by a paragraph that begins with a part of that name?"""
    match = _ABOUT.match(lines[at])
    following = lines[at + 1] if match and at + 1 < len(lines) else ""
    return bool(match and following.startswith(tuple(match[1].split())))


def _surroundings(lines: list[str], headline: str) -> _Box:
    box = _Box()
    for at, line in enumerate(lines):
        if line == headline or len(line) > 200:
            continue
        if _is_bio(lines, at) and (match := _ABOUT.match(line)):
            box.author = box.author or match[1]
        elif match := _BYLINE.match(line) or _NAME_DATE.match(line):
            box.author = box.author or match[1]
            box.published = box.published or (match[2] or "")
        elif match := _DATED.match(line):
            _put_date(box, match[1].lower(), match[2])
        elif match := _MORE_IN.match(line):
            box.section = match[1].strip()
        elif _CRUMBS.match(line):
            box.section = box.section or re.split(r"\s*[>»›/]\s*", line)[-1]
        elif _EMBARGO.search(line):
            box.embargo = box.embargo or line
    return box


def _put_date(box: _Box, word: str, value: str) -> None:
    if "updated" in word or "modified" in word:
        box.updated = box.updated or value
    else:
        box.published = box.published or value
