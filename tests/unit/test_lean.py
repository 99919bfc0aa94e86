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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread choose its core")
def test_account_threads_share_one_core_and_the_others_stay_free() -> None:
    code = (
        "import os, threading\nfrom concurrent.futures import ThreadPoolExecutor as Pool\n"
        "from bot.lean import on_one_core\n"
        "free = os.sched_getaffinity(0)\nmeet = threading.Barrier(4)\n"
        "with Pool(4, initializer=on_one_core) as pool:\n"
        "    cores = list(pool.map(lambda _: (meet.wait(), os.sched_getaffinity(0))[1], range(4)))\n"
        "print(len(cores[0]), cores[0] <= free, all(one == cores[0] for one in cores), os.sched_getaffinity(0) == free)"
    )
    assert loaded(code) == "1 True True True"
