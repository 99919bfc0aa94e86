"""What holds a headline back: placeholders that went live elsewhere (P57), and text that lost its encoding (P55)."""

from __future__ import annotations

import re
from functools import lru_cache

from bot.model import Reason, Why

# -- placeholders -------------------------------------------------------------------------------------------------

_AROUND = " \t.,:;!…*-–—_#()[]{}<>\"'“”‘’«»|/~"


def _any_of(*patterns: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join(patterns), flags)


#: What the whole headline may be, and then is none.
_EMPTY = _any_of(
    r"(?:this is )?(?:just )?(?:an? )?(?:another )?(?:test(?:ing)?|tests|testpost)(?:[\s,.:#_–—-]+(?:test(?:ing)?|post"
    r"|article|story|headline|title|page|item|entry|draft|only|run|one|two|three|please|pls|ignore|this|do not|delete"
    r"|me|from|the|cms|\d+|abc|xyz))*",
    r"(?:please )?ignore(?: this)?(?: (?:post|article|story|test|please))*",
    r"(?:new|untitled|sample|dummy|example|draft|blank|empty|default|temp|temporary)"
    r"(?: (?:new|article|post|story|headline|title|page|draft|document|text|content|entry|\d+))*",
    r"auto[ -]?draft|no (?:title|headline|subject)|without title|title|headline|hed|dek|slug|subject|placeholder",
    r"(?:head(?:line)?|title|placeholder)(?: (?:text|here|goes|to|come|tbc|tbd|placeholder|headline|title|\d+))+",
    r"hello,? world|first post|tb[acd]|t\.b\.[acd]\.?|n/a|null|none|undefined|nan|todo|fixme|wip",
    r"x{2,}(?:\s+x+)*|\?+|(?:asd|asdf|asdfg|asdfgh|asdfghjkl?|qwert[yz]?(?:uiop)?|sdf|dfg|fgh|jkl|hjkl|aaa+|bla+h?)"
    r"(?:[\s,;]*(?:asd\w*|qwe\w*|jkl\w*|sdf\w*|bla+h?))*",
    r"foo(?:[\s-]*bar)?(?:[\s-]*baz)?|abc(?: ?123)?|name surname|first(?:name)? last(?:name)?",
    r"Überschrift(?: hier)?|Titel(?: hier| einfügen)?|titre(?: ici)?|t[íi]tulo(?: aqu[íi])?|titolo(?: qui)?|kop hier",
)
_ADJECTIVES = r"(?:(?:a|an|the|your|some|catchy|clever|witty|funny|good|better|seo|new) )*"
_CHECK = r"(?:check|sub|edit|proof|fix|rewrite|look at|write|add|change)"

