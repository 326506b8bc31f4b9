"""The life of an array and of a Ceph cluster: desired state after desired state, whatever comes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from controller.plan import NoteKind
from simulator.mon.monitors import Monitors
from simulator.truenas.api import TrueNasApi
from tests.controller.walks import Country, Walker, array, ceph, unlucky

COUNTRIES = {"11.3": 1, "13.0": 2, "25.10": 3, "ceph": 4}  # and the seed of the walk there
COMMITS, PASSES = 4, 4
SAID = {NoteKind.BLOCKED, NoteKind.WITHHELD, NoteKind.IMPOSSIBLE, NoteKind.KEPT, NoteKind.CYCLE}


@cache
def country(name: str) -> Country:
    return ceph() if name == "ceph" else array(name)


def started(name: str) -> Walker:
    """Devices as installed, with things of somebody else on them."""
    here = Walker(country(name).lab({}), ("nas/", "ceph/"))
    monitors, api = here.twin.devices.get("ceph/a"), here.twin.devices.get("nas/nas1")
    if isinstance(monitors, Monitors):
        monitors.line(here.twin, ["config", "set", "mon", "mon_allow_pool_delete", "true"])
        monitors.line(here.twin, ["osd", "pool", "create", "theirs", "8"])
        monitors.line(here.twin, ["auth", "add", "client.theirs", "mon"] + ["allow r"])
    if isinstance(api, TrueNasApi):
        (way,) = here.devices
        call: Any = way.port._port._transport.call  # type: ignore[attr-defined]
        volume = {"name": "tank/theirs", "type": "VOLUME", "volsize": 2**30}
        call("pool.dataset.create", [volume], 10)
        extent = {"name": "theirs", "type": "DISK", "disk": "zvol/tank/theirs"}
        call("iscsi.extent.create", [extent], 10)
        call("iscsi.initiator.create", [{"initiators": ["iqn.2020-01.theirs:x"]}], 10)
    return here


def theirs(held: dict[str, Any]) -> dict[str, Any]:
    return {key: values for key, values in held.items() if "theirs" in key}


@pytest.mark.parametrize(("name", "seed"), COUNTRIES.items())
def test_each_commit_is_done_as_planned_and_leaves_nothing_to_do(name: str, seed: int) -> None:
    here, fresh = started(name), started(name)
    foreign = theirs(here.held())
    assert foreign
    for lab in country(name).walk(seed, COMMITS):
        for _ in range(PASSES):
            plan = here.plan(lab)
            if plan.empty:
                break
            here.sent.clear()
            here.applied(lab)
            assert here.sent == [(o.key.device, str(s)) for o in plan.operations for s in o.steps]
        assert plan.empty
        assert theirs(here.held()) == foreign
    for _ in range(PASSES):
        fresh.applied(lab)
    told = {note.subject for note in (*plan.notes, *fresh.plan().notes) if note.kind in SAID}
    walked, made = here.held(), fresh.held()
    assert {key for key in walked.keys() ^ made.keys() if key not in told} == set()


@pytest.mark.parametrize("name", ["25.10", "ceph"])
def test_answers_that_are_lost_change_nothing_of_the_end(name: str) -> None:
    lucky, unlucky_one = started(name), started(name)
    disturb = unlucky(7)
    for lab in country(name).walk(5, COMMITS):
        for here in (lucky, unlucky_one):
            here.disturb = disturb if here is unlucky_one else lambda send, step: send(step)
            for _ in range(PASSES):
                here.apply(lab)
            here.disturb = lambda send, step: send(step)
            for _ in range(PASSES):
                here.applied(lab)
            assert here.plan().empty
        assert unlucky_one.held() == lucky.held()
        assert unlucky_one.owned == lucky.owned
