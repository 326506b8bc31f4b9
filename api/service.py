"""`vlab serve`: the controller's loop and its HTTP face in one process, until told to stop.

settings -> installation -> loop (this thread)
                         -> view -> HTTP (a thread of its own)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from api.answers import Fault
from api.exits import Exit
from api.http import Server, create_app
from api.logs import log_to_stderr
from api.metrics import Metrics
from api.output import say
from api.sight import Sight
from api.view import LabNow, View
from controller.clock import Clock
from controller.history import History
from controller.installation import Installation, install
from controller.reconcile import Ending, Pass
from controller.secrets import resolve
from controller.setting_types import address
from controller.settings import Settings, read_settings
from controller.source import Source, SourceUnreachable
from controller.triggers import TreeWatch
from lab.errors import LabInvalid
from lab.lab import Lab
from lab.load import load

GOOD = frozenset({Ending.IN_SYNC, Ending.APPLIED})


def serve(settings_path: Path) -> int:
    """Run until SIGTERM or SIGINT; what is under way ends after its present operation.

    Raises SettingsInvalid, Refused, HistoryAway, ServerFailed, WatchFailed.
    """
    settings = read_settings(settings_path)
    log_to_stderr()
    with install(settings) as parts, serving(parts) as url, _watched(parts):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: parts.triggers.stop_soon())
        say(f"status page: {url}")
        parts.controller.run()
    return Exit.FINE


@contextmanager
def serving(parts: Installation, faults: Callable[[], Sequence[Fault]] = tuple) -> Iterator[str]:
    """Serve the page and the API of an installation; the value is the page's address.

    `faults`: what is broken and no device can say; the simulated lab knows of its cables.
    Raises Refused for an open address without a token, SettingsInvalid, ServerFailed.
    """
    settings, clock = parts.settings, parts.world.clock
    host, port = address(settings.api.listen)
    settings.check_secrets("api")
    token = resolve(settings.api.token, settings.folder) if settings.api.token else None
    metrics = Metrics()
    with ExitStack() as opened:
        sight = Sight(parts.world.devices, clock)
        opened.callback(sight.close)
        labs = InForce(parts.history, parts.source)

        def now() -> LabNow | None:
            found = labs.now()
            if found is None:
                return None
            seen = sight.now()
            return LabNow(found[1], found[0], seen.places, (*faults(), *seen.faults))

        view = View(parts.history, now, parts.triggers.pull, host, token)
        parts.controller.heard = _counting(metrics, clock)
        server = opened.enter_context(Server(create_app(view, metrics), host, port))
        yield server.url


class InForce:
    """The lab of the commit in force, loaded once; safe to ask from any thread."""

    def __init__(self, history: History, source: Source) -> None:
        self._history = history
        self._source = source
        self._lock = threading.Lock()
        self._known: tuple[str, Lab] | None = None

    def now(self) -> tuple[str, Lab] | None:
        """The commit and its lab; None while there is none. Raises HistoryAway."""
        good = self._history.in_force()
        if good is None:
            return None
        commit = good.revision.commit
        with self._lock:
            if self._known is None or self._known[0] != commit:
                try:
                    self._known = commit, load(self._source.files(commit))
                except (LabInvalid, SourceUnreachable):
                    return None  # the conditions say so: NothingInForce
            return self._known


def _counting(metrics: Metrics, clock: Clock) -> Callable[[Pass | None, float], None]:
    """What keeps the figures of passes."""

    def heard(done: Pass | None, took_s: float) -> None:
        if done is None:
            metrics.passed("none", took_s, None)
            return
        metrics.passed(done.ending, took_s, clock.now() if done.ending in GOOD else None)
        observed = done.observed
        unknown = {device for device, _ in observed.unknown}
        unknown |= {key.device for key in observed.doubtful}
        things = dict.fromkeys(observed.kinds, 0)
        for key in observed.things:
            things[key.device] += 1
        metrics.observed(things, len(unknown))

    return heard


@contextmanager
def _watched(parts: Installation) -> Iterator[None]:
    """Look at once when the local tree of the settings changes, if there is one."""
    settings: Settings = parts.settings
    if settings.source.watch is None:
        yield
        return
    folder = settings.path(settings.source.watch)
    with TreeWatch(folder, parts.triggers, besides=settings.state_folder):
        yield
