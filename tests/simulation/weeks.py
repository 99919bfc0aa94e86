"""Weeks by their seeds: lived, and told if they broke a promise."""

from __future__ import annotations

from dataclasses import dataclass

from bot.networks.base import Network
from bot.testing.network import Fake
from tests.simulation.adversary import Week, week
from tests.simulation.ground import Ground
from tests.simulation.promises import Broken
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Ended:
    """How a week ended: which promise was broken, if any; its story; how much happened in it."""

    seed: int
    broken: str | None
    story: str
    events: int
    posts: int

    def told(self) -> str:
        """The story, what went wrong, and how to live it again."""
        return f"{self.story}\n{self.broken}\nAgain: make simulate SEEDS=1 FROM={self.seed}"


def lived(plan: Week | int, ground: Ground, *, network: type[Network] = Fake) -> Ended:
    """Live a week, given by its seed or as it was planned."""
    plan = week(plan) if isinstance(plan, int) else plan
    world = World(plan, ground, network=network)
    broken = None
    try:
        world.live()
    except Broken as error:
        broken = str(error)
    except Exception as error:
        error.add_note(world.story.text())
        raise
    finally:
        world.close()
    return Ended(plan.seed, broken, world.story.text(), world.events, len(world.server.posts))
