"""What a change of each kind sends, besides guests: what differs, unset in the API's own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.managed import Context, Cost, Managed
from controller.pve.acl import Acl
from controller.pve.backup_job import BackupJob
from controller.pve.group import Group
from controller.pve.ha_rule import HaRule
from controller.pve.options import Options
from controller.pve.pool import Pool
from controller.pve.role import Role
from controller.pve.storage import Storage
from controller.pve.user import User
from tests.controller.pve.cases import CASES, GUESTS
from tests.controller.pve.worlds import (
    CLUSTER,
    DEVICE,
    disagreeing,
    hardware_and,
    one,
    read_one,
    rests,
)

OPTIONS = CLUSTER + "    options: "
RULE = "ha-rules: {near: {cluster: a, guests: [luffy], "
JOB = "backup-jobs: {weekly: {cluster: a, schedule: daily, storage: bk, "


def steps(kind: type[Managed], case: str, declared: str, beside: str = "") -> list[str]:
    """Steps from what the device of a case has to a declaration."""
    own = declared.strip().startswith("clusters")
    lab = hardware_and(
        *(text for text in (beside, declared) if text), cluster="" if own else CLUSTER
    )
    old = read_one(kind, CASES[case].answers)
    return [str(step) for step in one(kind, lab).steps(old, Context())]


@pytest.mark.parametrize(
    ("kind", "case", "declared", "sent"),
    [
        (Pool, "pool", "pools: {company: {comment: null}}", ["PUT /pools poolid=company comment="]),
        (
            Pool,
            "pool",
            "pools: {company: {storages: [vm, lv]}}",
            ["PUT /pools poolid=company storage=lv",
             "PUT /pools poolid=company storage=iso delete=1"],
        ),
        (Pool, "pool", "pools: {company: {storages: null}}",
         ["PUT /pools poolid=company storage=iso,vm delete=1"]),
        (Group, "group", "groups: {admins: {comment: other}}",
         ["PUT /access/groups/admins comment=other"]),
        (Group, "group", "groups: {admins: {comment: ''}}", ["PUT /access/groups/admins comment="]),
        (User, "user", 'users: {"ana@pve": {groups: [], enabled: null, email: null}}',
         ["PUT /access/users/ana@pve groups= enable=1 email="]),
        (User, "user", 'users: {"ana@pve": {groups: [teachers]}}',
         ["PUT /access/users/ana@pve groups=teachers"]),
        (Role, "role", "roles: {Student: {privileges: [VM.Audit]}}",
         ["PUT /access/roles/Student privs=VM.Audit"]),
        (Acl, "acl", "acls: {x: {path: /pool/company/, groups: [admins], roles: [PVEVMAdmin], "
         "propagate: true}}",
         ["PUT /access/acl path=/pool/company roles=PVEVMAdmin groups=admins propagate=1"]),
        (Storage, "storage on Ceph",
         "storages: {vm: {type: rbd, clusters: [a], content: [images], ceph: a, pool: vm, "
         "nodes: null, enabled: true}}",
         ["PUT /storage/vm content=images disable=0 delete=nodes"]),
        (Storage, "storage on an array's share",
         "storages: {iso: {type: nfs, clusters: [a], content: [iso], nas: nas1, share: iso, "
         "keep: {last: 5}}}",
         ["PUT /storage/iso prune-backups={now},keep-last=5"]),
        (Storage, "storage on an array's share",
         "storages: {iso: {type: nfs, clusters: [a], content: [iso], nas: nas1, share: iso, "
         "keep: null}}",
         ["PUT /storage/iso prune-backups={now},keep-daily=,keep-last="]),
        (Storage, "storage on an array's share",
         "storages: {iso: {type: nfs, clusters: [a], content: [iso], backup-server: bak1, "
         "export: a}}",
         ["DELETE /storage/iso",
          "POST /storage storage=iso type=nfs content=iso server=192.168.254.31 "
          "export=/backup/a prune-backups=keep-daily=7,keep-last=3"]),
        (Storage, "storage on a LUN",
         "storages: {lv: {type: dir, clusters: [a], content: [iso], path: /srv/lv}}",
         ["DELETE /storage/lv", "POST /storage storage=lv type=dir content=iso path=/srv/lv"]),
        (Options, "options", OPTIONS + "{migration-vlan: null, scheduler: basic, keyboard: null}",
         ["PUT /cluster/options migration={now},network= crs={now},ha=basic delete=keyboard"]),
    ],
)  # fmt: skip
def test_a_change_sends_what_differs(
    kind: type[Managed], case: str, declared: str, sent: list[str]
) -> None:
    assert steps(kind, case, declared) == sent


def test_a_rule_says_its_type_with_every_change_and_another_type_replaces_it() -> None:
    other = "ha-rules: {near: {cluster: a, guests: [luffy, zoro], "
    near = other + "type: node-affinity, nodes: {pve3: 1}, strict: true}}"
    apart = other + "type: resource-affinity, affinity: negative}}"

    assert steps(HaRule, "rule for nodes", near, GUESTS) == [
        "PUT /cluster/ha/rules/near type=node-affinity nodes=pve3:1"
    ]
    assert steps(HaRule, "rule for nodes", apart, GUESTS) == [
        "DELETE /cluster/ha/rules/near",
        "POST /cluster/ha/rules rule=near type=resource-affinity resources=vm:101,vm:102 "
        "affinity=negative",
    ]


def test_a_rule_that_somebody_disabled_is_put_in_force_again() -> None:
    case = CASES["rule for nodes"]
    answers: dict[str, Any] = {**case.answers}
    answers["/cluster/ha/rules"] = [answers["/cluster/ha/rules"][0] | {"disable": 1}]
    wanted = one(HaRule, hardware_and(GUESTS, case.declared))
    old = read_one(HaRule, answers)

    assert [*disagreeing(wanted, old)] == ["enabled"]
    assert [str(step) for step in wanted.steps(old, Context())] == [
        "PUT /cluster/ha/rules/near type=node-affinity delete=disable"
    ]
    assert old.declare(hardware_and(GUESTS)) == {}


def test_a_job_goes_from_guests_to_a_pool() -> None:
    assert steps(BackupJob, "backup job for guests", JOB + "pool: company}}", GUESTS) == [
        "PUT /cluster/backup/weekly schedule=daily pool=company"
    ]


def test_a_value_that_is_the_default_anyway_is_not_sent() -> None:
    declared = JOB + "pool: company, mode: snapshot, enabled: true, keep: null, comment: null}}"

    assert steps(BackupJob, "backup job for a pool", declared, GUESTS) == []


def test_what_can_not_change_replaces_and_says_so() -> None:
    lab = hardware_and("storages: {vm: {type: rbd, clusters: [a], content: [images], ceph: a, "
                       "pool: other}}")  # fmt: skip
    wanted, old = one(Storage, lab), read_one(Storage, CASES["storage on Ceph"].answers)

    assert wanted.cost("pool", old, Context()) is Cost.REPLACE
    assert wanted.cost("content", old, Context()) is Cost.NONE
    assert [step.method for step in rests(wanted.steps(old, Context()))] == ["DELETE", "POST"]


def test_one_entry_of_the_language_is_one_acl_for_each_path_subject_and_role() -> None:
    lab = hardware_and("""
