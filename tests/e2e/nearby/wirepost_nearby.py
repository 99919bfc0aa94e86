"""An outside network for tests: Mastodon on a server of the house, where nothing stays on the way for long.

On loopback a request has arrived or is lost within a moment: so a lost reply may be looked up after a second, and a
test can afford a hundred of them in real time. All else is Mastodon's own adapter.
"""

from __future__ import annotations

from bot.networks.base import InFlight
from bot.networks.mastodon import Mastodon


class Nearby(Mastodon):
    """See the module's text."""

    name = "nearby"
    title = "Mastodon next door"
    in_flight_max = InFlight(lost=1.0, server_error=0.5)
