"""The verbs of an operator: plan, diff, apply, adopt, drift, status, history.

Each is one pass of the same controller that `vlab serve` runs, or a look into its history.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent

from api.exits import Exit
from api.logs import log_to_stderr
from api.output import result, result_json, say
from controller.adopt import Adoption
from controller.adopt import adopt as adopted
from controller.copied import adopt_copy
from controller.gate import Judgement, Objection, Rule, TwinGate
from controller.history import open_history
from controller.installation import Installation, install
from controller.observe import observe
from controller.observed import Observed
from controller.perform import Fate
from controller.plan import NoteKind, Plan, fingerprint_of
from controller.reconcile import Ending, Gate, Pass
from controller.render import plan_data, plan_file, render_markdown, render_text
from controller.settings import Apply, Settings, read_settings
from controller.status import status as status_of
from lab.errors import VlabError
from lab.lab import Lab
from lab.tree import read_file

MAKE_ONE = "make one: vlab plan --save FILE"
ENDINGS = {
    Ending.IN_SYNC: Exit.FINE,
    Ending.APPLIED: Exit.FINE,
    Ending.REFUSED: Exit.UNSAFE,
    Ending.WAITING: Exit.REFUSED,
    Ending.HELD: Exit.REFUSED,
}


def plan(settings: Path, output: str, save: Path | None) -> int:
    """0 nothing to do, 2 something, 3 the gate refuses it; 1 nothing, and not all was seen, or
    not the newest commit.
    """
    done = _pass(read_settings(settings), Apply.REPORT)
    if save is not None:
        save.write_text(plan_file(done.plan))
    _print(done.plan, output)
    _behind(done)
    _object(done.judgement)
    if done.judgement.refused:
        return Exit.UNSAFE
    return _found(done, differs=_differs(done.plan))


def diff(settings: Path, output: str) -> int:
    """0 no difference, 2 some, 1 none as far as things answered, or of an older commit; nothing is
    judged.
    """
    done = _pass(read_settings(settings), Apply.REPORT, _unjudged)
    _print(done.plan, output)
    _behind(done)
    return _found(done, differs=_differs(done.plan))


def apply(path: Path, file: Path | None, *, adopt: bool, accept_rewrite: bool) -> int:
    """One pass in earnest; with a plan file only if the plan is still the same (else 5)."""
    log_to_stderr()
    settings = read_settings(path)
    bound = None
    if file is not None:
        saved = fingerprint_of(read_file(file, MAKE_ONE).decode(errors="replace"))
        bound = _Bound(saved, TwinGate(settings.rehearse, say))
    if accept_rewrite:
        with install(settings, apply=Apply.REPORT) as parts:
            say(f"accepted: {parts.commits.accept(parts.source.fetch().commit).commit}")
    if adopt:
        with install(settings, apply=Apply.REPORT, gate=_unjudged) as parts:
            parts.history.approve([operation.key for operation in _once(parts).plan.pending])
    done = _pass(settings, Apply.AUTO, bound)
    if bound is not None and bound.stale:
        say("the plan is stale: what it was made from has changed\n  fix: vlab plan --save FILE")
        return Exit.STALE
    _object(done.judgement)
    for bad in done.outcome.results if done.outcome else ():
        if bad.fate is not Fate.DONE:
            say(f"{bad.operation.key}: {bad.fate}: {bad.reason}")
    for note in done.plan.notes:
        if note.kind is NoteKind.UNKNOWN:
            say(f"{note.subject}: {note.text}")
    result(f"{done.ending}: commit {done.desired.revision.commit[:12]}")
    code = ENDINGS.get(done.ending, Exit.FAILED)
    if _behind(done):
        code = code or Exit.FAILED
    if done.plan.pending:
        say(f"{len(done.plan.pending)} things are there already\n  fix: vlab apply --adopt")
        return code or Exit.REFUSED
    return code


def adopt(path: Path, into: Path | None, from_etc_pve: Path | None = None) -> int:
    """Files that declare what is there and git does not; proved by loading them again.

    `from_etc_pve`: what is there is a copied /etc/pve, and git has nothing of it.
    """
    log_to_stderr()
    if from_etc_pve is not None:
        return _adopted(adopt_copy(from_etc_pve), into)
    settings = read_settings(path)
    with install(settings, apply=Apply.REPORT, gate=_unjudged) as parts:
        desired = parts.commits.look(parts.world.clock.now())
        world, named = parts.world.patient(), desired.things.keys()
        observed = observe(world.devices, world.clock, named=named, parallel=world.parallel)
        files = parts.source.files(desired.revision.commit)
    return _adopted(adopted(desired.lab, observed, files), into)


def _adopted(adoption: Adoption, into: Path | None) -> int:
    """Write the files into a folder, or to stdout, and tell what is not among them."""
    for name, text in adoption.files.items():
        if into is None:
            result(f"# {name}\n{text}")
        else:
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            result(str(target))
    for note in adoption.notes:
        say(f"not written: {note.subject}: {note.text}")
    return Exit.FINE


def drift(settings: Path, output: str) -> int:
    """0 none, 2 some, 1 none as far as things answered: what somebody else changed, and who."""
    done = _pass(read_settings(settings), Apply.REPORT, _unjudged)
    if output == "json":
        rows = [{**asdict(found), "told": done.told[found.key]} for found in done.drifts]
        result_json({"drift": rows})
    else:
        for found in done.drifts:
            result(f"{'.'.join(found.path) or found.key}: {done.told[found.key]}")
        say(f"{len(done.drifts)} things drifted")
    _behind(done)
    return _found(done, differs=bool(done.drifts))


def status(path: Path, output: str) -> int:
    """How things stood after the last pass; 0 in sync, 2 not."""
    history = open_history(read_settings(path).history_url)
    try:
        shown = status_of(history)
    finally:
        history.close()
    if output == "json":
        result(shown.model_dump_json(indent=2))
    else:
        commit = shown.in_force.commit[:12] if shown.in_force else "none"
        result(f"{shown.sync}, commit in force: {commit}")
        for condition in shown.conditions:
            result(
                f"{condition.type:12} {condition.status:8} {condition.reason} {condition.message}"
            )
    return Exit.FINE if shown.sync == "in-sync" else Exit.DIFFERENT


def history(path: Path, output: str, limit: int) -> int:
    """The last runs, newest first."""
    opened = open_history(read_settings(path).history_url)
    try:
        shown = status_of(opened, runs=limit)
    finally:
        opened.close()
    if output == "json":
        result_json({"runs": [run.model_dump(mode="json") for run in shown.runs]})
    else:
        for run in shown.runs:
            at = datetime.fromtimestamp(run.started_s, UTC).isoformat(timespec="seconds")
            result(f"{run.number:5} {at} {run.commit[:12]} {run.result:12} {run.told}")
    return Exit.FINE


class _Bound:
    """A gate that lets only the plan of a file through."""

    def __init__(self, fingerprint: str, gate: Gate) -> None:
        self._fingerprint = fingerprint
        self._gate = gate
        self.stale = False

    def __call__(self, plan: Plan, lab: Lab, observed: Observed) -> Judgement:
        self.stale = plan.fingerprint != self._fingerprint
        if self.stale:
            objection = Objection(Rule.STALE, "the plan is stale", "vlab plan --save FILE", None)
            return Judgement((objection,))
        return self._gate(plan, lab, observed)


def _unjudged(_plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
    """For verbs that only look."""
    return Judgement()


def _pass(settings: Settings, apply: Apply, gate: Gate | None = None) -> Pass:
    log_to_stderr()
    with install(settings, apply=apply, gate=gate, progress=say) as parts:
        return _once(parts)


def _once(parts: Installation) -> Pass:
    """One pass. Raises VlabError with the reason if there could be none."""
    done = parts.controller.once({"person"})
    if done is None:
        found = status_of(parts.history).conditions
        told = [f"{c.type} {c.status}: {c.reason} {c.message}" for c in found if c.message]
        raise VlabError(
            "there could be no pass\n  " + "\n  ".join(told or ["another controller leads"])
        )
    return done


def _found(done: Pass, *, differs: bool) -> Exit:
    """What a look came to. Silence is no answer, so it is not fine."""
    if differs:
        return Exit.DIFFERENT
    unknown = done.ending is Ending.UNSEEN or done.desired.trouble is not None
    return Exit.FAILED if unknown else Exit.FINE


def _behind(done: Pass) -> bool:
    """Tell why what was looked at is not the newest commit, if it is not."""
    trouble = done.desired.trouble
    if trouble is not None:
        in_force = done.desired.revision.commit[:12]
        say(f"{in_force} stays in force: {trouble.reason}\n{indent(trouble.message, '  ')}")
    return trouble is not None


def _differs(plan: Plan) -> bool:
    return not plan.empty or bool(plan.pending)


def _print(plan: Plan, output: str) -> None:
    if output == "json":
        result_json(plan_data(plan))
    else:
        result(render_markdown(plan) if output == "markdown" else render_text(plan))


def _object(judgement: Judgement) -> None:
    for objection in judgement.objections:
        where = f"{objection.place}: " if objection.place else ""
        say(f"{where}{objection.text}\n  fix: {objection.fix}")
