"""The commit that adds a third group of students to the declared lab, on a target of its own."""

from __future__ import annotations

from pathlib import Path

from lab.tree import read_tree

TREE = Path(__file__).parents[2] / "desired-state"
MANAGE = "manage: [create, update, delete]"
OWN = f"""
storages:
  group3:
    {{type: lvm, clusters: [b], content: [images], nas: nas1, target: group3, lun: 0, vg: group3,
     {MANAGE}}}
  backup-group3:
    {{type: nfs, clusters: [b], content: [backup], backup-server: bak1, export: group3, {MANAGE}}}
pools:
  group3: {{clusters: [b], comment: Third group of students, storages: [group3], {MANAGE}}}
groups:
  group3: {{clusters: [b], comment: Third group of students, {MANAGE}}}
users:
  student31@pve: {{clusters: [b], groups: [group3], {MANAGE}}}
roles:
  LabGroup3: {{clusters: [b], privileges: [VM.Audit, VM.Console, VM.PowerMgmt], {MANAGE}}}
acls:
  group3-pool: {{clusters: [b], path: /pool/group3, groups: [group3], roles: [LabGroup3], {MANAGE}}}
ha-rules:
  group3:
    type: node-affinity
    cluster: b
    guests: [student31]
    nodes: {{pve6: 2, pve4: 1, pve5: 1}}
    {MANAGE}
services:
  group3: {{any: [student31], vlan: production}}
guests:
  student31:
    vmid: 231
    cluster: b
    pool: group3
    os: l26
    cores: 2
    memory: 2GiB
    disks: {{scsi0: {{storage: group3, size: 16GiB}}}}
    nets: {{net0: {{vlan: production, address: 192.168.10.231}}}}
    ha: {{restart: 1, relocate: 1}}
    boot: 30s
    {MANAGE}
"""
CHAP = f"""    chap:
      group3: {{tag: 3, user: pve, secret: "secret://env/CHAP", {MANAGE}}}
    zvols:"""
ZVOL = f"""      group3: {{pool: tank, size: 100GiB, {MANAGE}}}
    portals:
"""
TARGET = f"""      group3:
        portals: [path1, path2]
        initiators: [pve4, pve5, pve6]
        luns: {{0: group3}}
        chap: group3
        {MANAGE}
    shares:
"""
EXPORT = """    exports:
      group3: {path: /backup/group3, vlan: backup}
"""
ADDED = (
    ("nas1.yaml", "    zvols:", CHAP),
    ("nas1.yaml", "    portals:\n", ZVOL),
    ("nas1.yaml", "    shares:\n", TARGET),
    ("bak1.yaml", "    exports:\n", EXPORT),
)


def two_groups() -> dict[str, bytes]:
    """The declared lab; what follows on hosts from a declared storage may go with it."""
    files = read_tree(TREE)
    files["bak1.yaml"] = _once(files["bak1.yaml"], "  bak1:\n", f"  bak1:\n    {MANAGE}\n")
    return files


def three_groups() -> dict[str, bytes]:
    """The same with group 3."""
    files = two_groups() | {"teaching/group3.yaml": OWN.encode()}
    for name, old, new in ADDED:
        files[name] = _once(files[name], old, new)
    return files


def _once(content: bytes, old: str, new: str) -> bytes:
    assert content.count(old.encode()) == 1, f"{old!r} stands there not once"
    return content.replace(old.encode(), new.encode())
