"""The tables [sources.NAME] and [accounts.NAME]: editorial and connection keys in one, told apart by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretStr, ValidationError, create_model

from bot import networks, sources
from bot.errors import Problem, UsageError
from bot.rules.editorial import AccountRules, SourceRules
from bot.settings.complaints import Ledger, holds, keys_of, nearest, secret_keys
from bot.settings.layers import decoded, secret_places
from bot.settings.positions import ending

#: What loading an outside package's network or source may raise.
CANT_BE_USED = (UsageError, TypeError, ImportError, AttributeError)
# What people still call a network; its own file says the rest.
_OLD_NAMES = {"twitter": "x", "fediverse": "mastodon", "bsky": "bluesky"}


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One watched store: its kind, validated options, and the zone of dates without one."""

    name: str
    kind: str
    options: Any
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One account: its network, validated options (secrets inside are secret types), and whether it may send."""

    name: str
    network: str
    options: Any
    live: bool


@dataclass(slots=True)
class Found:
    """What one kind of table gave: the settings and rules by name, and what is wrong."""

    settings: dict[str, Any]
    rules: dict[str, Any]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Folders:
    """Where relative paths lie: the project's folder, and the data folder for defaults under "var/"."""

    root: Path
    var: Path

    def placed(self, path: Path, *, said: bool) -> Path:
        """A path as an absolute one. A default under var/ follows the data folder, wherever that is."""
        if path.is_absolute():
            return path
        if not said and path.parts[:1] == ("var",):
            return self.var.joinpath(*path.parts[1:])
        return self.root / path


Model = TypeVar("Model", bound=BaseModel)


def read_sources(tree: Mapping[str, Any], ledger: Ledger, folders: Folders, zone: str) -> Found:
    """All [sources.NAME]."""
    found = Found({}, {}, [])
    for name, table in _tables(tree, "sources"):
        base = ("sources", name)
        kind = _choice(base, "kind", table.get("kind"), list(sources.kinds()), ledger, found)
        model = _loaded((*base, "kind"), kind, lambda kind: sources.kind(kind).Options, ledger, found)
        if kind is None or model is None:
            continue
        said = {key: value for key, value in table.items() if key != "kind"}
        rules, options = _split(base, said, SourceRules, model, ledger, found)
        if rules is not None and options is not None:
            own_zone = rules.timezone or getattr(options, "timezone", None) or zone
            found.rules[name] = rules
            found.settings[name] = SourceSettings(name, kind, _at_home(options, folders), ZoneInfo(own_zone))
    return found


def read_accounts(tree: Mapping[str, Any], ledger: Ledger, folders: Folders) -> Found:
    """All [accounts.NAME]. A local network's accounts (outbox) are live unless the settings say otherwise."""
    found = Found({}, {}, [])
    for name, table in _tables(tree, "accounts"):
        base = ("accounts", name)
        network = _choice(base, "network", table.get("network"), list(networks.names()), ledger, found)
        adapter = _loaded((*base, "network"), network, networks.network, ledger, found)
        if network is None or adapter is None:
            continue
        said = {"live": adapter.local, **table}
        rules, options = _split(base, said, AccountRules, adapter.Options, ledger, found)
        if rules is not None and options is not None:
            found.rules[name] = rules
            found.settings[name] = AccountSettings(name, network, _at_home(options, folders), rules.live)
    return found


