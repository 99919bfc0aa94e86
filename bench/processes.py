"""`wirepost` as whole processes, and what they cost. Linux: memory and CPU are read from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.house import around


def command(*words: str) -> list[str]:
    """The installed program, as a person calls it."""
    return [str(Path(sys.executable).with_name("wirepost")), *words]


@dataclass(frozen=True, slots=True)
class Run:
    """A process from its start to its end."""

    code: int
    seconds: float
    cpu: float
    peak_mb: float


def whole(said: Mapping[str, str], *words: str, log: Path | None = None) -> Run:
    """Run one command to its end. What it says on standard error goes to `log`."""
    with (log or Path(os.devnull)).open("a") as lines:
        began = time.perf_counter()
        child = subprocess.Popen(command(*words), env=around(said), stdout=subprocess.DEVNULL, stderr=lines)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(child.returncode, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


@contextmanager
def running(said: Mapping[str, str], *words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One command while it runs; stopped in good order at the end."""
    with log.open("a") as lines:
        child = subprocess.Popen(command(*words), env=around(said), stdout=subprocess.DEVNULL, stderr=lines)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


def resident_mb(pid: int) -> float:
    """What of its memory is in RAM now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """What all its threads have computed so far, to the nanosecond where the clock's ticks are too coarse."""
    return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
