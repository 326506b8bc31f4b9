"""The lab in `desired-state/`: what its prose promises, counted on the values that load from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lab import rules
from lab.compose import compose
from lab.faults import FaultKind, parse_faults
from lab.kinds.guest import Guest, Power
from lab.kinds.host import Host, RaidLevel
from lab.kinds.storage import Content, Lvm, Nfs
from lab.lab import WORDS, Lab
from lab.load import load, load_tree, read_tree

TREE = Path(__file__).parents[2] / "desired-state"
GIB = 2**30
SCENARIOS = sorted((TREE / "scenarios").glob("*.yaml"))
GROUPS = ("group1", "group2")


@cache
def _lab() -> Lab:
    return load_tree(TREE)


def _cabled(end: str) -> str:
    """The other end of the cable in `device/port`."""
    (other,) = ({*cable.ends} - {end} for cable in _lab().cables.values() if end in cable.ends)
    return other.pop()


def _switch(host: str, nic: str) -> str:
    return _cabled(f"{host}/{nic}").split("/")[0]


def _running(cluster: str) -> dict[str, Guest]:
    return {
        name: guest
        for name, guest in _lab().guests.items()
        if guest.cluster == cluster and guest.state is Power.STARTED
    }


def test_the_lab_has_eight_servers_two_switches_and_one_router() -> None:
    lab = _lab()
    assert lab.members("a") == ["pve1", "pve2", "pve3"]
    assert lab.members("b") == ["pve4", "pve5", "pve6"]
    assert sorted(lab.hosts) == ["bak1", "nas1", "pve1", "pve2", "pve3", "pve4", "pve5", "pve6"]
    assert sorted(lab.switches) == ["sw1", "sw2"]
    assert len(lab.routers) == 1
    assert {vlan.id for vlan in lab.vlans.values()} == {10, 99, 101, 102, 103, 253, 254}


def test_no_rule_has_anything_to_say_not_even_a_warning() -> None:
    assert [str(problem) for problem in rules.problems(_lab())] == []


def test_every_port_has_one_cable() -> None:
    lab = _lab()
    ends = Counter(end for cable in lab.cables.values() for end in cable.ends)
    ports = [f"{name}/{nic}" for name, host in lab.hosts.items() for nic in [*host.nics, "ilo"]]
    ports += [f"{name}/{port}" for name, switch in lab.switches.items() for port in switch.ports]
    ports += [f"{name}/{port}" for name, router in lab.routers.items() for port in router.ports]
    assert ends == Counter(ports)


def test_both_ends_of_a_cable_carry_the_same_vlans() -> None:
    for name, host in _lab().hosts.items():
        in_bond = {nic: bond.vlans for bond in host.bonds.values() for nic in bond.members}
        for nic, port in host.nics.items():
            switch, there = _cabled(f"{name}/{nic}").split("/")
            far = _lab().switches[switch].ports[there]
            assert (far.vlans, far.access) == (in_bond.get(nic, port.vlans), port.access)


def test_every_bond_has_a_leg_in_each_switch_and_on_each_card() -> None:
    for name, host in _lab().hosts.items():
        for bond in host.bonds.values():
            assert {_switch(name, nic) for nic in bond.members} == {"sw1", "sw2"}
            cards = [card for card in host.cards.values() if {*card.ports} & {*bond.members}]
            assert len(cards) == 2


def test_no_iscsi_vlan_is_bonded_and_its_two_paths_share_neither_switch_nor_card() -> None:
    for name in [*_lab().members("b"), "nas1"]:
        host = _lab().hosts[name]
        assert not {v for bond in host.bonds.values() for v in bond.vlans} & {"iscsi-1", "iscsi-2"}
        (first,) = (nic for nic, port in host.nics.items() if port.access == "iscsi-1")
        (second,) = (
            nic
            for nic, port in host.nics.items()
            if "iscsi-2" in port.vlans or port.access == "iscsi-2"
        )
        assert (_switch(name, first), _switch(name, second)) == ("sw1", "sw2")
        assert not any({first, second} <= {*card.ports} for card in host.cards.values())


def test_each_node_of_cluster_b_sees_each_lun_on_two_vlans() -> None:
    nas = _lab().nas["nas1"]
    for storage in _lab().storages.values():
        if isinstance(storage, Lvm):
            target = nas.targets[storage.target]
            vlans = {nas.portals[portal].vlan for portal in target.portals}
            assert vlans == {"iscsi-1", "iscsi-2"}
            assert sorted(target.initiators) == _lab().members("b")
            assert target.luns[storage.lun] == storage.vg
            for node in target.initiators:
                assert vlans <= {*_lab().nodes[node].addresses}


def _ports(lab: Lab) -> Iterator[tuple[str, set[str], int]]:
    for host in lab.hosts.values():
        bonded = {nic: bond for bond in host.bonds.values() for nic in bond.members}
        for nic, port in host.nics.items():
            if bond := bonded.get(nic):
                yield f"{nic} of a bond", {*bond.vlans}, port.mtu
                yield "bond", {*bond.vlans}, bond.mtu
            else:
                yield nic, {*port.vlans, *([port.access] if port.access else [])}, port.mtu
    for switch in lab.switches.values():
        for name, end in switch.ports.items():
            yield name, {*end.vlans, *([end.access] if end.access else [])}, end.mtu


def test_jumbo_vlans_have_jumbo_ports_all_along() -> None:
    jumbo = {name for name, vlan in _lab().vlans.items() if vlan.mtu == 9000}
    assert jumbo == {"iscsi-1", "iscsi-2", "ceph"}
    for port, vlans, mtu in _ports(_lab()):
        assert mtu == (9000 if vlans & jumbo else 1500), port


def test_odd_servers_are_on_feed_1_and_even_ones_on_feed_2() -> None:
    rack = ["pve1", "pve2", "pve3", "pve4", "pve5", "pve6", "nas1", "bak1"]
    for number, name in enumerate(rack, 1):
        assert _lab().hosts[name].feeds == (("feed1",) if number % 2 else ("feed2",))
    assert [switch.feeds for switch in _lab().switches.values()] == [("feed1",), ("feed2",)]


def test_a_node_of_cluster_a_has_11_gib_for_guests_and_no_room_for_two_servers() -> None:
    for name in _lab().members("a"):
        free = _lab().nodes[name].guest_memory_bytes
        assert free == 11 * GIB
        assert 8 * GIB <= free < 16 * GIB
    servers = [_lab().guests[name] for name in ("luffy", "zoro", "ussop")]
    assert [server.memory for server in servers] == [8 * GIB] * 3


def test_running_guests_of_cluster_a_fit_on_any_two_nodes_wherever_ha_puts_them() -> None:
    """Every placement that keeps the servers apart, as the rule demands."""
    guests = _running("a")
    assert sorted(guests) == ["luffy", "nami", "zoro"]
    assert {*_lab().ha_rules["servers-apart"].guests} == {"luffy", "zoro"}
    for places in product(("one node", "the other"), repeat=len(guests)):
        placed = dict(zip(guests, places, strict=True))
        load_bytes = Counter[str]()
        for name, place in placed.items():
            load_bytes[place] += guests[name].memory
        if placed["luffy"] != placed["zoro"]:
            assert max(load_bytes.values()) <= 11 * GIB


def test_any_one_node_of_cluster_b_has_memory_for_every_student() -> None:
    need = sum(guest.memory for guest in _running("b").values())
    assert all(need <= _lab().nodes[name].guest_memory_bytes for name in _lab().members("b"))


def test_ceph_keeps_serving_without_any_one_node_and_not_without_two() -> None:
    ceph = _lab().ceph["a"]
    assert Counter(osd.node for osd in ceph.osds.values()) == {"pve1": 2, "pve2": 2, "pve3": 2}
    pool = ceph.pools["vm-ceph"]
    assert pool.size - 1 >= pool.needed > pool.size - 2
    for osd in ceph.osds.values():
        raids = _lab().nodes[osd.node].raids.values()
        assert [raid.level for raid in raids if osd.disk in raid.disks] == [RaidLevel.SINGLE]


def test_the_array_survives_each_of_its_disks_but_the_one_for_images() -> None:
    nas = _lab().nas["nas1"]
    assert (nas.pools["tank"].level, len(nas.pools["tank"].disks)) == (RaidLevel.RAID10, 4)
    single = [name for name, pool in nas.pools.items() if pool.level is RaidLevel.SINGLE]
    assert single == ["images"]
    (disk,) = nas.pools["images"].disks
    assert f"fail-disk nas1/{disk}" in {e.accept for e in _lab().expect.values()}


def test_each_area_of_storage_has_a_backup_folder_and_a_weekly_job_keeping_four() -> None:
    lab = _lab()
    areas = {name for name, storage in lab.storages.items() if Content.IMAGES in storage.content}
    assert areas == {*lab.backup_servers["bak1"].exports}
    for area in areas:
        backup = lab.storages[f"backup-{area}"]
        assert isinstance(backup, Nfs)
        assert (backup.export, backup.clusters) == (area, lab.storages[area].clusters)
        assert backup.keep is not None
        assert backup.keep.last == 4
        (job,) = (job for job in lab.backup_jobs.values() if job.storage == f"backup-{area}")
        assert (job.schedule, (job.cluster,)) == ("sat 03:00", backup.clusters)
        disks = {g.pool for g in lab.guests.values() for d in g.disks.values() if d.storage == area}
        assert disks == {job.pool}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_one_name_for_all_that_is_its_own(group: str) -> None:
    lab = _lab()
    students = {name for name, guest in lab.guests.items() if guest.pool == group}
    people = {name.removesuffix("@pve") for name, u in lab.users.items() if group in u.groups}
    assert students == people
    assert len(students) == 2
    assert lab.pools[group].storages == (group,)
    assert {*lab.ha_rules[group].guests} == students == {*lab.services[group].all}
    for name in students:
        assert {disk.storage for disk in lab.guests[name].disks.values()} == {group}
    assert group in lab.nas["nas1"].zvols


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_students_has_rights_on_its_own_pool_alone(group: str) -> None:
    acls = [acl for acl in _lab().acls.values() if group in acl.groups]
    pools = [acl for acl in acls if acl.path.startswith("/pool/")]
    assert [acl.path for acl in pools] == [f"/pool/{group}"]
    assert not {"/", "/vms", "/pool", "/storage"} & {acl.path for acl in acls}
    assert not {"VM.Backup", "VM.Migrate"} & _lab().roles["LabStudent"].privileges


def test_no_employee_of_the_company_is_a_user_of_the_clusters() -> None:
    sales, logistics = {"bzalez", "jperez", "nlopez"}, {"rguez", "msaez", "arando"}
    it = {"jruiz", "jsantos", "maudosan"}
    assert not {name.split("@")[0] for name in _lab().users} & (sales | logistics | it)


def test_nothing_goes_from_production_to_management() -> None:
    forwards = [f for router in _lab().routers.values() for f in router.forwards]
    assert not [f for f in forwards if (f.source, f.to) == ("production", "management")]
    both = {n for n, g in _lab().guests.items() if len({net.vlan for net in g.nets.values()}) > 1}
    assert both == {"luffy", "zoro", "ussop"}
    assert not any(_lab().guests[name].forwards for name in both)


def test_every_kind_of_fault_is_asked_of_every_service() -> None:
    asked = {
        (kind, service)
        for e in _lab().expect.values()
        for kind in e.any_one_fault_of
        for service in e.services
    }
    assert asked == {*product(FaultKind, _lab().services)}


def _things(lab: Lab) -> dict[FaultKind, set[str]]:
    """Names of what can fail."""

    def inside(hosts: dict[str, Host], section: str) -> set[str]:
        return {f"{name}/{key}" for name, host in hosts.items() for key in getattr(host, section)}

    return {
        FaultKind.NODE: {*lab.nodes},
        FaultKind.SWITCH: {*lab.switches},
        FaultKind.CABLE: {*lab.cables},
        FaultKind.CARD: inside(lab.hosts, "cards"),
        FaultKind.FEED: {*lab.feeds},
        FaultKind.DISK: inside(lab.hosts, "disks"),
        FaultKind.OSD: {f"{name}/{osd}" for name, ceph in lab.ceph.items() for osd in ceph.osds},
        FaultKind.NAS: {*lab.nas},
        FaultKind.PORTAL: {f"{name}/{p}" for name, nas in lab.nas.items() for p in nas.portals},
        FaultKind.BACKUP_SERVER: {*lab.backup_servers},
        FaultKind.ROUTER: {*lab.routers},
    }


def test_accepted_faults_are_of_things_that_exist() -> None:
    things = _things(_lab())
    accepted = [parse_faults([e.accept]) for e in _lab().expect.values() if e.accept]
    assert {f"{fault.kind} {fault.name}" for faults in accepted for fault in faults} >= {
        "nas nas1", "feed feed1", "feed feed2", "backup-server bak1", "router router1",
        "switch sw1", "switch sw2",
    }  # fmt: skip
    assert all(fault.name in things[fault.kind] for faults in accepted for fault in faults)


def _overlaid(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: _overlaid(base.get(key), value) for key, value in over.items()}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_speaks_of_this_lab(path: Path) -> None:
    document = compose(path.name, path.read_bytes())
    assert not document.problems
    story = document.data
    assert {*story} <= {"title", "story", "changes", "faults", "expect"}
    assert story["title"]
    assert {*story["expect"]} <= {"verdict", "outages", "says"}
    assert story["expect"]["verdict"] in ("safe", "unsafe")
    assert {*story["expect"].get("outages", {})} <= {*_lab().services}
    things = _things(_lab())
    assert all(fault.name in things[fault.kind] for fault in parse_faults(story["faults"]))
    tree: dict[str, Any] = {}
    for name, content in read_tree(TREE).items():
        for word, entries in compose(name, content).data.items():
            tree.setdefault(word, {}).update(entries)
    changed = load({"tree.yaml": json.dumps(_overlaid(tree, story.get("changes", {}))).encode()})
    assert ("changes" in story) == (changed != _lab())


def test_the_readme_of_the_tree_explains_each_file() -> None:
    text = (TREE / "README.md").read_text()
    names = [name.removeprefix("nodes/") for name in read_tree(TREE)]
    names += [path.stem for path in SCENARIOS]
    assert [name for name in names if name not in text] == []


def test_the_glossary_has_each_word_of_the_language() -> None:
    text = (TREE.parent / "docs/reference/glossary.md").read_text()
    assert [word for word in WORDS if f"| `{word}` |" not in text] == []
