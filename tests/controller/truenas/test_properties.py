"""wanted(declare(x)) == x for whatever an array may hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.managed import Managed
from controller.planning import wanted_things
from controller.truenas.kinds import KINDS
from tests.controller.truenas.worlds import (
    DATASET,
    DEVICE,
    EXTENT,
    GROUP,
    LOGIN,
    PORTALS,
    ROOT,
    SHARE,
    TARGET,
    TASK,
    ZVOL,
    A,
    B,
    adopted,
    answers,
    prop,
)

GIB = 2**30
COMMENT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=8)
MAYBE = st.sampled_from(["LOCAL", "INHERITED", "DEFAULT"])


def some(of: dict[str, Any], **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A row with these members changed."""
    return st.fixed_dictionaries(members).map(lambda changed: of | changed)


def properties(**values: tuple[Any, str]) -> dict[str, st.SearchStrategy[Any]]:
    """A property that is set here, above, or nowhere."""

    def sourced(parsed: Any, text: str) -> st.SearchStrategy[Any]:
        return MAYBE.map(lambda source: prop(parsed, text, source))

    return {name: sourced(*value) for name, value in values.items()}


COMMON = properties(compression=("zstd", "ZSTD"), sync=("always", "ALWAYS"))
NOTES = {"comments": st.none() | COMMENT.map(lambda text: prop(text, text))}
ZVOLS = some(
    ZVOL,
    volsize=st.integers(1, 2**20).map(lambda gib: prop(gib * GIB)),
    volblocksize=st.sampled_from([512, 4096, 16384, 131072]).map(prop),
    refreservation=st.sampled_from([None, 0, GIB]).map(prop),
    **COMMON,
    **NOTES,
)
DATASETS = some(
    DATASET,
    quota=st.sampled_from([None, 0, GIB]).map(prop),
    refquota=st.sampled_from([None, 2 * GIB]).map(prop),
    **properties(recordsize=(2**20, "1M"), atime=(False, "OFF")),
    **COMMON,
    **NOTES,
)
MEMBERS = st.sets(st.sampled_from([A, B, "iqn.2005-10.org.other:x"]))
GROUPS = some(GROUP, initiators=MEMBERS.map(list), comment=COMMENT)
EXTENTS = some(
    EXTENT,
    name=st.sampled_from(["group1", "other"]),
    serial=st.none() | st.from_regex(r"[0-9a-f]{1,20}", fullmatch=True),
    blocksize=st.sampled_from([512, 4096]),
    ro=st.booleans(),
    enabled=st.booleans(),
    comment=COMMENT,
)
WAYS = st.sampled_from(
    [(None, "NONE", None), (2, "NONE", None), (2, "CHAP", 7), (None, "CHAP", 7), (99, "NONE", None)]
)
NETWORKS = st.sets(st.sampled_from(["192.168.103.0/24", "192.168.103.9/32", "10.0.0.0/8"]))
SHARES = some(
    SHARE,
    path=st.sampled_from(["/mnt/tank/iso", "/mnt/tank", "/mnt/tank/iso/folder"]),
    networks=NETWORKS.map(list),
    hosts=st.sampled_from([[], ["backup.lab"]]),
    ro=st.booleans(),
    maproot_user=st.sampled_from([None, "root"]),
    maproot_group=st.sampled_from([None, "wheel"]),
    enabled=st.booleans(),
    comment=COMMENT,
)
FIELDS = st.sampled_from(["*", "0", "00", "*/5", "1-3", "mon"])
TASKS = some(
    TASK,
    dataset=st.sampled_from(["tank", "tank/iso", "tank/group1"]),
    lifetime_value=st.integers(1, 99),
    lifetime_unit=st.sampled_from(["HOUR", "DAY", "WEEK", "MONTH", "YEAR"]),
    naming_schema=st.sampled_from(["auto-%Y-%m-%d_%H-%M", "h %Y%m%d%H%M"]),
    exclude=st.sampled_from([[], ["tank/iso/tmp"]]),
    recursive=st.booleans(),
    schedule=st.fixed_dictionaries(
        {name: FIELDS for name in ("minute", "hour", "dom", "month", "dow")},
        optional={"begin": st.just("08:00"), "end": st.just("18:30")},
    ),
)


def target(alias: str | None, ports: list[int], way: tuple[Any, ...]) -> dict[str, Any]:
    initiator, method, tag = way
    groups = [
        {"portal": port, "initiator": initiator, "authmethod": method, "auth": tag}
        for port in ports
    ]
    return TARGET | {"alias": alias, "groups": groups}


@settings(max_examples=150)
@given(
    zvol=ZVOLS,
    dataset=DATASETS,
    group=GROUPS,
    extent=EXTENTS,
    share=SHARES,
    task=TASKS,
    way=WAYS,
    alias=st.none() | COMMENT.filter(bool),
    ports=st.sampled_from([[3], [3, 5], [5, 3]]),
    together=st.booleans(),
)
def test_what_an_array_holds_is_the_same_after_it_was_said(
    together: bool, ports: list[int], alias: str | None, way: tuple[Any, ...], **rows: Any
) -> None:
    both = [PORTALS[0] | {"listen": [{"ip": "192.168.102.21"}, {"ip": "192.168.101.21"}]}]
    said = answers(
        {
            "pool.dataset.query": [ROOT, rows["dataset"], rows["zvol"]],
            "iscsi.portal.query": both if together else PORTALS,
            "iscsi.initiator.query": [rows["group"]],
            "iscsi.auth.query": [LOGIN],
            "iscsi.target.query": [target(alias, [3] if together else ports, way)],
            "iscsi.extent.query": [rows["extent"]],
            "sharing.nfs.query": [rows["share"]],
            "pool.snapshottask.query": [rows["task"]],
        }
    )
    lab = adopted(said)
    back = wanted_things(lab, {DEVICE: KINDS})
    things = {t.key: t for kind in KINDS for t in kind.read(DEVICE, said) if not t.inherent}
    for key, thing in things.items():
        if thing.declare(lab):
            assert_same(back[key], thing)
    assert {key.kind for key, thing in things.items() if not thing.declare(lab)} <= UNSAID


UNSAID = {"nfs-share"}
"""A share that is open to networks of no VLAN of the array: none of them is its own."""


def assert_same(back: Managed, thing: Managed) -> None:
    assert (dict(back.values), back.needs) == (dict(thing.values), thing.needs)
