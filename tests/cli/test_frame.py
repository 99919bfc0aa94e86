"""The command line's frame: lazy commands, exit codes, errors without tracebacks, tables, times (ux.md 3.1)."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cli import Listed, commands, listed, main
from bot.cli.render import distance, listing, moment, one_line, when
from bot.errors import UsageError

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 14, 7, tzinfo=UTC)  # a Tuesday


def run(*arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """A real process, with an environment of its own."""
    clean = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "WIREPOST_SECRETS": "/nowhere", **environ}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "wirepost.toml"
    path.write_text('[accounts.a]\nnetwork = "twiter"\n', encoding="utf-8")
    return path


# -- lazy ---------------------------------------------------------------------------------------------------------

HEAVY = (
    "sqlalchemy",
    "httpx",
    "tweepy",
    "pydantic",
    "pydantic_settings",
    "rich",
    "structlog",
    "apscheduler",
    "alembic",
)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nothing-such"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """What costs is our imports, not Click: listing commands imports none of them."""
    code = (
        f"import sys; from bot.cli import main; main({arguments!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().split("\n")[-1] == "[]"


def test_completion_imports_nothing_heavy() -> None:
    """The shell asks at each TAB."""
    done = run("settings", _WIREPOST_COMPLETE="bash_complete", COMP_WORDS="wirepost ini", COMP_CWORD="1")
    assert "init" in done.stdout
    code = (
        "import sys; from bot.cli import commands; import click; "
        "print([c.value for c in commands.shell_complete(click.Context(commands), 's')]); "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    words, heavy = done.stdout.strip().split("\n")
    assert "settings" in words
    assert heavy == "[]"


def test_every_command_has_a_short_help_and_a_section() -> None:
    """Both are read from the file, so that a new command edits nothing else."""
    assert {"init", "settings", "completion"} <= {entry.name for entry in listed()}
    assert [
        entry for entry in listed() if not entry.help or entry.section not in ("Start", "Look", "Act", "Keep")
    ] == []
    assert Listed("render", "", "") not in listed()
    assert "render" not in {entry.name for entry in listed()}


def test_help_lists_the_commands_in_groups_and_the_exit_codes() -> None:
    """On stdout, exit 0."""
    done = run("--help")
    assert done.returncode == 0
    assert done.stdout.index("Start:") < done.stdout.index("init") < done.stdout.index("Keep:")
    assert "130 Ctrl-C" in done.stdout
    assert done.stderr == ""


# -- exit codes and errors ----------------------------------------------------------------------------------------


def test_unknown_commands_and_options_propose_the_nearest() -> None:
    """Usage errors are 2, on stderr."""
    command, option = run("settins"), run("settings", "show", "--jsn")
    assert (command.returncode, option.returncode) == (2, 2)
    assert 'There is no command "settins". Did you mean settings?' in command.stderr
    assert "--json" in option.stderr
    assert command.stdout == option.stdout == ""


@pytest.mark.parametrize("word", ["render", "__init__", "../app", "Run", "reading.py", "", "cli.run"])
def test_a_file_that_is_no_command_is_none(word: str) -> None:
    """A command is found by its file alone; not each file is one."""
    assert commands.get_command(click.Context(commands), word) is None


def test_every_listed_command_is_found() -> None:
    found = [commands.get_command(click.Context(commands), entry.name) for entry in listed()]
    assert [one.name for one in found if one is not None] == [entry.name for entry in listed()]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_p38_wrong_settings_are_shown_with_caret_and_exit_2(broken: Path, place: str) -> None:
    """Shared options stand before or behind the command; no traceback for a user's mistake."""
    config = ["-c", str(broken)]
    done = run(*config, "settings", "show") if place == "before" else run("settings", "show", *config)
    assert done.returncode == 2
    assert f'{broken}:2:11: error: accounts.a.network: "twiter" is not a network' in done.stderr
    assert '    2 | network = "twiter"\n      |           ^^^^^^^^ did you mean "x"?' in done.stderr
    assert done.stderr.endswith("1 error. Nothing was changed.\n")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_settings_file_can_be_named_by_environment(broken: Path) -> None:
    """WIREPOST_CONFIG; -c outranks it; a file that isn't there says what to do."""
    assert "twiter" in run("settings", "show", WIREPOST_CONFIG=str(broken)).stderr
    assert (
        run("-c", str(ROOT / "config/wirepost.toml"), "settings", "show", WIREPOST_CONFIG=str(broken)).returncode == 0
    )
    gone = run("settings", "show", "-c", "nowhere.toml")
    assert gone.returncode == 2
    assert "nowhere.toml: error: there is no such file" in gone.stderr
    assert "wirepost init" in gone.stderr


