"""What says "look now": the poll timer, the drift timer, a webhook, a change of a local tree, a
person.

A trigger carries no content: each pass looks at everything anyway. Many triggers while a pass runs
are one more pass.
"""

from __future__ import annotations

import threading
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from lab.errors import VlabError


class Triggers:
    """Collects reasons to look; one thread waits, any thread pulls or stops."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reasons: set[str] = set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether nobody shall look any more."""
        return self._stopped

    def pull(self, reason: str) -> None:
        """Say "look now" and why."""
        with self._changed:
            self._reasons.add(reason)
            self._changed.notify_all()

    def stop(self) -> None:
        """Say "look no more"; who waits returns at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def stop_soon(self) -> None:
        """`stop`, for a signal's handler: that runs in the thread that waits, anywhere in between,
        where telling it would be lost.
        """
        threading.Thread(target=self.stop, name="stop", daemon=True).start()

    def wait(self, timeout_s: float) -> set[str]:
        """Reasons since the last call; empty if `timeout_s` passed without any, or when stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._reasons or self._stopped, timeout_s)
            reasons, self._reasons = self._reasons, set()
        return reasons


class WatchFailed(VlabError):
    """The folder can't be watched."""


class TreeWatch(FileSystemEventHandler):
    """Pulls the trigger `file` when something below a local folder changes.

    `besides`: a folder whose changes do not count; our own state is often kept in the tree.
    """

    def __init__(self, folder: Path, triggers: Triggers, besides: Path | None = None) -> None:
        self._triggers = triggers
        self._folder = folder.resolve()
        self._besides = besides.resolve() if besides is not None else None
        self._observer = Observer()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("created", "modified", "moved", "deleted"):
            return
        ours = self._besides is not None and Path(str(event.src_path)).is_relative_to(self._besides)
        if not ours:
            self._triggers.pull("file")

    def __enter__(self) -> TreeWatch:
        """Raises WatchFailed."""
        try:
            self._observer.schedule(self, str(self._folder), recursive=True)
            self._observer.start()
        except OSError as error:
            raise WatchFailed(f"{self._folder} can't be watched: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.stop()
        self._observer.join()
