"""Ceph over time, against recorded timelines of a real cluster under faults.

A timeline is played with the same hosts, OSDs, monitors and replicated pools, each monitor on a
node of its own, and the same daemons killed, frozen and started at the same seconds. Compared are
when OSDs are down, out and up, how many are out, who forms the monitors' quorum and when, whether
client I/O goes on at the end of each stretch between two acts, and its longest stall.
Format: `ceph-timelines/*.jsonl`, an act or a sample of the cluster's status a line.

Leaves out placement group states, health checks and recovery, which the twin has none of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.fidelity.case import SEEDS, Case, Known, not_built, same, timed, told
from simulator.twin import Event, Twin

# One sample a second, of a status that is up to 0.3 s old; 0.2 s that acting itself takes.
TOLERANCE_S = 1.5
FAST_GRACE_S = 4  # osd_heartbeat_grace of the recordings made in a hurry
DOWN_OUT_S = 600.0  # mon_osd_down_out_interval, where a recording keeps all defaults
KNOWN: Known = {
    r"(mon-loss 2|quorum-loss 3) quorum": "the recording ends in a longer election than measured",
    r"mon-silent 2 quorum": "a frozen daemon that goes on takes as long as a started one here",
}


@dataclass(frozen=True)
class Act:
    """What was done to daemons: kill, pause, start or resume. Things: `osd 0`, `mon pve1`."""

    at_s: float
    verb: str
    things: frozenset[str]

    @property
    def begins(self) -> bool:
        """Whether a fault begins, and does not end."""
        return self.verb in ("kill", "pause")


@dataclass(frozen=True)
class Timeline:
    """One recording."""

    name: str
    lines: Sequence[Mapping[str, Any]]

    @property
    def head(self) -> Mapping[str, Any]:
        return self.lines[0]

    @cached_property
    def hosts(self) -> Mapping[str, Sequence[int]]:
        """Host -> its OSDs."""
        tree = self.head["tree"]
        return {row["name"]: sorted(row["children"]) for row in tree if row["type"] == "host"}

    @property
    def osds(self) -> Sequence[int]:
        return sorted(osd for osds in self.hosts.values() for osd in osds)

    @property
    def mons(self) -> Sequence[str]:
        return sorted(self.hosts)[: int(self.head["conf"]["mons"])]

    @cached_property
    def acts(self) -> Sequence[Act]:
        return [
            Act(line["t"], line["event"], frozenset(self._things(line["daemons"])))
            for line in self.lines
            if "daemons" in line
        ]

    def _things(self, daemons: Sequence[str]) -> Iterator[str]:
        for daemon in daemons:
            kind, _, name = daemon.replace(":", ".").partition(".")
            if kind in ("osds", "host"):
                yield from (f"osd {osd}" for osd in self.hosts[name])
            if kind != "osds" and (kind != "host" or name in self.mons):
                yield f"{'mon' if kind == 'host' else kind} {name}"

    @property
    def samples(self) -> Iterator[Mapping[str, Any]]:
        return (line for line in self.lines if "event" not in line)

    @property
    def end_s(self) -> float:
        return float(self.lines[-1]["t"])

    def until_s(self, number: int) -> float:
        """When the stretch that an act begins is over."""
        return self.acts[number + 1].at_s if number + 1 < len(self.acts) else self.end_s

    def dead(self, number: int, kind: str) -> set[str]:
        """The daemons of a kind that do not run after an act."""
        gone: set[str] = set()
        for act in self.acts[: number + 1]:
            gone = gone | act.things if act.begins else gone - act.things
        return {thing.partition(" ")[2] for thing in gone if thing.startswith(kind)}

    def first_s(self, begin_s: float, end_s: float, holds: Callable[[Any], bool]) -> float | None:
        """Seconds from `begin_s` to the first sample of which something holds."""
        times = (line["t"] for line in self.samples if begin_s < line["t"] <= end_s and holds(line))
        first: float | None = next(times, None)
        return None if first is None else first - begin_s


def cases(file: Path) -> Iterator[Case]:
    """Every comparison of a timeline."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    timeline = Timeline(file.stem, lines)
    if missing := _missing(timeline):
        yield not_built(timeline.name, missing)
        return
    twins = [_run(timeline, seed) for seed in SEEDS]
    yield from told(_compared(timeline, twins), KNOWN)


def _missing(timeline: Timeline) -> str:
    """Why a timeline can't be played."""
    things = {thing.partition(" ")[0] for act in timeline.acts for thing in act.things}
    if unknown := things - {"osd", "mon"}:
        return f"the twin has no {', '.join(sorted(unknown))} daemons"
    return ""


