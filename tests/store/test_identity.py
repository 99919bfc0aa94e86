"""Who a key belongs to, over chains of merges and between sources; which article may start at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.model import Move, Outcome, Reason, State, Status
from bot.rules.duplicates import Key, keys_of
from bot.store import Store, Tx, articles, deliveries, identity
from bot.store.articles import AddArticle, Admit, SeenArticle, Stored, Withdraw
from bot.store.attempts import Refused
from bot.store.ledger import imbalances
from bot.store.outcomes import Settle
from bot.store.schema import article_keys, occupied
from bot.testing.clock import START, ManualClock
from tests.store.stock import WHY, Stock, article, finishing, link_of, merge, new_article


def all_keys(number: int) -> tuple[Key, ...]:
    return keys_of(article(number), seen_on=START.date())


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
    assert stock.start(stock.read(doubted.id)) == Refused(moved=True)  # the survivor is planned first
    stock.again("article-2", unplanned=False)
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
            identity.claim_keys(tx, [(link_of(1), "thief"), (link_of(7), "first"), (link_of(7), "second")])

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


def status_of(stock: Stock, identity: str) -> Status:
    return of_id(stock, identity).status


def of_id(stock: Stock, identity: str) -> Stored:
    with stock.store.read() as tx:
        found = articles.by_id(tx, identity)
    assert found is not None
    return found


def to_plan(stock: Stock) -> list[str]:
    with stock.store.read() as tx:
        return [one.id for one in articles.unplanned(tx, limit=9)]


def test_the_survivor_is_planned_anew_for_accounts_that_only_the_other_reached(two: Stock) -> None:
    two.waiting(1, "desk")
    only_there = two.waiting(2, "late")
    assert merge(two.store, "article-2", 1) == "article-1"
    assert two.state(only_there.id) is State.SKIPPED
    assert to_plan(two) == ["article-1"]


def test_a_live_article_survives_one_that_was_taken_back(stock: Stock) -> None:
    """Its source gave the story another id: what vanished under the old one must not keep it from going out."""
    stock.waiting(1)
    stock.store.commit(Withdraw("article-1", "gone from the feed"))
    waiting = stock.waiting(2)
    assert merge(stock.store, "article-2", 1) == "article-2"
    assert stock.state(waiting.id) is State.WAITING
    assert status_of(stock, "article-1") is Status.MERGED
    assert owners(stock.store, 1, 2) == {"article-2"}


def test_what_is_out_and_was_taken_back_lives_on_as_the_other_says_it(stock: Stock) -> None:
    sent = stock.sent(1)
    stock.store.commit(Withdraw("article-1", "gone from the feed"))
    waiting = stock.waiting(2)
    assert merge(stock.store, "article-2", 1) == "article-1"
    after = of_id(stock, "article-1")
    assert (after.status, after.revision, after.article) == (Status.LIVE, 2, article(2))
    with stock.store.read() as tx:
        assert [content for _, _, content in articles.revisions_of(tx, "article-1")] == [article(1), article(2)]
        assert imbalances(tx) == []
    assert (stock.state(sent.id), stock.state(waiting.id)) == (State.SENT, State.SKIPPED)
    assert to_plan(stock) == ["article-1"]


def test_a_persons_wish_follows_into_the_survivor(stock: Stock) -> None:
    stock.article(1, status=Status.BASELINE)
    stock.article(2, status=Status.BASELINE)
    stock.store.commit(Admit(("article-2",), "ann", {"desk": {"who": "ann"}}))
    assert merge(stock.store, "article-2", 1) == "article-1"
    after = of_id(stock, "article-1")
    assert after.status is Status.LIVE
    assert after.by_hand is not None
    assert after.by_hand["desk"]["who"] == "ann"


@pytest.mark.parametrize("known", [True, False], ids=["of two known ones", "of two that came with it"])
def test_an_article_with_the_links_of_two_makes_all_of_them_one_at_once(store: Store, known: bool) -> None:
    both = article(3, link=article(1).link, aliases=(str(article(2).link),))
    news = [new_article("a", article(1)), new_article("b", article(2)), new_article("c", both)]

    class Look:
        lock = ""

        def __init__(self, *batch: articles.NewArticle) -> None:
            self.batch = batch

        def apply(self, tx: Tx) -> list[str]:
            return articles.record_new(tx, self.batch)

    looks = [Look(*news[:2]), Look(news[2])] if known else [Look(*news)]
    standing = [one for look in looks for one in store.commit(look)]
    assert standing == (["a", "b", "a"] if known else ["a"] * 3)
    assert owners(store, 1, 2, 3) == {"a"}
    with store.read() as tx:
        statuses = {one: found.status for one in "ab" if (found := articles.by_id(tx, one))}
    assert statuses == {"a": Status.LIVE, "b": Status.MERGED}


def see(store: Store, number: int) -> None:
    store.commit(AddArticle(SeenArticle(id=f"article-{number}", keys=all_keys(number))))


def test_p07_keys_are_forgotten_four_hundred_days_after_their_source_stopped_showing_them(
    stock: Stock, clock: ManualClock
) -> None:
    stock.article(1)
    stock.article(2)
    for days in (200, 200, 2):
        with stock.store.read() as tx:
            assert identity.faded(tx, limit=99) == []
        clock.advance(timedelta(days=days))
        see(stock.store, 2)
    with stock.store.read() as tx:
        first, old = identity.faded(tx, limit=1), identity.faded(tx, limit=99)
    assert len(first) == 1
    assert {key for key, _ in old} == set(all_keys(1))
    see(stock.store, 1)  # shown again just before
    assert stock.store.commit(identity.Forget(tuple(old))) == 0
    assert owners(stock.store, 1, 2) == {"article-1", "article-2"}


def test_p07_forgotten_keys_are_free(stock: Stock, clock: ManualClock) -> None:
    stock.article(1)
    stock.article(2)
    clock.advance(timedelta(days=401))
    see(stock.store, 2)
    with stock.store.read() as tx:
        old = identity.faded(tx, limit=99)
    assert stock.store.commit(identity.Forget(tuple(old))) == len(old) > 0
    assert owners(stock.store, 1, 2) == {"article-2"}
    with stock.store.read() as tx:
        assert identity.faded(tx, limit=99) == []


def test_p07_a_source_that_rests_forgets_nothing(stock: Stock, clock: ManualClock) -> None:
    """An unchanged feed is no sight: its next full answer must find all of it known."""
    stock.article(1)
    clock.advance(timedelta(days=900))
    stock.store.commit(AddArticle(new_article("other", article(7, source="wire"))))
    with stock.store.read() as tx:
        assert identity.faded(tx, limit=99) == []
