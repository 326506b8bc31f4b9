"""Bonds with LACP, against the Linux bonding driver on both ends.

A member of two fails, by its carrier or silently, and is whole again later. Compared are when the
bond stops using it, how long after the carrier is seen again (after silence: after it ended) it
carries traffic, and whether anything passes a bond whose partner speaks no LACP. Format:
`network-data/bond-lacp.json`, states of the failing member by time.

Leaves out which flow uses which member, and the loss of single packets while a member joins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.fidelity.case import SEEDS, Case, Known, not_built, same, timed, told
from simulator.twin import Twin

# The emulated CPU adds up to 0.2 s, reading the state 0.1 s.
TOLERANCE_S = 0.3
# Where a fault was made by a command, its time is that before the command, which took up to 1 s.
COMMAND_S = 1.0
DISTRIBUTING = 32  # of the port's state. Source: IEEE 802.1AX 6.4.2.3
FAILING = "n1-eno1"
KNOWN: Known = {
    r"carrier-mii100-slow dropped": "the command took seconds there, when it worked is not known",
    r"silent-slow dropped": "the command took 2 s there; from the first lost flow on it is as here",
    r"silent-slow rejoined": "a slow partner's next word is waited for, which comes sooner here",
}


def cases(file: Path) -> Iterator[Case]:
    """Every comparison of a file."""
    for data in json.loads(file.read_text())["cases"]:
        yield from told(_played(data), KNOWN)


def _played(data: Mapping[str, Any]) -> Iterator[Case]:
    name = str(data["case"])
    if "failure" not in data:
        passes = "passes" if int(data["ping"][0]) else "passes nothing"
        twin = twin_of(load({"lab.json": _lab(partner=False)}, rules=False))
        ours = "passes" if twin.facts.talks("n1", "n2", "lan") else "passes nothing"
        yield same(name, passes, [ours])
    elif missing := _missing(data):
        yield not_built(name, f"{missing} can't be declared")
    else:
        yield from _compared(name, data)


def _missing(data: Mapping[str, Any]) -> str:
    if data["updelay_ms"] or data["downdelay_ms"]:
        return "updelay and downdelay"
    return "silence in one direction" if data["failure"] == "silent-rx" else ""


def _compared(name: str, data: Mapping[str, Any]) -> Iterator[Case]:
    twins = [_run(data, seed) for seed in SEEDS]
    tolerance_s = TOLERANCE_S + (COMMAND_S if "by a command" in data["how"] else 0.0)
    restored_s = float(data["restored_at"])
    ours = [_when(twin, "bond-degraded") for twin in twins]
    yield timed(f"{name} dropped", _first_s(data, 0.0, _unused), ours, tolerance_s)
    rejoined_s = _first_s(data, restored_s, _used)
    if rejoined_s is not None:  # else the recording ended before
        silent = data["failure"] == "silent"
        begin_s = restored_s if silent else _first_s(data, restored_s, _carrier) or restored_s
        back = [_when(twin, "bond-restored") for twin in twins]
        ours = [None if at_s is None else at_s - restored_s for at_s in back]
        yield timed(f"{name} rejoined", rejoined_s - begin_s, ours, TOLERANCE_S)


def _first_s(
    data: Mapping[str, Any], after_s: float, holds: Callable[[Mapping[str, Any]], bool]
) -> float | None:
    """When something was first seen of the failing member."""
    for event in data["events"]:
        if event["t"] > after_s and holds(event["members"][0] if "members" in event else event):
            return float(event["t"])
    return None


def _carrier(member: Mapping[str, Any]) -> bool:
    return bool(member["mii"] == "up")


def _used(member: Mapping[str, Any]) -> bool:
    state = int(member.get("act", member.get("actor_state")))
    return _carrier(member) and bool(state & DISTRIBUTING)


def _unused(member: Mapping[str, Any]) -> bool:
    return not _used(member)


def _when(twin: Twin, kind: str) -> float | None:
    return next((event.at_s for event in twin.trace if event.kind == kind), None)


def _run(data: Mapping[str, Any], seed: int) -> Twin:
    lab = _lab(rate=data["lacp_rate"], miimon_ms=data["miimon_ms"])
    twin = twin_of(load({"lab.json": lab}, rules=False), seed=seed)
    silent = data["failure"] == "silent"
    twin.inject([Fault(FaultKind.CABLE, FAILING, 0.0, data["restored_at"], silent)])
    twin.run_until(data["events"][-1]["t"] + 60.0)
    return twin


def _lab(*, rate: str = "fast", miimon_ms: int = 100, partner: bool = True) -> bytes:
    """Two nodes, each with a bond of two members over a pair of switches."""
    ports = {"eno1": "sw1", "eno2": "sw2"}
    switches: dict[str, Any] = {
        "sw1": {"feeds": [], "peer": "sw2", "ports": {"peer": {"vlans": ["lan"]}}},
        "sw2": {"feeds": [], "peer": "sw1", "ports": {"peer": {"vlans": ["lan"]}}},
    }
    cables = {"peer": {"ends": ["sw1/peer", "sw2/peer"]}}
    nodes = {}
    for node in ("n1", "n2"):
        bond = {"members": list(ports), "rate": rate, "miimon-ms": miimon_ms, "vlans": ["lan"]}
        nodes[node] = {
            "cluster": "a",
            "feeds": [],
            "nics": dict.fromkeys(ports, {}),
            "bonds": {"bond0": bond},
        }
        for port, switch in ports.items():
            lag = {"lag": node} if partner else {}
            switches[switch]["ports"][node] = {"vlans": ["lan"], **lag}
            cables[f"{node}-{port}"] = {"ends": [f"{node}/{port}", f"{switch}/{node}"]}
    tree = {
        "vlans": {"lan": {"id": 10, "role": "management"}},
        "clusters": {"a": {"version": "9.2", "corosync": {"links": ["lan"]}}},
        "switches": switches,
        "nodes": nodes,
        "cables": cables,
    }
    return json.dumps(tree).encode()
