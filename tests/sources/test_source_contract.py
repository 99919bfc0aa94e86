"""Every kind of source in this repository passes the public contract on its own pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bot.sources import kind, kinds
from bot.sources.base import Source
from bot.testing.sources import SourceContract

HERE = Path(__file__).parent


class TestFeed(SourceContract):
    source: ClassVar[type[Source]] = kind("feed")
    pairs: ClassVar[Path] = HERE / "feed"
    options: ClassVar[Mapping[str, Any]] = {"url": "{url}"}


class TestFolder(SourceContract):
    source: ClassVar[type[Source]] = kind("folder")
    pairs: ClassVar[Path] = HERE / "folder"
    options: ClassVar[Mapping[str, Any]] = {"path": "{folder}", "link": "https://example.com/news/{slug}"}


def test_every_kind_of_this_repository_is_tried_here() -> None:
    tried = {one.source.kind for one in SourceContract.__subclasses__() if one.__module__ == __name__}
    assert tried == {name for name in kinds() if (HERE / name).is_dir()}
    assert {"feed", "folder"} <= tried
