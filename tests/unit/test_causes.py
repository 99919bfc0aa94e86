"""What needs a person, judged from plain facts: what opens a cause, what explains it away, and what its words name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts import speaker
from bot.alerts.causes import Facts, causes_of
from bot.model import Delivery, Priority, Reason, State, Why
from bot.store.accounts import AccountRow
from bot.store.audit import Event
from bot.store.sources import SourceRow
from bot.store.workers import WorkerRow

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def account(**more: Any) -> AccountRow:
    fields: dict[str, Any] = dict.fromkeys(AccountRow.__dataclass_fields__)
    fields |= {"name": "desk", "network": "fake", "identity": "1", "scopes": (), "facts": {}, "joined_at": NOW - DAY}
    return AccountRow(**fields | {"dirty": False, "removed": False, "version": 1} | more)


def source(**more: Any) -> SourceRow:
    fields: dict[str, Any] = dict.fromkeys(SourceRow.__dataclass_fields__)
    fields |= {"name": "main", "kind": "feed", "cursor": {}, "errors": 0, "longest_gap": 0, "notes": (), "ended": False}
    return SourceRow(**fields | {"first_good_at": NOW - 60 * DAY, "last_new_at": NOW} | more)


def post(**more: Any) -> Delivery:
    fields: dict[str, Any] = dict.fromkeys(Delivery.__dataclass_fields__)
    fields |= {"id": "d7f3", "article": "a1", "story": "a1", "account": "desk", "occasion": "first", "route": "all"}
    fields |= {"state": State.WAITING, "reason": Why(Reason.ROUTE), "priority": Priority.NORMAL, "due_why": ()}
    fields |= {"text": "Ferry service doubles\n\nhttps://www.example.com/1", "updated_at": NOW, "retry_words": ""}
    return Delivery(**fields | {"ready_at": NOW, "created_at": NOW, "due_at": NOW} | more)


def found(**facts: Any) -> dict[str, str]:
    """The words of each cause that these facts open."""
    return {cause: words for cause, (_, words) in causes_of(Facts(now=NOW, **facts)).items()}


def test_nothing_is_wrong_in_a_quiet_house() -> None:
    assert found(accounts={"desk": account()}, sources=[source()]) == {}


# -- accounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "cause", "kind"), [(Reason.LOGIN, "login desk", "login"), (Reason.BILLING, "billing desk", "billing")]
)
def test_an_account_behind_its_breaker_is_named_with_the_networks_words(reason: Reason, cause: str, kind: str) -> None:
    row = account(breaker=reason, breaker_at=NOW - HOUR, breaker_words="token revoked")
    told = causes_of(Facts(now=NOW, accounts={"desk": row}))
    assert list(told) == [cause]
    assert told[cause][0] == kind
    assert told[cause][1].startswith("desk ")
    assert "24 Nov 11:00 UTC: token revoked" in told[cause][1]


@pytest.mark.parametrize(
    ("spent", "marks"),
    [("39.99", []), ("40.00", ["80"]), ("49.99", ["80"]), ("50", ["80", "100"]), ("51", ["80", "100"])],
)
def test_p86_money_is_told_at_80_and_100_percent(spent: str, marks: list[str]) -> None:
    told = found(budgets={"desk": (Decimal(spent), Decimal(50))})
    assert list(told) == [f"budget {mark} desk" for mark in marks]
    assert all("of this month's 50.00" in words for words in told.values())


def test_p86_no_budget_at_all_is_no_full_budget() -> None:
    assert found(budgets={"desk": (Decimal(0), Decimal(0))}) == {}


def test_p86_posts_that_the_money_does_not_pay_are_a_cause_whatever_was_spent() -> None:
    """At 0.30 a post 50.00 is never spent to the last cent: the held post says that it is over."""
    told = found(budgets={"desk": (Decimal("0.00"), Decimal(50))}, unpaid={"desk": 3})
    assert "3 posts on desk are held" in told["unpaid desk"]


# -- overdue ------------------------------------------------------------------------------------------------------


def overdue(late: timedelta, *, skew: timedelta = timedelta(0), **row: Any) -> dict[str, str]:
    return found(accounts={"desk": account(**row)}, waiting=[post(due_at=NOW - late)], skew=skew)


def test_p23_five_minutes_are_no_delay_and_a_second_more_is() -> None:
    assert overdue(5 * MINUTE) == {}
    assert list(overdue(5 * MINUTE + SECOND)) == ["overdue desk"]


def test_p23_the_words_name_post_account_time_and_the_workers_last_deed() -> None:
    worker = WorkerRow("w1", NOW - HOUR, NOW - 7 * MINUTE, "reconcile")
    late = post(due_at=NOW - 6 * MINUTE)
    words = found(accounts={"desk": account()}, waiting=[late], workers=[worker])["overdue desk"]
    for part in ("d7f3", '"Ferry service doubles"', "on desk", "due at 11:54 UTC", "11:53:00", "reconcile"):
        assert part in words
    assert "no worker was seen" in found(accounts={"desk": account()}, waiting=[late])["overdue desk"]


@pytest.mark.parametrize(
    ("row", "skew"),
    [
        ({"breaker": Reason.LOGIN}, timedelta(0)),
        ({"breaker": Reason.BILLING}, timedelta(0)),
        ({"blocked_until": NOW + SECOND}, timedelta(0)),
        ({}, 5 * MINUTE + SECOND),
        ({}, -5 * MINUTE - SECOND),
    ],
)
def test_p23_what_has_another_cause_is_not_overdue(row: dict[str, Any], skew: timedelta) -> None:
    assert "overdue desk" not in overdue(HOUR, skew=skew, **row)


def test_p23_a_block_that_is_over_explains_nothing() -> None:
    assert "overdue desk" in overdue(HOUR, blocked_until=NOW - SECOND)


# -- unclear, missed ----------------------------------------------------------------------------------------------


def test_unclear_posts_are_one_cause_an_account_once_they_are_over_15_minutes_old() -> None:
    old = [post(id=f"d{n}", state=State.UNKNOWN, doubted_at=NOW - 15 * MINUTE - SECOND) for n in range(3)]
    young = post(id="young", state=State.UNKNOWN, doubted_at=NOW - 15 * MINUTE)
    other = post(id="o1", account="page", state=State.HELD, doubted_at=NOW - HOUR)
    told = found(unclear=[*old, young, other])
    assert sorted(told) == ["unclear desk", "unclear page"]
    assert told["unclear desk"].startswith("3 posts on desk")
    assert "wirepost lookup d0" in told["unclear desk"]


def test_p19_what_grew_too_old_is_one_digest_an_account() -> None:
    assert found(missed={"desk": 18, "page": 2}).keys() == {"missed desk", "missed page"}
    assert found(missed={"desk": 18})["missed desk"].startswith("18 posts on desk")


# -- sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("errors", range(8))
def test_p30_six_errors_in_a_row_name_the_source_and_the_last_of_them(errors: int) -> None:
    told = found(sources=[source(errors=errors, last_error="403 from a wall")])
    assert list(told) == (["source main"] if errors >= 6 else [])
    assert all("403 from a wall" in words for words in told.values())


@pytest.mark.parametrize(
    ("per_day", "gap", "setting", "silent_after"),
    [
        (10, 2 * HOUR, DAY, 6 * HOUR),  # a busy source: three times its own gap, though the setting says a day
        (5, 2 * HOUR, DAY, 6 * HOUR),
        (4.9, 2 * HOUR, DAY, DAY),  # a slow one: the setting
        (0.1, 7 * DAY, DAY, 21 * DAY),  # a weekly one is not silent each day
        (10, 10 * HOUR, 3 * HOUR, 30 * HOUR),  # a night is no silence
        (1, 10 * MINUTE, 3 * HOUR, 3 * HOUR),
    ],
)
def test_p30_a_source_is_silent_by_its_own_gaps(
    per_day: float, gap: timedelta, setting: timedelta, silent_after: timedelta
) -> None:
    for since, named in ((silent_after, False), (silent_after + SECOND, True)):
        row = source(longest_gap=int(gap.total_seconds()), last_new_at=NOW - since)
        told = found(sources=[row], arrived={"main": round(per_day * ((30 * DAY - since) / DAY))}, silence=setting)
        assert ("silent main" in told) is named, (since, told)


def test_p30_a_source_is_not_called_busy_before_its_first_week_is_over() -> None:
    """Forty articles in the first hours make no rule: the night is still to come."""
    row = source(first_good_at=NOW - 2 * DAY, last_new_at=NOW - 5 * HOUR, longest_gap=60)
    assert found(sources=[row], arrived={"main": 40}) == {}
    week = replace(row, first_good_at=NOW - 7 * DAY)
    assert "silent main" in found(sources=[week], arrived={"main": 40})


def test_p30_a_long_silence_does_not_make_a_busy_source_a_slow_one() -> None:
    """Ten a day until three weeks ago: over the whole month that is three a day."""
    row = source(longest_gap=3600, last_new_at=NOW - 21 * DAY)
    assert "silent main" in found(sources=[row], arrived={"main": 90}, silence=60 * DAY)
    assert found(sources=[row], arrived={"main": 44}, silence=60 * DAY) == {}


def test_p30_a_source_that_never_brought_anything_new_is_silent_since_its_first_look() -> None:
    assert "silent main" in found(sources=[source(last_new_at=None, first_good_at=NOW - 2 * DAY)])
    assert found(sources=[source(last_new_at=None, first_good_at=None)]) == {}


def test_a_source_that_ended_or_moved_is_named() -> None:
    assert list(found(sources=[source(ended=True, errors=9)])) == ["ended main"]
    assert "https://new.example.com" in found(sources=[source(moved_to="https://new.example.com")])["moved main"]


def test_p17_a_breaker_says_how_many_and_what_to_type() -> None:
    words = found(broken={"main": 148})["breaker main"]
    assert "148 articles" in words
    assert "wirepost release --source main" in words


# -- events, clock, channel ---------------------------------------------------------------------------------------


def event(name: str, subject: str, /, **detail: Any) -> Event:
    return Event(NOW, "wirepost", name, subject, detail)


def test_fifty_posts_that_are_not_visible_are_one_cause_an_account() -> None:
    told = found(events=[event("not_visible", f"d{n}", account="desk") for n in range(50)])
    assert list(told) == ["not_visible desk"]
    assert "50 posts of desk" in told["not_visible desk"]
    assert "wirepost why d49" in told["not_visible desk"]


@pytest.mark.parametrize("name", ["late_receipt", "feed_misbehaving", "long_limit", "state_reset", "settings_invalid"])
def test_events_are_told_whatever_their_details_hold(name: str) -> None:
    """A detail may be missing, look like a template or bear the name of ours."""
    for detail in ({}, {"words": "{0.__class__} {x"}, {"subject": "{number}", "number": 7, "by": None}):
        told = found(events=[event(name, "thing", **detail)])
        assert list(told) == [f"{name} thing"]
        assert told[f"{name} thing"]


@pytest.mark.parametrize(
    ("skew", "open_now", "named"),
    [
        (60, (), False),
        (61, (), True),
        (-61, (), True),
        (55, (), False),
        (55, ("clock",), True),
        (50, ("clock",), False),
    ],
)
def test_a_clock_that_trembles_about_the_mark_opens_its_cause_once(
    skew: int, open_now: tuple[str, ...], named: bool
) -> None:
    told = found(skew=timedelta(seconds=skew), open=open_now)
    assert list(told) == (["clock"] if named else [])


def test_a_clock_says_which_way_it_is_wrong_and_when_nothing_goes_out() -> None:
    assert "1m30s ahead of" in found(skew=timedelta(seconds=90))["clock"]
    assert "1m30s behind" in found(skew=-timedelta(seconds=90))["clock"]
    assert "nothing goes out" not in found(skew=5 * MINUTE)["clock"]
    assert "nothing goes out" in found(skew=5 * MINUTE + SECOND)["clock"]


def test_a_restored_store_and_a_channel_that_fails_are_causes() -> None:
    assert "wirepost resume" in found(restored=True)["restored"]
    assert "it answers 500" in found(dumb=event("alert_failed", "alerts", error="it answers 500"))["channel"]


@given(
    late=st.timedeltas(-HOUR, HOUR),
    doubt=st.timedeltas(timedelta(0), HOUR),
    errors=st.integers(0, 20),
    spent=st.decimals(0, 100, places=2),
    skew=st.timedeltas(-HOUR, HOUR),
)
def test_more_trouble_never_ends_a_cause(
    late: timedelta, doubt: timedelta, errors: int, spent: Decimal, skew: timedelta
) -> None:
    """Whatever is open by these facts stays open when each of them gets worse: a message of its end would be false."""

    def at(more: timedelta, errors: int, spent: Decimal) -> set[str]:
        facts = Facts(
            now=NOW,
            accounts={"desk": account()},
            sources=[source(errors=errors)],
            waiting=[post(due_at=NOW - late - more)],
            unclear=[post(state=State.UNKNOWN, doubted_at=NOW - doubt - more)],
            budgets={"desk": (spent, Decimal(100))},
            skew=skew,
        )
        return set(causes_of(facts))

    assert at(timedelta(0), errors, spent) <= at(MINUTE, errors + 1, spent + 1)


@pytest.mark.parametrize(
    ("beats", "me", "speaks"),
    [
        ({}, "b", "b"),
        ({"b": 0}, "b", "b"),
        ({"a": 0, "b": 0}, "b", "a"),
        ({"a": 61, "b": 0}, "b", "b"),  # a is dead: the next one speaks
        ({"a": 60, "b": 0}, "b", "a"),
    ],
)
def test_of_several_workers_one_speaks(beats: dict[str, int], me: str, speaks: str) -> None:
    rows = [WorkerRow(name, NOW - HOUR, NOW - age * SECOND, "plan") for name, age in beats.items()]
    assert speaker(rows, NOW, me) == speaks
