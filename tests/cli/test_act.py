"""The commands that act, each on a real store: bad input is named, too late is said, nothing is doubled."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, Receiver, Run, house, house_with_hook, receiver

from bot.clock import SystemClock
from bot.model import Delivery, State
from bot.store import Store, deliveries
from bot.store.audit import events_of


def posts(made: House, state: State | None = None) -> list[Delivery]:
    store = Store(f"sqlite:///{made.database}", SystemClock())
    try:
        with store.read() as tx:
            return deliveries.listing(tx, states=[state] if state else list(State))
    finally:
        store.close()


def with_one_held(folder: Path) -> House:
    """One post out, one held by its route."""
    made = house(folder)
    made.story("Mayor opens harbour bridge")
    made.story("Rowers win the cup", "sport")
    assert made.one_pass() == 0
    return made


@pytest.fixture
def held(tmp_path: Path) -> House:
    return with_one_held(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same for all tests that change nothing."""
    return with_one_held(tmp_path_factory.mktemp("untouched"))


def one_held(made: House) -> Delivery:
    (one,) = posts(made, State.HELD)
    return one


# -- which post ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["ID", "https://www.example.com/rowers-win-the-cup", "Rowers win", "PREFIX"])
def test_a_post_is_named_by_id_link_or_headline(held: House, run: Run, words: str) -> None:
    one = one_held(held)
    said = {"ID": one.id, "PREFIX": one.id[:6]}.get(words, words)
    out, _ = run(held, "release", said, "--by", "Ana")
    assert re.fullmatch(r"Released [a-z2-7]{4,12} on paper\. Undo: wirepost hold [a-z2-7]{4,12}\n", out)
    assert posts(held, State.WAITING)[0].reason.detail == "Ana"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["hold", "zzzzzz"], 5, "No article fits"),
        (["hold"], 2, "Missing argument"),
        (["release"], 2, "Say which"),
        (["skip"], 2, "Say which"),
        (["retry"], 2, "Say which"),
        (["hold", "Rowers win", "--account", "papr"], 5, 'Did you mean "paper"?'),
        (["hold", "e"], 5, "articles fit"),
        (["release", "Rowers win", "--source", "desk"], 2, "Say which"),
        (["release", "--source", "dsk"], 5, 'Did you mean "desk"?'),
        (["skip", "--source", "desk"], 5, "No article of desk is held"),
        (["move", "Rowers win"], 2, "Say one of"),
        (["move", "Rowers win", "--now", "--next"], 2, "Say one of"),
        (["move", "Rowers win", "--to", "noonish"], 2, "is no time"),
        (["move", "Rowers win", "--to", "2020-01-01T10:00"], 2, "has passed"),
        (["edit", "Rowers win", "--text", "  "], 2, "There is no text"),
        (["edit", "Rowers win", "--text", "x", "--reset"], 2, "Either"),
        (["retry", "--cause", "login"], 2, "--cause goes with --account"),
        (["retry", "--cause", "weather", "--account", "paper"], 2, "Invalid value"),
        (["retry", "--cause", "login", "--account", "papr"], 5, "Known: paper"),
        (["lookup", "Rowers win"], 1, "nothing unclear"),
        (["lookup", "Rowers win", "--there", "x", "--not-there"], 2, "Either"),
        (["lookup", "Rowers win", "--there", "over there"], 2, "address is expected"),
        (["lookup", "Rowers win", "--not-there"], 2, "--yes"),
        (["lookup", "Rowers win", "--not-there", "--yes"], 1, "nothing unclear"),
        (["stop", "--all", "--account", "paper"], 2, "Say one thing"),
        (["stop", "--account", "papr"], 5, 'Did you mean "paper"?'),
        (["stop", "--network", "x"], 5, "No account is on x. Known: outbox"),
        (["stop", "--source", "desks"], 5, 'Did you mean "desk"?'),
        (["stop", "--article", "unheard of"], 5, "No article fits"),
        (["stop", "--section", " "], 2, "a name is expected"),
        (["stop", "--until", "yesterday"], 2, "is no time"),
        (["resume", "zzzz"], 5, "There is no stop with the id zzzz"),
        (["resume", "--account", "paper"], 5, "There is no stop of account paper"),
        (["resume", "--missed", "most"], 2, "Invalid value"),
        (["post", "nowhere to be found", "--account", "paper"], 5, "No article fits"),
        (["post", "./none.md", "--account", "paper"], 2, "can't be read"),
        (["post", "city/none.md", "--account", "paper"], 2, "city/none.md: can't be read: No such file"),
        (["post", "Rowers win"], 2, "Missing option"),
        (["db", "backup", "--to", ""], 2, "--to names no folder"),
        (["post", "Rowers win", "--account", "paper", "--at", "14:00", "--now"], 2, "Either"),
        (["post", "Rowers win", "--account", "paper"], 1, "paper has it already"),
        (["backfill", "dsk", "--account", "paper"], 5, 'Did you mean "desk"?'),
        (["backfill", "desk", "--account", "paper", "--since", "2999-01-01"], 2, "yet to come"),
        (["backfill", "desk", "--account", "paper", "--since", "someday"], 2, "is no time"),
        (["backfill", "desk", "--account", "paper", "--max", "0"], 2, "Invalid value"),
        (["hold", "Rowers win", "--by", " "], 2, "a name is expected"),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, list) else "",
)
def test_bad_input_is_named_and_changes_nothing(
    untouched: House, run: Run, words: list[str], code: int, told: str
) -> None:
    before = posts(untouched)
    _, err = run(untouched, *words, code=code)
    assert told in err
    assert posts(untouched) == before


