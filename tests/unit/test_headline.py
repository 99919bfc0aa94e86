"""Cleaning headlines, and what holds one back (P46, P55, P56, P57, P93)."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from itertools import product
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.model import Reason
from bot.rules.headline import clean_headline, clean_text, embargo_note, encoding_fault, lint, parse_embargo

# -- entities -----------------------------------------------------------------------------------------------------

#: A sign, its name if it has one; the headline around it; every one is spelled in four ways, in and out of CDATA.
SIGNS = [
    ("’", "rsquo"), ("“", "ldquo"), ("–", "ndash"), ("—", "mdash"), ("…", "hellip"), ("é", "eacute"),
    ("ü", "uuml"), ("&", "amp"), ("€", "euro"), ("£", "pound"), ("«", "laquo"), ("ß", "szlig"), ("™", "trade"),
    ("Ω", "Omega"),
]  # fmt: skip
FRAMES = ["Don{}t look now", "Left {} right", "{}At the start", "Ends in {}"]
SPELLINGS = {
    "named": lambda sign, name: f"&{name};",
    "decimal": lambda sign, name: f"&#{ord(sign)};",
    "padded": lambda sign, name: f"&#0{ord(sign)};",
    "hex": lambda sign, name: f"&#x{ord(sign):X};",
}
CASES = [
    (frame.format(SPELLINGS[way](*sign)), frame.format(sign[0]))
    for sign, frame, way in product(SIGNS, FRAMES, sorted(SPELLINGS))
]


def parsed(inner: str) -> str:
    """What an XML parser makes of a title's content."""
    return ElementTree.fromstring(f"<title>{inner}</title>").text or ""


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_p46_there_are_two_hundred_titles() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize(("title", "expected"), CASES)
def test_p46_entities_in_any_spelling_with_and_without_cdata(title: str, expected: str) -> None:
    """P46: named, decimal, hex and double-encoded entities, in CDATA and escaped, all read as the sign."""
    assert clean_text(parsed(escaped(title)), html=True) == expected
    assert clean_text(parsed(f"<![CDATA[{title}]]>"), html=True) == expected


@pytest.mark.parametrize(("title", "expected"), [case for case in CASES if "&#" in case[0]])
def test_p46_numbers_that_were_encoded_once_more_still_read_as_the_sign(title: str, expected: str) -> None:
    assert clean_text(escaped(title), html=True) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("How to write &amp;lt;br&amp;gt; in HTML", "How to write &lt;br&gt; in HTML"),
        ("What &amp;amp; means", "What &amp; means"),
        ("The &amp;#8217; entity explained", "The &#8217; entity explained"),
        ("Use &lt;b&gt; or &lt;strong&gt;?", "Use <b> or <strong>?"),
    ],
)
def test_p46_a_title_about_entities_stays_literal(raw: str, expected: str) -> None:
    assert clean_text(raw, html=True) == expected
    assert clean_text(expected, html=False) == expected


@pytest.mark.parametrize(
    ("raw", "html", "expected"),
    [
        ("AT&amp;T <b>wins</b>", True, "AT&T wins"),
        ("AT&amp;amp;T &#8217;s", True, "AT&T ’s"),
        ("Don&#146;t &#147;panic&#148;", True, "Don’t “panic”"),
        ("R&D and AT&T, 5 &lt; 6", True, "R&D and AT&T, 5 < 6"),
        ("?a=1&region=2&copy=3", True, "?a=1&region=2&copy=3"),
        ("H<sub>2</sub>O<br/>and <a href='x'>more</a>", True, "H2O and more"),
        ("a < b and c > d", True, "a < b and c > d"),
        ("The <div> tag", True, "The <div> tag"),
        ("<b>not html</b> &amp; so on", False, "<b>not html</b> &amp; so on"),
        ("e\u0301tude", False, "étude"),
        ("tab\there\n  and\r\nthere", False, "tab here and there"),
        ("no\x00 \x07control\x1f", False, "no control"),
        ("\u202eevil\u202c \u2066x\u2069", False, "evil x"),
        ("zero\u200bwidth\u2060\ufeff so\u00adft", False, "zerowidth soft"),
        ("join\u200der in\u200c word", False, "joiner in word"),
        ("👨\u200d👩\u200d👧 ok", False, "👨\u200d👩\u200d👧 ok"),
        ("می\u200cشود", False, "می\u200cشود"),
        ("क्\u200dष", False, "क्\u200dष"),
        ("don\x92t", False, "don’t"),
        ("a\u00a0b", False, "a b"),
        ("«\u00a0Non\u00a0» à 10\u00a0000\u00a0€", False, "«\u00a0Non\u00a0» à 10\u00a0000\u00a0€"),
        ("\ud800 lone", False, "\ufffd lone"),
        ("", True, ""),
    ],
)
def test_p46_what_else_titles_carry(raw: str, html: bool, expected: str) -> None:
    assert clean_text(raw, html=html) == expected


