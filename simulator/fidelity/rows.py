"""The rows of fidelity: each a real implementation, its recorded truth, and how it is compared.

    folder of recordings -> cases -> score

The recordings are data of others and no part of this project; whoever has them names their folder.
A row of `LIVE` needs none: it runs the real thing here, where that is installed. A row without its
recordings or programs is neither equal nor different: it has no score.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.errors import VlabError
from simulator.fidelity import (
    bonds,
    ceph,
    corosync,
    corosync_live,
    crush,
    multipath,
    pve_files,
    pve_ha,
)
from simulator.fidelity.case import SEEDS, Case, Verdict
from simulator.fidelity.pve_api import replay


@dataclass(frozen=True)
class Row:
    """One row. `readers`: names of files (patterns) -> what makes cases of such a file.

    `live`: what runs the real thing instead; `why_not`: why it can't be run here, or nothing.
    """

    name: str
    truth: str  # whose behaviour was recorded
    folder: str  # below that of all recordings
    compared: str
    readers: Mapping[str, Callable[[Path], Iterable[Case]]]
    by_part: bool = False  # cases are named part/...
    over_https: Callable[[Path], Iterable[Case]] | None = None  # the same, over sockets
    by_folder: bool = False  # each case is a folder of its name, and told one by one
    live: Callable[[], Iterable[Case]] | None = None
    why_not: Callable[[], str] = str

    def files(self, folder: Path) -> list[Path]:
        """The recordings that are there."""
        return sorted(file for pattern in self.readers for file in folder.glob(pattern))


@dataclass(frozen=True)
class Score:
    """What a row came to."""

    row: Row
    cases: tuple[Case, ...]
    malformed: tuple[VlabError, ...] = ()  # folders that are no case

    def count(self, verdict: Verdict) -> int:
        """How many cases were judged so."""
        return sum(case.verdict is verdict for case in self.cases)

    def reasons(self, verdict: Verdict) -> Counter[str]:
        """Why cases were judged so, with how many."""
        return Counter(case.why for case in self.cases if case.verdict is verdict)


def measure(
    row: Row, folder: Path, name: str = "", *, part: str = "", https: bool = False
) -> Score | None:
    """Play all recordings of a folder; None if there are none of this row.

    `name`: of the one case that counts; `part`: of the one recording that is played; `https`: over
    sockets, where the row can. Raises VlabError for a file that is no recording; where each case is
    a folder of its own, the others are still played.
    """
    files = [
        file
        for file in row.files(folder)
        if (not (name and row.by_folder) or file.parent.name == name) and part in ("", file.stem)
    ]
    cases: list[Case] = []
    malformed: list[VlabError] = []
    for file in files:
        try:
            cases += _read(row, file, https=https)
        except VlabError as error:
            if not row.by_folder:
                raise
            malformed.append(error)
    kept = tuple(case for case in cases if name in ("", case.name))
    found = kept or malformed or (files and not name)
    return Score(row, kept, tuple(malformed)) if found else None


def run(row: Row, name: str = "") -> Score | None:
    """Run the real thing of a row; None if it can't be run here. `name`: the case that counts."""
    if row.live is None or row.why_not():
        return None
    return Score(row, tuple(case for case in row.live() if name in ("", case.name)))


def _read(row: Row, file: Path, *, https: bool) -> Iterator[Case]:
    reader = next(reader for name, reader in row.readers.items() if file.match(name))
    if https and row.over_https is not None:
        reader = row.over_https
    try:
        yield from reader(file)
    except json.JSONDecodeError as error:
        raise VlabError(f"{file}: is no recording of {row.name}: {error}") from error


def _exchanges(file: Path, *, https: bool = False) -> Iterator[Case]:
    """Exchanges with the Proxmox VE API, each a case."""
    for outcome in replay(file, https=https):
        name = f"{outcome.area}/{outcome.seq}/{outcome.n} {outcome.call}"
        yield Case(name, Verdict(outcome.verdict), outcome.why)


