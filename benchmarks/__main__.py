"""Print what everything costs: `python -m benchmarks [NAME...]`.

Each size of each benchmark runs in a process of its own (`python -m benchmarks --one NAME SIZE`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from benchmarks.bench import Bar, Bench, Figures, measured
from benchmarks.table import BENCHES

HEAD = f"{'what':28} {'size':>14} {'seconds':>9} {'cpu s':>8} {'growth':>7} {'MiB':>6}  aim"


def main(words: Sequence[str]) -> None:
    """All, or those named."""
    if words[:1] == ["--one"]:
        print(json.dumps(asdict(measured(BENCHES[words[1]], int(words[2])))))
        return
    unknown = [word for word in words if word not in BENCHES]
    if unknown:
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    print(HEAD)
    imports_s = 0.0
    for bench in [BENCHES[word] for word in words] or BENCHES.values():
        before: float | None = None
        for size in bench.sizes:
            found = in_own_process(bench, size)
            imports_s = found.seconds if bench.name == "imports" else imports_s
            print(line(bench, size, found, before, imports_s), flush=True)
            before = found.seconds


def in_own_process(bench: Bench, size: int) -> Figures:
    """Measure one size. Raises CalledProcessError if it fails."""
    command = [sys.executable, "-m", "benchmarks", "--one", bench.name, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Figures(**json.loads(done.stdout))


def line(bench: Bench, size: int, found: Figures, before: float | None, imports_s: float) -> str:
    """One row. `before`: seconds of the size before; growth is how many times longer it takes."""
    growth = f"x{found.seconds / before:.1f}" if before else ""
    told = f"{size} {bench.of}" if bench.of else ""
    aims = "  ".join(_aims(bench.bars.get(size, Bar()), found, imports_s))
    figures = f"{found.seconds:9.3f} {found.cpu_s:8.3f} {growth:>7} {found.mib:6.0f}"
    rate = f"{found.units / found.cpu_s:,.0f} {bench.unit} per cpu s" if bench.unit else ""
    return f"{bench.name:28} {told:>14} {figures}  {'  '.join(filter(None, (rate, aims)))}".rstrip()


def _aims(bar: Bar, found: Figures, imports_s: float) -> Iterator[str]:
    if bar.seconds is not None:
        cpu = " (processor time fits)" if found.cpu_s <= bar.seconds < found.seconds else ""
        yield _aim(f"{bar.seconds:g} s{cpu}", fits=found.seconds <= bar.seconds)
    if bar.cpu_s is not None:
        yield _aim(f"{bar.cpu_s:g} cpu s", fits=found.cpu_s <= bar.cpu_s)
    if bar.rate is not None:
        yield _aim(f"{bar.rate:g} per cpu s", fits=found.units >= bar.rate * found.cpu_s)
    if bar.mib is not None:
        yield _aim(f"{bar.mib:g} MiB", fits=found.mib <= bar.mib)
    if bar.imports is not None and imports_s:
        times = found.seconds / imports_s
        yield _aim(f"{bar.imports:g} x imports ({times:.1f})", fits=times <= bar.imports)


def _aim(text: str, *, fits: bool) -> str:
    return text if fits else f"MISSED: {text}"


if __name__ == "__main__":
    main(sys.argv[1:])
