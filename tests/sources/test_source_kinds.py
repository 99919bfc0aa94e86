"""Kinds are found by the folder and by entry points, and imported only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import UsageError
from bot.sources import kind, kinds

OUTSIDE = """
from bot.sources.base import Batch, Source, SourceOptions


class Empty(Source):
    kind, title, docs, Options = "empty", "Empty", "Holds nothing, and says so at each look.", SourceOptions

    def fetch(self, cursor, http, now):
        return Batch(complete=True)


class Liar(Empty):
    kind = "other"


class Nobody:
    kind = "nobody"
"""
POINTS = "[wirepost.sources]\nempty = outside_kind:Empty\nliar = outside_kind:Liar\nnobody = outside_kind:Nobody\n"


def test_listing_kinds_imports_none_of_them() -> None:
    script = (
        "import sys; from bot.sources import kinds; names = set(kinds()); assert {'feed', 'folder'} <= names;"
        "heavy = {'bot.sources.feed', 'bot.sources.folder', 'feedparser', 'lxml', 'watchdog', 'yaml', 'markdown_it'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_kind_is_a_class_that_bears_its_name() -> None:
    assert {name: found.kind for name, found in kinds().items()} == {name: name for name in kinds()}
    assert "base" not in kinds()
    assert "reading" not in kinds()


def test_an_unknown_kind_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"known are .*feed, .*folder"):
        kind("carrier-pigeon")


def test_an_outside_package_adds_a_kind_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "outside_kind.py").write_text(OUTSIDE)
    info = tmp_path / "outside_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from bot.sources import kind, kinds\n"
        "assert 'empty' in kinds() and 'outside_kind' not in sys.modules\n"
        "assert kind('empty').title == 'Empty'\n"
        "for wrong, words in (('liar', 'calls itself'), ('nobody', 'no subclass')):\n"
        "    try:\n        kind(wrong)\n    except TypeError as error:\n        assert words in str(error)\n"
        "    else:\n        raise AssertionError(wrong)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
