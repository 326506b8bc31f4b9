"""Operations in waves: a thing comes after what it needs, and goes before it.

Deletes are in waves of their own at the end, so that what fails earlier has lost nothing. Things
that need each other in a circle, and things that need what is not coming, are left out with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.managed import Key
from controller.observed import Observed
from controller.plan import Action, Note, NoteKind, Operation

Waves = tuple[tuple[Operation, ...], ...]
Operations = Mapping[Key, Operation]


def waves(operations: Operations) -> tuple[Waves, tuple[Note, ...]]:
    """The order, each wave sorted by key; notes for those in a circle or behind one."""
    coming = {key: op for key, op in operations.items() if op.action is not Action.DELETE}
    going = {key: op for key, op in operations.items() if op.action is Action.DELETE}
    first, notes = _layers(coming, {key: needs(op) for key, op in coming.items()})
    last, more = _layers(going, _users(going))
    return (*first, *last), (*notes, *more)


def needs(operation: Operation) -> frozenset[Key]:
    """What must be there before this operation; nothing for records alone and deletes."""
    return operation.wanted.needs if operation.wanted and operation.steps else frozenset()


def blocked(operations: Operations, observed: Observed) -> dict[Key, Note]:
    """Operations that can't succeed, as what they newly need is neither there nor coming."""
    left, notes = dict(operations), dict[Key, Note]()
    while True:
        new = {}
        for key, operation in left.items():
            before = operation.old.needs if operation.old else frozenset()
            why = [f"{need} {text}" for need in sorted(needs(operation) - before)
                   if (text := _missing(need, left, observed))]  # fmt: skip
            if why:
                text = f"it needs {' and '.join(why)}"
                new[key] = Note(NoteKind.BLOCKED, str(key), text, operation.place, key)
        if not new:
            return notes
        notes |= new
        left = {key: operation for key, operation in left.items() if key not in new}


def _missing(need: Key, operations: Operations, observed: Observed) -> str:
    if why := observed.why_unknown(need):
        return f"(did not answer: {why})"
    managed = need.kind in (kind.kind for kind in observed.kinds.get(need.device, ()))
    if need in observed.things or need in operations or not managed:
        return ""
    return "(not there, and not being created)"


def _users(going: Operations) -> dict[Key, frozenset[Key]]:
    """For each thing that goes, those that need it and go too: they go first."""
    users: dict[Key, set[Key]] = {key: set() for key in going}
    for key, operation in going.items():
        for need in operation.old.needs if operation.old else ():
            if need in users:
                users[need].add(key)
    return {key: frozenset(found) for key, found in users.items()}


def _layers(
    operations: Operations, after: Mapping[Key, frozenset[Key]]
) -> tuple[Waves, tuple[Note, ...]]:
    waiting = {key: {k for k in after[key] if k in operations and k != key} for key in operations}
    layers = []
    while ready := sorted(key for key, before in waiting.items() if not before):
        layers.append(tuple(operations[key] for key in ready))
        done = set(ready)
        waiting = {key: before - done for key, before in waiting.items() if before}
    return tuple(layers), tuple(_circles(waiting, operations))


def _circles(waiting: Mapping[Key, set[Key]], operations: Operations) -> Iterable[Note]:
    """Each thing that never became ready, with the circle that it is in or behind."""
    for key in sorted(waiting):
        walk = [key]
        while (step := min(waiting[walk[-1]])) not in walk:
            walk.append(step)
        circle = walk[walk.index(step) :]
        told = " needs ".join(str(each) for each in (*circle, circle[0]))
        text = told if key in circle else f"waits for a circle: {told}"
        yield Note(NoteKind.CYCLE, str(key), text, operations[key].place, key)
