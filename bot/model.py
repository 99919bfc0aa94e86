"""The words of Wirepost as data: articles, posts, deliveries, attempts, their states and the moves between them.

Nothing here does I/O or reads a clock. Instants are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bot.keepable import keepable_text, keepable_time


class Priority(StrEnum):
    """How an article's time is judged: breaking news jumps the queue, evergreen may be shared again."""

    BREAKING = "breaking"
    NORMAL = "normal"
    EVERGREEN = "evergreen"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by address; width and height in pixels where known."""

    url: str
    alt: str = ""
    width: int | None = None
    height: int | None = None
    mime: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What the publisher wrote, as its source gives it now.

    `guid` is the source's own strong id; `link` the absolute http(s) address that readers open; `aliases` are other
    addresses of the same story. `texts` holds editorial text per account or network name, which outranks the template.
    `hold` is a reason (and `hold_note` a sentence) that the source itself found for keeping it from going out.
    """

    source: str
    guid: str
    headline: str
    link: str | None = None
    aliases: tuple[str, ...] = ()
    summary: str = ""
    body: str = ""
    authors: tuple[str, ...] = ()
    section: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    image: Image | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    embargo_until: datetime | None = None
    priority: Priority = Priority.NORMAL
    texts: Mapping[str, str] = field(default_factory=dict)
    hold: Reason | None = None
    hold_note: str = ""


class Status(StrEnum):
    """What may come of an article."""

    LIVE = "live"
    BASELINE = "baseline"
    HELD = "held"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    HELD = "held"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"


#: The words that pages and tables show for a state; JSON, logs and metrics use the code's own.
STATE_WORDS: Mapping[State, str] = MappingProxyType(
    {
        State.WAITING: "planned",
        State.SENDING: "sending",
        State.SENT: "sent",
        State.UNKNOWN: "unclear",
        State.HELD: "on hold",
        State.REJECTED: "not sent",
        State.SKIPPED: "skipped",
        State.WITHDRAWN: "withdrawn",
    }
)

OPEN_STATES = frozenset({State.WAITING, State.SENDING, State.UNKNOWN, State.HELD})


class Move(StrEnum):
    """Why a delivery goes from one state to another."""

    CLAIM = "claim"
    RECEIPT = "receipt"
    NOT_SENT = "not_sent"
    PARK = "park"
    REFUSED = "refused"
    MAYBE_SENT = "maybe_sent"
    FOUND = "found"
    ABSENT = "absent"
    CANNOT_TELL = "cannot_tell"
    RULED_OUT = "ruled_out"
    HOLD = "hold"
    RELEASE = "release"
    SKIP = "skip"
    REMOVED = "removed"
    RETRY = "retry"
    REOPEN = "reopen"
    SAID_THERE = "said_there"
    SAID_ABSENT = "said_absent"


#: Every legal move. The store's conditional update refuses all others; docs/flow.md is drawn from this table.
MOVES: Mapping[tuple[State, Move], State] = MappingProxyType(
    {
        (State.WAITING, Move.CLAIM): State.SENDING,
        (State.WAITING, Move.RULED_OUT): State.SKIPPED,
        (State.WAITING, Move.SKIP): State.SKIPPED,
        (State.WAITING, Move.HOLD): State.HELD,
        (State.WAITING, Move.FOUND): State.SENT,
        (State.WAITING, Move.CANNOT_TELL): State.HELD,
        (State.SENDING, Move.RECEIPT): State.SENT,
        (State.SENDING, Move.NOT_SENT): State.WAITING,
        (State.SENDING, Move.PARK): State.WAITING,
        (State.SENDING, Move.REFUSED): State.REJECTED,
        (State.SENDING, Move.MAYBE_SENT): State.UNKNOWN,
        (State.SENDING, Move.RULED_OUT): State.SKIPPED,
        (State.SENDING, Move.CANNOT_TELL): State.HELD,
        (State.UNKNOWN, Move.FOUND): State.SENT,
        (State.UNKNOWN, Move.ABSENT): State.WAITING,
        (State.UNKNOWN, Move.RULED_OUT): State.SKIPPED,
        (State.UNKNOWN, Move.CANNOT_TELL): State.HELD,
        (State.UNKNOWN, Move.REMOVED): State.WITHDRAWN,
        (State.UNKNOWN, Move.SAID_THERE): State.SENT,
        (State.UNKNOWN, Move.SAID_ABSENT): State.WAITING,
        (State.HELD, Move.RELEASE): State.WAITING,
        (State.HELD, Move.SKIP): State.SKIPPED,
        (State.HELD, Move.RULED_OUT): State.SKIPPED,
        (State.HELD, Move.FOUND): State.SENT,
        (State.HELD, Move.SAID_THERE): State.SENT,
        (State.HELD, Move.SAID_ABSENT): State.WAITING,
        (State.SENT, Move.REMOVED): State.WITHDRAWN,
        (State.REJECTED, Move.RETRY): State.WAITING,
        (State.REJECTED, Move.SKIP): State.SKIPPED,
        (State.REJECTED, Move.FOUND): State.SENT,  # by a store that was put back: a person had sent it after all
        (State.SKIPPED, Move.FOUND): State.SENT,  # the same
        (State.SKIPPED, Move.REOPEN): State.WAITING,
    }
)


