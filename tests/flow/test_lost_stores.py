"""A store that was lost, and an older one that was put back: nothing goes out twice, and nothing without a yes."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from bot import alerts
from bot.alerts.causes import causes_of
from bot.app import App, begin
from bot.errors import StoreError, Unreachable
from bot.flow import restore
from bot.model import Reason, State
from bot.secrets import Keyring
from bot.standstill import lift, take_over
from bot.store import deliveries
from bot.store.audit import events_named
from bot.store.backup import back_up
from bot.store.schema import accounts
from bot.store.stops import Lift, Scope, Stop, switches
from bot.store.witness import Finding, ForgetRestored, restored_since
from bot.testing.clock import ManualClock
from bot.testing.mastodon_server import MastodonServer
from bot.testing.network import FakeOptions
from bot.testing.network_server import Fault, Published
from bot.testing.newsroom import look, pass_time, settle_down
from bot.testing.source import Scripted
from tests.flow.apps import running
from tests.flow.conftest import OpenHouse
from tests.flow.ledger_check import BY_HAND, faults
from tests.flow.people import Person
from tests.flow.stories import article

MINUTE = timedelta(minutes=1)


def forget(folder: Path) -> None:
    """The store is gone, the rest of the folder is not."""
    for path in (folder / "var").glob("wirepost.db*"):
        path.unlink()


def copy(folder: Path, to: Path) -> None:
    to.mkdir()
    for path in (folder / "var").glob("wirepost.db*"):
        shutil.copy(path, to)


def put_back(folder: Path, older: Path) -> None:
    forget(folder)
    for path in older.glob("wirepost.db*"):
        shutil.copy(path, folder / "var")


def resume(app: App) -> None:
    """A person says: go on (`wirepost resume`)."""
    assert take_over(app.newsroom) == []
    with app.store.read() as tx:
        on = switches(tx)
    for switch in on:
        app.store.commit(Lift(switch.id, "ann"))
    app.store.commit(ForgetRestored("ann"))


def states(app: App) -> dict[str, tuple[State, Reason]]:
    with app.store.read() as tx:
        rows = deliveries.listing(tx, states=list(State))
    return {row.text.rpartition("/")[2]: (row.state, row.reason.reason) for row in rows}


def test_p09_a_lost_store_begins_with_a_baseline_and_says_so(tmp_path: Path, clock: ManualClock) -> None:
    source = Scripted("main")
    with MastodonServer(clock=clock) as server:
        with running(tmp_path, clock, server.base, source, first_look="all") as (app, finding):
            assert finding is Finding.NEW
            source.show(*(article(n) for n in range(5)))
            look(app.newsroom)
            assert len(server.statuses) == 5
            assert faults(app.store) == []
        forget(tmp_path)
        clock.advance(600)
        with running(tmp_path, clock, server.base, source, first_look="all") as (app, finding):
            assert finding is Finding.RESET
            look(app.newsroom)
            pass_time(app.newsroom, 10 * MINUTE, step=MINUTE)
            assert len(server.statuses) == 5
            assert "state_reset store" in causes_of(alerts.read(app.newsroom, timedelta(days=3)))
            with app.store.read() as tx:
                (told,) = events_named(tx, "state_reset", since=tx.now - timedelta(days=1))
            assert told.detail == {"identities": ["1@social.example.com"]}
            source.show(*(article(n) for n in range(6)))
            look(app.newsroom)
            assert len(server.statuses) == 6
            assert faults(app.store) == []


def test_p09_the_same_store_again_is_no_reset(tmp_path: Path, clock: ManualClock) -> None:
    source = Scripted("main")
    with MastodonServer(clock=clock) as server:
        for life in (Finding.NEW, Finding.SAME, Finding.SAME):
            with running(tmp_path, clock, server.base, source, first_look="all") as (app, finding):
                assert finding is life
                source.show(article(1))
                look(app.newsroom)
            clock.advance(60)
        assert len(server.statuses) == 1


def test_p09_a_witness_that_cannot_be_read_stops_the_start(tmp_path: Path, clock: ManualClock) -> None:
    with MastodonServer(clock=clock) as server:
        with running(tmp_path, clock, server.base, Scripted("main")) as (app, _):
            path = app.witness_path
        path.write_text("{", "utf-8")
        with pytest.raises(StoreError, match="witness"), running(tmp_path, clock, server.base, Scripted("main")):
            pass


def test_an_older_store_put_back_is_stopped_adopts_its_posts_and_sends_the_rest_once(
    tmp_path: Path, clock: ManualClock
) -> None:
    source = Scripted("main")
    with MastodonServer(clock=clock) as server:
        with running(tmp_path, clock, server.base, source) as (app, _):
            look(app.newsroom)
            clock.advance(60)
            source.show(article(1))
            look(app.newsroom)
        copy(tmp_path, tmp_path / "backup")
        with running(tmp_path, clock, server.base, source) as (app, _):
            clock.advance(60)
            source.show(*(article(n) for n in (1, 2, 3)))
            look(app.newsroom)
            assert len(server.statuses) == 3
        put_back(tmp_path, tmp_path / "backup")
        clock.advance(600)
        source.show(*(article(n) for n in (1, 2, 3, 4)))
        with running(tmp_path, clock, server.base, source) as (app, finding):
            room = app.newsroom
            assert finding is Finding.RESTORED
            assert "restored" in causes_of(alerts.read(room, timedelta(days=3)))
            look(room)
            pass_time(room, 5 * MINUTE, step=MINUTE)
            assert len(server.statuses) == 3
            restore.run(room, anyway=True)
            found = states(app)
            assert found["2"] == found["3"] == (State.SENT, Reason.RESTORED)
            assert found["4"][0] is State.WAITING
            resume(app)
            settle_down(room)
            pass_time(room, 10 * MINUTE, step=MINUTE)
            assert sorted(status.text.rpartition("/")[2] for status in server.statuses) == ["1", "2", "3", "4"]
            assert faults(app.store) == []


@pytest.mark.parametrize("moved", [False, True], ids=["back in its place", "to another folder"])
def test_a_backup_put_in_place_by_hand_is_known_as_one_though_the_witness_saw_nothing_since(
    tmp_path: Path, clock: ManualClock, moved: bool
) -> None:
    """The bot died between its first post since the backup and the next writing of the witness; or it moved house."""
    source = Scripted("main")
    there = tmp_path / "elsewhere" if moved else tmp_path
    with MastodonServer(clock=clock) as server:
        with running(tmp_path, clock, server.base, source, first_look="all") as (app, _):
            backup = back_up(app.store, tmp_path / "backups", clock.now())
            then = app.witness_path.read_bytes()
            source.show(article(1))
            look(app.newsroom)
            assert len(server.statuses) == 1
        forget(tmp_path)
        (there / "var").mkdir(parents=True, exist_ok=True)
        shutil.copy(backup, there / "var/wirepost.db")
        if not moved:
            app.witness_path.write_bytes(then)
        for life in (Finding.RESTORED, Finding.SAME):
            clock.advance(60)
            with running(there, clock, server.base, source, first_look="all") as (app, finding):
                assert finding is life
                look(app.newsroom)
                pass_time(app.newsroom, 5 * MINUTE, step=MINUTE)
        with running(there, clock, server.base, source, first_look="all") as (app, _):
            resume(app)
            settle_down(app.newsroom)
            pass_time(app.newsroom, 10 * MINUTE, step=MINUTE)
            assert states(app) == {"1": (State.SENT, Reason.RESTORED)}
        assert len(server.statuses) == 1


def test_resuming_before_the_sources_were_looked_at_doubles_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """What went out after the backup is not in the store, and its source is looked at only after the yes."""
    source = Scripted("main")
    with MastodonServer(clock=clock) as server:
        with running(tmp_path, clock, server.base, source) as (app, _):
            look(app.newsroom)
            clock.advance(60)
            source.show(article(1))
            look(app.newsroom)
        copy(tmp_path, tmp_path / "backup")
        with running(tmp_path, clock, server.base, source) as (app, _):
            clock.advance(60)
            source.show(article(1), article(2))
            look(app.newsroom)
        put_back(tmp_path, tmp_path / "backup")
        clock.advance(600)
        with running(tmp_path, clock, server.base, source) as (app, _):
            restore.run(app.newsroom, anyway=True)
            resume(app)
            look(app.newsroom)
            pass_time(app.newsroom, 10 * MINUTE, step=MINUTE)
        assert [status.text.rpartition("/")[2] for status in server.statuses] == ["1", "2"]


def test_a_source_that_cannot_be_read_keeps_a_restored_store_stopped(house: OpenHouse) -> None:
    desk = house()
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.source.error = Unreachable("connection refused")
    assert take_over(desk.room) == ["main"]
    desk.source.error = None
    assert take_over(desk.room) == []


def test_an_account_of_which_nobody_knows_who_it_is_keeps_a_restored_store_stopped(house: OpenHouse) -> None:
    """Found by the simulation: renamed while all was stopped, its posts were adopted under the new name, and what
    waited under the old one came with the check after the resume, and went out again."""
    desk = house()
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.server.posts.append(Published("p9", "1", "", article(1).link, BY_HAND, "", desk.clock.now()))
    desk.show(article(1))

    def is_somebody(identity: str | None) -> None:
        with desk.store.engine.begin() as connection:
            connection.execute(accounts.update().values(identity=identity))

    is_somebody(None)
    assert take_over(desk.room) == ["one"]
    assert desk.states() == {(State.WAITING, Reason.ROUTE): 1}
    is_somebody("1")
    assert take_over(desk.room) == []
    assert desk.states() == {(State.SENT, Reason.RESTORED): 1}
    desk.server.posts[0].delivery = desk.all()[0].id


def test_what_was_due_on_a_network_that_cannot_be_read_is_held_after_a_restore(house: OpenHouse) -> None:
    desk = house(options={"one": FakeOptions(token=SecretStr("token-1"), find=False)})
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.show(article(1), article(2))
    restore.run(desk.room, anyway=True)
    assert desk.states() == {(State.HELD, Reason.RESTORED): 2}
    assert desk.server.posts == []


def test_whatever_could_be_out_is_held_where_a_network_cannot_be_read(house: OpenHouse) -> None:
    """Planned long before the backup, for a slot after it: it may have gone out since, or been moved."""
    slot = {
        "schedules": {"day": {"daily": ["23:00", "23:20", "23:40"]}},
        "routes": [{"name": "all", "schedule": "day"}],
    }
    desk = house(
        options={"one": FakeOptions(token=SecretStr("token-1"), find=False)}, rules=slot, max_age="24h", settle="1h"
    )
    desk.show(article(1))
    desk.clock.advance(2 * 60 * MINUTE)
    embargoed = article(3, embargo_until=desk.clock.now() + timedelta(hours=3))
    desk.show(article(1), article(2), embargoed)  # the second one's settle time began anew when it was seen once more
    restore.begin(desk.room, "an older store was put back", "wirepost")
    restore.run(desk.room)
    assert desk.states() == {(State.WAITING, Reason.ROUTE): 3}  # all is stopped, and it may be read a minute later
    restore.run(desk.room, anyway=True)
    assert desk.states() == {(State.HELD, Reason.RESTORED): 3}  # an embargo may have come after the post


def test_an_account_whose_credentials_cant_be_opened_is_held_and_keeps_no_other_from_being_read(
    house: OpenHouse,
) -> None:
    desk = house("one", "two", settle="1h")
    desk.show(article(1))
    (two,) = [one for one in desk.all() if one.account == "two"]
    desk.server.posts.append(Published("p9", "2", "", article(1).link, two.id, "", desk.clock.now()))
    with desk.store.engine.begin() as connection:
        sealed = Keyring((b"1" * 32,)).encrypt("{}", place="accounts.one.credentials")
        connection.execute(accounts.update().where(accounts.c.name == "one").values(credentials=sealed))
    restore.begin(desk.room, "an older store was put back", "wirepost")
    restore.run(desk.room, anyway=True)
    assert {one.account: (one.state, one.reason.reason) for one in desk.all()} == {
        "one": (State.HELD, Reason.RESTORED),
        "two": (State.SENT, Reason.RESTORED),
    }


def test_a_worker_that_starts_while_another_one_posts_takes_the_store_for_no_older_one(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Between its look at the store and its look at the witness the other one wrote both."""
    source = Scripted("main")
    with (
        MastodonServer(clock=clock) as server,
        running(tmp_path, clock, server.base, source, first_look="all") as (app, _),
    ):
        news = [article(1)]

        def meanwhile(*_: object) -> None:
            if news:
                source.show(news.pop())
                look(app.newsroom)
                app.write_witness()

        assert app.hold is not None
        app.hold.release()
        event.listen(app.store.engine, "checkin", meanwhile)
        assert begin(app) is Finding.SAME
        assert len(server.statuses) == 1


