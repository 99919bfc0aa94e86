"""The log: one line an event, readable in a terminal, JSON elsewhere; without secrets, and never by the gigabyte.

    events("deliver").info("sent", account="nyt_x", delivery="k3f…")     event names are stable, details are fields

Standard-library records (APScheduler, SQLAlchemy, alembic) go through the same steps. Loggers of the libraries that
print addresses and tokens stay at WARNING, whatever level is set (httpx logs each URL at INFO; oauthlib and
requests_oauthlib log signatures and tokens at DEBUG).
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from bot.clock import Clock, SystemClock
from bot.lean import without_looks
from bot.secrets import REDACTED, redact

with without_looks():
    import structlog
    from structlog.typing import EventDict, Processor

#: They print addresses, headers or tokens below WARNING.
LOUD = ("httpx", "httpcore", "tweepy", "oauthlib", "requests_oauthlib", "requests", "urllib3")
#: They say at INFO what is said in our own events.
CHATTY = ("apscheduler", "alembic")
#: A repeated message is printed again only after these distances (seconds), and then hourly: a failure each second
#: makes 28 lines in a day instead of 86,400.
DISTANCES = (10.0, 60.0, 600.0, 3600.0)
#: Messages whose repeats are counted at a time; the one seen longest ago is forgotten first.
_COUNTED = 1024
#: Fields of free text or of measure: they differ between two tellings of the same thing. Numbers never tell apart.
_FREE = frozenset({"exception", "exc_info", "error", "words", "stack", "stack_info", "timestamp", "_record"})
#: A field whose name ends so, without its dashes, is never shown: access_token, X-Api-Key, Set-Cookie, clientSecret.
_SECRET_NAMES = (
    "authorization", "token", "password", "passwd", "secret", "consumerkey", "apikey", "cookie", "privatekey",
    "signature", "jwt", "credentials", "sessionkey",
)  # fmt: skip
_LEVELS = ("debug", "info", "warning", "error", "critical")


def events(step: str) -> Any:
    """The logger of one part of the house; its name stands in each line as `step`."""
    return structlog.get_logger(step=step)


def configure(*, json: bool, level: str = "info", stream: TextIO | None = None, clock: Clock | None = None) -> None:
    """Set the log up for this process; may be called again. `level` is debug, info, warning, error or critical.

    Raises ValueError for another level. `stream` is standard error if not given. A stream that can't be written to
    (disk full, closed pipe) loses lines and stops nothing.
    """
    if level.lower() not in _LEVELS:
        raise ValueError(f"no log level “{level}”; there are {', '.join(_LEVELS)}")
    lowest = getattr(logging, level.upper())
    time = clock or SystemClock()
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)
    if not json:
        renderer = structlog.dev.ConsoleRenderer(
            colors=bool(stream is None and sys.stderr.isatty()),
            exception_formatter=structlog.dev.plain_traceback,  # the pretty ones show local variables
            pad_event_to=0,
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _Repeats(time),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _without_secrets,
            _Stamp(time),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=_Lines(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, _Pipe)] + [_Pipe()]
    root.setLevel(lowest)
    for name in (*LOUD, *CHATTY):
        logging.getLogger(name).setLevel(max(logging.WARNING, lowest))


class _Lines:
    """Writes whole lines; the factory and the logger in one."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, *_: Any) -> _Lines:
        return self

    def msg(self, message: str) -> None:
        """Write one line, or lose it: a log that can't be written must not stop the sending of posts."""
        stream = self._stream or sys.stderr
        try:
            with self._lock:
                stream.write(message + "\n")
                stream.flush()
        except (OSError, ValueError, UnicodeError):
            return

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


class _Pipe(logging.Handler):
    """Hands the standard library's records to the same steps."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and record.name.partition(".")[0] in LOUD:
            return  # somebody lowered that logger's level again
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 -- a wrong format string in a library must not break the caller
            text = str(record.msg)
        level = next((name for name in reversed(_LEVELS) if record.levelno >= getattr(logging, name.upper())), "debug")
        logger = structlog.get_logger()
        # `same` is the text before its values were put in: it tells what counts as a repeat.
        getattr(logger, level)(text, logger=record.name, exc_info=record.exc_info or None, same=str(record.msg))


class _Stamp:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        now: datetime = self._clock.now()
        stamped = {"timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        return {**stamped, **event}


class _Repeats:
    """Lets a message through, then counts its repeats and tells them at growing distances (P110)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[Any, ...], _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        now = self._clock.monotonic()
        with self._lock:
            seen = self._noted(_identity(event), now)
            if seen.printed_at is not None and now - seen.printed_at < DISTANCES[seen.step]:
                seen.kept_back += 1
                raise structlog.DropEvent
            if seen.printed_at is not None:
                seen.step = min(seen.step + 1, len(DISTANCES) - 1)
            if seen.kept_back:
                event["repeated"] = seen.kept_back
            seen.printed_at, seen.kept_back = now, 0
        event.pop("same", None)
        return event

    def _noted(self, key: tuple[Any, ...], now: float) -> _Seen:
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen()
            if len(self._seen) > _COUNTED:
                self._seen.popitem(last=False)
        elif not seen.kept_back and seen.printed_at is not None and now - seen.printed_at > DISTANCES[-1]:
            seen.printed_at, seen.step = None, 0  # it had ended: the next one is news again
        self._seen.move_to_end(key)
        return seen


class _Seen:
    __slots__ = ("kept_back", "printed_at", "step")

    def __init__(self) -> None:
        self.printed_at: float | None = None
        self.step = 0
        self.kept_back = 0


def _identity(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two messages the same: event, level and the names in its fields, not its numbers and free text."""
    text = event.get("same", event.get("event"))
    names = sorted(
        (name, str(value))
        for name, value in event.items()
        if name not in _FREE and name not in ("event", "same") and isinstance(value, str | bool)
    )
    return (text, *names)


def _without_secrets(logger: Any, method: str, event: EventDict) -> EventDict:
    return {name: _shown(name, value, 0) for name, value in event.items()}


def _shown(name: str, value: Any, depth: int) -> Any:
    """A value as it may be printed: by its name, by its content, and through what it contains."""
    if name.lower().replace("_", "").replace("-", "").endswith(_SECRET_NAMES):
        return REDACTED if value is not None else None
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if depth < 5 and isinstance(value, Mapping):
        return {redact(str(key)): _shown(str(key), inner, depth + 1) for key, inner in value.items()}
    if depth < 5 and isinstance(value, list | tuple | set | frozenset):
        return [_shown("", inner, depth + 1) for inner in value]
    try:
        return redact(str(value) if isinstance(value, BaseException) else repr(value))
    except Exception:  # noqa: BLE001 -- a broken repr must not break the caller
        return f"<{type(value).__name__}>"


def quiet() -> None:
    """The state before `configure`: warnings only, to standard error, so that a command's results stand alone."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=_Lines(None),
        processors=[
            structlog.processors.add_log_level,
            _without_secrets,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
    )


quiet()