class Action(StrEnum):
    """What an attempt tries to change on the network."""

    PUBLISH = "publish"
    EDIT = "edit"
    DELETE = "delete"


class Outcome(StrEnum):
    """How an attempt ended. `open` = nothing recorded yet."""

    OPEN = "open"
    RECEIPT = "receipt"
    PENDING = "pending"
    NOT_SENT = "not_sent"
    BUSY = "busy"
    EXPIRED = "expired"
    AUTH_FAILED = "auth_failed"
    MISCONFIGURED = "misconfigured"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"  # was refused as known, and what the network knows is another post
    UNKNOWN = "unknown"
    ABSENT = "absent"  # was unknown, and then proved never to have arrived
    FOUND = "found"  # was unknown, and then found on the network


#: Outcomes after which it is proved that the post is not out by this attempt.
PROVED_NOT_OUT = frozenset(
    {
        Outcome.NOT_SENT,
        Outcome.BUSY,
        Outcome.EXPIRED,
        Outcome.AUTH_FAILED,
        Outcome.MISCONFIGURED,
        Outcome.REJECTED,
        Outcome.DUPLICATE,
        Outcome.ABSENT,
    }
)


class Reason(StrEnum):
    """Why something goes, waits, or does not go. Each has its sentence in `bot.reasons`."""

    # a yes, and when
    ROUTE = "route"
    AT_ONCE = "at_once"
    SLOT = "slot"
    PINNED = "pinned"
    GAP = "gap"
    CAP_HOUR = "cap_hour"
    CAP_DAY = "cap_day"
    CAP_MONTH = "cap_month"
    QUIET = "quiet"
    BLACKOUT = "blackout"
    SETTLE = "settle"
    EMBARGO = "embargo"
    FUTURE = "future"
    SPREAD = "spread"
    BACKOFF = "backoff"
    NETWORK_LIMIT = "network_limit"
    BREAKER = "breaker"
    LOGIN = "login"
    BILLING = "billing"
    STOPPED = "stopped"
    CLOCK_SKEW = "clock_skew"
    SOURCE_SILENT = "source_silent"
    # a no
    NO_ROUTE = "no_route"
    ROUTE_CLOSED = "route_closed"
    BASELINE = "baseline"
    BEFORE_ACCOUNT = "before_account"
    REHEARSAL = "rehearsal"
    STALE = "stale"
    CAP = "cap"
    SAME_LINK = "same_link"
    NEAR_DUPLICATE = "near_duplicate"
    DUPLICATE_REJECTED = "duplicate_rejected"
    WITHDRAWN = "withdrawn"
    BY_HAND = "by_hand"
    ROUTE_CHANGED = "route_changed"
    MERGED = "merged"
    # a hold
    ROUTE_HOLD = "route_hold"
    NO_LINK = "no_link"
    NO_HEADLINE = "no_headline"
    LINT = "lint"
    ENCODING = "encoding"
    SENSITIVE = "sensitive"
    GUID_REUSE = "guid_reuse"
    FAR_FUTURE = "far_future"
    EMBARGO_UNCLEAR = "embargo_unclear"
    BUDGET = "budget"
    MASS_CHANGE = "mass_change"
    RULES_CHANGED = "rules_changed"
    CANNOT_FIT = "cannot_fit"
    TEMPLATE = "template"
    UNREADABLE = "unreadable"
    CANNOT_TELL = "cannot_tell"
    RESTORED = "restored"
    SOURCE_UNREACHABLE = "source_unreachable"
    # an end on the network
    REFUSED = "refused"
    LOST_REPLY = "lost_reply"
    SENT = "sent"
    SEEN_GONE = "seen_gone"
    TAKEN_DOWN = "taken_down"
    NOT_VISIBLE = "not_visible"


@dataclass(frozen=True, slots=True)
class Why:
    """A reason with its free words and the rule that it came from (a route's name, a slot's time, a number)."""

    reason: Reason
    detail: str = ""


class Unit(StrEnum):
    """What a network counts."""

    CHARACTERS = "characters"
    GRAPHEMES = "graphemes"
    UTF16 = "utf16"
    BYTES = "bytes"
    WEIGHTED = "weighted"  # twitter-text 3


class TagStyle(StrEnum):
    """Where a network takes tags."""

    INLINE = "inline"
    FIELD = "field"
    NONE = "none"


