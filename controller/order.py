"""Operations in waves: a thing comes after what it needs, and goes before it.

Deletes are in waves of their own at the end, so that what fails earlier has lost nothing; but what
somebody else claims anew goes before that. Things that wait for each other in a circle, and things
that need what is not coming or claim what is not given up, are left out with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.managed import Key, Managed
from controller.observed import Observed
from controller.plan import Action, Note, NoteKind, Operation

Waves = tuple[tuple[Operation, ...], ...]
Operations = Mapping[Key, Operation]


def waves(operations: Operations) -> tuple[Waves, tuple[Note, ...]]:
    """The order, each wave sorted by key; notes for those in a circle or behind one."""
    going = {key: op for key, op in operations.items() if op.action is Action.DELETE}
    users = _users(going, operations)
    after = {key: needs(op) | _givers(op, operations) | users.get(key, frozenset())
             for key, op in operations.items()}  # fmt: skip
    coming = {key: op for key, op in operations.items() if key not in going}
    while early := {k for key in coming for k in after[key] if k in going and k not in coming}:
        coming |= {key: going.pop(key) for key in early}
    first, notes = _layers(coming, after)
    last, more = _layers(going, after)
    return (*first, *last), (*notes, *more)


def needs(operation: Operation) -> frozenset[Key]:
    """What must be there before this operation; nothing for records alone and deletes."""
    return operation.wanted.needs if operation.wanted and operation.steps else frozenset()


def _claims(thing: Managed | None) -> Mapping[str, str]:
    return thing.claims if thing is not None else {}


def _taken(operation: Operation) -> dict[str, str]:
    """What an operation claims that its thing did not claim before."""
    before = _claims(operation.old)
    return {
        what: how
        for what, how in _claims(operation.wanted).items()
        if operation.steps and before.get(what) != how
    }


def _rivals(taken: Mapping[str, str], thing: Managed | None) -> list[str]:
    """What is claimed and a thing has otherwise."""
    there = _claims(thing)
    return [what for what, how in taken.items() if there.get(what, how) != how]


def _apart(key: Key, other: Key) -> bool:
    """Whether they are two things of one device."""
    return key.device == other.device and key != other


def _givers(operation: Operation, operations: Operations) -> frozenset[Key]:
    """Who gives up what an operation claims."""
    taken = _taken(operation)
    return frozenset(
        key
        for key, other in operations.items()
        if taken and _apart(key, operation.key) and _rivals(taken, other.old)
    )


def blocked(operations: Operations, observed: Observed) -> dict[Key, Note]:
    """Operations that can't succeed: what they newly need is neither there nor coming, or what
    they newly claim is not given up.
    """
    left, notes = dict(operations), dict[Key, Note]()
    while True:
        new = {}
        for key, operation in left.items():
            before = operation.old.needs if operation.old else frozenset()
            why = [f"{need} {text}" for need in sorted(needs(operation) - before)
                   if (text := _missing(need, left, observed))]  # fmt: skip
            why += _kept(operation, left, observed)
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


def _kept(operation: Operation, operations: Operations, observed: Observed) -> Iterator[str]:
    """What others have of what an operation claims, and do not give up."""
    if not (taken := _taken(operation)):
        return
    for key, thing in sorted(observed.things.items()):
        if not _apart(key, operation.key) or not (rivals := _rivals(taken, thing)):
            continue
        after = operations[key].wanted if key in operations else thing
        yield from (f"{what}, which {key} has" for what in rivals if what in _rivals(taken, after))


def _users(going: Operations, operations: Operations) -> dict[Key, frozenset[Key]]:
    """For each thing that goes, those that need it and change or go too: they come first."""
    users: dict[Key, set[Key]] = {key: set() for key in going}
    for key, operation in operations.items():
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