def _tables(tree: Mapping[str, Any], table: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    entries = tree.get(table)
    if isinstance(entries, Mapping):
        yield from ((name, entry) for name, entry in entries.items() if isinstance(entry, Mapping))


def _choice(base: tuple[str, str], key: str, said: Any, known: list[str], ledger: Ledger, found: Found) -> str | None:
    """The kind or network that the table says, if there is one; else None, and a problem."""
    if said in known:
        return str(said)
    noun = "a network" if key == "network" else "a kind of source"
    group, name = base
    if said is None and base not in ledger.layers.origins:
        # Only variables or secret files speak of this name: one that nobody has.
        whole = [other for other, table in ledger.layers.tree[group].items() if key in table]
        near = nearest(name, whole)
        fix = f'did you mean "{near}"?' if near else f"add [{group}.{name}] with {key} = …, or take it away"
        first = next(iter(ledger.layers.tree[group][name]), key)
        found.problems.append(ledger.problem((*base, first), f"there is no [{group}.{name}]", fix=fix))
    elif said is None:
        found.problems.append(ledger.problem((*base, key), "is required", fix=f"Known: {' '.join(known)}", at_key=True))
    else:
        meant = _OLD_NAMES.get(nearest(str(said), _OLD_NAMES) or "")
        found.problems.append(ledger.no_choice((*base, key), said, known, noun=noun, meant=meant))
    return None


def _loaded(
    path: tuple[str, str, str], name: str | None, load: Callable[[str], Any], ledger: Ledger, found: Found
) -> Any:
    """The class of a kind or network; None and a problem if an outside package's can't be used."""
    if name is None:
        return None
    try:
        return load(name)
    except CANT_BE_USED as error:
        found.problems.append(ledger.problem(path, f"{name} can't be used: {error}"))
        return None


def _split(
    base: tuple[str, str],
    said: Mapping[str, Any],
    rules_model: type[Model],
    options_model: type[BaseModel],
    ledger: Ledger,
    found: Found,
) -> tuple[Model | None, Any]:
    """The table's two halves, validated; None for one that doesn't hold. A key of both goes to both."""
    rule_keys, option_keys, secrets = keys_of(rules_model), keys_of(options_model), set(secret_keys(options_model))
    values = {key: value if key in secrets else decoded(value) for key, value in said.items()}
    for key in sorted(secrets & set(values)):
        origin = ledger.layers.origin((*base, key))
        if origin is not None and origin.kind == "file":
            found.problems.append(secret_in_file((*base, key), values[key], ledger))
    rules = _validated(
        rules_model, {key: value for key, value in values.items() if key in rule_keys}, base, ledger, found
    )
    rest = {key: value for key, value in values.items() if key in option_keys or key not in rule_keys}
    missing = _missing_secrets(options_model, rest)
    for key in missing:
        fix = f"put it in {secret_places((*base, key))}"
        found.problems.append(ledger.problem(base, f"{key} is missing", fix=fix, at_key=True, level="warning"))
    options = _validated(_without(options_model, missing), rest, base, ledger, found)
    return rules, options


def secret_in_file(path: tuple[str, ...], value: Any, ledger: Ledger) -> Problem:
    """A secret stands in the settings file, which is kept in version control and read by many."""
    shown = f" (this one ends in {ending(str(value))})" if len(ending(str(value))) > 1 else ""
    return ledger.problem(
        path, f"a secret doesn't belong in this file{shown}", fix=f"move it to {secret_places(path)}", at_key=True
    )


def _validated(
    model: type[Model], values: Mapping[str, Any], base: tuple[str, str], ledger: Ledger, found: Found
) -> Model | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        known = {problem.key for problem in found.problems}
        found.problems += [problem for problem in ledger.told(error, base) if problem.key not in known]
        return None


def _missing_secrets(model: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    return [key for key in secret_keys(model) if fields[key].is_required() and key not in values]


def _without(model: type[BaseModel], missing: list[str]) -> type[BaseModel]:
    """The options with empty secrets where none is known yet: such an account can be previewed, not logged in."""
    if not missing:
        return model
    empty: dict[str, Any] = {key: (SecretStr, SecretStr("")) for key in missing}
    return create_model(model.__name__, __base__=model, __module__=model.__module__, **empty)


def _at_home(options: Model, folders: Folders) -> Model:
    """The options with relative paths made absolute."""
    paths = {
        name: folders.placed(value, said=name in options.model_fields_set)
        for name, field in type(options).model_fields.items()
        if holds(field.annotation, Path) and isinstance(value := getattr(options, name), Path)
    }
    return options.model_copy(update=paths) if paths else options
