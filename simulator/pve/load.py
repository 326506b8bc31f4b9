"""From vendor documents to the physics' `Workload`: the simulator's own parser of what the API
keeps.

Called whenever documents change (`PveApi.sync`). A guest's part is worked out once for each version
of its configuration. Leaves out all that has no weight: people, jobs, comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from simulator.pve import propertystring
from simulator.pve.documents import Documents, Entry, GuestConfig
from simulator.pve.formats import items
from simulator.workload import GuestSpec, HaResource, HaRuleSpec, StorageSpec, Workload

_VOLUME_OPTION = re.compile(r"(ide|scsi|virtio|sata|efidisk|tpmstate|mp)\d+|rootfs")
_NET_OPTION = re.compile(r"net\d+")
DEFAULT_MEMORY_MIB = 512  # administration guide, qm
_BACKING = {
    "rbd": "pool",
    "cephfs": "fs-name",
    "lvm": "vgname",
    "lvmthin": "vgname",
    "nfs": "server",
}


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


class Specs:
    """Guests as loads, remembered for as long as their configuration stays the same object."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[GuestConfig, GuestSpec]] = {}

    def spec(self, vmid: int, guest: GuestConfig) -> GuestSpec:
        """A guest as a load."""
        known = self._known.get(vmid)
        if known is None or known[0] is not guest:
            known = self._known[vmid] = (guest, guest_spec(vmid, guest.current))
        return known[1]


def guest_spec(vmid: int, config: Entry) -> GuestSpec:
    """A guest as a load, from what it runs with."""
    return GuestSpec(
        vmid=vmid,
        name=str(config.get("name") or config.get("hostname") or f"VM {vmid}"),
        cores=cpus(config),
        memory_bytes=memory_mib(config) * 2**20,
        storages=frozenset(volid.partition(":")[0] for _, volid in volumes(config)),
        nets=tuple(nets(config)),
        onboot=bool(config.get("onboot")),
    )


def workload(documents: Documents, specs: Specs | None = None) -> Workload:
    """All of a cluster as a load."""
    specs = specs or Specs()
    return Workload(
        guests={vmid: specs.spec(vmid, guest) for vmid, guest in documents.guests.items()},
        storages={name: _storage(name, entry) for name, entry in documents.storages.items()},
        ha={sid: _resource(sid, entry) for sid, entry in documents.ha_resources.items()},
        rules=tuple(
            _rule(name, entry)
            for name, entry in documents.ha_rules.items()
            if not entry.get("disable")
        ),
        shutdown_policy=_policy(str(documents.options.get("ha") or "")),
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


def _rule(name: str, entry: Entry) -> HaRuleSpec:
    nodes: dict[str, int] = {}
    for word in items(str(entry.get("nodes") or "")):
        node, _, priority = word.partition(":")
        nodes[node] = int(priority or 0)
    return HaRuleSpec(
        name=name,
        type=str(entry["type"]),
        sids=tuple(items(str(entry["resources"]))),
        nodes=nodes,
        strict=bool(entry.get("strict")),
        positive=entry.get("affinity") != "negative",
    )


@lru_cache(maxsize=16)
def _policy(text: str) -> str:
    values: Mapping[str, str] = propertystring.split(text, "shutdown_policy")
    return values.get("shutdown_policy", "conditional")
