"""One thing: what is declared, what is there, what we applied; and what follows from the three.

Second half of planning, one thing at a time and without a branch for any kind. Leaves out what
concerns several things: what may go (`prune`), what waits for what (`order`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.managed import Context, Cost, Key, Managed, Mark, Value, Values, shown
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.plan import Action, Change, Note, NoteKind, Operation, short
from lab.errors import Place, Refused
from lab.item import Act, Drift


@dataclass(frozen=True)
class Verdict:
    """What is to be done with one thing; `waits`: not before somebody approves."""

    operation: Operation | None = None
    waits: bool = False
    notes: tuple[Note, ...] = ()


def judge(
    wanted: Managed,
    observed: Observed,
    record: OwnedRecord | None,
    place: Place | None,
    *,
    approved: bool,
) -> Verdict:
    """What follows for a declared thing. `place`: where it is declared."""
    try:
        return _judge(wanted, observed, record, place, approved)
    except Refused as refused:  # by the kind, asked for steps to what the device can't become
        text = f"{refused.what}: {refused.fix}" if refused.fix else refused.what
        return Verdict(notes=(_note(NoteKind.IMPOSSIBLE, wanted.key, text, place),))


def _judge(
    wanted: Managed,
    observed: Observed,
    record: OwnedRecord | None,
    place: Place | None,
    approved: bool,
) -> Verdict:
    key = wanted.key
    if why := observed.why_unknown(key):
        return Verdict(notes=(_note(NoteKind.UNKNOWN, key, why, place),))
    old = observed.things.get(key)
    context = observed.context(key.device)
    if old is not None:
        return _there(wanted, old, record, context, approved, place)
    if wanted.inherent:
        text = f"is part of {key.device}, which does not show it"
        return Verdict(notes=(_note(NoteKind.UNKNOWN, key, text, place),))
    return _absent(wanted, record, context, place)


def disagreeing(values: Values, old: Managed) -> list[str]:
    """Fields that are not as `values` says."""
    return [name for name in values if not _agrees(values[name], old, name)]


def differs(values: Values, old: Managed) -> str:
    """The disagreement for people, empty if there is none: `cores is 4, not 8`."""
    return ", ".join(
        f"{name} is there"
        if values[name] is Mark.RESET and entry_of(old, name) == name
        else f"{name} is {shown(name, _held(old, name))}, not {shown(name, values[name])}"
        for name in disagreeing(values, old)
    )


def entry_of(thing: Managed, name: str) -> str:
    """The entry of an owned map that a field stands in (`disks.scsi0`); empty if in none.

    Names of entries hold no dot.
    """
    for prefix in thing.owned_maps:
        if name.startswith(f"{prefix}."):
            return f"{prefix}.{name[len(prefix) + 1 :].split('.', 1)[0]}"
    return ""


def _held(old: Managed, name: str) -> Value | None:
    held = old.values[name] if name in old.values else old.default(name)
    return None if isinstance(held, Mark) else held


def _entry(old: Managed, name: str) -> str:
    """A whole entry for people: `size_bytes 4GiB, storage vm`."""
    told = [
        f"{held.removeprefix(name).lstrip('.')} {shown(held, value)}".strip()
        for held, value in sorted(old.values.items())
        if held == name or held.startswith(f"{name}.")
    ]
    return ", ".join(told)


def _agrees(goal: Value | Mark, old: Managed, name: str) -> bool:
    if goal is not Mark.RESET:
        return _held(old, name) == goal
    below = [held for held in old.values if held == name or held.startswith(f"{name}.")]
    return not below or (below == [name] and _held(old, name) == old.default(name))


def _absent(
    wanted: Managed, record: OwnedRecord | None, context: Context, place: Place | None
) -> Verdict:
    key, policy = wanted.key, wanted.policy
    lost = record is not None and record.proved
    gone = f"is gone since {_name(record)} was applied" if lost else ""
    if lost and policy.drift is Drift.REPORT:
        return Verdict(notes=(_note(NoteKind.DRIFT, key, gone, place),))
    if Act.CREATE not in policy.manage:
        text = f"{gone or 'is not there'}, and `manage` has no create"
        return Verdict(notes=(_note(NoteKind.WITHHELD, key, text, place),))
    values = {name: goal for name, goal in wanted.values.items() if goal is not Mark.RESET}
    goal = replace(wanted, values=values)
    changes = tuple(
        Change(name, None, values[name], Cost.NONE, wanted.origin.get(name, place), lost)
        for name in values
    )
    steps = tuple(goal.steps(None, context))
    operation = Operation(
        Action.CREATE, key, wanted.path, changes, steps, Cost.NONE, place, goal, None,
        owns=wanted.values, reason=gone,
    )  # fmt: skip
    return Verdict(operation)


def _there(
    wanted: Managed,
    old: Managed,
    record: OwnedRecord | None,
    context: Context,
    approved: bool,
    place: Place | None,
) -> Verdict:
    delta = _delta(wanted, old, record, place)
    notes = (*delta.notes, *_deferred(wanted, old, context, place))
    changes = tuple(_changes(delta, old, record, context, place))
    if changes and Act.UPDATE not in wanted.policy.manage:
        text = f"{differs(delta.goal.values, old)}, and `manage` has no update"
        kind = NoteKind.DRIFT if all(change.drifted for change in changes) else NoteKind.WITHHELD
        notes = (*notes, _note(kind, wanted.key, text, place))
        return Verdict(_allowed(wanted, old, record, place), notes=notes)
    stranger = record is None and not wanted.inherent
    if not changes and not _outdated(record, delta.owns, wanted):
        return Verdict(notes=notes)
    ours = Action.UPDATE if changes else Action.RECORD
    operation = Operation(
        Action.ADOPT if stranger else ours,
        wanted.key,
        wanted.path,
        changes,
        tuple(delta.goal.steps(old, context)) if changes else (),
        max((change.cost for change in changes), default=Cost.NONE),
        place,
        delta.goal,
        old,
        owns=delta.owns,
        reason=_by_others(record) if any(change.drifted for change in changes) else "",
    )
    return Verdict(operation, waits=bool(changes) and stranger and not approved, notes=notes)


def _allowed(
    wanted: Managed, old: Managed, record: OwnedRecord | None, place: Place | None
) -> Operation | None:
    """Taking over what the author allows of a thing of ours, though its values must not change."""
    if record is None or not record.proved:
        return None
    if (record.policy, record.path) == (wanted.policy, wanted.path):
        return None
    return Operation(
        Action.RECORD, wanted.key, wanted.path, (), (), Cost.NONE, place, wanted, old,
        owns=record.values,
    )  # fmt: skip


def _by_others(record: OwnedRecord | None) -> str:
    return f"changed by somebody else since {_name(record)} was applied"


def _outdated(record: OwnedRecord | None, owns: Values, wanted: Managed) -> bool:
    """Whether our records say something else than the device and the commit do."""
    if record is None or not record.proved:
        return True
    return (record.values, record.policy, record.path) != (owns, wanted.policy, wanted.path)


@dataclass(frozen=True)
class _Delta:
    """`goal`: the wanted thing with what may change; `owns`: what is ours afterwards."""

    goal: Managed
    owns: Values
    drifted: frozenset[str]
    notes: tuple[Note, ...]


def _delta(
    wanted: Managed, old: Managed, record: OwnedRecord | None, place: Place | None
) -> _Delta:
    values: dict[str, Value | Mark] = dict(wanted.values)
    values |= {entry: Mark.RESET for entry in _dropped(wanted, record)}
    owns: dict[str, Value | Mark] = dict(wanted.values)
    notes: list[Note] = []
    for entry in [name for name in values if values[name] is Mark.RESET]:
        if entry_of(wanted, entry) != entry or _agrees(Mark.RESET, old, entry):
            continue
        if why := _keeps(entry, wanted, record):
            del values[entry]
            owns |= _below(entry, record)
            notes.append(_note(NoteKind.KEPT, wanted.key, why, wanted.origin.get(entry, place)))
    goal = replace(wanted, values=values)
    drifted = frozenset(_drifted(goal, old, record))
    if drifted and wanted.policy.drift is Drift.REPORT:
        said = {name: value for name, value in values.items() if name in drifted}
        text = f"{differs(said, old)}: {_by_others(record)}, and the policy is to report"
        notes.append(_note(NoteKind.DRIFT, wanted.key, text, place))
        goal = replace(goal, values={n: v for n, v in values.items() if n not in drifted})
    return _Delta(goal, owns, drifted, tuple(notes))


def _dropped(wanted: Managed, record: OwnedRecord | None) -> Iterator[str]:
    """Entries of owned maps that we applied and that are not declared any more."""
    applied = record.values if record else {}
    declared = {entry_of(wanted, name) for name in wanted.values}
    for entry in dict.fromkeys(entry_of(wanted, name) for name in applied):
        if entry and entry not in declared and _below(entry, record):
            yield entry


def _below(entry: str, record: OwnedRecord | None) -> Values:
    """What we applied for an entry of a map."""
    return {
        name: value
        for name, value in (record.values if record else {}).items()
        if (name == entry or name.startswith(f"{entry}.")) and value is not Mark.RESET
    }


def _keeps(entry: str, wanted: Managed, record: OwnedRecord | None) -> str:
    """Why an entry that shall go is not removed; empty if it may be."""
    if not _below(entry, record):
        return f"{entry} stays: no applied commit declared it, so it is not ours to remove"
    allowed = wanted.policy.manage | (record.policy.manage if record else frozenset())
    if Act.DELETE not in allowed:
        return f"{entry} stays: add delete to `manage` to have it removed"
    return ""


def _drifted(goal: Managed, old: Managed, record: OwnedRecord | None) -> Iterator[str]:
    """Fields that the commit leaves as applied, and that are not so any more."""
    if record is not None and record.proved:
        for name in disagreeing(goal.values, old):
            if name in record.values and record.values[name] == goal.values[name]:
                yield name


def _changes(
    delta: _Delta,
    old: Managed,
    record: OwnedRecord | None,
    context: Context,
    place: Place | None,
) -> Iterator[Change]:
    goal = delta.goal
    for name in disagreeing(goal.values, old):
        goes = goal.values[name] is Mark.RESET and entry_of(goal, name) == name
        yield Change(
            name,
            _entry(old, name) if goes else _held(old, name),
            None if goes else goal.values[name],
            goal.cost(name, old, context),
            goal.origin.get(name, place),
            drifted=name in delta.drifted,
        )


def _deferred(
    wanted: Managed, old: Managed, context: Context, place: Place | None
) -> Iterator[Note]:
    """What is written as declared, but not in force before a restart."""
    in_force = context.current.get(wanted.key, {})
    told = [
        f"{name} is {shown(name, in_force[name])} until it is stopped and started"
        for name in in_force
        if name in wanted.values and _agrees(wanted.values[name], old, name)
    ]
    if told:
        yield _note(NoteKind.DEFERRED, wanted.key, ", ".join(told), place)


def _name(record: OwnedRecord | None) -> str:
    return short(record.commit) if record else "nothing"


def _note(kind: NoteKind, key: Key, text: str, place: Place | None) -> Note:
    return Note(kind, str(key), text, place, key)
