"""The shape of the settings file: its tables as pydantic models, and the JSON Schema that editors complete with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.rules.durations import Duration, spell_duration
from bot.rules.editorial import (
    AccountRules,
    Caps,
    Defaults,
    Route,
    Schedule,
    Sensitive,
    SourceRules,
    TagRules,
    When,
    ZoneName,
)
from bot.settings.complaints import secret_keys


class Table(BaseModel):
    """What the tables have in common: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _store_address(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _store_url(value: str) -> str:
    if not re.match(r"^(sqlite:///|postgres(ql)?(\+psycopg)?://)", value):
        raise ValueError('an address such as "sqlite:///var/wirepost.db" or "postgresql://host/name" is expected')
    return re.sub(r"^postgres://", "postgresql://", value)


class Store(Table):
    """[store]: where Wirepost remembers."""

    url: Annotated[str, AfterValidator(_store_url)] | None = Field(
        None, description="sqlite:///path or postgresql://host/name; a password belongs in WIREPOST_STORE."
    )


class Alerts(Table):
    """[alerts]: who hears of what needs a human."""

    webhook: SecretStr | None = Field(None, description="Address that gets one JSON message per cause.")
    allow_private: bool = Field(False, description="May that address resolve to a private network?")
    silence: Duration = Field(timedelta(hours=24), description="A source that brought nothing for so long is named.")


def _listen(value: Any) -> Any:
    if value is None or (isinstance(value, str) and re.match(r"^([\w.-]*|\[[0-9a-fA-F:]+\]):\d{1,5}$", value)):
        return value
    raise ValueError('"host:port" such as "127.0.0.1:9100" is expected')


class SettingsFile(BaseSettings):
    """The whole file. Sources and accounts stay plain tables here: their shape hangs on their kind and network."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="WIREPOST_", env_nested_delimiter="__", title="Wirepost settings"
    )

    house: str = Field("Wirepost", description="The newsroom's name.")
    timezone: ZoneName = Field("UTC", description="Wall clock of all times; accounts and schedules may have their own.")
    defaults: Defaults = Defaults()
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    tags: TagRules = TagRules()
    templates: dict[str, str] = Field(default_factory=dict, description="Named texts of posts: see Templates below.")
    sensitive: Sensitive = Sensitive()
    alerts: Alerts = Alerts()
    store: Annotated[Store, BeforeValidator(_store_address)] = Field(Store(), description="Where Wirepost remembers.")
    var: Path = Field(Path("var"), description="Folder for the store, the key and what accounts write.")
    key: SecretStr | None = Field(None, description="32 bytes that open the stored tokens.")
    log: Literal["auto", "json", "console"] = Field("auto", description="auto: readable in a terminal, JSON elsewhere.")
    listen: Annotated[str | None, BeforeValidator(_listen)] = Field(
        None, description="host:port for /live, /ready and /metrics; not given: none."
    )
    workers: int = Field(8, ge=1, le=64, description="Threads that deliver, each for another account.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed over: `bot.settings.layers` has merged environment, secret files and TOML before."""
        return (init_settings,)


EDITORIAL = ("house", "timezone", "defaults", "schedules", "routes", "tags", "templates", "sensitive")

#: Which model stands at which place: for the names that are known there, and for where a misplaced key belongs.
PLACES: Mapping[str, type[BaseModel]] = {
    "the top of the file": SettingsFile,
    "[defaults]": Defaults,
    "[defaults.caps]": Caps,
    "[sources.NAME]": SourceRules,
    "[accounts.NAME]": AccountRules,
    "[accounts.NAME.caps]": Caps,
    "[schedules.NAME]": Schedule,
    "[[routes]]": Route,
    "[routes.when]": When,
    "[tags]": TagRules,
    "[sensitive]": Sensitive,
    "[alerts]": Alerts,
    "[store]": Store,
}


def table_at(path: tuple[str | int, ...]) -> str:
    """The entry of PLACES for a table's path in the file, or ""."""
    names = [part for part in path if isinstance(part, str)]
    match names:
        case []:
            return "the top of the file"
        case ["defaults" | "tags" | "sensitive" | "alerts" | "store" as only]:
            return f"[{only}]"
        case ["defaults", "caps"]:
            return "[defaults.caps]"
        case ["sources" | "accounts" | "schedules" as table, _]:
            return f"[{table}.NAME]"
        case ["accounts", _, "caps"]:
            return "[accounts.NAME.caps]"
        case ["routes"]:
            return "[[routes]]"
        case ["routes", "when", *_]:
            return "[routes.when]"
    return ""


# -- JSON Schema --------------------------------------------------------------------------------------------------

_WEEKDAY = "(mon|tue|wed|thu|fri|sat|sun)"
_DEFS = "#/$defs/{model}"


def json_schema(
    sources: Iterable[tuple[str, type[BaseModel]]], accounts: Iterable[tuple[str, type[BaseModel]]]
) -> dict[str, Any]:
    """The file's JSON Schema (draft 2020-12), with one shape per source kind and network. Secrets are no keys of it."""
    schema = SettingsFile.model_json_schema(ref_template=_DEFS)
    definitions = schema["$defs"]
    properties = schema["properties"]
    for name, entries, rules in (("sources", sources, SourceRules), ("accounts", accounts, AccountRules)):
        choice = "kind" if name == "sources" else "network"
        shapes = [_joined(choice, value, rules, options, definitions) for value, options in entries]
        properties[name] = {"type": "object", "additionalProperties": {"oneOf": shapes}}
    properties.pop("key")
    properties["store"] = {"$ref": _DEFS.format(model="Store")}
    definitions["Alerts"]["properties"]["webhook"] = {"type": "string", "description": "Address for alerts."}
    _weekdays(definitions["Schedule"])
    schema["properties"] = {"$schema": {"type": "string"}, **properties}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_spelled(schema)}


