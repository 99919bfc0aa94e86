"""What stands in a worker's memory for months is what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(code: str) -> str:
    """What this code prints in a process of its own."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_worker_runs_without_the_libraries_for_looks() -> None:
    code = (
        "import sys, bot.worker, bot.cli.running\n"
        "print([name for name in ('rich', 'pygments') if name in sys.modules])\n"
        "import rich.table, pygments\n"  # where a table is printed, they load as ever
        "print(rich.table.Table.__name__)"
    )
    assert loaded(code).split("\n") == ["[]", "Table"]


@pytest.mark.parametrize("first", ["rich", "pygments"])
def test_what_is_loaded_already_stays(first: str) -> None:
    code = f"import sys, {first} as one\nimport bot.http, bot.log\nprint(sys.modules[{first!r}] is one)"
    assert loaded(code) == "True"


def test_threads_share_one_heap() -> None:
    code = (
        "import ctypes, threading\nfrom bot.lean import one_heap\none_heap()\n"
        "threads = [threading.Thread(target=ctypes.create_string_buffer, args=(100_000,)) for _ in range(4)]\n"
        "for one in threads: one.start()\n"
        "for one in threads: one.join()\n"
        "getattr(ctypes.CDLL(None), 'malloc_stats', lambda: None)()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "Arena 1" not in run.stderr  # glibc numbers its heaps
