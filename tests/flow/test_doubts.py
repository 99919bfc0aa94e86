"""What got lost on the way: looked up, resent only on a fresh proof, and otherwise left to a person."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from bot.errors import AuthFailed, Expired, NotSent, SendError
from bot.flow import deliver, reconcile
from bot.model import Article, Attempt, Delivery, Move, Outcome, Reason, Receipt, State, Why
from bot.store import attempts, deliveries
from bot.store.deliveries import MoveDelivery
from bot.store.outcomes import Settle
from bot.store.stops import Lift, Scope, Stop
from bot.testing.clock import START, ManualClock
from bot.testing.network import Fake, FakeOptions
from bot.testing.network_server import Answer, FakeServer, Fault, Published
from bot.testing.newsroom import pass_time, settle_down
from tests.flow.conftest import OpenHouse
from tests.flow.ledger_check import BY_HAND
from tests.flow.people import Person
from tests.flow.stories import House, article

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def only(house: House) -> Delivery:
    (one,) = house.all()
    return one


def tries(house: House) -> list[Attempt]:
    with house.store.read() as tx:
        return attempts.of_delivery(tx, only(house).id)


def prepared(house: House, item: Article) -> deliver.Started:
    """The article is planned and its attempt begun; not a byte of it has left."""
    house.planned(item)
    started = deliver.start(house.room, "one")
    assert isinstance(started, deliver.Started)
    return started


class TrueTime:
    """The network's own clock: it goes on whatever is done to ours."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._zero = clock.monotonic()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._clock.monotonic() - self._zero)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return self._clock.wait(event, seconds)


def posted_by_hand(house: House, item: Article, ago: timedelta) -> Published:
    post = Published("hand-1", "1", item.headline, item.link, BY_HAND, "", house.clock.now() - ago)
    house.server.posts.append(post)
    return post


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_BEFORE])
def test_p01_three_lost_tries_and_one_that_gets_through_carry_one_key(both: OpenHouse, fault: Fault) -> None:
    house = both()
    house.server.faults.extend([fault] * 3)
    house.show(article(1))
    pass_time(house.room, 6 * MINUTE, step=15 * SECOND)
    assert [attempt.outcome for attempt in tries(house)] == [Outcome.ABSENT] * 3 + [Outcome.RECEIPT]
    assert len({(attempt.key, attempt.payload.body) for attempt in tries(house)}) == 1
    assert len(house.server.posts) == 1
    assert only(house).remote_id == house.server.posts[0].id


def test_the_look_for_one_post_is_no_look_for_the_next(both: OpenHouse) -> None:
    """Both were proved absent, and the proofs are stale: the first has turned up by now, the second is sent again."""
    house = both()
    house.server.late = 80 * SECOND
    house.server.faults.extend([Fault.TAKEN_LATE, Fault.LOST_BEFORE])
    house.show(article(1), article(2))
    house.store.commit(Stop(id="halt", scope=Scope.ALL, value="", reason="a look", who="ann"))
    pass_time(house.room, 100 * SECOND, step=10 * SECOND)
    assert house.states() == {(State.WAITING, Reason.LOST_REPLY): 2}
    house.store.commit(Lift("halt", "ann"))
    settle_down(house.room)
    assert house.states() == {(State.SENT, Reason.SENT): 2}
    assert len(house.server.visible()) == 2


def test_p02a_without_key_and_without_look_up_nothing_is_resent(house: OpenHouse) -> None:
    blind = house(options={"one": FakeOptions(token=SecretStr("token-1"), find=False)})
    blind.server.faults.append(Fault.LOST_BEFORE)
    blind.show(article(1))
    pass_time(blind.room, 30 * MINUTE, step=20 * SECOND)
    assert blind.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert len(tries(blind)) == 1


def test_p02a_where_absence_proves_nothing_a_lost_post_waits_for_a_person(house: OpenHouse) -> None:
    doubtful = house(options={"one": FakeOptions(token=SecretStr("token-1"), proof=False)})
    doubtful.server.faults.append(Fault.LOST_BEFORE)
    doubtful.show(article(1))
    pass_time(doubtful.room, 9 * MINUTE, step=20 * SECOND)
    assert doubtful.states() == {(State.UNKNOWN, Reason.LOST_REPLY): 1}
    pass_time(doubtful.room, 12 * MINUTE, step=20 * SECOND)
    assert doubtful.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert len(tries(doubtful)) == 1


