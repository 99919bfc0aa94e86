"""Articles that turn out to be one story: its place on an account, its keys, and links in a chain."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from bot.model import Article, Move, State
from bot.rules.duplicates import Key, KeyKind, keys_of
from bot.store import Store, articles, deliveries, identity
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
from tests.store.stock import LEASE, WHY, Stock, article, new_article


def link_of(number: int) -> Key:
    return next(key for key in keys_of(article(number), seen_on=START.date()) if key.kind is KeyKind.LINK)


def owner(store: Store, key: Key) -> str | None:
    with store.read() as tx:
        return identity.owner(tx, [key])


def merged(stock: Stock) -> None:
    assert stock.store.commit(AddArticle(SeenArticle(id="article-2", keys=(link_of(1),)))) == "article-1"


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
