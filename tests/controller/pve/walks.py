"""Desired states by chance, and changes of them as people make them: valid by all rules.

Every field is written, with null where nothing is said, so that a cluster which came to a state by
a long way has no reason to differ from one that was made from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

from lab.errors import LabInvalid
from lab.lab import Lab
from tests.controller.pve.lives import declared

Entry = dict[str, Any]
Tree = dict[str, dict[str, Entry]]

NODES = ("pve1", "pve2", "pve3")
MANAGE = {"manage": ["observe", "create", "update", "delete"]}
NAMES = {
    "storages": ("data", "fast", "saved"),
    "groups": ("crew", "guests"),
    "users": ("ana@pve", "bo@pve"),
    "roles": ("Reader", "Driver"),
    "pools": ("ship", "ship/deck", "shore"),
    "guests": ("luffy", "zoro", "nami", "brook"),
    "acls": ("first", "second"),
    "ha-rules": ("near", "apart", "home"),
    "backup-jobs": ("weekly", "nightly"),
}


class Author:
    """Somebody who writes trees; the same seed, the same trees."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def tree(self) -> Tree:
        """A first tree."""
        return self._valid(lambda: self._all({word: {} for word in NAMES}))

    def change(self, tree: Tree) -> Tree:
        """Another one, a few changes later."""

        def changed() -> Tree:
            after = deepcopy(tree)
            for _ in range(self.chance.randint(1, 4)):
                self._change_one(after)
            return after if not _shrinks(tree, after) else {}

        return self._valid(changed)

    def _valid(self, written: Callable[[], Tree]) -> Tree:
        while True:
            tree = written()
            try:
                if tree and not [*_clashes(tree)]:
                    lab_of_tree(tree)
                    return tree
            except LabInvalid:
                continue

    def _all(self, tree: Tree) -> Tree:
        for word, names in NAMES.items():
            for name in names:
                if word == "storages" or self.chance.random() < 0.6:
                    self._write(tree, word, name)
        return tree

    def _change_one(self, tree: Tree) -> None:
        word = self.chance.choice([*NAMES, "guests", "guests", "ha-rules"])
        names, how = sorted(tree[word]), self.chance.random()
        if how < 0.15 and len(names) > 1 and word != "storages":
            one, other = self.chance.sample(names, 2)
            tree[word][one], tree[word][other] = tree[word][other], tree[word][one]
        elif how < 0.3 and names and word != "storages":
            del tree[word][self.chance.choice(names)]
        elif how < 0.4 and names and word in ("guests", "ha-rules", "backup-jobs"):
            tree[word][self.chance.choice(NAMES[word])] = tree[word].pop(self.chance.choice(names))
        else:
            self._write(tree, word, self.chance.choice(NAMES[word]))

    def _write(self, tree: Tree, word: str, name: str) -> None:
        entry = getattr(self, word.replace("-", "_"))(tree, name)
        if entry:
            tree[word][name] = entry | MANAGE

    def _some(self, among: Any, least: int = 0, most: int = 2) -> list[Any]:
        known = sorted(among)
        return self.chance.sample(known, min(len(known), self.chance.randint(least, most)))

    def _one(self, *among: Any) -> Any:
        return self.chance.choice(among)

    def storages(self, _tree: Tree, name: str) -> Entry:
        content = ["backup"] if name == "saved" else self._one(["images"], ["images", "rootdir"])
        entry = {"type": "dir", "clusters": ["a"], "path": f"/srv/{name}", "content": content}
        return entry | {"keep": {"last": self._one(None, 3)} if name == "saved" else None}

    def groups(self, _tree: Tree, _name: str) -> Entry:
        return {"comment": self._one(None, "all of them", "few")}

    def users(self, tree: Tree, _name: str) -> Entry:
        enabled, email = self._one(None, False), self._one(None, "a@lab.example")
        return {"groups": self._some(tree["groups"]) or None, "enabled": enabled, "email": email}

    def roles(self, _tree: Tree, _name: str) -> Entry:
        return {"privileges": self._some(["VM.Audit", "VM.Console", "VM.PowerMgmt"], 1)}

    def pools(self, tree: Tree, _name: str) -> Entry:
        return {"comment": self._one(None, "x"), "storages": self._some(tree["storages"]) or None}

    def guests(self, tree: Tree, name: str) -> Entry:
        taken = {each["vmid"] for other, each in tree["guests"].items() if other != name}
        entry = {
            "vmid": self.chance.choice([vmid for vmid in range(101, 107) if vmid not in taken]),
            "cluster": "a",
            "pool": self._one(None, *sorted(tree["pools"])),
            "state": self._one("started", "stopped"),
            "cores": self._one(None, 2, 4),
            "cpu": self._one(None, "host"),
            "memory": self._one("512MiB", "1GiB"),
            "tags": self._one(None, ["a", "B"]),
            "description": self._one(None, "two\nlines"),
            "nets": {slot: self._net() for slot in self._some(["net0", "net1"])},
        }
        if self.chance.random() < 0.5:
            pin = {"placement": {"pin": self._some(NODES, 1)}} if self._one(False, True) else {}
            return entry | {"ha": {"restart": self._one(1, 2)}} | pin
        return entry | {"disks": {slot: self._disk() for slot in self._some(["scsi0", "scsi1"])}}

    def _net(self) -> Entry:
        vlan, model = self._one("production", "management"), self._one("virtio", "e1000")
        return {"vlan": vlan, "model": model, "firewall": self._one(None, True)}

    def _disk(self) -> Entry:
        storage, size = self._one("data", "fast"), self._one("1GiB", "2GiB")
        return {"storage": storage, "size": size, "discard": self._one(None, True)}

    def acls(self, tree: Tree, _name: str) -> Entry:
        who = {word: self._some(tree[word]) for word in ("groups", "users")}
        paths = ["/", "/vms", *(f"/pool/{name}" for name in tree["pools"])]
        roles = self._some(["PVEAuditor", *tree["roles"]], 1)
        return {
            "path": self._one(*paths),
            "roles": roles,
            "propagate": self._one(None, False),
        } | who

    def ha_rules(self, tree: Tree, name: str) -> Entry:
        free = [guest for guest, said in tree["guests"].items() if "ha" in said]
        if name == "apart":
            guests, how = self._some(free, 2), {"affinity": self._one("positive", "negative")}
            return self._rule("resource-affinity", guests, how) if len(guests) > 1 else {}
        nodes = {"nodes": dict.fromkeys(self._some(NODES, 1), 0), "strict": self._one(None, True)}
        guests = self._some([g for g in free if "placement" not in tree["guests"][g]], 1)
        return self._rule("node-affinity", guests, nodes) if guests else {}

    def _rule(self, type_: str, guests: list[str], how: Entry) -> Entry:
        return {
            "cluster": "a",
            "type": type_,
            "guests": guests,
            "comment": self._one(None, "x"),
            **how,
        }

    def backup_jobs(self, tree: Tree, _name: str) -> Entry:
        guests = self._some(tree["guests"], 1)
        entry = {
            "cluster": "a",
            "storage": "saved",
            "guests": guests,
            "mode": self._one(None, "stop"),
        }
        return entry | {"schedule": self._one("daily", "sat 03:00")} if guests else {}


