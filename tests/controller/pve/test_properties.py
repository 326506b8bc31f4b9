"""Whatever a device says that the language can say: declared and wanted again, it is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.managed import Context, Managed, Mark
from controller.pve.backup_job import BackupJob
from controller.pve.storage import Storage
from controller.pve.user import User
from controller.pve.vm import Vm
from tests.controller.pve.cases import GUESTS, guest_answers
from tests.controller.pve.worlds import disagreeing, hardware_and, needs_here, one, read_one, rests

FLAGS = st.sampled_from([0, 1, "0", "1"])
# What YAML and a configuration file can both hold: printable, not blank at the ends of lines.
LINE = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=12)
PROSE = st.lists(LINE, min_size=1, max_size=3).map("\n".join)
TAG = st.from_regex(r"[a-z0-9_][a-z0-9_+.-]{0,7}", fullmatch=True)
SIZES = st.sampled_from(["4M", "64M", "1G", "1536M", "50G", "2T", "1048576K"])
KEEP = st.dictionaries(st.sampled_from(["last", "daily", "weekly", "monthly"]), st.integers(0, 99))

DISKS = st.fixed_dictionaries(
    {"file": st.sampled_from(["vm:vm-101-disk-0", "other:101/vm-101-disk-1.qcow2"]), "size": SIZES},
    optional={"discard": st.sampled_from(["on", "ignore"]), "ssd": FLAGS, "iothread": FLAGS},
)
NETS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["virtio=BC:24:11:00:00:01", "e1000=aa:bb:cc:dd:ee:ff"]),
        "tag": st.integers(1, 4094),
        "bridge": st.sampled_from(["vmbr0", "lan"]),
    },
    optional={"firewall": FLAGS, "queues": st.integers(1, 8)},
)


def _net(card: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in card.items() if name != "model"}
    return ",".join([card["model"], *(f"{name}={value}" for name, value in rest.items())])


def _disk(disk: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in disk.items() if name != "file"}
    return ",".join([disk["file"], *(f"{name}={value}" for name, value in rest.items())])


OPTIONS = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z][a-z0-9]{0,6}(\.lab)?", fullmatch=True)},
    optional={
        "cores": st.integers(1, 64) | st.integers(1, 64).map(str),
        "sockets": st.integers(1, 4),
        "cpu": st.sampled_from(["host", "cputype=kvm64,flags=-pcid", "x86-64-v2-AES"]),
        "memory": st.integers(16, 2**20).map(str) | st.integers(16, 999).map("current={}".format),
        "ostype": st.sampled_from(["l26", "win11", "other"]),
        "onboot": FLAGS,
        "agent": st.sampled_from(["0", "1", "enabled=1,type=isa", "enabled=no"]),
        "tags": st.lists(TAG, max_size=3).map(";".join) | st.just(" "),
        "description": PROSE,
        "scsihw": st.just("virtio-scsi-single"),
        "ide2": st.sampled_from(["none,media=cdrom", "local:iso/a.iso,media=cdrom,size=4M"]),
        "scsi0": DISKS.map(_disk),
        "virtio15": DISKS.map(_disk),
        "net0": NETS.map(_net),
        "net31": NETS.map(_net),
    },
)


def same_again(kind: type[Managed], there: Managed, *beside: str) -> None:
    """Declare what was read, want it, and find no difference in any field of either."""
    text = json.dumps(there.declare(hardware_and(*beside)), ensure_ascii=False)
    wanted = one(kind, hardware_and(*beside, text))
    said = {name: goal for name, goal in wanted.values.items() if goal is not Mark.RESET}

    assert said == {n: value for n, value in there.values.items() if not n.startswith("running.")}
    assert wanted.key == there.key
    assert needs_here(wanted) <= there.needs  # a CD in its drive is not declared
    assert not [n for n in disagreeing(wanted, there) if not n.startswith("running.")]


@settings(max_examples=60)
@given(OPTIONS, st.sampled_from(["running", "stopped"]), OPTIONS)
def test_guests(options: dict[str, Any], status: str, pending: dict[str, Any]) -> None:
    pool = {"pool": "company"} if "cpu" in options else {}
    answers = guest_answers(options, status=status, pending=pending, **pool)

    same_again(Vm, read_one(Vm, answers))


@settings(max_examples=60)
@given(OPTIONS, OPTIONS)
def test_a_change_of_a_guest_names_each_option_once(
    options: dict[str, Any], goal: dict[str, Any]
) -> None:
    there = read_one(Vm, guest_answers(options, status="stopped"))
    wanted = read_one(Vm, guest_answers(goal, status="stopped"))
    sizes = {name: there.values.get(name) for name in wanted.values if name.endswith("size_bytes")}
    values = dict(wanted.values) | {name: size for name, size in sizes.items() if size is not None}

    steps = rests(type(wanted)(wanted.key, values).steps(there, Context()))

    configured = [step for step in steps if step.path.endswith("/config")]
    assert len(configured) <= 1
    for step in configured:
        assert not {*str(step.params.get("delete", "")).split(",")} & step.params.keys()
    assert bool(steps) is bool(disagreeing(type(wanted)(wanted.key, values), there))


STORAGES = st.fixed_dictionaries(
    {"content": st.sets(st.sampled_from(["iso", "backup", "images"])).map(",".join)},
    optional={
        "nodes": st.sets(st.sampled_from(["pve1", "pve2"]), min_size=1).map(",".join),
        "disable": FLAGS,
        "prune-backups": KEEP.map(lambda keep: ",".join(f"keep-{k}={v}" for k, v in keep.items())),
        "digest": st.just("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    },
)
BACKED = st.sampled_from(
    [
        {"type": "rbd", "pool": "vm", "krbd": 1},
        {"type": "rbd", "pool": "vm"},
        {"type": "nfs", "server": "192.168.103.21", "export": "/mnt/tank/iso"},
        {"type": "nfs", "server": "192.168.254.31", "export": "/backup/a", "path": "/mnt/pve/x"},
        {"type": "dir", "path": "/srv/x", "shared": 1},
    ]
)


@settings(max_examples=40)
@given(STORAGES, BACKED)
def test_storages(common: dict[str, Any], backed: dict[str, Any]) -> None:
    same_again(Storage, read_one(Storage, {"/storage": [{"storage": "x", **common, **backed}]}))


@settings(max_examples=40)
@given(KEEP, FLAGS, st.sampled_from([{"vmid": "102,101"}, {"pool": "company"}]), LINE)
def test_backup_jobs(
    keep: dict[str, int], enabled: object, what: dict[str, str], comment: str
) -> None:
    job = {"id": "weekly", "schedule": "sat 03:00", "storage": "bk", "enabled": enabled, **what}
    job |= {"prune-backups": {f"keep-{name}": str(keep[name]) for name in keep}}
    job |= {"comment": comment} if comment else {}

    same_again(BackupJob, read_one(BackupJob, {"/cluster/backup": [job]}), GUESTS)


@settings(max_examples=40)
@given(st.sets(st.sampled_from(["g1", "g2", "g3"])), FLAGS, LINE, LINE)
def test_users(groups: set[str], enabled: object, first: str, comment: str) -> None:
    user = {"userid": "ana@pve", "groups": ",".join(groups), "enable": enabled, "expire": 0}
    row = user | {"firstname": first, "comment": comment, "tokens": None}

    same_again(User, read_one(User, {"/access/users?full=1": [row]}))
