"""Whether a lab is safe: every single fault that its expectations name, laid over one state of it.

    invariants(lab, twin) -> Verdict     each fault in turn over a fork, judged (`judge.py`)
    worse(before, after) -> findings     what a change makes worse: the gate's question

Leaves out: two faults at once, and faults at another instant than the one the twin stands at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lab.faults import Fault, FaultKind
from lab.lab import Lab
from simulator.ha.part import let_lead
from simulator.outcome.judge import judge
from simulator.outcome.report import Case, Finding, Verdict
from simulator.outcome.simulate import simulate
from simulator.twin import Twin

__all__ = ["faults_to_try", "invariants", "judge", "worse"]

# Two runs of one fault may differ by the beats of the HA daemons: the master's rounds are 10 s
# apart, and so are those of the LRM that starts a guest.
NOISE_S = 20.0

Progress = Callable[[int, int, Fault], None]
"""Told before each run: how many are done, of how many, and which comes now."""


def invariants(
    lab: Lab,
    twin: Twin,
    *,
    faults: Sequence[Fault] | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """The verdict on the state that `twin` stands at; `faults` are by default those of
    `faults_to_try`.

    An expectation counts for the services that serve in that state. The twin itself is left as it
    is.
    """
    tried = faults_to_try(lab, twin) if faults is None else faults
    cases: list[Case] = []
    unjudged: dict[str, None] = {}
    down: tuple[str, ...] = ()
    for number, fault in enumerate(tried):
        if progress is not None:
            progress(number, len(tried), fault)
        report = simulate(_worst_hit(twin, fault), (fault,))
        verdict = judge(lab, report)
        services = tuple(o for o in report.outages if o.subject.startswith("service "))
        cases.append(Case(str(fault), services, verdict.findings))
        unjudged |= dict.fromkeys(verdict.unjudged)
        down = verdict.down
    findings = tuple(finding for case in cases for finding in case.findings)
    return Verdict(findings, tuple(unjudged), down, tuple(cases))


def _worst_hit(twin: Twin, fault: Fault) -> Twin:
    """The state in which a fault hurts most: a node that fails is the master of its HA stack.

    Any node may be when it happens, and without its master the others wait for its lock first.
    """
    if fault.kind is not FaultKind.NODE:
        return twin
    hit = twin.fork()
    let_lead(hit, fault.name)
    return hit


def faults_to_try(
    lab: Lab, twin: Twin, kinds: Collection[FaultKind] = tuple(FaultKind)
) -> tuple[Fault, ...]:
    """Each thing of the kinds that expectations name (and of `kinds`), failing for good."""
    named = {kind for expectation in lab.expect.values() for kind in expectation.any_one_fault_of}
    return tuple(
        Fault(kind, name)
        for kind in FaultKind
        if kind in named and kind in kinds
        for name in twin.model.elements(kind)
    )


def worse(before: Verdict, after: Verdict) -> list[Finding]:
    """What `after` finds that `before` did not, or not so badly; services that went down first.

    A service that was up with nothing broken and is not any more has `fault` "": a step that stops
    it on purpose is known to whoever asks.
    """
    known = {_same(finding): finding for finding in before.findings}
    lost = [
        Finding("", f"{service} serves nobody, and nothing is broken", ("services", service),
                service=service, ongoing=True)
        for service in after.down
        if service not in before.down
    ]  # fmt: skip
    return lost + [
        finding
        for finding in after.findings
        if (old := known.get(_same(finding))) is None or _heavier(finding, old)
    ]


def _same(finding: Finding) -> tuple[str, ...]:
    return (finding.fault, finding.expectation, finding.service, finding.node)


def _heavier(finding: Finding, old: Finding) -> bool:
    if finding.missing_bytes > old.missing_bytes or (finding.ongoing and not old.ongoing):
        return True
    both_end = not finding.ongoing and not old.ongoing
    return both_end and finding.outage_s > old.outage_s + NOISE_S