#: What no honest headline holds anywhere, under the words that a person reads about it.
_TELLTALES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "a place kept free (TK)",
        _any_of(
            r"\bTK(?:TK)+\b|[\[(<]\s*TK\s*[\])>]|\bTK TK\b|\bTK\W*$|^\W*TK\s*[:–—-]|[$£€]TK\b",
            r"\bTK (?:headline|hed|name|number|words?|quote|title|figure|date|[mb]illion|per ?cent|people)\b",
            r"\b(?i:headline|hed|title|name|number|quote|dek|lede|figure|date)s? TK\b|\b(?i:tktk+)\b",
            flags=0,  # "Tk" and "tk" are words elsewhere
        ),
    ),
    ("blind text", _any_of(r"^\W*lorem ipsum\b|\bipsum dolor\b|\bdolor sit amet\b|\bconsectetur adipi")),
    (
        "a headline still to be written",
        _any_of(
            r"\b(?:head(?:line)?|hed|title)s? (?:(?:goes|go|text|copy|to go|to come) )?here\b",
            r"\bhead(?:line)? (?:to (?:come|follow)|placeholder|tb[acd]|needed)\b",
            rf"\b(?:insert|add|write|put|enter|type) {_ADJECTIVES}(?:head(?:line)?|hed|title|text|copy)"
            r" (?:here|later|in here)\b",
            rf"^\W*(?:insert|add|enter|type|write) {_ADJECTIVES}(?:head(?:line)?|hed|title)\b",
            r"\b(?:working|placeholder|dummy|temp(?:orary)?|fake) (?:head(?:line)?|hed|title|text)\b",
            r"\[(?:head(?:line)?|title|name|place|number|date|insert[^\]]*)\]|\bx{4,}\b",
            r"\b(?:needs?|wants?) (?:a )?(?:better |new |proper |real )?(?:head(?:line)?|hed)\b|\bbetter hed\b",
            r"^\W*(?:this is )?(?:a|the) (?:(?:very|really) )?(?:long |short |catchy )?(?:head(?:line)?|title)"
            r" (?:for|that|which|goes)\b",
            r"\{\{.*\}\}|%(?:title|headline)%|\$\{[^}]*\}",
        ),
    ),
    (
        "a wish not to publish",
        _any_of(
            r"^\W*(?:(?:please|pls) )?(?:do not|don['’]?t|not to be|never)"
            r" (?:publish|post|run|use|tweet|share|send|print)(?:ed)?"
            r"(?:\W*$|\W*[:!–—|]|\s+(?:yet|this|me|until|before|it)\b|\s+-\s)",
            r"[\[(]\s*(?:do not|don['’]?t) (?:publish|post|run|use)[^\])]*[\])]",
            r"[\[(]\s*(?:draft|hold|not ready|unpublished|internal|wip|test|for review)\s*[\])]",
            r"^\W*(?:draft|not ready|unfinished|internal(?: only)?|for internal use(?: only)?|dnp)\s*(?:[:|–—]|-\s)",
            r"\bnot for publication\b|\bfor internal use only\b",
            r"^\W*hold (?:this|for (?:edit|legal|review|approval|sub))\b",
            r"\bnot ready (?:to (?:publish|go)|for publication)\b|\bplease (?:ignore|delete|disregard)\W*$",
            r"\bplease (?:ignore|delete|disregard) this\b",
            r"\b(?:ignore|delete) this (?:post|article|story|test|headline|page)\b",
            r"(?-i:\b(?:DO NOT|DON['’]?T) (?:PUBLISH|POST|RUN|USE)\b(?=.*[a-z])|\bDO NOT PUBLISH\W*$)",
        ),
    ),
    (
        "a note to a colleague",
        _any_of(
            r"^\W*(?:hi|hey|hello) [^\W\d_]+(?:,|\s+[–—-])\s.*\b(?:can you|could you|will you|please|pls|check)\b",
            r"\b(?:can|could|would|will) (?:you|u|someone|somebody|anyone|\w+) (?:please|pls|plz)\b",
            rf"\b(?:can|could) (?:you|u|someone|somebody|anyone) {_CHECK}"
            r" (?:this|the head(?:line)?|that|my|a head(?:line)?|the (?:copy|lede|intro|name|spelling|quote|date)s?)\b",
            r"\b(?:please|pls|plz) (?:check|fix|rewrite|edit|sub|proof|change|update|confirm|add|replace|advise)"
            r" (?:this|the|with|head(?:line)?|name|spelling|quote|legal|by|before|asap|pic|photo|image|link)\b",
            r"\bnotes? to (?:self|ed(?:itor)?s?|subs?|desk|copy)\b|^\W*(?:ed|eds|subs|desk)\s*:",
            r"[\[(]\s*(?:ed|eds|subs?|editor|note|nb|check|legal|fact.?check|cq|sic\?)\b\s*[:,–—-][^\])]*[\])]",
            r"\bfix (?:this|the) (?:head(?:line)?|hed|title|copy|typo|spelling)\b|(?-i:\b(?:TODO|FIXME)\b)",
            r"\b(?:check|checking) with (?:legal|the lawyers?)\b",
            r"\b(?:needs?|awaiting|pending) (?:legal|subbing|sub|fact.?check(?:ing)?|pic|art)\b",
            r"\bis this (?:right|correct|ok|true|spelled right)\s*\?+\s*$|\bsomeone (?:please )?(?:write|fix|sub)\b",
            r"\bneeds? (?:to be )?(?:subbed|lawyered|fact.?checked)\b",
            r"\b(?:i|we) (?:still )?need (?:a|another|better) (?:quote|pic|photo|head(?:line)?|source)\b",
            r"\b(?:can'?t|couldn'?t) think of a (?:head(?:line)?|title)\b|\bhead(?:line)? sucks\b",
        ),
    ),
    (
        "a joke name",
        _any_of(
            r"\b(?:sum ting wong|wi tu lo|ho lee fuc?k|bang ding ow|hugh (?:janus|jass)|ben dover|seymour butts?)\b",
            r"\b(?:amanda hug[gn]\w*kiss|i\.? ?p\.? freely|heywood jabl\w+|mike (?:rotch|oxlong|hunt)|moe lester)\b",
            r"\b(?:phil mccrac?kin|phil mccracken|anita bath|jacques strap|oliver clothesoff|barry mccockiner)\b",
            r"\b(?:dixie normous|jenny talia|hugh g\.? rection|dick (?:hertz|head)|pat mcgroin|ivana tinkle)\b",
            r"\b(?:drew peacock|firstname lastname|first name last name|name mcname\w*|person mcperson\w*)\b",
        ),
    ),
)


