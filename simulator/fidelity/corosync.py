"""Membership and quorum, against logs of real corosync daemons in network namespaces.

A case is played from what its logs say: who was a member before and after, who was killed or
started, and each group that stays together gets a switch of its own, joined to every other one; a
partition cuts those cables. Compared are, for every node, whether it is quorate and among how many,
and when the token was lost and the last membership formed. Format: `network-data/corosync.json`.

Settings are read from the flags that the daemons tell. A quorum device that votes for nobody in
the end has been lost: before all else that happens, if something does.

Leaves out when links are marked down, which decides nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.fidelity.case import SEEDS, Case, Known, same, timed, told
from simulator.membership.corosync import TO_MEMBERSHIP, leave, token_ms
from simulator.model import Model
from simulator.twin import Twin

Groups = frozenset[frozenset[str]]

# Of a recorded time: where within its bounds a time falls is chance, of which the twin takes the
# centre; and there is 0.1 s of noise.
TOLERANCE = 0.15
# Nodes that are gone before are lost one by one, the last first, so that votes can be lowered.
APART_S = 22.0
BEGIN_S = 100.0  # of what happens in the case
END_S = 155.0
LINKS = ("link0", "link1")
DEVICE, DEVICE_VLAN = "qnetd", "device"
KNOWN: Known = {
    r"\S*-pause-\S* (token lost|membership)": (
        "after a pause shorter than the token the same members form anew, or not, by chance:"
        " tried with 1 to 3 s of 3.65 s it happened twice in five; here it leaves no trace"
    ),
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
        after = self.data.get("after", {})
        return {flag for node in after.values() for flag in node["flags"].split()}

    @property
    def settings(self) -> dict[str, object]:
        """As they are declared."""
        settings: dict[str, object] = {
            "two-node": "2Node" in self.flags,
            "wait-for-all": "WaitForAll" in self.flags,
            "last-man-standing": "LastManStanding" in self.flags,
            "auto-tie-breaker": "AutoTieBreaker" in self.flags,
        }
        if "Qdevice" in self.flags:
            settings["qdevice"] = {"host": DEVICE, "vlan": DEVICE_VLAN}
        if match := re.search(r"token ?(\d+)", self.text):
            settings["token-ms"] = int(match[1])
        return settings

    @property
    def device_lost(self) -> bool:
        """Whether there is a quorum device that votes for no node in the end."""
        after = self.data["after"].values()
        return "Qdevice" in self.flags and all(node["total"] == node["nodes"] for node in after)

    @cached_property
    def left(self) -> frozenset[str]:
        """The nodes that left in order."""
        return frozenset(f"n{number}" for number in re.findall(r"SIGTERM to node (\d+)", self.text))

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

    def verdicts(self, node: str) -> Iterator[float]:
        """When a node logged that it has won or lost quorum."""
        for at_s, _, text in self._log.get(node, ()):
            if text.startswith("This node is within the"):
                yield at_s

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
            (_names(text.partition("joined: ")[2]) for text in log if "joined: " in text),
            _names(""),
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
    else:
        yield from _compared(recording)


def _timers(recording: Recording) -> Iterator[Case]:
    lab = site([frozenset(recording.nodes)], recording.settings)
    model = Model(load({"lab.json": lab}, rules=False))
    ours_ms = token_ms(model, "a")
    runtime = recording.data["runtime"]
    yield same(f"{recording.name} token", f"{runtime['token']} ms", [f"{ours_ms:g} ms"])
    consensus = f"{round((TO_MEMBERSHIP - 1) * ours_ms)} ms"
    yield same(f"{recording.name} consensus", f"{runtime['consensus']} ms", [consensus])


def _compared(recording: Recording) -> Iterator[Case]:
    twins = [_run(recording, seed) for seed in SEEDS]
    for node in recording.alive:
        seen = recording.data["after"][node]
        yield same(
            f"{recording.name} {node}",
            f"{'quorate' if seen['quorate'] == 'Yes' else 'blocked'} among {seen['nodes']}"
            f" of {seen.get('expected', len(recording.nodes))}",
            [view(twin, node) for twin in twins],
        )
    if not any(recording.data.get("log", {}).values()):
        return
    formed = [at_s for node in recording.alive for at_s, _ in recording.memberships(node)]
    decided = [at_s for node in recording.alive for at_s in recording.verdicts(node)]
    for what, at_s, kinds in (
        ("token lost", recording.data["token_lost_s"], ("token-lost",)),
        ("membership", max(formed, default=None), ("membership",)),
        ("verdict", max(decided, default=None), ("quorum-lost", "quorum-regained")),
    ):
        yield about(f"{recording.name} {what}", at_s, [_when(twin, kinds) for twin in twins])


def about(name: str, recorded_s: float | None, ours_s: Iterable[float | None]) -> Case:
    """Times that are equal within the tolerance."""
    return timed(name, recorded_s, ours_s, TOLERANCE * (recorded_s or 0))


def view(twin: Twin, node: str) -> str:
    """What a node sees: `quorate among 2 of 3`, the latter the votes that it expects."""
    seen, ballot = twin.facts.view(node), twin.state.ballots.get(node)
    expected = ballot.expected if ballot is not None else 0
    return f"{'quorate' if seen.quorate else 'blocked'} among {len(seen.members)} of {expected}"


def _when(twin: Twin, kinds: Collection[str]) -> float | None:
    """Seconds from the fault to the last event of some kinds."""
    times = [event.at_s for event in twin.trace if event.kind in kinds and event.at_s >= BEGIN_S]
    return times[-1] - BEGIN_S if times else None


def _run(recording: Recording, seed: int) -> Twin:
    lab = load({"lab.json": site(recording.atoms, recording.settings)}, rules=False)
    twin = twin_of(lab, seed=seed)
    twin.inject(_faults(recording))
    twin.run_until(BEGIN_S)
    for node in sorted(recording.left):
        leave(twin, node)
    twin.run_until(END_S)
    return twin


def _faults(recording: Recording) -> Iterator[Fault]:
    """Before `BEGIN_S` what the case starts from, then what happens in it."""
    before = frozenset[str]().union(*recording.before)
    gone = [node for node in recording.nodes if node not in before | recording.started]
    for number, node in enumerate(reversed(gone)):
        yield Fault(FaultKind.NODE, node, number * APART_S)
    for node in recording.nodes:
        if node in recording.started:
            yield Fault(FaultKind.NODE, node, restore_at_s=BEGIN_S)
        elif node in before and node not in recording.alive and node not in recording.left:
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
    if recording.device_lost:
        happens = recording.before != recording.after
        yield Fault(FaultKind.BACKUP_SERVER, DEVICE, 0.0 if happens else BEGIN_S)
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


def site(atoms: Sequence[frozenset[str]], settings: Mapping[str, object]) -> bytes:
    """A cluster with two links, as a file of the language.

    There is a switch `sw0`, ... for the nodes of each atom, and a cable `0-1`, ... between each two
    switches. A quorum device, if there is one, is reached over a switch of its own.
    """
    switches: dict[str, Any] = {
        **{f"sw{n}": {"feeds": [], "ports": {}} for n in range(len(atoms))},
        "far": {"feeds": [], "ports": {DEVICE: {"access": DEVICE_VLAN}}},
    }
    cables: dict[str, Any] = {DEVICE: {"ends": [f"{DEVICE}/eno0", f"far/{DEVICE}"]}}
    nodes = {}
    for number, atom in enumerate(atoms):
        for node in sorted(atom):
            ways = [(vlan, f"sw{number}") for vlan in LINKS] + [(DEVICE_VLAN, "far")]
            nodes[node] = {
                "cluster": "a",
                "feeds": [],
                "boot": "1ms",
                "nics": {f"eno{n}": {"access": vlan} for n, (vlan, _) in enumerate(ways)},
            }
            for n, (vlan, switch) in enumerate(ways):
                switches[switch]["ports"][f"{node}-{n}"] = {"access": vlan}
                cables[f"{node}-{n}"] = {"ends": [f"{node}/eno{n}", f"{switch}/{node}-{n}"]}
    for one, other in combinations(range(len(atoms)), 2):
        for end, far in ((one, other), (other, one)):
            switches[f"sw{end}"]["ports"][f"to{far}"] = {"vlans": LINKS}
        cables[f"{one}-{other}"] = {"ends": [f"sw{one}/to{other}", f"sw{other}/to{one}"]}
    tree = {
        "vlans": {
            vlan: {"id": 10 + n, "role": "management"}
            for n, vlan in enumerate((*LINKS, DEVICE_VLAN))
        },
        "clusters": {"a": {"version": "9.2", "corosync": {"links": LINKS, **settings}}},
        "switches": switches,
        "nodes": nodes,
        "backup-servers": {DEVICE: _DEVICE_SERVER},
        "cables": cables,
    }
    return json.dumps(tree).encode()


_DEVICE_SERVER = {
    "feeds": [],
    "nics": {"eno0": {"access": DEVICE_VLAN}},
    "disks": {"sda": {"size": "1TB"}},
    "disk": "sda",
    "mount": "/srv",
    "exports": {},
}


def _names(numbers: str) -> frozenset[str]:
    return frozenset(f"n{number}" for number in numbers.split())
