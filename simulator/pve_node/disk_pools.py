"""Volume groups, thin pools, pools of ZFS and directories on a node's disks. Source:
PVE::API2::Disks::LVM, ::LVMThin, ::ZFS, ::Directory; zpool-status(8).

Those that were made on the node's disks (`disk_make`), and besides the pools of ZFS and thin pools
that storages name. Leaves out: volume groups of OSDs; thin volumes in the count of a group's
volumes; what a pool is made of that only a storage names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve_node.disks import AUDIT, NODE, host_of
from simulator.pve_node.storage import status
from simulator.storage.availability import shows

if TYPE_CHECKING:
    from simulator.storage.disks import LogicalVolume, VolumeGroup, Zpool

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
    taken = {
        (str(entry["vgname"]), str(entry["thinpool"])): (size, used)
        for entry, size, used in pools(call, "lvmthin")
    }
    known = {
        (group.name, volume.name): (volume.size_bytes, volume.metadata_bytes)
        for group, volume in thin_pools(call)
    }
    named = {key: (size, size // _METADATA_PART) for key, (size, _) in taken.items()}
    return [
        {
            "lv": lv,
            "vg": vg,
            "lv_size": size,
            "used": taken.get((vg, lv), (0, 0))[1],
            "metadata_size": metadata,
            "metadata_used": 0,
        }
        for (vg, lv), (size, metadata) in {**named, **known}.items()
    ]


def thin_pools(scene: Environment) -> Iterator[tuple[VolumeGroup, LogicalVolume]]:
    """Those that the node made, with the groups that they are in."""
    for group, _ in groups(scene):
        yield from ((group, volume) for volume in group.volumes if volume.metadata_bytes)


@routes.add("GET /nodes/{node}/disks/zfs", AUDIT, NODE)
def zfs(call: Call) -> object:
    """Pools of ZFS; a storage may be a dataset below one."""
    found = {str(entry["pool"]).partition("/")[0]: (size, used)
             for entry, size, used in pools(call, "zfspool")}  # fmt: skip
    health = dict.fromkeys(found, "ONLINE")
    for pool in zpools(call):
        used = found.get(pool.name, (0, 0))[1] * pool.size_bytes // pool.usable_bytes
        found[pool.name] = (pool.size_bytes, used)
        health[pool.name] = _health(pool, _lost(call, pool))
    return [
        {"name": name, "size": size, "alloc": used, "free": size - used, "frag": 0, "dedup": 1,
         "health": health[name]}
        for name, (size, used) in found.items()
    ]  # fmt: skip


def zpools(scene: Environment) -> Iterator[Zpool]:
    """Pools that the node made, by name."""
    mine = f"{scene.node}/"
    known = sorted(scene.twin.state.zpools.values(), key=lambda pool: pool.name)
    return (pool for pool in known if pool.members[0][0].startswith(mine))


def _lost(scene: Environment, pool: Zpool) -> frozenset[str]:
    """The members whose disks do not work."""
    return frozenset(volume for volume, _ in pool.members if not shows(scene.twin.facts, volume))


def _health(pool: Zpool, lost: frozenset[str]) -> str:
    return "ONLINE" if not lost else "DEGRADED" if pool.survives(lost) else "SUSPENDED"


_TOLD = {
    "DEGRADED": {
        "status": "One or more devices could not be opened.  Sufficient replicas exist for the "
        "pool to continue functioning in a degraded state.",
        "action": "Attach the missing device and online it using 'zpool online'.",
    },
    "SUSPENDED": {
        "status": "One or more devices are faulted in response to IO failures.",
        "action": "Make sure the affected devices are connected, then run 'zpool clear'.",
    },
}


@routes.add("GET /nodes/{node}/disks/zfs/{name}", AUDIT, NODE + "name pve-storage-id\n")
def zfs_pool(call: Call) -> object:
    """What a pool is made of, and how that is."""
    name = call.text("name")
    row: dict[str, object] = {"name": name, "errors": "No known data errors", "leaf": 0}
    if (pool := next((pool for pool in zpools(call) if pool.name == name), None)) is None:
        named = (str(entry["pool"]).partition("/")[0] for entry, *_ in pools(call, "zfspool"))
        if name not in named:
            raise died(f"command '/sbin/zpool status -P {name}' failed: exit code 1")
        return {**row, "state": "ONLINE", "children": [_vdev(name, "ONLINE")]}
    lost = _lost(call, pool)
    health = _health(pool, lost)
    vdevs: list[dict[str, object]] = []
    for number, vdev in enumerate(pool.vdevs):
        leaves = [
            _vdev(f"/dev/{volume.partition('/')[2]}", "UNAVAIL" if volume in lost else "ONLINE")
            for volume, _ in vdev
        ]
        kind = {"raid10": "mirror", "raidz": "raidz1"}.get(pool.level, pool.level)
        own = replace(pool, level="mirror" if kind == "mirror" else pool.level, members=vdev)
        state = _health(own, lost & {volume for volume, _ in vdev}).replace("SUSPENDED", "UNAVAIL")
        vdevs += leaves if kind == "single" else [_vdev(f"{kind}-{number}", state, leaves)]
    told = {"state": health, **_TOLD.get(health, {})}
    return {**row, **told, "children": [_vdev(name, health, vdevs)]}


def _vdev(
    name: str, health: str, below: list[dict[str, object]] | None = None
) -> dict[str, object]:
    counted = dict.fromkeys(("read", "write", "cksum"), 0)
    row: dict[str, object] = {"name": name, "state": health, "msg": "", **counted}
    return {**row, "leaf": 0, "children": below} if below else {**row, "leaf": 1}


@routes.add("GET /nodes/{node}/disks/directory", AUDIT, NODE)
def directories(call: Call) -> object:
    """File systems that this API made and mounts, by their units."""
    from simulator.linux import mounts

    return [
        {"unitfile": file, "path": unit.target, "device": unit.source, "type": unit.fstype,
         "options": ",".join(unit.options)}
        for file, unit in sorted(mounts.units_of(host_of(call)).items())
        if unit.target.startswith("/mnt/pve/")
    ]  # fmt: skip
