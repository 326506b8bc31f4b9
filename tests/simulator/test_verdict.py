"""Verdicts: expectations, accepted points, memory, and what a change makes worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import Place
from lab.faults import Fault, FaultKind, parse_faults
from lab.lab import Lab
from lab.load import load_tree
from simulator.build import twin_of
from simulator.outcome.judge import judge
from simulator.outcome.report import Finding, Verdict
from simulator.outcome.simulate import simulate
from simulator.outcome.verdict import faults_to_try, invariants, worse
from tests.simulator.three_nodes import after, apart, guest, three_nodes

LUFFY, ZORO = guest("luffy", 101, on="pve2"), guest("zoro", 102, on="pve3")
SERVICES = "services: {directory: {all: [luffy]}, files: {all: [zoro]}}\n"


def _lab(expect: str, *guests: str, more: str = "") -> Lab:
    return three_nodes(*(guests or (LUFFY, ZORO)), more=f"{SERVICES}{more}expect:\n{expect}")


def _verdict(lab: Lab, faults: str) -> Verdict:
    return simulate(lab, parse_faults([faults])).verdict


def _bound(outage: str, kinds: str = "node") -> str:
    services = "services: [directory, files]"
    return f"  quick: {{{services}, any-one-fault-of: [{kinds}], outage: {outage}}}\n"


def test_an_outage_within_its_bound_is_safe() -> None:
    verdict = _verdict(_lab(_bound("300s")), "fail-node pve2")
    assert verdict.safe
    assert verdict.name == "safe"


def test_an_outage_beyond_its_bound_is_unsafe_and_names_its_line() -> None:
    verdict = _verdict(_lab(_bound("60s")), "fail-node pve2")
    (finding,) = verdict.findings
    assert verdict.name == "unsafe"
    assert (finding.expectation, finding.service, finding.fault) == (
        "quick",
        "directory",
        "fail-node pve2",
    )
    assert finding.limit_s == 60
    assert finding.outage_s > 120
    assert f"directory is out for {finding.outage_s:.1f} s after fail-node pve2" in finding.text
    assert finding.place == Place("3.yaml", 3, 3)


def test_what_does_not_come_back_is_unsafe_however_short_the_run() -> None:
    plain = LUFFY.replace("    ha: {}\n", "")
    (finding,) = _verdict(_lab(_bound("3000s"), plain, ZORO), "fail-node pve2").findings
    assert finding.ongoing
    assert finding.text.startswith("directory does not come back (luffy: pve2 is off)")


def test_an_accepted_fault_is_not_held_against_the_services_it_names() -> None:
    accept = "  known: {services: [directory], accept: fail-node pve2, reason: it is old}\n"
    verdict = _verdict(_lab(_bound("60s") + accept), "fail-node pve2")
    assert verdict.safe
    assert verdict.unjudged == ("quick: directory may be lost, accepted by known: it is old",)
    assert not _verdict(_lab(_bound("60s") + accept), "fail-node pve3").safe


def test_an_accepted_pair_is_accepted_only_as_a_pair() -> None:
    both = "fail-cable pve2 fail-cable pve1"
    accept = f"  pair: {{services: [directory, files], accept: {both}, reason: two}}\n"
    lab = _lab(_bound("60s", "cable") + accept)
    assert _verdict(lab, "fail-cable pve1 fail-cable pve2").safe
    assert not _verdict(lab, "fail-cable pve2").safe


def test_several_faults_are_measured_by_what_is_promised_for_one() -> None:
    (first, *_) = _verdict(_lab(_bound("60s")), "fail-node pve2 fail-node pve3").findings
    assert first.text.endswith("60 s allowed after one fault")


def test_a_fault_that_no_expectation_covers_is_not_judged() -> None:
    verdict = _verdict(_lab(_bound("60s")), "fail-switch sw1")
    assert verdict.safe
    assert verdict.unjudged == ("no expectation covers a fault of this kind: switch",)


def test_an_accepted_fault_of_a_kind_that_nothing_is_promised_for_says_who_accepts_it() -> None:
    accept = "  known: {services: [files], accept: fail-switch sw1, reason: one is enough}\n"
    verdict = _verdict(_lab(_bound("60s") + accept), "fail-switch sw1")
    assert verdict.unjudged == ("files may be lost, accepted by known: one is enough",)


def test_a_service_that_is_down_already_is_not_judged() -> None:
    lab = _lab(_bound("60s"))
    twin = after(twin_of(lab), "fail-cable pve2", 30)
    verdict = simulate(twin, parse_faults(["fail-node pve1"])).verdict
    assert verdict.down == ("directory",)
    assert "quick: directory did not serve before the fault" in verdict.unjudged


def test_more_memory_than_the_cluster_allows_is_unsafe() -> None:
    servers = [
        guest(name, vmid, on=on, memory="8GiB")
        for name, vmid, on in (
            ("luffy", 101, "pve1"),
            ("zoro", 102, "pve2"),
            ("ussop", 104, "pve3"),
        )
    ]
    rule = f"{apart('luffy', 'zoro')}\n"
    lab = _lab(_bound("300s"), *servers, more=rule)
    (finding,) = _verdict(lab, "fail-node pve2").findings
    assert finding.text == "5 GiB missing on pve3 (guests there: ussop, zoro) after fail-node pve2"
    assert (finding.node, finding.missing_bytes) == ("pve3", 5 * 2**30)
    assert finding.path == ("clusters", "a", "overcommit")
    assert finding.place is not None
    assert finding.place.file == "1.yaml"
    cluster = lab.clusters["a"].model_copy(update={"overcommit": 5 * 2**30})
    allowed = Lab(**{**vars(lab), "clusters": {"a": cluster}})
    assert _verdict(allowed, "fail-node pve2").safe


def test_every_thing_of_the_kinds_that_are_named_is_tried() -> None:
    lab = _lab(_bound("300s", "node, cable"))
    twin = twin_of(lab)
    told: list[tuple[int, int, Fault]] = []
    verdict = invariants(lab, twin, progress=lambda *step: told.append(step))
    faults = [
        f"fail-{kind} {name}" for kind in ("node", "cable") for name in ("pve1", "pve2", "pve3")
    ]
    assert [case.fault for case in verdict.cases] == faults
    assert [(number, total) for number, total, _ in told] == [(n, 6) for n in range(6)]
    assert verdict.safe
    assert faults_to_try(lab, twin, {FaultKind.NODE}) == tuple(
        Fault(FaultKind.NODE, name) for name in ("pve1", "pve2", "pve3")
    )


def test_invariants_find_the_single_fault_that_breaks_one() -> None:
    lab = _lab(_bound("60s", "node, cable"))
    verdict = invariants(lab, twin_of(lab))
    assert {(finding.fault, finding.service) for finding in verdict.findings} == {
        ("fail-node pve2", "directory"),
        ("fail-node pve3", "files"),
        ("fail-cable pve2", "directory"),
        ("fail-cable pve3", "files"),
    }
    outages = {case.fault: {o.subject: o.outage_s for o in case.outages} for case in verdict.cases}
    assert outages["fail-node pve1"] == {"service directory": 0.0, "service files": 0.0}
    assert outages["fail-node pve2"]["service directory"] > 120


def test_the_verdict_on_a_run_is_that_of_its_report() -> None:
    lab = _lab(_bound("60s"))
    report = simulate(lab, parse_faults(["fail-node pve2"]))
    assert judge(lab, report) == report.verdict


@pytest.mark.parametrize("seed", [0, 1])
def test_the_desired_state_holds_what_it_expects_whatever_single_thing_fails(seed: int) -> None:
    lab = load_tree(Path(__file__).parents[2] / "desired-state")
    verdict = invariants(lab, twin_of(lab, seed=seed))
    assert [finding.text for finding in verdict.findings] == []
    assert len(verdict.cases) > 100
    assert verdict.down == ()


def _found(outage_s: float = 100.0, **what: object) -> Finding:
    return Finding("fail-node n", "text", ("expect", "e"), outage_s=outage_s, **what)  # type: ignore[arg-type]


def test_worse_is_what_was_not_found_before() -> None:
    old = _found(expectation="e", service="files")
    new = _found(expectation="e", service="directory")
    assert worse(Verdict((old,)), Verdict((old, new))) == [new]
    assert worse(Verdict((old, new)), Verdict((old,))) == []


def test_worse_is_a_longer_outage_but_not_the_beat_of_the_daemons() -> None:
    before = Verdict((_found(100),))
    assert worse(before, Verdict((_found(109),))) == []
    assert worse(before, Verdict((_found(150),))) == [_found(150)]
    lost = _found(10, ongoing=True)
    assert worse(before, Verdict((lost,))) == [lost]
    assert worse(Verdict((lost,)), before) == []


def test_worse_is_more_memory_missing() -> None:
    less, more = _found(node="n", missing_bytes=1), _found(node="n", missing_bytes=2)
    assert worse(Verdict((less,)), Verdict((more,))) == [more]
    assert worse(Verdict((more,)), Verdict((less,))) == []


def test_worse_is_a_service_that_went_down_with_nothing_broken() -> None:
    (finding,) = worse(Verdict(), Verdict(down=("files",)))
    assert (finding.fault, finding.service) == ("", "files")
    assert worse(Verdict(down=("files",)), Verdict(down=("files",))) == []
