"""Stop switches: under what an article can be stopped, which switch speaks, when one is over, who lifts it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.store import Store, accounts, stops
from bot.store.audit import events_named
from bot.store.stops import Lift, Scope, Stop, StopSwitch, scopes_of, stopped_by
from bot.testing.clock import START, ManualClock
from tests.store.stock import Stock, article

HERE = ((Scope.ACCOUNT, "desk"), (Scope.SOURCE, "main"))


def stop(store: Store, identity: str, scope: Scope = Scope.ALL, value: str = "", **more: object) -> None:
    store.commit(Stop(id=identity, scope=scope, value=value, **{"reason": "", "who": "ann", **more}))


def on(store: Store) -> list[str]:
    with store.read() as tx:
        return [switch.id for switch in stops.switches(tx)]


def speaks(store: Store, *scopes: tuple[Scope, str]) -> str | None:
    with store.read() as tx:
        found = stopped_by(tx, scopes)
    return found.id if found else None


def test_an_article_can_be_stopped_under_every_scope_and_words_are_folded() -> None:
    content = article(1, section="Große Straße", tags=("Rail", "Straße"))
    found = scopes_of(content, "article-1", "desk", "fake")
    assert set(found) == {
        (Scope.ALL, ""),
        (Scope.ACCOUNT, "desk"),
        (Scope.NETWORK, "fake"),
        (Scope.SOURCE, "main"),
        (Scope.ARTICLE, "article-1"),
        (Scope.SECTION, "grosse strasse"),
        (Scope.TAG, "rail"),
        (Scope.TAG, "strasse"),
    }
    assert {scope for scope, _ in found} == set(Scope)


def test_without_section_and_tags_there_is_nothing_to_stop_by_them() -> None:
    scopes = {scope for scope, _ in scopes_of(article(1), "article-1", "desk", "fake")}
    assert scopes == set(Scope) - {Scope.SECTION, Scope.TAG}


def test_the_oldest_switch_that_is_on_speaks(store: Store, clock: ManualClock) -> None:
    stop(store, "b", Scope.SOURCE, "main")
    clock.advance(1)
    stop(store, "a", Scope.ACCOUNT, "desk")
    assert on(store) == ["b", "a"]
    assert speaks(store, *HERE) == "b"
    assert speaks(store, (Scope.ACCOUNT, "desk")) == "a"
    store.commit(Lift("b", "ann"))
    assert speaks(store, *HERE) == "a"


def test_a_stop_of_everything_needs_no_scope_named(store: Store) -> None:
    assert speaks(store) is None
    stop(store, "s")
    assert speaks(store) == "s"


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        (Scope.ACCOUNT, "main"),
        (Scope.SOURCE, "desk"),
        (Scope.ACCOUNT, "des"),
        (Scope.ACCOUNT, "desk2"),
        (Scope.TAG, ""),
    ],
)
def test_scope_and_value_must_both_be_those_that_are_stopped(store: Store, scope: Scope, value: str) -> None:
    stop(store, "s", scope, value)
    assert speaks(store, *HERE) is None


@pytest.mark.parametrize(("passed", "still"), [(59.999999, True), (60.0, False)])
def test_a_switch_with_an_end_is_over_at_that_instant(
    store: Store, clock: ManualClock, passed: float, still: bool
) -> None:
    stop(store, "s", until=START + timedelta(minutes=1))
    clock.advance(timedelta(microseconds=round(passed * 1_000_000)))
    assert (speaks(store) == "s", on(store) == ["s"]) == (still, still)


def test_a_switch_that_is_over_hides_none_that_is_on(store: Store, clock: ManualClock) -> None:
    stop(store, "short", until=START + timedelta(minutes=1))
    clock.advance(1)
    stop(store, "long")
    assert speaks(store) == "short"
    clock.advance(60)
    assert speaks(store) == "long"


def test_a_switch_is_lifted_once_and_an_unknown_one_never(store: Store) -> None:
    stop(store, "s", reason="fire")
    assert store.commit(Lift("none", "ben")) is False
    assert store.commit(Lift("s", "ben")) is True
    assert store.commit(Lift("s", "eve")) is False
    assert on(store) == []
    with store.read() as tx:
        stopped, resumed = (events_named(tx, name, since=START) for name in ("stopped", "resumed"))
    assert [(one.who, one.subject, one.detail) for one in stopped] == [("ann", "all", {"reason": "fire"})]
    assert [(one.who, one.subject) for one in resumed] == [("ben", "s")]


@pytest.mark.parametrize("step", ["stop", "lift"])
def test_a_switch_times_all_accounts_anew(two: Stock, step: str) -> None:
    if step == "lift":
        stop(two.store, "s")
    with two.store.engine.begin() as connection:
        connection.execute(accounts.accounts.update().values(dirty=False))
    with two.store.read() as tx:
        before = accounts.all_accounts(tx)
    if step == "stop":
        stop(two.store, "s", Scope.ACCOUNT, "desk")
    else:
        two.store.commit(Lift("s", "ann"))
    with two.store.read() as tx:
        after = accounts.all_accounts(tx)
    assert [(row.dirty, row.version) for row in after.values()] == [(True, row.version + 1) for row in before.values()]


@pytest.mark.parametrize(
    ("scope", "value", "reason", "words"),
    [
        (Scope.ALL, "", "fire", "everything (ann: fire)"),
        (Scope.ALL, "", "", "everything (ann)"),
        (Scope.TAG, "rail", "court order", "tag rail (ann: court order)"),
    ],
)
def test_a_switch_says_what_who_and_why(scope: Scope, value: str, reason: str, words: str) -> None:
    switch = StopSwitch(id="s", scope=scope, value=value, reason=reason, by="ann", at=START, until=None)
    assert str(switch) == words