def lab_of_tree(tree: Tree) -> Lab:
    """Raises LabInvalid."""
    return declared(json.dumps(tree))


def _clashes(tree: Tree) -> Iterator[str]:
    """What no rule of the language forbids, and a cluster does."""
    if "ship/deck" in tree["pools"] and "ship" not in tree["pools"]:
        yield "a pool in a pool that is not there"
    pools = {f"/pool/{name}" for name in tree["pools"]} | {"/", "/vms"}
    if any(acl["path"] not in pools for acl in tree["acls"].values()):
        yield "a right on a pool that is not there"
    known = {"PVEAuditor", *tree["roles"]}
    if any(not known.issuperset(acl["roles"]) for acl in tree["acls"].values()):
        yield "a right by a role that is not there"
    grants = [
        (acl["path"], who, role)
        for acl in tree["acls"].values()
        for who in (*acl["groups"], *acl["users"])
        for role in acl["roles"]
    ]
    if len(grants) != len({*grants}):
        yield "a right that two entries give"
    tied = [guest for rule in tree["ha-rules"].values() for guest in rule["guests"]]
    tied += [name for name, guest in tree["guests"].items() if "placement" in guest]
    if len(tied) != len({*tied}):
        yield "rules of both types at odds"


def _shrinks(before: Tree, after: Tree) -> bool:
    """Whether a disk would become smaller, which no device does."""
    was = {guest["vmid"]: guest.get("disks", {}) for guest in before["guests"].values()}
    return any(
        was.get(guest["vmid"], {}).get(slot, disk)["size"] > disk["size"]
        for guest in after["guests"].values()
        for slot, disk in guest.get("disks", {}).items()
    )
