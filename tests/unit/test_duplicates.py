"""Which items of a fetch are articles that we know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Article, Image, Priority, Reason
from bot.rules.duplicates import (
    Judgement,
    Key,
    KeyKind,
    Known,
    Verdict,
    breaker,
    digest,
    judge,
    keys_of,
    near,
    repeats,
    title_key,
)

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
TODAY = NOW.date()
HOUR = timedelta(hours=1)
# fmt: off
WORDS = [
    "rail", "strike", "deal", "council", "budget", "vote", "river", "flood", "museum", "harvest", "pilot", "engine",
    "school", "teacher", "record", "winter", "storm", "bridge", "tunnel", "garden", "market", "prices", "bread",
    "ocean", "fish", "island", "ferry", "hospital", "nurse", "union", "pay", "talks", "court", "levy",
]
# fmt: on


OLD = "Best laptops for students this autumn"
UNLIKE = "Minister resigns over harbour contract"


def title(number: int) -> str:
    """Seven words, others for each number, the same in each run."""
    shuffled = sorted(WORDS, key=lambda word: hashlib.sha256(f"{number}{word}".encode()).digest())
    return " ".join(shuffled[:7]).capitalize()


def article(number: int = 1, **keys: Any) -> Article:
    base: dict[str, Any] = {
        "source": "main",
        "guid": f"http://example.com/?p={number}",
        "headline": title(number),
        "link": f"http://example.com/story-{number}",
        "published_at": NOW - number * HOUR,
    }
    return Article(**{**base, **keys})


class Memory:
    """The keys of known articles, as the store keeps them: unique, the first one wins."""

    def __init__(self, articles: Iterable[Article] = (), *, seen_at: datetime = NOW - 7 * 24 * HOUR) -> None:
        self.keys: dict[Key, Known] = {}
        self.seen_at = seen_at
        for one in articles:
            self.add(one)

    def add(self, one: Article, known: Known | None = None) -> Known:
        known = known or Known(
            id=f"id-{len(self.keys)}",
            source=one.source,
            guid=one.guid,
            headline=one.headline,
            link=one.link,
            published_at=one.published_at,
            first_seen_at=self.seen_at,
            digest=digest(one),
            status="seen",
        )
        for key in keys_of(one, seen_on=self.seen_at.date()):
            self.keys.setdefault(key, known)
        return known

    def judge(self, one: Article) -> Judgement:
        keys = keys_of(one, seen_on=TODAY)
        return judge(one, {key: self.keys[key] for key in keys if key in self.keys})

    def take(self, one: Article) -> Judgement:
        """Judge and remember, as one fetch after the other does."""
        found = self.judge(one)
        self.add(one, found.known)
        return found


def verdicts(memory: Memory, batch: Sequence[Article]) -> list[Verdict]:
    return [memory.judge(one).verdict for one in batch]


# -- keys ---------------------------------------------------------------------------------------------------------


def test_keys_and_their_kinds() -> None:
    one = article(
        aliases=("https://example.com/?p=1", "https://www.example.com/story-1/?utm_source=x"), body="long " * 60
    )
    kinds = [key.kind for key in keys_of(one, seen_on=TODAY)]
    assert kinds[0] is KeyKind.GUID
    assert kinds.count(KeyKind.LINK) >= 2
    assert kinds[-3:] == [KeyKind.TITLE_DAY, KeyKind.FINGERPRINT, KeyKind.GUID_TITLE]
    assert keys_of(one, seen_on=TODAY)[0].value == "main\nhttp://example.com/?p=1"


def test_an_article_with_nothing_has_no_keys() -> None:
    assert keys_of(Article(source="main", guid=" ", headline="?!"), seen_on=TODAY) == ()


def test_short_bodies_are_no_fingerprint() -> None:
    """Series share title and standfirst: they must stay apart."""
    assert all(
        key.kind is not KeyKind.FINGERPRINT for key in keys_of(article(body="All you need to know."), seen_on=TODAY)
    )


def test_p11_one_link_key_through_scheme_slash_and_tracking() -> None:
    forms = ("http://example.com/a", "https://example.com/a/", "https://example.com/a?utm_source=feed&utm_medium=rss")
    links = {key for form in forms for key in keys_of(article(link=form), seen_on=TODAY) if key.kind is KeyKind.LINK}
    assert len(links) == 1


def test_undated_titles_take_the_day_of_their_sight() -> None:
    (key,) = [k for k in keys_of(article(published_at=None), seen_on=date(2026, 1, 2)) if k.kind is KeyKind.TITLE_DAY]
    assert key.value.endswith("\n2026-01-02")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Rail strike off", "RAIL  strike – off!", True),
        ("Q&amp;A: what now?", "Q&A what now", True),
        ("Q&amp;amp;A", "Q&A", True),
        ("ｗｉｄｅ", "wide", True),
        ("Arsenal 1-0 Chelsea", "Arsenal 10 Chelsea", False),
        ("", "?", True),
        ("铁路罢工", "铁路罢工！", True),
    ],
)
def test_titles_compared(one: str, other: str, same: bool) -> None:
    assert (title_key(one) == title_key(other)) is same


# -- changes ------------------------------------------------------------------------------------------------------

SHOWN: list[dict[str, Any]] = [
    {"headline": "Another"},
    {"link": "https://example.com/other"},
    {"summary": "new"},
    {"image": Image("https://example.com/b.jpg")},
    {"image": Image("https://example.com/a.jpg", alt="a boat")},
    {"tags": ("a", "c")},
    {"section": "sport"},
    {"texts": {"desk-x": "by hand"}},
    {"embargo_until": NOW},
    {"hold": Reason.LINT},
    {"priority": Priority.BREAKING},
]
NOT_SHOWN: list[dict[str, Any]] = [
    {"headline": "Rail &amp; road:  deal"},
    {"headline": " Rail &amp;amp; road:\n deal"},
    {"link": "http://www.example.com/story-1/?utm_source=feed"},
    {"published_at": NOW + HOUR},
    {"updated_at": NOW},
    {"tags": ("B", "a")},
    {"guid": "other"},
]


@pytest.mark.parametrize("change", SHOWN)
def test_what_makes_a_revision(change: dict[str, Any]) -> None:
    before = article(image=Image("https://example.com/a.jpg"), tags=("a", "b"))
    assert digest(replace(before, **change)) != digest(before)


@pytest.mark.parametrize("change", NOT_SHOWN)
def test_p04_p12_what_makes_none(change: dict[str, Any]) -> None:
    before = article(headline="Rail & road: deal", tags=("a", "b"), link="http://www.example.com/story-1")
    assert digest(replace(before, **change)) == digest(before)


def test_p04_twenty_new_dates_are_the_same_article() -> None:
    memory = Memory([article()])
    for step in range(20):
        moved = article(published_at=NOW + step * 5 * HOUR, updated_at=NOW + step * HOUR)
        assert memory.take(moved).verdict is Verdict.SAME


def test_p12_an_edited_title_is_a_change_of_the_same_article() -> None:
    one = article(headline="Rail strike looms over Christmas travel")
    memory = Memory([one])
    found = memory.judge(replace(one, headline="Rail strike off after late deal", published_at=one.published_at))
    assert (found.verdict, found.changed) == (Verdict.CHANGED, True)


def test_p12_a_republished_article_is_the_same() -> None:
    """Drafted and published again: a new id, address and date, the same title and text."""
    one = article(body=" ".join(WORDS) * 3)
    memory = Memory([one])
    again = replace(one, guid="x", link="https://example.com/again", published_at=NOW)
    assert memory.judge(again).verdict is Verdict.REMAPPED


# -- churn --------------------------------------------------------------------------------------------------------


def churned(one: Article, number: int, how: str) -> Article:
    """The item as it looks after the site moved."""
    match how:
        case "scheme":
            return replace(one, guid=f"https://example.com/?p={number}", link=f"https://example.com/story-{number}")
        case "slug":
            return replace(one, guid=f"http://example.com/story-{number}")
        case "host":
            return replace(one, guid=f"urn:new:{number}", link=f"https://other.example.org/archive/{number}.html")
        case _:
            return replace(one, guid=f"urn:hash:{number * 7919}")


@pytest.mark.parametrize("how", ["scheme", "slug", "host", "hash"])
def test_p05_all_ids_change_and_nothing_is_new(how: str) -> None:
    known = [article(number) for number in range(1, 231)]
    memory = Memory(known)
    batch = [churned(one, number, how) for number, one in enumerate(known, 1)]
    found = [memory.judge(one) for one in batch]
    assert [one.verdict for one in found] == [Verdict.REMAPPED] * 230
    assert [one.known.guid if one.known else None for one in found] == [one.guid for one in known]
    assert breaker(list(zip(batch, found, strict=True)), total=230, now=NOW, last_good_at=NOW - HOUR) is None


def test_p05_undated_items_that_moved_within_a_day() -> None:
    known = [article(number, published_at=None) for number in range(1, 40)]
    memory = Memory(known, seen_at=NOW - HOUR)
    assert set(verdicts(memory, [churned(one, 900 + n, "host") for n, one in enumerate(known)])) == {Verdict.REMAPPED}


def test_p07_p08_items_that_come_back_are_known() -> None:
    known = [article(number) for number in range(1, 31)]
    memory = Memory(known)
    for batch in (known[:20], [], known):
        assert all(memory.take(one).verdict is Verdict.SAME for one in batch)


def test_p11_one_story_by_two_sources() -> None:
    memory = Memory([article()])
    other = article(source="cms", guid="post-1", link="https://example.com/story-1/?utm_source=cms")
    assert memory.judge(other).verdict is Verdict.REMAPPED
    assert memory.judge(replace(other, link="https://example.com/else")).verdict is Verdict.NEW


def test_p11_a_second_source_never_rewrites_the_first_ones_article() -> None:
    memory = Memory([article(summary="As the first one tells it.")])
    other = article(source="cms", guid="post-1", summary="Told otherwise.")
    for _ in range(3):
        found = memory.take(other)
        assert not found.changed
        assert found.verdict in (Verdict.REMAPPED, Verdict.SAME)
    assert memory.judge(article(summary="As the first one tells it now.")).verdict is Verdict.CHANGED


def test_p06_a_held_story_under_a_taken_id_is_known_the_next_time() -> None:
    first, second = article(headline=OLD), article(headline=UNLIKE, published_at=NOW + 30 * HOUR)
    memory = Memory([first])
    assert memory.judge(second).verdict is Verdict.REUSED
    memory.add(second)  # its id and link stay the first one's; its title and day are its own
    assert memory.judge(second).verdict is Verdict.SAME
    assert memory.judge(first).verdict is Verdict.SAME


def test_a_title_of_another_source_is_no_identity() -> None:
    memory = Memory([article(body=" ".join(WORDS) * 3)])
    copied = article(source="wire", guid="w", link="https://example.org/copy", body=" ".join(WORDS) * 3)
    assert memory.judge(copied).verdict is Verdict.NEW


def test_series_with_one_title_stay_apart() -> None:
    memory = Memory([article(headline="Morning briefing", published_at=NOW - 24 * HOUR)])
    today = article(2, headline="Morning briefing", published_at=NOW)
    evening = article(3, headline="Morning briefing", published_at=NOW - 20 * HOUR)
    assert verdicts(memory, [today, evening]) == [Verdict.NEW, Verdict.NEW]


# -- reuse --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"headline": UNLIKE, "published_at": NOW}, Verdict.REUSED, id="guid and link, a day later"),
        pytest.param(
            {"headline": UNLIKE, "published_at": NOW, "link": "https://example.com/n"}, Verdict.REUSED, id="guid"
        ),
        pytest.param({"headline": UNLIKE, "published_at": NOW, "guid": "n"}, Verdict.REUSED, id="link, a day later"),
        pytest.param({"headline": UNLIKE, "guid": "n", "published_at": NOW - 29 * HOUR}, Verdict.REUSED, id="link"),
        pytest.param({"headline": UNLIKE, "guid": "n", "published_at": None}, Verdict.REUSED, id="link, undated"),
        pytest.param(
            {"headline": UNLIKE, "link": "https://example.com/n", "published_at": NOW - 29 * HOUR},
            Verdict.REUSED,
            id="guid twice",
        ),
        pytest.param({"headline": UNLIKE}, Verdict.CHANGED, id="a rewritten title"),
        pytest.param({"headline": UNLIKE, "published_at": NOW - 20 * HOUR}, Verdict.CHANGED, id="rewritten in hours"),
        pytest.param({"headline": UNLIKE, "guid": "n"}, Verdict.REMAPPED, id="id made from the title"),
        pytest.param({"headline": UNLIKE, "link": "https://example.com/n"}, Verdict.CHANGED, id="title and address"),
        pytest.param({"headline": OLD + ", updated", "published_at": NOW}, Verdict.CHANGED, id="a new edition"),
        pytest.param({"headline": "", "published_at": NOW}, Verdict.CHANGED, id="a lost title"),
    ],
)
def test_p06_one_key_for_two_stories(change: dict[str, Any], expected: Verdict) -> None:
    one = article(headline=OLD, published_at=NOW - 30 * HOUR)
    found = Memory([one]).judge(replace(one, **change))
    assert found.verdict is expected
    assert found.known is not None


def test_p06_all_items_link_to_the_home_page() -> None:
    """Nothing is swallowed: each further story under the one link is held."""
    memory = Memory()
    titles = [OLD, UNLIKE, "River floods the old town", "Pilots vote for winter pay"]
    batch = [
        article(number, headline=title, link="https://example.com/", published_at=NOW - number * HOUR)
        for number, title in enumerate(titles)
    ]
    assert [memory.take(one).verdict for one in batch] == [Verdict.NEW, Verdict.REUSED, Verdict.REUSED, Verdict.REUSED]


def test_p05_a_moved_site_whose_items_share_a_link_is_known_by_title() -> None:
    known = [article(n, link="https://example.com/") for n in range(1, 12)]
    memory = Memory(known)
    moved = [replace(one, guid=f"new-{n}") for n, one in enumerate(known)]
    found = [memory.judge(one) for one in moved]
    assert {one.verdict for one in found} == {Verdict.REMAPPED}
    assert [one.known.headline for one in found if one.known] == [one.headline for one in known]


# -- order --------------------------------------------------------------------------------------------------------


WAYS = st.sampled_from(["scheme", "slug", "host", "hash"])


@given(st.permutations(range(24)), st.lists(WAYS, min_size=12, max_size=12))
def test_p21_the_order_of_a_fetch_changes_no_verdict(order: list[int], ways: list[str]) -> None:
    known = [article(number) for number in range(1, 13)]
    memory = Memory(known)
    batch = [churned(one, n, way) for n, (one, way) in enumerate(zip(known, ways, strict=True), 1)]
    batch += [article(100 + number) for number in range(12)]
    plain = verdicts(memory, batch)
    assert verdicts(memory, [batch[place] for place in order]) == [plain[place] for place in order]
    assert plain.count(Verdict.NEW) == 12


@given(st.permutations(range(20)))
def test_p11_copies_within_one_fetch_make_one_article(order: list[int]) -> None:
    """Each story twice in one fetch (front page and section): in any order one is new, the other is it."""
    stories = [article(number) for number in range(10)]
    copies = [replace(one, guid=f"section-{one.guid}", link=f"{one.link}?utm_source=section") for one in stories]
    batch = [*stories, *copies]
    memory = Memory()
    found = [memory.take(batch[place]).verdict for place in order]
    assert found.count(Verdict.NEW) == 10
    assert found.count(Verdict.REMAPPED) == 10


@given(st.data())
def test_the_order_of_the_matches_does_not_matter(data: st.DataObject) -> None:
    memory = Memory([article(1), article(2, source="cms"), article(3)])
    one = article(1, link="https://example.com/story-2", aliases=("https://example.com/story-3",))
    matches = [(key, memory.keys[key]) for key in keys_of(one, seen_on=TODAY) if key in memory.keys]
    assert len(matches) >= 3
    shuffled = data.draw(st.permutations(matches))
    assert judge(one, dict(shuffled)) == judge(one, dict(matches))


# -- too much at once ---------------------------------------------------------------------------------------------


def fetch(count: int, published_at: datetime | None, start: int = 1000) -> list[tuple[Article, Judgement]]:
    return [(article(start + n, published_at=published_at), Judgement(Verdict.NEW, None)) for n in range(count)]


KNOWN_ONES = [(article(n), Judgement(Verdict.SAME, None)) for n in range(30)]
LAST_YEAR = NOW - 400 * 24 * HOUR


@pytest.mark.parametrize(
    ("judged", "trips"),
    [
        pytest.param(fetch(20, NOW), False, id="p18 an honest burst"),
        pytest.param(fetch(20, NOW - 25 * timedelta(minutes=1)), False, id="p18 a burst that a cache held back"),
        pytest.param(fetch(50, NOW), False, id="fifty"),
        pytest.param(fetch(51, NOW), True, id="more than fifty"),
        pytest.param(fetch(11, LAST_YEAR), True, id="p08 old ones"),
        pytest.param(fetch(10, LAST_YEAR), False, id="p07 a few old ones"),
        pytest.param(fetch(11, None), True, id="undated"),
        pytest.param(fetch(11, LAST_YEAR) + KNOWN_ONES, False, id="under 30 %"),
        pytest.param(fetch(13, LAST_YEAR) + KNOWN_ONES, True, id="over 30 %"),
        pytest.param(fetch(6, LAST_YEAR) + fetch(6, NOW, 2000), False, id="half of them old"),
        pytest.param(fetch(7, LAST_YEAR) + fetch(6, NOW, 2000), True, id="most of them old"),
        pytest.param(fetch(300, LAST_YEAR), True, id="p17 an import"),
        pytest.param(fetch(60, None) + KNOWN_ONES * 10, True, id="undated ones count as fresh"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_p05_p08_p17_p18_the_breaker(judged: list[tuple[Article, Judgement]], trips: bool) -> None:
    why = breaker(judged, total=len(judged), now=NOW, last_good_at=NOW - timedelta(minutes=5))
    assert (why is not None) is trips
    if why is not None:
        assert why.reason is Reason.MASS_CHANGE
        assert "5m after the last look" in why.detail
    assert breaker(judged, total=len(judged), now=NOW, last_good_at=None) is None, "a first look never trips"


def test_p05_known_titles_under_new_ids_trip_it() -> None:
    judged = fetch(20, NOW)
    titles = {title_key(one.headline) for one, _ in judged[:11]}
    look = NOW - HOUR
    assert breaker(judged, total=20, now=NOW, last_good_at=look, known_titles=titles) is not None
    assert breaker(judged, total=20, now=NOW, last_good_at=look, known_titles=sorted(titles)[:10]) is None


# -- near-same headlines ------------------------------------------------------------------------------------------


def known(headline: str, **keys: Any) -> Known:
    base: dict[str, Any] = {
        "id": headline,
        "source": "main",
        "guid": "g",
        "headline": headline,
        "link": "https://example.com/first",
        "published_at": NOW,
        "first_seen_at": NOW,
        "digest": "",
        "status": "seen",
    }
    return Known(**{**base, **keys})


FIRST = "Rail strike called off after late night deal"


@pytest.mark.parametrize(
    ("headline", "found"),
    [
        (FIRST, True),
        ("UPDATE: Rail strike called off after late night deal", True),
        ("Rail Strike Called Off After ‘Late Night’ Deal | The Daily Example", True),
        ("Late night deal: rail strike called off", True),
        ("Rail strike", False),
        ("Council votes on budget after late talks", False),
        ("", False),
        ("!?", False),
    ],
)
def test_near_headlines(headline: str, found: bool) -> None:
    recent = [known("Museum opens its garden to the market"), known(FIRST), known("")]
    match = near(headline, "https://example.com/second", recent)
    assert (match is not None and match.headline == FIRST) is found
    assert found or match is None


def test_the_same_link_is_not_near_but_the_same() -> None:
    assert near(FIRST, "http://www.example.com/first/?utm_source=x", [known(FIRST)]) is None


def test_the_likest_wins_whatever_the_order() -> None:
    recent = [known(FIRST + " today", id="b"), known(FIRST, id="d"), known(FIRST, id="c", link=None)]
    for order in (recent, recent[::-1]):
        match = near(FIRST, None, order)
        assert match is not None
        assert match.id == "d"


def test_p15_a_title_repeated_every_five_minutes_for_a_day() -> None:
    """288 items with new ids, times and links: one is new, each other repeats it."""
    memory, recent, fresh = Memory(), [], 0
    for step in range(288):
        one = article(7, guid=f"n{step}", link=f"https://example.com/s/{step}", published_at=NOW + step * HOUR / 12)
        assert memory.take(one).verdict is Verdict.NEW
        match = near(one.headline, one.link, recent)
        if match is None:
            fresh += 1
        else:
            assert repeats(one, match)
        recent = [*recent[-20:], known(one.headline, id=str(step), link=one.link)]
    assert fresh == 1


def test_repeats_only_the_very_title_of_the_very_source() -> None:
    assert repeats(article(headline="rail strike: CALLED off after late night deal!"), known(FIRST))
    assert not repeats(article(headline=FIRST + " today"), known(FIRST))
    assert not repeats(article(headline=FIRST, source="cms"), known(FIRST))
    assert not repeats(article(headline="?"), known("!"))