def test_a_witness_that_says_so_already_is_not_written_again(tmp_path: Path, clock: ManualClock) -> None:
    source = Scripted("main")
    with (
        MastodonServer(clock=clock) as server,
        running(tmp_path, clock, server.base, source) as (app, _),
    ):
        app.write_witness()
        before = app.witness_path.stat()
        clock.advance(60)
        app.write_witness()
        assert app.witness_path.stat() == before
        look(app.newsroom)
        clock.advance(60)
        source.show(article(1))
        look(app.newsroom)
        app.write_witness()
        after = app.witness_path.stat()
        assert after != before
        app.witness_path.unlink()
        app.write_witness()
        assert app.witness_path.exists()


def test_what_was_held_in_the_backup_is_adopted_when_its_network_can_be_read_again(house: OpenHouse) -> None:
    """Found by the simulation: silent while a person resumed, it could not tell what is held from what is out."""
    desk = house(rules={"routes": [{"name": "all", "hold": True}]})
    desk.show(article(1))
    (one,) = desk.all()
    desk.server.posts.append(Published("p9", "1", "", article(1).link, one.id, "", desk.clock.now()))
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.server.down = True
    assert take_over(desk.room) == []
    with desk.store.read() as tx:
        on = switches(tx)
    lift(desk.room, on, "ann")
    desk.clock.advance(61)
    assert not restore.run(desk.room)
    assert desk.all()[0].state is State.HELD
    desk.server.down = False
    assert not restore.run(desk.room)  # once a minute
    desk.clock.advance(61)
    assert restore.run(desk.room)
    assert [(one.state, one.remote_id) for one in desk.all()] == [(State.SENT, "p9")]
    requests = len(desk.server.requests)
    desk.clock.advance(61)
    assert not restore.run(desk.room)
    assert len(desk.server.requests) == requests  # read once, it is forgotten


