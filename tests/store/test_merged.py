"""Articles that turn out to be one story: its place on an account, its keys, and links in a chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.model import Article, Attempt, Delivery, Move, Reason, State, Why
from bot.rules.duplicates import Key
from bot.store import Store, articles, audit, deliveries, identity
from bot.store.articles import AddArticle, ChangedArticle, SeenArticle
from bot.store.attempts import Refused
from bot.store.ledger import imbalances
from bot.store.outcomes import Settle
from bot.store.schema import article_keys
from bot.store.schema import articles as article_rows
from bot.store.sources import BeginLook, EndLook
from bot.testing.clock import START, ManualClock
from bot.testing.network_server import FakeServer, Fault
from bot.testing.newsroom import editorial, look, newsroom, pass_time
from tests.store.stock import LEASE, WHY, Stock, article, link_of, merge, new_article


def owner(store: Store, key: Key) -> str | None:
    with store.read() as tx:
        return identity.owner(tx, [key])


def events_of(stock: Stock, subject: str) -> list[audit.Event]:
    with stock.store.read() as tx:
        return audit.events_of(tx, subject)


def merged(stock: Stock) -> None:
    assert merge(stock.store, "article-2", 1) == "article-1"


def test_a1_two_posts_of_one_story_both_out_balance(stock: Stock) -> None:
    """merge leaves the loser's place under the loser's id: `ledger._places` calls that free for ever."""
    stock.sent(1), stock.sent(2)
    merged(stock)
    with stock.store.read() as tx:
        assert imbalances(tx) == []


def test_a2_the_place_stays_while_one_of_the_storys_posts_is_out(stock: Stock) -> None:
    attempt, _ = stock.unknown(1)
    stock.sent(2)
    merged(stock)
    assert stock.store.commit(Settle(attempt=stock.attempt(attempt), move=Move.ABSENT, why=WHY))
    assert isinstance(stock.start(stock.read(attempt.delivery)), Refused)


def test_a3_the_same_through_the_whole_flow(store: Store, clock: ManualClock) -> None:
    server = FakeServer(clock)
    room = newsroom(store, clock, editorial({"one": {}}), server=server)
    source = room.sources["main"]
    look(room)
    one, two = "https://www.example.com/news/1", "https://www.example.com/news/2"
    clock.advance(60)
    server.faults.append(Fault.LOST_BEFORE)
    first = Article(source="main", guid="g1", headline="Rail strike is off", link=one)
    source.show(first)
    look(room)
    clock.advance(1)
    second = Article(source="main", guid="g2", headline="Court rules on levy", link=two)
    source.show(first, second)
    look(room)
    assert len(server.visible()) == 1
    both = Article(source="main", guid="g2", headline="Court rules on levy", link=two, aliases=(one,))
    source.show(first, both)
    look(room)
    pass_time(room, timedelta(minutes=10))
    with store.read() as tx:
        shown = [(row.story, row.state) for row in deliveries.listing(tx, states=list(State))]
    assert len({story for story, _ in shown}) == 1
    assert len(server.visible()) == 1, [post.text for post in server.visible()]


def test_b_a_chain_of_links_within_one_look_ends_at_an_article_that_is_there(store: Store) -> None:
    news = (
        new_article("n1", article(1)),
        new_article("n2", article(1, guid="g2", aliases=("https://www.example.com/news/2",))),
        new_article("n3", article(2, guid="g3", aliases=("https://www.example.com/news/3",))),
    )
    assert store.commit(BeginLook("main", "feed", "w", LEASE))
    touched = store.commit(EndLook(name="main", worker="w", cursor={}, next_look_in=LEASE, arrivals=news))
    with store.read() as tx:
        there = {row.id for row in tx.rows(select(article_rows.c.id))}
        owners = {row.article for row in tx.rows(select(article_keys.c.article))}
    assert touched is not None
    assert (set(touched), owners) == (there, there)


def test_b2_what_has_such_a_link_is_not_lost(store: Store) -> None:
    """Another source's article with n3's link attaches to `n2`, which does not exist: it never goes out."""
    news = (
        new_article("n1", article(1)),
        new_article("n2", article(1, guid="g2", aliases=("https://www.example.com/news/2",))),
        new_article("n3", article(2, guid="g3", aliases=("https://www.example.com/news/3",))),
    )
    store.commit(BeginLook("main", "feed", "w", LEASE))
    store.commit(EndLook(name="main", worker="w", cursor={}, next_look_in=LEASE, arrivals=news))
    standing = store.commit(AddArticle(new_article("w3", article(3, source="wire"))))
    with store.read() as tx:
        assert articles.by_id(tx, standing) is not None


def test_d1_a_key_that_comes_for_a_merged_article_is_the_survivors(two: Stock) -> None:
    """Two sources looked at the same time: the second's decision still names the loser."""
    two.article(1), two.article(2)
    merged(two)
    two.store.commit(AddArticle(SeenArticle(id="article-2", keys=(link_of(9),))))
    assert owner(two.store, link_of(9)) == "article-1"


