"""What keeps a process that stands for months small.

structlog imports rich for tracebacks that show local variables (ours never do), httpx imports it and pygments for a
command line of its own. Both go without where they are not installed: 5 MB less in a process that stands for months,
and a tenth of a second less in each start. Our own tables import rich where they print (`bot/cli/render.py`).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FOR_LOOKS = ("rich", "pygments")
#: So many new objects until Python looks for cycles among them, once the many of the start stand: between the 700 that
#: Python begins with and what lets cycles pile up (20,000 are 1 MB).
_COLLECT_AFTER = 2_000
#: From glibc's malloc.h: how many heaps there may be.
_M_ARENA_MAX = -8


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
