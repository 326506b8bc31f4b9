"""What holds in the end for a set of faults: where the timed engine comes to, without time.

Each rule is the part's own (`memberships`, `osd_works`, `notices_silence` ...), only applied at
once; so it can start a twin, and judge whether a timed run ended where it should.

Leaves out: guests and HA; the order of faults, which matters in two cases: without a quorum of
monitors OSDs stay as they were last known, and below the least up-ratio it depends on who died
first. A node that hangs is reset by its watchdog, so in the end it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lab.faults import Fault, FaultKind
from simulator.declared import declared_array, declared_ceph
from simulator.facts import Facts
from simulator.membership import knet, quorum
from simulator.model import Model
from simulator.network import links
from simulator.power import dark, host_off
from simulator.state import HostPower, OsdState, State
from simulator.storage import ceph, iscsi
from simulator.storage.availability import osd_works, pool_trouble, quorum_able


def steady(model: Model, faults: Iterable[Fault] = (), *, seed: int = 0) -> State:
    """The physics of `model` long after `faults`, whatever their times.

    Raises ValueError for what is not there.
    """
    state = State(seed=seed)
    for fault in faults:
        model.check(fault)
        before = state.faults.get(fault.subject)
        cured = fault.silent and fault.kind is FaultKind.NODE
        if not cured and (before is None or before.silent):
            state.faults[fault.subject] = fault
    _power(model, state)
    _bonds(model, state)
    facts = Facts(model, state)
    knet.settled(facts)
    quorum.settled(facts)
    _ceph(facts)
    state.arrays = {nas: declared_array(model.lab, nas) for nas in model.lab.nas}
    state.paths = iscsi.usable_now(facts)
    return state


def _power(model: Model, state: State) -> None:
    state.hosts = dict.fromkeys(model.hosts, HostPower.ON)
    state.boxes = dict.fromkeys(model.boxes, HostPower.ON)
    broken = model.broken(state)
    for host in model.hosts:
        if host_off(model, state, broken, host):
            state.hosts[host] = HostPower.OFF
    for box in model.boxes:
        if dark(model, state, box):
            state.boxes[box] = HostPower.OFF


def _bonds(model: Model, state: State) -> None:
    broken = model.broken(state)
    for uplink in model.wiring.bonds:
        assert uplink.bond is not None
        if uplink.device_bit & broken.dead:
            continue
        for leg in uplink.legs:
            if not leg.mask & broken.dead:
                continue
            if leg.mask & broken.hard or links.notices_silence(uplink.bond, leg):
                state.left[leg.port] = 0.0
            else:
                state.unnoticed[leg.port] = 0.0


def _ceph(facts: Facts) -> None:
    state, lab = facts.state, facts.model.lab
    for name, declared in lab.ceph.items():
        state.ceph[name] = declared_ceph(declared)
        state.mons[name] = quorum_able(facts, name)
        state.osds |= {f"{name}/{osd}": OsdState() for osd in declared.osds}
        up = total = len(declared.osds)
        for osd in declared.osds:
            dead = not osd_works(facts, name, osd)
            believed = up / total >= ceph.MIN_UP_RATIO and "nodown" not in state.ceph[name].flags
            if dead and state.mons[name] and believed:
                state.osds[f"{name}/{osd}"] = replace(OsdState(), up=False)
                up -= 1
        for pool in state.ceph[name].pools:
            state.pools[f"{name}/{pool}"] = pool_trouble(facts, name, pool).text
