"""The settings: one file, environment and secrets, read into one frozen value; every mistake told at once.

`load` parses the TOML, lays secret files and environment over it (`layers`), validates (`shape`, `tables`), and turns
what is wrong into problems with line, column and fix (`complaints`, `positions`). `warnings` is the second pass
(`crosscheck`): what holds but can't be meant. This is the only package that reads the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from bot import networks, sources
from bot.errors import Problem, SettingsError
from bot.rules.editorial import Editorial, Schedule
from bot.rules.templates import check_template
from bot.settings import shape
from bot.settings.complaints import Ledger, keys_of, nearest, secret_keys, sounds_secret
from bot.settings.crosscheck import crosscheck
from bot.settings.layers import POINTERS, Layers, Origin, gather, secret_places
from bot.settings.positions import KeyPath, Places, tally
from bot.settings.positions import render as _render
from bot.settings.shape import Alerts as AlertSettings
from bot.settings.tables import (
    CANT_BE_USED,
    AccountSettings,
    Folders,
    SourceSettings,
    read_accounts,
    read_sources,
    secret_in_file,
)

DEFAULT_PATH = Path("config/wirepost.toml")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that was said, checked. `var` and the paths inside options are absolute. Reprs show no secret."""

    path: Path
    root: Path
    editorial: Editorial
    store_url: str = field(repr=False)
    var: Path
    key: SecretStr | None
    key_file: Path
    log: str
    listen: str | None
    workers: int
    sources: Mapping[str, SourceSettings]
    accounts: Mapping[str, AccountSettings]
    alerts: AlertSettings
    text: str = field(repr=False, compare=False)
    layers: Layers = field(repr=False, compare=False)
    ledger: Ledger = field(repr=False, compare=False)
    notices: tuple[Problem, ...] = field(default=(), repr=False, compare=False)

    def origin(self, path: KeyPath) -> Origin | None:
        """Who said the value: the file, a variable, a secret file; None: it is a default."""
        return self.layers.origin(path)


def environment() -> Mapping[str, str]:
    """The process's environment: the one place where it is read."""
    return os.environ  # noqa: TID251 -- this package is the reader that the rule names


