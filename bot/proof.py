"""Proof or doubt: what an exception on the way means.

One fact decides, noted by the wire: was the first byte written? An exception's class only gives the words.
"""

from __future__ import annotations

import socket

import httpcore

from bot.addresses import Refused
from bot.answer import Garbled, Oversize
from bot.errors import NotSent, TooLarge, Unknown, Unreachable, WirepostError
from bot.secrets import redact
from bot.wire import CONNECT_SECONDS, Late, Trip


def verdict(error: Exception, trip: Trip, host: str, *, safe: bool, seconds: float) -> WirepostError:
    """NotSent or Unknown by the first byte, for a `safe` request Unreachable or TooLarge; the cause in words.

    `seconds` is the request's total deadline. The project's own errors (the guard's NotSent) stay as they are.
    """
    if isinstance(error, WirepostError):
        return error
    words = redact(f"{host}: {_cause(error, trip, seconds)}")
    if safe:
        return TooLarge(words) if isinstance(error, Oversize) else Unreachable(words)
    return Unknown(words) if trip.wrote else NotSent(words)


#: What an exception's class says; the first that fits. Its own text is added where it can't quote the request.
_CAUSES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, bool], ...] = (
    ((Refused, Oversize, Garbled), "", True),
    (httpcore.ConnectTimeout, f"no connection within {CONNECT_SECONDS:g} s.", False),
    (httpcore.ConnectError, "can't be reached", True),
    (socket.gaierror, "the name can't be resolved", True),
    (httpcore.RemoteProtocolError, "closed the connection or gave an answer that is no HTTP.", False),
    (httpcore.LocalProtocolError, "the request can't be written as HTTP (a line break in a header?).", False),
    (httpcore.ProxyError, "the proxy refused", True),
    ((httpcore.ReadError, httpcore.WriteError), "the connection broke", True),
)


def _cause(error: Exception, trip: Trip, seconds: float) -> str:
    if isinstance(error, Late | httpcore.ReadTimeout | httpcore.WriteTimeout):
        if trip.connected or seconds <= CONNECT_SECONDS:
            return f"no whole answer within {seconds:g} s."
        return f"no connection within {CONNECT_SECONDS:g} s."
    for kinds, words, own_text in _CAUSES:
        if isinstance(error, kinds):
            text = f"{words} ({error})." if words and own_text else words or str(error)
            return text[:500]
    return f"an unexpected {type(error).__name__}."
