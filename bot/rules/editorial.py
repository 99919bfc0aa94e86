"""The newsroom's rules as one value: routes, schedules, pace, tags, templates.

An `Editorial` is what the settings file (or, later, the console) says about *what* goes out *where* and *when*; the
store keeps each applied one as a numbered revision. Connections (addresses, tokens) are not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from bot.model import Priority
from bot.rules.durations import Duration


class Rules(BaseModel):
    """What all parts of the editorial settings share: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# -- small values -------------------------------------------------------------------------------------------------

_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?$")


def _clock_time(value: Any) -> time:
    if isinstance(value, time):
        return value
    match = _CLOCK.match(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) > 23:
        raise ValueError('a time of day such as "07:15" is expected')
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


ClockTime = Annotated[
    time,
    BeforeValidator(_clock_time),
    PlainSerializer(lambda value: value.isoformat("seconds").removesuffix(":00"), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["07:15"]}),
]


class Span(Rules):
    """A part of the day by the wall clock, `start` included, `end` not; over midnight if end <= start."""

    start: ClockTime
    end: ClockTime

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            start, dash, end = value.partition("-")
            if not dash:
                raise ValueError('a span such as "23:00-06:00" is expected')
            return {"start": start.strip(), "end": "00:00" if end.strip() == "24:00" else end.strip()}
        return value

    def holds(self, moment: time) -> bool:
        """Is this time of day inside the span?"""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def _spell_span(span: Span) -> str:
    return str(span)


