"""What clusters hold, and an array serves, once the desired state is applied.

Written from the vendor's facts (the Proxmox VE administration guide: qm, storage, high
availability), not with the controller's code, so that the two can be compared.

Leaves out: placement wishes (`simulator/placement.py` reads them when guests are first put
somewhere), and all without weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from lab.kinds.ceph import Ceph, Domain
from lab.kinds.guest import Guest, Power
from lab.kinds.ha_rule import Affinity, RuleType
from lab.kinds.iscsi import Target
from lab.kinds.nas import Nas, NasService, NasServices, Share
from lab.kinds.storage import Dir, Local, Lvm, LvmThin, Nfs, Rbd, StorageBase, ZfsPool
from lab.lab import Lab
from simulator.cluster.documents import NodeAffinity, ResourceAffinity, Rule
from simulator.workload import (
    EVERYBODY,
    ArraySpec,
    CephPoolSpec,
    CephSpec,
    GuestSpec,
    HaResource,
    StorageSpec,
    Workload,
    ceph_options,
)

ISCSI_PORT = 3260  # RFC 7143


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
        rules={rule.id: rule for rule in _rules(lab, cluster)},
        shutdown_policy=lab.clusters[cluster].options.shutdown_policy.value,
    )


def declared_array(lab: Lab, array: str) -> ArraySpec:
    """LUNs and exports of one array, as declared: of what runs and is enabled."""
    nas = lab.nas[array]
    services = nas.services or NasServices()
    luns: dict[str, frozenset[tuple[str, str]]] = {}
    shown_by: dict[str, str] = {}
    for name, target in nas.targets.items() if _runs(services.iscsi) else ():
        addresses = {str(nas.portals[portal].address) for portal in target.portals}
        seen = frozenset(product(addresses, _let_in(lab, nas, target)))
        for zvol in target.luns.values():
            extent = nas.zvols[zvol].extent
            if extent is None or extent.enabled:
                volume = f"{nas.zvols[zvol].pool}/{zvol}"
                luns[volume] = luns.get(volume, frozenset()) | seen
                shown_by[volume] = f"{nas.iqn}:{name} port {ISCSI_PORT}"
    shares = nas.shares.values() if _runs(services.nfs) else ()
    return ArraySpec(
        luns,
        shown_by,
        {share.path: _clients(lab, share) for share in shares if share.enabled is not False},
    )


def _runs(service: NasService | None) -> bool:
    return service is None or service.running is not False


def _let_in(lab: Lab, nas: Nas, target: Target) -> set[str]:
    """The initiators that a target lets in, by name."""
    nodes, names = target.initiators, set[str]()
    if target.initiator_group is not None:
        group = nas.initiator_groups[target.initiator_group]
        nodes, names = group.nodes, {*group.names}
    names |= {name for node in nodes if (name := lab.nodes[node].initiator) is not None}
    return names or {EVERYBODY}


def _clients(lab: Lab, share: Share) -> frozenset[str]:
    subnet = lab.vlans[share.vlan].subnet
    if share.networks is None and share.hosts is None:
        return frozenset() if subnet is None else frozenset({str(subnet)})
    return frozenset([*(share.networks or ()), *(share.hosts or ())])


def _rules(lab: Lab, cluster: str) -> Iterator[Rule]:
    """Those declared, and a strict one for each guest under HA that is pinned."""
    for name, rule in lab.ha_rules.items():
        if rule.cluster == cluster:
            sids = frozenset(_sid(lab.guests[guest]) for guest in rule.guests)
            if rule.type is RuleType.NODE_AFFINITY:
                yield NodeAffinity(name, sids, dict(rule.nodes or {}), strict=rule.strict)
            else:
                yield ResourceAffinity(name, sids, rule.affinity is not Affinity.NEGATIVE)
    for guest in lab.guests.values():
        if guest.cluster == cluster and guest.ha is not None and guest.placement.pin:
            nodes = dict.fromkeys(guest.placement.pin, 0)
            yield NodeAffinity(f"pin-{guest.vmid}", frozenset({_sid(guest)}), nodes, strict=True)


def _sid(guest: Guest) -> str:
    return f"vm:{guest.vmid}"


def _guest(lab: Lab, name: str, guest: Guest) -> GuestSpec:
    storages = frozenset(disk.storage for disk in guest.disks.values())
    return GuestSpec(
        guest.vmid,
        name,
        guest.cores * guest.sockets,
        guest.memory,
        storages,
        tuple((net.bridge, lab.vlans[net.vlan].id) for net in guest.nets.values()),
        bool(guest.onboot),
        storages,
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
        case LvmThin():
            backing = storage.vg
        case ZfsPool():
            backing = storage.pool
        case Dir():
            backing = storage.path
        case Nfs():
            backing, export = _nfs(lab, storage)
    kind: str = getattr(storage, "type", "")
    local = isinstance(storage, Local)
    return StorageSpec(name, kind, backing, nodes, storage.enabled, export, local)


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
