"""What lies in a folder of stories: paths, sizes and times, side files, bytes. No other reader opens files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bot.errors import TooLarge, Unreachable
from bot.sources.reading.files import SIDECARS, STORIES

MAX_BYTES = 2 * 1024 * 1024
MAX_FILES = 10_000
_HIDDEN_FOLDERS = frozenset({"_drafts", "node_modules", "__pycache__"})
_UNFINISHED = ("~", ".tmp", ".swp", ".part", ".crdownload", ".bak")

#: Size and modification time (ns) of a file, followed by those of its side file.
Sign = tuple[int, ...]


def listed(root: Path, most: int = MAX_FILES) -> dict[str, Sign]:
    """Relative paths (NFC, slashes) of all stories with their signs. Raises TooLarge, Unreachable."""
    found: dict[str, Sign] = {}
    try:
        for path in _walk(root, ""):
            if len(found) == most:
                raise TooLarge(f"{root}: more than {most:,} files; split the folder over several sources")
            beside = sidecar(root, path)
            found[path] = sign_of(root, path, beside)
    except FileNotFoundError:
        return listed(root, most) if root.is_dir() else {}  # a file went while we looked: look again
    except OSError as error:
        raise Unreachable(f"{root}: can't be read: {error.strerror}") from None
    sides = {str(PurePosixPath(path).with_suffix(".json")) for path in found if not path.endswith(".json")}
    return {path: sign for path, sign in sorted(found.items()) if path not in sides}


def _walk(root: Path, below: str) -> Iterator[str]:
    with os.scandir(root / below) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _HIDDEN_FOLDERS:
                    yield from _walk(root, path + "/")
            elif _is_story(entry.name) and (not entry.is_symlink() or _inside(root, path)) and entry.is_file():
                yield path


def _is_story(name: str) -> bool:
    stem, ending = os.path.splitext(name)
    unfinished = (
        name.startswith((".", "~", "#")) or name.lower().endswith(_UNFINISHED) or stem.lower().endswith(_UNFINISHED)
    )
    return ending.lower() in STORIES and not unfinished and stem.upper() not in ("README", "LICENSE", "CHANGELOG")


def _inside(root: Path, path: str) -> bool:
    """Does this symbolic link lead to a file below the root?"""
    try:
        return (root / path).resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def sidecar(root: Path, path: str) -> Path | None:
    if path.lower().endswith(".json"):
        return None
    for ending in SIDECARS:
        beside = (root / path).with_suffix(ending)
        if beside.is_file() and beside.resolve().is_relative_to(root):
            return beside
    return None


def sign_of(root: Path, path: str, beside: Path | None) -> Sign:
    stats = [(root / path).stat()] + ([beside.stat()] if beside else [])
    return tuple(number for one in stats for number in (one.st_size, one.st_mtime_ns))


def bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(0, f"it is larger than {MAX_BYTES // 1024 // 1024} MB")
    return data
