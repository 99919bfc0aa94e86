"""The places settings come from, merged: environment over secret files over the TOML file over the defaults.

pydantic-settings' environment reader does the work for the first two. It is given the mapping to read, so that a test
or a second load brings its own. Each value's origin is kept: an error names the variable or the file that is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from bot.errors import Problem
from bot.settings.positions import KeyPath

PREFIX = "WIREPOST_"
#: Variables that say where the settings are, not what they say.
POINTERS = ("WIREPOST_CONFIG", "WIREPOST_SECRETS")
# Kubernetes puts such variables into each pod for a Service named wirepost
# (kubernetes.io/docs/concepts/services-networking/service/#environment-variables); our tests have their own.
_FOREIGN = re.compile(r"^WIREPOST_(SERVICE_(HOST|PORT\w*)|PORT(_\w+)?|TEST_\w+)$")
_FILE = re.compile(r"(?<!_)_FILE$")
_TABLES_OF_SECRETS = ("accounts__", "sources__", "alerts__", "store__")
_LARGEST_SECRET = 65_536  # bytes; a key or token has far fewer, and a mistaken path must not fill the memory


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was said: kind is "file", "environment" or "secret file"; where names the variable or the path."""

    kind: str
    where: str


@dataclass(slots=True)
class Layers:
    """The merged tree, each said value's origin by path, and what could not be read."""

    tree: dict[str, Any]
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: KeyPath) -> Origin | None:
        """Where the value at the path, or the nearest one around it, was said; None: nowhere, so it is a default."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return None


class _Variables(EnvSettingsSource):
    """pydantic-settings' reader over a mapping of ours. Only what looks like JSON is read as JSON: "123" stays text."""

    def __init__(self, model: type[BaseSettings], prefix: str, values: Mapping[str, str]) -> None:
        super().__init__(model, case_sensitive=False, env_prefix=prefix, env_nested_delimiter="__")
        self.env_vars = {name.lower(): value for name, value in values.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        return decoded(value)


def decoded(value: Any) -> Any:
    """A list or table that was given as JSON text; everything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def variable(path: KeyPath) -> str:
    """The environment variable for a path: WIREPOST_ACCOUNTS__DESK_X__TOKEN (shells allow no hyphen)."""
    if path == ("store", "url"):
        return f"{PREFIX}STORE"
    return PREFIX + "__".join(str(part) for part in path).replace("-", "_").upper()


def secret_places(path: KeyPath) -> str:
    """Where a secret goes, as a half sentence: its file, or its variable."""
    if path == ("key",):
        return "the file secrets/key or the variable WIREPOST_KEY (or WIREPOST_KEY_FILE)"
    return f"the file secrets/{'/'.join(str(part) for part in path)} or the variable {variable(path)}"


def gather(model: type[BaseSettings], toml: Mapping[str, Any], environ: Mapping[str, str], root: Path) -> Layers:
    """Read and merge all layers over the parsed TOML. Never raises: what can't be read is a problem."""
    layers = Layers(dict(toml))
    for path in _leaves(toml, ()):
        layers.origins[path] = Origin("file", "")
    files, secret_files = _read_secrets(_folders(environ, root), layers.problems)
    _lay(layers, _Variables(model, "", secret_files)(), {k: Origin("secret file", str(v)) for k, v in files.items()})
    variables, origins = _read_environment(model, environ, layers.problems)
    _lay(layers, _Variables(model, PREFIX.lower(), variables)(), origins)
    return layers


def _leaves(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


def _lay(layers: Layers, values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    """Put a layer over the tree. Its names fit the tree's without regard to case and hyphens (desk_x is desk-x)."""

    def put(tree: dict[str, Any], values: Mapping[str, Any], path: KeyPath, said: str) -> None:
        for raw, value in values.items():
            name, here = _fitting(raw, tree), f"{said}__{raw}" if said else raw
            at = (*path, name)
            if isinstance(value, Mapping) and here not in origins:
                inner = tree.get(name)
                tree[name] = dict(inner) if isinstance(inner, Mapping) else {}
                put(tree[name], value, at, here)
                continue
            tree[name] = value
            layers.origins[at] = origins.get(here.lower(), Origin("environment", variable(at)))

    put(layers.tree, values, (), "")


def _fitting(name: str, tree: Mapping[str, Any]) -> str:
    """The tree's own spelling of a name that came in lower case and without hyphens."""
    if name in tree:
        return name
    same = [known for known in tree if known.lower().replace("-", "_") == name.lower().replace("-", "_")]
    return same[0] if len(same) == 1 else name


# -- the environment ----------------------------------------------------------------------------------------------


def _read_environment(
    model: type[BaseSettings], environ: Mapping[str, str], problems: list[Problem]
) -> tuple[dict[str, str], dict[str, Origin]]:
    """Our variables, `…_FILE` ones replaced by what their file holds, and the origin of each by its bare name."""
    values: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    ours = {name.upper(): name for name in environ if name.upper().startswith(PREFIX)}
    for upper, name in sorted(ours.items()):
        if upper in POINTERS or _FOREIGN.match(upper):
            continue
        target, value = upper, environ[name]
        if _FILE.search(upper):
            target = _FILE.sub("", upper)
            if target in ours:
                continue  # the variable itself wins over its file
            value = _read_named(Path(value), name, problems)
        target = f"{PREFIX}STORE__URL" if target == f"{PREFIX}STORE" else target
        bare = target.removeprefix(PREFIX).lower()
        if bare.split("__")[0] not in model.model_fields:
            problems.append(_unknown_variable(name, model))
            continue
        values[target] = value
        origins[bare] = Origin("environment", name)
    return values, origins


def _unknown_variable(name: str, model: type[BaseSettings]) -> Problem:
    import difflib

    head, *rest = name.upper().removeprefix(PREFIX).split("__")
    near = difflib.get_close_matches(head.lower(), list(model.model_fields), 1)
    fix = f"did you mean {'__'.join([PREFIX + near[0].upper(), *rest])}?" if near else ""
    return Problem(key="", file=name, message="this variable is no setting", fix=fix)


def _read_named(path: Path, name: str, problems: list[Problem]) -> str:
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        problems.append(Problem(key="", file=name, message=f"{path} can't be read: {_why(error)}"))
        return ""


# -- secret files -------------------------------------------------------------------------------------------------


def _folders(environ: Mapping[str, str], root: Path) -> list[Path]:
    """Folders of secrets, later ones win: the project's own, the container's, systemd's (systemd.io/CREDENTIALS)."""
    folders = [root / "secrets", Path(environ.get("WIREPOST_SECRETS") or "/run/secrets")]
    if environ.get("CREDENTIALS_DIRECTORY"):
        folders.append(Path(environ["CREDENTIALS_DIRECTORY"]))
    return folders


def _read_secrets(folders: list[Path], problems: list[Problem]) -> tuple[dict[str, Path], dict[str, str]]:
    """Files that hold our secrets and their text, by the name a variable would have.

    Flat (accounts__desk-x__token: Docker's and Kubernetes' names hold no slash) and nested
    (accounts/desk-x/token). Others' files in the same folder are not opened; hidden ones (Kubernetes' ..data) are
    passed over.
    """
    files: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for number, folder in enumerate(folders):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            parts = path.relative_to(folder).parts
            name = _secret_name("__".join(parts).lower(), own_folder=number == 0)
            if not name or any(part.startswith(".") for part in parts) or not path.is_file():
                continue
            try:
                texts[name] = _read(path)
            except (OSError, ValueError) as error:
                problems.append(Problem(key="", file=str(path), message=f"this secret can't be read: {_why(error)}"))
                continue
            files[name] = path
    return files, texts


def _secret_name(name: str, *, own_folder: bool) -> str:
    bare = name.removeprefix(PREFIX.lower())
    if bare == "store":
        return "store__url" if bare != name else ""
    if bare == "key":
        return "key" if own_folder or bare != name else ""
    return bare if bare.startswith(_TABLES_OF_SECRETS) else ""


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_LARGEST_SECRET + 1)
    if len(content) > _LARGEST_SECRET:
        raise ValueError(f"it is larger than {_LARGEST_SECRET} bytes")
    return content.decode().strip()


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8 text"
    return str(getattr(error, "strerror", None) or error)