class LinkPlace(StrEnum):
    """Where the article's link stands in a post."""

    TEXT = "text"
    CARD = "card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a network takes, in its own unit. `sources` names the page behind each number.

    `link_cost` is what every detected link counts (None: its own length). `auto_links` says what the network turns into
    a link by itself: nothing, only addresses with a scheme, or bare domains too. `mentions`: whether `@name` pings.
    """

    size: int
    unit: Unit
    link_cost: int | None = None
    max_bytes: int | None = None
    link_place: LinkPlace = LinkPlace.TEXT
    auto_links: str = "scheme"  # "none" | "scheme" | "bare"
    mentions: bool = True
    tag_style: TagStyle = TagStyle.INLINE
    max_tags: int = 3
    card: bool = False
    markup: str = "plain"
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a network documents of its own patience; the newsroom's caps come on top. None = no such limit.

    `per_host`: requests of any kind within a time that one address of ours may make to one host, over all accounts.
    """

    gap: timedelta = timedelta(0)
    hour: int | None = None
    day: int | None = None
    per_host: tuple[int, timedelta] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Card:
    """The link card that the network or we build from the article."""

    link: str
    title: str
    description: str = ""
    image: Image | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Text, link, tags and card composed for one account, fitted to its limits.

    `created_at` and `delivery` come from the delivery's row: whatever a payload needs of time or identity derives from
    them, so that rendering twice gives the same bytes.
    """

    account: str
    text: str
    link: str | None = None
    tags: tuple[str, ...] = ()
    card: Card | None = None
    language: str | None = None
    warning: str | None = None
    headline: str = ""
    article: str = ""
    delivery: str = ""
    created_at: datetime
    length: int = 0
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes-to-be of one action, frozen in the attempt's row. `text` and `link` are what look-ups compare with."""

    body: bytes
    text: str
    link: str | None = None
    cost: str = "0"  # money, decimal, in the network's currency


@dataclass(frozen=True, slots=True)
class Receipt:
    """The network's proof: its id and the public address. An address that a person saw may stand without an id ("").

    `busy_until`: the same answer warned that the account's quota is nearly used up; nothing more goes out before then.
    What no store could keep of the answer is left out or replaced (`bot/keepable.py`): the post is out all the same.
    """

    remote_id: str
    url: str | None = None
    at: datetime | None = None
    busy_until: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "remote_id", keepable_text(self.remote_id))
        object.__setattr__(self, "url", keepable_text(self.url))
        object.__setattr__(self, "at", keepable_time(self.at))
        object.__setattr__(self, "busy_until", keepable_time(self.busy_until))


@dataclass(frozen=True, slots=True)
class Pending:
    """Phase one is done: nothing is public, and `container` names what phase two will publish."""

    container: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "container", keepable_text(self.container))


@dataclass(frozen=True, slots=True)
class Seen:
    """One own post as the network lists it."""

    receipt: Receipt
    links: tuple[str, ...]
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are on a network: the id that history hangs on, and what this server or plan allows (`facts`)."""

    remote_id: str
    name: str
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "remote_id", keepable_text(self.remote_id))
        object.__setattr__(self, "name", keepable_text(self.name))
        object.__setattr__(self, "expires_at", keepable_time(self.expires_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One article × one account × one occasion.

    `story` is the surviving article after merging. `ready_at` is before which it may not go (settle, embargo, backoff);
    `due_at` is what the timetable made of it, with `due_why`. `doubted_at` is when an attempt of this generation was
    first of unknown outcome: from then on generation, bytes and key are frozen. `absent_at`: last proved not there.
    `fresh_until` None: a person asked for it, so it never goes stale. `turn` orders what is due at one instant.
    """

    id: str
    article: str
    story: str
    account: str
    occasion: str
    state: State
    reason: Why
    priority: Priority
    route: str
    ready_at: datetime
    ready_why: Reason | None
    due_at: datetime | None
    due_why: tuple[Why, ...]
    fresh_until: datetime | None
    pinned_at: datetime | None
    turn: int
    edited_text: str | None
    edited_by: str | None
    text: str
    length: int
    cost: str
    generation: int
    tries: int
    attempt: int | None
    doubted_at: datetime | None
    absent_at: datetime | None
    retry_words: str
    sent_at: datetime | None
    confirmed_at: datetime | None
    remote_id: str | None
    url: str | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to change the network: its frozen payload and key, its deadlines, and how it ended."""

    id: int
    delivery: str
    account: str
    identity: str
    action: Action
    generation: int
    key: str
    payload: Payload
    started_at: datetime
    lease_until: datetime
    worker: str
    outcome: Outcome
    ended_at: datetime | None = None
    words: str = ""
    status: int | None = None
    request_id: str | None = None
    receipt: Receipt | None = None
    container: str | None = None
    finishing_at: datetime | None = None
