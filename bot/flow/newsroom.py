"""What a step works with: the store, the door, the clock, the sources and accounts, and the rules that hold now."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import SecretStr

from bot.clock import Clock, Random
from bot.http import Door, Http, Response, server_date
from bot.model import Attempt, Delivery
from bot.networks.base import Credentials, Network
from bot.rules.backoff import safe_calls
from bot.rules.editorial import Editorial
from bot.secrets import Keyring, keep_out
from bot.sources.base import Batch, Source
from bot.store import Store
from bot.store.accounts import AccountRow
from bot.store.articles import Stored

T = TypeVar("T")

# An attempt's first byte leaves at most this long after its start was begun; later, the door refuses (NotSent).
SEND_WITHIN = timedelta(seconds=10)
# The total time of one request on a network, from its first byte to the end of the answer.
REQUEST = timedelta(seconds=20)
# The local clock may differ by so much from what networks say before publishing parks.
SKEW_PARKS = timedelta(minutes=5)
# How far before an attempt a look-up reads. Its start is dated by our clock, its post by the network's; they may differ
# by all that publishing does not park for, or a post that is there would lie before what is read, and count as absent.
LOOK_SLACK = SKEW_PARKS + timedelta(minutes=2)
# A source's batch answers "is the article still there, and how?" for so long.
LOOK_HOLDS = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the settings: its name, its network, and the options of its connection.

    `mark` tells one connection from another: by another token an account may be somebody else (see `marked`).
    """

    name: str
    network: type[Network]
    options: Any
    mark: str = ""

    @classmethod
    def marked(cls, keyring: Keyring, name: str, network: type[Network], options: Any) -> Account:
        """With the mark of its options, which are among the secrets that it gives away nothing of."""
        told = {
            key: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for key, value in dict(options).items()
        }
        return cls(name, network, options, keyring.mark(json.dumps(told, sort_keys=True)))