@pytest.mark.parametrize(
    "text",
    [
        "“Curly” and ‘single’", "„Deutsch“ und ‚einfach‘", "« Français » ‹ simple ›", "»Dansk«",
        "“Nested ‘quotes’ here”", "「日本」『二重』", "En – em — bar ―", "It’s the ’90s", "5′ 10″", "„Polski”",
        "”Svensk”", 'straight "and" \'single\'', "Non-breaking‑hyphen", "…and so on…", "¿Qué? ¡No!",
    ],
)  # fmt: skip
def test_p56_quotes_and_dashes_survive_unchanged(text: str) -> None:
    assert clean_text(text, html=True) == unicodedata.normalize("NFC", text)
    assert clean_headline(text, site="Example", html=True) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
@example(text="0\r\xa0<")
def test_cleaning_any_text_settles(text: str) -> None:
    once = clean_text(text, html=False)
    assert once == clean_text(once, html=False)
    assert "\n" not in once and once == once.strip()
    assert unicodedata.is_normalized("NFC", once)


# -- headlines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "site", "expected"),
    [
        ("Storm hits coast | The Daily Example", "Daily Example", "Storm hits coast"),
        ("Storm hits coast - example.com", "Example", "Storm hits coast"),
        ("Storm hits coast – Politics | Example", "Example", "Storm hits coast – Politics"),
        ("Example: Storm hits coast", "Example", "Storm hits coast"),
        ("Example | Storm hits coast", "Example", "Storm hits coast"),
        ("Storm hits coast|Example", "Example", "Storm hits coast"),
        ("Storm - hits - coast", "Example", "Storm - hits - coast"),
        ("An example – of how", "Example", "An example – of how"),
        ("Example", "Example", "Example"),
        ("Storm hits coast | Example", None, "Storm hits coast | Example"),
        ("UPDATE: Storm hits coast", None, "Storm hits coast"),
        ("Updated | Storm hits coast", None, "Storm hits coast"),
        ("UPDATE 2-Storm hits coast", None, "Storm hits coast"),
        ("[UPDATED] Storm hits coast", None, "Storm hits coast"),
        ("Storm hits coast (updated)", None, "Storm hits coast"),
        ("CORRECTED: UPDATE 1-Storm hits coast", None, "Storm hits coast"),
        ("Updated guidance on storms", None, "Updated guidance on storms"),
        ("Update: 7", None, "7"),
        ("Update", None, "Update"),
        ("EXCLUSIVE: Storm hits coast", None, "EXCLUSIVE: Storm hits coast"),
        ("Exclusive | Storm hits coast", None, "Exclusive | Storm hits coast"),
        ("Opinion: Why storms hit", None, "Opinion: Why storms hit"),
        ("Storm hits coast\n\nStorm hits coast\nStorm hits coast\n", None, "Storm hits coast"),
        ("Storm hits coast Storm hits coast", None, "Storm hits coast"),
        ("Storm hits\n   the coast", None, "Storm hits the coast"),
        ("New York, New York", None, "New York, New York"),
        ("STORM HITS COAST, NATO AND THE U.S. REACT", None, "Storm hits coast, NATO and the U.S. react"),
        ("TRUMP SAYS HE'LL VISIT BRITAIN'S NHS ON MONDAY", None, "Trump says he'll visit Britain's NHS on Monday"),
        ("WHO WINS? IT DEPENDS ON COVID-19 AND 5G", None, "Who wins? It depends on COVID-19 and 5G"),
        ("NATO AND EU", None, "NATO AND EU"),
        ("SPLIT", None, "SPLIT"),
        ("iPhone 15 IS HERE", None, "iPhone 15 IS HERE"),
        ("中国与俄罗斯 结盟 应对", None, "中国与俄罗斯 结盟 应对"),
        ("Ã©tÃ© stays as it is", None, "Ã©tÃ© stays as it is"),
    ],
)
def test_headlines_once_without_site_and_process_notes(raw: str, site: str | None, expected: str) -> None:
    assert clean_headline(raw, site=site) == expected


