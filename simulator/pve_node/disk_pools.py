"""Volume groups, thin pools, pools of ZFS and directories on a node's disks. Source:
PVE::API2::Disks::LVM, ::LVMThin, ::ZFS, ::Directory.

Pools of ZFS and thin pools are those that storages name. Leaves out: volume groups of OSDs, what a
pool of ZFS is made of, and making any of these, for no storage of the twin could use them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes
from simulator.pve_node.disks import AUDIT, NODE, host_of
from simulator.pve_node.storage import status

if TYPE_CHECKING:
    from simulator.storage.disks import VolumeGroup

routes = Routes()
_METADATA_PART = 100  # of a thin pool that PVE::API2::Disks::LVMThin makes: a hundredth


def groups(scene: Environment) -> Iterator[tuple[VolumeGroup, dict[str, object]]]:
    """Volume groups that the node sees, those on LUNs among them, each with what is told of it."""
    from simulator.linux import blocks

    host, twin = host_of(scene), scene.twin
    for group in blocks.groups(host, twin, blocks.without_volumes(host, twin)):
        free = blocks.free_bytes(host, twin, group)
        count = len(blocks.logical_volumes(host, twin, group))
        yield group, {"size": group.size_bytes, "free": free, "lvcount": count}


@routes.add("GET /nodes/{node}/disks/lvm", AUDIT, NODE)
def lvm(call: Call) -> object:
    """Volume groups, each with the devices it is on."""
    from simulator.linux import blocks

    host, twin, rows = host_of(call), call.twin, []
    known = blocks.without_volumes(host, twin)
    for group, told in groups(call):
        members = []
        for device in blocks.group_devices(twin, group, known):
            size, free = blocks.member_bytes(host, twin, group, device.volume)
            members.append({"name": device.path, "size": size, "free": free, "leaf": 1})
        rows.append({"name": group.name, **told, "leaf": 0, "children": members})
    return {"leaf": 0, "children": rows}


def pools(scene: Environment, kind: str) -> Iterator[tuple[Mapping[str, object], int, int]]:
    """Storages of a type that serve on the node, with their sizes and what is used of them."""
    for name, entry in scene.documents.storages.items():
        if entry["type"] == kind:
            told = status(scene, name, scene.node)
            if told["active"]:
                yield entry, int(str(told["total"])), int(str(told["used"]))


@routes.add("GET /nodes/{node}/disks/lvmthin", AUDIT, NODE)
def lvm_thin(call: Call) -> object:
    """Thin pools. How full their metadata is does not count."""
    return [
        {
            "lv": entry["thinpool"],
            "vg": entry["vgname"],
            "lv_size": size,
            "used": used,
            "metadata_size": size // _METADATA_PART,
            "metadata_used": 0,
        }
        for entry, size, used in pools(call, "lvmthin")
    ]


@routes.add("GET /nodes/{node}/disks/zfs", AUDIT, NODE)
def zfs(call: Call) -> object:
    """Pools of ZFS; a storage may be a dataset below one."""
    found = {str(entry["pool"]).partition("/")[0]: (size, used)
             for entry, size, used in pools(call, "zfspool")}  # fmt: skip
    healthy = {"frag": 0, "dedup": 1, "health": "ONLINE"}
    return [
        {"name": name, "size": size, "alloc": used, "free": size - used, **healthy}
        for name, (size, used) in found.items()
    ]


@routes.add("GET /nodes/{node}/disks/directory", AUDIT, NODE)
def directories(call: Call) -> object:
    """File systems that this API made and mounts: it makes none here."""
    del call
    return []
