"""Membership and quorum, against logs of real corosync daemons in network namespaces.

A case is played from what its logs say: who was a member before and after, who was killed or
started, and each group that stays together gets a switch of its own, joined to every other one; a
partition cuts those cables. Compared are, for every node, whether it is quorate and among how many,
and when the token was lost and the last membership formed. Format: `network-data/corosync.json`.

Leaves out when links are marked down, which decides nothing, and what the logs do not show: cases
whose configuration can't be declared are not built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.corosync import TO_MEMBERSHIP, token_ms
from simulator.fidelity.case import SEEDS, Case, Known, not_built, same, timed, told
from simulator.model import Model
from simulator.twin import Twin

Groups = frozenset[frozenset[str]]

# The token is held for 0 to 0.8 s at an idle node, the twin takes the centre; and 0.1 s of noise.
TOLERANCE_S = 0.5
BEGIN_S = 20.0  # of the fault; what the case starts from has formed by then
END_S = 60.0
UNDECLARED = {
    "Qdevice": "a quorum device",
    "LastManStanding": "last_man_standing",
    "AutoTieBreaker": "auto_tie_breaker",
    "WaitForAll": "wait_for_all without two_node",
}
KNOWN: Known = {
    r"\S*-pause-\S* (token lost|membership)": (
        "a pause shorter than the token leaves no trace here; there the same members form anew"
    ),
    r"\S*-stop-graceful (token lost|membership)": "leaving in order is taken as a loss here",
}


@dataclass(frozen=True)
class Recording:
    """One case of the file."""

    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.data["case"])

    @property
    def text(self) -> str:
        """What the case's own words say beyond the logs."""
        return f"{self.name} {self.data.get('what', '')}"

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(f"n{number}" for number in range(1, int(self.data["n"]) + 1))

    @property
    def flags(self) -> set[str]:
        return {flag for node in self.data["after"].values() for flag in node["flags"].split()}

    @property
    def two_node(self) -> bool:
        return "2Node" in self.flags

    @cached_property
    def alive(self) -> tuple[str, ...]:
        """The nodes that run in the end."""
        return tuple(node for node in self.nodes if node in self.data["after"])

    @cached_property
    def started(self) -> frozenset[str]:
        """The nodes whose daemon starts in the case: all of them where nothing else is logged."""
        if "log" not in self.data:
            return frozenset(self.alive)
        return frozenset(
            node
            for node, lines in self._log.items()
            if any(text.startswith("Using quorum provider") for _, _, text in lines)
        )

    @property
    def _log(self) -> Mapping[str, Sequence[tuple[float, str, str]]]:
        log: Mapping[str, Sequence[tuple[float, str, str]]] = self.data.get("log", {})
        return log

    def memberships(self, node: str) -> Iterator[tuple[float, frozenset[str]]]:
        """Each membership that a node logged: when, who."""
        for at_s, _, text in self._log.get(node, ()):
            if match := re.match(r"Sync members\[\d+\]: (.*)", text):
                yield at_s, _names(match[1])

    @cached_property
    def before(self) -> Groups:
        """Who was a member with whom; nobody who runs only later, or ran no more already."""
        groups = {self._before(node) for node in self.alive if node not in self.started}
        return frozenset(groups - {frozenset()})

    def _before(self, node: str) -> frozenset[str]:
        first = next(self.memberships(node), None)
        if first is None:
            return frozenset(self.alive)
        log = [text for at_s, _, text in self._log[node] if at_s <= first[0] + 0.1]
        left = next(
            (_names(t.partition(": ")[2]) for t in log if t.startswith("Sync left")), _names("")
        )
        joined = next(
            (_names(text.partition("joined: ")[2]) for text in log if "joined" in text), _names("")
        )
        return (first[1] | left) - joined

    @cached_property
    def after(self) -> Groups:
        """Who is a member with whom in the end."""
        return frozenset(self._group(node) for node in self.alive)

    def _group(self, node: str) -> frozenset[str]:
        """By the log, else by numbers: nodes that see as many members form groups of that size."""
        if (last := [members for _, members in self.memberships(node)]) and len(
            last[-1]
        ) == self._size(node):
            return last[-1]
        peers = [other for other in self.alive if self._size(other) == self._size(node)]
        place = peers.index(node) // self._size(node) * self._size(node)
        return frozenset(peers[place : place + self._size(node)])

    def _size(self, node: str) -> int:
        return int(self.data["after"][node]["nodes"])

    @property
    def atoms(self) -> list[frozenset[str]]:
        """Nodes that are together before and after, or are alone."""
        whole = {
            node: (self._of(self.before, node), self._of(self.after, node)) for node in self.nodes
        }
        return [
            frozenset(node for node in self.nodes if whole[node] == sides)
            for sides in dict.fromkeys(whole.values())
        ]

    @staticmethod
    def _of(groups: Groups, node: str) -> frozenset[str]:
        return next((group for group in groups if node in group), frozenset())


def cases(file: Path) -> Iterator[Case]:
    """Every comparison of a file."""
    for data in json.loads(file.read_text())["cases"]:
        yield from told(_played(Recording(data)), KNOWN)


def _played(recording: Recording) -> Iterator[Case]:
    if "runtime" in recording.data:
        yield from _timers(recording)
    elif missing := _undeclared(recording):
        yield not_built(recording.name, f"{missing} can't be declared")
    else:
        yield from _compared(recording)


def _undeclared(recording: Recording) -> str:
    flags = recording.flags - ({"WaitForAll"} if recording.two_node else set())
    return next((what for flag, what in UNDECLARED.items() if flag in flags), "")


