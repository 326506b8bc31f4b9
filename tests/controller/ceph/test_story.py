"""Ceph beside Proxmox VE in one plan: the pool, its key, the storage that uses both."""

from __future__ import annotations

import json

from controller.execute import execute
from controller.gate import TwinGate
from controller.journal import Journal, ownership
from controller.managed import Key
from controller.observe import observe
from controller.owned import Ownership
from controller.plan import Plan
from controller.planning import EVERYTHING, plan_changes
from controller.rehearsal import TwinClock
from controller.stage import devices_of, empty_stage
from lab.faults import FaultKind, parse_faults
from lab.lab import Lab
from lab.load import load
from simulator.mon.install import installed
from simulator.mon.monitors import Monitors
from simulator.pve.api import PveApi
from simulator.twin import Twin
from tests.controller.ceph.sites import DEVICE, tree, twin_ask

POOL = "pools: {vm: {size: 3, min-size: 2, pgs: 8}}"
CLIENT = "clients: {pve: {caps: {mon: profile rbd, osd: profile rbd pool=vm}}}"
STORAGE = """
storages:
  vm:
    type: rbd
    manage: [observe, create, update, delete]
    ceph: a
    pool: vm
    client: pve
    clusters: [a]
    content: [images]
"""
MANAGE = "manage: [observe, create, update, delete]"


def lab(*parts: str, storage: bool = True) -> Lab:
    files = tree(MANAGE, *parts)
    return load({**files, **({"s.yaml": STORAGE.encode()} if storage else {})}, rules=False)


def new_twin(declared: Lab) -> Twin:
    """Everything just installed, Ceph without a pool."""
    twin = empty_stage(declared)
    monitors = Monitors("a", installed(twin, "a"))
    twin.attach(monitors)
    monitors.sync(twin)
    return twin


def applied(twin: Twin, declared: Lab, owned: Ownership) -> tuple[Plan, Ownership]:
    """The plan that was carried out, and what is ours after it."""
    devices, clock, journal = devices_of(twin), TwinClock(twin), Journal()
    plan = plan_changes(declared, observe(devices, clock), owned, "c", approve=EVERYTHING)
    outcome = execute(plan, devices, journal, clock)
    assert outcome.done, [r.reason for r in outcome.results if r.reason]
    both = {**owned, **ownership(owned, journal.records)}
    return plan, {key: record for key, record in both.items() if record is not None}


def test_the_pool_comes_first_then_its_key_then_the_storage_that_is_given_the_key() -> None:
    declared = lab(POOL, CLIENT)
    twin = new_twin(declared)
    plan, owned = applied(twin, declared, {})
    order = [operation.key for operation in plan.operations]
    wanted = [Key(DEVICE, "pool", "vm"), Key(DEVICE, "client-key", "client.pve"),
              Key("pve/a", "storage", "vm")]  # fmt: skip
    assert [key for key in order if key in wanted] == wanted
    assert applied(twin, declared, owned)[0].empty

    key = twin_ask(twin)("auth", "get-key", "client.pve")["key"]
    api = twin.devices["pve/a"]
    assert isinstance(api, PveApi)
    entry = api.documents.storages["vm"]
    assert entry["username"] == "pve"
    assert json.dumps(key) not in json.dumps(str(plan))  # neither planned nor shown
    assert "{secret://" not in " ".join(str(step) for o in plan.operations for step in o.steps)


def test_a_pool_and_a_key_stay_while_a_storage_uses_them_and_go_after_it() -> None:
    twin = new_twin(lab(POOL, CLIENT))
    _, owned = applied(twin, lab(POOL, CLIENT), {})
    devices, clock = devices_of(twin), TwinClock(twin)
    still = plan_changes(lab(), observe(devices, clock), owned, "c")
    assert [str(o.key) for o in still.operations if o.action == "delete"] == []
    told = {note.subject: note.text for note in still.notes if note.kind == "kept"}
    assert told["ceph/a pool vm"] == "pve/a storage vm is declared and needs it"
    assert told["ceph/a client-key client.pve"] == "pve/a storage vm is declared and needs it"

    twin_ask(twin)("config", "set", "mon", "mon_allow_pool_delete", "true")
    plan, _ = applied(twin, lab(storage=False), owned)
    gone = [operation.key.kind for operation in plan.operations if operation.action == "delete"]
    assert gone == ["storage", "client-key", "pool"]


def test_a_rehearsal_on_the_observed_cluster_refuses_what_the_monitors_would() -> None:
    declared = lab(POOL, CLIENT)
    twin = new_twin(declared)
    _, owned = applied(twin, declared, {})
    observed = observe(devices_of(twin), TwinClock(twin))
    plan = plan_changes(lab(storage=False), observed, owned, "c")
    judgement = TwinGate((FaultKind.NODE,))(plan, lab(storage=False), observed)
    assert judgement.refused
    assert "do not allow pools to be deleted" in judgement.objections[0].text


def test_fewer_copies_reach_the_physics_of_a_rehearsal() -> None:
    declared = lab(POOL, CLIENT)
    twin = new_twin(declared)
    _, owned = applied(twin, declared, {})
    assert twin.state.ceph["a"].pools["vm"].min_size == 2
    applied(twin, lab(POOL.replace("min-size: 2", "min-size: 3"), CLIENT), owned)
    assert twin.state.ceph["a"].pools["vm"].min_size == 3


def test_monitors_without_a_quorum_leave_things_unknown_and_nothing_deleted() -> None:
    declared = lab(POOL, CLIENT)
    twin = new_twin(declared)
    _, owned = applied(twin, declared, {})
    twin.inject(parse_faults(["fail-node pve1"]))  # the only monitor
    twin.run_until(twin.now_s + 60)
    observed = observe(devices_of(twin), TwinClock(twin))
    assert "no quorum" in observed.why_unknown(Key(DEVICE, "pool", "vm"))
    plan = plan_changes(lab(storage=False), observed, owned, "c")
    assert [o.key.device for o in plan.operations if o.steps and o.key.device == DEVICE] == []


def test_a_pool_with_data_in_it_stays_whatever_is_allowed() -> None:
    guest = """
guests:
  g: {vmid: 101, cluster: a, disks: {scsi0: {storage: vm, size: 8GiB}}}
"""
    files = {**tree(MANAGE, POOL, CLIENT), "s.yaml": STORAGE.encode(), "g.yaml": guest.encode()}
    declared = load(files, rules=False)
    twin = new_twin(declared)
    _, owned = applied(twin, declared, {})
    twin_ask(twin)("config", "set", "mon", "mon_allow_pool_delete", "true")
    observed = observe(devices_of(twin), TwinClock(twin))
    alone = {key: record for key, record in owned.items() if key.device == DEVICE}
    plan = plan_changes(lab(storage=False), observed, alone, "c")
    assert [str(o.key) for o in plan.operations if o.action == "delete"] == [
        "ceph/a client-key client.pve"
    ]
    told = {note.subject: note.text for note in plan.notes if note.kind == "kept"}
    assert told == {"ceph/a pool vm": "pool vm holds 1GiB of data"}
