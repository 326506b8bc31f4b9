"""A small lab with an array, and rows of such an array as the vendor's API gives them.

The rows are written by the facts of the API, not by our own code, and have what others set beside
ours: they are what `read` must understand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from controller.managed import Context, Key, Managed, Mark, Value
from controller.step import Answers, Step
from controller.truenas.kinds import NAS_KINDS
from lab.lab import Lab
from tests.labs import lab_of

DEVICE = "nas/nas1"
A, B = "iqn.1993-08.org.debian:01:pve1", "iqn.1993-08.org.debian:01:pve2"

HARDWARE = f"""
vlans:
  management: {{id: 99, role: management, subnet: 192.168.99.0/24}}
  iscsi-1: {{id: 101, role: iscsi, subnet: 192.168.101.0/24}}
  iscsi-2: {{id: 102, role: iscsi, subnet: 192.168.102.0/24}}
  images: {{id: 103, role: nfs, subnet: 192.168.103.0/24}}
feeds: {{f1: {{}}}}
clusters: {{b: {{version: "9.2", corosync: {{links: [management]}}}}}}
nodes:
  pve1: {{cluster: b, feeds: [f1], nics: {{eno1: {{}}}}, initiator: "{A}"}}
  pve2: {{cluster: b, feeds: [f1], nics: {{eno1: {{}}}}, initiator: "{B}"}}
"""
ARRAY = """
nas:
  nas1:
    feeds: [f1]
    version: "25.10"
    nics: {eno1: {}}
    addresses: {iscsi-1: 192.168.101.21, iscsi-2: 192.168.102.21, images: 192.168.103.21}
    disks: {sda: {size: 1TB}, sdb: {size: 1TB}}
    iqn: iqn.2005-10.org.freenas.ctl
