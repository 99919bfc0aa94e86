"""The pages say what the code does: generated ones are fresh, commands and links exist, promises have tests."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from bot.cli import commands, listed
from bot.errors import SettingsError
from bot.settings import load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GENERATED = {"networks.md", "settings.md", "cli.md", "flow.md"}
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
#: What editors read.
EDITORS = [ROOT / "README.md", ROOT / "docs" / "quickstart.md", ROOT / "docs" / "editors.md"]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_SPAN = re.compile(r"`([^`\n]+)`")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(page.read_text("utf-8")) if found == language]


# -- made pages ---------------------------------------------------------------------------------------------------


def test_generated_pages_are_as_the_code_has_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "kind", "most"), [("networks", "class Options|Options = ", 250), ("cli", "def command", 120)]
)
def test_files_keep_to_the_lines_that_contributing_grants_them(folder: str, kind: str, most: int) -> None:
    granted = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert f"up to {most}" in granted
    texts = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "bot" / folder).glob("*.py"))}
    measured = {name: len(text.splitlines()) for name, text in texts.items() if re.search(rf"^ *({kind})", text, re.M)}
    assert len(measured) > 5
    assert {name: lines for name, lines in measured.items() if lines > most} == {}


# -- commands -----------------------------------------------------------------------------------------------------


def _command_lines(page: Path) -> Iterator[str]:
    """Every call of wirepost in a page, from blocks and from spans, without comments."""
    text = page.read_text("utf-8")
    lines = [line for block in _blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *_SPAN.findall(_FENCE.sub("", text))]:
        bare = line.partition(" #")[0].strip()
        if re.match(r"wirepost [a-z]", bare) or bare == "wirepost":
            yield bare


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_commands_that_a_page_shows_exist_with_their_options(page: Path) -> None:
    known = {entry.name for entry in listed()}
    for line in _command_lines(page):
        _, *words = shlex.split(line.replace("…", "x"))
        if not words:
            continue
        assert words[0] in known, line
        command = commands.get_command(click.Context(commands), words[0])
        if isinstance(command, click.Group) and len(words) > 1 and not words[1].startswith("-"):
            subs = words[1].split("|")
            assert set(subs) <= set(command.commands), line
            command = command.commands[subs[0]]
        assert command is not None
        options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        assert {word for word in words[1:] if word.startswith("-")} <= options, line


def test_make_targets_that_a_page_shows_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in WRITTEN:
        text = page.read_text("utf-8")
        code = [*_SPAN.findall(_FENCE.sub("", text)), *(line for block in _blocks(page, "sh") for line in [block])]
        for shown in re.findall(r"^make ([a-z-]+)", "\n".join(code), re.M):
            assert shown in targets, f"{page.name}: make {shown}"


# -- settings -----------------------------------------------------------------------------------------------------


def test_the_settings_that_editors_are_shown_hold(tmp_path: Path) -> None:
    """All pieces of docs/editors.md together are one file without an error."""
    pieces = "\n".join(_blocks(ROOT / "docs" / "editors.md", "toml"))
    accounts = "".join(
        f'[accounts.{name}]\nnetwork = "outbox"\n'
        for name in ("desk-x", "page-facebook")
        if f"[accounts.{name}]" not in pieces
    )
    path = tmp_path / "config" / "wirepost.toml"
    path.parent.mkdir()
    path.write_text(pieces + "\n" + accounts, "utf-8")
    try:
        settings = load(path, environ={})
    except SettingsError as error:
        pytest.fail("\n".join(f"{problem.line}: {problem.key}: {problem.message}" for problem in error.problems))
    assert [route.name for route in settings.editorial.routes] == ["never", "breaking", "politics"]


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_toml_pieces_can_be_read(page: Path) -> None:
    for block in _blocks(page, "toml"):
        tomllib.loads(block)


# -- links --------------------------------------------------------------------------------------------------------


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, spelled as GitHub spells them."""
    heads = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    bare = _SPAN.sub("", _FENCE.sub("", page.read_text("utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", bare):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = {ROOT / "README.md"}, [ROOT / "README.md"]
    while left:
        page = left.pop()
        for target in re.findall(r"\]\(([^)#\s]+\.md)[^)]*\)", page.read_text("utf-8")):
            found = (page.parent / target).resolve()
            if found.is_file() and found not in reached:
                reached.add(found)
                left.append(found)
    assert [_name(page) for page in PAGES if page not in reached] == []


# -- promises, decisions, words -----------------------------------------------------------------------------------


def test_each_promise_names_its_test() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    part = text.partition("## What it promises")[2].partition("###")[0]
    promises = re.split(r"^\d\. ", part, flags=re.M)[1:]
    assert len(promises) == 8
    for promise in promises:
        ids = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promise)
        assert ids, promise
        for path, name in ids:
            assert (ROOT / path).is_file(), path
            assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = list(project["project"]["dependencies"])
    for group in (project["project"]["optional-dependencies"], project["dependency-groups"]):
        wanted += [name for names in group.values() for name in names]
    pages = " ".join(page.read_text("utf-8").lower() for page in (ROOT / "docs" / "decisions").glob("*.md"))
    named = [re.split(r"[\[<>=~ ;]", name)[0] for name in wanted]
    assert [name for name in named if not re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", pages)] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("[!R]*.md")), ids=_name)
def test_a_decision_says_what_why_and_what_else(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [word for word in ("**What.**", "**Why.**", "**Else.**") if word not in text] == []
    assert f"({page.name})" in (page.parent / "README.md").read_text("utf-8"), "it stands in no list"


@pytest.mark.parametrize("page", EDITORS, ids=_name)
def test_editors_read_their_own_words(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    words = r"\b(channels?|jobs?|payloads?|enqueue\w*|cron|idempoten\w*|guids?|handlers?|webhook event|deliveries)\b"
    assert re.findall(words, text, re.IGNORECASE) == []


# -- what no file of the project may hold -------------------------------------------------------------------------

_SKIP = {".git", ".venv", "var", "__pycache__", "secrets", "dist", ".oracles", "node_modules"}
#: Hosts of package registries, and index addresses in a lock: where packages come from is each machine's own matter.
_REGISTRIES = re.compile(r"\b(?:pypi|pythonhosted|npmjs|crates|debian)\.(?:org|com|io)\b|--(?:extra-)?index-url", re.I)


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if any(part in _SKIP or part.endswith("_cache") or part.startswith(".hypothesis") for part in parts):
            continue
        if path.is_file():
            yield _name(path), path.read_bytes().decode("utf-8", "replace")


def test_no_file_names_a_package_registry_or_this_machine() -> None:
    found = []
    for name, text in _texts():
        found += [f"{name}: {match[0]}" for match in _REGISTRIES.finditer(text)]
        found += [f"{name}: {place}" for place in (str(ROOT), str(Path.home() / ".venv")) if place in text]
    assert found == []


def test_the_locks_pin_everything_by_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=\w)", (ROOT / name).read_text("utf-8").strip())
        assert [
            entry.partition("==")[0] for entry in entries if "--hash=sha256:" not in entry or "==" not in entry
        ] == []