acls:
  staff: {path: //vms//101/, groups: [admins], users: ["ana@pve"], roles: [PVEVMUser, Own]}
roles: {Own: {privileges: [VM.Audit]}}
guests: {luffy: {vmid: 101, cluster: a}}
""")

    found = {thing.key.id: thing for thing in Acl.wanted(lab, DEVICE)}

    assert [*found] == [
        "/vms/101 group:admins PVEVMUser",
        "/vms/101 user:ana@pve PVEVMUser",
        "/vms/101 group:admins Own",
        "/vms/101 user:ana@pve Own",
    ]
    assert {thing.path for thing in found.values()} == {("acls", "staff")}
    needs = {str(need) for need in found["/vms/101 user:ana@pve Own"].needs}
    assert needs == {"pve/a role Own", "pve/a user ana@pve", "pve/a vm 101"}


def test_a_nested_pool_comes_after_the_one_around_it() -> None:
    lab = hardware_and("pools: {lab: {}, lab/a: {storages: [vm]}}")

    needs = {
        thing.key.id: {str(need) for need in thing.needs} for thing in Pool.wanted(lab, DEVICE)
    }

    assert needs == {"lab": set(), "lab/a": {"pve/a pool lab", "pve/a storage vm"}}


def test_a_pool_gives_up_its_storages_before_it_goes() -> None:
    old = read_one(Pool, CASES["pool"].answers)

    assert [str(step) for step in old.remove(Context())] == [
        "PUT /pools poolid=company storage=iso,vm delete=1",
        "DELETE /pools poolid=company",
    ]


def test_a_right_is_withdrawn_by_the_same_call_that_gives_it() -> None:
    old = read_one(Acl, CASES["acl"].answers)

    assert [str(step) for step in old.remove(Context())] == [
        "PUT /access/acl path=/pool/company roles=PVEVMAdmin groups=admins delete=1"
    ]


@pytest.mark.parametrize(
    ("clusters", "expected"), [("", True), ("clusters: [a]", True), ("clusters: [b]", False)]
)
def test_people_are_kept_on_the_clusters_that_are_named_or_on_all(
    clusters: str, expected: bool
) -> None:
    lab = hardware_and(f"groups: {{admins: {{{clusters}}}}}")

    assert bool([*Group.wanted(lab, DEVICE)]) is expected


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (Storage, {"/storage": [{"storage": "z", "type": "btrfs", "path": "/srv"}]}),
        (Storage, {"/storage": [{"storage": "l", "type": "lvm", "vgname": "vg9", "shared": 1}]}),
        (Storage, {"/storage": [{"storage": "n", "type": "nfs", "server": "x", "export": "/y"}]}),
        (BackupJob, {"/cluster/backup": [{"id": "x", "schedule": "daily", "all": 1}]}),
        (Acl, {"/access/acl": [{"path": "/", "type": "token", "ugid": "a@pve!t", "roleid": "R"}]}),
    ],
)  # fmt: skip
def test_what_the_language_has_no_word_for_is_read_and_not_declared(
    kind: type[Managed], answers: Mapping[str, object]
) -> None:
    assert read_one(kind, answers).declare(hardware_and()) == {}
