"""What needs the HA daemons: regression cases on the suite's clock, timelines in the twin.

The cases are pve-ha-manager's where VLAB_REFERENCE names a folder that has them, else our own.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks.bench import Run
from benchmarks.lab import lab_of
from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.cluster.case import read_case
from simulator.cluster.suite import play
from simulator.ha.part import let_lead
from simulator.outcome.simulate import simulate

OWN = Path(__file__).resolve().parents[1] / "tests" / "simulator" / "cluster_cases"
TIMELINES = 60


def folders() -> list[Path]:
    """Of the cases that are at hand."""
    theirs = Path(os.environ.get("VLAB_REFERENCE", OWN)) / "pve-ha-cases"
    return sorted(file.parent for file in (theirs if theirs.is_dir() else OWN).glob("*/cmdlist"))


def cases(_size: int, _opened: ExitStack) -> Run:
    """Read and play every case, one after the other; counts cases."""

    def run() -> int:
        for folder in folders():
            case = read_case(folder)
            play(case.cluster, case.entries)
        return len(folders())

    return run


def clock(_size: int, _opened: ExitStack) -> Run:
    """Play every case, all of its rounds; counts simulated seconds."""
    found = [read_case(folder) for folder in folders()]

    def run() -> float:
        clusters = [(case.cluster.fork(), case.entries) for case in found]
        for cluster, entries in clusters:
            play(cluster, entries)
        return sum(cluster.now_s for cluster, _ in clusters)

    return run


def timelines(guests: int, _opened: ExitStack) -> Run:
    """Each node lost in turn, as master and not, until nothing more happens; counts timelines."""
    lab = lab_of(guests)
    twin = twin_of(lab)
    stories = []
    for node in lab.nodes:
        for leads in (True, False):
            start = twin.fork()
            if leads:
                let_lead(start, node)
            stories.append((start, parse_faults([f"fail-node {node}"])))

    def run() -> int:
        for start, faults in islice(cycle(stories), TIMELINES):
            assert simulate(start, faults).settled
        return TIMELINES

    return run
