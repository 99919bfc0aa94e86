"""What the timetable is given and gives: an account's rhythm, a delivery that waits, and when it is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.model import Pace, Priority, Reason, Why
from bot.rules.editorial import Editorial, Schedule, Span
from bot.rules.pacing import WARM_UP_HOUR, Limits, warm_up_hour

#: Who goes first.
RANK = {Priority.BREAKING: 0, Priority.NORMAL: 1, Priority.EVERGREEN: 2}


def turn_of(priority: Priority, published: datetime) -> int:
    """An article's place in an account's line: by rank, then the oldest first (P21).

    The rank stands above 2^56 microseconds (the year 4253), so that one number, and one index, order the whole line.
    """
    return (RANK[priority] << 56) + int(published.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One account's rhythm, all defaults filled in.

    `hour`, `day`, `month`: most posts in a clock hour, local day, local month (None = any number), the network's own
    documented pace folded in. `hard_hour`, `hard_day`: that pace alone, which even breaking news that may pass the caps
    keeps. Until `warmup_until` no clock hour has more than five. `budget` is what may be spent in a calendar month
    (UTC), `spent` what already was in this one. Nothing at all goes before `blocked_until` (the network's reset, a
    breaker, a stop with an end), for the reason `blocked_by`. `seed` makes one account's jitter differ from another's.
    """

    zone: ZoneInfo
    gap: timedelta
    hour: int | None
    day: int | None
    month: int | None
    quiet: tuple[Span, ...]
    blackout: tuple[date, ...]
    hard_hour: int | None = None
    hard_day: int | None = None
    warmup_until: datetime | None = None
    budget: Decimal | None = None
    spent: Decimal = Decimal(0)
    blocked_until: datetime | None = None
    blocked_by: Reason | None = None
    seed: str = ""

    @property
    def free(self) -> bool:
        """Does nothing here hang on what the account sent before?"""
        caps = (self.hour, self.day, self.month, self.hard_hour, self.hard_day, self.warmup_until, self.budget)
        return not self.gap and all(cap is None for cap in caps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One delivery that waits.

    It goes not before `ready_at` (settled, embargo over, future date passed, backoff over; `ready_why` says which) and
    not after `fresh_until` (None: never stale). For a pinned one count the freshness from the pin; the pin itself and
    an hour after it count as fresh in any case. `schedule` None = at once; `quiet` None = the account's. `over_cap`
    holds for breaking news only. `order` is what sorts within a priority: `turn`, then the article.
    """

    id: str
    article: str
    priority: Priority
    ready_at: datetime
    ready_why: Reason | None = None
    fresh_until: datetime | None
    pinned_at: datetime | None = None
    schedule: Schedule | None = None
    quiet: tuple[Span, ...] | None = None
    over_cap: bool = False
    cost: Decimal = Decimal(0)
    order: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What the timetable says of one delivery.

    `why` begins with the rule (AT_ONCE, SLOT, PINNED) and ends with what moved it last; where nothing is due it begins
    with the reason of the skip (STALE, CAP) or the hold (BUDGET).
    """

    id: str
    due_at: datetime | None
    why: tuple[Why, ...]
    outcome: Literal["due", "skip", "hold"]


def timing_for(
    editorial: Editorial,
    account: str,
    pace: Pace,
    *,
    joined_at: datetime | None = None,
    spent: Decimal = Decimal(0),
    blocked_until: datetime | None = None,
    blocked_by: Reason | None = None,
) -> Timing:
    """One account's rhythm: the newsroom's caps and the network's documented `pace`, whichever is stricter.

    `pace = "server"` on the account drops the network's documented pace only: the newsroom's caps are its own decision
    and stay (`[defaults] caps = {}` drops those). Raises KeyError if the settings have no such account.
    """
    rules, caps = editorial.accounts[account], editorial.caps_of(account)
    documented = Pace() if rules.pace == "server" else pace
    return Timing(
        zone=ZoneInfo(editorial.zone_of(account)),
        gap=max(caps.gap or timedelta(0), documented.gap),
        hour=_stricter(caps.hour, documented.hour),
        day=_stricter(caps.day, documented.day),
        month=caps.month,
        hard_hour=documented.hour,
        hard_day=documented.day,
        quiet=editorial.quiet_of(account),
        blackout=editorial.defaults.blackout,
        warmup_until=joined_at + rules.warmup if joined_at and rules.warmup else None,
        budget=caps.cost_month.amount if caps.cost_month else None,
        spent=spent,
        blocked_until=blocked_until,
        blocked_by=blocked_by,
        seed=account,
    )


def _stricter(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def history_needed(timing: Timing) -> int:
    """How many of an account's newest posts the timetable needs to know; older ones change nothing.

    A cap of n is used up by the newest n, a gap is kept from the newest, and a slot is used by the newest post after it
    (eight: as many slots as may share an instant when the clock skips them). Costs thus stay flat as history grows.
    """
    caps = (timing.hour, timing.day, timing.month, timing.hard_hour, timing.hard_day, WARM_UP_HOUR)
    return max(cap for cap in caps if cap is not None) + 8


def limits_at(timing: Timing, now: datetime, *, hard_only: bool = False) -> Limits:
    """The caps that hold at an instant, the warm-up's included.

    `hard_only`: those that breaking news keeps where its route says `over_cap`.
    """
    hour = timing.hard_hour if hard_only else timing.hour
    if timing.warmup_until is not None and now < timing.warmup_until:
        hour = warm_up_hour(hour)
    if hard_only:
        return Limits(hour, timing.hard_day, None)
    return Limits(hour, timing.day, timing.month)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """The pace as conditions: least distance to the last start, most starts since given instants, money this month."""

    gap: timedelta = timedelta(0)
    windows: tuple[tuple[datetime, int], ...] = ()
    month: str = ""
    budget: Decimal | None = None


def pacing_at(timing: Timing, now: datetime, *, pinned: bool, over_cap: bool) -> Pacing:
    """The account's rhythm as conditions for the start: whatever the due time said, these hold.

    Clock hours and local days begin in the account's zone. A person's pin passes all but the budget; breaking news
    that may pass the caps passes those of the newsroom, not the network's.
    """
    month = now.strftime("%Y-%m")
    if pinned:
        return Pacing(month=month, budget=timing.budget)
    caps = limits_at(timing, now, hard_only=over_cap)
    if caps == Limits(None, None, None):
        return Pacing(gap=timing.gap, month=month, budget=timing.budget)
    local = now.astimezone(timing.zone)
    begins = {
        "hour": local.replace(minute=0, second=0, microsecond=0),
        "day": local.replace(hour=0, minute=0, second=0, microsecond=0),
        "month": local.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
    }
    windows = tuple(
        (begins[name], most)
        for name, most in (("hour", caps.hour), ("day", caps.day), ("month", caps.month))
        if most is not None
    )
    return Pacing(gap=timing.gap, windows=windows, month=month, budget=timing.budget)
