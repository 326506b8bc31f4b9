"""Operations in waves: a thing comes after what it needs, and goes before it.

Deletes are in waves of their own at the end, so that what fails earlier has lost nothing; only what
makes way for something (`claims`, `awaits`) goes before that. Things that wait for each other in a
circle, and things that need what is not coming or claim what another keeps, are left out with a
note.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial

from controller.managed import Key, Managed
from controller.observed import Observed
from controller.plan import Action, Note, NoteKind, Operation

Waves = tuple[tuple[Operation, ...], ...]
Operations = Mapping[Key, Operation]
Claim = tuple[str, str]  # a device, and what is claimed there


def waves(operations: Operations) -> tuple[Waves, tuple[Note, ...]]:
    """The order, each wave sorted by key; notes for those in a circle or behind one."""
    going = {key: op for key, op in operations.items() if op.action is Action.DELETE}
    users, before = _users(going, operations), _before(operations, going)
    after = {key: needs(op) | before[key] | users.get(key, frozenset())
             for key, op in operations.items()}  # fmt: skip
    coming = {key: op for key, op in operations.items() if key not in going}
    while early := {k for key in coming for k in after[key] if k in going and k not in coming}:
        coming |= {key: going.pop(key) for key in early}
    first, notes = _layers(coming, after)
    last, more = _layers(going, after)
    return (*first, *last), (*notes, *more)


def needs(operation: Operation) -> frozenset[Key]:
    """What an operation can't be done without; one without steps, such as adopting, needs none."""
    return operation.wanted.needs if operation.wanted and operation.steps else frozenset()


def _before(operations: Operations, going: Operations) -> dict[Key, frozenset[Key]]:
    """Operations that make way for each."""
    holders = _holders(op.old for op in operations.values() if op.old)
    return {
        key: frozenset(
            other
            for what in operation.takes
            for other in holders.get((key.device, what), ())
            if operations[other].makes_way(operation)
        )
        | frozenset(
            other
            for other, goes in going.items()
            if operation.awaits
            and goes.old is not None
            and operation.awaits & {other, *goes.old.needs}
        )
        for key, operation in operations.items()
    }


def _holders(things: Iterable[Managed]) -> dict[Claim, list[Key]]:
    """Who claims what."""
    found: dict[Claim, list[Key]] = {}
    for thing in things:
        for what in thing.claims:
            found.setdefault((thing.key.device, what), []).append(thing.key)
    return found


def blocked(
    operations: Operations, observed: Observed, impossible: Container[Key] = ()
) -> dict[Key, Note]:
    """Operations that can't succeed: what they newly need is neither there nor coming, is among
    `impossible`, which do not become as declared, or what they newly claim is kept by another.
    """
    left, notes = dict(operations), dict[Key, Note]()
    kept = partial(_kept, holders=_holders(observed.things.values()), observed=observed)
    while True:
        new = {}
        for key, operation in left.items():
            before = operation.old.needs if operation.old else frozenset()
            why = [f"{need} {text}" for need in sorted(needs(operation) - before)
                   if (text := _missing(need, left, observed, impossible))]  # fmt: skip
            why += kept(operation, left)
            if why:
                text = f"it needs {' and '.join(why)}"
                new[key] = Note(NoteKind.BLOCKED, str(key), text, operation.place, key)
        if not new:
            return notes
        notes |= new
        left = {key: operation for key, operation in left.items() if key not in new}


def _missing(
    need: Key, operations: Operations, observed: Observed, impossible: Container[Key]
) -> str:
    if why := observed.why_unknown(need):
        return f"(did not answer: {why})"
    if need in impossible:
        return "(which can't become as declared)"
    managed = need.kind in (kind.kind for kind in observed.kinds.get(need.device, ()))
    if need in observed.things or need in operations or not managed:
        return ""
    return "(not there, and not being created)"


def _kept(
    operation: Operation,
    operations: Operations,
    *,
    holders: Mapping[Claim, list[Key]],
    observed: Observed,
) -> Iterator[str]:
    """What others have of what an operation claims, and do not give up."""
    for what, how in operation.takes.items():
        for key in holders.get((operation.key.device, what), ()):
            then = operations[key].claims if key in operations else observed.things[key].claims
            if key != operation.key and then.get(what, how) != how:
                yield f"{what} (which {key} has)"


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
