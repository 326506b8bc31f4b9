"""Every benchmark runs, on the smallest lab; how fast is for `make bench` to say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.__main__ import line
from benchmarks.bench import Bar, Bench, Figures, measured
from benchmarks.lab import lab_of, tree
from benchmarks.table import BENCHES
from lab.load import load

SMALL = 4


@pytest.mark.parametrize("name", BENCHES)
def test_a_benchmark_runs_and_has_figures(name: str) -> None:
    bench = BENCHES[name]
    found = measured(replace(bench, repeats=1), 0 if bench.process else SMALL)

    assert found.seconds > 0
    assert found.cpu_s >= 0
    assert found.mib > 1


def test_labs_are_of_the_size_asked_for_and_without_flaw() -> None:
    assert len(load(tree(SMALL)).guests) == SMALL
    assert len(load(tree(100)).nodes) == 3
    assert len(load(tree(100, only=1)).guests) == 1
    assert lab_of(0).guests


def test_a_row_says_growth_and_which_aims_are_missed() -> None:
    bars = {100: Bar(seconds=1, mib=50), 0: Bar(imports=4)}
    bench = Bench("load", BENCHES["load"].prepare, "guests", (10, 100), bars=bars)

    shown = line(bench, 100, Figures(2.0, 0.9, 40), 0.5, 0)
    assert "100 guests" in shown
    assert "x4.0" in shown
    assert shown.endswith("MISSED: 1 s (processor time fits)  50 MiB")
    assert line(bench, 0, Figures(2.0, 2.0, 40), None, 1.0).endswith("4 x imports (2.0)")
