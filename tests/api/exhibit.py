"""A view to be served in tests: a real history and lab, as after a first run that ended in sync."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from api.answers import Fault
from api.topology import GuestPlace
from api.view import LabNow, View
from controller.desired import Desired
from controller.gate import Judgement
from controller.history import History, Judged, open_history
from controller.observed import Observed
from controller.perform import Fate
from controller.perform import Result as Performed
from controller.plan import Plan
from controller.planning import plan_changes, wanted_things
from controller.pve import KINDS
from controller.reconcile import Ending, Pass
from controller.rehearsal import Rehearsal
from controller.runs import Result
from controller.source import Revision
from controller.standing import Board
from lab.lab import Lab
from lab.load import load_tree
from simulator.build import twin_of
from simulator.outcome.report import Verdict

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
        self.now = replace(self.now, faults=faults)

    def passed(self, done: Pass) -> None:
        """Show what a pass came to."""
        self.clock_s += 15
        Board(self.history).show_pass(self.clock_s, done)


REVISION = Revision(
    "4be1c2a9d07f" + "0" * 28, "Nami <nami@lab.invalid>", "Give zoro its second disk", START_S
)


def exhibit(folder: Path, now_s: float = START_S) -> Exhibit:
    """The lab of `desired-state/`, in sync; a history that `fill` left in `folder` is taken."""
    file = folder / "history.db"
    if not file.exists():
        fill(file, now_s)
    made = _applied()
    return Exhibit(open_history(f"sqlite:///{file}"), made.lab, made.now, clock_s=now_s + 15)


def fill(file: Path, now_s: float) -> None:
    """A history of one run that made everything, and of a pass that found nothing to do."""
    made = _applied()
    history = open_history(f"sqlite:///{file}")
    history.see(replace(REVISION, at_s=now_s - 90), Judged.GOOD, "", now_s - 80)
    run = history.begin_run(made.plan, {"start"}, now_s - 75)
    for operation in made.plan.operations:
        history.progress(run, Performed(operation, Fate.DONE), now_s - 60)
    count = len(list(made.plan.operations))
    history.end_run(run, Result.APPLIED, f"{count} done", now_s - 20)
    Exhibit(history, made.lab, clock_s=now_s).passed(made.in_sync)
    history.close()


@dataclass(frozen=True)
class _Applied:
    """What takes long to work out and is the same each time."""

    lab: Lab
    plan: Plan  # from nothing
    in_sync: Pass  # the second one
    now: LabNow  # guests are where the twin puts them


@cache
def _applied() -> _Applied:
    lab = load_tree(TREE)
    kinds = {f"pve/{cluster}": KINDS for cluster in lab.clusters}
    plan = plan_changes(lab, Observed(kinds=kinds), {}, REVISION.commit)
    judgement = Judgement((), Rehearsal(Verdict(), Verdict(), 0, 0))
    desired = Desired(REVISION, lab, wanted_things(lab, kinds))
    nothing = Plan(REVISION.commit, ())
    guests = twin_of(lab).state.guests
    places = {
        key: GuestPlace(guest.node, guest.power != "stopped") for key, guest in guests.items()
    }
    done = Pass(desired, Ending.IN_SYNC, nothing, judgement)
    return _Applied(lab, plan, done, LabNow(lab, REVISION.commit, places))
