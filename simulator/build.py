"""A twin from a lab: the physics in its steady state and, unless asked otherwise, its load."""

from __future__ import annotations

from lab.kinds.guest import Power
from lab.lab import Lab
from simulator import guests
from simulator.declared import declared_workload
from simulator.faults import FaultPart
from simulator.guests import GuestPart
from simulator.ha.part import HaPart, run_in
from simulator.membership.corosync import CorosyncPart
from simulator.membership.knet import KnetPart
from simulator.membership.quorum import QuorumPart
from simulator.model import Model
from simulator.network.links import LinkPart
from simulator.outcome.steady import steady
from simulator.placement import placements
from simulator.power import PowerPart
from simulator.state import GuestPower, GuestState
from simulator.storage.ceph import CephPart
from simulator.storage.iscsi import IscsiPart
from simulator.twin import Part, Twin
from simulator.watch import WatchPart

# In the order of cause and effect, so that one round of settling mostly is enough.
PARTS: tuple[Part, ...] = (
    FaultPart(),
    PowerPart(),
    LinkPart(),
    CorosyncPart(),
    QuorumPart(),
    KnetPart(),
    CephPart(),
    IscsiPart(),
    GuestPart(),
    HaPart(),
    WatchPart(),
)


def twin_of(lab: Lab, *, empty: bool = False, seed: int = 0, model: Model | None = None) -> Twin:
    """A running lab. `empty`: installed, clustered and wired, with Ceph and the array, but no load.

    Else the declared guests run, placed as `placement` chooses, and HA knows them. Its trace is
    empty. `model`: of this lab, if there is one already.
    """
    model = model or Model(lab)
    twin = Twin(model, PARTS, steady(model, seed=seed))
    if not empty:
        _load(twin)
    twin.changed()
    twin.settle()
    twin.trace.clear()
    return twin


def _load(twin: Twin) -> None:
    lab = twin.model.lab
    for cluster in lab.clusters:
        guests.set_workload(twin, cluster, declared_workload(lab, cluster))
    running = {
        key for key, name in twin.model.guests.items() if lab.guests[name].state is Power.STARTED
    }
    for key, node in placements(twin.facts, running).items():
        power = GuestPower.RUNNING if key in running else GuestPower.STOPPED
        twin.state.guests[key] = GuestState(node, power)
    run_in(twin)
