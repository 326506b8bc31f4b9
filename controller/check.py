"""A pull request judged offline: two versions of the files, no device.

    base -> applied to an empty served twin -> observed -> plan for head -> gate with rehearsal
         -> every node fault before and after

The base counts as applied, and the twin places its guests. Everything runs through the same
planning, executor and devices as in earnest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.clock import Clock
from controller.devices import Device
from controller.execute import execute
from controller.gate import Judgement, judge
from controller.journal import Journal, ownership
from controller.observe import observe
from controller.observed import Observed
from controller.owned import Ownership
from controller.perform import Fate
from controller.placing import place_new
from controller.plan import Plan
from controller.planning import EVERYTHING, plan_changes, wanted_things
from controller.rehearsal import TwinClock, rehearse
from controller.stage import devices_of, empty_stage, stage_of
from lab.errors import DeviceError
from lab.faults import FaultKind
from lab.lab import Lab
from lab.load import load
from lab.units import format_size
from simulator.outcome.report import Verdict
from simulator.outcome.simulate import calm
from simulator.outcome.verdict import faults_to_try, invariants
from simulator.twin import Twin


@dataclass(frozen=True)
class Check:
    """What a pull request would do. `before` and `after` have a case for every fault tried."""

    base: str
    head: str
    plan: Plan
    judgement: Judgement
    before: Verdict
    after: Verdict
    loosened: tuple[str, ...]  # expectations that head asks less of, or no more

    @property
    def safe(self) -> bool:
        """Nothing is worse than before and nothing protected is touched."""
        return not self.judgement.refused


def check(
    base_files: Mapping[str, bytes],
    head_files: Mapping[str, bytes],
    *,
    base: str,
    head: str,
    kinds: Collection[FaultKind] = (FaultKind.NODE,),
    progress: Callable[[str], None] = lambda _text: None,
) -> Check:
    """Judge head against base.

    Raises LabInvalid for files that do not load, DeviceError if base can't be applied to the twin.
    """
    base_lab, head_lab = load(base_files), load(head_files)
    progress(f"applying {base} to an empty twin")
    twin, owned = applied(base_lab, base)
    observed = _observed(head_lab, devices_of(twin), TwinClock(twin), owned)
    healthy = calm(stage_of(base_lab, observed))
    before = invariants(base_lab, healthy, faults=faults_to_try(base_lab, healthy, kinds))
    plan = plan_changes(head_lab, observed, owned, head)
    progress(f"rehearsing {sum(1 for _ in plan.operations)} operations")
    rehearsal = rehearse(
        plan,
        head_lab,
        stage_of(head_lab, observed),
        devices_of,
        kinds,
        before=before,
        progress=progress,
    )
    judgement = judge(plan, rehearsal)
    less = tuple(loosened(base_lab, head_lab))
    return Check(base, head, plan, judgement, before, rehearsal.after, less)


def applied(lab: Lab, commit: str) -> tuple[Twin, Ownership]:
    """A twin on which `lab` was applied from nothing and came to rest, and what is ours there."""
    twin = empty_stage(lab)
    clock = TwinClock(twin)
    devices = devices_of(twin)
    observed = _observed(lab, devices, clock, {})
    plan = plan_changes(lab, observed, {}, commit, approve=EVERYTHING)
    journal = Journal()
    outcome = execute(plan, devices, journal, clock)
    if not outcome.done:
        stuck = next(result for result in outcome.results if result.fate is not Fate.DONE)
        raise DeviceError(str(stuck.operation.key), f"{commit} can't be applied: {stuck.reason}")
    changed = ownership({}, journal.records)
    return calm(twin), {key: record for key, record in changed.items() if record is not None}


def _observed(lab: Lab, devices: Sequence[Device], clock: Clock, owned: Ownership) -> Observed:
    """What is on the devices, with places for what `lab` has anew."""
    wanted = wanted_things(lab, {device.name: device.kinds for device in devices})
    return place_new(lab, observe(devices, clock, named=wanted.keys() | owned.keys()))


def loosened(base: Lab, head: Lab) -> Iterator[str]:
    """Promises that `head` makes no more, or not so strictly: what a reviewer must not overlook."""
    for name, old in base.expect.items():
        new = head.expect.get(name)
        if old.accept is not None:
            continue
        if new is None or new.accept is not None:
            yield f"{name} is no longer expected"
            continue
        gone = sorted({*old.services} - {*new.services})
        kinds = sorted({*old.any_one_fault_of} - {*new.any_one_fault_of})
        if gone or kinds:
            yield f"{name} no longer covers {', '.join([*gone, *kinds])}"
        if (new.outage or 0.0) > (old.outage or 0.0):
            yield f"{name} allows {new.outage:g} s instead of {old.outage:g} s"
    for name, new in head.expect.items():
        if new.accept is not None and name not in base.expect:
            lost = ", ".join(new.services) or "no service"
            yield f"{name} accepts that {new.accept} takes {lost}"
    for name, cluster in head.clusters.items():
        if name in base.clusters and cluster.overcommit > base.clusters[name].overcommit:
            yield f"cluster {name} allows {format_size(cluster.overcommit)} of memory overcommit"
