"""`wirepost init`: a first settings file that loads, and nothing overwritten."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from bot.settings import load, warnings

ROOT = Path(__file__).parents[2]
FEED = ("--zone", "Europe/London", "--source", "https://news.example.com/feed.xml")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "bot", "init", *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_writes_settings_schema_and_gitignore(tmp_path: Path) -> None:
    """The sample of ux.md 3.3, with our words; the file loads without a warning."""
    done = run("--house", 'The "Daily" Example', *FEED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "Wrote config/wirepost.toml (1 source, 1 account, 1 route) and config/wirepost.schema.json\n"
    )
    assert "Next: wirepost check" in done.stderr
    written = files(tmp_path)
    assert set(written) == {"config/wirepost.toml", "config/wirepost.schema.json", "secrets/.gitignore"}
    assert written["config/wirepost.schema.json"] == (ROOT / "config/wirepost.schema.json").read_text(encoding="utf-8")
    settings = load(tmp_path / "config/wirepost.toml", environ={"WIREPOST_SECRETS": "/nowhere"})
    assert settings.editorial.house == 'The "Daily" Example'
    assert settings.editorial.timezone == "Europe/London"
    assert settings.sources["main"].options.url == "https://news.example.com/feed.xml"
    assert (settings.editorial.sources["main"].first_look, settings.editorial.defaults.first_look) == (None, "nothing")
    assert warnings(settings) == []


def test_git_keeps_the_secrets_out(tmp_path: Path) -> None:
    """What is put into secrets/ is ignored, the .gitignore too."""
    assert run(*FEED, cwd=tmp_path).returncode == 0
    (tmp_path / "secrets" / "accounts").mkdir()
    (tmp_path / "secrets" / "accounts" / "token").write_text("x", encoding="utf-8")
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True, env=environ)
    listing = ["git", "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(listing, cwd=tmp_path, check=True, env=environ, capture_output=True, text=True).stdout
    assert seen.split() == ["config/wirepost.schema.json", "config/wirepost.toml"]


def test_a_folder_is_a_source_by_its_path(tmp_path: Path) -> None:
    """Inside the project relative, outside absolute."""
    (tmp_path / "in").mkdir()
    assert run("--zone", "UTC", "--source", "in", cwd=tmp_path).returncode == 0
    assert 'kind = "folder"\npath = "in"' in files(tmp_path)["config/wirepost.toml"]


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    """A second call writes nothing and says so; a schema or .gitignore that is there stays as it is."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / ".gitignore").write_text("mine", encoding="utf-8")
    assert run(*FEED, cwd=tmp_path).returncode == 0
    before = files(tmp_path)
    assert before["secrets/.gitignore"] == "mine"
    again = run("--zone", "UTC", "--source", "https://other.example.com/", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr == (
        "wirepost: config/wirepost.toml is there already: nothing was written. `wirepost check` reads it.\n"
    )
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--source", "https://news.example.com/f"], "--zone is missing, and there is no terminal to ask on."),
        (["--zone", "UTC"], "--source is missing, and there is no terminal to ask on."),
        (["--zone", "Europe/Londn", "--source", "https://a.example.com/"], 'Did you mean "Europe/London"?'),
        (["--zone", "UTC", "--source", "nowhere"], "nowhere is no folder, and no address that begins with https://."),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_written(tmp_path: Path, arguments: list[str], told: str) -> None:
    """No prompt without a terminal; exit 2."""
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert files(tmp_path) == {}


def test_it_asks_on_a_terminal(tmp_path: Path) -> None:
    """House, zone and source, typed by a person."""
    outer, inner = pty.openpty()
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "init"], cwd=tmp_path, env=environ, stdin=inner, stdout=inner, stderr=inner
    )
    os.close(inner)
    answers = [
        (b"House", b"Gazette\n"),
        (b"Time zone", b"Asia/Tokyo\n"),
        (b"First source", b"https://g.example.com/f\n"),
    ]
    seen = b""
    for question, answer in answers:
        while question not in seen:
            seen += os.read(outer, 1024)
        os.write(outer, answer)
    while b"Next:" not in seen:
        seen += os.read(outer, 1024)
    assert process.wait(20) == 0
    os.close(outer)
    settings = load(tmp_path / "config/wirepost.toml", environ={"WIREPOST_SECRETS": "/nowhere"})
    assert (settings.editorial.house, settings.editorial.timezone) == ("Gazette", "Asia/Tokyo")