def _compared(timeline: Timeline, twins: Sequence[Twin]) -> Iterator[Case]:
    for number, act in enumerate(timeline.acts):
        name = f"{timeline.name} {number + 1}"
        if any(thing.startswith("osd") for thing in act.things):
            yield _osds(timeline, twins, number, name)
        if any(thing.startswith("mon") for thing in act.things):
            yield _quorum(timeline, twins, number, name)
        yield from _io(timeline, twins, number, name)
    if any(timeline.dead(number, "osd") for number in range(len(timeline.acts))):
        yield from _outs(timeline, twins)
    yield from _stalls(timeline, twins)


def _osds(timeline: Timeline, twins: Sequence[Twin], number: int, name: str) -> Case:
    """When the last of the OSDs that an act is about is down, or up."""
    act, until_s = timeline.acts[number], timeline.until_s(number)
    alive = len(timeline.osds) - len(timeline.dead(number, "osd"))
    word = "down" if act.begins else "up"

    def as_expected(line: Any) -> bool:
        up = int(line["osds"][1]) if line.get("osds") else None
        return up is not None and (up <= alive if act.begins else up >= alive)

    subjects = {f"osd a/{thing.split()[1]}" for thing in act.things if thing.startswith("osd")}

    def ours(twin: Twin) -> float | None:
        found = [
            event.at_s
            for event in _between(twin, act.at_s, until_s)
            if event.kind == f"osd-{word}" and event.subject in subjects
        ]
        return found[-1] - act.at_s if len(found) == len(subjects) else None

    recorded_s = timeline.first_s(act.at_s, until_s, as_expected)
    return timed(f"{name} {word}", recorded_s, map(ours, twins), TOLERANCE_S)


def _quorum(timeline: Timeline, twins: Sequence[Twin], number: int, name: str) -> Case:
    """When the monitors that are left, or are there again, have a quorum, or know of none."""
    act, until_s = timeline.acts[number], timeline.until_s(number)
    here = sorted(set(timeline.mons) - timeline.dead(number, "mon"))
    majority = len(here) > len(timeline.mons) // 2
    wanted = here if majority else []
    last = number + 1 == len(timeline.acts)
    look_until_s = until_s if last else until_s + TOLERANCE_S
    recorded_s = timeline.first_s(act.at_s, look_until_s, lambda line: line.get("quorum") == wanted)
    at_least = recorded_s is None and majority
    kind = "monitors-quorum" if majority else "monitors-lost"
    names = ", ".join(f"mon-{name}" for name in here) if majority else ""

    def ours(twin: Twin) -> float | None:
        events = _between(twin, act.at_s, timeline.end_s)
        found = [e.at_s for e in events if e.kind == kind and f"monitors {names}" in e.text]
        return found[0] - act.at_s if found else None

    seen_s = until_s - act.at_s if at_least else recorded_s
    return timed(f"{name} quorum", seen_s, map(ours, twins), TOLERANCE_S, at_least=at_least)


def _io(timeline: Timeline, twins: Sequence[Twin], number: int, name: str) -> Iterator[Case]:
    """Whether client I/O goes on at the end of a stretch."""
    until_s = timeline.until_s(number)
    last = [line for line in timeline.samples if line["t"] <= until_s][-1]
    for pool in filter(_replicated, _probed(timeline)):
        probe = last["io"][pool]
        seen = "waits" if probe["stuck"] and not probe["done"] else "goes on"
        ours = [_served(twin, pool, until_s) for twin in twins]
        yield same(f"{name} {pool} I/O", seen, ["goes on" if fine else "waits" for fine in ours])


def _outs(timeline: Timeline, twins: Sequence[Twin]) -> Iterator[Case]:
    total, begin_s = len(timeline.osds), timeline.acts[0].at_s
    fewest = min(line["osds"][2] for line in timeline.samples if line.get("osds"))
    outs = [[event.at_s for event in twin.trace if event.kind == "osd-out"] for twin in twins]
    most = [_most_out(twin) for twin in twins]
    yield timed(
        f"{timeline.name} out",
        timeline.first_s(begin_s, timeline.end_s, lambda line: line["osds"][2] < total),
        [times[0] - begin_s if times else None for times in outs],
        TOLERANCE_S,
    )
    yield same(f"{timeline.name} number out", total - fewest, most)


def _stalls(timeline: Timeline, twins: Sequence[Twin]) -> Iterator[Case]:
    """The longest time that one write waited."""
    for pool in _probed(timeline):
        if not _replicated(pool):
            yield not_built(f"{timeline.name} {pool}", "erasure-coded pools can't be declared")
            continue
        recorded_s = max(line["io"][pool]["oldest_s"] for line in timeline.samples)
        ours = [_longest_s(_stopped(twin, pool), timeline.end_s) for twin in twins]
        yield timed(f"{timeline.name} {pool} stall", recorded_s, ours, TOLERANCE_S)


