"""The stage of a rehearsal: a twin whose served devices hold given documents, and the ways to them.

    empty_stage(lab)         everything installed and wired, nothing on it
    stage_of(lab, observed)  what was observed: verbatim, with guests and dead nodes as they are
    devices_of(twin)         its devices, in process, through the same client as real ones

Leaves out: guests whose configuration did not answer, which weigh nothing then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.devices import Device
from controller.observed import Observed
from controller.pve import KINDS, connect, context
from controller.rehearsal import TwinClock
from controller.step import Answers, Unanswered
from lab.faults import Fault, FaultKind
from lab.lab import Lab
from simulator import ha
from simulator.build import twin_of
from simulator.inprocess import TwinAdapter
from simulator.pve.api import PveApi
from simulator.pve.install import from_answers, installed
from simulator.state import GuestPower, GuestState
from simulator.twin import Twin

USER, TOKEN_NAME = "root@pam", "rehearsal"
TOKEN = "rehearsal"  # noqa: S105 - opens a twin in this process and nothing else


def empty_stage(lab: Lab) -> Twin:
    """A twin whose clusters are installed and hold nothing."""
    twin = twin_of(lab, empty=True)
    for cluster in lab.clusters:
        attach(twin, PveApi(cluster, installed(twin, cluster)))
    twin.changed()
    twin.settle()
    return twin


def stage_of(lab: Lab, observed: Observed) -> Twin:
    """A twin of the physical half of `lab` that holds what was observed, after it came to rest."""
    twin = twin_of(lab, empty=True)
    for cluster in lab.clusters:
        answers = answered(observed.documents.get(f"pve/{cluster}", {}))
        documents = from_answers(answers) if answers else installed(twin, cluster)
        api = PveApi(cluster, documents)
        attach(twin, api)
        api.sync(twin)
        for row in _rows(answers, "/cluster/resources", "qemu"):
            running = row.get("status") == "running"
            power = GuestPower.RUNNING if running else GuestPower.STOPPED
            if row["node"] in lab.nodes and int(row["vmid"]) in documents.guests:
                twin.state.guests[(cluster, int(row["vmid"]))] = GuestState(row["node"], power)
        twin.inject(
            Fault(FaultKind.NODE, node)
            for node in sorted(observed.context(api.name).away)
            if node in lab.nodes
        )
    ha.run_in(twin)
    twin.changed()
    twin.settle()
    return twin


def devices_of(twin: Twin) -> Sequence[Device]:
    """The clusters that a twin serves, in process."""
    clock = TwinClock(twin)
    return [
        Device(
            f"pve/{cluster}",
            connect(
                f"pve/{cluster}",
                twin.model.nodes[cluster],
                user=USER,
                token_name=TOKEN_NAME,
                token=TOKEN,
                clock=clock,
                adapter=TwinAdapter(twin),
            ),
            KINDS,
            context,
        )
        for cluster in twin.model.lab.clusters
    ]


def answered(answers: Answers) -> Mapping[str, object]:
    """Those that came."""
    return {text: data for text, data in answers.items() if not isinstance(data, Unanswered)}


def let_in(api: PveApi) -> None:
    """Give a served device our token."""
    api.add_token(f"{USER}!{TOKEN_NAME}", TOKEN)


def attach(twin: Twin, api: PveApi) -> None:
    """Put a device on a twin, and let us in."""
    let_in(api)
    twin.attach(api)


def _rows(answers: Mapping[str, object], path: str, type_: str) -> Iterator[Mapping[str, Any]]:
    for text, data in answers.items():
        if text.partition("?")[0] == path and isinstance(data, list):
            yield from (row for row in data if row.get("type") == type_)