def test_p02a_a_post_that_shows_up_late_is_adopted_where_absence_proves_nothing(house: OpenHouse) -> None:
    slow = house(options={"one": FakeOptions(token=SecretStr("token-1"), proof=False)})
    slow.server.late = 4 * MINUTE
    slow.server.faults.append(Fault.TAKEN_LATE)
    slow.show(article(1))
    pass_time(slow.room, 20 * MINUTE, step=20 * SECOND)
    assert slow.states() == {(State.SENT, Reason.SENT): 1}
    assert len(slow.server.posts) == 1


def test_p02b_a_500_on_the_repeat_is_looked_up_too(house: OpenHouse) -> None:
    flat = house()
    flat.server.faults.extend([Fault.LOST_BEFORE, Fault.ERROR_AFTER])
    flat.show(article(1))
    pass_time(flat.room, 4 * MINUTE, step=15 * SECOND)
    assert [attempt.outcome for attempt in tries(flat)] == [Outcome.ABSENT, Outcome.FOUND]
    assert flat.states() == {(State.SENT, Reason.SENT): 1}
    assert len(flat.server.posts) == 1


def test_p02c_after_a_restart_two_hours_later_a_match_is_adopted(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1))
    desk.clock.advance(2 * 60 * MINUTE)
    pass_time(desk.newsroom("worker-2"), 3 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(tries(desk)) == 1


def test_p02c_after_a_restart_two_hours_later_absence_is_not_enough(both: OpenHouse) -> None:
    house = both()
    house.server.faults.append(Fault.LOST_BEFORE)
    house.show(article(1))
    house.clock.advance(2 * 60 * MINUTE)
    pass_time(house.newsroom("worker-2"), 15 * MINUTE, step=15 * SECOND)
    assert house.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert house.server.posts == []


@pytest.mark.parametrize("orphaned", [False, True])
@pytest.mark.parametrize("sent", [False, True])
def test_p31_a_dead_worker_leaves_nothing_in_sending(both: OpenHouse, sent: bool, orphaned: bool) -> None:
    house = both()
    started = prepared(house, article(1))
    if sent:
        deliver.send(house.room, started)
    other = house.newsroom("worker-2")
    if orphaned:  # it held the store alone, so its heir knows that it is dead
        other.orphans = frozenset({started.attempt.id})
    pass_time(other, 40 * SECOND)
    assert only(house).state is (State.UNKNOWN if orphaned else State.SENDING)
    pass_time(other, 3 * MINUTE, step=15 * SECOND)
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    assert [attempt.outcome for attempt in tries(house)] == (
        [Outcome.FOUND] if sent else [Outcome.ABSENT, Outcome.RECEIPT]
    )


def test_a_receipt_that_comes_after_its_lease_settles_the_doubt(both: OpenHouse) -> None:
    house = both()
    started = prepared(house, article(1))
    receipt = deliver.send(house.room, started)
    other = house.newsroom("worker-2")
    reconcile.run(other)
    house.clock.advance(91)
    assert reconcile.run(other)
    assert only(house).state is State.UNKNOWN
    assert deliver.finish(house.room, started, receipt)
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    assert [attempt.outcome for attempt in tries(house)] == [Outcome.FOUND]
    pass_time(other, 5 * MINUTE, step=15 * SECOND)
    assert len(house.server.posts) == 1


def test_a_receipt_for_what_was_sent_again_meanwhile_is_told(house: OpenHouse) -> None:
    """The network hid the post from our look, so that it went out twice: a person must hear of the first."""
    desk = house()
    started = prepared(desk, article(1))
    receipt = deliver.send(desk.room, started)
    (hidden,) = desk.server.posts
    hidden.deleted = True
    pass_time(desk.newsroom("worker-2"), 4 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert not deliver.finish(desk.room, started, receipt)
    (told,) = desk.events("late_receipt")
    assert told.detail["remote_id"] == hidden.id
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    desk.server.posts.remove(hidden)


def test_a_refusal_that_comes_after_its_lease_moves_nothing_and_resends_nothing(house: OpenHouse) -> None:
    desk = house()
    started = prepared(desk, article(1))
    desk.server.faults.append(Fault.LIMITED)
    refusal = deliver.send(desk.room, started)
    other = desk.newsroom("worker-2")
    reconcile.run(other)
    desk.clock.advance(91)
    assert reconcile.run(other)
    assert not deliver.finish(desk.room, started, refusal)
    assert only(desk).state is State.UNKNOWN
    pass_time(other, 5 * MINUTE, step=15 * SECOND)
    assert len(desk.server.posts) == 1
    assert [attempt.outcome for attempt in tries(desk)] == [Outcome.ABSENT, Outcome.RECEIPT]


def test_a_sleeper_that_wakes_after_its_lease_sends_no_byte(house: OpenHouse) -> None:
    desk = house()
    started = prepared(desk, article(1))
    desk.clock.advance(11)  # the machine slept between the commit and the first byte
    before = len(desk.server.requests)
    result = deliver.send(desk.room, started)
    assert len(desk.server.requests) == before
    deliver.finish(desk.room, started, result)
    pass_time(desk.room, 2 * MINUTE)
    assert [attempt.outcome for attempt in tries(desk)] == [Outcome.NOT_SENT, Outcome.RECEIPT]
    assert len(desk.server.posts) == 1


def test_a_stale_proof_is_renewed_before_a_resend_and_finds_what_came_meanwhile(house: OpenHouse) -> None:
    """Absent at the look, stopped for a while, there after all when the stop is lifted: not sent again."""
    desk = house()
    desk.server.late = 80 * SECOND
    desk.server.faults.append(Fault.TAKEN_LATE)
    desk.show(article(1))
    desk.store.commit(Stop(id="halt", scope=Scope.ALL, value="", reason="a look at it", who="ed"))
    pass_time(desk.room, 70 * SECOND)
    assert only(desk).state is State.WAITING
    assert tries(desk)[-1].outcome is Outcome.ABSENT
    pass_time(desk.room, 60 * SECOND)
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, 10 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1


def test_p41_a_wall_clock_set_back_between_proof_and_resend_permits_nothing(
    house: OpenHouse, clock: ManualClock
) -> None:
    """The proof goes stale by the monotonic clock: what the wall clock says can't keep it fresh."""
    desk = house(server=FakeServer(TrueTime(clock)))
    desk.server.late = 80 * SECOND
    desk.server.faults.append(Fault.TAKEN_LATE)
    desk.show(article(1))
    desk.store.commit(Stop(id="halt", scope=Scope.ALL, value="", reason="a look at it", who="ed"))
    pass_time(desk.room, 70 * SECOND)
    assert only(desk).state is State.WAITING
    desk.clock.advance(60)
    desk.clock.step_wall(-60)  # to the wall clock no second has passed since the proof
    desk.store.commit(Lift("halt", "ed"))
    pass_time(desk.room, 2 * MINUTE)
    assert len(desk.server.posts) == 1
    assert only(desk).state is State.SENT


def test_p28_half_an_hour_without_a_connection_then_exactly_one_post(house: OpenHouse) -> None:
    desk = house()
    desk.server.down = True
    desk.show(article(1))
    pass_time(desk.room, 30 * MINUTE, step=30 * SECOND)
    assert only(desk).state is State.WAITING
    desk.server.down = False
    pass_time(desk.room, 40 * MINUTE, step=30 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1


@pytest.mark.parametrize("end", [None, Fault.ERROR_AFTER])
def test_p28_half_an_hour_of_500_ends_in_one_post_by_itself(both: OpenHouse, end: Fault | None) -> None:
    """Each 500 is looked up, and once proved absent it is over: the next try begins a doubt and a window of its own."""
    house = both()
    began = house.clock.now()
    house.server.fault = lambda account, body: end if house.clock.now() - began > 30 * MINUTE else Fault.ERROR_BEFORE
    house.show(article(1))
    pass_time(house.room, 30 * MINUTE, step=15 * SECOND)
    assert house.server.posts == []
    pass_time(house.newsroom("worker-2"), 12 * MINUTE, step=15 * SECOND)
    assert house.states() == {(State.SENT, Reason.SENT): 1}
    assert len(house.server.posts) == 1
    assert 5 <= len(tries(house)) <= 12  # later each time
    assert len({(attempt.key, attempt.payload.body) for attempt in tries(house)}) == 1


def test_p28_half_an_hour_of_lost_replies_is_left_to_a_person(house: OpenHouse) -> None:
    """Where nobody answered, what was sent may still lie in a queue: after the window the network is not trusted."""
    desk = house()
    desk.server.fault = lambda account, body: Fault.LOST_BEFORE
    desk.show(article(1))
    pass_time(desk.room, 30 * MINUTE, step=15 * SECOND)
    desk.server.fault = lambda account, body: None
    pass_time(desk.room, 10 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    now = desk.store.now()
    changes = {"ready_at": now, "ready_why": None, "due_at": now, "doubted_at": None}
    last = tries(desk)[-1]
    said = Settle(attempt=last, move=Move.SAID_ABSENT, why=Why(Reason.BY_HAND), who="ed", changes=changes)
    assert desk.store.commit(said)
    pass_time(desk.room, MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1


def test_p28_one_lost_reply_among_the_500s_keeps_its_window(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.LOST_BEFORE)
    desk.server.fault = lambda account, body: Fault.ERROR_BEFORE
    desk.show(article(1))
    pass_time(desk.room, 20 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.HELD, Reason.CANNOT_TELL): 1}


def test_p28_what_gets_too_old_over_500s_is_missed_with_the_networks_words(house: OpenHouse) -> None:
    desk = house(max_age="20m")
    desk.server.fault = lambda account, body: Fault.ERROR_BEFORE
    desk.show(article(1))
    pass_time(desk.room, 40 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SKIPPED, Reason.STALE): 1}
    assert "internal" in only(desk).reason.detail
    desk.server.fault = lambda account, body: None
    pass_time(desk.room, 10 * MINUTE, step=15 * SECOND)
    assert desk.server.posts == []


def test_p28_what_is_proved_absent_is_not_sent_when_it_got_too_old(house: OpenHouse) -> None:
    desk = house(max_age="6m")
    desk.server.faults.append(Fault.LOST_BEFORE)
    desk.show(article(1, published_at=desk.clock.now()))
    desk.clock.advance(5 * MINUTE)
    reconcile.run(desk.room)
    assert only(desk).state is State.WAITING
    desk.clock.advance(2 * MINUTE)
    deliver.run(desk.room)
    assert desk.states() == {(State.SKIPPED, Reason.STALE): 1}
    assert desk.server.posts == []


@pytest.mark.parametrize("ahead", [timedelta(minutes=minutes) for minutes in (0, 3, 4.9)])
def test_a_clock_that_is_minutes_ahead_takes_no_post_for_absent(
    house: OpenHouse, clock: ManualClock, ahead: timedelta
) -> None:
    """Found by the simulation: the look read from two minutes before the attempt by our clock, four minutes ahead, and
    the post was there, from before that by the network's: "absent", and sent once more."""
    desk = house(server=FakeServer(TrueTime(clock)))
    clock.step_wall(ahead)
    desk.server.faults.append(Fault.LOST_AFTER)
    desk.show(article(1))
    pass_time(desk.room, 12 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert len(desk.server.posts) == 1


class Dated(FakeServer):
    """A server that tells the true time in every answer."""

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        told = super().answer(method, target, headers, body)
        told.headers["Date"] = format_datetime(self._clock.now().astimezone(UTC), usegmt=True)
        return told


def test_a_clock_that_was_hours_ahead_for_a_while_proves_nothing_absent(house: OpenHouse, clock: ManualClock) -> None:
    """Found by the simulation: six hours ahead at the start, set right while the post waited for its resend; six hours
    later its time came once more, and the look read from then."""
    server = Dated(TrueTime(clock))
    desk = house(server=server)
    started = prepared(desk, article(1))
    desk.server.faults.append(Fault.LOST_AFTER)
    clock.step_wall(timedelta(seconds=1))
    assert deliver.finish(desk.room, started, deliver.send(desk.room, started))
    with desk.store.engine.begin() as connection:  # as if it had been begun by that clock
        ahead = 6 * 3600 * 1_000_000
        connection.exec_driver_sql(f"UPDATE attempts SET started_at = started_at + {ahead}")
        connection.exec_driver_sql(f"UPDATE deliveries SET doubted_at = doubted_at + {ahead}")
    clock.step_wall(6 * HOUR)
    pass_time(desk.room, 5 * MINUTE, step=15 * SECOND)
    clock.step_wall(-6 * HOUR)
    pass_time(desk.room, 7 * HOUR, step=MINUTE)
    assert only(desk).state in (State.SENT, State.HELD)
    assert len(desk.server.posts) == 1


def test_a_post_on_the_wire_is_recorded_though_its_account_left_the_settings(house: OpenHouse) -> None:
    """Found by the simulation: the outcome was lost with a KeyError, and the post stood in sending for as long as the
    process lived, since that took it for one of its own on the wire."""
    desk = house("one", "two", looked=False)
    desk.show()
    desk.clock.advance(60)
    started = prepared(desk, article(1))
    result = deliver.send(desk.room, started)
    desk.room.accounts = {"two": desk.room.accounts["two"]}
    assert deliver.hand_over(desk.room, started, result) is None
    assert desk.room.in_flight == set()
    with desk.store.read() as tx:
        assert deliveries.by_id(tx, started.delivery.id).state is State.SENT


def test_what_has_not_left_does_not_leave_for_an_account_that_left_the_settings(house: OpenHouse) -> None:
    desk = house("one", "two")
    started = prepared(desk, article(1))
    desk.room.accounts = {"two": desk.room.accounts["two"]}
    result = deliver.send(desk.room, started)
    assert deliver.finish(desk.room, started, result)
    assert desk.server.posts == []
    with desk.store.read() as tx:
        assert attempts.of_delivery(tx, started.delivery.id)[0].outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("there", [True, False])
def test_a_resend_that_was_refused_leaves_a_question_that_a_person_can_answer(both: OpenHouse, there: bool) -> None:
    """Found by the simulation: lost, absent, resent into a 429, window over: held, and no word of a person counted."""
    house = both()
    house.server.faults.extend([Fault.LOST_BEFORE, Fault.LIMITED])
    house.server.limit = timedelta(hours=1)
    house.show(article(1))
    pass_time(house.room, 90 * MINUTE, step=30 * SECOND)
    assert house.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert [attempt.outcome for attempt in tries(house)] == [Outcome.ABSENT, Outcome.BUSY]
    if there:
        post = posted_by_hand(house, article(1), MINUTE)
        Person(house.room, "ann").confirm(only(house), Receipt(post.id, None, post.visible_at))
    else:
        Person(house.room, "ann").deny(only(house))
        pass_time(house.room, 2 * MINUTE)
    assert only(house).state is State.SENT
    assert tries(house)[0].outcome is (Outcome.FOUND if there else Outcome.ABSENT)
    assert len(house.server.posts) == 1
    house.server.posts[0].delivery = only(house).id


def test_p13_a_duplicate_answer_for_one_of_ten_ends_skipped_and_the_others_go(both: OpenHouse) -> None:
    house = both()
    items = [article(n, published_at=house.clock.now() - (20 - n) * SECOND) for n in range(10)]
    posted_by_hand(house, items[2], timedelta(hours=20))
    house.server.fault = lambda account, body: Fault.DUPLICATE if body["link"] == items[2].link else None
    reads = sum(request[1] == "/posts" and request[0] == "GET" for request in house.server.requests)
    house.show(*items)
    assert house.states() == {(State.SENT, Reason.SENT): 9, (State.SKIPPED, Reason.DUPLICATE_REJECTED): 1}
    looked = sum(request[1] == "/posts" and request[0] == "GET" for request in house.server.requests) - reads
    assert looked == 1
    assert len(house.server.posts) == 10


def test_p13_a_duplicate_answer_found_as_anothers_is_skipped(house: OpenHouse) -> None:
    desk = house()
    posted_by_hand(desk, article(1), 5 * MINUTE)
    desk.server.faults.append(Fault.DUPLICATE)
    desk.show(article(1))
    assert desk.states() == {(State.SKIPPED, Reason.DUPLICATE_REJECTED): 1}
    assert [attempt.outcome for attempt in tries(desk)] == [Outcome.DUPLICATE]
    assert len(desk.server.posts) == 1


def test_p13_a_duplicate_answer_found_as_ours_is_sent(house: OpenHouse) -> None:
    """The network took a first try of which we only heard a refusal: the post that stands there is this one's."""
    desk = house()
    started = prepared(desk, article(1))
    post = Published(
        "p1", "1", started.attempt.payload.text, article(1).link, started.delivery.id, "", desk.clock.now()
    )
    desk.server.posts.append(post)
    desk.server.faults.append(Fault.DUPLICATE)
    deliver.finish(desk.room, started, deliver.send(desk.room, started))
    settle_down(desk.room)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}
    assert only(desk).remote_id == "p1"


def test_p13_a_duplicate_of_the_first_of_several_tries_is_ours_however_long_ago_that_was(house: OpenHouse) -> None:
    desk = house()
    started = prepared(desk, article(1))
    begun = started.attempt.started_at
    why = Why(Reason.DUPLICATE_REJECTED)
    doubt = reconcile.Doubt(
        attempt=replace(started.attempt, started_at=begun + 5 * MINUTE),
        delivery=replace(started.delivery, doubted_at=begun, reason=why, state=State.UNKNOWN),
        withdrawn=False,
        seen_for=0.0,
        looked=0,
        since_look=0.0,
        can_find=True,
        proof=True,
        in_flight=Fake.in_flight_max,
        resend_window=Fake.resend_window,
    )
    for landed, move in ((begun + MINUTE, Move.FOUND), (begun - 5 * MINUTE, Move.RULED_OUT)):
        settled = reconcile.settle(doubt, Receipt("p1", None, landed), begun + 5 * MINUTE)
        assert settled is not None
        assert settled.move is move


def test_p13_a_duplicate_answer_that_is_nowhere_is_held(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.DUPLICATE)
    desk.show(article(1))
    pass_time(desk.room, 20 * MINUTE, step=20 * SECOND)
    assert desk.states() == {(State.HELD, Reason.DUPLICATE_REJECTED): 1}
    assert desk.server.posts == []


def test_p123_what_was_seen_and_is_gone_is_never_sent_again(house: OpenHouse) -> None:
    """Sent and read back, then deleted by hand: no worker, however late, puts it back."""
    desk = house()
    desk.show(article(1))
    pass_time(desk.room, MINUTE)
    assert only(desk).confirmed_at is not None
    desk.server.posts[0].deleted = True
    desk.clock.advance(2 * 60 * MINUTE)
    other = desk.newsroom("worker-2")
    pass_time(other, 5 * MINUTE, step=15 * SECOND)
    desk.show(article(1, headline="Rail strike is off, union says"))
    pass_time(other, 5 * MINUTE, step=15 * SECOND)
    assert len(desk.server.posts) == 1


def test_p123_a_deletion_by_hand_two_hours_ago_is_not_undone_by_a_resend(house: OpenHouse) -> None:
    desk = house()
    started = prepared(desk, article(1))
    deliver.send(desk.room, started)
    desk.server.posts[0].deleted = True
    desk.clock.advance(2 * 60 * MINUTE)
    pass_time(desk.newsroom("worker-2"), 30 * MINUTE, step=15 * SECOND)
    assert desk.states() == {(State.HELD, Reason.CANNOT_TELL): 1}
    assert len(desk.server.posts) == 1


def test_p25_an_answer_without_an_id_is_unknown_until_the_post_is_seen(house: OpenHouse) -> None:
    desk = house()
    desk.server.faults.append(Fault.GARBAGE_AFTER)
    desk.show(article(1))
    assert desk.states() == {(State.UNKNOWN, Reason.LOST_REPLY): 1}
    pass_time(desk.room, 2 * MINUTE)
    assert desk.states() == {(State.SENT, Reason.SENT): 1}


def test_p25_each_post_is_read_back_within_five_minutes_and_a_missing_one_is_told(house: OpenHouse) -> None:
    desk = house("one", "two")
    desk.show(*(article(n) for n in range(5)))
    lost = desk.server.posts[3]
    lost.deleted = True
    pass_time(desk.room, 5 * MINUTE, step=15 * SECOND)
    assert all(one.confirmed_at is not None for one in desk.all())
    assert [event.subject for event in desk.events("not_visible")] == [lost.delivery]


def test_a_move_that_the_table_forbids_is_refused(house: OpenHouse) -> None:
    desk = house()
    desk.show(article(1))
    with pytest.raises(KeyError):
        desk.store.commit(MoveDelivery(current=only(desk), move=Move.RETRY, why=Why(Reason.BY_HAND), who="ed"))
    with desk.store.read() as tx:
        assert deliveries.by_id(tx, only(desk).id) == only(desk)


@pytest.mark.parametrize("refusal", [NotSent("no way there"), AuthFailed("revoked"), Expired("over")], ids=str)
def test_what_an_article_learnt_while_its_post_was_on_the_wire_holds_when_it_waits_again(
    both: OpenHouse, refusal: SendError
) -> None:
    """Plan leaves alone what is on its way; the embargo that came meanwhile was never looked at again."""
    house = both()
    started = prepared(house, article(1))
    until = house.clock.now() + HOUR
    house.show(article(1, embargo_until=until))
    assert deliver.finish(house.room, started, refusal)
    pass_time(house.room, HOUR - MINUTE, step=5 * MINUTE)
    assert house.server.posts == []
    assert only(house).ready_at >= until
    pass_time(house.room, 2 * HOUR, step=5 * MINUTE)
    assert house.states() == {(State.SENT, Reason.SENT): 1}
