"""Figures for Prometheus: `vlab_` names, base units, what was counted since the process began.

What is counted (passes, simulations) is kept here; what stands (sync, conditions, drift) is read
from the history when somebody scrapes. Source: the Prometheus documentation, metric and label
naming.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from api.view import View
from controller import status as standing
from controller.conditions import ConditionType, Status

PASS_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
SIMULATION_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All figures of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = kept = CollectorRegistry()
        self._whole = threading.Lock()  # held by who empties and fills a figure, and who reads all
        build = Info("vlab_build", "What is running.", registry=kept)
        build.info({"version": version("vlab")})
        told = "How long passes took."
        self._pass_s = Histogram(
            "vlab_pass_duration_seconds", told, buckets=PASS_BUCKETS_S, registry=kept
        )
        told = "Passes by what they came to; none: there could be no pass, or another leads."
        self._passes = Counter("vlab_passes", told, ["ending"], registry=kept)
        told = "When a pass last ended in sync or applied, since the epoch."
        self._success_s = Gauge("vlab_last_success_timestamp_seconds", told, registry=kept)
        told = "Things seen on a device in the last pass."
        self._observed = Gauge("vlab_observed_things", told, ["device"], registry=kept)
        told = "Devices of which something did not answer in the last pass."
        self._unknown = Gauge("vlab_unknown_devices", told, registry=kept)
        told = "Simulations by verdict."
        self._simulations = Counter("vlab_simulations", told, ["verdict"], registry=kept)
        told = "How long simulations took."
        self._simulation_s = Histogram(
            "vlab_simulation_duration_seconds", told, buckets=SIMULATION_BUCKETS_S, registry=kept
        )
        told = "1 while the lab is as the commit says."
        self._in_sync = Gauge("vlab_in_sync", told, registry=kept)
        told = "1 for the status that a condition of the lab has."
        self._conditions = Gauge("vlab_condition", told, ["type", "status"], registry=kept)
        told = "Declared objects that somebody else changed."
        self._drifted = Gauge("vlab_drifted_objects", told, registry=kept)
        told = "Declared objects."
        self._objects = Gauge("vlab_objects", told, registry=kept)

    def passed(self, ending: str, took_s: float, success_s: float | None) -> None:
        """A pass ended; `success_s`: when, if it was a good one."""
        self._passes.labels(ending.replace(" ", "-")).inc()
        self._pass_s.observe(took_s)
        if success_s is not None:
            self._success_s.set(success_s)

    def observed(self, things: Mapping[str, int], unknown: int) -> None:
        """How much was seen on each device, and on how many something did not answer."""
        with self._whole:
            self._observed.clear()
            for device, count in things.items():
                self._observed.labels(device).set(count)
            self._unknown.set(unknown)

    @contextmanager
    def simulation(self) -> Iterator[None]:
        """Time a simulation."""
        with self._simulation_s.time():
            yield

    def simulated(self, verdict: str) -> None:
        """A simulation came to a verdict."""
        self._simulations.labels(verdict).inc()

    def text(self, view: View) -> bytes:
        """All of it now. Raises HistoryAway."""
        now = standing.status(view.history, runs=0, events=0)
        with self._whole:
            return self._of(now)

    def _of(self, now: standing.Status) -> bytes:
        self._in_sync.set(now.sync is standing.Sync.IN_SYNC)
        self._conditions.clear()
        for condition in now.conditions:
            for status in Status:
                known = self._conditions.labels(condition.type, status)
                known.set(condition.status is status)
        self._objects.set(len(now.objects))
        self._drifted.set(
            sum(
                condition.type is ConditionType.DRIFTED and condition.status is Status.TRUE
                for known in now.objects
                for condition in known.conditions
            )
        )
        return generate_latest(self.registry)
