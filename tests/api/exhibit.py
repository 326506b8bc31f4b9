"""A view to be served in tests: a real history and lab, as after a first run that ended in sync."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from api.answers import Fault
from api.topology import GuestPlace
from api.view import LabNow, View
from controller.desired import Desired
from controller.gate import Judgement
from controller.history import History, Judged, Result, open_history
from controller.observed import Observed
from controller.perform import Fate
from controller.perform import Result as Performed
from controller.plan import Plan
from controller.planning import plan_changes, wanted_things
from controller.pve import KINDS
from controller.reconcile import Ending, Pass
from controller.rehearsal import Rehearsal
from controller.render import plan_data
from controller.source import Revision
from controller.standing import Board, lab_conditions, object_conditions
from lab.lab import Lab
from lab.load import load_tree
from simulator.build import twin_of
from simulator.report import Verdict

TREE = Path(__file__).parents[2] / "desired-state"
TOKEN = "open-sesame"
START_S = 1_767_225_600.0


@dataclass
class Exhibit:
    """The view's parts, to be changed while it is served."""

    history: History
    lab: Lab
    now: LabNow | None = None
    looked: list[str] = field(default_factory=list)
    clock_s: float = START_S

    def view(self, *, token: str | None = TOKEN, listen: str = "127.0.0.1") -> View:
        """What the faces get."""
        secret = SecretStr(token) if token is not None else None
        return View(self.history, lambda: self.now, self.looked.append, listen, secret, 0.02)

    def break_down(self, *faults: Fault) -> None:
        """Something is broken now."""
        assert self.now is not None
        self.now = LabNow(self.now.lab, self.now.commit, self.now.places, faults)

    def passed(self, done: Pass) -> None:
        """Show what a pass came to."""
        import json

        self.clock_s += 15
        board = Board(self.history)
        board.show_all(self.clock_s, lab_conditions(done), object_conditions(done))
        self.history.remember("plan", json.dumps(plan_data(done.plan)))
        self.history.remember("looked", str(self.clock_s))


def exhibit(folder: Path, clock: Callable[[], float] = lambda: START_S) -> Exhibit:
    """The lab of `desired-state/`, applied in one run, in sync."""
    lab = load_tree(TREE)
    history = open_history(f"sqlite:///{folder / 'history.db'}")
    shown = Exhibit(history, lab, clock_s=clock())
    revision = Revision("4be1c2a9d07f" + "0" * 28, "Nami <nami@mugiwara.local>", "Give zoro its second disk", clock() - 90)
    history.see(revision, Judged.GOOD, "", clock() - 80)
    kinds = {f"pve/{cluster}": KINDS for cluster in lab.clusters}
    plan = plan_changes(lab, Observed(kinds=kinds), {}, revision.commit)
    run = history.begin_run(plan, {"start"}, clock() - 75)
    for operation in plan.operations:
        history.progress(run, Performed(operation, Fate.DONE), clock() - 60)
    history.end_run(run, Result.APPLIED, f"{len(list(plan.operations))} done", clock() - 20)
    shown.passed(in_sync(lab, revision))
    shown.now = LabNow(lab, revision.commit, _places(lab))
    return shown


def in_sync(lab: Lab, revision: Revision) -> Pass:
    """A pass that had nothing to do."""
    kinds = {f"pve/{cluster}": KINDS for cluster in lab.clusters}
    judgement = Judgement((), Rehearsal(Verdict(), Verdict(), 0, 0))
    desired = Desired(revision, lab, wanted_things(lab, kinds))
    return Pass(desired, Ending.IN_SYNC, Plan(revision.commit, ()), judgement)


def _places(lab: Lab) -> dict[tuple[str, int], GuestPlace]:
    """Where the twin puts the guests."""
    guests = twin_of(lab).state.guests
    return {key: GuestPlace(guest.node, guest.power != "stopped") for key, guest in guests.items()}
