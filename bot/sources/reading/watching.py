"""A folder watched with watchdog: which files are whole (Linux), and when to look (everywhere)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from bot.sources.reading.files import SIDECARS, STORIES

# Only inotify reports the close of a file that was written (inotify(7), IN_CLOSE_WRITE).
_INOTIFY = sys.platform.startswith("linux")
_IDLE = frozenset({"opened", "closed_no_write"})


class Watch(FileSystemEventHandler):
    """Tells `closed` and `opened` the relative path of a story, then `changed` that a look is worth while."""

    def __init__(
        self, root: Path, closed: Callable[[str], None], opened: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self._root, self._closed, self._opened, self._changed = root, closed, opened, changed

    def started(self) -> Callable[[], None] | None:
        """Start; what comes back stops it. None where the system has no watches (left): the folder is polled then."""
        observer: Any
        if _INOTIFY:
            from watchdog.observers.inotify import InotifyObserver

            observer = InotifyObserver(generate_full_events=True)  # else a file moved in from outside looks created
        else:
            from watchdog.observers import Observer

            observer = Observer()
        try:
            observer.schedule(self, str(self._root), recursive=True)
            observer.start()
        except OSError:
            return None

        def stop() -> None:
            observer.stop()
            observer.join()

        return stop

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread."""
        kind = event.event_type
        if kind in _IDLE or (event.is_directory and kind == "modified"):
            return
        if kind == "modified":
            self._opened(self._story(event.src_path))
            if _INOTIFY:
                return  # its close will follow
        elif _INOTIFY and kind == "closed":
            self._closed(self._story(event.src_path))
        elif _INOTIFY and kind == "moved" and event.dest_path:
            self._closed(self._story(event.dest_path))
        self._changed()

    def _story(self, raw: str | bytes) -> str:
        """The story that an event is about, by its relative path; a side file's event is its story's."""
        path = Path(os.fsdecode(raw))
        if path.suffix.lower() in SIDECARS:
            path = next((one for ending in STORIES if (one := path.with_suffix(ending)).is_file()), path)
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else ""