def test_capitals_come_back_from_the_lead() -> None:
    raw, lead = (
        "KANZLER SCHOLZ TRIFFT O'BRIEN IN KÖLN",
        "Bundeskanzler Olaf Scholz hat am Montag O'Brien in Köln getroffen, der Kanzler sagte",
    )
    assert clean_headline(raw, lead=lead) == "Kanzler Scholz trifft O'Brien in Köln"


# -- placeholders -------------------------------------------------------------------------------------------------

PLACEHOLDERS = [
    "TK", "TKTK", "TKTK headline here", "Mayor resigns after TK", "TK headline", "Profit rises $TK million",
    "[TK] wins the cup", "Lorem ipsum dolor sit amet", "Lorem Ipsum", "test", "Test", "TEST TEST",
    "This is a test", "Testing 1 2 3", "test post please ignore", "Test article", "Do not publish",
    "DO NOT PUBLISH: Mayor resigns", "Mayor resigns (do not publish)", "Mayor resigns DO NOT PUBLISH",
    "headline here", "Headline goes here", "Insert headline here", "INSERT CLEVER HEADLINE", "Your title here",
    "Untitled", "New post", "Auto Draft", "(no title)", "Hello world!", "asdf", "asdfasdf asdf", "xxxxx",
    "XXX", "placeholder", "Dummy headline", "Working title", "[headline]", "Headline TBC", "TBD",
    "DRAFT: Mayor resigns", "[draft] Mayor resigns", "Mayor resigns - needs headline",
    "Can you please check the quote, Anna", "Anna, can you check this", "please fix the headline before 5",
    "Note to editor: cut this", "Ed: is this right?", "Mayor resigns [ed: check spelling]",
    "Hi Tom, can you check the numbers", "Captain Sum Ting Wong blamed for crash", "Ho Lee Fuk among pilots",
    "Hugh Janus elected mayor", "Firstname Lastname wins", "Lorem ipsum: consectetur adipiscing",
    "A headline for this story goes here", "Please ignore this post", "Überschrift hier", "Titre ici",
    "TODO: headline", "{{ title }}", "not for publication", "Mayor resigns XXXX", "someone write a headline",
]  # fmt: skip


@pytest.mark.parametrize("headline", PLACEHOLDERS)
def test_p57_placeholders_are_held(headline: str) -> None:
    """P57: placeholders, blind text, tests, wishes not to publish, notes to colleagues and joke names."""
    why = lint(headline)
    assert why is not None, headline
    assert why.reason is Reason.LINT
    assert why.detail


HONEST = [
    "Test cricket returns to Lahore", "Testing times for the chancellor",
    "Lorem, the Welsh singer, tops the charts", "Test case for free speech", "Nuclear test shakes region",
    "The test of time", "Testing, tracing and treating", "COVID test centres close",
    "First Test: England collapse again", "TK Maxx opens 20 stores", "TK Elevator cuts jobs",
    "Do not disturb: why sleep matters", "Don't post photos of boarding passes, police say",
    "Judge tells press: do not publish the name", "Why papers did not publish the memo",
    "Headline inflation falls to 2 %", "Headline act cancels festival",
    "Here is the headline from today's budget", "Draft bill leaked", "NFL draft: who goes first",
    "Draft law on hold", "Hold the front page: print is back", "Hold for ransom: the new hackers",
    "Can you fix a broken heart?", "Can you trust your phone?", "Could you live on Mars?",
    "Please delete your account, says founder", "Please, sir, I want some more: school meals cut",
    "Title race goes to the last day", "Title hopes fade for Arsenal",
    "Untitled painting sells for $20 million", "Placeholder CEO takes over at bank",
    "Dummy companies used in fraud", "Sample sale draws crowds", "Example set by Denmark",
    "Blank cheque for the army", "Hello, world: the first message from Mars", "First post-war leader dies",
    "New post office opens", "New page in history", "None of the above wins vote",
    "Null points for Britain at Eurovision", "The null hypothesis", "XXX Olympic Games remembered",
    "XXL: the return of size", "ABC cancels show", "Foo Fighters tour", "Blah, the word of the year",
    "Note to investors: sell", "Editor's note: how we cover war", "Ed Sheeran is this right's owner",
    "Is this right wing party next?", "Fix the housing market, says minister",
    "Fix this bridge before it falls, locals say", "John Doe lawsuit goes ahead", "Jane Doe v. the State",
    "Ben Doverman elected", "Boaty McBoatface sets sail", "Ignore the polls, says premier",
    "Ignore this warning at your peril", "WIP: women in politics", "Asdic and the war at sea",
    "Legal check on border deal", "Nobody needs a better title than Federer", "Todo sobre mi madre vuelve",
    "Qué hacer con todo", "中国与俄罗斯结盟", "Überschriften des Tages", "Titre de champion pour Lyon",
    "Name, place, animal: a game returns", "Names and numbers: the election", "Anna can do it again",
    "Hi-tech farms, you need to see", "Dear mum, you were right", "Court can now check the numbers",
]  # fmt: skip


