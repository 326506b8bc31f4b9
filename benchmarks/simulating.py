"""What needs the twin: building it, one fault, every single fault, a rehearsal."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.bench import Run
from benchmarks.lab import lab_of
from controller.observe import observe
from controller.placing import place_new
from controller.planning import plan_changes
from controller.rehearsal import TwinClock, rehearse
from controller.stage import devices_of, empty_stage
from lab.faults import FaultKind, parse_faults
from simulator.build import twin_of
from simulator.outcome.simulate import simulate
from simulator.outcome.verdict import invariants

FAULT = parse_faults(["fail-node pve2"])


def building(guests: int, _opened: ExitStack) -> Run:
    """A twin with its guests placed."""
    lab = lab_of(guests)
    return lambda: twin_of(lab)


def failing(guests: int, _opened: ExitStack) -> Run:
    """A node lost, until nothing more happens."""
    twin = twin_of(lab_of(guests))
    return lambda: simulate(twin, FAULT)


def sweeping(guests: int, _opened: ExitStack) -> Run:
    """Every single fault that the lab's expectations name, each until nothing more happens."""
    lab = lab_of(guests)
    twin = twin_of(lab)
    return lambda: invariants(lab, twin)


def rehearsing(guests: int, _opened: ExitStack) -> Run:
    """The plan from an empty lab to the declared one, every node fault over every state of it."""
    lab = lab_of(guests)

    def run() -> object:
        stage = empty_stage(lab)
        observed = place_new(lab, observe(devices_of(stage), TwinClock(stage)))
        plan = plan_changes(lab, observed, {}, "new")
        done = rehearse(plan, lab, stage, devices_of, [FaultKind.NODE])
        assert not done.failures, done.failures
        return done

    return run
