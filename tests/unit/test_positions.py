"""Key paths to lines and columns, and how problems are shown (ux.md 3.3)."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import Problem
from bot.settings.positions import Place, Places, ending, masked, render, tally

TEXT = """\
# a comment
house = "Één" # c
a.b."c d" = 1

[accounts.desk-x] # note
network = "twiter"
caps = { hour = 3, gap = "4m" } # z

[accounts."odd name"]
quiet = [ # before
  "23:00-06:00",  # first
  "12:00-13:00",
]

[[routes]]
name = "one"
when = { any = [{ tags = ["x"] }, { headline = '^a' }] }

[[routes]]
name = "two"

[routes.when]
sections = ["sport", "politics"]

[[routes]]
[routes.when]
not = { sections = ["é", "z"] }
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("house",), Place(2, 9, 5)),
        (("a", "b", "c d"), Place(3, 13, 1)),
        (("accounts", "desk-x", "network"), Place(6, 11, 8)),
        (("accounts", "desk-x", "caps", "gap"), Place(7, 26, 4)),
        (("accounts", "odd name", "quiet", 1), Place(12, 3, 13)),
        (("routes", 0, "when", "any", 0, "tags", 0), Place(17, 27, 3)),
        (("routes", 0, "when", "any", 1, "headline"), Place(17, 48, 4)),
        (("routes", 1, "name"), Place(20, 8, 5)),
        (("routes", 1, "when", "sections", 1), Place(23, 22, 10)),
        (("routes", 2, "when", "not", "sections", 1), Place(27, 26, 3)),
    ],
)
def test_a_value_is_found_by_its_path(path: tuple[str | int, ...], place: Place) -> None:
    """Dotted and quoted keys, inline tables, arrays over lines, arrays of tables and their sub-tables."""
    assert Places(TEXT).value(path) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("accounts", "desk-x", "network"), Place(6, 1, 7)),
        (("accounts", "desk-x"), Place(5, 1, 17)),
        (("accounts", "desk-x", "never-said"), Place(5, 1, 17)),
        (("routes", 1), Place(19, 1, 10)),
        (("routes", 1, "when"), Place(22, 1, 13)),
        (("routes", 2, "when", "not"), Place(27, 1, 3)),
    ],
)
def test_a_key_is_found_or_the_table_around_it(path: tuple[str | int, ...], place: Place) -> None:
    """What is missing is shown at the header of the table that lacks it."""
    assert Places(TEXT).key(path) == place


def test_what_is_nowhere_has_no_place() -> None:
    """A default has no line."""
    assert Places(TEXT).value(("workers",)) is None
    assert Places("").key(("a", "b")) is None


def test_a_broken_file_has_the_places_that_can_be_read() -> None:
    """tree-sitter goes on behind an error; nothing raises."""
    assert Places('a = 1\nb = = 2\nc = "x"\n').value(("a",)) == Place(1, 5, 1)


_KEYS = st.text(alphabet='abcé "-.#=[]', min_size=1, max_size=6)
_VALUES = st.one_of(st.integers(0, 999), st.booleans(), st.text(alphabet='abé "#', max_size=6))


def _spell(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else _spell(value)


@settings(deadline=None)
@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=4))
def test_every_place_holds_its_value(tables: dict[str, dict[str, Any]]) -> None:
    """The text at a value's place reads back as the value, whatever the keys are."""
    text = "".join(
        f"[{_spell(name)}]\n" + "".join(f"{_spell(key)} = {_toml(value)} # c\n" for key, value in table.items())
        for name, table in tables.items()
    )
    places, lines = Places(text), text.split("\n")
    for name, table in tables.items():
        for key, value in table.items():
            place = places.value((name, key))
            assert place is not None
            said = lines[place.line - 1][place.column - 1 : place.column - 1 + place.length]
            assert tomllib.loads(f"v = {said}")["v"] == value


# -- showing ------------------------------------------------------------------------------------------------------


def test_errors_quote_the_line_with_a_caret_and_warnings_are_one_line() -> None:
    """The sample of ux.md 3.3, with our words."""
    text = "\n" * 27 + 'network = "twiter"\n'
    problems = [
        Problem("", 'route "sport" never matches: an earlier one', "wirepost.toml", 69, 1, level="warning"),
        Problem(
            "accounts.desk-x.network",
            '"twiter" is not a network',
            "wirepost.toml",
            28,
            11,
            8,
            fix='did you mean "x"?',
        ),
    ]
    assert render(problems, text).split("\n") == [
        'wirepost.toml:28:11: error: accounts.desk-x.network: "twiter" is not a network',
        '   28 | network = "twiter"',
        '      |           ^^^^^^^^ did you mean "x"?',
        'wirepost.toml:69:1: warning: route "sport" never matches: an earlier one',
    ]
    assert tally(problems) == "1 error, 1 warning"
    assert tally([problems[0], problems[0]]) == "2 warnings"
    assert tally([]) == "no problems"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('token = "abcdefghijklmnop"', 'token = "••••••••••••mnop"'),
        ("access_token='abcdefghijklmnop' # c", "access_token='••••••••••••mnop' # c"),
        ('token = "short"', 'token = "•••••"'),
        (
            'x = { network = "x", app_secret = "abcdefghijklmnop" }',
            'x = { network = "x", app_secret = "••••••••••••mnop" }',
        ),
        ('password = "no end in here', 'password = "••••••••••here'),
        ('own_name = "abcdefghijklmnop"', 'own_name = "••••••••••••mnop"'),
        ('url = "postgresql://me:hunter2@host/db"', 'url = "postgresql://me:•••••••@host/db"'),
        ('handle = "@daily"', 'handle = "@daily"'),
        ("monkey = 3", "monkey = 3"),
    ],
)
def test_p82_secrets_in_a_quoted_line_are_dotted_out(line: str, shown: str) -> None:
    """At most the last four characters stay, the length too, so that the caret points where it should."""
    assert masked(line, {"own_name"}) == shown
    assert len(shown) == len(line)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60))
def test_p82_never_more_than_four_characters(secret: str) -> None:
    """Whatever the secret is."""
    shown = ending(secret).removeprefix("…")
    assert len(shown) <= 4
    assert secret.endswith(shown)
    quoted = masked(f'token = "{secret}"')
    assert sum(character != "•" for character in quoted.removeprefix('token = "').removesuffix('"')) <= 4
