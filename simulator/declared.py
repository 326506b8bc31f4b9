"""What clusters hold, and an array serves, once the desired state is applied.

Written from the vendor's facts (the Proxmox VE administration guide: qm, storage, high
availability), not with the controller's code, so that the two can be compared.

Leaves out: placement wishes (`simulator/placement.py` reads them when guests are first put
somewhere), and all without weight.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.kinds.ceph import Ceph, Domain
from lab.kinds.guest import Guest, Power
from lab.kinds.ha_rule import Affinity
from lab.kinds.storage import Lvm, Nfs, Rbd, StorageBase
from lab.lab import Lab
from simulator.model import initiator_of
from simulator.workload import (
    ArraySpec,
    CephPoolSpec,
    CephSpec,
    GuestSpec,
    HaResource,
    HaRuleSpec,
    StorageSpec,
    Workload,
    ceph_options,
)


def declared_workload(lab: Lab, cluster: str) -> Workload:
    """Guests, storages and HA of one cluster, as declared."""
    guests = [guest for guest in lab.guests.values() if guest.cluster == cluster]
    return Workload(
        guests={
            guest.vmid: _guest(lab, name, guest)
            for name, guest in lab.guests.items()
            if guest.cluster == cluster
        },
        storages={
            name: _storage(lab, name, storage)
            for name, storage in lab.storages.items()
            if cluster in storage.clusters
        },
        ha={_sid(guest): _resource(guest) for guest in guests if guest.ha is not None},
        rules=tuple(_rules(lab, cluster)),
        shutdown_policy=lab.clusters[cluster].options.shutdown_policy.value,
    )


def declared_array(lab: Lab, name: str) -> ArraySpec:
    """LUNs and exports of one array, as declared."""
    nas = lab.nas[name]
    luns: dict[str, frozenset[tuple[str, str]]] = {}
    for target in nas.targets.values():
        seen = frozenset(
            (str(nas.portals[portal].address), initiator_of(lab, node))
            for portal in target.portals
            for node in target.initiators
        )
        for zvol in target.luns.values():
            volume = f"{nas.zvols[zvol].pool}/{zvol}"
            luns[volume] = luns.get(volume, frozenset()) | seen
    return ArraySpec(luns, {share.path: frozenset() for share in nas.shares.values()})


def _rules(lab: Lab, cluster: str) -> Iterator[HaRuleSpec]:
    """Those declared, and a strict one for each guest under HA that is pinned."""
    for name, rule in lab.ha_rules.items():
        if rule.cluster == cluster:
            yield HaRuleSpec(
                name,
                rule.type.value,
                tuple(_sid(lab.guests[guest]) for guest in rule.guests),
                dict(rule.nodes or {}),
                rule.strict,
                rule.affinity is not Affinity.NEGATIVE,
            )
    for name, guest in lab.guests.items():
        if guest.cluster == cluster and guest.ha is not None and guest.placement.pin:
            nodes = dict.fromkeys(guest.placement.pin, 0)
            yield HaRuleSpec(f"pin-{name}", "node-affinity", (_sid(guest),), nodes, strict=True)


def _sid(guest: Guest) -> str:
    return f"vm:{guest.vmid}"


def _guest(lab: Lab, name: str, guest: Guest) -> GuestSpec:
    return GuestSpec(
        guest.vmid,
        name,
        guest.cores * guest.sockets,
        guest.memory,
        frozenset(disk.storage for disk in guest.disks.values()),
        tuple((net.bridge, lab.vlans[net.vlan].id) for net in guest.nets.values()),
        bool(guest.onboot),
    )


def _resource(guest: Guest) -> HaResource:
    assert guest.ha is not None
    state = "stopped" if guest.state is Power.STOPPED else "started"
    return HaResource(_sid(guest), state, guest.ha.restart, guest.ha.relocate)


def _storage(lab: Lab, name: str, storage: StorageBase) -> StorageSpec:
    nodes = None if storage.nodes is None else frozenset(storage.nodes)
    backing = export = ""
    match storage:
        case Rbd():
            backing = storage.pool
        case Lvm():
            backing = storage.vg
        case Nfs():
            backing, export = _nfs(lab, storage)
    kind: str = getattr(storage, "type", "")
    return StorageSpec(name, kind, backing, nodes, storage.enabled, export)


def _nfs(lab: Lab, storage: Nfs) -> tuple[str, str]:
    """Address and path of the server: its own address in the VLAN that the folder is open to."""
    if storage.nas is not None and storage.share is not None:
        nas = lab.nas[storage.nas]
        share = nas.shares[storage.share]
        return str(nas.addresses.get(share.vlan, "")), share.path
    if storage.backup_server is not None and storage.export is not None:
        server = lab.backup_servers[storage.backup_server]
        export = server.exports[storage.export]
        return str(server.addresses.get(export.vlan, "")), export.path
    return "", ""


def declared_ceph(ceph: Ceph) -> CephSpec:
    """A Ceph cluster as declared; an option of `config` counts where its daemons look for it."""
    return CephSpec(
        pools={
            name: CephPoolSpec(
                name,
                pool.size,
                pool.needed,
                ceph.osds_of(pool),
                ceph.rule_of(pool).domain is Domain.HOST,
            )
            for name, pool in ceph.pools.items()
        },
        flags=frozenset(flag.value for flag in ceph.flags),
        **{"down_out_s": ceph.down_out, **ceph_options(ceph.config)},
    )