_SPREAD = f"A time must lie within those of the twin under {len(SEEDS)} seeds, give or take"

ROWS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row(
            "pve-api",
            "the API code of Proxmox VE 9.2, three nodes",
            "pve-recordings",
            "Status, reason phrase and every member of each answer, as maps and sets; values that"
            " differ from run to run (load, times, ids) in kind. Where HA's daemons are at work,"
            " who is master, who holds a lock at first and when rounds fall is taken from the"
            " recording.",
            {"*.jsonl": _exchanges},
            by_part=True,
            over_https=partial(_exchanges, https=True),
        ),
        Row(
            "pve-files",
            "the same: digests of the files below /etc/pve that it wrote",
            "pve-recordings",
            "SHA-1 of the file behind an answer, to the letter; as often as a recording shows it.",
            {"*.jsonl": pve_files.cases},
            by_part=True,
        ),
        Row(
            "ceph-timelines",
            "a Ceph 16.2 cluster of three hosts with two OSDs each, under faults",
            "ceph-timelines",
            "For every act (kill, freeze, start): when the OSDs are down or up, when the monitors"
            " have a quorum, whether client I/O goes on; for every timeline: when OSDs go out, how"
            f" many, the longest stall of a write. {_SPREAD} {ceph.TOLERANCE_S:g} s.",
            {"*.jsonl": ceph.cases},
        ),
        Row(
            "ceph-crush",
            "crushtool and osdmaptool of Ceph 16.2",
            "ceph-crush",
            "For every rule under every condition (OSDs out, reweighted, too few hosts): the"
            " devices of every input, in order, bit for bit; for every pool of an OSD map: raw and"
            " up sets and primaries of its placement groups, and the placement groups of objects.",
            {"*.json": crush.cases},
        ),
        Row(
            "corosync",
            "corosync 3.1.7 with votequorum, two to five nodes",
            "network-data",
            "Whether each node is quorate, among how many, and how many votes it expects; token and"
            " consensus timeouts, equal; when the token is lost, when the last membership forms,"
            " when the last node wins or loses quorum."
            f" {_SPREAD} {corosync.TOLERANCE:.0%} of it.",
            {"corosync*.json": corosync.cases},
        ),
        Row(
            "network",
            "the bonding driver of Linux 6.1, open-iscsi with multipathd 0.9.4",
            "network-data",
            "When a bond drops a member and uses it again; how long a write waits for a path and"
            f" when a healed path is used again. {_SPREAD} {bonds.TOLERANCE_S:g} s (bonds;"
            f" {bonds.COMMAND_S:g} s more until a member is dropped where the fault was made by a"
            f" command) or {multipath.TOLERANCE_S:g} s (paths).",
            {"bond-lacp*.json": bonds.cases, "multipath*.json": multipath.cases},
        ),
        Row(
            "pve-ha",
            "the HA manager of Proxmox VE, pve-ha-manager 5.2.0, in its own simulator",
            "pve-ha-cases",
            "The whole log of each of its regression cases, byte for byte; but not the warnings of"
            " too small nodes, whose order is left to chance there.",
            {"*/cmdlist": pve_ha.cases},
            by_folder=True,
        ),
    )
}

LIVE: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row(
            "corosync-live",
            "corosync, votequorum and qnetd of this machine, clusters of two to five nodes in"
            " network namespaces",
            "",
            "After each of a row of starts, splits, mends and losses, whether each node is quorate,"
            " among how many and how many votes it expects; token and consensus timeouts, equal;"
            " when the token is lost, the last membership forms, the last node wins or loses"
            f" quorum. {_SPREAD} {corosync.TOLERANCE:.0%} of it.",
            {},
            by_part=True,
            live=corosync_live.cases,
            why_not=corosync_live.why_not,
        ),
    )
}
