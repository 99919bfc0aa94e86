"""Networks are found by being there: a file in the folder, or an outside package's entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import UsageError
from bot.networks import names, network

_OUTSIDE = """
from datetime import date
from bot.model import Identity, Limits, Payload, Receipt, Unit
from bot.networks.base import Can, Network, NetworkOptions

class Pager(Network):
    name, title, docs, checked = "pager", "Pager", "https://www.example.com/", date(2026, 11, 24)
    Options, can = NetworkOptions, Can()
    limits = Limits(size=100, unit=Unit.CHARACTERS, sources={"size": "https://www.example.com/"})
    def check(self): return Identity(remote_id="1", name="pager")
    def render(self, post): return Payload(post.text.encode(), post.text, post.link)
    def send(self, payload, key): return Receipt("1")
"""


def _run(code: str, *path: Path) -> str:
    lines = "".join(f"import sys; sys.path.insert(0, {str(place)!r})\n" for place in path)
    done = subprocess.run([sys.executable, "-c", lines + code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _outside_package(folder: Path, entry: str) -> Path:
    (folder / "pager_network.py").write_text(_OUTSIDE)
    info = folder / "pager_network-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pager-network\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[wirepost.networks]\n{entry}\n")
    return folder


def test_every_file_of_the_folder_is_a_network() -> None:
    assert names() == tuple(sorted(names()))
    assert {"outbox", "webhook", "mastodon", "bluesky"} <= set(names())
    assert "base" not in names()
    for name in names():
        assert network(name).name == name


def test_a_network_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys, bot.networks as n\nn.names()\nprint([m for m in sys.modules if m.startswith('bot.networks.')])\n"
        "n.network('outbox')\n"
        "print(sorted(m for m in sys.modules if m.startswith('bot.networks.')), 'tweepy' in sys.modules)"
    )
    assert _run(code).splitlines() == ["[]", "['bot.networks.base', 'bot.networks.outbox'] False"]


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r'no network "mastodn"\. Did you mean "mastodon"\? Known: .*webhook'):
        network("mastodn")


def test_an_outside_package_adds_a_network_by_its_entry_point(tmp_path: Path) -> None:
    folder = _outside_package(tmp_path, "pager = pager_network:Pager")
    code = (
        "import bot.networks as n; print('pager' in n.names(), n.network('pager').title, n.network('pager').__module__)"
    )
    assert _run(code, folder) == "True Pager pager_network"


def test_an_outside_package_cannot_take_over_a_name_of_the_house(tmp_path: Path) -> None:
    folder = _outside_package(tmp_path, "mastodon = pager_network:Pager")
    code = "import bot.networks as n; print(n.network('mastodon').__module__, n.names().count('mastodon'))"
    assert _run(code, folder) == "bot.networks.mastodon 1"


def test_an_entry_point_that_is_no_network_is_named(tmp_path: Path) -> None:
    folder = _outside_package(tmp_path, "pager = pager_network:date")
    code = (
        "import bot.networks as n\nfrom bot.errors import UsageError\n"
        "try: n.network('pager')\nexcept UsageError as error: print(error)"
    )
    assert _run(code, folder).startswith('entry point pager_network:date is no Network named "pager"')