_ISO_LENGTH = re.compile(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")


def _spelled(shape: Any) -> Any:
    """The schema with defaults as a person writes them: "6h", where pydantic spells a length of time "PT6H"."""
    if isinstance(shape, dict):
        return {
            key: _length(value) if key in ("default", "gap") and isinstance(value, str) else _spelled(value)
            for key, value in shape.items()
        }
    return [_spelled(part) for part in shape] if isinstance(shape, list) else shape


def _length(text: str) -> str:
    if not text.startswith("P") or not _ISO_LENGTH.fullmatch(text):
        return text
    return spell_duration(TypeAdapter(timedelta).validate_python(text))


def _joined(
    choice: str, value: str, rules: type[BaseModel], options: type[BaseModel], definitions: dict[str, Any]
) -> dict[str, Any]:
    """One table: the rules' and the options' keys, for one choice. `definitions` gets what they refer to."""
    parts = [model.model_json_schema(ref_template=_DEFS) for model in (options, rules)]
    properties: dict[str, Any] = {choice: {"const": value}}
    required = {choice}
    for part in parts:
        definitions.update(part.pop("$defs", {}))
        properties |= {name: shape for name, shape in part["properties"].items() if name != choice}
        required |= set(part.get("required", ()))
    secrets = set(secret_keys(options))
    return {
        "title": value,
        "type": "object",
        "properties": {name: shape for name, shape in properties.items() if name not in secrets},
        "required": sorted(required - secrets),
        "additionalProperties": False,
    }


def _weekdays(schedule: dict[str, Any]) -> None:
    """A schedule's slots stand under weekdays of their own; `slots` is the gathered form."""
    times = {"type": "array", "items": {"type": "string", "examples": ["07:15"]}}
    schedule["patternProperties"] = {f"^(daily|{_WEEKDAY}(-{_WEEKDAY})?)$": times}


__all__ = ["EDITORIAL", "PLACES", "Alerts", "SettingsFile", "Store", "json_schema", "table_at"]