def test_d2_a_change_of_a_merged_article_does_not_wake_it(two: Stock) -> None:
    two.article(1), two.article(2)
    merged(two)
    new = article(2, headline="Corrected")
    two.store.commit(AddArticle(ChangedArticle(id="article-2", article=new, digest="d", keys=())))
    with two.store.read() as tx:
        assert "article-2" not in [one.id for one in articles.unplanned(tx, limit=9)]


# -- what an editor gave to the losing article's post --------------------------------------------------------------

NINE = START + timedelta(hours=9)


def edited(stock: Stock, number: int, **more: Any) -> Delivery:
    """A post with an editor's words."""
    return stock.waiting(number, edited_text="Read this", edited_by="ana", **more)


def test_words_and_time_of_the_losers_post_go_to_the_survivors(two: Stock) -> None:
    mine, other = two.waiting(1), two.waiting(1, "late")
    lost = edited(two, 2, pinned_at=NINE)
    merged(two)
    kept = two.read(mine.id)
    assert (kept.state, kept.edited_text, kept.edited_by, kept.pinned_at) == (State.WAITING, "Read this", "ana", NINE)
    assert two.state(lost.id) is State.SKIPPED
    assert (two.read(other.id).edited_text, two.read(other.id).pinned_at) == (None, None)
    (told,) = events_of(two, mine.id)
    assert told.event == "delivery_taken_over"
    assert told.detail == {"from": lost.id, "edited_text": "Read this", "edited_by": "ana", "pinned_at": str(NINE)}
    assert not isinstance(two.start(mine), Attempt)  # who read it before the merge is too late


def test_what_the_survivors_post_has_of_its_own_stays_and_the_other_is_written_down(two: Stock) -> None:
    mine = two.waiting(1, edited_text="My own words", edited_by="ben")
    lost = edited(two, 2, pinned_at=NINE)
    merged(two)
    kept = two.read(mine.id)
    assert (kept.edited_text, kept.edited_by, kept.pinned_at) == ("My own words", "ben", NINE)
    told = events_of(two, "article-1")[-1]
    assert told.event == "article_left_behind"
    assert told.detail == {"from": lost.id, "account": "desk", "edited_text": "Read this"}


@pytest.mark.parametrize("state", ["none", "sent", "doubted", "skipped", "released"])
def test_words_that_find_no_post_that_may_change_are_written_down(two: Stock, state: str) -> None:
    """It is out, or may be, or there is none, or a person let it go in other words: nothing of it is touched."""
    two.article(1)
    made = {
        "none": lambda: None,
        "sent": lambda: two.sent(1),
        "doubted": lambda: two.waiting(1, doubted_at=START, attempt=None),
        "skipped": lambda: two.waiting(1, state=State.SKIPPED),
        "released": lambda: two.waiting(1, reason=Reason.BY_HAND),
    }[state]()
    before = two.read(made.id) if made is not None else None
    lost = edited(two, 2)
    merged(two)
    assert events_of(two, "article-1")[-1].detail == {"from": lost.id, "account": "desk", "edited_text": "Read this"}
    assert two.state(lost.id) is State.SKIPPED
    if before is not None:
        assert replace(two.read(before.id), story=before.story) == before


@pytest.mark.parametrize("was", [State.WAITING, State.HELD])
def test_words_that_wait_for_a_second_person_go_on_waiting(two: Stock, was: State) -> None:
    mine = two.waiting(1, state=was)
    edited(two, 2, state=State.HELD, reason=Reason.SENSITIVE, detail="tag Trial")
    merged(two)
    kept = two.read(mine.id)
    assert (kept.state, kept.reason, kept.edited_text) == (State.HELD, Why(Reason.SENSITIVE, "tag Trial"), "Read this")


def test_a_post_in_doubt_keeps_its_words_for_itself(two: Stock) -> None:
    mine = two.waiting(1)
    asked = edited(two, 2, state=State.HELD, reason=Reason.LOST_REPLY, doubted_at=START)
    merged(two)
    assert two.read(mine.id).edited_text is None
    assert two.state(asked.id) is State.HELD


def test_the_losers_link_in_the_words_becomes_the_survivors(two: Stock) -> None:
    mine = two.waiting(1)
    link = str(article(2).link)
    two.waiting(2, edited_text=f"Read {link} and {link}0", edited_by="ana")
    merged(two)
    assert two.read(mine.id).edited_text == f"Read {article(1).link} and {link}0"
