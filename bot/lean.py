"""What keeps a process that stands for months small, and its threads out of each other's way.

structlog imports rich for tracebacks that show local variables (ours never do), httpx imports it and pygments for a
command line of its own. Both go without where they are not installed: 5 MB less in a process that stands for months,
and a tenth of a second less in each start. Our own tables import rich where they print (`bot/cli/render.py`).
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

_FOR_LOOKS = ("rich", "pygments")
#: So many new objects until Python looks for cycles among them, once the many of the start stand: between the 700 that
#: Python begins with and what lets cycles pile up (20,000 are 1 MB).
_COLLECT_AFTER = 2_000
#: From glibc's malloc.h: how many heaps there may be.
_M_ARENA_MAX = -8
_CHOOSING = threading.Lock()


@contextmanager
def without_looks() -> Iterator[None]:
    """Within it rich and pygments count as not installed, unless they are loaded already. Around imports only."""
    loaded: dict[str, Any] = sys.modules  # None there makes an import fail (docs.python.org/3/reference/import.html)
    absent = [name for name in _FOR_LOOKS if name not in loaded]
    loaded.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del loaded[name]


def one_heap() -> None:
    """All threads share one heap of the C library. To be called before there are threads.

    glibc gives each thread one of its own, so that they needn't wait for one another. Threads that share Python's lock
    hardly would, and each heap keeps what it once needed: 7 MB in an idle worker, 18 MB in a large pass. Other C
    libraries have one heap anyway, and no such switch.
    """
    import ctypes

    switch = getattr(ctypes.CDLL(None), "mallopt", None)
    if switch is not None:
        switch(_M_ARENA_MAX, 1)


def settle() -> None:
    """What stands in memory now stays to the end: Python's collector need not look through it again and again.

    150,000 objects of modules cost 0.04 s each time, and it comes round more often the more is sent.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def on_one_core() -> None:
    """The calling thread runs on one core from now on, the same one for all that call this. (Linux only.)

    Threads that compute one at a time, under Python's lock, gain nothing by a second core, and hand the lock to each
    other at every call of the system: from core to core that cost half of a post's CPU (docs/decisions/one-core.md).
    """
    with _CHOOSING:
        core = _core()
    if core is not None:
        with suppress(OSError):  # a sandbox refuses it
            os.sched_setaffinity(0, {core})


@cache
def _core() -> int | None:
    """The core on which the first of them began: the system has spread the processes of the machine over them."""
    import ctypes

    here = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    core = here() if here is not None and hasattr(os, "sched_setaffinity") else -1
    return core if core >= 0 else None
