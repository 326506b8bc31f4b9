"""Answers of the real Proxmox VE 9.2, recorded: every kind reads them, and reads what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from proxmoxer.core import ResourceException

from controller.managed import Managed
from controller.pve import KINDS
from controller.pve.acl import Acl
from controller.pve.backup_job import BackupJob
from controller.pve.container import Container
from controller.pve.errors import from_answer
from controller.pve.ha_resource import HaResource
from controller.pve.ha_rule import HaRule
from controller.pve.options import Options
from controller.pve.pool import Pool
from controller.pve.storage import Storage
from controller.pve.user import User
from controller.pve.vm import Vm
from controller.step import Query
from tests.controller.pve.cases import VERSION
from tests.controller.pve.worlds import DEVICE
from tests.reference import reference

AREAS = ("access", "backup", "cluster", "ha", "pools", "qemu", "storage", "version")
Exchange = dict[str, Any]


@cache
def recorded() -> tuple[Exchange, ...]:
    folder = reference("pve-recordings")
    texts = [(folder / f"{area}.jsonl").read_text() for area in AREAS]
    lines = [line for text in texts for line in text.splitlines()]
    return tuple(each for line in lines if (each := json.loads(line))["n"] > 0)


def exchange(seq: str, n: int) -> Exchange:
    return next(each for each in recorded() if (each["seq"], each["n"]) == (seq, n))


def answered(path: str) -> Iterator[Exchange]:
    """Good answers to a question."""
    for each in recorded():
        params = {name: value for name, value in each.get("params", {}).items()}
        text = Query(each["path"], params).text
        if (each["method"], text, each["status"]) == ("GET", path, 200):
            yield each


def as_listed(config: Exchange, status: str = "stopped") -> Iterator[Managed]:
    """The guest of a recorded configuration, read from the pending view of the same."""
    _, _, node, _, vmid, *_ = config["path"].split("/")
    data = config["data"]
    rows = data if isinstance(data, list) else [{"key": k, "value": v} for k, v in data.items()]
    row = {"type": "qemu", "vmid": int(vmid), "node": node, "status": status}
    view = f"/nodes/{node}/qemu/{vmid}/pending"
    return Vm.read(DEVICE, {"/cluster/resources?type=vm": [row], view: rows})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_recorded_list_is_read(kind: type[Managed]) -> None:
    lists = {query.text for query in kind.fetch(DEVICE, VERSION) if query.text not in VERSION}
    found = 0
    for path in lists - {"/cluster/resources?type=vm", "/pools", "/cluster/status"}:
        for each in answered(path):
            data = each["data"]
            things = list(kind.read(DEVICE, VERSION | {path: data}))
            built_in = [row for row in data if kind.kind == "role" and row["special"]]
            assert len(things) == (1 if kind is Options else len(data) - len(built_in))
            found += 1
    assert found or kind in (Vm, Container, Pool)


def test_every_recorded_guest_is_read() -> None:
    configs = [
        each
        for each in recorded()
        if each["method"] == "GET"
        and each["status"] == 200
        and "/qemu/" in each["path"]
        and each["path"].endswith(("/config", "/pending"))
    ]

    assert len(configs) > 40
    for each in configs:
        assert len(list(as_listed(each))) == 1


def test_a_guest_reads_the_same_from_its_configuration_and_from_its_pending_view() -> None:
    for config, pending in ((1, 2), (118, 119)):
        written, viewed = exchange("config_update", config), exchange("config_update", pending)

        assert [*as_listed(written)] == [*as_listed(viewed)]


def test_a_guest_reads_as_it_was_made() -> None:
    (made,) = as_listed(exchange("create", 13))

    assert made.values == {
        "name": "full",
        "cores": 2,
        "sockets": 1,
        "cpu": "x86-64-v2-AES",
        "memory_bytes": 2 * 2**30,
        "os": "l26",
        "onboot": True,
        "agent": True,
        "tags": ("prod", "web"),
        "description": "two\nlines",
        "state": "stopped",
        "disks.scsi0.storage": "data",
        "disks.scsi0.size_bytes": 2**30,
        "disks.scsi0.discard": True,
        "nets.net0.model": "virtio",
        "nets.net0.bridge": "vmbr0",
        "nets.net0.tag": 20,
        "nets.net0.firewall": True,
        "nets.net1.model": "e1000",
        "nets.net1.bridge": "vmbr0",
    }


def test_pools_read_their_storages_once_however_many_nodes_see_them() -> None:
    (pool,) = Pool.read(
        DEVICE,
        {
            "/pools": [{"poolid": "lab/a"}],
            "/pools?poolid=lab/a": exchange("pools", 19)["data"],
        },
    )

    assert pool.values == {"storages": ("data",)}
    assert {str(need) for need in pool.needs} == {"pve/a storage data", "pve/a pool lab"}


def test_people_and_rights_read_as_they_were_given() -> None:
    users = {each.key.id: each for each in _read(User, "/access/users?full=1", "users")}
    rights = {each.key.id: each for each in _read(Acl, "/access/acl", "acl")}

    assert users["cai@pve"].values == {"groups": ("dev", "ops"), "enabled": True}
    assert users["root@pam"].values["email"] == "admin@lab.example"
    assert rights["/vms group:ops PVEVMAdmin"].values == {"propagate": False}
    assert rights["/ token:ana@pve!t1 PVEAuditor"].values == {"propagate": True}


def _read(kind: type[Managed], path: str, seq: str) -> list[Managed]:
    """The recorded list of a sequence that has most."""
    best = max((each["data"] for each in answered(path) if each["seq"] == seq), key=len)
    return list(kind.read(DEVICE, {path: best}))


def test_options_read_objects_and_texts_alike() -> None:
    (options,) = Options.read(DEVICE, {"/cluster/options": exchange("options", 39)["data"]})

    assert options.values == {
        "keyboard": "de",
        "console": "html5",
        "email_from": "root@lab.example",
        "mac_prefix": "BC:24:11",
        "shutdown_policy": "migrate",
        "scheduler": "dynamic",
        "description": "line1\nline2 ñ",
    }


def test_ha_reads_as_it_was_asked_for() -> None:
    listed = _read(HaResource, "/cluster/ha/resources", "resources")
    resources = {each.key.id: each for each in listed}
    answers = VERSION | {"/cluster/ha/rules": exchange("rules", 23)["data"]}
    rules = {each.key.id: each for each in HaRule.read(DEVICE, answers)}

    assert resources["vm:101"].values["max_relocate"] == 3
    assert resources["ct:102"].values == {"state": "started"}
    assert rules["na1"].values == {
        "type": "node-affinity",
        "resources": ("ct:102", "vm:100"),
        "nodes": ("pve1:2", "pve2:0"),
        "strict": True,
        "comment": "near disk",
    }


def test_storages_and_jobs_read_as_they_were_made() -> None:
    storages = {each.key.id: each for each in _read(Storage, "/storage", "types")}
    jobs = {each.key.id: each for each in _read(BackupJob, "/cluster/backup", "jobs")}

    assert storages["nfs1"].values == {
        "type": "nfs", "server": "nas1.lab.example", "export": "/tank/images", "content": ("iso",),
        "enabled": False,
    }  # fmt: skip
    assert storages["lvm1"].values["vg"] == "vg0"
    assert jobs["weekly"].values["keep.last"] == 4
    assert jobs["ex"].values["all"] is True


def test_only_what_passes_by_itself_is_tried_again() -> None:
    passing = {
        "No route to host",
        "Connection timed out",
        "no quorum",
        "VM is locked (backup)",
        "checksum mismatch",
        "detected modified configuration",
        "Configuration file 'nodes/",
    }
    found: set[str] = set()
    for each in recorded():
        if each["status"] == 200:
            continue
        errors = each.get("errors")
        answer = ResourceException(each["status"], "", each["reason"], errors=errors)
        error = from_answer(DEVICE, "GET /x", answer)
        matching = [text for text in passing if text in each["reason"]]
        denied = "Permission denied" in each["reason"] and "/etc/pve" in each["reason"]
        assert error.retryable is bool(matching or denied), each
        found |= set(matching)
    assert found == passing
