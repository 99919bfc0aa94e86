"""The metadata block at the head of a text file: YAML between `---`, TOML between `+++`, or a JSON object.

Scalars of YAML stay the words that were written (no `no` → False, no `12:30` → 750): what a key means is decided where
it is used. Errors carry the line in the file.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

#: Far above any honest block; a bigger one is not front matter but an attack or a lost closing line.
MAX_BLOCK = 65_536
_FENCES = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE),
}


class Unreadable(ValueError):
    """Something in a file can't be read: its 1-based line (0: the whole file) and why."""

    def __init__(self, line: int, why: str) -> None:
        self.line, self.why = line, why
        super().__init__(f"line {line}: {why}" if line else why)


def split(text: str) -> tuple[dict[str, Any], str]:
    """Metadata and the text below it; no block at the very start: {} and all of it. Raises Unreadable."""
    first, _, rest = text.partition("\n")
    fence = first.rstrip()
    if fence in _FENCES:
        end = _FENCES[fence].search(rest, 0, MAX_BLOCK + 4)
        if end is None:
            if fence == "---" and ":" not in rest.partition("\n")[0]:
                return {}, text  # a thematic break of Markdown, not a block
            raise Unreadable(1, f'the block that "{fence}" opens is never closed by another "{fence}" line')
        block = rest[: end.start()]
        return (read_yaml(block, 1) if fence == "---" else read_toml(block, 1)), rest[end.end() :].lstrip("\n")
    if text.startswith("{"):
        return _json_block(text)
    return {}, text


def read_yaml(block: str, above: int = 0) -> dict[str, Any]:
    """A YAML mapping, all scalars as text; `above` = lines of the file before the block."""
    import yaml

    class Plain(yaml.BaseLoader):
        """Only texts, lists and maps; no aliases, by which a few lines become gigabytes."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML has no types here
                raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
            return super().compose_node(parent, index)

    try:
        value = yaml.load(block[:MAX_BLOCK], Loader=Plain)  # noqa: S506 -- it builds nothing but text, lists and maps
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = ' (put a value that holds ": " in quotes)' if "mapping values" in str(error.problem) else ""
        raise Unreadable(mark.line + 1 + above if mark else above, f"YAML: {error.problem}{hint}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Unreadable(above, f"YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}") from None
    return _mapping(value, above + 1)


def read_toml(block: str, above: int = 0) -> dict[str, Any]:
    """A TOML document as a mapping."""
    try:
        return tomllib.loads(block)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else 1
        raise Unreadable(line + above, f"TOML: {re.sub(r' ?.at (line|end).*', '', str(error))}") from None


def read_json(text: str) -> Any:
    """A JSON document. Raises Unreadable with its line."""
    try:
        return whole(json.loads(text, strict=False))
    except json.JSONDecodeError as error:
        raise Unreadable(error.lineno, f"JSON: {error.msg} (column {error.colno})") from None
    except (RecursionError, ValueError):
        raise Unreadable(0, "JSON: nested too deep or a number too long") from None


def whole(value: Any) -> Any:
    """The same value with halves of surrogate pairs replaced: they can be escaped in JSON and YAML, and are no text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {whole(key): whole(one) for key, one in value.items()}
    return [whole(one) for one in value] if isinstance(value, list) else value


def _json_block(text: str) -> tuple[dict[str, Any], str]:
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text[: MAX_BLOCK * 2])
    except json.JSONDecodeError as error:
        raise Unreadable(error.lineno, f"JSON front matter: {error.msg} (column {error.colno})") from None
    except (RecursionError, ValueError):
        raise Unreadable(1, "JSON front matter: nested too deep or a number too long") from None
    return _mapping(value, 1), text[end:].lstrip("\r\n")


def _mapping(value: Any, line: int) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise Unreadable(line, "keys and values (title: …) are expected here")
    return {str(key): one for key, one in whole(value).items()}
