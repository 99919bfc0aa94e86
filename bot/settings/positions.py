"""Where a key of the settings file stands, and how a problem there is shown: line, column, caret.

tomllib gives values without places and pydantic names paths without lines; tree-sitter's TOML grammar knows both ends
of every key and value, so that a path such as `routes.2.when.sections` becomes a line and a column.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from bot.errors import Problem

#: The way to a value: table names, keys and list indexes (from 0).
KeyPath = tuple[str | int, ...]

_LANGUAGE = Language(tree_sitter_toml.language())
_TABLES = ("table", "table_array_element")


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line: 1-based line and column, in characters."""

    line: int
    column: int
    length: int


class Places:
    """Every key and value of one TOML text by its path. A text that doesn't parse has the places that could be read."""

    def __init__(self, text: str) -> None:
        self._lines = text.encode().split(b"\n")
        self._keys: dict[KeyPath, Place] = {}
        self._values: dict[KeyPath, Place] = {}
        self._rows: Counter[KeyPath] = Counter()  # how many [[tables]] of that path were met
        for node in Parser(_LANGUAGE).parse(text.encode()).root_node.named_children:
            if node.type in _TABLES:
                self._table(node)
            elif node.type == "pair":
                self._pair(node, ())

    def key(self, path: KeyPath) -> Place | None:
        """Where the key's name stands (a table: its header), or that of the nearest table around it."""
        return self._nearest(self._keys, path)

    def value(self, path: KeyPath) -> Place | None:
        """Where the value stands, or the key, or the nearest table around it."""
        return self._values.get(path) or self._nearest(self._keys, path)

    def _nearest(self, places: Mapping[KeyPath, Place], path: KeyPath) -> Place | None:
        for end in range(len(path), 0, -1):
            found = places.get(path[:end]) or self._values.get(path[:end])
            if found is not None:
                return found
        return None

    def _place(self, node: Node) -> Place:
        row, start = node.start_point
        line = self._lines[row]
        end = node.end_point[1] if node.end_point[0] == row else len(line)
        before = len(line[:start].decode(errors="replace"))
        return Place(row + 1, before + 1, max(1, len(line[start:end].decode(errors="replace").rstrip())))

    def _table(self, node: Node) -> None:
        header, *rest = _named(node)
        path: KeyPath = ()
        names = _names(header)
        place = self._header(node, header)
        for depth, name in enumerate(names, 1):
            path = (*path, name)
            last = depth == len(names)
            if last and node.type == "table_array_element":
                self._keys.setdefault(path, place)
                self._rows[path] += 1
            if path in self._rows:
                path = (*path, self._rows[path] - 1)
        self._keys[path] = place
        for pair in rest:
            self._pair(pair, path)

    def _header(self, node: Node, header: Node) -> Place:
        """The header with its brackets."""
        name, brackets = self._place(header), 2 if node.type == "table_array_element" else 1
        column = len(self._lines[node.start_point[0]][: node.start_point[1]].decode(errors="replace")) + 1
        return Place(name.line, column, name.column - column + name.length + brackets)

    def _pair(self, node: Node, base: KeyPath) -> None:
        parts = _named(node)
        if node.type != "pair" or len(parts) < 2:
            return
        path = (*base, *_names(parts[0]))
        for end in range(len(base) + 1, len(path) + 1):
            self._keys.setdefault(path[:end], self._place(parts[0]))
        self._value(parts[1], path)

    def _value(self, node: Node, path: KeyPath) -> None:
        self._values[path] = self._place(node)
        if node.type == "inline_table":
            for pair in _named(node):
                self._pair(pair, path)
        elif node.type == "array":
            for index, item in enumerate(_named(node)):
                self._value(item, (*path, index))


def _named(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type not in ("comment", "ERROR")]


def _names(key: Node) -> tuple[str, ...]:
    """The parts of a key: `a."b c"` has two."""
    if key.type == "dotted_key":
        return tuple(name for part in _named(key) for name in _names(part))
    text = (key.text or b"").decode(errors="replace")
    if key.type != "quoted_key":
        return (text,)
    try:
        return tuple(tomllib.loads(f"{text} = 0"))
    except tomllib.TOMLDecodeError:
        return (text,)


# -- showing ------------------------------------------------------------------------------------------------------

