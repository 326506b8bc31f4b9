"""Runs of faults: how they end, and what the report has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults import parse_faults
from lab.lab import Lab
from lab.load import load_tree
from simulator import guests
from simulator.build import twin_of
from simulator.outcome.report import Overcommit, Report, gibibytes
from simulator.outcome.simulate import LIMIT_S, QUIET_S, simulate
from simulator.twin import Twin
from tests.labs import lab_of
from tests.simulator.three_nodes import after, bound, guest, hardware, three_nodes, where

LUFFY = guest("luffy", 101, on="pve2")
FILES = "services: {files: {all: [luffy]}}"

BONDED = """
vlans:
  management: {id: 99, role: management}
clusters:
  a: {version: "9.2", corosync: {links: [management]}, time-source: 192.168.99.1}
switches:
  sw1:
    feeds: []
    ports: {p1: {vlans: [management], lag: l}, p2: {vlans: [management], lag: l}}
nodes:
  pve1:
    cluster: a
    feeds: []
    nics: {eno1: {}, eno2: {}}
    bonds: {bond0: {members: [eno1, eno2], rate: fast, vlans: [management]}}
    addresses: {management: 192.168.99.1}
    disks: {sda: {size: 1TB}, sdb: {size: 1TB}}
    raids: {os: {level: raid1, disks: [sda, sdb]}}
cables:
  one: {ends: [pve1/eno1, sw1/p1]}
  two: {ends: [pve1/eno2, sw1/p2]}
