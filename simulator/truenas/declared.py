"""The documents of an array to which the desired state was applied, as it would hold them.

What a served lab with its whole load begins with. Written from the vendor's facts, with no code of
the controller. Leaves out: secrets, which are only referred to; CHAP gets made up ones.
"""

from __future__ import annotations

from typing import Any

from lab.kinds.iscsi import Target
from lab.kinds.nas import Nas, NasServices
from lab.kinds.zfs import SnapshotTask
from lab.lab import Lab
from simulator.truenas.auth import fingerprint
from simulator.truenas.catalogue import METHODS, checker
from simulator.truenas.documents import Dataset, Documents
from simulator.truenas.extents import NAA_PREFIX, zvol_path
from simulator.truenas.install import installed
from simulator.truenas.pools import guid
from simulator.truenas.properties import MANAGED
from simulator.truenas.tables import TABLES
from simulator.truenas.version import Version, version_of
from simulator.twin import Twin

BLOCK_BYTES = 16 * 2**10
SECRET_LENGTH = 16
CRON = ("minute", "hour", "dom", "month", "dow")


def declared(twin: Twin, name: str) -> Documents:
    """All documents of one array of the twin's lab."""
    lab, documents = twin.model.lab, installed(twin, name)
    array = lab.nas[name]
    keep = _Keeper(documents, version_of(array.version))
    known = {**documents.settings["iscsi.global"], "basename": array.iqn}
    documents.settings["iscsi.global"] = known
    _datasets(array, documents)
    portals = _portals(array, keep)
    extents = _extents(name, array, keep)
    _targets(lab, array, keep, portals, extents)
    _shares(lab, array, documents, keep)
    for task in array.snapshot_tasks.values():
        keep("pool.snapshottask", **_task(task))
    _services(array, documents)
    return documents


class _Keeper:
    """Keeps rows as `create` would, with all defaults of the release. What is None is not given."""

    def __init__(self, documents: Documents, version: Version) -> None:
        self.documents = documents
        self.version = version

    def __call__(self, namespace: str, **given: Any) -> int:
        method = METHODS[f"{namespace}.create"]
        given = {key: value for key, value in given.items() if value is not None}
        known = {param.name for param in TABLES[namespace]}
        data = {key: value for key, value in given.items() if key in known}
        args = checker(self.version).arguments(method.params, [data])
        identity = self.documents.next_id(namespace)
        made = {key: value for key, value in given.items() if key not in known}
        row = {**args[method.params[0].name], **made, "id": identity}
        self.documents.rows(namespace)[identity] = row
        return identity


def _set(**values: object) -> dict[str, str]:
    """Properties that are written, as ZFS keeps them."""
    return {key: str(value).lower() for key, value in values.items() if value is not None}


def _comment(text: str | None) -> dict[str, str]:
    return {} if text is None else {MANAGED["comments"]: text}


def _datasets(array: Nas, documents: Documents) -> None:
    for name, dataset in sorted(array.datasets.items()):
        atime = None if dataset.atime is None else "on" if dataset.atime else "off"
        properties = _set(
            quota=dataset.quota,
            refquota=dataset.refquota,
            compression=dataset.compression,
            sync=dataset.sync,
            recordsize=dataset.record_size,
            atime=atime,
        )
        _ancestors(documents, name)
        documents.datasets[name] = Dataset("FILESYSTEM", properties, _comment(dataset.comment))
    for name, zvol in array.zvols.items():
        properties = _set(
            volsize=zvol.size,
            volblocksize=zvol.block_size or BLOCK_BYTES,
            refreservation=None if zvol.sparse else zvol.size,
            compression=zvol.compression,
            sync=zvol.sync,
        )
        whole = f"{zvol.pool}/{name}"
        _ancestors(documents, whole)
        documents.datasets[whole] = Dataset("VOLUME", properties, _comment(zvol.comment))


def _ancestors(documents: Documents, name: str) -> None:
    """What is above a dataset is there too."""
    above = name.rpartition("/")[0]
    if above:
        documents.datasets.setdefault(above, Dataset("FILESYSTEM"))
        _ancestors(documents, above)


def _portals(array: Nas, keep: _Keeper) -> dict[str, int]:
    """Ids by portal: those of one group are one portal of the array."""
    found: dict[str, int] = {}
    for number, names in enumerate(array.portal_groups().values(), 1):
        members = [array.portals[name] for name in names]
        comment = next((member.comment for member in members if member.comment), None)
        listen = [{"ip": str(member.address)} for member in members]
        identity = keep("iscsi.portal", listen=listen, comment=comment, tag=number)
        found |= dict.fromkeys(names, identity)
    return found


