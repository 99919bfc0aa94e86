"""The alerts' channel: one JSON message a cause, posted to the webhook of the settings.

A channel that fails is noted once, tried again at each round, and stops nothing. `say` is for what stands in the store,
`store_fails` and `store_works` are for the store itself, whose trouble can't be remembered there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.errors import SendError, StoreError
from bot.flow.newsroom import Newsroom
from bot.log import events
from bot.secrets import redact
from bot.settings.shape import Alerts as AlertSettings
from bot.store import Tx
from bot.store.alerts import Alert, Said
from bot.store.audit import Event, Note, events_of

log = events("alerts")

# A cause that lasts is said again no sooner than this (pain P112).
AGAIN = timedelta(hours=6)
# One message may take so long, and a round of them: the loop that speaks also beats each 15 s, and is taken for dead
# after 60 (both in seconds).
MESSAGE = 10.0
ROUND = 15.0

#: The cause that says of the channel itself that it fails.
CAUSE = "channel"
# The subject of its events; the last of them says whether it works.
_SUBJECT = "alerts"
_FAILED = "alert_failed"
_WORKS = "alert_works"


def failure(tx: Tx) -> Event | None:
    """The event with which the channel began to fail, None if it works."""
    last = next(iter(events_of(tx, _SUBJECT, limit=1)), None)
    return last if last is not None and last.event == _FAILED else None


def say(newsroom: Newsroom, settings: AlertSettings, due: Sequence[tuple[Alert, bool]], *, failing: bool) -> bool:
    """Send these (alert, is it its end?) until all is said, one fails, or the round lasts too long: then the next one.

    True if one was taken. `failing`: the channel did not work before. Raises StoreError.
    """
    began, said = newsroom.clock.monotonic(), False
    for alert, closing in sorted(due, key=lambda one: one[0].kind == CAUSE):
        if said and (alert.kind == CAUSE or newsroom.clock.monotonic() - began > ROUND):
            break  # it works: nobody needs to be told that it did not
        problem = _posted(newsroom, settings, _message(newsroom, alert, closing=closing))
        if problem is not None:
            log.error("alert_not_delivered", cause=alert.cause, error=problem)
            if not failing:
                newsroom.store.commit(Note(_FAILED, _SUBJECT, {"error": problem}))
            return said
        newsroom.store.commit(Said(alert.cause, closing))
        said = True
    if failing and (said or settings.webhook is None):
        newsroom.store.commit(Note(_WORKS, _SUBJECT))
    return said


def _message(newsroom: Newsroom, alert: Alert, *, closing: bool) -> dict[str, Any]:
    return {
        "house": newsroom.editorial.house,
        "kind": alert.kind,
        "cause": alert.cause,
        "state": "closed" if closing else "open" if not alert.times_said else "still open",
        "since": alert.opened_at.isoformat(),
        "times": alert.times_said + (not closing),
        "text": alert.words,
    }


def _posted(newsroom: Newsroom, settings: AlertSettings, message: Mapping[str, Any]) -> str | None:
    """Send one message, if there is an address. None: it was taken; else why not."""
    if settings.webhook is None:
        return None
    door = newsroom.door.publishing(allow_private=settings.allow_private, deadline=MESSAGE)
    try:
        answer = door.request("POST", settings.webhook.get_secret_value(), json=dict(message))
    except SendError as error:
        return redact(str(error))
    return None if 200 <= answer.status < 300 else f"it answers {answer.status}"


# -- the store itself fails ---------------------------------------------------------------------------------------

_STORE = ("alerts", "store")


def store_fails(newsroom: Newsroom, settings: AlertSettings, error: StoreError) -> None:
    """Say it at once, and again each six hours; this process alone remembers that."""
    since = newsroom.sightings.since(_STORE)
    if settings.webhook is None or (since is not None and since < AGAIN.total_seconds()):
        return
    text = f"The store fails, so nothing goes out: {error}"
    state = "open" if since is None else "still open"
    if _posted(newsroom, settings, _of_store(newsroom, state, text)) is None:
        newsroom.sightings.again(_STORE)


def store_works(newsroom: Newsroom, settings: AlertSettings) -> None:
    """Say that it works again, if this process said that it fails."""
    if newsroom.sightings.since(_STORE) is None:
        return
    if _posted(newsroom, settings, _of_store(newsroom, "closed", "The store works again.")) is None:
        newsroom.sightings.keep_only(_STORE[0], set())


def _of_store(newsroom: Newsroom, state: str, text: str) -> dict[str, Any]:
    at = newsroom.clock.now().isoformat()
    return {
        "house": newsroom.editorial.house,
        "kind": "store",
        "cause": "store",
        "state": state,
        "at": at,
        "text": text,
    }