def _probed(timeline: Timeline) -> list[str]:
    return sorted(next(iter(timeline.samples))["io"])


def _replicated(pool: str) -> bool:
    return not pool.startswith("ec")  # the recordings' way to name erasure-coded pools


def _between(twin: Twin, begin_s: float, end_s: float) -> list[Event]:
    return [event for event in twin.trace if begin_s <= event.at_s <= end_s]


def _stopped(twin: Twin, pool: str) -> list[tuple[float, float | None]]:
    """From when to when a pool did not serve."""
    spans: list[tuple[float, float | None]] = []
    for event in twin.trace:
        if event.kind == "pool-serves" and event.text.split()[1] == pool:
            spans[-1] = (spans[-1][0], event.at_s)
        elif event.kind == "pool-stopped" and event.text.split()[1].rstrip(":") == pool:
            spans += [(event.at_s, None)] if not spans or spans[-1][1] is not None else []
    return spans


def _most_out(twin: Twin) -> int:
    """How many OSDs were out at once; one that is up again is in again."""
    out: set[str] = set()
    most = 0
    for event in twin.trace:
        if event.kind == "osd-out":
            out.add(event.subject)
        elif event.kind == "osd-up":
            out.discard(event.subject)
        most = max(most, len(out))
    return most


def _longest_s(spans: list[tuple[float, float | None]], end_s: float) -> float:
    return max((min(end or end_s, end_s) - begin for begin, end in spans), default=0.0)


def _served(twin: Twin, pool: str, at_s: float) -> bool:
    """Just before `at_s`, when the next act may have begun."""
    return not any(begin < at_s <= (end or at_s) for begin, end in _stopped(twin, pool))


def _run(timeline: Timeline, seed: int) -> Twin:
    twin = twin_of(load({"lab.json": _lab(timeline)}, rules=False), seed=seed)
    twin.inject(_faults(timeline))
    twin.run_until(timeline.end_s)
    return twin


def _faults(timeline: Timeline) -> Iterator[Fault]:
    for number, act in enumerate(timeline.acts):
        for thing in sorted(act.things if act.begins else ()):
            later = timeline.acts[number + 1 :]
            end_s = next((other.at_s for other in later if thing in other.things), None)
            kind, name = thing.split()
            if kind == "osd":
                yield Fault(FaultKind.OSD, f"a/{name}", act.at_s, end_s, act.verb == "pause")
            else:
                yield Fault(FaultKind.NODE, f"mon-{name}", act.at_s, end_s, act.verb == "pause")


def _lab(timeline: Timeline) -> bytes:
    """The hosts, and a node for each monitor, on one switch."""
    conf = timeline.head["conf"]
    names = [*timeline.hosts, *(f"mon-{name}" for name in timeline.mons)]
    nodes = {name: _node(timeline.hosts.get(name, ())) for name in names}
    ceph = {
        "cluster": "a",
        "version": "16.2",
        "public": "ceph",
        "mons": [f"mon-{name}" for name in timeline.mons],
        "osds": {
            str(osd): {"node": host, "disk": f"osd{osd}"}
            for host, osds in timeline.hosts.items()
            for osd in osds
        },
        "pools": {
            pool["pool_name"]: {"size": pool["size"], "min-size": pool["min_size"]}
            for pool in timeline.head["pools"]
            if pool["pool_name"] in filter(_replicated, _probed(timeline))
        },
        "config": {"global": {"osd_heartbeat_grace": FAST_GRACE_S}} if conf["fast"] else {},
        "down-out": f"{conf['down_out'] if conf['fast'] else DOWN_OUT_S:g}s",
    }
    tree = {
        "vlans": {"ceph": {"id": 10, "role": "ceph"}},
        "clusters": {"a": {"version": "9.2", "corosync": {"links": ["ceph"]}}},
        "switches": {"sw": {"feeds": [], "ports": {name: {"access": "ceph"} for name in names}}},
        "nodes": nodes,
        "cables": {name: {"ends": [f"{name}/eno1", f"sw/{name}"]} for name in names},
        "ceph": {"a": ceph},
    }
    return json.dumps(tree).encode()


def _node(osds: Sequence[int]) -> Mapping[str, object]:
    return {
        "cluster": "a",
        "feeds": [],
        "boot": "1ms",
        "nics": {"eno1": {"access": "ceph"}},
        "disks": {f"osd{osd}": {"size": "1TB"} for osd in osds},
    }