@pytest.mark.parametrize("headline", HONEST)
def test_p57_honest_headlines_pass(headline: str) -> None:
    assert lint(headline) is None


def test_p57_counts() -> None:
    assert len(PLACEHOLDERS) >= 25
    assert len(HONEST) >= 60
    assert lint("") is None


# -- encoding -----------------------------------------------------------------------------------------------------

NATIVE = {
    "en": "“It’s over” – £5 café", "de": "„Größe“ – Ärger über Öl und Übermut",
    "fr": "« L’été à Orléans », œuvre naïve", "es": "¿Qué pasó en España? ¡Olé!",
    "pt": "Eleição: “NÃO” vence em São João", "it": "Perché no? È così", "pl": "Zażółć gęślą jaźń – „tak”",
    "cs": "Příliš žluťoučký kůň", "hu": "Árvíztűrő tükörfúrógép", "ro": "Știri și țară «în» față",
    "tr": "İğne ŞİŞ ılık çağ", "sv": "”Åland” på ön Åsö – Ä", "da": "»Blåbærgrød« på Ærø",
    "is": "Þjóðin ÐÞ æði", "fi": "Äiti näkyy yö", "ru": "Россия и СССР: «Рёв» – Сёстры",
    "uk": "Київ: «Рівне», Сім’я", "bg": "Съединение РС", "el": "Ελλάδα: «Ναι» σήμερα",
    "ar": "أخبار «اليوم» في مصر", "he": "ארה״ב: ״לא״", "fa": "ایران می‌شود", "hi": "नमस्ते दुनिया",
    "th": "ข่าววันนี้", "zh": "中国：“不”——报道", "ja": "「日本」の地震…", "ko": "서울 ‘경제’",
    "vi": "Đà Nẵng: ướt ở Huế", "sr": "Ђорђевић: „Њега“", "ca": "“CAFÉ” i RENÉ’… col·lega",
    "caps": "“MAÇÃ” ‘SEÑÓ’ «CITÉ» SÃO Å” Ä–", "emoji": "Goal 👍🏽 🇩🇪 ™ ©",
}  # fmt: skip


@pytest.mark.parametrize("language", sorted(NATIVE))
def test_p55_honest_text_in_any_language_is_no_fault(language: str) -> None:
    assert encoding_fault(NATIVE[language]) is None


GARBLED = [
    "en",
    "de",
    "fr",
    "es",
    "pt",
    "it",
    "pl",
    "cs",
    "hu",
    "tr",
    "sv",
    "da",
    "ru",
    "uk",
    "bg",
    "el",
    "ar",
    "he",
    "hi",
    "th",
    "zh",
    "ja",
    "ko",
    "vi",
    "emoji",
]


@pytest.mark.parametrize("language", GARBLED)
@pytest.mark.parametrize("wrong", ["cp1252", "latin-1"])
def test_p55_utf8_read_as_western_bytes_is_found(language: str, wrong: str) -> None:
    """P55: a headline that went through the wrong decoder, then through our cleaning, is held."""
    garbled = NATIVE[language].encode("utf-8").decode(wrong, "replace" if wrong == "cp1252" else "strict")
    why = encoding_fault(clean_headline(garbled))
    assert why is not None and why.reason is Reason.ENCODING and why.detail


@pytest.mark.parametrize(
    "text",
    [
        "caf\ufffd", "â€™", "donâ€™t", "â€œQuoteâ€\x9d", "Ã©tÃ©", "cafÃ© au lait", "Â£5", "voilÃ  tout",
        "naÃ¯ve", "Â© 2026", "ðŸ˜€", "ï»¿Title", "Ïðèâåò ìèð", "РџСЂРёРІРµС‚", "Ð\x9fÑ\x80Ð¸Ð²ÐµÑ\x82",
        "æ\x97¥æ\x9c¬", "Ù…Ø±Ø\xadØ¨Ø§", "â‚¬5", "â„¢", "Å¡koda",
    ],
)  # fmt: skip
def test_p55_mojibake_patterns_are_found(text: str) -> None:
    assert encoding_fault(clean_text(text, html=False)) is not None


