"""What the twin predicts for the lab of `desired-state/`, over many seeds: HA's part of it.

Bounds follow from the daemons' constants: a manager's or agent's lock is free 120 s after its last
renewal, which was up to 10 s before; a node is fenced when it has not been seen for 60 s; rounds
are up to 10 s apart; the guest boots in 60 s.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from benchmarks.lab import lab_of
from lab.faults import parse_faults
from lab.lab import Lab
from simulator.build import twin_of
from simulator.ha.part import let_lead
from simulator.outcome.report import Report
from simulator.outcome.simulate import simulate
from simulator.outcome.spread import spread

SEEDS = range(24)
BOOT_S = 60  # of zoro
MEMBERSHIP_S = 8  # token and consensus of three nodes


@cache
def lab() -> Lab:
    return lab_of(0)


def outages_s(faults: str, leader: str, subject: str = "guest zoro") -> list[float]:
    """Of a guest after faults, by seed; `leader` is the HA master of cluster a when they happen."""
    return [run(faults, leader, seed).outage(subject).outage_s for seed in SEEDS]


def run(faults: str, leader: str, seed: int, policy: str = "") -> Report:
    twin = twin_of(lab(), seed=seed)
    if policy:
        workload = twin.state.workloads["a"]
        twin.state.workloads["a"] = replace(workload, shutdown_policy=policy)
        twin.changed()
    let_lead(twin, leader)
    return simulate(twin, parse_faults([faults]))


def test_a_lost_worker_costs_its_guest_the_life_of_its_agent_lock() -> None:
    outages = outages_s("fail-node pve2", leader="pve1")
    assert min(outages) >= 110 + BOOT_S
    assert max(outages) <= 120 + 10 + 10 + MEMBERSHIP_S + BOOT_S


def test_a_lost_master_costs_its_guest_a_new_master_that_starts_to_count() -> None:
    outages = outages_s("fail-node pve2", leader="pve2")
    assert min(outages) >= 110 + 60 + BOOT_S
    assert max(outages) <= 120 + 5 + 60 + 10 + 10 + BOOT_S
    assert min(outages) > max(outages_s("fail-node pve2", leader="pve1"))


def test_a_node_without_its_cluster_network_resets_itself_before_its_guest_runs_elsewhere() -> None:
    for seed in SEEDS:
        report = run("fail-cable pve2-1 fail-cable pve2-2", "pve1", seed)
        at_s = {(event.subject, event.kind): event.at_s for event in report.events}
        (reset_s,) = (
            e.at_s for e in report.events if "watchdog fires" in e.text and "reset" in e.text
        )
        assert 50 <= reset_s <= 60
        assert at_s["guest zoro", "killed"] == reset_s < at_s["node pve2", "ha-fenced"]
        assert at_s["node pve2", "ha-fenced"] <= at_s["guest zoro", "starting"]
        assert report.outage("guest zoro").outage_s <= 120 + 10 + 10 + MEMBERSHIP_S + BOOT_S


@pytest.mark.parametrize("switch", ["sw1", "sw2"])
def test_a_lost_switch_costs_no_guest_of_the_company_anything(switch: str) -> None:
    done = spread(lab(), parse_faults([f"fail-switch {switch}"]), SEEDS)
    company = {"guest luffy", "guest zoro", "guest nami"}
    assert {
        o.subject: o.outages_s[-1] for o in done.outages if o.subject in company
    } == dict.fromkeys(company, 0.0)
    assert done.safe


@pytest.mark.parametrize(
    ("policy", "word", "least_s", "most_s", "moved"),
    [
        # stopped, its node off; fenced after 60 s, and the lock was given back: started elsewhere
        ("conditional", "shutdown", 60 - 10 + BOOT_S, 60 + 10 + 30 + BOOT_S, True),
        ("failover", "shutdown", 60 - 10 + BOOT_S, 60 + 10 + 30 + BOOT_S, True),
        ("failover", "reboot", 60 - 10 + BOOT_S, 60 + 10 + 30 + BOOT_S, True),
        # frozen until its node has booted, in 180 s, and has quorum again
        ("conditional", "reboot", 180 + BOOT_S, 180 + 60 + BOOT_S, False),
        ("freeze", "reboot", 180 + BOOT_S, 180 + 60 + BOOT_S, False),
    ],
)
def test_what_an_orderly_end_of_a_node_costs_is_the_policys_choice(
    policy: str, word: str, least_s: float, most_s: float, moved: bool
) -> None:
    for seed in range(8):
        report = run(f"{word}-node pve2", "pve1", seed, policy)
        outage = report.outage("guest zoro")
        assert least_s <= outage.outage_s <= most_s, (seed, policy, word)
        fenced = any(event.kind == "ha-fence" for event in report.events)
        assert fenced is moved


def test_a_node_that_is_frozen_and_stays_off_keeps_its_guest_down() -> None:
    outage = run("shutdown-node pve2", "pve1", 0, "freeze").outage("guest zoro")
    assert outage.ongoing
    again = run("shutdown-node pve2@0s..300s", "pve1", 0, "freeze").outage("guest zoro")
    assert 300 + 180 + BOOT_S <= again.outage_s + 20 <= 300 + 180 + 60 + BOOT_S + 20


@pytest.mark.parametrize("word", ["reboot", "shutdown"])
def test_a_node_that_moves_its_guests_away_first_costs_them_no_boot(word: str) -> None:
    for seed in range(8):
        report = run(f"{word}-node pve2", "pve1", seed, "migrate")
        zoro = [event for event in report.events if event.subject == "guest zoro"]
        assert "killed" not in {event.kind for event in zoro}
        assert "stopped" not in {event.kind for event in zoro}
        assert zoro[0].text.startswith("HA: started -> migrate to pve")
        assert report.outage("guest zoro").outage_s < 40  # its pool, while an OSD's node goes down


def test_a_node_that_has_moved_its_guests_away_gets_them_back_when_it_has_booted() -> None:
    report = run("reboot-node pve2", "pve1", 0, "migrate")
    moves = [event for event in report.events if event.kind == "moved"]
    assert [event.text.split()[-1] for event in moves] == [moves[0].text.split()[-1], "pve2"]
