"""Who a key belongs to, over chains of merges and between sources; which article may start at all."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.model import Move, Outcome, Reason, State, Status
from bot.rules.duplicates import Key, KeyKind, keys_of
from bot.store import Store, articles, deliveries, identity
from bot.store.articles import AddArticle, SeenArticle
from bot.store.attempts import Refused
from bot.store.ledger import imbalances
from bot.store.outcomes import Settle
from bot.store.schema import article_keys, occupied
from bot.testing.clock import START
from tests.store.stock import WHY, Stock, article, finishing, new_article


def all_keys(number: int) -> tuple[Key, ...]:
    return keys_of(article(number), seen_on=START.date())


def link_of(number: int) -> Key:
    return next(key for key in all_keys(number) if key.kind is KeyKind.LINK)


def merge(store: Store, one: str, other_number: int) -> str:
    """Article `one` turns out to have the other's link."""
    return store.commit(AddArticle(SeenArticle(id=one, keys=(link_of(other_number),))))


def owners(store: Store, *numbers: int) -> set[str]:
    with store.read() as tx:
        return {known.id for known in identity.known_by(tx, [key for n in numbers for key in all_keys(n)]).values()}


@pytest.mark.parametrize("order", [((3, 2), (2, 1)), ((2, 1), (3, 1)), ((3, 1), (2, 1))])
def test_a_chain_of_merges_leaves_all_keys_with_the_oldest(stock: Stock, order: tuple[tuple[int, int], ...]) -> None:
    waiting = [stock.waiting(number) for number in (1, 2, 3)]
    for younger, older in order:
        assert merge(stock.store, f"article-{younger}", older) == f"article-{older}"
    assert owners(stock.store, 1, 2, 3) == {"article-1"}
    assert {stock.read(one.id).story for one in waiting} == {"article-1"}
    assert [stock.state(one.id) for one in waiting] == [State.WAITING, State.SKIPPED, State.SKIPPED]
    with stock.store.read() as tx:
        assert imbalances(tx) == []
        assert {row.article for row in tx.rows(select(article_keys.c.article))} == {"article-1"}


def test_what_is_out_wins_over_age_and_keeps_its_place(stock: Stock) -> None:
    stock.article(1)
    stock.article(2)
    sent = stock.sent(3)
    assert merge(stock.store, "article-1", 2) == "article-1"
    assert merge(stock.store, "article-1", 3) == "article-3"
    with stock.store.read() as tx:
        assert [(row.story, row.attempt) for row in tx.rows(select(occupied))] == [("article-3", sent.attempt)]
        assert imbalances(tx) == []
    refused = stock.start(stock.waiting(4, story="article-3"))
    assert isinstance(refused, Refused)
    assert (refused.why and refused.why.reason, refused.taken_by) == (Reason.SAME_LINK, sent.attempt)


def test_the_place_of_what_is_out_follows_its_story_through_two_merges(store: Store) -> None:
    """Each of three is out on an account of its own: the oldest stands for all, and no account gets the story again."""
    stock = Stock(store, "desk", "late", "night")
    sent = {name: stock.sent(number, name) for number, name in ((1, "desk"), (2, "late"), (3, "night"))}
    assert merge(store, "article-3", 2) == "article-2"
    assert merge(store, "article-2", 1) == "article-1"
    with store.read() as tx:
        places = {(row.identity, row.story, row.attempt) for row in tx.rows(select(occupied))}
        assert imbalances(tx) == []
    assert places == {(f"@{name}", "article-1", one.attempt) for name, one in sent.items()}
    for name, one in sent.items():
        refused = stock.start(stock.waiting(4, name, story="article-1"))
        assert isinstance(refused, Refused)
        assert refused.taken_by == one.attempt


def test_a_doubt_that_was_merged_is_still_settled_by_its_attempt(stock: Stock) -> None:
    """The merge moves the place to the survivor; the proof that it is not out frees it there."""
    stock.article(1)
    attempt, doubted = stock.unknown(2)
    assert merge(stock.store, "article-1", 2) == "article-2"
    assert stock.store.commit(Settle(attempt=attempt, move=Move.ABSENT, why=WHY))
    assert stock.state(doubted.id) is State.WAITING
    with stock.store.read() as tx:
        assert tx.rows(select(occupied)) == []
        assert imbalances(tx) == []
    again = stock.started(stock.read(doubted.id))
    assert again.id > attempt.id


def test_what_is_being_sent_wins_over_the_older(stock: Stock) -> None:
    older = stock.waiting(1)
    attempt = stock.started(stock.waiting(2))
    assert merge(stock.store, "article-1", 2) == "article-2"
    assert stock.state(older.id) is State.SKIPPED
    assert stock.store.commit(finishing(attempt, Outcome.REJECTED, Move.REFUSED))
    assert stock.state(older.id) is State.SKIPPED  # the story was refused; its twin is not tried behind anyone's back


def test_one_link_from_three_sources_is_one_article_with_three_ids(store: Store) -> None:
    names = ("main", "wire", "local")
    standing = [
        store.commit(AddArticle(new_article(name, article(1, source=name, guid=f"{name}-1")))) for name in names
    ]
    assert standing == ["main"] * 3
    with store.read() as tx:
        assert identity.ids_of(tx, ["main"]) == {"main": 3}
        assert [one.id for one in articles.of_source(tx, "wire", ["wire-1"])] == ["main"]
        assert articles.of_source(tx, "wire", ["main-1"]) == []  # an id belongs to its source


def test_a_key_once_given_is_never_taken_by_a_claim(store: Store) -> None:
    store.commit(AddArticle(new_article("a", article(1))))
    before = owners(store, 1)

    class Claim:
        lock = ""

        def apply(self, tx: object) -> None:
            identity.claim_keys(tx, [(link_of(1), "thief"), (link_of(7), "first"), (link_of(7), "second")])  # type: ignore[arg-type]

    store.commit(Claim())
    assert owners(store, 1) == before == {"a"}
    with store.read() as tx:
        assert identity.owner(tx, [link_of(7)]) == "first"
        assert identity.owner(tx, [link_of(8)]) is None
        assert identity.owner(tx, []) is None


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.LIVE}))
def test_only_a_live_article_starts(stock: Stock, status: Status) -> None:
    current = stock.waiting(1)
    with stock.store.engine.begin() as connection:
        connection.execute(articles.articles.update().values(status=status))
    assert stock.start(current) == Refused(moved=True)
    assert stock.read(current.id) == current


def test_another_occasion_of_a_story_has_its_own_place(stock: Stock) -> None:
    """A person's "again" goes out beside the first post; a second one of the same occasion does not."""
    stock.sent(1)
    again = stock.waiting(2, story="article-1", occasion="again-1")
    stock.store.commit(finishing(stock.started(again), Outcome.RECEIPT, Move.RECEIPT))
    third = stock.waiting(3, story="article-1", occasion="again-1")
    refused = stock.start(third)
    assert isinstance(refused, Refused)
    assert refused.why is not None
    assert refused.why.reason is Reason.SAME_LINK
    with stock.store.read() as tx:
        assert [one.id for one in deliveries.of_story(tx, "article-1", "desk")] == ["1-desk", again.id, third.id]
