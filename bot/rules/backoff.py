"""How long to wait after something did not work: deliveries, rate limits, sources, and safe reads.

The growth comes from tenacity's wait strategies; the jitter from the caller's `uniform`, so that a seed decides it.
Nothing here waits: the waits of deliveries and sources are rows that a person can see and cancel. Only `safe_calls`
repeats anything by itself, and only reads that change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from tenacity.wait import wait_base

from bot.errors import Busy, Expired, NotSent, Unreachable

Uniform = Callable[[float, float], float]

#: A network's word for when to come back is kept this much longer, so that not all accounts return in one second.
_AFTER_RESET = 10.0
#: The longest wait that a network may impose without a person being told. Daily quotas end after 24 h at most; an epoch
#: read as seconds gives 55 years (github.com/bluesky-social/atproto/issues/3436).
LONGEST_REST = timedelta(hours=26)
#: No server may silence us for longer than a day (RFC 9110, 10.2.3 sets no bound of its own).
LONGEST_RETRY_AFTER = timedelta(hours=24)
#: A source that fails is never given up on: it is asked once an hour at least.
_SLOWEST_POLL = timedelta(hours=1)
#: A server that refuses us is asked twice an hour at most (github.com/Athou/commafeed/issues/1362).
_BLOCKED_POLL = timedelta(minutes=30)
#: A server's wish for fewer polls may at most double the interval that a person set: WordPress says "hourly" always.
_WISH = 2

#: From 30 s, the time a service needs to restart, doubling to 30 min, so that a retry still finds a fresh article.
_DELIVERY = wait_exponential(multiplier=30, max=timedelta(minutes=30))
#: A read that fails is asked again within seconds, or left to the next tick.
_READ = wait_exponential(multiplier=0.5, max=4)
_ENOUGH = stop_after_attempt(3)

_NOBODY = Retrying()


def _seconds(wait: wait_base, tries: int) -> float:
    """What a wait strategy says after so many tries (the first counts as 1)."""
    state = RetryCallState(_NOBODY, None, (), {})
    state.attempt_number = max(1, tries)
    return wait(state)


def next_try(tries: int, *, uniform: Uniform) -> timedelta:
    """How long a delivery waits after `tries` tries that proved not sent: 30 s, doubling to 30 min, ±20 %."""
    return timedelta(seconds=_seconds(_DELIVERY, tries) * uniform(0.8, 1.2))


@dataclass(frozen=True, slots=True)
class Rest:
    """When a busy network is asked again. `alarming`: it wants longer than it should; a person must be told."""

    at: datetime
    alarming: bool = False


def busy_until(until: datetime | None, now: datetime, tries: int, uniform: Uniform) -> Rest:
    """When to come back to a network that is busy: its own word, and up to 10 s more; without one, as `next_try`.

    A word that is over already counts as none. One of more than 26 hours is not believed: the rest ends after 26 h,
    with an alarm, and the network's next answer decides.
    """
    if until is None or until <= now:
        return Rest(now + next_try(tries, uniform=uniform))
    if until - now > LONGEST_REST:
        return Rest(now + LONGEST_REST, alarming=True)
    return Rest(until + timedelta(seconds=uniform(0.0, _AFTER_RESET)))


def poll_interval(
    every: timedelta,
    *,
    errors: int = 0,
    blocked: bool = False,
    retry_after: float | None = None,
    next_in: float | None = None,
    uniform: Uniform,
) -> timedelta:
    """How long until a source is looked at again; `errors` in a row, `retry_after` and `next_in` in seconds.

    After good looks: `every`, less up to 10 % so that sources drift apart. A `next_in` below it is kept to the second
    (the source knows that something comes); one above it is a wish, and may double the interval. After errors: doubling
    from `every` to an hour, never given up on. A server that refuses us (`blocked`) is asked twice an hour at most.
    `retry_after` is an order: never sooner, up to 24 h.
    """
    wish = timedelta(seconds=next_in) if next_in is not None and not errors else every
    interval = wish if wish < every else min(wish, every * _WISH) * uniform(0.9, 1.0)
    if errors:
        growth = wait_exponential(multiplier=max(1.0, every.total_seconds()), max=max(every, _SLOWEST_POLL))
        interval = timedelta(seconds=_seconds(growth, errors) * uniform(0.9, 1.0))
    if blocked:
        interval = max(interval, _BLOCKED_POLL)
    order = timedelta(seconds=retry_after) if retry_after is not None else timedelta(0)
    return max(interval, min(order, LONGEST_RETRY_AFTER))


def _worth_asking_again(error: BaseException) -> bool:
    """Trouble on the way. Not what the other side decided: a limit, a token that is over, a refusal."""
    return isinstance(error, Unreachable) or (isinstance(error, NotSent) and not isinstance(error, Busy | Expired))


def safe_calls(
    *, sleep: Callable[[float], object], uniform: Uniform, stopping: Callable[[], bool] = lambda: False
) -> Retrying:
    """Repeats a call that changes nothing: `safe_calls(...)(network.check)`; three tries, half a second apart and more.

    For fetch, find, check and uploads, never for a publish. Repeats after trouble on the way only, and not once
    `stopping` says so; raises the last error itself. `sleep` waits so many seconds (through the clock, so that a stop
    wakes it).
    """

    def pause(seconds: float) -> None:
        sleep(seconds)

    return Retrying(
        sleep=pause,
        stop=lambda state: _ENOUGH(state) or stopping(),
        wait=lambda state: _READ(state) * uniform(0.8, 1.2),
        retry=retry_if_exception(_worth_asking_again),
        reraise=True,
    )