"""


def _run(subject: Lab | Twin, faults: str, **how: float) -> Report:
    until_s = how.get("until_s")
    return simulate(subject, parse_faults([faults]), seed=int(how.get("seed", 0)), until_s=until_s)


def _outage(report: Report, subject: str) -> tuple[float, bool]:
    outage = report.outages_by_subject[subject]
    return outage.outage_s, outage.ongoing


def test_a_run_ends_when_nothing_more_will_happen() -> None:
    report = _run(three_nodes(LUFFY, more=FILES), "fail-node pve2")
    assert report.settled
    assert report.until_s == round(report.events[-1].at_s, 1)
    out_s, ongoing = _outage(report, "guest luffy")
    assert 120 < out_s < 300
    assert not ongoing
    assert _outage(report, "service files") == (out_s, False)


def test_a_run_without_an_effect_ends_with_what_the_cluster_notices() -> None:
    report = _run(three_nodes(LUFFY), "fail-node pve3@50s")
    assert report.settled
    assert report.until_s < 50 + 40  # the membership, and two rounds of the master after its news
    assert _outage(report, "guest luffy") == (0.0, False)


def test_rounds_that_change_nothing_for_ever_do_not_keep_a_run_going() -> None:
    twin = twin_of(three_nodes(LUFFY, guest("zoro", 102, on="pve3")))
    workload = twin.state.workloads["a"]
    disabled = {**workload.ha, "vm:101": replace(workload.ha["vm:101"], state="disabled")}
    guests.set_workload(twin, "a", replace(workload, ha=disabled))
    twin.run_until(60)
    report = _run(twin, "fail-node pve2")  # the master goes on to look after a service that is off
    assert report.settled
    assert report.until_s - report.events[-1].at_s <= QUIET_S + 0.1


def test_a_run_goes_on_until_the_last_restore_has_had_its_effect() -> None:
    report = _run(three_nodes(LUFFY), "fail-switch sw1@0s..2000s")
    assert report.settled
    assert report.until_s > 2000
    out_s, ongoing = _outage(report, "guest luffy")
    assert 2000 < out_s < 2200
    assert not ongoing


def test_a_run_has_a_limit() -> None:
    report = _run(three_nodes(LUFFY), f"fail-node pve2@0s..{LIMIT_S:g}s")
    assert not report.settled
    assert report.until_s == LIMIT_S


@pytest.mark.parametrize("when", ["2h", "0s..2h"])
def test_a_fault_that_the_run_would_not_see_is_no_safe_one(when: str) -> None:
    with pytest.raises(ValueError, match="a run ends after 3600 s"):
        _run(three_nodes(LUFFY), f"fail-node pve2@{when}")


def test_a_run_of_a_given_length_has_that_length() -> None:
    lab = three_nodes(LUFFY)
    short = _run(lab, "fail-node pve2", until_s=30)
    assert (short.until_s, short.settled) == (30, False)
    assert _outage(short, "guest luffy") == (30, True)
    assert short.outages_by_subject["guest luffy"].reason == "pve2 is off"
    long = _run(lab, "fail-node pve2", until_s=2000)
    assert (long.until_s, long.settled) == (2000, True)


def test_a_twin_that_is_simulated_stays_as_it_is() -> None:
    twin = after(twin_of(three_nodes(LUFFY)), "fail-cable pve3", 100)
    before, told = twin.state.copy(), list(twin.trace)
    report = _run(twin, "fail-node pve2@10s")
    assert twin.state == before
    assert twin.trace == told
    assert where(twin, 101) == ("pve2", "running")
    assert report.events[0].at_s == 10  # counted from the start of the run


def test_the_same_seed_gives_the_same_report_and_another_seed_another() -> None:
    lab = three_nodes(LUFFY)
    assert _run(lab, "fail-node pve2", seed=3) == _run(lab, "fail-node pve2", seed=3)
    assert _run(lab, "fail-node pve2", seed=3).events != _run(lab, "fail-node pve2", seed=4).events


def test_what_was_down_before_is_not_counted() -> None:
    twin = after(twin_of(three_nodes(LUFFY, more=FILES)), "fail-cable pve2", 20)
    report = _run(twin, "fail-node pve3")
    assert report.down_before == ("guest luffy", "service files")
    assert not {"guest luffy", "service files"} & report.outages_by_subject.keys()


def test_each_outage_has_its_span() -> None:
    faults = "fail-cable pve2@10s..20s fail-cable pve2@40s..45s fail-cable pve3@50s"
    report = _run(three_nodes(LUFFY, guest("zoro", 102, on="pve3")), faults, until_s=80)
    assert report.outage("guest luffy").spans == ((10, 20), (40, 45))
    assert report.outage("guest zoro").spans == ((50, None),)


def test_a_fault_of_nothing_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"there is no node pve4.*pve"):
        _run(three_nodes(LUFFY), "fail-node pve4")


def test_lost_redundancy_says_since_when_and_until_when() -> None:
    report = _run(lab_of(BONDED, rules=False), "fail-cable one@5s..60s fail-disk pve1/sda@10s")
    lost = {lost.subject: lost for lost in report.lost}
    assert lost["bond pve1/bond0"].text == "1 of 2 legs"
    assert (lost["bond pve1/bond0"].from_s, lost["bond pve1/bond0"].until_s) == (5, 60)
    assert lost["raid pve1/os"].text == "sda of 2 disks missing"
    assert (lost["raid pve1/os"].from_s, lost["raid pve1/os"].until_s) == (10, None)


def test_redundancy_that_was_lost_before_is_not_told_again() -> None:
    twin = after(twin_of(lab_of(BONDED, rules=False)), "fail-cable one", 10)
    assert _run(twin, "fail-disk pve1/sda").lost[0].subject == "raid pve1/os"


def test_a_cluster_with_the_least_votes_has_lost_its_reserve() -> None:
    report = _run(three_nodes(LUFFY), "fail-node pve3")
    (lost,) = report.lost
    assert (lost.subject, lost.text) == ("cluster a", "2 of 3 votes, quorum needs 2")


def test_bonds_paths_and_copies_lose_their_reserve_with_a_switch_or_a_node() -> None:
    lab = load_tree(Path(__file__).parents[2] / "desired-state")
    lost = {lost.subject: lost.text for lost in _run(lab, "fail-switch sw1").lost}
    assert lost["bond pve1/bond0"] == "1 of 2 legs"
    assert lost["multipath pve4/nas1"] == "1 of 2 paths"
    assert "pool a/vm-ceph" not in lost
    lost = {lost.subject: lost.text for lost in _run(lab, "fail-node pve2").lost}
    assert lost["pool a/vm-ceph"] == "degraded: copies on osd.2, osd.3 are missing"
    assert lost["cluster a"] == "2 of 3 votes, quorum needs 2"
    assert not [subject for subject in lost if "pve2" in subject]


def test_overcommit_is_told_by_amount_node_and_guests() -> None:
    big = [guest(name, vmid, memory="8GiB") for name, vmid in (("zoro", 102), ("ussop", 104))]
    luffy = guest("luffy", 101, on="pve2", memory="8GiB")
    report = _run(three_nodes(luffy, *big), "fail-node pve2")
    (over,) = report.overcommit
    assert over.missing_bytes == 5 * 2**30
    assert over.text == f"5 GiB missing on {over.node} (guests there: {', '.join(over.guests)})"
    assert "luffy" in over.guests
    assert over.from_s > 120
    assert over.until_s is None


def test_overcommit_ends_when_a_guest_has_gone_back() -> None:
    rule = bound("luffy", pve2=2, pve3=1)
    luffy = guest("luffy", 101, on="pve2", memory="8GiB")
    zoro = guest("zoro", 102, on="pve3", memory="8GiB")
    report = _run(three_nodes(luffy, zoro, more=rule), "fail-node pve2@0s..600s")
    (over,) = report.overcommit
    assert (over.node, over.guests) == ("pve3", ("luffy", "zoro"))
    assert over.until_s is not None
    assert over.until_s > 640


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(5 * 2**30, "5 GiB"), (3 * 2**29, "1.5 GiB"), (512 * 2**20, "512 MiB")],
)
def test_sizes_are_written_as_people_say_them(size_bytes: int, text: str) -> None:
    assert gibibytes(size_bytes) == text
    assert Overcommit("n", "a", size_bytes, 0, ("g",), 0.0).text.startswith(f"{text} missing on n")


def test_the_lab_of_tests_has_what_its_text_says() -> None:
    lab = lab_of(hardware())
    assert lab.nodes["pve1"].guest_memory_bytes == 11 * 2**30
