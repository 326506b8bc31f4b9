"""Walks from tree to tree: where a cluster ends does not depend on the way, or on what went wrong.

Somebody else's things are on it all the while. The seeds are few, so that it takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from controller.journal import Journal
from controller.step import Rest
from lab.lab import Lab
from tests.controller.pve.lives import Life, life
from tests.controller.pve.walks import Author, lab_of_tree

COMMITS = 5
THEIRS = (
    Rest("POST", "/storage", {"storage": "theirs", "type": "dir", "path": "/theirs",
                              "content": "images"}),
    Rest("POST", "/access/groups", {"groupid": "theirs"}),
    Rest("POST", "/access/users", {"userid": "eve@pve", "groups": "theirs"}),
    Rest("POST", "/access/roles", {"roleid": "Theirs", "privs": "VM.Audit"}),
    Rest("POST", "/pools", {"poolid": "theirs"}),
    Rest("POST", "/nodes/pve2/qemu", {"vmid": 900, "pool": "theirs", "scsi0": "theirs:1"}),
    Rest("PUT", "/access/acl", {"path": "/pool/theirs", "roles": "Theirs", "groups": "theirs"}),
    Rest("POST", "/cluster/ha/resources", {"sid": "vm:900", "state": "stopped"}),
    Rest("POST", "/cluster/ha/rules", {"rule": "theirs", "type": "node-affinity",
                                       "resources": "vm:900", "nodes": "pve3"}),
    Rest("POST", "/cluster/backup", {"id": "theirs", "schedule": "daily", "storage": "theirs",
                                     "vmid": "900"}),
)  # fmt: skip
DRAWN = re.compile(r"vm-\d+-disk-\d+|(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
"""Names of volumes and addresses of cards: given by number and by chance."""
MADE = ("smbios1", "vmgenid", "meta", "boot")
"""What a guest gets once, when it is made."""
USUAL = (
    "mode=snapshot",
    "strict=0",
    "enabled=1",
    "state=started",
    "comment=",
    "email=",
    "enable=1",
)
"""What means the same as nothing."""


def shared(lab: Lab) -> Life:
    """A cluster where somebody else is, too."""
    made = life(lab)
    made.wait(60)
    made.by_hand(*THEIRS)
    return made


def held(lived: Life) -> dict[str, Any]:
    """What the cluster holds, once it has come to rest."""
    lived.wait(400)
    documents, found = lived.api.documents, dict[str, Any]()
    for kind in (
        "users",
        "groups",
        "roles",
        "pools",
        "storages",
        "jobs",
        "ha_resources",
        "ha_rules",
    ):
        for name, entry in getattr(documents, kind).items():
            found[f"{kind} {name}"] = _said(entry)
    for vmid, guest in documents.guests.items():
        found[f"guest {vmid}"] = _said({k: v for k, v in guest.future.items() if k not in MADE})
        found[f"power {vmid}"] = lived.twin.state.guests["a", vmid].power
    found["acl"] = sorted(documents.acl.items())
    found["volumes"] = sorted(
        (each.storage, each.vmid, each.size_bytes) for each in documents.volumes.values()
    )
    return found


def _said(entry: Mapping[str, Any]) -> list[str]:
    parts = (f"{name}={_sorted(str(value))}" for name, value in entry.items())
    return sorted(DRAWN.sub("", part) for part in parts if part not in USUAL)


def _sorted(text: str) -> str:
    return ",".join(sorted(part for part in text.split(",") if part))


def theirs(lived: Life) -> dict[str, Any]:
    return {name: value for name, value in held(lived).items() if re.search("theirs|eve|900", name)}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_is_as_one_that_was_made_at_once_and_what_is_of_others_stays(seed: int) -> None:
    author = Author(seed)
    tree = author.tree()
    walked = shared(lab_of_tree(tree))
    before = theirs(walked)
    for _ in range(COMMITS):
        assert walked.become(lab_of_tree(tree)) == []
        assert theirs(walked) == before
        tree = author.change(tree)
    assert walked.become(lab_of_tree(tree)) == []
    made = shared(lab_of_tree(tree))
    assert made.become(lab_of_tree(tree)) == []
    assert held(walked) == held(made)


class Killed(BaseException):
    """The process is gone; nothing of ours catches it."""


@pytest.mark.parametrize("seed", [3])
def test_killed_again_and_again_it_comes_to_the_same(seed: int) -> None:
    author = Author(seed)
    tree = author.tree()
    calm, killed = shared(lab_of_tree(tree)), shared(lab_of_tree(tree))
    for _ in range(COMMITS):
        lab = lab_of_tree(tree)
        assert calm.become(lab) == []
        for number in range(2, 40, 6):
            _act_until_record(killed, lab, number)
        assert killed.become(lab) == []
        assert held(killed) == held(calm)
        tree = author.change(tree)


def _act_until_record(lived: Life, lab: Lab, number: int) -> None:
    """A pass that is killed once so many records were written."""

    def kill(_record: object) -> None:
        if len(journal.records) == number:
            raise Killed

    journal = Journal(after_record=kill)
    journal.records.extend(lived.journal.records)
    lived.journal = journal
    try:
        lived.act(lab)
    except Killed:
        lived.journal = Journal()
        lived.journal.records.extend(journal.records)
