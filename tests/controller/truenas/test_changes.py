"""What is there, what is declared, what is sent; what is refused, and what each change costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from controller.managed import Cost
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.plan import NoteKind, Plan
from controller.planning import EVERYTHING, plan_changes
from controller.truenas.kinds import KINDS, context
from lab.errors import Refused
from lab.lab import Lab
from tests.controller.truenas.cases import CHAIN
from tests.controller.truenas.worlds import (
    DATASET,
    DEVICE,
    EXTENT,
    GROUP,
    LOGIN,
    POOL,
    ROOT,
    SERVICES,
    SESSION,
    TARGET,
    ZVOL,
    A,
    B,
    answers,
    array,
    key,
    one,
    prop,
    read_one,
    told,
)

SHARE = "shares: {iso: {pool: tank, path: /mnt/tank/iso, vlan: images, %s}}"
ZVOLS = "zvols: {group1: {pool: tank, size: 100GiB, %s}}"


@dataclass(frozen=True)
class Case:
    """From the array of `worlds` to what is declared: the calls, and the worst cost."""

    key: str  # kind and id
    declared: str
    sent: tuple[str, ...]
    cost: Cost = Cost.NONE
    answers: Mapping[str, object] = field(default_factory=dict)


CASES = {
    "a volume grows": Case(
        "zvol tank/group1",
        ZVOLS.replace("100GiB", "120GiB") % "",
        ('pool.dataset.update("tank/group1", {"volsize": 128849018880})',),
        Cost.LIVE,
    ),
    "a property goes back to what is inherited": Case(
        "dataset tank/iso",
        "datasets: {tank/iso: {compression: null, quota: null}}",
        ('pool.dataset.update("tank/iso", {"compression": "INHERIT", "quota": null})',),
        Cost.LIVE,
        {
            "pool.dataset.query": [
                ROOT, ZVOL,
                DATASET | {"compression": prop("zstd", "ZSTD"), "quota": prop(2**34, "16G")},
            ]
        },
    ),
    "a comment": Case(
        "portal 192.168.101.21",
        CHAIN.replace("192.168.101.21}", "192.168.101.21, comment: first}"),
        ('iscsi.portal.update("{portal 192.168.101.21}", {"comment": "first"})',),
    ),
    "a target is offered to more": Case(
        "target vms",
        CHAIN.replace("initiators: [pve1, pve2]", "initiators: [], initiator-group: all")
        + "initiator-groups: {all: {comment: ''}}",
        (
            'iscsi.target.update("{target vms}", {"groups": ['
            '{"portal": "{portal 192.168.101.21}", "initiator": "{initiator-group everybody}", '
            '"authmethod": "NONE", "auth": null}, '
            '{"portal": "{portal 192.168.102.21}", "initiator": "{initiator-group everybody}", '
            '"authmethod": "NONE", "auth": null}]})',
        ),
        Cost.STOP_START,
    ),
    "another secret": Case(
        "chap 7 students",
        'chap: {x: {tag: 7, user: students, secret: "secret://env/NEW"}}',
        ('iscsi.auth.update("{chap 7 students}", {"secret": "***"})',),
        Cost.LIVE,
        {"iscsi.auth.query": [LOGIN]},
    ),
    "a LUN that nobody uses is made read only": Case(
        "extent group1",
        ZVOLS % "extent: {read-only: true}",
        ('iscsi.extent.update("{extent group1}", {"ro": true})',),
        Cost.STOP_START,
    ),
    "a share is opened to another network": Case(
        "nfs-share /mnt/tank/iso",
        SHARE % "networks: [192.168.103.0/24, 10.1.0.0/16]",
        (
            'sharing.nfs.update("{nfs-share /mnt/tank/iso}", '
            '{"networks": ["10.1.0.0/16", "192.168.103.0/24"]})',
        ),
        Cost.LIVE,
    ),
    "a share is closed to a network": Case(
        "nfs-share /mnt/tank/iso",
        SHARE % "networks: [10.1.0.0/16]",
        (
            'sharing.nfs.update("{nfs-share /mnt/tank/iso}", {"networks": ["10.1.0.0/16"]})',
        ),
        Cost.STOP_START,
    ),
    "root becomes nobody again": Case(
        "nfs-share /mnt/tank/iso",
        SHARE % "maproot-user: null, maproot-group: null",
        (
            'sharing.nfs.update("{nfs-share /mnt/tank/iso}", '
            '{"maproot_user": null, "maproot_group": null})',
        ),
        Cost.LIVE,
    ),
    "a service starts": Case(
        "service nfs",
        "services: {nfs: {running: true, enabled: true}}",
        ('service.update("nfs", {"enable": true})', 'service.control("START", "nfs")'),
    ),
    "a service that nobody uses stops": Case(
        "service iscsitarget",
        "services: {iscsi: {running: false}}",
        ('service.control("STOP", "iscsitarget")',),
        Cost.STOP_START,
    ),
    "another base for names of targets": Case(
        "iscsi global",
        "",
        ('iscsi.global.update({"basename": "iqn.2005-10.org.freenas.ctl"})',),
        Cost.STOP_START,
        {"iscsi.global.config": {"id": 1, "basename": "iqn.2011-03.org.example"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_change_is_these_calls_at_this_cost(case: Case) -> None:
    kind = next(kind for kind in KINDS if kind.kind == case.key.split()[0])
    said = answers(case.answers)
    wanted = one(kind, array(case.declared), case.key.partition(" ")[2])
    there = read_one(kind, said, wanted.key.id)
    now = context(DEVICE, said)
    assert told(wanted.steps(there, now)) == list(case.sent)
    differ = [name for name, goal in wanted.values.items() if there.values.get(name) != goal]
    assert max(wanted.cost(name, there, now) for name in differ) == case.cost


USED = {"iscsi.global.sessions": [SESSION]}
REFUSED: dict[str, tuple[str, str, Mapping[str, object], str]] = {
    "a volume that shrinks": ("zvol", ZVOLS.replace("100GiB", "99GiB") % "", {}, "only grows"),
    "a volume with other blocks": (
        "zvol",
        ZVOLS % "block-size: 64KiB",
        {},
        "can't become 65536: it is fixed",
    ),
    "a thick volume made thin": ("zvol", ZVOLS % "sparse: true", {}, "it is fixed"),
    "more than 80 % of the pool": (
        "zvol",
        ZVOLS.replace("100GiB", "721GiB") % "",
        {},
        "would promise 721GiB, more than 80 % of its 900GiB",
    ),
    "another serial": ("extent", ZVOLS % "extent: {serial: a}", {}, "hosts know the disk by it"),
    "other blocks of a LUN": ("extent", ZVOLS % "extent: {block-size: 4KiB}", {}, "other blocks"),
    "another volume behind a LUN": (
        "extent",
        "zvols: {b/group1: {pool: tank, size: 1GiB, extent: {name: group1}}}",
        {},
        "the data of a LUN",
    ),
    "a LUN in use made read only": (
        "extent",
        ZVOLS % "extent: {read-only: true}",
        USED,
        f"LUN of vms, which has sessions of {A}",
    ),
    "a LUN in use disabled": ("extent", ZVOLS % "extent: {enabled: false}", USED, "has sessions"),
    "a portal taken from a target in use": (
        "target",
        CHAIN.replace("[path1, path2]", "[path1]"),
        USED,
        "portal 192.168.102.21 would go",
    ),
    "an initiator taken from a target in use": (
        "target",
        CHAIN.replace("[pve1, pve2]", "[pve2]"),
        USED,
        "would not let all of them in",
    ),
    "a login put before a target in use": (
        "target",
        CHAIN.replace("luns: {0: group1}", "luns: {0: group1}, chap: x")
        + 'chap: {x: {tag: 7, user: u, secret: "secret://env/CHAP"}}',
        USED,
        "the login on portal 192.168.101.21 would be another one",
    ),
    "iSCSI stopped with sessions": (
        "service",
        "services: {iscsi: {running: false}}",
        USED,
        "there are 1 sessions",
    ),
    "NFS stopped with clients": (
        "service",
        "services: {nfs: {running: false}}",
        {
            "nfs.client_count": 3,
            "service.query": [{**row, "state": "RUNNING"} for row in SERVICES],
        },
        "there are 3 clients",
    ),
    "targets renamed with sessions": (
        "iscsi",
        "",
        {**USED, "iscsi.global.config": {"basename": "iqn.2011-03.org.example"}},
        "there are 1 sessions",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_lose_data_or_cut_somebody_off_is_refused(name: str) -> None:
    kind_name, declared, changed, why = REFUSED[name]
    said = answers(changed)
    kind = next(kind for kind in KINDS if kind.kind == kind_name)
    (wanted,) = kind.wanted(array(declared), DEVICE)
    there = read_one(kind, said, wanted.key.id)
    with pytest.raises(Refused, match=why):
        told(wanted.steps(there, context(DEVICE, said)))


def test_where_sessions_do_not_answer_everything_counts_as_used() -> None:
    said = answers()
    del said["iscsi.global.sessions"]
    kind = next(kind for kind in KINDS if kind.kind == "target")
    wanted = one(kind, array(CHAIN.replace("[path1, path2]", "[path1]")))
    with pytest.raises(Refused, match="does not tell who has sessions"):
        told(wanted.steps(read_one(kind, said), context(DEVICE, said)))


def test_a_target_in_use_may_be_offered_to_more_nodes() -> None:
    said = answers({**USED, "iscsi.initiator.query": [GROUP | {"initiators": [A]}]})
    kind = next(kind for kind in KINDS if kind.kind == "target")
    wanted = one(kind, array(CHAIN))
    (step,) = told(wanted.steps(read_one(kind, said), context(DEVICE, said)))
    assert f"{{initiator-group {A},{B} vms}}" in step


def test_a_pool_may_be_overcommitted_if_that_is_written() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "zvol")
    zvols = "zvols: {big: {pool: tank, size: 900GiB, sparse: true}}"
    pools = "pools: {tank: {level: raid1, disks: [sda, sdb], overcommit: true}}"
    now = context(DEVICE, answers())
    with pytest.raises(Refused, match="80 %"):
        told(one(kind, array(zvols)).steps(None, now))
    assert told(one(kind, array(zvols, pools=pools)).steps(None, now))


def observed(changed: Mapping[str, object] | None = None) -> Observed:
    """The array of `worlds`, looked at."""
    said = answers(changed)
    things = {thing.key: thing for kind in KINDS for thing in kind.read(DEVICE, said)}
    return Observed({DEVICE: KINDS}, things, {DEVICE: context(DEVICE, said)})


OPEN = "shares: {iso: {pool: tank, path: /mnt/tank/iso, vlan: images}}\n"
FULL = CHAIN + "datasets: {tank/iso: {}}\n" + OPEN
ALL = "manage: [observe, create, update, delete]"


def planned(before: Lab, after: Lab, seen: Observed) -> Plan:
    """The plan from one commit to another, all of the first being ours."""
    owned = {
        thing.key: OwnedRecord("a", thing.path, thing.values, thing.policy, needs=thing.needs)
        for kind in KINDS
        for thing in kind.wanted(before, DEVICE)
    }
    return plan_changes(after, seen, owned, "b", approve=EVERYTHING)


def test_all_of_an_array_goes_in_the_reverse_of_the_order_in_which_it_came() -> None:
    plan = planned(array(FULL, ALL), array(ALL), observed())
    assert [[op.key.kind for op in wave if op.steps] for wave in plan.waves][1:] == [
        ["lun", "nfs-share"],
        ["dataset", "extent", "target"],
        ["initiator-group", "portal", "portal", "zvol"],
    ]


def test_nothing_that_a_session_is_on_goes_and_the_plan_says_which() -> None:
    plan = planned(array(FULL, ALL), array(ALL), observed(USED))
    assert [op.key.kind for op in plan.operations if op.steps] == ["nfs-share", "dataset"]
    kept = {note.key: note.text for note in plan.notes if note.kind is NoteKind.KEPT}
    session = f"nas/nas1 session {A} 192.168.101.11 vms is there and needs it"
    assert kept[key("lun", "vms/0")] == session
    assert kept[key("initiator-group", f"{A},{B} vms")] == session
    assert kept[key("portal", "192.168.102.21")] == session


def test_files_stay_where_only_a_share_was_declared_and_is_not_any_more() -> None:
    plan = planned(array(OPEN, ALL), array(ALL), observed())
    assert [op.key.kind for op in plan.operations if op.steps] == ["nfs-share"]


def test_a_volume_that_a_foreign_extent_is_on_stays() -> None:
    lone = {
        "iscsi.target.query": [],
        "iscsi.targetextent.query": [],
        "iscsi.extent.query": [EXTENT | {"name": "stray"}],
    }
    zvols = "zvols: {group1: {pool: tank, size: 100GiB}}"
    plan = planned(array(zvols, ALL), array(ALL), observed(lone))
    (note,) = [note for note in plan.notes if note.kind is NoteKind.KEPT]
    assert note.text == "nas/nas1 extent stray is there and needs it"


def test_another_set_of_members_is_another_group_and_the_old_one_goes_when_it_is_free() -> None:
    wider = CHAIN.replace("initiators: [pve1, pve2]", "initiators: [pve1]")
    there = observed({"iscsi.initiator.query": [GROUP | {"initiators": [A]}]})
    first = planned(array(wider, ALL), array(CHAIN, ALL), there)
    assert [op.key.kind for op in first.operations if op.steps] == ["initiator-group", "target"]
    (kept,) = [note for note in first.notes if note.kind is NoteKind.KEPT]
    assert (kept.key, kept.text) == (
        key("initiator-group", f"{A} vms"),
        "nas/nas1 target vms is there and needs it",
    )
    both = [GROUP | {"initiators": [A], "id": 1}, GROUP]
    then = planned(array(wider, ALL), array(CHAIN, ALL), observed({"iscsi.initiator.query": both}))
    assert [told(op.steps) for op in then.operations if op.steps] == [
        [f'iscsi.initiator.delete("{{initiator-group {A} vms}}")']
    ]


def test_what_needs_a_pool_that_is_not_there_waits_for_it() -> None:
    zvols = "zvols: {a: {pool: tank, size: 1GiB}}"
    plan = planned(array(), array(zvols), observed({"pool.query": [POOL | {"name": "other"}]}))
    notes = {note.kind: note.text for note in plan.notes if note.key is not None}
    assert notes[NoteKind.BLOCKED] == (
        "it needs nas/nas1 pool tank (not there, and not being created)"
    )
    assert notes[NoteKind.UNKNOWN] == "is part of nas/nas1, which does not show it"


def test_a_freenas_that_is_only_read_gets_nothing() -> None:
    said = answers(version="FreeNAS-11.1-U7")
    for kind in KINDS:
        for thing in kind.wanted(array(FULL), DEVICE):
            if not thing.inherent:
                with pytest.raises(Refused, match="FreeNAS 11.1 is only read"):
                    told(thing.steps(None, context(DEVICE, said)))


def test_a_login_of_somebody_else_keeps_its_secret() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "chap")
    row = LOGIN | {"secret": "secret://somebody/else"}
    (thing,) = kind.read(DEVICE, answers({"iscsi.auth.query": [row]}))
    assert thing.declare(array()) == {}


def test_a_target_whose_group_was_deleted_is_open_to_everybody_and_reads_so() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "target")
    there = read_one(kind, answers({"iscsi.initiator.query": []}))
    assert there.values["groups"] == (
        ("192.168.101.21", "", "NONE", 0),
        ("192.168.102.21", "", "NONE", 0),
    )


def test_groups_that_differ_by_portal_are_read_and_can_not_be_said() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "target")
    groups = [
        {"portal": 5, "initiator": None, "authmethod": "NONE", "auth": None},
        {"portal": 3, "initiator": 2, "authmethod": "NONE", "auth": None},
    ]
    there = read_one(kind, answers({"iscsi.target.query": [TARGET | {"groups": groups}]}))
    assert there.declare(array(CHAIN)) == {}


@pytest.mark.parametrize("name", ["vms", "a:vms", "iqn.2011-03.org.example:vms"])
def test_a_session_is_with_the_target_of_its_whole_name(name: str) -> None:
    base = "" if name.startswith("iqn.") else "iqn.2005-10.org.freenas.ctl:"
    both = [TARGET | {"name": name}, TARGET | {"name": "ms", "id": 99}]
    said = answers(
        {
            "iscsi.target.query": both,
            "iscsi.global.sessions": [SESSION | {"target": f"{base}{name}"}],
        }
    )
    kind = next(kind for kind in KINDS if kind.kind == "session")
    (session,) = kind.read(DEVICE, said)
    assert key("target", name) in session.needs
    assert context(DEVICE, said).around[f"sessions.{name}"] == (A,)