def _timers(recording: Recording) -> Iterator[Case]:
    model = Model(load({"lab.json": _lab(recording, [frozenset(recording.nodes)])}, rules=False))
    ours_ms = token_ms(model, "a")
    runtime = recording.data["runtime"]
    yield same(f"{recording.name} token", f"{runtime['token']} ms", [f"{ours_ms:g} ms"])
    consensus = f"{round((TO_MEMBERSHIP - 1) * ours_ms)} ms"
    yield same(f"{recording.name} consensus", f"{runtime['consensus']} ms", [consensus])


def _compared(recording: Recording) -> Iterator[Case]:
    twins = [_run(recording, seed) for seed in SEEDS]
    for node in recording.alive:
        seen = recording.data["after"][node]
        quorate = "quorate" if seen["quorate"] == "Yes" else "blocked"
        yield same(
            f"{recording.name} {node}",
            f"{quorate} among {seen['nodes']}",
            [_view(twin, node) for twin in twins],
        )
    if recording.data.get("log") and any(recording.data["log"].values()):
        yield timed(
            f"{recording.name} token lost",
            recording.data["token_lost_s"],
            [_when(twin, "token-lost") for twin in twins],
            TOLERANCE_S,
        )
        formed = [at_s for node in recording.alive for at_s, _ in recording.memberships(node)]
        yield timed(
            f"{recording.name} membership",
            max(formed, default=None),
            [_when(twin, "membership") for twin in twins],
            TOLERANCE_S,
        )


def _view(twin: Twin, node: str) -> str:
    view = twin.facts.view(node)
    return f"{'quorate' if view.quorate else 'blocked'} among {len(view.members)}"


def _when(twin: Twin, kind: str) -> float | None:
    """Seconds from the fault to the last event of a kind."""
    times = [event.at_s for event in twin.trace if event.kind == kind and event.at_s >= BEGIN_S]
    return times[-1] - BEGIN_S if times else None


def _run(recording: Recording, seed: int) -> Twin:
    lab = load({"lab.json": _lab(recording, recording.atoms)}, rules=False)
    twin = twin_of(lab, seed=seed)
    twin.inject(_faults(recording))
    twin.run_until(END_S)
    return twin


def _faults(recording: Recording) -> Iterator[Fault]:
    """Before `BEGIN_S` what the case starts from, then what happens in it."""
    before = frozenset().union(*recording.before)
    for node in recording.nodes:
        if node in recording.started:
            yield Fault(FaultKind.NODE, node, restore_at_s=BEGIN_S)
        elif node not in before:
            yield Fault(FaultKind.NODE, node)
        elif node not in recording.alive:
            yield Fault(FaultKind.NODE, node, BEGIN_S)
    atoms = recording.atoms
    for one, other in combinations(range(len(atoms)), 2):
        was, stays = (
            _apart(groups, atoms[one] | atoms[other])
            for groups in (recording.before, recording.after)
        )
        if was or stays:
            begin_s, end_s = (0.0 if was else BEGIN_S), (None if stays else BEGIN_S)
            yield Fault(FaultKind.CABLE, f"{one}-{other}", begin_s, end_s)
    yield from _told_faults(recording.text)


def _told_faults(text: str) -> Iterator[Fault]:
    """What only the words of a case say."""
    if match := re.search(r"one of the two knet links of node (\d+) cut", text):
        yield Fault(FaultKind.CABLE, f"n{match[1]}-0", BEGIN_S)
    if match := re.search(r"SIGSTOP of node (\d+) for (\d+) s", text):
        end_s = BEGIN_S + float(match[2])
        yield Fault(FaultKind.NODE, f"n{match[1]}", BEGIN_S, end_s, silent=True)


def _apart(groups: Groups, nodes: frozenset[str]) -> bool:
    """Whether some of these are members, but not of one group."""
    return sum(bool(group & nodes) for group in groups) > 1


def _lab(recording: Recording, atoms: Sequence[frozenset[str]]) -> bytes:
    """A cluster with two links; a switch for each atom, and a cable between each two switches."""
    links = ("link0", "link1")
    corosync: dict[str, object] = {
        "links": links,
        "two-node": recording.two_node if "after" in recording.data else False,
    }
    if match := re.search(r"token ?(\d+)", recording.text):
        corosync["token-ms"] = int(match[1])
    switches: dict[str, Any] = {f"sw{n}": {"feeds": [], "ports": {}} for n in range(len(atoms))}
    cables, nodes = {}, {}
    for number, atom in enumerate(atoms):
        for node in sorted(atom):
            nodes[node] = {
                "cluster": "a",
                "feeds": [],
                "boot": "1ms",
                "nics": {f"eno{n}": {"access": link} for n, link in enumerate(links)},
            }
            for n, link in enumerate(links):
                switches[f"sw{number}"]["ports"][f"{node}-{n}"] = {"access": link}
                cables[f"{node}-{n}"] = {"ends": [f"{node}/eno{n}", f"sw{number}/{node}-{n}"]}
    for one, other in combinations(range(len(atoms)), 2):
        for end, far in ((one, other), (other, one)):
            switches[f"sw{end}"]["ports"][f"to{far}"] = {"vlans": links}
        cables[f"{one}-{other}"] = {"ends": [f"sw{one}/to{other}", f"sw{other}/to{one}"]}
    tree = {
        "vlans": {link: {"id": 10 + n, "role": "management"} for n, link in enumerate(links)},
        "clusters": {"a": {"version": "9.2", "corosync": corosync}},
        "switches": switches,
        "nodes": nodes,
        "cables": cables,
    }
    return json.dumps(tree).encode()


def _names(numbers: str) -> frozenset[str]:
    return frozenset(f"n{number}" for number in numbers.split())