QuietSpan = Annotated[
    Span,
    PlainSerializer(_spell_span, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d?\d:\d\d-\d?\d:\d\d$", "examples": ["23:00-06:00"]}),
]


class Money(Rules):
    """An amount and its currency: "10.00 USD"."""

    amount: Decimal
    currency: str = "USD"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        number, _, currency = value.strip().partition(" ")
        try:
            return {"amount": Decimal(number), "currency": (currency.strip() or "USD").upper()}
        except InvalidOperation:
            raise ValueError('an amount such as "10.00 USD" is expected') from None

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


Budget = Annotated[
    Money,
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10.00 USD"]}),
]


def _zone_name(value: Any) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('an IANA time zone such as "Europe/London" is expected') from None


ZoneName = Annotated[
    str, BeforeValidator(_zone_name), WithJsonSchema({"type": "string", "examples": ["Europe/London"]})
]


def _first_look(value: Any) -> str:
    text = str(value)
    if text in ("nothing", "all") or re.fullmatch(r"newest:\d+", text):
        return text
    raise ValueError('"nothing", "newest:N" or "all" is expected')


FirstLook = Annotated[
    str,
    BeforeValidator(_first_look),
    WithJsonSchema({"type": "string", "pattern": r"^(nothing|all|newest:\d+)$"}),
]

OnChange = Literal["ask", "edit", "reply", "ignore"]
OnWithdraw = Literal["ask", "delete", "reply", "ignore"]

# -- pace ---------------------------------------------------------------------------------------------------------


class Caps(Rules):
    """How many, how close, how dear. A key left out falls back to [defaults]."""

    hour: Annotated[int, Field(ge=0)] | None = Field(None, description="Most posts in any clock hour.")
    day: Annotated[int, Field(ge=0)] | None = Field(None, description="Most posts in a local day.")
    month: Annotated[int, Field(ge=0)] | None = Field(None, description="Most posts in a local month.")
    gap: Duration | None = Field(None, description="Least time between two posts.")
    cost_month: Budget | None = Field(None, description="Most money in a calendar month (UTC).")


class AccountRules(Rules):
    """What the newsroom says of one account's rhythm. The connection itself stands beside it in [accounts.NAME]."""

    network: str = Field(description="Which network the account is on: docs/networks.md lists them.")
    live: bool = Field(False, description="false: posts are made and timed, not sent.")
    caps: Caps = Field(Caps(), description="How many posts, how close; [defaults] otherwise.")
    quiet: tuple[QuietSpan, ...] | None = Field(None, description="Hours in which nothing goes out; [] = none.")
    timezone: ZoneName | None = Field(None, description="Zone of its slots, quiet hours and days.")
    pace: Literal["network", "server"] = Field("network", description="server: only what its answers say counts.")
    warmup: Duration | None = Field(None, description="At most 5 posts an hour for so long after the account joined.")


class SourceRules(Rules):
    """What the newsroom says of one source's articles. The connection itself stands beside it in [sources.NAME]."""

    settle: Duration | None = Field(None, description="Rest of a new article before its first post.")
    first_look: FirstLook | None = Field(None, description="What the first look may post.")
    max_age: Duration | None = Field(None, description="Freshness: older when its turn comes is missed, never late.")
    check_link: bool | None = Field(None, description="Look at the public page before a post (comes later)?")
    priority: Priority | None = Field(None, description="Of all its articles; a route may say otherwise.")
    timezone: ZoneName | None = Field(None, description="Zone of dates that carry none.")


class Schedule(Rules):
    """When posts leave: local slots per weekday, or at once. Keys: `mon` … `sun`, ranges such as `mon-fri`, `daily`."""

    asap: bool = Field(False, description="At once, instead of slots.")
    slots: dict[str, tuple[ClockTime, ...]] = Field(default_factory=dict, description="Times per weekday or range.")
    jitter: Duration = Field(timedelta(0), description="Each slot leaves up to so much later.")
    spread: Duration = Field(timedelta(0), description="Share of time kept between two posts, beside the gap.")
    timezone: ZoneName | None = Field(None, description="Zone of the slots; else the account's.")
    blackout: tuple[date, ...] = Field((), description="Local dates on which nothing goes out by this schedule.")

    @model_validator(mode="before")
    @classmethod
    def _gather_days(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        rest = dict(value)
        slots = dict(rest.pop("slots", {}) or {})
        for key in list(rest):
            if key == "daily" or _days(key):
                slots[key] = rest.pop(key)
        return {**rest, "slots": slots} if slots else rest

    @model_validator(mode="after")
    def _named_days(self) -> Schedule:
        for key in self.slots:
            if key != "daily" and not _days(key):
                raise ValueError(f'"{key}" is no weekday: mon … sun, a range such as mon-fri, or daily')
        if not self.asap and not self.slots:
            raise ValueError("a schedule needs slots (daily = [...], mon-fri = [...]) or asap = true")
        return self

    def times(self, weekday: int) -> tuple[time, ...]:
        """The slots of a weekday (0 = Monday), sorted, each once."""
        found = {at for key, times in self.slots.items() if key == "daily" or weekday in _days(key) for at in times}
        return tuple(sorted(found))


_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _days(key: str) -> tuple[int, ...]:
    first, dash, last = key.lower().partition("-")
    if first not in _WEEK or (dash and last not in _WEEK):
        return ()
    start, end = _WEEK.index(first), _WEEK.index(last or first)
    return tuple(range(start, end + 1)) if start <= end else (*range(start, 7), *range(end + 1))


# -- routes -------------------------------------------------------------------------------------------------------


class When(Rules):
    """What a route asks of an article. All keys given must hold; `any`, `all` and `not` nest."""

    sources: tuple[str, ...] = Field((), description="Names of sources.")
    sections: tuple[str, ...] = Field((), description="Any of these sections.")
    not_sections: tuple[str, ...] = Field((), description="None of these sections.")
    tags: tuple[str, ...] = Field((), description="Any of these tags or categories.")
    not_tags: tuple[str, ...] = Field((), description="None of these.")
    authors: tuple[str, ...] = Field((), description="Any of these authors.")
    languages: tuple[str, ...] = Field((), description="Any of these languages (BCP 47).")
    keywords: tuple[str, ...] = Field((), description="Words in headline or summary, whole words, case folded.")
    headline: str | None = Field(None, description="A regular expression searched in the headline.")
    link: str | None = Field(None, description="A regular expression searched in the link.")
    min_words: int | None = Field(None, description="Least words of the text.")
    max_words: int | None = Field(None, description="Most words of the text.")
    newer_than: Duration | None = Field(None, description="Published at most so long ago.")
    older_than: Duration | None = Field(None, description="Published at least so long ago.")
    hours: tuple[QuietSpan, ...] = Field((), description="Local spans in which the article was published.")
    priority: Priority | None = Field(None, description="Only breaking, normal or evergreen.")
    any: tuple[When, ...] = Field((), description="At least one of these holds.")
    all: tuple[When, ...] = Field((), description="All of these hold.")
    not_: When | None = Field(None, alias="not")

    @model_validator(mode="after")
    def _patterns_compile(self) -> When:
        for name in ("headline", "link"):
            pattern = getattr(self, name)
            if pattern is not None:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise ValueError(f"{name}: not a regular expression: {error}") from None
        return self


class Route(Rules):
    """Which articles go to which accounts, in what form. `to` holds account names and patterns ("desk-*")."""

    name: str = Field(description="What reasons and screens call it.")
    when: When = Field(When(), description="Which articles; left out: all.")
    to: tuple[str, ...] = Field(("*",), description='Accounts, or patterns such as "desk-*"; [] closes the article.')
    schedule: str | None = Field(None, description="A name of [schedules]; left out: at once.")
    template: str | None = Field(None, description="A name of [templates]; else the account's, the network's, default.")
    priority: Priority | None = Field(None, description="breaking jumps the queue, evergreen gives way.")
    hold: bool | tuple[str, ...] = Field(False, description="Accounts on which a person releases each post.")
    quiet: tuple[QuietSpan, ...] | None = Field(None, description="Quiet hours instead of the account's; [] = none.")
    over_cap: bool = Field(False, description="May breaking news pass the account's caps?")
    max_age: Duration | None = Field(None, description="Freshness of these articles.")
    link: bool = Field(True, description="false: an article without a link may go out too.")
    on_change: OnChange | None = Field(None, description="For what is out, if the article changes (comes with follow).")
    on_withdraw: OnWithdraw | None = Field(None, description="For what is out, if the article is withdrawn (the same).")
    reason: str | None = Field(None, description="What editors read when this route closes an article (to = []).")

    def names(self, account: str, patterns: tuple[str, ...]) -> bool:
        """Does one of the patterns name this account?"""
        return any(fnmatchcase(account, pattern) for pattern in patterns)

    def takes(self, account: str) -> bool:
        """Is this account one of the route's?"""
        return self.names(account, self.to)

    def holds_for(self, account: str) -> bool:
        """Does a person release this route's posts on the account?"""
        return self.hold if isinstance(self.hold, bool) else self.names(account, self.hold)


# -- words --------------------------------------------------------------------------------------------------------


class TagRules(Rules):
    """How tags are made. Keys of `max` and `always` are account or network names, or "default"."""

    max: dict[str, int] = Field(default_factory=dict, description="Most tags, e.g. { default = 2, facebook = 0 }.")
    block: tuple[str, ...] = Field((), description="Never a tag (compared without case and punctuation).")
    rename: dict[str, str] = Field(default_factory=dict, description="The newsroom's map: category → tag.")
    always: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="Tags every post of an account gets.")
    names: dict[str, str] = Field(default_factory=dict, description="Names found in headline or lead → tag.")
    mentions: tuple[str, ...] = Field((), description="@handles in headlines that may stay mentions.")

    __hash__ = object.__hash__  # one object a settings revision: what is made by these rules may be kept by them


class Sensitive(Rules):
    """Stories of which an edited text needs a second look."""

    tags: tuple[str, ...] = ("trial", "court", "death", "obituary", "crash", "suicide", "abuse")
    words: tuple[str, ...] = ()


class Defaults(Rules):
    """What holds where a source, account or route says nothing."""

    quiet: tuple[QuietSpan, ...] = Field((), description="Hours in which nothing goes out.")
    max_age: Duration = Field(timedelta(hours=6), description="Older when its turn comes: missed, never sent late.")
    max_age_breaking: Duration = Field(timedelta(hours=1), description="The same for breaking news.")
    settle: Duration = Field(timedelta(seconds=120), description="Rest of a new article before its first post.")
    caps: Caps = Field(Caps(hour=6, day=60, gap=timedelta(minutes=4)), description="How many posts, and how close.")
    same_link: Duration = Field(timedelta(days=7), description="No account gets the same link twice within this.")
    near_duplicate: Literal["hold", "skip", "warn"] = Field("hold", description="For a headline much like another.")
    first_look: FirstLook = Field("nothing", description="What the first look at a source may post.")
    on_change: OnChange = Field("ask", description="For what is out, if the article changes (comes with follow).")
    on_withdraw: OnWithdraw = Field("ask", description="For what is out, if the article is withdrawn (the same).")
    campaign: dict[str, str] = Field(default_factory=dict, description='UTM: { utm_source = "{network}", … }.')
    blackout: tuple[date, ...] = Field((), description="Dates on which nothing goes out.")
    bare_domains: Literal["break", "keep"] = Field("break", description="Brand names that are domains (Booking.com).")


DEFAULT_TEMPLATE = "{{ headline }}\n\n{{ link }}\n\n{{ tags }}"


class Editorial(Rules):
    """All of it. `accounts` and `sources` hold only the editorial keys of those tables."""

    house: str = "Wirepost"
    timezone: ZoneName = "UTC"
    defaults: Defaults = Defaults()
    sources: dict[str, SourceRules] = Field(default_factory=dict)
    accounts: dict[str, AccountRules] = Field(default_factory=dict)
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    tags: TagRules = TagRules()
    templates: dict[str, str] = Field(default_factory=dict)
    sensitive: Sensitive = Sensitive()

    def caps_of(self, account: str) -> Caps:
        """An account's caps with the defaults filled in."""
        own, common = self.accounts[account].caps, self.defaults.caps
        filled = {name: value for name in Caps.model_fields if (value := getattr(own, name)) is not None}
        return common.model_copy(update=filled)

    def zone_of(self, account: str) -> str:
        """The account's time zone, else the house's."""
        return self.accounts[account].timezone or self.timezone

    def quiet_of(self, account: str) -> tuple[Span, ...]:
        """The account's quiet hours, else the default."""
        own = self.accounts[account].quiet
        return self.defaults.quiet if own is None else own