def test_an_ambiguous_beginning_lists_the_candidates(held: House, run: Run) -> None:
    one, two = posts(held)
    with sqlite3.connect(held.database) as connection:
        connection.execute("UPDATE attempts SET delivery = 'aaaabbbb' WHERE delivery = ?", (one.id,))
        connection.execute("UPDATE deliveries SET id = 'aaaabbbb' WHERE id = ?", (one.id,))
        connection.execute("UPDATE deliveries SET id = 'aaaacccc' WHERE id = ?", (two.id,))
    connection.close()
    _, err = run(held, "hold", "aaaa", code=5)
    assert "begins several ids" in err
    assert "aaaabbbb  paper" in err
    assert "Rowers win the cup" in err


def test_several_at_once_end_partly_done(held: House, run: Run) -> None:
    sent = posts(held, State.SENT)[0]
    out, err = run(held, "release", one_held(held).id, sent.id, code=3)
    assert out.startswith("Released")
    assert re.search(r"went out at \d\d:\d\d:\d\d: ", err)


def test_too_late_is_said(held: House, run: Run) -> None:
    out, err = run(held, "hold", "harbour bridge", code=1)
    assert re.fullmatch(r"wirepost: [a-z2-7]{4,} went out at \d\d:\d\d:\d\d: \S+\n", err)
    assert out == ""


def test_a_dry_run_stores_nothing(held: House, run: Run) -> None:
    before = posts(held)
    one = one_held(held).id
    for words in (["release", one], ["skip", one], ["edit", one, "--text", "Rowers!"], ["move", one, "--next"]):
        out, _ = run(held, *words, "-n")
        assert out.startswith("would ")
        assert out.endswith("Dry run: nothing was sent, nothing was stored.\n")
    run(held, "stop", "-n")
    run(held, "backfill", "desk", "--account", "paper", "-n")
    assert posts(held) == before
    assert run(held, "resume")[0] == "Nothing is stopped.\n"


def test_hold_move_edit_skip_and_retry_end_in_the_right_post(held: House, run: Run) -> None:
    one = one_held(held)
    run(held, "edit", one.id, "--text", "Rowers win it all", "--by", "Ana")
    run(held, "release", one.id, "--by", "Ben")
    out, _ = run(held, "hold", one.id)
    assert "(was planned " in out
    run(held, "skip", one.id)
    out, _ = run(held, "retry", one.id)
    assert "again on paper. Undo: wirepost skip" in out
    out, _ = run(held, "move", one.id, "--now")
    assert held.one_pass() == 0
    assert held.posts()[-1]["text"].startswith("Rowers win it all")
    store = Store(f"sqlite:///{held.database}", SystemClock())
    with store.read() as tx:
        assert [event.who for event in events_of(tx, one.id)][:2] == ["Ana", "Ben"]
    store.close()


def test_an_edit_that_does_not_fit_says_by_how_much(held: House, run: Run) -> None:
    _, err = run(held, "edit", "Rowers win", "--text", "x" * 100_000, code=2)
    assert re.search(r"100000 of \d+ \w+", err)


