"""Every error that Wirepost raises, in one tree.

    WirepostError
    ├── UsageError            2   what a person typed can't be meant
    │   └── SettingsError     2   the settings file: all problems at once
    ├── NoMatch               5   no article, delivery or account of that name
    ├── StoppedError          6   refused because a stop switch is on
    ├── StoreError            1   the store can't be used
    │   ├── StoreTaken       11   another process holds it
    │   └── WrongSchema           it has another version's tables
    ├── SourceError               a source gave no usable answer; nothing was lost
    │   ├── Unreachable           network or server trouble: try again
    │   ├── Blocked               403, 429 or a challenge page: let us in, or slower
    │   ├── NotFeed               something came, but no articles of that kind
    │   ├── TooLarge              a cap on size, time or count was passed
    │   └── Ended                 410: stop asking
    └── SendError                 what an attempt on a network can end in, but for a receipt
        ├── NotSent               proved: nothing left
        │   ├── Busy              not now; `until` says when
        │   └── Expired           the access token is over: refresh once
        ├── AuthFailed            a human must log in again
        ├── Misconfigured         billing or permission: park the account
        ├── Rejected              the network says no to this content
        ├── Duplicate             the network says it has this already: look it up
        └── Unknown               it may be out. Also: anything that nobody expected

The numbers are exit codes of the command line. Each message says what happened, where, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from bot.keepable import keepable_text, keepable_time


class WirepostError(Exception):
    """The root. `exit_code` is what the command line ends with if nothing handles it."""

    exit_code: ClassVar[int] = 1


class UsageError(WirepostError):
    """What a person asked for can't be done as said; the message names the right form."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in the settings: where (1-based line and column, 0 = unknown), what, and how to mend it."""

    key: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    length: int = 1
    level: str = "error"  # or "warning"
    fix: str = ""


class SettingsError(UsageError):
    """The settings don't hold; `problems` lists all of them, never only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.file}:{p.line}:{p.column}: {p.key}: {p.message}" for p in problems))


class NoMatch(WirepostError):
    """Nothing in the store fits what was named, or several things do: no one thing was meant."""

    exit_code = 5


class StoppedError(WirepostError):
    """A stop switch holds; the message names it, its reason and how to lift it."""

    exit_code = 6


class StoreError(WirepostError):
    """The store can't be read or written: full, locked, read-only, damaged or newer than this program."""


class StoreTaken(StoreError):
    """Another worker holds this store."""

    exit_code = 11


class WrongSchema(StoreError):
    """The store has the tables of an older or a newer version, or none: this program must not write there."""


class SourceError(WirepostError):
    """A source gave nothing usable. `retry_after` (seconds) is the server's own wish, if it had one."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Unreachable(SourceError):
    """DNS, connection, time-out or 5xx: the next poll may succeed."""


class Blocked(SourceError):
    """The server refuses us (401, 403, 429, a challenge page): it is asked seldom, and a human is told."""


class NotFeed(SourceError):
    """The document is not what the source's kind reads; the message says what it is instead."""


class TooLarge(SourceError):
    """A cap on bytes, expanded bytes, items or seconds was passed; the message names the cap and its setting."""


class Ended(SourceError):
    """410 Gone: the publisher ended this source."""


class SendError(WirepostError):
    """How an attempt can end without a receipt.

    `words` are the network's own (redacted, at most 2,000 characters, such as a store can keep: `bot/keepable.py`),
    `status` its HTTP status, `request_id` what its support will ask for.
    """

    def __init__(self, words: str = "", *, status: int | None = None, request_id: str | None = None) -> None:
        words = keepable_text(words)
        super().__init__(words or type(self).__doc__ or type(self).__name__)
        self.words = words[:2000]
        self.status = status
        self.request_id = keepable_text(request_id)


class NotSent(SendError):
    """Nothing left: the first write was never made, or the network refused before doing anything."""


class Busy(NotSent):
    """The network can't take it now. `until` is its own word for when; without one, our backoff decides."""

    def __init__(
        self,
        words: str = "",
        *,
        until: datetime | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(words, status=status, request_id=request_id)
        self.until = keepable_time(until)


class Expired(NotSent):
    """The access token is over its time; a refresh may mend it without a human."""


class AuthFailed(SendError):
    """The login is dead: a human must log in again."""


class Misconfigured(SendError):
    """Billing, plan or permission: nothing will go out on this account until a human mends it."""


class Rejected(SendError):
    """The network refuses this content, for good."""


class Duplicate(SendError):
    """The network says that it has this already: it must be looked up."""


class Unknown(SendError):
    """It may be out: no answer, a broken one, or one that nobody expected."""
