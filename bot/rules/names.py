"""Names and words as people compare them: sections and tags without case and spaces, whole words in texts."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Scripts that write without spaces between words: a keyword there has no word boundary to stand on.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+(?:['’\-](?:(?![{_UNSPACED}])\w)+)*")


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """A name for comparing, much as addresses write it: "Live Blog" and "live-blog" are one, "Côte" is "cote".

    `+` and `#` stay: C++ and C# are not C.
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not "\u0300" <= char <= "\u036f")
    return re.sub(r"[^\w+#]+|_+", "-", unicodedata.normalize("NFKC", plain).casefold()).strip("-")


def same_name(one: str, other: str) -> bool:
    """Do two names mean the same: equal but for case, or by their key?"""
    return one.casefold() == other.casefold() or (name_key(one) == name_key(other) != "")


@lru_cache(maxsize=1024)
def _words_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    forms = []
    for word in words:
        parts = unicodedata.normalize("NFKC", word).casefold().split()
        if parts:
            body = r"\s+".join(re.escape(part) for part in parts)
            start = "" if re.match(rf"[{_UNSPACED}\W]", body) else r"(?<!\w)"
            end = "" if re.search(rf"[{_UNSPACED}\W]$", body) else r"(?!\w)"
            forms.append(f"{start}{body}{end}")
    return re.compile("|".join(forms) or r"(?!)")


def has_word(text: str, words: tuple[str, ...]) -> bool:
    """Does one of the words (or phrases) stand in the text as a whole word, whatever its case?"""
    return _words_pattern(words).search(unicodedata.normalize("NFKC", text).casefold()) is not None


def count_words(text: str) -> int:
    """How many words a text has; a character of a script without spaces counts as one."""
    return sum(1 for _ in _WORD.finditer(text))