def test_an_unwritable_place_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """Of the system's errors, the path and the reason."""
    (tmp_path / "config").write_text("a file, no folder", encoding="utf-8")
    done = run("settings", "schema", "--write", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`wirepost settings schema | head -1`."""
    command = f"{sys.executable} -m bot settings schema | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    """A real SIGINT while the settings are read from a pipe that says nothing."""
    # A shell that runs tests in the background may have SIGINT ignored, which a child inherits: set it as Python does.
    code = (
        "import signal; signal.signal(2, signal.default_int_handler); from bot.cli import main; "
        "exit(main(['settings', 'show', '-c', 'pipe']))"
    )
    os.mkfifo(tmp_path / "pipe")
    command, environ = [sys.executable, "-c", code], {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as process:
        writer = None
        try:
            while writer is None and not _ended(process, 0.05):
                try:
                    writer = os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK)
                except OSError:  # nobody reads yet
                    continue
            # Pressed again if it fell between Python's last look for signals and the read.
            for _ in range(10):
                process.send_signal(2)
                if _ended(process, 3):
                    break
            assert process.returncode == 130
            assert process.stderr is not None
            assert process.stderr.read() == b"\nStopped.\n"  # the shell shows ^C on the line above
        finally:
            process.kill()
            if writer is not None:
                os.close(writer)


def test_main_returns_its_code(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point of the script and of `python -m bot`."""
    monkeypatch.chdir(ROOT)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("wirepost ")
    assert main(["nothing-such"]) == 2
    assert main(["settings", "show", "-q"]) == 0


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete "), ("zsh", "#compdef wirepost"), ("fish", "complete ")]
)
def test_completion_scripts(shell: str, word: str) -> None:
    """One for each of the three shells, bound to `wirepost`."""
    done = run("completion", shell)
    assert done.returncode == 0
    assert word in done.stdout
    assert "_WIREPOST_COMPLETE" in done.stdout


def test_settings_show_is_rows_or_json() -> None:
    """Tab-separated where stdout is no terminal; --json is one document."""
    rows = [line.split("\t") for line in run("settings", "show").stdout.splitlines()]
    assert ["accounts.outbox.network", "outbox", "config/wirepost.toml:27"] in rows
    assert {len(row) for row in rows} == {3}
    found = json.loads(run("settings", "show", "--json", WIREPOST_HOUSE="H").stdout)
    assert {"key": "house", "value": "H", "origin": "WIREPOST_HOUSE"} in found


def test_settings_schema_is_the_committed_file() -> None:
    """What `--write` would write."""
    assert run("settings", "schema").stdout == (ROOT / "config/wirepost.schema.json").read_text(encoding="utf-8")


# -- tables -------------------------------------------------------------------------------------------------------


