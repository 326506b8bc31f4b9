"""The documents of an array to which the desired state was applied, as it would hold them.

What a served lab with its whole load begins with. Written from the vendor's facts, with no code of
the controller.
"""

from __future__ import annotations

from typing import Any

from lab.kinds.nas import Nas
from lab.lab import Lab
from simulator.model import initiator_of
from simulator.truenas.catalogue import METHODS, checker
from simulator.truenas.documents import Dataset, Documents
from simulator.truenas.extents import NAA_PREFIX
from simulator.truenas.install import installed
from simulator.truenas.pools import guid
from simulator.truenas.version import Version, version_of
from simulator.twin import Twin


def declared(twin: Twin, nas: str) -> Documents:
    """All documents of one array of the twin's lab."""
    lab, documents = twin.model.lab, installed(twin, nas)
    array = lab.nas[nas]
    keep = _Keeper(documents, version_of(array.version))
    documents.settings["iscsi.global"] = {
        **documents.settings["iscsi.global"],
        "basename": array.iqn,
    }
    for name, zvol in array.zvols.items():
        size = str(zvol.size)
        properties = {"volsize": size, "volblocksize": "16384", "refreservation": size}
        documents.datasets[f"{zvol.pool}/{name}"] = Dataset("VOLUME", properties)
    portals = {
        name: keep("iscsi.portal", listen=[{"ip": str(portal.address)}], comment=name, tag=number)
        for number, (name, portal) in enumerate(array.portals.items(), 1)
    }
    shown = {zvol for target in array.targets.values() for zvol in target.luns.values()}
    extents = {
        name: keep("iscsi.extent", name=name, **_extent(nas, name, zvol.pool))
        for name, zvol in array.zvols.items()
        if name in shown
    }
    _targets(lab, array, keep, portals, extents)
    _shares(lab, array, documents, keep)
    _services(array, documents)
    return documents


class _Keeper:
    """Keeps rows as `create` would, with all defaults of the release."""

    def __init__(self, documents: Documents, version: Version) -> None:
        self.documents = documents
        self.version = version

    def __call__(self, namespace: str, **given: Any) -> int:
        method = METHODS[f"{namespace}.create"]
        known = {param.name for param in checker(self.version).tables[namespace]}
        data = {key: value for key, value in given.items() if key in known}
        args = checker(self.version).arguments(method.params, [data])
        identity = self.documents.next_id(namespace)
        made = {key: value for key, value in given.items() if key not in known}
        row = {**args[method.params[0].name], **made, "id": identity}
        self.documents.rows(namespace)[identity] = row
        return identity


def _extent(nas: str, name: str, pool: str) -> dict[str, str]:
    """What an extent is on, and what hosts know it by."""
    digits = f"{int(guid(nas, name)):x}".rjust(19, "0")
    disk = f"zvol/{pool}/{name}"
    return {"disk": disk, "path": disk, "naa": NAA_PREFIX + digits, "serial": digits[-15:]}


def _targets(
    lab: Lab, array: Nas, keep: _Keeper, portals: dict[str, int], extents: dict[str, int]
) -> None:
    for number, (name, target) in enumerate(array.targets.items(), 1):
        hosts = sorted(initiator_of(lab, node) for node in target.initiators)
        group = keep("iscsi.initiator", initiators=hosts, comment=name)
        groups = [{"portal": portals[portal], "initiator": group} for portal in target.portals]
        relative = {"rel_tgt_id": number} if keep.version.strict else {}
        own = keep("iscsi.target", name=name, groups=groups, **relative)
        for lun, zvol in target.luns.items():
            keep("iscsi.targetextent", target=own, lunid=int(lun), extent=extents[zvol])


def _shares(lab: Lab, array: Nas, documents: Documents, keep: _Keeper) -> None:
    for share in array.shares.values():
        folder = share.path.removeprefix("/mnt/")
        parts = folder.split("/") if folder.startswith(f"{share.pool}/") else []
        for count in range(1, len(parts) + 1):
            documents.datasets.setdefault("/".join(parts[:count]), Dataset("FILESYSTEM"))
        subnet = lab.vlans[share.vlan].subnet
        where = {"path": share.path} if keep.version.scale else {"paths": [share.path]}
        root = {"maproot_user": "root", "maproot_group": "root" if keep.version.scale else "wheel"}
        networks = [str(subnet)] if subnet is not None else []
        keep("sharing.nfs", **where, **root, networks=networks)


def _services(array: Nas, documents: Documents) -> None:
    used = {"iscsitarget": bool(array.targets), "nfs": bool(array.shares)}
    for identity, row in list(documents.rows("service").items()):
        if used.get(row["service"]):
            documents.rows("service")[identity] = {**row, "enable": True, "state": "RUNNING"}
    documents.changed()
