"""The public contract suite over every network of the house: a new file in bot/networks is tested by being there."""

from __future__ import annotations

from pathlib import Path

from bot.networks import names, network
from bot.testing.network import Fake
from bot.testing.networks import NetworkContract

_HERE = Path(__file__).parent

for _name in names():
    _parts = {"network": network(_name), "fixture": _HERE / f"{_name}.json", "__doc__": f"The contract on {_name}."}
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (NetworkContract,), _parts)


class TestFake(NetworkContract):
    """The network that flow tests and the simulation use keeps the same contract."""

    network = Fake
    fixture = _HERE / "fake.json"
