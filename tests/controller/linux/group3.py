"""The commit that adds a third group of students, as far as arrays, hosts and storages go."""

from __future__ import annotations

from pathlib import Path

from lab.tree import read_tree

TREE = Path(__file__).parents[3] / "desired-state"
_ADDED = {
    "nas1.yaml": (
        ("    portals:\n", "      group3: {pool: tank, size: 100GiB}\n    portals:\n"),
        ("1: group2}", "1: group2, 2: group3}"),
    ),
    "bak1.yaml": (
        ("    exports:\n", "    exports:\n      group3: {path: /backup/group3, vlan: backup}\n"),
    ),
    "storages.yaml": (
        (
            "  iso:\n",
            "  group3: {type: lvm, clusters: [b], content: [images], nas: nas1, target: cluster-b,"
            " lun: 2, vg: group3}\n"
            "  backup-group3: {type: nfs, clusters: [b], content: [backup], backup-server: bak1,"
            " export: group3}\n\n  iso:\n",
        ),
    ),
}


def two_groups() -> dict[str, bytes]:
    """The declared lab, of which everything may be deleted again."""
    files = read_tree(TREE)
    for name, word in (("nas1.yaml", "  nas1:\n"), ("bak1.yaml", "  bak1:\n")):
        files[name] = _once(files[name], word, f"{word}    manage: [create, update, delete]\n")
    text = files["storages.yaml"].decode()
    files["storages.yaml"] = text.replace(
        "    type:", "    manage: [create, update, delete]\n    type:"
    ).encode()
    return files


def three_groups() -> dict[str, bytes]:
    """The same with group 3."""
    files = two_groups()
    for name, changes in _ADDED.items():
        for old, new in changes:
            new = new.replace("{type", "{manage: [create, update, delete], type")
            files[name] = _once(files[name], old, new)
    return files


def _once(content: bytes, old: str, new: str) -> bytes:
    assert content.count(old.encode()) == 1, f"{old!r} stands there not once"
    return content.replace(old.encode(), new.encode())
