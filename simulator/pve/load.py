"""From vendor documents to the physics' `Workload`: the simulator's own parser of what the API
keeps.

Called whenever documents change (`PveApi.sync`). A guest's part is worked out once for each version
of its configuration. Leaves out all that has no weight: people, jobs, comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

from simulator.cluster.documents import CrsSettings, NodeAffinity, ResourceAffinity, Rule
from simulator.pve import propertystring
from simulator.pve.documents import Documents, Entry, GuestConfig
from simulator.pve.propertystring import items
from simulator.pve_datacenter.ha_groups import GROUPS
from simulator.workload import GuestSpec, HaResource, StorageSpec, Workload

Name = TypeVar("Name")
Source = TypeVar("Source")
Result = TypeVar("Result")

_VOLUME_OPTION = re.compile(r"(ide|scsi|virtio|sata|efidisk|tpmstate|mp)\d+|rootfs")
_NET_OPTION = re.compile(r"net\d+")
DEFAULT_MEMORY_MIB = 512  # administration guide, qm
_BACKING = {
    "rbd": "pool",
    "cephfs": "fs-name",
    "lvm": "vgname",
    "lvmthin": "vgname",
    "zfspool": "pool",
    "dir": "path",
    "nfs": "server",
}
LOCAL_TYPES = frozenset({"dir", "btrfs", "lvmthin", "zfspool"})  # guide, storage types


def memory_mib(config: Entry) -> int:
    """Memory of a guest: `2048` or `current=2048`."""
    text = str(config.get("memory") or DEFAULT_MEMORY_MIB)
    values = propertystring.split(text, "current")
    return int(values["current"])


def cpus(config: Entry) -> int:
    """Virtual processors: vcpus where it is set, else cores on all sockets."""
    all_cores = int(str(config.get("cores") or 1)) * int(str(config.get("sockets") or 1))
    return int(str(config.get("vcpus") or all_cores))


def volumes(config: Entry) -> Iterator[tuple[str, str]]:
    """Option and volume id of each disk; not the empty CD-ROM drive, nor paths."""
    for option, value in config.items():
        if _VOLUME_OPTION.fullmatch(option):
            volid = propertystring.split(str(value), "file", {"volume": "file"}).get("file", "")
            if ":" in volid and not volid.startswith("/"):
                yield option, volid


def nets(config: Entry) -> Iterator[tuple[str, int]]:
    """Bridge and VLAN id (0: untagged) of each network card."""
    for option, value in sorted(config.items()):
        if _NET_OPTION.fullmatch(option):
            values = propertystring.split(str(value), "model")
            if "bridge" in values:
                yield values["bridge"], int(values.get("tag", 0))


class Remembered(Generic[Name, Source, Result]):
    """What a function makes of documents, kept for as long as each stays the same object."""

    def __init__(self, make: Callable[[Name, Source], Result]) -> None:
        self._make = make
        self._known: dict[Name, tuple[Source, Result]] = {}

    def of(self, name: Name, source: Source) -> Result:
        """The function's value."""
        known = self._known.get(name)
        if known is None or known[0] is not source:
            known = self._known[name] = (source, self._make(name, source))
        return known[1]


def guest_spec(vmid: int, guest: GuestConfig) -> GuestSpec:
    """A guest as a load, from what it runs with."""
    config = guest.current
    volids = [volid for _, volid in volumes(config)]
    own = frozenset(volid.partition(":")[0] for volid in volids if ":iso/" not in volid)
    return GuestSpec(
        vmid=vmid,
        name=str(config.get("name") or config.get("hostname") or f"VM {vmid}"),
        cores=cpus(config),
        memory_bytes=memory_mib(config) * 2**20,
        storages=frozenset(volid.partition(":")[0] for volid in volids),
        nets=tuple(nets(config)),
        onboot=bool(config.get("onboot")),
        disks=own,
    )


class Loads:
    """Parts of a workload, remembered from one version of the documents to the next."""

    def __init__(self) -> None:
        self.guests = Remembered(guest_spec)
        self.resources = Remembered(_resource)