# -- an account that has left the settings ------------------------------------------------------------------------

WALL = '\n[accounts.wall]\nnetwork = "outbox"\n'


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Posts that are planned, held and skipped on an account that is taken out of the settings."""
    made = house(tmp_path_factory.mktemp("left"), more=WALL)
    for title in ("Mayor opens harbour bridge", "Rowers win the cup", "Storm closes coastal road"):
        made.story(title)
    for step in ("check", "discover", "plan", "schedule"):
        made.one_pass(step)
    assert made.call("hold", "Rowers win", "--account", "wall") == 0
    assert made.call("skip", "Storm closes", "--account", "wall") == 0
    made.config.write_text(made.config.read_text("utf-8").replace(WALL, ""), "utf-8")
    return made


def test_what_waits_on_an_account_that_left_is_said_not_to_go(left: House, run: Run) -> None:
    """The listings gave its old time, and nothing said that it would never come."""
    (one,) = (one for one in posts(left) if (one.account, one.state) == ("wall", State.WAITING))
    said = "Doesn't go: wall has left the settings. Put the account back, or: wirepost skip "
    (line,) = (line for line in run(left, "queue", "--state", "waiting")[0].splitlines() if "\twall\t" in line)
    assert line.split("\t")[1] == "-"
    assert said in line
    assert said + one.id in run(left, "why", one.article)[0]
    assert "\twall\t" not in run(left, "forecast")[0]
    assert "has left the settings, and 1 planned post on it won't go" in run(left, "check", code=0)[0]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["retry"], State.SKIPPED),
        (["retry"], State.WAITING),
        (["release"], State.HELD),
        (["move", "--now"], State.WAITING),
        (["move", "--next"], State.HELD),
        (["edit", "--text", "Other words"], State.WAITING),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, list) else str(part),
)
def test_what_can_not_go_out_any_more_is_not_called_planned(
    left: House, run: Run, words: list[str], state: State
) -> None:
    """Nothing is sent on an account that the settings don't have: the file and the missing table are named."""
    before = posts(left)
    (one,) = (one for one in before if (one.account, one.state) == ("wall", state))
    _, err = run(left, words[0], one.id, *words[1:], code=2)
    assert "wall, which has left the settings: there is no [accounts.wall] in " in err
    assert "wirepost.toml. Put the account back there, or post the article on another account: " in err
    assert f"wirepost post {one.article} --account NAME" in err
    assert posts(left) == before


def test_what_waits_on_an_account_that_has_left_can_still_be_skipped(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path, more=WALL)
    made.story("Mayor opens harbour bridge")
    for step in ("check", "discover", "plan", "schedule"):
        made.one_pass(step)
    made.config.write_text(made.config.read_text("utf-8").replace(WALL, ""), "utf-8")
    (one,) = (one for one in posts(made) if one.account == "wall")
    run(made, "hold", one.id)
    run(made, "skip", one.id)
    assert [one.account for one in posts(made, State.SKIPPED)] == ["wall"]


# -- breaker and two people ---------------------------------------------------------------------------------------