@lru_cache(maxsize=64)  # asked once for each account of an article
def lint(headline: str) -> Why | None:
    """Why this looks like a placeholder, a test, a note to a colleague or a joke, or None.

    A false alarm costs a click, a miss is public: what could be either ("Test cricket", "TK Maxx") is settled by form.
    """
    if not headline.strip():
        return None
    if _EMPTY.fullmatch(headline.strip(_AROUND)):
        return Why(Reason.LINT, "a placeholder instead of a headline")
    for what, pattern in _TELLTALES:
        found = pattern.search(headline)
        if found is not None:
            return Why(Reason.LINT, f'{what}: "{found[0].strip()}"')
    return None


# -- encoding -----------------------------------------------------------------------------------------------------

#: What bytes 128 to 191 look like when UTF-8 is read as windows-1252: signs that honest text has after a letter …
_PLAIN = "’”»…–—‘“«\u00a0"
#: … and signs that it has not.
_ODD = "€‚ƒ„†‡ˆ‰Š‹ŒŽ•˜™š›œžŸ¡¢£¤¥¦§¨©ª¬\u00ad®¯°±²³´µ¶·¸¹º¼½¾¿"
_ANY = f"[{_PLAIN}{_ODD}]"
#: The same bytes read as windows-1251 (no Russian letter among them but ё).
_CYRILLIC_ODD = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї"
_GARBLED = re.compile(
    "|".join(
        (
            "\ufffd",
            "â€|ðŸ|ï»¿|ï¿½",
            f"[ÃÅÄ][{_ODD}]",
            f"(?<=[^\\W\\d_])[ÃÂ][{_PLAIN}](?=[^\\W\\d_])|(?<=[a-zß-ÿ])Ã",
            "Â[¡¢£¤¥¦§¨©ª¬®¯°±²³´µ¶·¸¹º¼½¾¿«»]|(?:^|(?<=\\s))Â(?=\\s)",
            f"(?:[ÐÑ]{_ANY}){{2,}}",
            f"(?:[ØÙÚÛ×]{_ANY}){{2,}}",
            f"(?:[ÎÏ]{_ANY}){{2,}}",
            f"[à-ï](?:[{_ODD}]{_ANY}|[{_PLAIN}][{_ODD}])",
            f"(?:[РС][{_CYRILLIC_ODD}]){{2,}}",
            "[À-ÖØ-öø-ÿ]{5,}",
        )
    )
)


@lru_cache(maxsize=64)
def encoding_fault(text: str) -> Why | None:
    """Why these letters can't be what was written, with the first place, or None.

    Finds replacement characters, UTF-8 that was read as windows-1252 or windows-1251, and windows-1251 read as Latin 1.
    """
    found = _GARBLED.search(text)
    if found is None:
        return None
    around = text[max(found.start() - 12, 0) : found.end() + 12]
    return Why(Reason.ENCODING, f'garbled letters: "{around}"')