def on_terminal(*arguments: str, **environ: str) -> str:
    """The same, with a terminal as stdout."""
    outer, inner = pty.openpty()
    clean = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", *arguments], cwd=ROOT, env=clean, stdout=inner, stderr=inner
    )
    os.close(inner)
    seen = b""
    while True:
        try:
            part = os.read(outer, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(outer)
    assert process.wait(20) == 0
    return seen.decode()


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    """A table with a head on a terminal; NO_COLOR, TERM=dumb and --no-color without escape codes for colour."""
    plain = on_terminal("settings", "show", TERM="xterm-256color")
    assert "KEY" in plain
    assert "\x1b[" in plain
    for arguments, environ in (
        (["settings", "show"], {"TERM": "dumb"}),
        (["settings", "show", "--no-color"], {"TERM": "dumb"}),
    ):
        assert "\x1b[" not in on_terminal(*arguments, **environ)
    for arguments, environ in ((["settings", "show"], {"NO_COLOR": "1"}), (["--no-color", "settings", "show"], {})):
        assert "\x1b[3" not in on_terminal(*arguments, TERM="xterm-256color", **environ)


def test_cells_are_text_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A hostile headline moves no cursor and adds no row or column."""
    listing(("A", "B"), [("x\ty\nz", "\x1b[31mred\x1b[0m [bold]b[/bold]\u202e")], footer="not for programs")
    assert capsys.readouterr().out == "x y z\t[31mred [0m [bold]b[/bold]\n"
    assert one_line("a\u2028b\x9bc") == "a b c"


# -- times --------------------------------------------------------------------------------------------------------

LONDON = "Europe/London"


@pytest.mark.parametrize(
    ("said", "zone", "meant"),
    [
        ("now", LONDON, "2026-11-24T14:07Z"),
        ("14:30", LONDON, "2026-11-24T14:30Z"),
        ("14:07", LONDON, "2026-11-24T14:07Z"),
        ("20:00", "Asia/Kolkata", "2026-11-24T14:30Z"),
        ("today 18:00", LONDON, "2026-11-24T18:00Z"),
        ("Tomorrow 9:00", "America/New_York", "2026-11-25T14:00Z"),
        ("fri 9:00", LONDON, "2026-11-27T09:00Z"),
        ("tue 9:00", LONDON, "2026-12-01T09:00Z"),
        ("tue 15:00", LONDON, "2026-11-24T15:00Z"),
        ("+20m", LONDON, "2026-11-24T14:27Z"),
        ("in 1h30m", LONDON, "2026-11-24T15:37Z"),
        ("2026-11-24T18:00", "Asia/Tokyo", None),
        ("2026-11-25T18:00", "Asia/Tokyo", "2026-11-25T09:00Z"),
        ("2026-11-25 18:00:30+01:00", LONDON, "2026-11-25T17:00:30Z"),
        ("2026-11-25T18:00Z", LONDON, "2026-11-25T18:00Z"),
        ("2027-03-28T01:30", LONDON, "2027-03-28T01:00Z"),  # this hour doesn't exist: its end, 02:00 BST
        ("2027-10-31T01:30", LONDON, "2027-10-31T00:30Z"),  # this one comes twice: the first
        ("14:00", LONDON, None),
        ("yesterday 9:00", LONDON, None),
        ("25:00", LONDON, None),
        ("2026-11-25", LONDON, None),
        ("soon", LONDON, None),
        ("+20", LONDON, None),
        ("", LONDON, None),
    ],
)
def test_p40_a_time_is_meant_in_the_zone_that_is_given(said: str, zone: str, meant: str | None) -> None:
    """Never in the machine's own; what has passed is refused, so that "now" can't lie two hours back."""
    if meant is None:
        with pytest.raises(UsageError):
            when(said, zone, NOW)
        return
    assert when(said, zone, NOW) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("machine", ["", "UTC", "Asia/Kolkata"])
def test_p40_the_machines_zone_changes_nothing(machine: str) -> None:
    """TZ unset, UTC and Asia/Kolkata give the same instant."""
    code = (
        "from datetime import *; from bot.cli.render import when; "
        f"print(when('tomorrow 9:00', 'Europe/London', datetime.fromisoformat('{NOW.isoformat()}')).isoformat())"
    )
    environ = {"PATH": os.defpath, **({"TZ": machine} if machine else {})}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "2026-11-25T09:00:00+00:00"


_INSTANTS = st.integers(0, 3 * 366 * 1440).map(lambda minutes: NOW + timedelta(minutes=minutes))
_ZONES = st.sampled_from([LONDON, "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"])


@settings(deadline=None)
@given(_INSTANTS, _ZONES, st.integers(0, 23), st.integers(0, 59))
def test_p40_a_clock_time_is_that_clock_time_or_the_end_of_the_gap(
    now: datetime, zone: str, hour: int, minute: int
) -> None:
    """Whatever the date and zone: never before now, and the wall clock shows it unless a clock change left it out."""
    at = when(f"tomorrow {hour}:{minute:02}", zone, now)
    local = at.astimezone(ZoneInfo(zone))
    assert at > now - timedelta(minutes=1)
    wanted = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if (local.hour, local.minute) != (hour, minute):
        assert local.utcoffset() != (at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset()
        assert wanted.replace(tzinfo=None) < local.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("ahead", "zone", "shown", "far"),
    [
        (timedelta(minutes=3), LONDON, "14:10", "in 3m"),
        (timedelta(hours=-3), LONDON, "11:07", "3h ago"),
        (timedelta(hours=20), LONDON, "tomorrow 10:07", "in 20h"),
        (timedelta(hours=11), "Asia/Tokyo", "tomorrow 10:07", "in 11h"),
        (timedelta(hours=-20), LONDON, "yesterday 18:07", "20h ago"),
        (timedelta(days=4), LONDON, "Sat 28 Nov 14:07", "in 4d"),
        (timedelta(days=60), LONDON, "Sat 23 Jan 2027 14:07", "in 60d"),
        (timedelta(seconds=10), LONDON, "14:07", "now"),
    ],
)
def test_times_are_shown_in_the_zone(ahead: timedelta, zone: str, shown: str, far: str) -> None:
    """A date only where it isn't today; the distance beside it."""
    assert moment(NOW + ahead, zone, NOW) == shown
    assert distance(NOW + ahead, NOW) == far
