"""A real `wirepost run` as a child process, and waiting for what it does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A step that takes a moment in an idle machine may take much longer in a busy one; only a failure waits so long.
PATIENCE = 60.0


def eventually(
    check: Callable[[], bool], what: str | Callable[[], str], within: float = PATIENCE, *, every: float = 0.02
) -> None:
    """Wait until the check holds; fail with `what` (as it is then) if it never does."""
    tick = threading.Event()
    for _ in range(int(within / every)):
        if check():
            return
        tick.wait(every)
    raise AssertionError(f"not within {within:.0f} s: {what if isinstance(what, str) else what()}")


def house(folder: Path) -> Path:
    """A copy of the shipped configuration with its sample articles: the project of a new user."""
    shutil.copytree(ROOT / "config", folder / "config")
    return folder


def posts(folder: Path) -> list[dict[str, object]]:
    """What stands in the outbox; a half-written last line doesn't count."""
    path = folder / "var" / "outbox" / "posts.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1] if line]


def log_of(folder: Path) -> str:
    """What the house's processes said."""
    return (folder / "run.log").read_text("utf-8")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bot", *words]


def environment(**more: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WIREPOST_")}  # noqa: TID251 -- a child process gets the environment of its parent
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def wirepost(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=5 * PATIENCE
    )


@contextmanager
def running(folder: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`wirepost run` in a folder; killed at the end if it still lives. Its output is in run.log there."""
    with (folder / "run.log").open("a", encoding="utf-8") as log:
        child = subprocess.Popen(
            command("run", *words), cwd=folder, env=environment(**more), stdout=log, stderr=log, text=True
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.wait(PATIENCE)