def flooded(folder: Path) -> House:
    """A source that suddenly shows many old stories: they are held."""
    made = house(folder)
    made.story("Mayor opens harbour bridge")
    assert made.one_pass() == 0
    for number in range(14):
        path = made.folder / "in" / f"old-{number}.md"
        head = f"title: Archive story of the year 19{number:02}\nlink: https://www.example.com/archive/{number}"
        path.write_text(f"---\n{head}\ndate: 2012-01-{number + 1:02}\n---\nLong ago.\n", encoding="utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert made.one_pass() == 0
    return made


@pytest.mark.parametrize("verb", ["release", "skip"])
def test_articles_held_by_the_breaker_are_decided_together(tmp_path: Path, run: Run, verb: str) -> None:
    made = flooded(tmp_path)
    out, _ = run(made, verb, "--source", "desk", "-n")
    assert out.startswith(f"would {'release' if verb == 'release' else 'mark'} 14 articles")
    out, _ = run(made, verb, "--source", "desk")
    assert re.match(r"(Released|Marked) 14 articles", out)
    assert "No article of desk is held" in run(made, verb, "--source", "desk", code=5)[1]
    made.one_pass()
    old = [post for post in made.posts() if "Archive" in post["text"]]
    assert len(old) == 0 or verb == "release"


def test_p58_the_command_line_has_no_way_round_the_second_person(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    made.story("Rowers stand trial", "sport", tags="Trial")
    assert made.one_pass() == 0
    one = one_held(made)
    out, _ = run(made, "edit", one.id, "--text", "Rowers walk free", "--by", "Ana")
    assert "held it" in out
    assert "The article's headline: Rowers stand trial" in out
    assert "add --second NAME" in run(made, "release", one.id, "--by", "Ana", code=2)[1]
    assert "add --second NAME" in run(made, "release", one.id, "--by", "Ana", "--second", "ana", code=2)[1]
    run(made, "skip", one.id, "--by", "Ana")
    assert "add --second NAME" in run(made, "retry", one.id, "--by", "Ana", code=2)[1]
    assert "--second NAME" in run(made, "post", "Rowers stand", "--account", "paper", "--by", "Ana", code=1)[1]
    made.one_pass()
    assert made.posts() == []
    run(made, "retry", one.id, "--by", "Ana", "--second", "Ben")
    made.one_pass()
    assert [post["text"].split("\n")[0] for post in made.posts()] == ["Rowers walk free"]


# -- stop and resume ----------------------------------------------------------------------------------------------


def test_p92_a_stop_holds_and_a_resume_lets_go(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    made.one_pass()
    out, _ = run(made, "stop", "--reason", "wrong figures", "--by", "Ana")
    stopped = (
        r"STOPPED everything at \d\d:\d\d:\d\d \(Ana: wrong figures\)\. On the wire now: none\. 0 planned posts wait"
    )
    assert re.match(stopped, out)
    made.story("Mayor opens harbour bridge")
    made.one_pass()
    made.one_pass()
    assert made.posts() == []
    assert "Waiting: stopped (everything (Ana: wrong figures))" in run(made, "queue")[0]
    _, err = run(made, "resume", code=2)  # no terminal: nobody is asked
    assert "--missed fresh" in err
    out, _ = run(made, "resume", "-n")
    assert out.startswith("1 post came due: 1 still fresh → go out in order")
    assert "would resume everything" in out
    out, _ = run(made, "resume", "--missed", "fresh", "--by", "Ben")
    assert "Resumed everything (Ana: wrong figures). Undo: wirepost stop --all" in out
    assert "stopped" not in run(made, "queue")[0]  # no worker has run since
    run(made, "stop", "--account", "paper")
    assert "Waiting: stopped (account paper" in run(made, "queue")[0]
    run(made, "resume", "--missed", "fresh")
    made.one_pass()
    assert len(made.posts()) == 1
    assert run(made, "resume")[0] == "Nothing is stopped.\n"


def test_one_stop_of_several_is_lifted_by_its_scope(held: House, run: Run) -> None:
    run(held, "stop", "--section", "Sport")
    run(held, "stop", "--account", "paper", "--until", "+2h")
    assert "On are:" in run(held, "resume", "--tag", "rowing", code=5)[1]
    out, _ = run(held, "resume", "--section", "SPORT")
    assert "Resumed section sport" in out
    out, _ = run(held, "resume")
    assert "Resumed account paper" in out


# -- post and backfill --------------------------------------------------------------------------------------------


def test_a_file_is_posted_by_hand_once(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    made.one_pass()
    story = made.story("Canteen menu of the week", "internal", name="../menu.md")
    out, _ = run(made, "post", str(story), "--account", "paper", "-n")
    assert out.startswith('would plan "Canteen menu of the week" on paper')
    assert posts(made) == []
    out, _ = run(made, "post", str(story), "--account", "paper", "--by", "Ana")
    assert re.match(r"Planned [a-z2-7]{4,} on paper for \d\d:\d\d \(.*\)\. Undo: wirepost skip [a-z2-7]{4,}", out)
    _, err = run(made, "post", "https://www.example.com/canteen-menu-of-the-week", "--account", "paper", code=1)
    assert "paper has it already" in err
    made.one_pass()
    assert len(made.posts()) == 1
    _, err = run(made, "post", str(story), "--account", "paper", code=1)
    assert "had this link already" in err
    assert "--again" in err
    run(made, "post", str(story), "--account", "paper", "--again")
    made.one_pass()
    assert len(made.posts()) == 2


def test_a_post_at_a_time_waits_for_it(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    story = made.story("Mayor opens harbour bridge", name="../one.md")
    made.one_pass()
    run(made, "post", str(story), "--account", "paper", "--at", "+2h")
    made.one_pass()
    assert made.posts() == []
    (one,) = posts(made, State.WAITING)
    assert one.pinned_at is not None


def test_an_article_that_was_skipped_by_its_route_can_be_posted(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    made.story("Canteen menu of the week", "internal")
    made.one_pass()
    assert posts(made) == []
    run(made, "post", "Canteen menu", "--account", "paper")
    made.one_pass()
    assert len(made.posts()) == 1


def test_backfill_shows_first_and_does_it_with_yes(tmp_path: Path, run: Run) -> None:
    made = house(tmp_path)
    made.config.write_text(made.config.read_text("utf-8").replace('first_look = "all"', 'first_look = "nothing"'))
    for title in ("Mayor opens harbour bridge", "Rowers win the cup", "Storm closes coastal road"):
        made.story(title)
    made.one_pass()
    assert posts(made) == []
    out, _ = run(made, "backfill", "desk", "--account", "paper", "--max", "2")
    assert out.startswith("would plan 2 of 3 articles on paper over ")
    assert "1 stay as seen" in out
    assert posts(made) == []
    out, _ = run(made, "backfill", "desk", "--account", "paper", "--max", "2", "--yes", "--since", "30d")
    assert out.startswith("Planned 2 of 3 articles on paper")
    assert re.search(r"Undo: wirepost skip [a-z2-7]+ [a-z2-7]+\n", out)
    made.one_pass()
    assert len(made.posts()) == 2


# -- a network that answers, or doesn't ---------------------------------------------------------------------------


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[tuple[House, Receiver]]:
    with receiver() as server:
        yield house_with_hook(tmp_path, server.address), server


def unclear(made: House, server: Receiver) -> Delivery:
    """A post whose answer was lost."""
    server.hangs_up = True
    made.story("Mayor opens harbour bridge")
    for step in ("check", "discover", "plan", "schedule", "deliver"):
        made.one_pass(step)  # reconcile would wait for what is on its way
    (one,) = [each for each in posts(made) if each.account == "hook"]
    return one


def test_an_unclear_post_is_never_sent_again_without_a_word(hooked: tuple[House, Receiver], run: Run) -> None:
    made, server = hooked
    one = unclear(made, server)
    assert one.state in (State.UNKNOWN, State.HELD)
    assert "Look first: wirepost lookup" in run(made, "retry", one.id, code=8)[1]
    assert "can't be read back" in run(made, "lookup", one.id, code=8)[1]
    assert "on its way until" in run(made, "lookup", one.id, "--not-there", "--yes", code=8)[1]
    out, _ = run(made, "lookup", one.id, "--there", "https://www.example.com/seen", "--by", "Ana")
    assert out.startswith("Marked ")
    assert posts(made, State.SENT)[-1].url is not None
    assert len(server.bodies) == 1


def test_an_unclear_post_of_an_account_that_has_left_takes_a_persons_sighting_alone(
    hooked: tuple[House, Receiver], run: Run
) -> None:
    made, server = hooked
    one = unclear(made, server)
    made.config.write_text(made.config.read_text("utf-8").replace("[accounts.hook]", "[accounts.crook]"), "utf-8")
    (made.folder / "secrets" / "accounts" / "hook").rename(made.folder / "secrets" / "accounts" / "crook")
    for words in ([], ["--not-there", "--yes"]):
        assert "there is no [accounts.hook] in" in run(made, "lookup", one.id, *words, code=2)[1]
    assert one in posts(made)
    run(made, "lookup", one.id, "--there", "https://www.example.com/seen")
    assert one.id in [each.id for each in posts(made, State.SENT)]


def test_retry_by_cause_asks_the_network_who_we_are(hooked: tuple[House, Receiver], run: Run) -> None:
    made, _ = hooked
    made.one_pass()
    out, _ = run(made, "retry", "--account", "hook", "--cause", "login", "-n")
    assert out.startswith("would ask hook again")
    out, _ = run(made, "retry", "--account", "hook", "--cause", "login")
    assert out.startswith("hook answers again: 0 posts are still fresh")