"""
POOLS = "pools: {tank: {level: raid1, disks: [sda, sdb]}}"


def array(*parts: str, pools: str = POOLS) -> Lab:
    """The lab with an array that has these parts, each the text of a line below its entry."""
    below = "".join(
        f"    {line}\n" for part in (pools, *parts) for line in part.strip().splitlines()
    )
    return lab_of(HARDWARE, f"{ARRAY}{below}", rules=False)


def prop(parsed: Any, value: str = "", source: str = "LOCAL") -> dict[str, Any]:
    """A ZFS property as the middleware tells it."""
    text = value or str(parsed)
    return {"parsed": parsed, "rawvalue": text.lower(), "value": text, "source": source}


ROOT = {
    "id": "tank",
    "name": "tank",
    "pool": "tank",
    "type": "FILESYSTEM",
    "used": prop(100 * 2**30),
    "available": prop(800 * 2**30),
    "compression": prop("lz4", "LZ4"),
}
POOL = {"id": 1, "name": "tank", "guid": "1", "status": "ONLINE", "healthy": True}
ZVOL = {
    "id": "tank/group1",
    "name": "tank/group1",
    "pool": "tank",
    "type": "VOLUME",
    "children": [],
    "volsize": prop(100 * 2**30, "100G"),
    "volblocksize": prop(16384, "16K", "DEFAULT"),
    "refreservation": prop(100 * 2**30, "100G"),
    "compression": prop("lz4", "LZ4", "INHERITED"),
    "sync": prop("standard", "STANDARD", "DEFAULT"),
}
DATASET = {
    "id": "tank/iso",
    "name": "tank/iso",
    "pool": "tank",
    "type": "FILESYSTEM",
    "mountpoint": "/mnt/tank/iso",
    "quota": prop(None, "0", "DEFAULT"),
    "refquota": prop(None, "0", "DEFAULT"),
    "compression": prop("lz4", "LZ4", "INHERITED"),
    "sync": prop("standard", "STANDARD", "DEFAULT"),
    "atime": prop(True, "ON", "DEFAULT"),
    "recordsize": prop(131072, "128K", "DEFAULT"),
}
PORTALS = [
    {"id": 3, "tag": 1, "comment": "", "listen": [{"ip": "192.168.101.21", "port": 3260}]},
    {"id": 5, "tag": 2, "comment": "second", "listen": [{"ip": "192.168.102.21", "port": 3260}]},
]
GROUP = {"id": 2, "initiators": [B, A], "comment": "vms"}
LOGIN = {
    "id": 9,
    "tag": 7,
    "user": "students",
    "secret": "secret://env/CHAP",
    "peeruser": "",
    "peersecret": "",
    "discovery_auth": "NONE",
}
TARGET = {
    "id": 4,
    "name": "vms",
    "alias": None,
    "mode": "ISCSI",
    "groups": [
        {"portal": 5, "initiator": 2, "authmethod": "NONE", "auth": None},
        {"portal": 3, "initiator": 2, "authmethod": "NONE", "auth": None},
    ],
    "auth_networks": [],
    "rel_tgt_id": 1,
    "iscsi_parameters": None,
}
EXTENT = {
    "id": 6,
    "name": "group1",
    "type": "DISK",
    "disk": "zvol/tank/group1",
    "path": "zvol/tank/group1",
    "serial": "7c7a1cd02828837",
    "naa": "0x6589cfc000000a3b1d1f0e1d3c2b5a49",
    "blocksize": 512,
    "pblocksize": False,
    "filesize": "0",
    "comment": "",
    "insecure_tpc": True,
    "xen": False,
    "rpm": "SSD",
    "ro": False,
    "enabled": True,
    "vendor": "TrueNAS",
    "locked": False,
    "avail_threshold": None,
}
LUN = {"id": 8, "target": 4, "lunid": 0, "extent": 6}
SHARE = {
    "id": 1,
    "path": "/mnt/tank/iso",
    "aliases": [],
    "comment": "",
    "networks": ["192.168.103.0/24"],
    "hosts": [],
    "ro": False,
    "maproot_user": "root",
    "maproot_group": "root",
    "mapall_user": None,
    "mapall_group": None,
    "security": [],
    "enabled": True,
    "locked": False,
}
SERVICES = [
    {"id": 1, "service": "cifs", "enable": False, "state": "STOPPED", "pids": []},
    {"id": 2, "service": "iscsitarget", "enable": True, "state": "RUNNING", "pids": [1]},
    {"id": 3, "service": "nfs", "enable": False, "state": "STOPPED", "pids": []},
]
TASK = {
    "id": 1,
    "dataset": "tank/group1",
    "recursive": False,
    "lifetime_value": 2,
    "lifetime_unit": "WEEK",
    "enabled": True,
    "exclude": [],
    "naming_schema": "auto-%Y-%m-%d_%H-%M",
    "allow_empty": True,
    "schedule": {
        "minute": "00", "hour": "3", "dom": "*", "month": "*", "dow": "*",
        "begin": "00:00", "end": "23:59",
    },
    "state": {"state": "PENDING"},
    "vmware_sync": False,
}  # fmt: skip
SESSION = {
    "initiator": A,
    "initiator_addr": "192.168.101.11",
    "initiator_alias": None,
    "target": "iqn.2005-10.org.freenas.ctl:vms",
    "target_alias": "",
}


def answers(
    changed: Mapping[str, object] | None = None, version: str = "TrueNAS-25.10.5"
) -> dict[str, object]:
    """What an array with one LUN, one share and no session says. `changed`: by method."""
    found: dict[str, object] = {
        "system.version": version,
        "pool.query": [POOL],
        "pool.dataset.query": [ROOT, DATASET, ZVOL],
        "pool.snapshottask.query": [],
        "iscsi.global.config": {"id": 1, "basename": "iqn.2005-10.org.freenas.ctl"},
        "iscsi.portal.query": PORTALS,
        "iscsi.initiator.query": [GROUP],
        "iscsi.auth.query": [],
        "iscsi.target.query": [TARGET],
        "iscsi.extent.query": [EXTENT],
        "iscsi.targetextent.query": [LUN],
        "iscsi.global.sessions": [],
        "sharing.nfs.query": [SHARE],
        "service.query": SERVICES,
        "nfs.client_count": 0,
    }
    assert (changed or {}).keys() <= found.keys()
    return {**found, **(changed or {})}


def one(kind: type[Managed], lab: Lab, identity: str = "") -> Managed:
    """The one thing of a kind that a lab declares, or the one of this id."""
    found = [each for each in kind.wanted(lab, DEVICE) if identity in ("", each.key.id)]
    (thing,) = found
    return thing


def read_one(kind: type[Managed], said: Answers, identity: str = "") -> Managed:
    """The one thing of a kind in some answers, or the one of this id."""
    (thing,) = [each for each in kind.read(DEVICE, said) if identity in ("", each.key.id)]
    return thing


def disagreeing(wanted: Managed, there: Managed) -> dict[str, Any]:
    """Fields that are not as wanted: {name: (there, wanted)}; what is unsaid has its default."""
    found = {}
    for name, goal in wanted.values.items():
        held = there.values.get(name, there.default(name))
        expected = there.default(name) if goal is Mark.RESET else goal
        if held != expected:
            found[name] = (held, expected)
    return found


def key(kind: str, identity: str) -> Key:
    """The key of a thing of the array."""
    return Key(DEVICE, kind, identity)


def told(steps: Iterable[Step]) -> list[str]:
    """Steps as people read them."""
    return [str(step) for step in steps]


def around(facts: Mapping[str, Value] | None = None) -> Context:
    """A context with these facts beside those of an array that nobody uses."""
    return Context(around={"sessions": 0, "mounts": 0, **(facts or {})})


def adopted(said: dict[str, object]) -> Lab:
    """The array, with all that its answers declare; what is needed first, so that it has a name."""
    entry: dict[str, Any] = {}
    for kind in NAS_KINDS:
        lab = array(*_lines(entry))
        for thing in kind.read(DEVICE, said):
            _lay_over(entry, thing.declare(lab).get("nas", {}).get("nas1", {}))
    return array(*_lines(entry))


def _lines(entry: dict[str, Any]) -> list[str]:
    return [
        f"{section}: {json.dumps(parts, ensure_ascii=False)}" for section, parts in entry.items()
    ]


def _lay_over(entry: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(entry.get(name), dict):
            _lay_over(entry[name], value)
        else:
            entry[name] = value
