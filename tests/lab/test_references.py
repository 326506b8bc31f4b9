"""Who names whom, found wherever in an entry the name stands."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab.compose import compose
from lab.errors import LabInvalid
from lab.item import Flaw, Item
from lab.lab import WORDS, Lab, title
from lab.load import load
from lab.names import nearest
from lab.references import references, users_of
from lab.shape import flawed
from tests.labs import lab_of

SOUND = Path(__file__).parent / "sound.yaml"


@cache
def sound() -> Lab:
    return load({"lab.yaml": SOUND.read_bytes()})


def users(word: str, name: str) -> list[str]:
    return [".".join(path) for path in users_of(sound(), word, name)]


def test_references_are_found_in_keys_lists_maps_and_alternatives() -> None:
    assert users("vlans", "ceph") == [
        "switches.sw1.ports.s1.vlans.0",
        "switches.sw1.ports.s2.vlans.0",
        "switches.sw1.ports.s3.vlans.0",
        "nodes.pve1.nics.eno3.vlans.0",
        "nodes.pve1.addresses.ceph",
        "nodes.pve2.nics.eno3.vlans.0",
        "nodes.pve2.addresses.ceph",
        "nodes.pve3.nics.eno3.vlans.0",
        "nodes.pve3.addresses.ceph",
        "ceph.a.public",
    ]
    assert users("ceph", "a") == ["storages.vm-ceph.ceph"]
    assert users("nodes", "pve3") == [
        "ceph.a.mons.2",
        "ceph.a.osds.2.node",
        "nas.nas1.targets.vms.initiators.2",
        "ha-rules.luffy-home.nodes.pve3",
    ]
    assert users("guests", "luffy") == [
        "ha-rules.luffy-home.guests.0",
        "backup-jobs.weekly.guests.0",
        "services.directory.any.0",
    ]
    assert users("guests", "nobody") == []


def test_every_reference_of_a_sound_lab_has_a_place_of_its_own() -> None:
    found = list(references(sound()))
    assert all(name in sound().map(word) for _path, word, name in found)
    places = [sound().places(path) for path, _word, _name in found]
    assert None not in places
    assert len(set(places)) == len(places)


def test_each_broken_reference_is_reported() -> None:
    kinds = {  # one reference of each kind
        (path[0], word, path[2], len(path)): (path, word, name)
        for path, word, name in references(sound())
    }
    for path, word, name in kinds.values():
        tree = compose("lab.yaml", SOUND.read_bytes()).data
        *steps, last = path
        inner: Any = tree
        for step in steps:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        if isinstance(inner, list):
            inner[int(last)] = "zzz"
        elif isinstance(inner[last], str) and inner[last] == name:
            inner[last] = "zzz"
        else:
            inner["zzz"] = inner.pop(last)
        text = io.StringIO()
        YAML(typ="safe", pure=False).dump(tree, text)
        with pytest.raises(LabInvalid) as caught:
            load({"lab.yaml": text.getvalue().encode()})
        said = [problem.what for problem in caught.value.problems]
        assert f"{title(*path[:2])} names zzz, which is not in {word}" in said, path


def test_items_with_rules_of_their_own_are_found_at_any_depth() -> None:
    class Inner(Item):
        good: bool = True

        def flaws(self):  # type: ignore[no-untyped-def]
            if not self.good:
                yield Flaw(("good",), "it is bad")

    class Middle(Item):
        inners: dict[str, Inner]

    class Outer(Item):
        middles: tuple[Middle, ...] = ()
        other: Inner | None = None

    outer = Outer(
        middles=(Middle(inners={"a": Inner(), "b": Inner(good=False)}),), other=Inner(good=False)
    )
    found = {path: list(item.flaws()) for path, item in flawed(outer, ("x",))}
    assert found == {
        ("x", "middles", "0", "inners", "a"): [],
        ("x", "middles", "0", "inners", "b"): [Flaw(("good",), "it is bad")],
        ("x", "other"): [Flaw(("good",), "it is bad")],
    }


def test_every_word_has_entries_in_the_sound_lab_or_refers_to_nothing() -> None:
    without = {word for word in WORDS if not sound().map(word)}
    assert without == {"groups", "users", "roles", "acls", "realms"}
    lab = lab_of("""
        clusters: {a: {version: 9.2, corosync: {links: [m]}}}
        vlans: {m: {id: 99, role: management}}
        groups: {students: {clusters: [a]}}
        users: {ana@pve: {groups: [students]}}
        acls: {all: {path: /, roles: [PVEAuditor], groups: [students], users: [ana@pve]}}
    """)
    assert users_of(lab, "groups", "students") == (
        ("users", "ana@pve", "groups", "0"),
        ("acls", "all", "groups", "0"),
    )


@pytest.mark.parametrize(
    ("name", "known", "fix"),
    [
        ("memroy", ["memory", "cores"], "did you mean memory?"),
        ("eno9", ["eno1", "eno2"], "use one of eno1, eno2"),
        ("Memory", ["memory", "cores"], "did you mean memory?"),
        ("x", ["b", "a"], "use one of a, b"),
        ("x", [], "none is declared yet"),
        ("x", [f"n{each:02}" for each in range(13)], None),
    ],
)
def test_a_wrong_name_is_mended_by_the_nearest(
    name: str, known: list[str], fix: str | None
) -> None:
    shown = ", ".join(known[:12])
    assert nearest(name, known) == (fix or f"use one of {shown}, ...")
