"""One long story that makes every writing call, in every release.

What each call answers is held against the schema of the release by `conftest`.
"""

from __future__ import annotations

import re

import pytest

from simulator.pve.api import tree
from simulator.pve.releases import NEWEST, RELEASES
from simulator.pve.wire import Request, Response
from tests.simulator import pve_story_cluster, pve_story_guests, pve_story_nodes
from tests.simulator.pve_schemas import answer_misfits
from tests.simulator.pve_story import beginning, tell

STORY = [
    *pve_story_cluster.PEOPLE,
    *pve_story_cluster.OBJECTS,
    *pve_story_cluster.NOTIFICATIONS,
    *pve_story_cluster.NETS,
    *pve_story_cluster.FIREWALLS,
    *pve_story_nodes.FILES,
    *pve_story_nodes.SYSTEM,
    *pve_story_nodes.IN_CEPH,
    *pve_story_guests.GUESTS,
    *pve_story_guests.CONTAINERS,
    *pve_story_guests.MANY,
    *pve_story_nodes.STORED,
    *pve_story_guests.HA,
    *pve_story_nodes.POWER,
]
UNHEARD = re.compile(r".*/agent.*")
"""Calls that nobody answers: no system runs inside the twin's guests."""


@pytest.mark.parametrize("release", RELEASES)
def test_every_writing_call_is_made_and_answers_as_its_release_says(release: str) -> None:
    here = beginning()
    here.api.release = RELEASES[release]
    made, wrong = tell(here, STORY)
    assert wrong == {}
    writes = {
        route.call
        for route in tree().routes
        if route.method != "GET" and not RELEASES[release].lacks(route.call)
    }
    assert {call for call in writes - made if not UNHEARD.fullmatch(call)} == set()


@pytest.mark.parametrize(
    ("call", "data", "miss"),
    [
        ("GET /version", {"version": "9.2", "release": "9.2"}, "data.repoid is missing"),
        ("GET /pools", {}, "data is {}, not array"),
        ("POST /pools", "UPID:x", "data is 'UPID:x', not null"),
        ("POST /nodes/pve1/qemu", None, "data is null, not string"),
        ("GET /nodes", [{"node": "pve1", "status": "fine"}], "data[0].status is 'fine', none of"),
        ("GET /pools", [{"poolid": "web"}], ""),
    ],
)
def test_an_answer_that_is_none_of_its_schema_is_seen(call: str, data: object, miss: str) -> None:
    method, _, path = call.partition(" ")
    found = answer_misfits(
        NEWEST, Request("pve1", method, path), Response(200, "OK", {"data": data})
    )
    assert any(miss in told for told in found) if miss else found == []
