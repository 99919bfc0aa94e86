"""Libraries without what they load for looks alone.

structlog imports rich for tracebacks that show local variables (ours never do), httpx imports it and pygments for a
command line of its own. Both go without where they are not installed: 5 MB less in a process that stands for months,
and a tenth of a second less in each start. Our own tables import rich where they print (`bot/cli/render.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FOR_LOOKS = ("rich", "pygments")


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
