"""The commands that look: queue, forecast, why, accounts, sources, check, on a real store with real posts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House, house, house_with_hook, receiver
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import networks
from bot.cli import phrasing
from bot.cli.ground import file_system
from bot.cli.outlook import free_slots
from bot.cli.reading import short_ids
from bot.clock import SystemClock
from bot.errors import UsageError
from bot.model import STATE_WORDS, Delivery, Reason, State, Unit, Why
from bot.settings import load
from bot.store import Store, deliveries, schema
from bot.store.stops import Scope, Stop

Read = Callable[..., Any]


@pytest.fixture
def full(tmp_path: Path) -> House:
    """One post out, one held by its route, one closed by a route, one that no route takes."""
    made = house(tmp_path)
    made.story("Mayor opens harbour bridge")
    made.story("Rowers win the cup", "sport")
    made.story("Canteen menu of the week", "internal")
    made.story("Rain until Friday", "weather")
    assert made.one_pass() == 0
    return made


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """A command's JSON."""

    def read(made: House, *words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert made.call(*words) == code
        return json.loads(capsys.readouterr().out)

    return read


# -- queue --------------------------------------------------------------------------------------------------------


def test_queue_json_has_the_stable_keys(full: House, read: Read) -> None:
    """Documented as stable: delivery, article, account, state, reason, due_at, text."""
    found = read(full, "queue", "--json")
    assert [(one["account"], one["state"], one["reason"]) for one in found] == [("paper", "held", "route_hold")]
    assert {"delivery", "article", "account", "state", "reason", "due_at", "text"} <= found[0].keys()
    assert found[0]["text"].startswith("Rowers win the cup")


@pytest.mark.parametrize("said", ["sent", "SENT", "Sent"])
def test_queue_takes_code_names_and_screen_words(full: House, read: Read, said: str) -> None:
    """`--state` takes both; an ended state is listed on request."""
    assert [one["state"] for one in read(full, "queue", "--json", "--state", said)] == ["sent"]
    held = {json.dumps(read(full, "queue", "--json", "--state", word)) for word in ("held", "on hold", "on-hold")}
    assert len(held) == 1


def test_queue_rows_and_lines_for_programs(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Tabs without a head where stdout is no terminal; one object a line with --jsonl."""
    capsys.readouterr()
    assert full.call("queue") == 0
    (row,) = capsys.readouterr().out.splitlines()
    short, due, account, state, headline, why = row.split("\t")
    assert (due, account, state, headline) == ("-", "paper", "on hold", "Rowers win the cup")
    assert why == "On hold: the route wants a person to release it (route sport)."
    assert full.call("queue", "--jsonl") == 0
    assert json.loads(capsys.readouterr().out)["delivery"].startswith(short)


def test_red_lines_stand_above_every_listing(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """While anything is stopped each listing says so, on stderr; results stay clean."""
    store = Store(f"sqlite:///{full.database}", SystemClock())
    store.commit(Stop(id="s1", scope=Scope.ALL, value="", reason="wrong figures", who="Ana"))
    store.close()
    for words in (["queue"], ["forecast"], ["why", "rowers"], ["accounts"], ["sources"], ["check"]):
        capsys.readouterr()
        assert full.call(*words) in (0, 7), words
        shown = capsys.readouterr()
        assert "! STOPPED everything (Ana: wrong figures)" in shown.err, words
        assert "STOPPED" not in shown.out


def test_p105_an_overdue_row_says_that_no_worker_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A planned time that passed names what holds it up, not the rule that chose it."""
    made = house(tmp_path)
    made.story("Mayor opens harbour bridge")
    for step in ("discover", "plan", "schedule"):
        made.one_pass(step)
    with sqlite3.connect(made.database) as connection:
        connection.execute("UPDATE deliveries SET due_at = due_at - 600000000")
    connection.close()
    capsys.readouterr()
    assert made.call("queue") == 0
    assert capsys.readouterr().out.rstrip().endswith("Overdue: no worker runs. Start one: wirepost run.")


# -- why ----------------------------------------------------------------------------------------------------------


def test_p26_why_tells_the_whole_way(full: House, read: Read) -> None:
    """Source, decision, route, attempt and receipt of a sent post; by link, alias and words alike."""
    story = read(full, "why", "https://example.com/mayor-opens-harbour-bridge/?utm_source=x", "--json")
    assert story["article"]["headline"] == "Mayor opens harbour bridge"
    (account,) = story["accounts"]
    assert (account["account"], account["decision"]) == ("paper", "yes")
    assert [reason["reason"] for reason in account["reasons"]] == ["route"]
    assert account["trace"] == ["shut ✗ section is city", "sport ✗ section is city", "all ✓"]
    (delivery,) = account["deliveries"]
    assert delivery["state"] == "sent"
    assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["receipt"]
    assert delivery["receipt"]["url"].startswith("file://")
    assert story["history"][0]["event"] == "seen"
    assert read(full, "why", delivery["delivery"][:8], "--json")["article"] == story["article"]


@pytest.mark.parametrize(
    ("words", "reason", "sentence"),
    [
        ("canteen", "route_closed", "Didn't go: Internal notes stay inside."),
        ("rain until", "no_route", "Didn't go: no route takes it."),
        ("rowers", "route_hold", "On hold: the route wants a person to release it (route sport)."),
    ],
)
def test_p76_why_not_in_a_sentence(
    full: House, read: Read, capsys: pytest.CaptureFixture[str], words: str, reason: str, sentence: str
) -> None:
    """Every article that didn't go has its reason, in JSON and in words."""
    story = read(full, "why", words, "--json")
    assert reason in [one["reason"] for one in story["accounts"][0]["reasons"]]
    assert full.call("why", words, "paper") == 0
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["why", "no such story at all"], 5, 'No article fits "no such story at all"'),
        (["why", "rowers", "papper"], 5, 'There is no account "papper". Did you mean "paper"?'),
        (["why", "e"], 5, "articles fit"),
        (["why", " "], 5, "Which article?"),
        (["queue", "--account", "papre"], 5, 'Did you mean "paper"?'),
        (["queue", "--state", "on hodl"], 2, 'Did you mean "on hold"?'),
        (["forecast", "--account", "x"], 5, "Known: paper"),
        (["forecast", "--days", "0"], 2, "0 is not in the range"),
        (["preview", "--account", "x"], 5, "Known: paper"),
        (["preview", "a", "--last", "2"], 2, "not both"),
        (["run", "--online"], 2, "--online and --json go with --dry-run"),
        (["run", "--dry-run", "--only", "plan"], 2, "leave --only"),
    ],
)
def test_bad_input_is_named_and_answered(
    full: House, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    """Exit codes as documented, the nearest name, no traceback."""
    capsys.readouterr()
    assert full.call(*words) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("command", ["queue", "forecast", "accounts", "sources", "why x", "hold x", "stop", "resume"])
def test_without_a_store_it_is_said_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Looking makes no file."""
    made = house(tmp_path)
    before = made.everything()
    assert made.call(*command.split()) == 1
    assert "there is no store yet. wirepost run makes one." in capsys.readouterr().err
    assert made.everything() == before


# -- forecast, accounts, sources ----------------------------------------------------------------------------------


def test_forecast_shows_planned_posts_and_free_slots(tmp_path: Path, read: Read) -> None:
    """What goes when, and the slots that nobody uses yet."""
    made = house(tmp_path)
    slots = '\n[schedules.peaks]\ndaily = ["07:15", "12:10", "19:00"]\n'
    text = made.config.read_text("utf-8")
    # Fresh until the next slot, whatever the hour at which this runs.
    made.config.write_text(text + 'schedule = "peaks"\nmax_age = "1d"\n' + slots, encoding="utf-8")
    made.story("Mayor opens harbour bridge")
    made.one_pass()
    found = read(made, "forecast", "--days", "1", "--json")
    assert [post["account"] for post in found["posts"]] == ["paper"]
    assert found["posts"][0]["due_at"] is not None
    assert len(found["free_slots"]) == 2
    assert {slot["schedule"] for slot in found["free_slots"]} == {"peaks"}
    assert found["posts"][0]["due_at"] not in [slot["at"] for slot in found["free_slots"]]


def test_free_slots_keep_to_the_wall_clock_across_the_change(tmp_path: Path) -> None:
    """07:15 London is 07:15 on both sides of 25 October 2026."""
    made = house(tmp_path)
    text = made.config.read_text("utf-8")
    made.config.write_text(text + 'schedule = "peaks"\n[schedules.peaks]\ndaily = ["07:15"]\n', encoding="utf-8")
    settings = load(made.config, environ={})
    now = datetime(2026, 10, 24, 0, 0, tzinfo=UTC)
    found = free_slots(settings, "paper", [], now, now + timedelta(days=3))
    assert [slot["at"].isoformat()[:16] for slot in found] == [
        "2026-10-24T06:15",
        "2026-10-25T07:15",
        "2026-10-26T07:15",
    ]


def test_accounts_show_login_posts_and_caps(full: House, read: Read) -> None:
    """Health is the last success; caps are those that hold."""
    (one,) = read(full, "accounts", "--json")
    assert (one["account"], one["network"], one["login"], one["live"]) == ("paper", "outbox", "ok", True)
    assert one["today"] == {"posts": 1, "cap": 100}
    assert one["last_sent_at"] is not None
    (tested,) = read(full, "accounts", "--test", "--json")
    assert tested["checked_at"] >= one["checked_at"]


def test_an_account_that_cannot_be_asked_is_exit_4_or_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--test` says who is lost; the listing is printed all the same."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        assert made.one_pass() == 0
        assert made.call("accounts", "--test", "-q") == 0
    capsys.readouterr()
    assert made.call("accounts", "--test") == 3
    shown = capsys.readouterr()
    assert "hook: " in shown.err
    assert len(shown.out.splitlines()) == 2


def test_p76_sources_numbers_add_up(full: House, read: Read) -> None:
    """Last look, next look, seen, new, and what became of the day's articles: each counted once."""
    (one,) = read(full, "sources", "--json")
    assert one["counts"]["seen"] == one["counts"]["new"] == 4
    became = {name: number for name, number in one["articles"].items() if name not in ("since_hours", "total")}
    assert became == {"routed": 2, "route_closed": 1, "no_route": 1}
    assert sum(became.values()) == one["articles"]["total"] == 4
    assert one["next_look_at"] > one["last_look_at"]


def test_sources_check_shows_what_was_taken_and_moves_no_cursor(full: House, read: Read) -> None:
    """A broken scrape is seen at a glance; a source that can't be read is exit 1, and its cursor stays."""
    before = _rows(full, "SELECT name, cursor, next_look_at FROM sources")
    (one,) = read(full, "sources", "--check", "--json")
    assert one["check"]["articles"] == 4
    assert one["check"]["last"][0]["link"].startswith("https://www.example.com/")
    (full.folder / "in").rename(full.folder / "away")
    (one,) = read(full, "sources", "--check", "--json", code=1)
    assert "there is no such folder" in one["check"]["error"]
    assert _rows(full, "SELECT name, cursor, next_look_at FROM sources") == before


def _rows(made: House, query: str) -> list[Any]:
    with sqlite3.connect(made.database) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


# -- check --------------------------------------------------------------------------------------------------------


def test_check_is_a_table_of_ok_warn_fail(full: House, read: Read) -> None:
    """Exit 0 where nothing is wrong; warnings don't change that."""
    found = {one["subject"]: one for one in read(full, "check", "--json")}
    assert found["store"]["level"] == "ok"
    assert "quick_check ok, WAL" in found["store"]["words"]
    assert found["worker"]["level"] == "warn"
    assert found["backup"]["fix"].startswith("wirepost db backup")
    assert found["paper"]["level"] == found["desk"]["level"] == found["key"]["level"] == "ok"


def test_check_online_reads_sources_and_asks_networks(full: House, read: Read) -> None:
    """What the bot took from the last item, and who we are."""
    found = read(full, "check", "--online", "--json")
    assert any(one["subject"] == "desk" and "4 articles; the last: " in one["words"] for one in found)
    assert any(one["subject"] == "paper" and one["words"].startswith("logged in as ") for one in found)


def test_check_online_works_without_a_store(tmp_path: Path, read: Read) -> None:
    """Nothing is made; a receiver that isn't there is FAIL, exit 7."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        before = made.everything()
        assert any(one["words"].startswith("logged in as") for one in read(made, "check", "--online", "--json"))
        assert server.bodies == []
    found = read(made, "check", "--online", "--json", code=7)
    assert [one["subject"] for one in found if one["level"] == "FAIL"] == ["hook"]
    assert made.everything() == before


def test_check_online_asks_an_account_that_is_new_in_the_settings(tmp_path: Path, read: Read) -> None:
    """Between adding an account and the next run the store does not know it; it was called a failed login."""
    with receiver() as server:
        made = house_with_hook(tmp_path, server.address)
        assert made.call("db", "migrate") == 0
        found = {one["subject"]: one for one in read(made, "check", "--online", "--json")}
    assert found["hook"]["level"] == "ok"
    alone = [(one["subject"], one["words"]) for one in read(made, "check", "--online", "--json", code=7)]
    assert ("clock", "no network told the time") in alone


def test_check_finds_trouble_and_exits_7(full: House, read: Read) -> None:
    """A key that others may read, a source that failed, a damaged store."""
    key = full.folder / "var" / "key"
    key.chmod(0o644)
    found = {one["subject"]: one for one in read(full, "check", "--json", code=7)}
    assert (found["key"]["level"], found["key"]["fix"]) == ("FAIL", f"chmod 600 {key}")
    key.chmod(0o600)
    full.database.write_bytes(b"no database at all" * 500)
    found = {one["subject"]: one for one in read(full, "check", "--json", code=7)}
    assert found["store"]["level"] == "FAIL"


def test_p106_check_names_owner_and_mend_of_an_unwritable_folder(tmp_path: Path, read: Read) -> None:
    """The folder that can't be written, and the command that mends it."""
    made = house(tmp_path)
    made.config.write_text('var = "/proc/here"\n' + made.config.read_text("utf-8"), encoding="utf-8")
    found = {one["subject"]: one for one in read(made, "check", "--json", code=7)}
    assert found["data"]["level"] == "FAIL"
    assert found["data"]["fix"].startswith(("chown -R ", "chmod -R "))


def test_check_shows_settings_errors_with_line_and_caret(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and nothing else is looked at."""
    full.config.write_text(full.config.read_text("utf-8").replace("outbox", "otbox"), encoding="utf-8")
    capsys.readouterr()
    assert full.call("check") == 2
    shown = capsys.readouterr()
    assert '"otbox" is not a network' in shown.err
    assert "^^^^^^^" in shown.err
    assert shown.out == ""


def test_check_prints_what_holds_but_cannot_be_meant(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A route that never matches is a warning, not an error."""
    text = full.config.read_text("utf-8") + '\n[[routes]]\nname = "late"\nto = ["paper"]\n'
    full.config.write_text(text.replace('when = { not_sections = ["weather"] }\n', ""), encoding="utf-8")
    capsys.readouterr()
    assert full.call("check") == 0
    assert 'route "late" never matches' in capsys.readouterr().out


def test_quick_check_reads_the_heartbeat_alone(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """7 without a worker; 0 with one that was seen just now."""
    assert full.call("check", "--quick") == 7
    assert "no worker runs" in capsys.readouterr().err
    now = schema.to_micros(SystemClock().now())
    with sqlite3.connect(full.database) as connection:
        connection.execute("INSERT INTO workers VALUES ('w', ?, ?, 'deliver')", (now, now))
    connection.close()
    assert full.call("check", "--quick") == 0


def test_quick_check_asks_the_health_server(full: House, capsys: pytest.CaptureFixture[str]) -> None:
    """With `listen`, /live answers; where nobody listens it is 7."""
    with receiver() as server:
        port = server.server_address[1]
        full.config.write_text(f'listen = "0.0.0.0:{port}"\n' + full.config.read_text("utf-8"), encoding="utf-8")
        assert full.call("check", "--quick") == 0
        assert server.heard == [("GET", b"")]
    assert full.call("check", "--quick") == 7


def test_file_systems_by_their_mount(tmp_path: Path) -> None:
    """The deepest mount point decides; SQLite on a network mount is refused in words."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nsrv:/x /srv/data nfs4 rw 0 0\n/dev/b /srv/data/with\\040space xfs rw 0 0\n", "utf-8"
    )
    assert file_system(Path("/srv/data/var"), mounts) == "nfs4"
    assert file_system(Path("/srv/data/with space/var"), mounts) == "xfs"
    assert file_system(Path("/srv/other"), mounts) == "ext4"
    assert file_system(Path("/srv"), tmp_path / "none") == ""


# -- words --------------------------------------------------------------------------------------------------------


def _delivery(**more: Any) -> Delivery:
    at = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)
    names = Delivery.__dataclass_fields__
    empty: dict[str, Any] = dict.fromkeys(names)
    text = {name: name for name in ("id", "article", "story", "account", "occasion", "route", "text")}
    numbers = {"length": 1, "generation": 1, "tries": 0, "version": 1}
    base = {"state": State.WAITING, "reason": Why(Reason.ROUTE, "all"), "due_why": (), "due_at": at, "cost": "0"}
    return Delivery(**{**empty, **text, **numbers, **base, **more})


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_asked_for_by_both_words(state: State) -> None:
    """The code's name and the screen's word give the same state."""
    for word in (str(state), STATE_WORDS[state], STATE_WORDS[state].upper(), STATE_WORDS[state].replace(" ", "_")):
        assert phrasing.states_of([word]).states == (state,)


def test_words_that_are_parts_of_a_state() -> None:
    """Trying again, needs login and missed are kinds of waiting and skipped."""
    again, missed = _delivery(tries=2), _delivery(state=State.SKIPPED, reason=Why(Reason.STALE))
    assert phrasing.state_word(again) == "trying again"
    assert phrasing.states_of(["trying again"]).holds(again)
    assert not phrasing.states_of(["trying again"]).holds(_delivery())
    assert phrasing.state_word(missed) == "missed"
    assert phrasing.states_of(["missed"]).holds(missed)
    assert not phrasing.states_of(["missed"]).holds(replace(missed, reason=Why(Reason.CAP)))
    assert phrasing.state_word(_delivery(), Reason.LOGIN) == "login needed"
    with pytest.raises(UsageError, match="no state"):
        phrasing.states_of(["planed-ish"])


def test_small_words() -> None:
    """Units in the singular, money with its cents, counts in order."""
    assert phrasing.units(Unit.GRAPHEMES, 1) == "grapheme"
    assert phrasing.units(Unit.WEIGHTED, 280) == "characters"
    assert [phrasing.money(phrasing.Decimal(one)) for one in ("4.1", "10", "0.015", "0")] == [
        "4.10",
        "10.00",
        "0.015",
        "0.00",
    ]
    assert phrasing.counted({"planned": 2, "on hold": 0, "sent": 1}) == "2 planned, 1 sent"
    assert phrasing.counted({}) == "nothing"


@settings(deadline=None)
@given(st.lists(st.text("ab2", min_size=12, max_size=12), min_size=1, max_size=12, unique=True))
def test_short_ids_name_one_row_each(ids: list[str]) -> None:
    """The shortest beginning that only this row has, never under four characters."""
    from sqlalchemy import Column, MetaData, Table, Text, create_engine

    from bot.store.engine import Tx

    engine = create_engine("sqlite://")
    table = Table("t", MetaData(), Column("id", Text, primary_key=True))
    with engine.connect() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"id": one} for one in ids])
        found = short_ids(Tx(connection, datetime(2026, 1, 1, tzinfo=UTC)), table, ids)
    engine.dispose()
    for one, short in found.items():
        assert len(short) >= 4
        assert [other for other in ids if other.startswith(short)] == [one]
        longer = [other for other in ids if other != one and other.startswith(short[:-1])]
        assert len(short) == 4 or longer


def test_deliveries_of_a_house_are_those_of_the_store(full: House) -> None:
    """The fixture is what the tests take it for: one sent, one held."""
    store = Store(f"sqlite:///{full.database}", SystemClock())
    with store.read() as tx:
        found = deliveries.listing(tx, states=list(State))
    store.close()
    assert sorted(str(one.state) for one in found) == ["held", "sent"]


def test_p122_p86_the_forecast_counts_the_money_of_the_article_link_alone(tmp_path: Path, read: Read) -> None:
    """A brand name that is a domain costs nothing: one link is paid; the sum stands beside the budget."""
    bird = '\n[accounts.bird]\nnetwork = "x"\nlive = true\ncaps = { cost_month = "10.00 USD" }\n'
    made = house(tmp_path, more=bird)
    made.story("Booking.com opens an office by the harbour")
    for step in ("discover", "plan", "schedule"):
        made.one_pass(step)
    found = read(made, "forecast", "--account", "bird", "--json")
    price = next(post["cost"] for post in found["posts"])
    link = networks.network("x").cost.publish_link
    assert phrasing.Decimal(price) == link > 0
    assert found["costs"][0] | {"month": ""} == {
        "account": "bird",
        "month": "",
        "spent": "0.00",
        "planned": phrasing.money(link),
        "budget": "10.00",
        "currency": "USD",
    }
    (shown,) = read(made, "preview", "booking", "--account", "bird", "--json")
    assert (shown["unit"], shown["limit"]) == ("weighted", 280)
