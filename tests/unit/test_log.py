"""The log: stable events, no secrets (P118), no gigabytes (P110)."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.errors import WirepostError
from bot.http import Door
from bot.log import LOUD, configure, events, quiet
from bot.secrets import REDACTED, keep_out
from bot.testing.clock import ManualClock

CANARY = "canary-7f3a9c51d2"
keep_out(CANARY)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in LOUD}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    quiet()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Log:
    """A configured log and what it wrote."""

    def __init__(self, clock: ManualClock, *, level: str = "debug", as_json: bool = True) -> None:
        self.stream = io.StringIO()
        configure(json=as_json, level=level, stream=self.stream, clock=clock)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_an_event_is_one_line_with_stable_names(clock: ManualClock) -> None:
    log = Log(clock)
    events("deliver").info("sent", account="nyt_x", delivery="k3f", seconds=0.25, words="Ü\nx")
    assert log.lines == [
        {
            "timestamp": "2026-11-24T14:07:00.000Z", "step": "deliver", "account": "nyt_x", "delivery": "k3f",
            "seconds": 0.25, "words": "Ü\nx", "event": "sent", "level": "info",
        }
    ]  # fmt: skip
    assert log.text.count("\n") == 1


def test_the_terminal_gets_readable_lines_without_local_variables(clock: ManualClock) -> None:
    log = Log(clock, as_json=False)
    hidden = "a-local-value"
    try:
        raise WirepostError("it broke")
    except WirepostError:
        events("plan").exception("step_failed", account="a")
    assert "step_failed" in log.text and "account=a" in log.text and "WirepostError: it broke" in log.text
    assert hidden not in log.text


def test_the_level_holds_and_a_wrong_one_is_named(clock: ManualClock) -> None:
    log = Log(clock, level="warning")
    events("plan").info("quiet")
    events("plan").warning("loud")
    logging.getLogger("anything").info("quiet")
    assert [line["event"] for line in log.lines] == ["loud"]
    with pytest.raises(ValueError, match="debug, info, warning"):
        configure(json=True, level="chatty")


def test_the_standard_library_goes_the_same_way(clock: ManualClock) -> None:
    log = Log(clock)
    logging.getLogger("apscheduler.executors").warning("Run of job %s missed by %d s", "plan", 3)
    wrong = logging.LogRecord("odd", logging.ERROR, "x.py", 1, "wrong %d", ("format",), None)
    logging.getLogger().handlers[-1].handle(wrong)
    assert log.lines[0]["event"] == "Run of job plan missed by 3 s"
    assert (log.lines[0]["logger"], log.lines[0]["level"]) == ("apscheduler.executors", "warning")
    assert log.lines[1]["event"] == "wrong %d"
    assert "same" not in log.lines[0]


def test_setting_up_twice_does_not_double_the_lines(clock: ManualClock) -> None:
    Log(clock)
    log = Log(clock)
    logging.getLogger("x").warning("once")
    assert len(log.lines) == 1


# -- P110: repeats --------------------------------------------------------------------------------------------------


def test_p110_an_error_each_second_for_a_day_is_counted_not_printed(clock: ManualClock) -> None:
    log = Log(clock)
    logger = events("deliver")
    for second in range(24 * 3600):
        logger.error("send_failed", account="a", words=f"time-out number {second}", tries=second)
        clock.advance(1)
    lines = log.lines
    assert len(lines) < 40
    assert len(log.text) < 20_000
    told = sum(1 + int(str(line.get("repeated", 0))) for line in lines)
    assert 24 * 3600 - 3601 <= told <= 24 * 3600
    assert [line.get("repeated") for line in lines[:4]] == [None, 9, 59, 599]


def test_p110_a_library_that_repeats_itself_is_counted_by_its_words_before_the_values(clock: ManualClock) -> None:
    log = Log(clock)
    for number in range(1000):
        logging.getLogger("apscheduler").warning("missed by %d ms", number)
        clock.advance(1)
    assert len(log.lines) <= 5


def test_p110_what_differs_in_a_name_is_told_each_time(clock: ManualClock) -> None:
    log = Log(clock)
    for number in range(200):
        events("deliver").info("sent", account="a", delivery=f"d{number}")
    events("deliver").info("sent", account="a", delivery="d7")
    events("deliver").warning("sent", account="a", delivery="d7")
    assert len(log.lines) == 201


def test_p110_what_had_ended_is_news_again(clock: ManualClock) -> None:
    log = Log(clock)
    for pause in (0, 4000, 4000, 11, 4000):
        clock.advance(pause)
        events("plan").error("broke", account="a")
    assert [line.get("repeated") for line in log.lines] == [None] * 5


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 5000)), max_size=60))
def test_p110_nothing_is_lost_from_the_count(story: list[tuple[int, float]]) -> None:
    clock = ManualClock()
    log = Log(clock)
    told = [0, 0, 0]
    for account, pause in story:
        events("plan").error("broke", account=str(account))
        told[account] += 1
        clock.advance(pause)
    clock.advance(100_000)
    for account in range(3):
        events("plan").error("broke", account=str(account))
    for account in range(3):
        lines = [line for line in log.lines if line["account"] == str(account)]
        assert sum(1 + int(str(line.get("repeated", 0))) for line in lines) == told[account] + 1


def test_p110_the_count_itself_takes_no_memory_without_bound(clock: ManualClock) -> None:
    log = Log(clock)
    for number in range(3000):
        events("deliver").info("sent", delivery=str(number))
    events("deliver").info("sent", delivery="0")
    assert len(log.lines) == 3001


# -- P118: canaries -------------------------------------------------------------------------------------------------


class Talkative:
    def __repr__(self) -> str:
        return f"<Talkative {CANARY}>"


class Broken:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("as_json", [True, False])
def test_p118_a_canary_never_reaches_the_log(as_json: bool, clock: ManualClock) -> None:
    log = Log(clock, as_json=as_json)
    logger = events("deliver")
    logger.info("by_value", words=f"server said {CANARY}", nested={"a": [CANARY, {"b": CANARY}]}, raw=CANARY.encode())
    logger.info(
        "by_name", access_token="unregistered", password="unregistered", headers={"Authorization": "unregistered"}
    )
    logger.info(
        "by_name_2", **{"Set-Cookie": "unregistered", "apiKey": "unregistered", "credentials": {"a": "unregistered"}}
    )
    logger.info("objects", one=Talkative(), two=Broken(), three=SecretStr("unregistered"), four=ValueError(CANARY))
    logger.info("keys", mapping={CANARY: 1}, deep=[[[[[[CANARY]]]]]], many={CANARY})
    logger.debug(CANARY)
    try:
        try:
            raise ValueError(f"https://x/?access_token={CANARY}")
        except ValueError as error:
            raise WirepostError(f"Bearer unregistered-{CANARY}") from error
    except WirepostError:
        logger.exception("failed")
        logging.getLogger("foreign").exception("failed with %s", CANARY)
    assert CANARY not in log.text and "unregistered" not in log.text
    assert log.text.count(REDACTED) >= 12
    assert "Traceback" in log.text and "WirepostError" in log.text


def test_p118_libraries_that_print_tokens_stay_quiet_at_debug(clock: ManualClock) -> None:
    log = Log(clock, level="debug")
    for name in LOUD:
        for child in ("", ".part"):
            logger = logging.getLogger(name + child)
            logger.debug("Signing request %s", "unregistered")
            logger.info("HTTP Request: POST https://api.telegram.org/%s", "unregistered")
            logging.getLogger(name).setLevel(logging.DEBUG)  # somebody meant it well
            logger.info("HTTP Request: POST https://api.telegram.org/%s", "unregistered")
            logger.warning("Retrying")
    assert "unregistered" not in log.text
    assert [line["event"] for line in log.lines] == ["Retrying"] * (2 * len(LOUD))


def test_p118_the_door_at_debug_with_failures_tells_no_secret(clock: ManualClock) -> None:
    """A refused connection, a bad header, a private address: token in URL, header and body; nothing of it is told."""
    log = Log(clock, level="debug")
    with Door(clock, user_agent="t") as door:
        for url, headers in (
            (f"http://127.0.0.1:1/bot/{CANARY}?access_token=unregistered1", {"Authorization": f"Bearer {CANARY}"}),
            (f"http://user:unregistered1@127.0.0.1:1/{CANARY}", {"X-Api-Key": f"{CANARY}\r\nX: unregistered1"}),
            (f"ftp://user:{CANARY}@example.com/?token=unregistered1", {}),
        ):
            for private in (True, False):
                try:
                    door.publishing(allow_private=private).request("POST", url, headers=headers, json={"t": CANARY})
                except WirepostError as error:
                    assert CANARY not in f"{error!r} {error} {vars(error)}"
                    events("deliver").exception("send_failed", url=url, headers=headers, private=private)
    assert len(log.lines) == 6
    assert CANARY not in log.text and "unregistered1" not in log.text


# -- a log that can't be written ------------------------------------------------------------------------------------


def test_p111_a_full_disk_or_closed_pipe_loses_lines_and_stops_nothing(clock: ManualClock) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 -- closing it fails, too
    configure(json=True, level="debug", stream=full, clock=clock)
    events("plan").error("broke")
    logging.getLogger("x").error("broke")
    with pytest.raises(OSError, match="No space"):
        full.close()
    gone = io.StringIO()
    gone.close()
    configure(json=True, level="debug", stream=gone, clock=clock)
    events("plan").error("broke")


def test_lines_of_many_threads_stay_whole(clock: ManualClock) -> None:
    log = Log(clock)

    def work(number: int) -> None:
        for turn in range(40):
            events("deliver").info("sent", delivery=f"{number}-{turn}", text="x" * 200)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({line["delivery"] for line in log.lines}) == 320