def test_a_copy_from_before_an_earlier_restore_is_known_for_older_whatever_its_numbers_say(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Found by the simulation: after the first restore the attempts count from behind, and the second copy is ahead."""
    source = Scripted("main")
    with MastodonServer(clock=clock) as server:

        def works(*numbers: int) -> Finding:
            clock.advance(600)
            source.show(*(article(number) for number in numbers))
            with running(tmp_path, clock, server.base, source) as (app, finding):
                if finding is Finding.RESTORED:
                    resume(app)
                look(app.newsroom)
                pass_time(app.newsroom, 10 * MINUTE, step=MINUTE)
            return finding

        assert works() is Finding.NEW
        works(1)
        copy(tmp_path, tmp_path / "first")
        works(1, 2, 3, 4)
        copy(tmp_path, tmp_path / "second")
        works(1, 2, 3, 4, 5)
        put_back(tmp_path, tmp_path / "first")
        assert works(1, 2, 3, 4, 5, 6) is Finding.RESTORED
        assert works(1, 2, 3, 4, 5, 6) is Finding.SAME
        put_back(tmp_path, tmp_path / "second")
        assert works(1, 2, 3, 4, 5, 6) is Finding.RESTORED
        assert sorted(status.text.rpartition("/")[2] for status in server.statuses) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("state", [State.HELD, State.REJECTED, State.SKIPPED])
def test_what_a_person_let_go_after_the_backup_is_adopted_too(house: OpenHouse, state: State) -> None:
    """Found by the simulation: held, refused or skipped in the backup, out in truth, and open to be sent once more."""
    desk = house(rules={"routes": [{"name": "all", "hold": state is not State.REJECTED}]})
    desk.server.faults.append(Fault.REFUSED)
    desk.show(article(1))
    (one,) = desk.all()
    if state is State.SKIPPED:
        Person(desk.room, "ann").skip(one)
    assert desk.all()[0].state is state
    desk.server.posts.append(Published("p9", "1", "", article(1).link, one.id, "", desk.clock.now()))
    restore.begin(desk.room, "an older store was put back", "wirepost")
    restore.run(desk.room, anyway=True)
    assert [(each.state, each.reason.reason, each.remote_id) for each in desk.all()] == [
        (State.SENT, Reason.RESTORED, "p9")
    ]
    restore.run(desk.room, anyway=True)
    assert desk.states() == {(State.SENT, Reason.RESTORED): 1}


def test_a_copy_from_before_the_first_post_reads_the_networks_back_to_when_its_accounts_joined(
    house: OpenHouse,
) -> None:
    """Found by the simulation: such a copy had no newest change, and "an hour ago" missed what went out before."""
    desk = house()
    desk.clock.advance(60)
    desk.server.posts.append(Published("p9", "1", "", article(1).link, BY_HAND, "", desk.clock.now()))
    desk.clock.advance(3 * 3600)
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.show(article(1))
    restore.run(desk.room, anyway=True)
    assert desk.states() == {(State.SENT, Reason.RESTORED): 1}
    desk.server.posts[0].delivery = desk.all()[0].id


def test_a_stop_with_an_end_leaves_no_restored_store_that_nobody_can_acknowledge(house: OpenHouse) -> None:
    """Once it had ended, there was nothing left to resume: the alert said for ever that everything is stopped."""
    desk = house()
    restore.begin(desk.room, "an older store was put back", "wirepost")
    with desk.store.read() as tx:
        on = switches(tx)
    until = desk.clock.now() + timedelta(hours=1)
    desk.store.commit(Stop(id="s9", scope=Scope.ALL, value="", reason="election night", who="ann", until=until))
    assert take_over(desk.room) == []
    assert lift(desk.room, on, "ann") == on
    with desk.store.read() as tx:
        assert restored_since(tx) is None


def test_a_network_that_is_down_holds_nothing_it_could_still_read(house: OpenHouse) -> None:
    """Can't be read now: it is read again a minute later; meanwhile all is stopped."""
    desk = house()
    restore.begin(desk.room, "an older store was put back", "wirepost")
    desk.server.down = True
    desk.show(article(1))
    restore.run(desk.room, anyway=True)
    desk.server.down = False
    desk.clock.advance(61)
    restore.run(desk.room)
    pass_time(desk.room, MINUTE)
    assert desk.server.posts == []
