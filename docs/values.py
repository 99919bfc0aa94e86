"""How the generated pages write tables, values and the keys of a settings table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr

from bot.rules.durations import spell_duration


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a pipe or line break in a cell can't break it."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or " "


def said(value: Any) -> str:
    """A value as it stands in the settings file, or as a person writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case timedelta():
            return spell_duration(value)
        case Enum():
            return str(value.value)
        case Decimal() | int() | float():
            return f"{value}"
        case BaseModel():
            given = value.model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
            return "{ " + ", ".join(f"{key} = {said(one)}" for key, one in given.items()) + " }" if given else "{}"
        case Mapping():
            return "{ " + ", ".join(f"{key} = {said(one)}" for key, one in value.items()) + " }" if value else "{}"
        case str():
            return f'"{value}"'
        case list() | tuple():
            return "[" + ", ".join(said(one) for one in value) + "]"
    return str(value)


def shape_of(part: Mapping[str, Any]) -> str:
    """What may stand there, from a JSON Schema: "text", "whole number", "a" or "b" …"""
    if "anyOf" in part or "oneOf" in part:
        known = [shape_of(one) for one in part.get("anyOf") or part["oneOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(known))
    if "enum" in part or "const" in part:
        return " or ".join(f'"{one}"' for one in part.get("enum", [part.get("const")]))
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return {"Priority": '"breaking" or "normal" or "evergreen"'}.get(name, "table")
    example = f" such as {said(part['examples'][0])}" if part.get("examples") else ""
    kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    match part.get("type"):
        case "array":
            return f"list of {shape_of(part.get('items', {}))}"
        case "object":
            inner = part.get("additionalProperties")
            return f"table of {shape_of(inner)}" if isinstance(inner, Mapping) else "table"
        case str(kind):
            form = f" ({part['pattern'].strip('^$()')})" if "nothing|all" in part.get("pattern", "") else ""
            return {"date": "date", "path": "path"}.get(part.get("format", ""), kinds.get(kind, kind)) + example + form
    return "anything"


def keys(model: type[BaseModel], leave_out: frozenset[str] = frozenset()) -> str:
    """The keys of one table of the settings: what may stand there, the default, the meaning."""
    whole = model.model_json_schema()
    # A model that contains itself is a reference to one of its own definitions.
    properties = (whole["$defs"][whole["$ref"].rpartition("/")[2]] if "$ref" in whole else whole)["properties"]
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in leave_out:
            continue
        secret = "SecretStr" in str(field.annotation)
        default = "**required**" if field.is_required() else _default(field.get_default(call_default_factory=True))
        what = "secret, never in the file" if secret else shape_of(properties[key])
        rows.append((f"`{key}`", what, default, field.description or ""))
    return table(("key", "what", "default", "meaning"), rows)


def _default(value: Any) -> str:
    nothing = value in (None, (), [], {}) or isinstance(value, SecretStr) or said(value) == "{}"
    return "" if nothing else f"`{said(value)}`"
