"""A storage is reachable by every node that has it.

Sources: the Proxmox VE administration guide, storage; iscsiadm(8), nfs(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.storage import Content, Local, Lvm, Nfs, Rbd, Storage
from lab.lab import Lab, title
from lab.names import nearest
from lab.rules.placement import Homes
from lab.rules.wiring import carried, hosts

Found = Iterator[tuple[str, str, str]]  # key, what, fix
SERVES = "the nodes would ask for something that is not there"


def nodes_of(lab: Lab, storage: Storage) -> list[str]:
    """Nodes that have the storage, sorted."""
    known = {name for cluster in storage.clusters for name in lab.members(cluster)}
    return sorted(known if storage.nodes is None else known & set(storage.nodes))


def backing_exists(lab: Lab) -> Iterator[Problem]:
    """The pool, share, export, target and LUN that a storage names are there."""
    for name, storage in lab.storages.items():
        for key, what, fix in _missing(lab, storage):
            place = lab.place("storages", name, key)
            yield Problem(place, f"{title('storages', name)}: {what}", SERVES, fix)


def _missing(lab: Lab, storage: Storage) -> Found:
    match storage:
        case Rbd() if ceph := lab.ceph.get(storage.ceph):
            if storage.pool not in ceph.pools:
                what = f"ceph {storage.ceph} has no pool {storage.pool}"
                yield "pool", what, nearest(storage.pool, ceph.pools)
            if storage.client is not None and storage.client not in ceph.clients:
                what = f"ceph {storage.ceph} has no client {storage.client}"
                yield "client", what, nearest(storage.client, ceph.clients)
        case Nfs(share=str(share)) if nas := lab.nas.get(storage.nas or ""):
            if share not in nas.shares:
                yield "share", f"{storage.nas} has no share {share}", nearest(share, nas.shares)
        case Nfs(export=str(export)) if server := lab.backup_servers.get(
            storage.backup_server or ""
        ):
            if export not in server.exports:
                what = f"{storage.backup_server} has no export {export}"
                yield "export", what, nearest(export, server.exports)
        case Lvm() if nas := lab.nas.get(storage.nas):
            target = nas.targets.get(storage.target)
            if target is None:
                what = f"{storage.nas} has no target {storage.target}"
                yield "target", what, nearest(storage.target, nas.targets)
            elif storage.lun not in target.luns:
                what = f"target {storage.target} of {storage.nas} has no LUN {storage.lun}"
                yield "lun", what, nearest(storage.lun, target.luns)


def vlans_of(lab: Lab, storage: Storage) -> list[str]:
    """VLANs over which a node reaches the storage; each of them is needed."""
    match storage:
        case Rbd():
            ceph = lab.ceph.get(storage.ceph)
            return [ceph.public] if ceph is not None else []
        case Nfs(nas=str(nas)):
            array = lab.nas.get(nas)
            share = array.shares.get(storage.share or "") if array is not None else None
            return [share.vlan] if share is not None else []
        case Nfs(backup_server=str(name)):
            server = lab.backup_servers.get(name)
            export = server.exports.get(storage.export or "") if server is not None else None
            return [export.vlan] if export is not None else []
        case Lvm():
            array = lab.nas.get(storage.nas)
            target = array.targets.get(storage.target) if array is not None else None
            if array is None or target is None:
                return []
            return [array.portals[key].vlan for key in target.portals if key in array.portals]
    return []


def nodes_reach_storages(lab: Lab) -> Iterator[Problem]:
    """Every node of a storage has a port and an address in its VLANs."""
    for name, storage in lab.storages.items():
        vlans = vlans_of(lab, storage)
        for node in nodes_of(lab, storage):
            host = lab.nodes[node]
            have = carried(host)
            for vlan in vlans:
                place = lab.place("storages", name)
                if vlan not in have:
                    what = f"{title('storages', name)} is on {vlan}, which {node} does not carry"
                    why = f"{node} sees the storage as offline, and its guests there can't start"
                    fix = f"add {vlan} to a bond or port of {node}, or limit the storage with nodes"
                    yield Problem(place, what, why, fix)
                elif vlan not in host.addresses:
                    what = f"{title('storages', name)} is on {vlan}, where {node} has no address"
                    why = "without an address of its own the node can't ask"
                    fix = f"add {vlan} to the addresses of {node}"
                    yield Problem(place, what, why, fix, "warning")


def initiators_are_let_in(lab: Lab) -> Iterator[Problem]:
    """Every node of an LVM storage is an initiator of its target."""
    for name, storage in lab.storages.items():
        if not isinstance(storage, Lvm) or (nas := lab.nas.get(storage.nas)) is None:
            continue
        if (target := nas.targets.get(storage.target)) is None:
            continue
        place = lab.place("nas", storage.nas, "targets", storage.target, "initiators")
        for node in nodes_of(lab, storage):
            if node not in target.initiators:
                who = f"{node} has {title('storages', name)}"
                what = f"{who}, but is no initiator of target {storage.target}"
                why = f"{node} can't log in, and its guests there can't start"
                yield Problem(place, what, why, f"add {node} to initiators")


def initiators_have_names(lab: Lab) -> Iterator[Problem]:
    """Of the nodes that log in to a target all have an initiator name, or none."""
    for nas, array in lab.nas.items():
        for name, target in array.targets.items():
            nodes = [node for node in target.initiators if node in lab.nodes]
            nameless = [node for node in nodes if lab.nodes[node].initiator is None]
            if target.initiator_group is None and 0 < len(nameless) < len(nodes):
                what = (
                    f"target {name} of {nas}: no initiator name is known of {', '.join(nameless)}"
                )
                why = "the array lets in those with a name alone, as soon as one has it"
                place = lab.place("nas", nas, "targets", name, "initiators")
                yield Problem(place, what, why, f"write initiator at nodes/{nameless[0]}")


def servers_are_on_their_vlans(lab: Lab) -> Iterator[Problem]:
    """An array or backup server carries the VLANs that it offers something on."""
    for word, name, host in hosts(lab):
        have = carried(host)
        offers: list[tuple[str, str, str]] = []
        if word == "nas":
            nas = lab.nas[name]
            offers += [("portals", key, portal.vlan) for key, portal in nas.portals.items()]
            offers += [("shares", key, share.vlan) for key, share in nas.shares.items()]
        elif word == "backup-servers":
            exports = lab.backup_servers[name].exports
            offers += [("exports", key, export.vlan) for key, export in exports.items()]
        for section, key, vlan in offers:
            if vlan not in have:
                what = f"{section[:-1]} {key} is on {vlan}, which no port or bond of {name} carries"
                fix = f"add {vlan} to a bond or port of {name}"
                yield Problem(lab.place(word, name, section, key, "vlan"), what, SERVES, fix)


def disks_are_on_fit_storages(lab: Lab) -> Iterator[Problem]:
    """A guest's disks are on storages of its cluster that hold images, on every node where it may
    be.
    """
    homes = Homes(lab)
    having = {name: set(nodes_of(lab, storage)) for name, storage in lab.storages.items()}
    for name, guest in lab.guests.items():
        for slot, disk in guest.disks.items():
            storage = lab.storages.get(disk.storage)
            if storage is None or guest.cluster not in storage.clusters:
                continue  # the references and `belonging` say so
            place = lab.place("guests", name, "disks", slot, "storage")
            who = f"{title('guests', name)} {slot} is on {disk.storage}"
            if Content.IMAGES not in storage.content:
                fix = f"add images to the content of {disk.storage}, or use another storage"
                yield Problem(place, f"{who}, which holds no images", "", fix)
            without = [node for node in homes.of(name) if node not in having[disk.storage]]
            if without:
                what = f"{who}, which {', '.join(without)} does not have"
                why = "the guest can't start on a node without its disk"
                yield Problem(place, what, why, "pin the guest to nodes that have it")
            if guest.ha is not None and isinstance(storage, Local):
                why = "HA can't start it elsewhere: the disk stays on the node that was lost"
                fix = "use a storage that all nodes share, or remove ha"
                yield Problem(place, f"{who}, which each node has for itself", why, fix, "warning")


def local_storages_are_on_disks_of_the_node(lab: Lab) -> Iterator[Problem]:
    """Each node that has a storage for itself has the RAID that it is on."""
    for name, storage in lab.storages.items():
        if not isinstance(storage, Local) or storage.raid is None:
            continue
        for node in nodes_of(lab, storage):
            raids = lab.nodes[node].raids
            if storage.raid not in raids:
                what = f"{title('storages', name)} is on {storage.raid}, which is no RAID of {node}"
                fix = nearest(storage.raid, raids) if raids else f"add it to the raids of {node}"
                yield Problem(lab.place("storages", name, "raid"), what, SERVES, fix)


def backups_have_a_place(lab: Lab) -> Iterator[Problem]:
    """A backup job writes to a storage that holds backups."""
    for name, job in lab.backup_jobs.items():
        storage = lab.storages.get(job.storage)
        if storage is not None and Content.BACKUP not in storage.content:
            place = lab.place("backup-jobs", name, "storage")
            what = f"{title('backup-jobs', name)} writes to {job.storage}, which holds no backups"
            yield Problem(place, what, "", f"add backup to the content of {job.storage}")


RULES = (
    backing_exists,
    nodes_reach_storages,
    initiators_are_let_in,
    initiators_have_names,
    servers_are_on_their_vlans,
    disks_are_on_fit_storages,
    local_storages_are_on_disks_of_the_node,
    backups_have_a_place,
)
