"""All that an outside package writes to have its network and source tried."""

from __future__ import annotations

from pathlib import Path

from bot.networks import network
from bot.sources import kind
from bot.testing.networks import NetworkContract
from bot.testing.sources import SourceContract

HERE = Path(__file__).parent


class TestNoticeboard(NetworkContract):
    network = network("noticeboard")
    fixture = HERE / "noticeboard.json"


class TestSpreadsheet(SourceContract):
    source = kind("spreadsheet")
    pairs = HERE / "spreadsheet"
    options = {"url": "{url}"}  # noqa: RUF012 -- the suite reads it, and nothing writes it