# Keys of which the value is never quoted, whatever the problem on their line is.
_SECRET_KEY = re.compile(r"token|secret|passw|credential|webhook|session|cookie|(^|[_-])key$", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(?P<name>[\w-]+)["']?\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}\]"'{\[#]+)""", re.VERBOSE
)
_PASSWORD_IN_URL = re.compile(r"(?<=://)(?P<user>[^\s:/@]*):(?P<value>[^\s/@]+)(?=@)")
#: How the message of a key begins that is known nowhere: its value may be a secret under a misspelt name.
UNKNOWN_KEY = "is not known in"
SHOWN = 4  # characters of a secret that may be shown, for a person to tell which it is (pain.md P82)


def looks_secret(name: str) -> bool:
    """Would a person put a secret under a key of this name?"""
    return _SECRET_KEY.search(name) is not None


def ending(secret: str) -> str:
    """A secret for a person's eye: its last four characters, none of a short one."""
    return f"…{secret[-SHOWN:]}" if len(secret) >= 3 * SHOWN else "…"


def _dots(secret: str) -> str:
    """As long as the secret, so that carets stay where they are; quotes are kept."""
    quote = secret[0] if secret[:1] in ("'", '"') else ""
    closed = len(secret) > 1 and bool(quote) and secret.endswith(quote)
    inner = secret[len(quote) : -1 if closed else None]
    shown = inner[-SHOWN:] if len(inner) >= 3 * SHOWN else ""
    return f"{quote}{'•' * (len(inner) - len(shown))}{shown}{quote if closed else ''}"


def masked(line: str, secret_keys: Collection[str] = ()) -> str:
    """A line of the file with each secret's characters dotted out, but for the last four; its length stays."""

    def hide(match: re.Match[str]) -> str:
        quoted = match["value"][0] in "\"'"
        if not looks_secret(match["name"]) and not (quoted and match["name"] in secret_keys):
            return match[0]
        return match[0][: match.start("value") - match.start()] + _dots(match["value"])

    hidden = _ASSIGNED.sub(hide, line)
    return _PASSWORD_IN_URL.sub(lambda match: f"{match['user']}:{'•' * len(match['value'])}", hidden)


def _quoted(problem: Problem, lines: list[str], secret_keys: Collection[str]) -> Iterable[str]:
    unknown = {problem.key.rpartition(".")[2]} if problem.message.startswith(UNKNOWN_KEY) else set()
    source = masked(lines[problem.line - 1], unknown.union(secret_keys)).replace("\t", " ").rstrip("\r")
    start = max(0, problem.column - 1)
    carets = "^" * max(1, min(problem.length, len(source) - start))
    yield f"{problem.line:>5} | {source}"
    yield f"      | {' ' * start}{carets} {problem.fix}".rstrip()


def _no_more(key: str) -> Collection[str]:
    return ()


def render(
    problems: Iterable[Problem], source_text: str, secret_keys: Callable[[str], Collection[str]] = _no_more
) -> str:
    """The problems as `wirepost check` prints them: place, key, message; the line, and a caret with the fix.

    A warning without a fix is one line. Values of keys that sound like a secret are never quoted, nor are those that
    `secret_keys` names for a problem's key.
    """
    lines = source_text.split("\n")
    shown: list[str] = []
    for problem in sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)):
        where = problem.file + (f":{problem.line}:{problem.column}" if problem.line else "")
        key = f"{problem.key}: " if problem.key else ""
        shown.append(f"{where}: {problem.level}: {key}{problem.message}")
        if 0 < problem.line <= len(lines) and (problem.fix or problem.level == "error"):
            shown += _quoted(problem, lines, secret_keys(problem.key))
        elif problem.fix:
            shown.append(f"      | {problem.fix}")
    return "\n".join(shown)


def tally(problems: Iterable[Problem]) -> str:
    """How many of each: "1 error, 2 warnings"."""
    count = Counter(problem.level for problem in problems)
    parts = [f"{count[level]} {level}{'s' * (count[level] != 1)}" for level in ("error", "warning") if count[level]]
    return ", ".join(parts) or "no problems"


def spelled(path: Iterable[Any]) -> str:
    """A path as a person reads it: routes.2.when.sections."""
    return ".".join(str(part) for part in path)