def workload(documents: Documents, loads: Loads | None = None) -> Workload:
    """All of a cluster as a load."""
    loads = loads or Loads()
    groups = GROUPS.entries(documents)
    resources = _with_failback(documents.ha_resources, groups)
    return Workload(
        guests={vmid: loads.guests.of(vmid, guest) for vmid, guest in documents.guests.items()},
        storages={name: _storage(name, entry) for name, entry in documents.storages.items()},
        ha={sid: loads.resources.of(sid, entry) for sid, entry in resources.items()},
        rules={
            name: rule_of(name, entry)
            for name, entry in documents.ha_rules.items()
            if not entry.get("disable")
        }
        | dict(_group_rules(documents.ha_resources, groups)),
        shutdown_policy=_policy(str(documents.options.get("ha") or "")),
        crs=_crs(str(documents.options.get("crs") or "")),
    )


def _storage(name: str, entry: Entry) -> StorageSpec:
    kind = str(entry["type"])
    nodes = items(str(entry.get("nodes") or ""))
    return StorageSpec(
        name=name,
        type=kind,
        backing=str(entry.get(_BACKING.get(kind, ""), "") or ("rbd" if kind == "rbd" else "")),
        nodes=frozenset(nodes) if nodes else None,
        enabled=not entry.get("disable"),
        export=str(entry.get("export") or ""),
        local=kind in LOCAL_TYPES and not entry.get("shared"),
    )


def _resource(sid: str, entry: Entry) -> HaResource:
    state = str(entry.get("state") or "started")
    return HaResource(
        sid=sid,
        state="started" if state == "enabled" else state,
        max_restart=int(str(entry.get("max_restart", 1))),
        max_relocate=int(str(entry.get("max_relocate", 1))),
        failback=bool(entry.get("failback", 1)),
    )


def _with_failback(
    resources: Mapping[str, Entry], groups: Mapping[str, Entry]
) -> Mapping[str, Entry]:
    """The resources, those in a group with its failback."""
    placed = {sid: groups.get(str(entry.get("group"))) for sid, entry in resources.items()}
    return {
        sid: entry if (group := placed[sid]) is None else {**entry, "failback": _fails_back(group)}
        for sid, entry in resources.items()
    }


def _fails_back(group: Entry) -> int:
    return int(not group.get("nofailback"))


def _group_rules(
    resources: Mapping[str, Entry], groups: Mapping[str, Entry]
) -> Iterator[tuple[str, Rule]]:
    """The node affinity that groups amount to, by the names that an upgrade gives it."""
    for group, settings in groups.items():
        if members := [sid for sid, entry in resources.items() if entry.get("group") == group]:
            entry: Entry = {
                "type": "node-affinity",
                "resources": ",".join(members),
                "nodes": settings.get("nodes"),
                "strict": settings.get("restricted"),
            }
            yield f"ha-group-{group}", rule_of(f"ha-group-{group}", entry)


def rule_of(name: str, entry: Entry) -> Rule:
    """A rule in the manager's words, from its section."""
    sids = frozenset(items(str(entry["resources"])))
    if entry["type"] == "resource-affinity":
        return ResourceAffinity(name, sids, entry.get("affinity") != "negative")
    nodes: dict[str, int] = {}
    for word in items(str(entry.get("nodes") or "")):
        node, _, priority = word.partition(":")
        nodes[node] = int(priority or 0)
    return NodeAffinity(name, sids, nodes, strict=bool(entry.get("strict")))


@lru_cache(maxsize=16)
def _policy(text: str) -> str:
    values: Mapping[str, str] = propertystring.split(text, "shutdown_policy")
    return values.get("shutdown_policy", "conditional")


@lru_cache(maxsize=16)
def _crs(text: str) -> CrsSettings:
    values: Mapping[str, str] = propertystring.split(text, "ha")
    known = CrsSettings()
    return CrsSettings(
        mode=values.get("ha", known.mode),
        rebalance_on_start=values.get("ha-rebalance-on-start") == "1",
        auto_rebalance=values.get("ha-auto-rebalance") == "1",
        threshold=float(values.get("ha-auto-rebalance-threshold", known.threshold)),
        method=values.get("ha-auto-rebalance-method", known.method),
        hold_rounds=int(values.get("ha-auto-rebalance-hold-duration", known.hold_rounds)),
        margin=float(values.get("ha-auto-rebalance-margin", known.margin)),
    )
