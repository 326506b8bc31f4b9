"""Whether one run is acceptable: its report against `expect:` and `overcommit` of the lab.

The last stage of `simulate`. A finding has the place of the line that it breaks.
An expectation promises something for one fault at a time. Asked for several at once, its bound is
used as a measure if it names all their kinds, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from lab.faults import Fault, parse_faults
from lab.kinds.expect import Expectation
from lab.lab import Lab
from simulator.outcome.report import Finding, Outage, Overcommit, Report, Verdict


def judge(lab: Lab, report: Report) -> Verdict:
    """The verdict on one run."""
    faults = report.faults
    asked = " ".join(str(fault) for fault in faults)
    findings: list[Finding] = []
    unjudged: list[str] = []
    covering = _covering(lab, faults)
    for name, expectation in covering:
        for service in expectation.services:
            outage = report.outages_by_subject.get(f"service {service}")
            if outage is None:
                unjudged.append(f"{name}: {service} did not serve before the fault")
            elif accepted(lab, faults, service):
                unjudged.append(f"{name}: {service} may be lost, {_reason(lab, faults, service)}")
            elif finding := _outage_finding(lab, asked, len(faults), name, service, outage):
                findings.append(finding)
    if not covering:
        unjudged += _beyond(lab, faults)
    findings += [
        _memory_finding(lab, asked, overcommit)
        for overcommit in report.overcommit
        if overcommit.missing_bytes > overcommit.allowed_bytes
    ]
    return Verdict(tuple(findings), tuple(unjudged), down_services(report))


def accepted(lab: Lab, faults: Sequence[Fault], service: str) -> bool:
    """Whether the lab accepts that these faults take the service away."""
    return any(True for _ in _acceptances(lab, faults, service))


def _covering(lab: Lab, faults: Sequence[Fault]) -> list[tuple[str, Expectation]]:
    kinds = {fault.kind for fault in faults}
    return [
        (name, expectation)
        for name, expectation in sorted(lab.expect.items())
        if expectation.accept is None and kinds <= set(expectation.any_one_fault_of)
    ]


def _acceptances(lab: Lab, faults: Sequence[Fault], service: str) -> Iterator[tuple[str, str]]:
    subjects = {fault.subject for fault in faults}
    for name, expectation in sorted(lab.expect.items()):
        accept = expectation.accept
        if accept and service in expectation.services and _subjects(accept) <= subjects:
            yield name, expectation.reason or ""


@cache
def _subjects(accept: str) -> frozenset[str]:
    return frozenset(fault.subject for fault in parse_faults([accept]))


def _reason(lab: Lab, faults: Sequence[Fault], service: str) -> str:
    name, reason = next(_acceptances(lab, faults, service))
    return f"accepted by {name}: {reason}"


def _beyond(lab: Lab, faults: Sequence[Fault]) -> Iterator[str]:
    """What is said of faults that nothing is promised for: who may be lost, or that nobody says."""
    services = [name for name in lab.services if accepted(lab, faults, name)]
    for service in services:
        yield f"{service} may be lost, {_reason(lab, faults, service)}"
    if not services:
        kinds = ", ".join(sorted({str(fault.kind) for fault in faults}))
        yield f"no expectation covers a fault of this kind: {kinds}"


def _outage_finding(
    lab: Lab, fault: str, count: int, name: str, service: str, outage: Outage
) -> Finding | None:
    limit_s = lab.expect[name].outage or 0.0
    if not outage.ongoing and outage.outage_s <= limit_s:
        return None
    if outage.ongoing:
        what = f"{service} does not come back ({outage.reason})"
    else:
        what = f"{service} is out for {outage.outage_s:.1f} s"
    promise = f"{limit_s:g} s allowed" + (" after one fault" if count > 1 else "")
    return Finding(
        fault,
        f"{what} after {fault}; {promise}",
        ("expect", name),
        lab.place("expect", name),
        expectation=name,
        service=service,
        outage_s=outage.outage_s,
        limit_s=limit_s,
        ongoing=outage.ongoing,
    )


def _memory_finding(lab: Lab, fault: str, overcommit: Overcommit) -> Finding:
    path = ("clusters", overcommit.cluster, "overcommit")
    return Finding(
        fault,
        f"{overcommit.text} after {fault}" if fault else overcommit.text,
        path,
        lab.place(*path),
        node=overcommit.node,
        missing_bytes=overcommit.missing_bytes,
        guests=overcommit.guests,
    )


def down_services(report: Report) -> tuple[str, ...]:
    return tuple(
        subject.removeprefix("service ")
        for subject in report.down_before
        if subject.startswith("service ")
    )
