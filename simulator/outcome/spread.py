"""How outages spread by chance: one story under many seeds, each deciding when rounds fall.

    lab, faults, seeds -> a run each -> for every guest and service its middle and worst outages

Percentiles are by nearest rank: the outage that this share of the runs does not exceed. A run in
which something does not come back counts as an outage without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from lab.faults import Fault
from lab.lab import Lab
from simulator.build import twin_of
from simulator.model import Model
from simulator.outcome.report import Finding
from simulator.outcome.simulate import RESTS_ON, simulate


@dataclass(frozen=True)
class OutageSpread:
    """One guest's or service's outages over the runs in which it served before, ascending."""

    subject: str
    outages_s: tuple[float, ...]  # infinite: it did not come back

    def percentile_s(self, share: int) -> float:
        """The outage that so many of a hundred runs do not exceed."""
        return self.outages_s[max(0, ceil(len(self.outages_s) * share / 100) - 1)]

    @property
    def lost(self) -> int:
        """In how many runs it did not come back."""
        return sum(outage_s == inf for outage_s in self.outages_s)


@dataclass(frozen=True)
class Spread:
    """What came of all runs. `findings`: of each unsafe run the seed and what was found."""

    faults: tuple[Fault, ...]
    seeds: tuple[int, ...]
    outages: tuple[OutageSpread, ...]
    findings: tuple[tuple[int, tuple[Finding, ...]], ...]
    rests_on: tuple[str, ...]

    @property
    def safe(self) -> bool:
        """Whether every run was."""
        return not self.findings


def spread(lab: Lab, faults: Sequence[Fault], seeds: Sequence[int]) -> Spread:
    """The story under each of these seeds, one at least. Raises ValueError for unknown things."""
    model = Model(lab)
    outages: dict[str, list[float]] = {}
    findings: list[tuple[int, tuple[Finding, ...]]] = []
    for seed in seeds:
        report = simulate(twin_of(lab, seed=seed, model=model), faults)
        for outage in report.outages:
            outages.setdefault(outage.subject, []).append(
                inf if outage.ongoing else outage.outage_s
            )
        if not report.verdict.safe:
            findings.append((seed, report.verdict.findings))
    return Spread(
        tuple(faults),
        tuple(seeds),
        tuple(
            OutageSpread(subject, tuple(sorted(outages[subject]))) for subject in sorted(outages)
        ),
        tuple(findings),
        RESTS_ON,
    )
