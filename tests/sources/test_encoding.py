"""Text whose header, declaration and bytes disagree (P55)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Reason
from bot.sources.reading.encoding import decode, garbled
from bot.sources.reading.entry import Setting, article_of
from bot.sources.reading.feeds import read_document
from bot.testing.clock import START

RUSSIAN, JAPANESE, GERMAN = (
    "Мост через реку открыли после ремонта",
    "橋の修理が終わりました。",
    "Größere Brücke für „Köln“ – 5 €",
)
CHINESE, KOREAN, GREEK, POLISH = (
    "大桥修复后重新开放",
    "다리가 다시 열렸습니다",
    "Η γέφυρα άνοιξε ξανά",
    "Źdźbło trawy — żółw",
)

# real encoding, what the header says, what the declaration says, the title
CASES = [
    ("utf-8", "utf-8", "utf-8", RUSSIAN),
    ("utf-8", "iso-8859-1", "utf-8", RUSSIAN),  # a server's default header
    ("utf-8", None, "iso-8859-1", GERMAN),
    ("utf-8", "us-ascii", None, JAPANESE),
    ("utf-8", "windows-1251", "windows-1251", RUSSIAN),
    ("utf-8", "shift_jis", None, JAPANESE),
    ("utf-8-sig", "iso-8859-1", "iso-8859-1", GERMAN),
    ("utf-8", None, None, CHINESE),
    ("utf-8", "no-such-charset", "x-user-defined", GERMAN),
    ("windows-1251", "windows-1251", "windows-1251", RUSSIAN),
    ("windows-1251", None, "windows-1251", RUSSIAN),
    ("windows-1251", "windows-1251", "utf-8", RUSSIAN),
    ("windows-1251", "utf-8", "windows-1251", RUSSIAN),
    ("windows-1251", "iso-8859-1", "windows-1251", RUSSIAN),
    ("windows-1251", "koi8-r", "windows-1251", RUSSIAN),
    ("koi8-r", "koi8-r", "windows-1251", RUSSIAN),
    ("koi8-r", "windows-1251", "koi8-r", RUSSIAN),
    ("koi8-r", "utf-8", "koi8-r", RUSSIAN),
    ("shift_jis", "shift_jis", None, JAPANESE),
    ("shift_jis", "utf-8", "shift_jis", JAPANESE),
    ("euc-jp", None, "euc-jp", JAPANESE),
    ("iso-2022-jp", None, "iso-2022-jp", JAPANESE),
    ("gb2312", "gb2312", "utf-8", CHINESE),
    ("big5", None, "big5", "大橋修復後重新開放"),
    ("euc-kr", "euc-kr", None, KOREAN),
    ("iso-8859-7", "iso-8859-7", None, GREEK),
    ("iso-8859-2", None, "iso-8859-2", "Źdźbło trawy, żółw"),
    ("cp1252", "iso-8859-1", "iso-8859-1", GERMAN),
    ("cp1252", None, None, GERMAN),
    ("cp1252", "utf-8", "utf-8", GERMAN),
    ("utf-16", None, "utf-16", POLISH),
    ("utf-16", "utf-8", "utf-8", POLISH),
    ("utf-16-le", None, "utf-16", RUSSIAN),
    ("utf-16-be", None, None, RUSSIAN),
    ("utf-32", None, "utf-8", GERMAN),
]


@pytest.mark.parametrize(("real", "header", "declared", "title"), CASES)
def test_p55_a_feed_is_read_by_its_bytes_when_labels_disagree(
    real: str, header: str | None, declared: str | None, title: str
) -> None:
    label = f' encoding="{declared}"' if declared else ""
    text = (
        f'<?xml version="1.0"{label}?><rss version="2.0"><channel><title>x</title>'
        f"<item><title>{title}</title><link>https://example.com/1</link></item></channel></rss>"
    )
    kind = f"application/rss+xml; charset={header}" if header else "application/rss+xml"
    entry = read_document(text.encode(real), base="https://example.com/feed", content_type=kind).entries[0]
    article = article_of(entry, Setting("s", ZoneInfo("UTC"), START))
    assert article.headline == title
    assert article.hold is None


@pytest.mark.parametrize(
    "title", ["GrÃ¼ne BÃ¤ume „neu“", "Itâ€™s “over” now", "\ufffd\ufffd lost in Köln", "ÐŸÑ€Ð¸Ð²ÐµÑ‚ „x“"]
)
def test_p55_text_that_lost_its_characters_is_held(title: str) -> None:
    feed = f"<rss version='2.0'><channel><item><title>{title}</title><link>https://example.com/</link></item></channel></rss>"
    entry = read_document(feed.encode(), base="https://example.com/feed").entries[0]
    article = article_of(entry, Setting("s", ZoneInfo("UTC"), START))
    assert article.hold is Reason.ENCODING
    assert "UTF-8" in article.hold_note


@pytest.mark.parametrize(
    "text", ["Café", "Größe", "MAÇÃ verde", "Ãlvaro", "NÃO", "Â", "São Paulo", "Àpoint", RUSSIAN, JAPANESE, "naïve £5"]
)
def test_honest_letters_are_not_called_garbled(text: str) -> None:
    assert not garbled(text)


@given(
    st.binary(max_size=300), st.sampled_from([None, "utf-8", "koi8-r", "utf-16", "gb2312", "nonsense", "iso-2022-jp"])
)
def test_any_bytes_become_text_without_controls(data: bytes, claim: str | None) -> None:
    text = decode(data, (claim,)).text
    assert not any(ord(c) < 32 and c not in "\t\n\r" for c in text)


@given(
    st.text(
        alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), min_size=1
    )
)
def test_utf8_is_always_itself(text: str) -> None:
    assert decode(text.encode(), ("windows-1251",)).text == text