class Looks:
    """The newest batch of each source, for as long as it may answer for the source (None: it could not be had)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._batches: dict[str, tuple[float, Batch | None]] = {}

    def keep(self, source: str, batch: Batch) -> None:
        """Remember a batch; one that says "unchanged" renews the age of the last full one."""
        with self._lock:
            full = self._batches.get(source, (0.0, None))[1] if batch.unchanged else batch
            if full is not None:
                self._batches[source] = (self._clock.monotonic(), full)

    def known(self, source: str) -> bool:
        """Was the source asked in the last 30 s, with whatever answer?"""
        at, _ = self._batches.get(source, (float("-inf"), None))
        return self._clock.monotonic() - at <= LOOK_HOLDS.total_seconds()

    def answer(self, source: str, fetch: Callable[[], Batch | None]) -> Batch | None:
        """The last full batch if the source was asked in the last 30 s, else what `fetch` brings; None: it failed.

        One asks at a time: the others wait for its answer. A failure is an answer, too: that a source is down costs
        one wait in 30 s, not one for each post.
        """
        with self._lock:
            asking = self._asking.setdefault(source, threading.Lock())
        with asking:
            if not self.known(source):
                brought = fetch()
                with self._lock:
                    self._batches[source] = (self._clock.monotonic(), brought)
            return self._batches[source][1]


class Sightings:
    """When this process first saw something, by the monotonic clock: what *permits* a look or a resend is waited for
    here, never reckoned from stored times, since a clock that was set would permit too early."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[object, float] = {}

    def age(self, what: object) -> float:
        """Seconds since the first call for this thing; 0 on the first."""
        now = self._clock.monotonic()
        with self._lock:
            return now - self._seen.setdefault(what, now)

    def again(self, what: object) -> None:
        """Count from now."""
        with self._lock:
            self._seen[what] = self._clock.monotonic()

    def since(self, what: object) -> float | None:
        """Seconds since it was marked, None if it never was."""
        with self._lock:
            at = self._seen.get(what)
        return None if at is None else self._clock.monotonic() - at

    def has(self, kind: str) -> bool:
        """Is there anything of a kind (first item of a tuple)?"""
        with self._lock:
            return any(isinstance(key, tuple) and key[0] == kind for key in self._seen)

    def keep_only(self, kind: str, wanted: set[object]) -> None:
        """Forget the things of a kind (first item of a tuple) that are not wanted any more."""
        with self._lock:
            for what in [key for key in self._seen if isinstance(key, tuple) and key[0] == kind and key not in wanted]:
                del self._seen[what]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is due on an account, read at once for the next few posts: when (monotonic, and by the store's clock)."""

    read_at: float
    now: datetime
    row: AccountRow | None
    due: deque[tuple[Delivery, Stored]]


def _asleep(_: str) -> None:
    return None


@dataclass(slots=True, kw_only=True)
class Newsroom:
    """All that one worker works with. `editorial` and `rules` (its revision's number) change together on a reload."""

    store: Store
    door: Door
    clock: Clock
    random: Random
    keyring: Keyring
    worker: str
    sources: Mapping[str, Source]
    accounts: Mapping[str, Account]
    editorial: Editorial
    rules: int
    wake: Callable[[str], None] = _asleep
    crash: Callable[[str], None] = _asleep
    looks: Looks = field(init=False)
    sightings: Sightings = field(init=False)
    #: Attempts that this process has on the wire.
    in_flight: set[int] = field(default_factory=set)
    #: How often, and when last (monotonic), an attempt or an account was looked up; what the last failed look said.
    looked: dict[int | str, tuple[int, float]] = field(default_factory=dict)
    last_look: dict[int, str] = field(default_factory=dict)
    #: Attempts that a dead process left open: it held the store alone, so nothing of them can leave any more.
    orphans: frozenset[int] = frozenset()
    #: What was read ahead, by account; each account's thread has its own.
    ahead: dict[str, Ahead] = field(default_factory=dict)
    _skews: dict[str, timedelta] = field(default_factory=dict)
    #: Accounts whose networks were not asked yet since the start, and may still tell the time. None: nobody was asked.
    unasked: set[str] | None = None
    #: Off in a simulation, which has no use for retries within a step.
    patient: bool = True

    def __post_init__(self) -> None:
        self.looks = Looks(self.clock)
        self.sightings = Sightings(self.clock)

    def reading(self, source: Source) -> Http:
        """The door for a source."""
        return self.door.reading(allow_private=source.options.allow_private, **source.door_limits())

    def reader(self, row: AccountRow) -> Network:
        """The account's adapter for requests that change nothing (or are safe to repeat, as uploads)."""
        account = self.accounts[row.name]
        http = self.door.reading(
            allow_private=account.options.allow_private, per_host=account.network.pace.per_host, heard=self._heard
        )
        return self._adapter(row, http)

    def publisher(self, row: AccountRow, started: tuple[datetime, float] | None = None) -> Network:
        """The account's adapter for an attempt; `started`: the two local clocks, read before its start transaction."""
        account = self.accounts[row.name]
        wall, monotonic = started or (None, None)
        http = self.door.publishing(
            started_wall=wall,
            started_monotonic=monotonic,
            send_within=SEND_WITHIN.total_seconds(),
            deadline=REQUEST.total_seconds(),
            allow_private=account.options.allow_private,
            per_host=account.network.pace.per_host,
            heard=self._heard,
        )
        return self._adapter(row, http)

    def _adapter(self, row: AccountRow, http: Http) -> Network:
        account = self.accounts[row.name]
        return account.network(account.options, self.credentials(row), row.facts, http)

    def _heard(self, response: Response) -> None:
        """Compare our clock with the network's; the median of what the hosts say counts, since one may be wrong."""
        theirs = server_date(response)
        if theirs is not None:
            self._skews[response.url.partition("//")[2].partition("/")[0]] = response.received_at - theirs

    @property
    def skew(self) -> timedelta:
        """How far our clock is ahead of the networks' (behind: negative); nothing if none of them told a date."""
        told = sorted(self._skews.values())
        return told[len(told) // 2] if told else timedelta(0)

    @property
    def time_heard(self) -> bool:
        """Did any network tell the time?"""
        return bool(self._skews)

    @property
    def parked_by_clock(self) -> bool:
        """Do the clocks disagree so far that nothing may be published (a wrong clock must not make a day stale)?"""
        return abs(self.skew) > SKEW_PARKS

    @property
    def time_unheard(self) -> bool:
        """Did no network tell the time since the start, and one still may? Our clock then rules nothing out."""
        return not self._skews and (self.unasked is None or bool(self.unasked))

    def may_be_early(self, account: str) -> bool:
        """Is this account's network still to tell the time? Nothing goes out there before: an embargo may run."""
        unasked = self.unasked is None or account in self.unasked
        return unasked and self.time_unheard and not self.accounts[account].network.local

    def safely(self, call: Callable[[], T]) -> T:
        """A call that changes nothing, tried up to three times after trouble on the way (tenacity; see the rule)."""
        if not self.patient:
            return call()
        pause = threading.Event()
        return safe_calls(sleep=lambda seconds: self.clock.wait(pause, seconds), uniform=self.random.uniform)(call)

    def credentials(self, row: AccountRow) -> Credentials:
        """What the bot renewed and stored for the account. Raises StoreError if our key doesn't open it."""
        if row.credentials is None:
            return {}
        opened = json.loads(self.keyring.decrypt(row.credentials, place=_place(row.name)))
        return _hidden({name: SecretStr(value) for name, value in opened.items()})

    def sealed(self, account: str, credentials: Credentials) -> str:
        """Credentials as the store keeps them: encrypted, and bound to the account's row."""
        _hidden(credentials)
        plain = json.dumps({name: value.get_secret_value() for name, value in credentials.items()}, sort_keys=True)
        return self.keyring.encrypt(plain, place=_place(account))

    def lease(self, network: type[Network]) -> timedelta:
        """How long an attempt without an outcome stays its worker's: until nothing of it can be on the way any more."""
        return SEND_WITHIN + REQUEST + timedelta(seconds=network.in_flight_max.lost)

    def lease_left(self, attempt: Attempt) -> float:
        """Seconds for which an attempt without an outcome must be left alone, from our first sight of it.

        Its process may still be alive and asleep between commit and first byte; the whole lease covers that. Where the
        store was held alone by a process that is dead, nothing of it can leave any more: what is on the way is waited
        for afterwards, as for every unknown.
        """
        return 0.0 if attempt.id in self.orphans else self.lease(self.accounts[attempt.account].network).total_seconds()


def _hidden(credentials: Credentials) -> Credentials:
    """From now on these values are blanked out wherever they turn up in a log line or an error."""
    for value in credentials.values():
        keep_out(value.get_secret_value())
    return credentials


def _place(account: str) -> str:
    return f"accounts.{account}.credentials"
