"""What the HA core promises whatever happens: faults, users and maintenance in any order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cluster.documents import ServiceConfig
from simulator.cluster.state import Cluster, Datacenter, Machine
from simulator.cluster.suite import Play, advance, play

NODES = ("ada", "bob", "cyd")
SIDS = ("ct:201", "vm:101", "vm:102")
UP = [f"power {node} on" for node in NODES]
MENDED = [
    ["crm ada arm-ha", *(f"crm {node} disable-node-maintenance" for node in NODES)],
    [f"power {node} off" for node in NODES],
    ["delay 140"],
    [*UP, *(f"service {sid} started" for sid in SIDS)],
]
"""All that users asked for is taken back, then every node starts anew, others' locks run out."""

node = st.sampled_from(NODES)
sid = st.sampled_from(SIDS)


def told(template: str) -> st.SearchStrategy[str]:
    return st.builds(lambda n, s: template.format(node=n, sid=s), node, sid)


COMMANDS = st.one_of(
    *(
        told(template)
        for template in (
            "power {node} on",
            "power {node} off",
            "network {node} off",
            "network {node} on",
            "reboot {node}",
            "shutdown {node}",
            "restart-lrm {node}",
            "crm {node} enable-node-maintenance",
            "crm {node} disable-node-maintenance",
            "crm {node} disarm-ha freeze",
            "crm {node} arm-ha",
            "service {sid} migrate {node}",
            "service {sid} relocate {node}",
            "service {sid} stop 10",
            "service {sid} started",
            "service {sid} disabled",
            "delay 30",
        )
    )
)
SCRIPTS = st.lists(st.lists(COMMANDS, max_size=3), max_size=6)
POLICIES = st.sampled_from(["conditional", "freeze", "failover", "migrate"])


def cluster(policy: str = "conditional") -> Cluster:
    services = {sid: ServiceConfig(node, "started") for sid, node in zip(SIDS, NODES, strict=True)}
    machines = {node: Machine() for node in NODES}
    return Cluster(machines, services=services, datacenter=Datacenter(policy))


def runs_on(cluster: Cluster, sid: str) -> list[str]:
    return [node for node, sids in cluster.running.items() if sid in sids]


@settings(max_examples=40)
@given(SCRIPTS, POLICIES)
def test_no_guest_ever_runs_on_two_nodes(script: Sequence[Sequence[str]], policy: str) -> None:
    game = Play(cluster(policy), [UP, *script, *MENDED])
    while advance(game):
        for sid in SIDS:
            assert len(runs_on(game.cluster, sid)) <= 1, sid


@settings(max_examples=40)
@given(SCRIPTS, POLICIES)
def test_every_wanted_guest_runs_once_all_is_mended(
    script: Sequence[Sequence[str]], policy: str
) -> None:
    game = Play(cluster(policy), [UP, *script, *MENDED])
    while advance(game):
        pass
    for sid in SIDS:
        assert runs_on(game.cluster, sid) == [game.cluster.services[sid].node]


@settings(max_examples=20)
@given(SCRIPTS)
def test_a_script_has_one_log(script: Sequence[Sequence[str]]) -> None:
    assert play(cluster(), [UP, *script]) == play(cluster(), [UP, *script])


@pytest.mark.parametrize("fault", ["network bob off", "power bob off"])
def test_a_guest_starts_elsewhere_only_after_its_node_was_fenced(fault: str) -> None:
    log = play(cluster(), [UP, [fault]]).splitlines()

    (fenced,) = (n for n, line in enumerate(log) if "SUCCEED: fencing" in line)
    (off,) = (n for n, line in enumerate(log) if "execute power bob off" in line)
    (_, again) = (n for n, line in enumerate(log) if "starting service vm:101" in line)
    assert off < fenced < again
