"""A plan for people (text, markdown) and for programs (JSON, which is also the plan file).

`+ ~ - =` under waves, each field old -> new with its cost and file:line. Secrets are printed
nowhere: values and steps show `***` for a reference to one. Colour is the command line's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from controller.managed import Cost, Key, shown
from controller.plan import FORMAT_VERSION, Action, Change, Note, Operation, Plan, short
from controller.step import SECRET
from lab.errors import Place

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.DELETE: "-",
    Action.ADOPT: "=",
    Action.RECORD: "=",
    Action.FORGET: "=",
}
PLACE_COLUMN = 60


def render_text(plan: Plan) -> str:
    """The plan as lines under waves, then what waits for approval, then notes."""
    lines = [headline(plan)]
    for number, wave in enumerate(plan.waves, 1):
        lines += ["", f"wave {number}", *(line for op in wave for line in _operation(op))]
    if plan.pending:
        lines += ["", "waits for approval"]
        lines += [line for operation in plan.pending for line in _operation(operation)]
    if plan.notes:
        lines += ["", "notes", *(_note(note) for note in plan.notes)]
    return "\n".join(lines) + "\n"


def headline(plan: Plan) -> str:
    """The whole plan in a sentence."""
    count = Counter(operation.action for operation in plan.operations)
    told = [f"{count[action]} to {action}" for action in Action if count[action]]
    told += [f"{len(plan.pending)} to approve"] if plan.pending else []
    cost = f"; worst cost: {plan.cost}" if plan.cost else ""
    return f"commit {short(plan.commit)}: {', '.join(told) or 'nothing to do'}{cost}"


def _operation(operation: Operation) -> Iterator[str]:
    head = f"  {SIGNS[operation.action]} {operation.action} {_name(operation)}"
    yield _placed(f"{head}{_cost(operation.cost)}", operation.place)
    if operation.reason:
        yield f"      {operation.reason}"
    for change in operation.changes:
        where = change.place if change.place != operation.place else None
        yield _placed(f"      {_change(change)}", where)


def _name(operation: Operation) -> str:
    declared = f" ({' '.join(operation.path)})" if operation.path else ""
    return f"{operation.key}{declared}"


def _change(change: Change) -> str:
    new = "gone" if change.new is None else shown(change.field, change.new)
    old = f"{shown(change.field, change.old)} -> " if change.old is not None else ""
    drifted = " (drift)" if change.drifted else ""
    return f"{change.field}: {old}{new}{_cost(change.cost)}{drifted}"


def _cost(cost: Cost) -> str:
    return f" [{cost}]" if cost else ""


def _placed(line: str, place: Place | None) -> str:
    return f"{line:<{PLACE_COLUMN}} {place.file}:{place.line}" if place else line


def _note(note: Note) -> str:
    return _placed(f"  {note.kind}: {note.subject}: {note.text}", note.place)


def render_markdown(plan: Plan) -> str:
    """The plan for a comment in a forge: a table for each wave."""
    lines = [f"**{_escaped(headline(plan))}**"]
    tables = [(f"Wave {number}", wave) for number, wave in enumerate(plan.waves, 1)]
    tables += [("Waits for approval", plan.pending)] if plan.pending else []
    for title, operations in tables:
        lines += ["", f"### {title}", "", "| | what | change | cost | from |", "|-|-|-|-|-|"]
        lines += [row for operation in operations for row in _rows(operation)]
    if plan.notes:
        lines += ["", "### Notes", ""]
        lines += [f"- {_escaped(_note(note).strip())}" for note in plan.notes]
    return "\n".join(lines) + "\n"


def _rows(operation: Operation) -> Iterator[str]:
    sign, name = SIGNS[operation.action], _escaped(_name(operation))
    place = f"{operation.place.file}:{operation.place.line}" if operation.place else ""
    first = _escaped(operation.reason or str(operation.action))
    yield f"| {sign} | {name} | {first} | {operation.cost} | {place} |"
    for change in operation.changes:
        where = f"{change.place.file}:{change.place.line}" if change.place else ""
        yield f"| | | {_escaped(_change(change))} | {change.cost} | {where} |"


def _escaped(text: str) -> str:
    """Text that can't become markup, a table's border or a mention."""
    for mark in "\\`*_[]<>|@#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def plan_data(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON; its schema is stable within a format version."""
    return {
        "format_version": FORMAT_VERSION,
        "commit": plan.commit,
        "fingerprint": plan.fingerprint,
        "cost": str(plan.cost),
        "waves": [[_operation_data(operation) for operation in wave] for wave in plan.waves],
        "pending": [_operation_data(operation) for operation in plan.pending],
        "notes": [
            {"kind": n.kind, "subject": n.subject, "text": n.text, "place": _place_data(n.place)}
            for n in plan.notes
        ],
    }


def plan_file(plan: Plan) -> str:
    """The plan as a file that `vlab apply` takes (see `plan.fingerprint_of`)."""
    return json.dumps(plan_data(plan), indent=2) + "\n"


def _operation_data(operation: Operation) -> dict[str, Any]:
    return {
        "action": operation.action,
        "key": _key_data(operation.key),
        "path": list(operation.path),
        "cost": str(operation.cost),
        "place": _place_data(operation.place),
        "reason": operation.reason,
        "changes": [
            {
                "field": change.field,
                "old": _value_data(change.old),
                "new": _value_data(change.new),
                "cost": str(change.cost),
                "place": _place_data(change.place),
                "drifted": change.drifted,
            }
            for change in operation.changes
        ],
        "steps": [str(step) for step in operation.steps],
    }


def _key_data(key: Key) -> dict[str, str]:
    return {"device": key.device, "kind": key.kind, "id": key.id}


def _value_data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value_data(each) for each in value]
    return "***" if isinstance(value, str) and value.startswith(SECRET) else value


def _place_data(place: Place | None) -> str | None:
    return str(place) if place else None