def _extents(nas: str, array: Nas, keep: _Keeper) -> dict[str, int]:
    """Ids by volume, of those that a target shows."""
    found: dict[str, int] = {}
    shown = {zvol for target in array.targets.values() for zvol in target.luns.values()}
    for name, zvol in array.zvols.items():
        if name not in shown:
            continue
        digits = f"{int(guid(nas, name)):x}".rjust(19, "0")
        disk = zvol_path(f"{zvol.pool}/{name}")
        extent: dict[str, Any] = {"name": name, "serial": digits[-15:]}
        if zvol.extent is not None:
            extent["name"] = zvol.extent.name or name
            extent["serial"] = zvol.extent.serial or extent["serial"]
            extent |= {"blocksize": zvol.extent.block_size, "ro": zvol.extent.read_only}
            extent |= {"enabled": zvol.extent.enabled, "comment": zvol.extent.comment}
        found[name] = keep("iscsi.extent", disk=disk, path=disk, naa=NAA_PREFIX + digits, **extent)
    return found


def _targets(
    lab: Lab, array: Nas, keep: _Keeper, portals: dict[str, int], extents: dict[str, int]
) -> None:
    for login in array.chap.values():
        secret = fingerprint(login.secret)[:SECRET_LENGTH]
        peer = login.peer_secret and fingerprint(login.peer_secret)[:SECRET_LENGTH]
        peers = {"peeruser": login.peer_user, "peersecret": peer}
        keep("iscsi.auth", tag=login.tag, user=login.user, secret=secret, **peers)
    groups = {
        name: keep(
            "iscsi.initiator",
            initiators=sorted(_names(lab, group.nodes) | {*group.names}),
            comment=group.comment,
        )
        for name, group in array.initiator_groups.items()
    }
    for number, (name, target) in enumerate(array.targets.items(), 1):
        group = groups.get(target.initiator_group or "")
        if group is None and (own := _names(lab, target.initiators)):
            group = keep("iscsi.initiator", initiators=sorted(own))
        offered = dict.fromkeys(portals[portal] for portal in target.portals)
        let_in = {"initiator": group, **_login(array, target)}
        identity = keep(
            "iscsi.target",
            name=name,
            alias=target.alias,
            groups=[{"portal": portal, **let_in} for portal in offered],
            rel_tgt_id=number if keep.version.strict else None,
        )
        for lun, zvol in target.luns.items():
            keep("iscsi.targetextent", target=identity, lunid=int(lun), extent=extents[zvol])


def _names(lab: Lab, nodes: tuple[str, ...]) -> set[str]:
    """The initiators that nodes are declared to have."""
    return {name for node in nodes if (name := lab.nodes[node].initiator) is not None}


def _login(array: Nas, target: Target) -> dict[str, object]:
    if target.chap is None:
        return {}
    chap = array.chap[target.chap]
    return {"authmethod": "CHAP_MUTUAL" if chap.peer_user else "CHAP", "auth": chap.tag}


def _shares(lab: Lab, array: Nas, documents: Documents, keep: _Keeper) -> None:
    for share in array.shares.values():
        folder = share.path.removeprefix("/mnt/")
        if folder.startswith(f"{share.pool}/"):
            _ancestors(documents, f"{folder}/")
        networks = sorted(share.networks or ())
        subnet = lab.vlans[share.vlan].subnet
        if share.networks is None and share.hosts is None and subnet is not None:
            networks = [str(subnet)]
        keep(
            "sharing.nfs",
            **({"path": share.path} if keep.version.scale else {"paths": [share.path]}),
            networks=networks,
            hosts=sorted(share.hosts or ()),
            ro=share.read_only,
            maproot_user=share.maproot_user,
            maproot_group=share.maproot_group,
            enabled=share.enabled,
            comment=share.comment,
        )


def _task(task: SnapshotTask) -> dict[str, Any]:
    value, unit = task.keep.split()
    clock = dict(zip(CRON, task.schedule.split(), strict=True))
    return {
        "dataset": task.dataset,
        "recursive": task.recursive,
        "exclude": sorted(task.exclude),
        "naming_schema": task.naming,
        "lifetime_value": int(value),
        "lifetime_unit": unit.removesuffix("s").upper(),
        "schedule": {**clock, "begin": task.begin, "end": task.end},
        "allow_empty": task.allow_empty,
        "enabled": task.enabled,
    }


def _services(array: Nas, documents: Documents) -> None:
    """As written; what is not, runs if it has something to serve."""
    written = array.services or NasServices()
    wishes = {
        "iscsitarget": (written.iscsi, bool(array.targets)),
        "nfs": (written.nfs, bool(array.shares)),
    }
    for identity, row in list(documents.rows("service").items()):
        if row["service"] in wishes:
            wish, used = wishes[row["service"]]
            running = used if wish is None or wish.running is None else wish.running
            enabled = used if wish is None or wish.enabled is None else wish.enabled
            state = "RUNNING" if running else "STOPPED"
            documents.rows("service")[identity] = {**row, "enable": enabled, "state": state}
    documents.changed()
