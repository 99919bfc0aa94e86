"""Articles, the keys they are known by, and two articles that turn out to be one story."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.model import Reason, State, Status, Why
from bot.rules.duplicates import Key, KeyKind, digest, keys_of
from bot.store import Store, articles, identity
from bot.store.articles import AddArticle, Admit, ChangedArticle, MarkSeen, SeenArticle, Stored, Withdraw
from bot.store.attempts import Refused
from bot.store.audit import events_named
from bot.store.ledger import imbalances
from bot.store.schema import article_keys, occupied
from bot.testing.clock import START, ManualClock
from tests.store.stock import Stock, article, merge, new_article


def add(store: Store, arrival: Any) -> str:
    return store.commit(AddArticle(arrival))


def read(store: Store, identity: str) -> Stored:
    with store.read() as tx:
        found = articles.by_id(tx, identity)
    assert found is not None
    return found


def owners(store: Store, *keys: Key) -> list[str | None]:
    with store.read() as tx:
        known = identity.known_by(tx, keys)
    return [known[key].id if key in known else None for key in keys]


def events(store: Store, name: str) -> list[tuple[str, Any]]:
    with store.read() as tx:
        return [(one.subject, one.detail) for one in events_named(tx, name, since=START)]


GUID = Key(KeyKind.GUID, "main\nguid-1")


def test_an_article_comes_back_as_it_was_stored(store: Store) -> None:
    content = article(1, summary="Sum", tags=("Rail", "City"), texts={"x": "Own words"}, published_at=START)
    assert add(store, new_article("a", content, settle=timedelta(minutes=2), hold=Why(Reason.LINT, "odd"))) == "a"
    stored = read(store, "a")
    assert stored.article == content
    assert (stored.revision, stored.status, stored.hold) == (1, Status.LIVE, Why(Reason.LINT, "odd"))
    assert (stored.first_seen_at, stored.fresh_from, stored.settle_until) == (
        START,
        START,
        START + timedelta(minutes=2),
    )
    assert set(owners(store, *keys_of(content, seen_on=START.date()))) == {"a"}
    with store.read() as tx:
        assert articles.revisions_of(tx, "a") == [(1, START, content)]
        assert [one.id for one in articles.unplanned(tx, limit=9)] == ["a"]


@pytest.mark.parametrize(
    "second",
    [article(1, guid="other"), article(1, link=None), article(1, source="wire", guid="else")],
    ids=["another id", "the same id without link", "another source"],
)
def test_a_strong_key_in_anothers_hands_attaches_to_the_first(store: Store, second: Any) -> None:
    assert add(store, new_article("a", article(1))) == "a"
    assert add(store, new_article("b", second)) == "a"
    with store.read() as tx:
        assert articles.by_id(tx, "b") is None
        assert tx.rows(select(article_keys).where(article_keys.c.article == "b")) == []
    assert events(store, "article_attached") == [("a", {"source": second.source, "guid": second.guid})]


def test_a_weak_key_in_anothers_hands_decides_nothing(store: Store) -> None:
    add(store, new_article("a", article(1)))
    twin = article(1, guid="other", link="https://www.example.com/elsewhere")
    assert add(store, new_article("b", twin)) == "b"
    weak = [key for key in keys_of(twin, seen_on=START.date()) if key.kind not in identity.STRONG]
    assert weak
    assert "a" in owners(store, *weak)


def test_a_change_makes_a_revision_once(store: Store, clock: ManualClock) -> None:
    add(store, new_article("a", article(1, published_at=START)))
    clock.advance(60)
    new = article(1, headline="Corrected", published_at=START + timedelta(hours=1))
    change = ChangedArticle(id="a", article=new, digest=digest(new), keys=())
    assert add(store, change) == "a"
    assert add(store, change) == "a"
    stored = read(store, "a")
    assert (stored.revision, stored.article.headline, stored.article.published_at) == (2, "Corrected", START)
    with store.read() as tx:
        assert [number for number, _, _ in articles.revisions_of(tx, "a")] == [1, 2]
    again = ChangedArticle(id="a", article=new, digest=digest(new), keys=(), rescheduled=True)
    add(store, again)
    assert (read(store, "a").revision, read(store, "a").article.published_at) == (3, START + timedelta(hours=1))


def test_a_withdrawal_takes_what_waits_and_leaves_what_is_out_or_unclear(stock: Stock) -> None:
    sent, held, doubt = stock.sent(1), stock.waiting(2, state=State.HELD), stock.unknown(3)[1]
    waiting = stock.waiting(4)
    for number in (1, 2, 3, 4):
        assert stock.store.commit(Withdraw(f"article-{number}", "410 twice")) is True
        assert stock.store.commit(Withdraw(f"article-{number}", "410 twice")) is False
    assert [stock.state(one.id) for one in (sent, held, doubt, waiting)] == [
        State.SENT,
        State.SKIPPED,
        State.UNKNOWN,
        State.SKIPPED,
    ]
    assert stock.read(waiting.id).reason == Why(Reason.WITHDRAWN, "410 twice")
    add(stock.store, SeenArticle(id="article-4", keys=(), back=True))
    assert read(stock.store, "article-4").status is Status.LIVE
    assert stock.state(waiting.id) is State.SKIPPED


def test_a_person_admits_what_was_baseline_or_held(store: Store, clock: ManualClock) -> None:
    for number, status in enumerate((Status.BASELINE, Status.HELD, Status.LIVE, Status.WITHDRAWN)):
        add(store, new_article(f"a{number}", article(number), status=status, hold=Why(Reason.MASS_CHANGE)))
    clock.advance(60)
    assert store.commit(Admit(("a0", "a1", "a2", "a3", "none"), "ann")) == 2
    assert [read(store, f"a{number}").status for number in range(4)] == [
        Status.LIVE,
        Status.LIVE,
        Status.LIVE,
        Status.WITHDRAWN,
    ]
    assert (read(store, "a0").fresh_from, read(store, "a0").hold) == (START + timedelta(seconds=60), None)
    assert read(store, "a2").fresh_from == START
    assert [subject for subject, _ in events(store, "article_admitted")] == ["a0", "a1"]


def test_a_person_marks_what_is_held_as_old_news(store: Store) -> None:
    add(store, new_article("a", article(1), status=Status.HELD, hold=Why(Reason.MASS_CHANGE)))
    add(store, new_article("b", article(2)))
    assert store.commit(MarkSeen(("a", "b"), "ann")) == 1
    assert (read(store, "a").status, read(store, "b").status) == (Status.BASELINE, Status.LIVE)


# -- one story ----------------------------------------------------------------------------------------------------


def test_the_older_article_survives_and_takes_keys_and_place(two: Stock) -> None:
    first, second = two.waiting(1), two.waiting(2, "late")
    assert merge(two.store, "article-2", 1) == "article-1"
    assert read(two.store, "article-2").status is Status.MERGED
    assert read(two.store, "article-2").merged_into == "article-1"
    assert set(owners(two.store, *keys_of(article(2), seen_on=START.date()))) == {"article-1"}
    assert two.state(first.id) is State.WAITING
    merged = two.read(second.id)
    assert (merged.state, merged.reason.reason, merged.story) == (State.SKIPPED, Reason.MERGED, "article-1")
    assert events(two.store, "articles_merged") == [("article-1", {"merged": "article-2"})]
    assert merge(two.store, "article-1", 2) == "article-1"  # it knows both now


@pytest.mark.parametrize("state", ["sent", "unknown"])
def test_sent_wins_and_nothing_of_the_story_goes_there_again(two: Stock, state: str) -> None:
    older_here, older_there = two.waiting(1), two.waiting(1, "late")
    out = two.sent(2) if state == "sent" else two.unknown(2)[1]
    assert merge(two.store, "article-1", 2) == "article-2"
    assert two.state(out.id) is State(state)
    assert [two.state(one.id) for one in (older_here, older_there)] == [State.SKIPPED, State.SKIPPED]
    with two.store.read() as tx:
        assert [row.story for row in tx.rows(select(occupied))] == ["article-2"]
        assert imbalances(tx) == []
    refused = two.start(two.waiting(3, story="article-2"))
    assert isinstance(refused, Refused)
    assert refused.taken_by is not None


def test_both_out_keeps_both_receipts_and_one_place_each(two: Stock) -> None:
    """Two sources brought one story, both were posted before anybody knew: it is told, and never a third time."""
    one, other = two.sent(1), two.sent(2)
    assert merge(two.store, "article-2", 1) == "article-1"
    assert [two.state(each.id) for each in (one, other)] == [State.SENT, State.SENT]
    assert [two.read(each.id).story for each in (one, other)] == ["article-1", "article-1"]
    refused = two.start(two.waiting(3, story="article-1"))
    assert isinstance(refused, Refused)


def test_what_the_survivor_still_had_waiting_where_the_other_is_out_is_skipped(two: Stock) -> None:
    """The older has more out in all; where only the younger is out, the older's own post must not follow."""
    first = two.sent(1, "late")
    waiting = two.waiting(1)
    two.sent(2)
    assert merge(two.store, "article-2", 1) == "article-1"
    assert two.state(first.id) is State.SENT
    assert (two.state(waiting.id), two.read(waiting.id).reason.reason) == (State.SKIPPED, Reason.MERGED)