# -- embargo ------------------------------------------------------------------------------------------------------

PUBLISHED = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("Embargoed until 00:01 GMT on Wednesday 25 November 2026", "2026-11-25T00:01"),
        ("EMBARGO: 25 November, 6am", "2026-11-25T05:00"),
        ("EMBARGOED UNTIL 5:00 A.M. ET, NOV. 25", "2026-11-25T10:00"),
        ("Under embargo until 2026-11-25 06:00", "2026-11-25T05:00"),
        ("Embargoed until 2026-11-25T06:00:00Z", "2026-11-25T06:00"),
        ("Embargoed until 2026-11-25T06:00+05:30", "2026-11-25T00:30"),
        ("Sperrfrist: Mittwoch, 25. November 2026, 10.00 Uhr", "2026-11-25T09:00"),
        ("Sperrfrist: 25.11.2026, 10 Uhr", "2026-11-25T09:00"),
        ("Sous embargo jusqu'au 25 novembre 2026 à 6h00", "2026-11-25T05:00"),
        ("Bajo embargo hasta el 25 de noviembre de 2026 a las 10:00", "2026-11-25T09:00"),
        ("Embargoed until noon tomorrow", "2026-11-25T11:00"),
        ("Embargoed until Monday", "2026-11-29T23:00"),
        ("Embargoed until 0001 hrs BST 1 June 2027", "2027-05-31T23:01"),
        ("Embargoed until 22:00", "2026-11-24T21:00"),
        ("Embargoed until 9:00", "2026-11-25T08:00"),
        ("Not for publication before Thursday at 6pm", "2026-11-26T17:00"),
        ("FOR RELEASE: December 1, 2026, 9:00 AM EST", "2026-12-01T14:00"),
        ("Embargoed until 10:00 UTC+2 on 26 November 2026", "2026-11-26T08:00"),
        ("Embargoed until 10:00 +0200 on 26 November 2026", "2026-11-26T08:00"),
        ("embargoed until 6:00 (CET) 26 Nov 2026", "2026-11-26T05:00"),
        ("Embargoed until 00.01 Tuesday, December 1, 2026", "2026-11-30T23:01"),
        ("Embargo lifts at 3pm PST on 3 January", "2027-01-03T23:00"),
        ("Report on schools.\nSTRICT EMBARGO: 00:01 BST 2 July 2027\nMore text", "2027-07-01T23:01"),
        ("Embargoed until 25 November 2026 at 6am", "2026-11-25T05:00"),
        # named, but not for certain: a human decides
        ("Embargoed until midnight", None),
        ("Embargoed until 10:00 IST 26 November", None),
        ("Embargoed until 05/12/2026", None),
        ("Embargoed until after the speech", None),
        ("Embargoed until further notice", None),
        ("Embargoed until 31 February 2027", None),
        ("Embargoed until 25:00 on 26 November 2026", None),
        ("Embargoed until Monday 25 November 2026, 10:00", None),
        ("Embargoed until 1 December 2026, revised 3 December 2026", None),
        ("Embargoed until next Tuesday", None),
        ("EMBARGO", None),
    ],
)
def test_p93_embargo_lines_are_found_and_read_or_left_to_a_human(text: str, when: str | None) -> None:
    note = embargo_note(text)
    assert note is not None
    expected = None if when is None else datetime.fromisoformat(when).replace(tzinfo=UTC)
    assert parse_embargo(note, "Europe/Berlin", PUBLISHED) == expected


def test_p93_without_a_date_of_publication_only_full_dates_count() -> None:
    assert parse_embargo("Embargoed until 22:00", "UTC", None) is None
    assert parse_embargo("Embargoed until Monday 9am", "UTC", None) is None
    assert parse_embargo("Embargoed until 25 November", "UTC", None) is None
    assert parse_embargo("Embargoed until 25 November 2026", "UTC", None) == datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "EU extends arms embargo until March 2027", "For immediate release", "Film set for release on Friday",
        "Trade embargo to end, says minister", "UN lifts embargo on Mali", "Prisoner held until Monday",
        "Cuba embargo: 60 years on", "Album released before Christmas",
    ],
)  # fmt: skip
def test_p93_news_about_embargoes_is_no_embargo(text: str) -> None:
    assert embargo_note(text) is None