def find(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Which file is meant: the given one, else WIREPOST_CONFIG, else config/wirepost.toml."""
    return path or (Path(environ["WIREPOST_CONFIG"]) if environ.get("WIREPOST_CONFIG") else DEFAULT_PATH)


def root_of(path: Path) -> Path:
    """The project's folder: the parent of a folder named config, else the file's own folder. Absolute."""
    folder = path.absolute().parent
    return folder.parent if folder.name == "config" else folder


def load(path: Path | None = None, *, environ: Mapping[str, str]) -> Settings:
    """Read everything. Raises SettingsError with all problems."""
    path = find(path, environ)
    shown = display(path)
    text = _text(path, shown)
    toml = _parsed(text, shown)
    root = root_of(path)
    layers = gather(shape.SettingsFile, toml, environ, root)
    ledger = Ledger(shown, Places(text), layers, _is_secret, _neighbours(layers), _homes)
    problems = list(layers.problems)
    whole = _whole(layers, ledger, problems)
    var = whole.var if whole is not None else Path("var")
    folders = Folders(root, var if var.is_absolute() else root / var)
    zone = whole.timezone if whole is not None else "UTC"
    from_sources = read_sources(layers.tree, ledger, folders, zone)
    from_accounts = read_accounts(layers.tree, ledger, folders)
    problems += _top_secrets(layers, ledger)
    problems += [*from_sources.problems, *from_accounts.problems]
    problems += _references(layers.tree, ledger)
    if whole is None or any(problem.level == "error" for problem in problems):
        raise SettingsError([problem for problem in problems if problem.level == "error"])
    editorial = Editorial(
        **{name: getattr(whole, name) for name in shape.EDITORIAL},
        sources=from_sources.rules,
        accounts=from_accounts.rules,
    )
    return Settings(
        path=path,
        root=root,
        editorial=editorial,
        store_url=_store_url(whole.store.url, folders),
        var=folders.var,
        key=whole.key,
        key_file=folders.var / "key",
        log=whole.log,
        listen=whole.listen,
        workers=whole.workers,
        sources=from_sources.settings,
        accounts=from_accounts.settings,
        alerts=whole.alerts,
        text=text,
        layers=layers,
        ledger=ledger,
        notices=tuple(problems),
    )


def warnings(settings: Settings) -> list[Problem]:
    """What holds but can't be meant, in the file's order: see `bot.settings.crosscheck`."""
    found = [*settings.notices, *crosscheck(settings.editorial, settings.accounts, settings.ledger)]
    return sorted(found, key=lambda problem: (problem.line, problem.column, problem.message))


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, for the kinds and networks that are installed here."""
    return shape.json_schema(
        [(kind, sources.kind(kind).Options) for kind in sources.kinds()],
        [(name, networks.network(name).Options) for name in networks.names()],
    )


def display(path: Path) -> str:
    """The path as a person typed it, or relative to where they stand."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


# -- reading the file ---------------------------------------------------------------------------------------------


def _text(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message, fix = "there is no such file", "wirepost init writes one; -c FILE or WIREPOST_CONFIG names another"
    except UnicodeDecodeError as error:
        message, fix = f"byte {error.start + 1} is no UTF-8", "save the file as UTF-8"
    except OSError as error:
        message, fix = f"it can't be read: {error.strerror}", "look at its owner and mode, and at the folder's"
    raise SettingsError([Problem(key="", file=shown, message=message, fix=fix)])


def _parsed(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        message, line, column = _syntax(str(error), text)
        raise SettingsError([Problem("", message, shown, line, column, fix=_syntax_fix(text, line))]) from None


def _syntax(message: str, text: str) -> tuple[str, int, int]:
    """tomllib's sentence without its place, and the place."""
    found = re.search(r"\(at line (\d+), column (\d+)\)$", message)
    lines = text.rstrip("\n").split("\n")
    line, column = (int(found[1]), int(found[2])) if found else (len(lines), len(lines[-1]) + 1)
    said = re.sub(r" \(at .*\)$", "", message)
    said = re.sub(r"'\\n'", "the end of the line", said)
    return f"this is no TOML: {said[:1].lower()}{said[1:]}", line, column


def _syntax_fix(text: str, line: int) -> str:
    lines = text.split("\n")
    said = lines[line - 1] if 0 < line <= len(lines) else ""
    name, equals, value = said.partition("=")
    if equals and re.match(r"^\s*[A-Za-z]\w*[^\"'\[{]*$", value) and value.strip() not in ("true", "false"):
        return f'text stands in quotes: {name.strip()} = "…"'
    return ""


# -- validating ---------------------------------------------------------------------------------------------------


def _whole(layers: Layers, ledger: Ledger, problems: list[Problem]) -> shape.SettingsFile | None:
    # Names with an underscore in front are parameters of BaseSettings itself: never hand them over.
    problems += [ledger.unknown_key((key,)) for key in layers.tree if key.startswith("_")]
    try:
        return shape.SettingsFile(**{key: value for key, value in layers.tree.items() if not key.startswith("_")})
    except ValidationError as error:
        problems += ledger.told(error)
        return None


def _top_secrets(layers: Layers, ledger: Ledger) -> list[Problem]:
    """The key, and a password in the store's address, said in the file."""
    found = []
    in_file = [path for path, origin in layers.origins.items() if origin.kind == "file"]
    if ("key",) in in_file:
        found.append(secret_in_file(("key",), layers.tree["key"], ledger))
    if ("store", "url") in in_file and re.search(r"://[^/@]*:[^/@]+@", str(layers.tree["store"]["url"])):
        fix = f"move the address to {secret_places(('store', 'url'))}"
        found.append(ledger.problem(("store", "url"), "a password doesn't belong in this file", fix=fix))
    return found


def _references(tree: Mapping[str, Any], ledger: Ledger) -> Iterator[Problem]:
    """Names that point nowhere, without which nothing can be planned; and templates that can't be filled."""
    routes = [route for route in tree.get("routes", ()) if isinstance(route, Mapping)]
    for index, route in enumerate(routes):
        for key, table, noun in (("schedule", "schedules", "a schedule"), ("template", "templates", "a template")):
            said, known = route.get(key), tree.get(table, {})
            if isinstance(said, str) and isinstance(known, Mapping) and said not in known:
                yield ledger.no_choice(("routes", index, key), said, sorted(known), noun=noun)
        if route.get("name") in [earlier.get("name") for earlier in routes[:index]]:
            yield ledger.problem(("routes", index, "name"), f'a second route has the name "{route["name"]}"')
    templates = tree.get("templates", {})
    for name, template in templates.items() if isinstance(templates, Mapping) else ():
        if isinstance(template, str):
            fault = check_template(template)
            if fault is not None:
                yield ledger.problem(("templates", name), fault.detail or str(fault.reason))


def _store_url(said: str | None, folders: Folders) -> str:
    """The store's address; an SQLite path is made absolute."""
    if said is None:
        return f"sqlite:///{folders.var / 'wirepost.db'}"
    if not said.startswith("sqlite:///"):
        return said
    path, mark, query = said.removeprefix("sqlite:///").partition("?")
    return f"sqlite:///{folders.placed(Path(path), said=True)}{mark}{query}"


# -- names --------------------------------------------------------------------------------------------------------


def _is_secret(path: KeyPath) -> bool:
    return sounds_secret(path) or (len(path) == 3 and str(path[2]) in _secret_names(str(path[0])))


def _models(table: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Name and options of each network (table "accounts") or kind ("sources") that can be loaded."""
    group: Mapping[str, Any] = {
        "accounts": (networks.names, networks.network),
        "sources": (sources.kinds, sources.kind),
    }
    names, load_class = group[table]
    for name in names():
        try:
            yield name, load_class(name).Options
        except CANT_BE_USED:
            continue  # an outside package's fault, told where an account or source asks for it


def _secret_names(table: str) -> set[str]:
    """Keys that are a secret in the options of any network (table "accounts") or kind ("sources")."""
    if table not in ("accounts", "sources"):
        return set()
    return {key for _, model in _models(table) for key in secret_keys(model)}


def _secrets_near(key: str) -> Collection[str]:
    """The secret keys that may stand on the line of a problem with this key; all where the line was not understood."""
    return _secret_names(key.partition(".")[0]) if key else _secret_names("accounts") | _secret_names("sources")


def _neighbours(layers: Layers) -> Any:
    """A function from a table's path to the keys that are known there."""

    def known(path: KeyPath) -> Sequence[str]:
        model = shape.PLACES.get(shape.table_at(path))
        keys = keys_of(model) if model is not None else []
        if model is Schedule:
            keys = [*(key for key in keys if key != "slots"), "daily", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        if len(path) == 2 and path[0] in ("accounts", "sources"):
            table, choice = layers.tree[path[0]][path[1]], "network" if path[0] == "accounts" else "kind"
            own = dict(_models(str(path[0]))).get(str(table.get(choice)))
            keys += [choice, *(keys_of(own) if own is not None else [])]
        return sorted(set(keys))

    return known


def _homes(name: str) -> Sequence[str]:
    """The tables that have a key of this name."""
    homes = [place for place, model in shape.PLACES.items() if name in keys_of(model)]
    for table in ("accounts", "sources"):
        owners = [owner for owner, model in _models(table) if name in keys_of(model)]
        if owners and f"[{table}.NAME]" not in homes:
            homes.append(f"[{table}.NAME] of {', '.join(owners)}")
    return homes


def render(problems: Sequence[Problem], source_text: str) -> str:
    """The problems as `wirepost check` prints them (`positions.render`); none quotes a secret."""
    return _render(problems, source_text, _secrets_near)


__all__ = [
    "DEFAULT_PATH",
    "POINTERS",
    "AccountSettings",
    "AlertSettings",
    "Origin",
    "Settings",
    "SourceSettings",
    "display",
    "environment",
    "find",
    "load",
    "nearest",
    "render",
    "root_of",
    "schema",
    "tally",
    "warnings",
]