def test_the_rank_is_what_is_out_then_age_then_id(store: Store, clock: ManualClock) -> None:
    stock = Stock(store)
    stock.article(2)
    clock.advance(1)
    stock.article(1)
    assert merge(store, "article-1", 2) == "article-2"


def test_keys_stay_for_400_days_after_the_last_sight_and_sightings_are_daily(store: Store, clock: ManualClock) -> None:
    add(store, new_article("a", article(1)))

    def sight() -> Any:
        with store.read() as tx:
            return tx.execute(select(func.max(article_keys.c.last_seen_at))).scalar_one()

    clock.advance(timedelta(hours=23))
    add(store, SeenArticle(id="a", keys=(GUID,)))
    assert sight() == START
    clock.advance(timedelta(hours=2))
    add(store, SeenArticle(id="a", keys=(GUID,)))
    assert sight() == START + timedelta(hours=25)
    clock.advance(timedelta(days=400))
    assert owners(store, GUID) == ["a"]


# -- reads --------------------------------------------------------------------------------------------------------


def test_an_article_is_found_by_id_link_and_words(store: Store) -> None:
    add(store, new_article("abcd", article(1, headline="Rail strike: 100% off")))
    add(store, new_article("abzz", article(2, headline="Rail strike is on")))

    def found(words: str) -> list[str]:
        with store.read() as tx:
            return sorted(one.id for one in articles.find(tx, words))

    assert found("abc") == ["abcd"]
    assert found("strike RAIL") == ["abcd", "abzz"]
    assert found("https://www.example.com/news/1?utm_source=x") == ["abcd"]
    assert found("100%") == ["abcd"]
    assert found("%") == ["abcd"]
    assert found("_") == []
    assert found("https://www.example.com/none") == []


def test_what_else_is_asked_of_articles(store: Store) -> None:
    add(store, new_article("a", article(1)))
    add(store, new_article("b", article(2), status=Status.BASELINE))
    add(store, new_article("c", article(3), status=Status.HELD, hold=Why(Reason.GUID_REUSE)))
    with store.read() as tx:
        assert [one.id for one in articles.recent(tx, since=START)] == ["a", "c"]
        assert [one.id for one in articles.held(tx)] == ["c"]
        assert [one.id for one in articles.of_source(tx, "main", ["guid-1", "none"])] == ["a"]
        assert articles.of_source(tx, "wire", ["guid-1"]) == []
        assert articles.known_headlines(tx, "main", ["Headline number 1", "None"]) == ["Headline number 1"]
        assert identity.ids_of(tx, ["a"]) == {"a": 1}


def test_ten_thousand_keys_are_looked_up_in_parts(store: Store) -> None:
    add(store, new_article("a", article(1)))
    keys = [Key(KeyKind.GUID, f"main\nguid-{number}") for number in range(10_000)]
    with store.read() as tx:
        assert set(identity.known_by(tx, keys)) == {GUID}
        assert identity.owners_of(tx, keys) == {GUID: "a"}
