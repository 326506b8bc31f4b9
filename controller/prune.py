"""What applied commits declared and this one does not: what of it may go, and what keeps the rest.

A thing is deleted only if it is ours, `delete` was allowed when it was applied last, everything
that could need it answered, and nothing that is there or declared needs it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from controller.diff import Verdict
from controller.managed import Cost, Key, Managed
from controller.observed import Observed
from controller.order import waves
from controller.owned import OwnedRecord, Ownership
from controller.plan import Action, Note, NoteKind, Operation, short
from controller.step import Step
from lab.errors import Refused
from lab.item import Act


def prune(owned: Ownership, wanted: Mapping[Key, Managed], observed: Observed) -> Iterator[Verdict]:
    """Verdicts on everything that is ours and not declared any more."""
    undeclared = {key: owned[key] for key in sorted(owned.keys() - wanted.keys())}
    going: dict[Key, OwnedRecord] = {}
    for key, record in undeclared.items():
        if why := _stays(key, record, observed):
            yield _kept(key, why)
        elif observed.why_unknown(key):
            yield Verdict(notes=(_note(NoteKind.UNKNOWN, key, observed.why_unknown(key)),))
        elif key not in observed.things or observed.things[key].inherent:
            yield Verdict(_forget(key, record))
        else:
            going[key] = record
    staying: dict[Key, str] = {}
    while new := _staying(going, owned, wanted, observed):
        staying |= new
        going = {key: record for key, record in going.items() if key not in new}
    for key, why in staying.items():
        yield _kept(key, why)
    yield from _order(staying, owned, observed)
    for key, record in going.items():
        yield Verdict(_delete(observed.things[key], record, observed))


def _staying(
    going: Mapping[Key, OwnedRecord],
    owned: Ownership,
    wanted: Mapping[Key, Managed],
    observed: Observed,
) -> dict[Key, str]:
    """Those that must stay after all: what is needed, else what their kinds refuse to remove."""
    if used := _needed(going, owned, wanted, observed):
        return used
    refused = {}
    for key, record in going.items():
        try:
            _delete(observed.things[key], record, observed)
        except Refused as error:  # the kind knows what else would be lost
            refused[key] = error.what
    return refused


def _stays(key: Key, record: OwnedRecord, observed: Observed) -> str:
    """Why one thing is not deleted, whatever the others say; empty if it may be."""
    if key.kind not in (kind.kind for kind in observed.kinds.get(key.device, ())):
        return f"{key.device} is not in the settings, or has no {key.kind} in this version"
    there = observed.known(key) and key in observed.things and not observed.things[key].inherent
    if there and Act.DELETE not in record.policy.manage:
        last = f"{'/'.join(record.path)} was declared last in {short(record.commit)}, without"
        fix = "declare it with delete and apply that, or remove it by hand"
        return f"{last} delete in `manage`: {fix}"
    return ""


def _needed(
    going: Mapping[Key, OwnedRecord],
    owned: Ownership,
    wanted: Mapping[Key, Managed],
    observed: Observed,
) -> dict[Key, str]:
    """Those of `going` that must stay after all, and why: until nothing new stays."""
    users: dict[Key, list[tuple[Key, str]]] = {}
    for thing in observed.things.values():
        record = owned.get(thing.key) if thing.key not in wanted else None
        for need in thing.needs | (record.needs if record else frozenset()):
            users.setdefault(need, []).append((thing.key, "there"))
    for thing in wanted.values():
        for need in thing.needs:
            users.setdefault(need, []).append((thing.key, "declared"))
    silent = _silent(owned, wanted, observed)
    staying = {key: silent[key.device] for key in going if key.device in silent}
    while True:
        new = {
            key: f"{user} is {how} and needs it"
            for key in going
            if key not in staying
            for user, how in users.get(key, ())
            if how == "declared" or user not in going or user in staying
        }
        if not new:
            return staying
        staying |= new


def _order(staying: Collection[Key], owned: Ownership, observed: Observed) -> Iterator[Verdict]:
    """For several things that are used: who must go before them, and in which order they could."""
    going = {key: _removal(_ours(observed.things[key], owned[key])) for key in staying}
    turns = [", ".join(str(operation.key) for operation in wave) for wave in waves(going)[0]]
    users = sorted(
        str(thing.key)
        for thing in observed.things.values()
        if thing.key not in staying and not thing.needs.isdisjoint(staying)
    )
    if users and len(turns) > 1:
        more = f" and {len(users) - 3} more" if len(users) > 3 else ""
        told = f"once nothing is there any more of {', '.join(users[:3])}{more}"
        text = f"{told}: first {', then '.join(turns)}"
        yield Verdict(notes=(Note(NoteKind.KEPT, "order in which they could go", text),))


def _silent(owned: Ownership, wanted: Mapping[Key, Managed], observed: Observed) -> dict[str, str]:
    """Devices on which things may be needed by something that did not answer, and what that is."""
    unknown = {Key(device, kind, ""): why for (device, kind), why in observed.unknown.items()}
    unknown |= dict(observed.doubtful)
    clients: dict[str, set[str]] = {}  # device -> devices with things that need something of it
    needs = {key: record.needs for key, record in owned.items()}
    for thing in (*wanted.values(), *observed.things.values()):
        needs[thing.key] = needs.get(thing.key, frozenset()) | thing.needs
    for key, needed in needs.items():
        for need in needed:
            clients.setdefault(need.device, set()).add(key.device)
    return {
        device: f"{str(key).rstrip()} may need it, and did not answer: {why}"
        for device in observed.kinds
        for key, why in unknown.items()
        if key.device == device or key.device in clients.get(device, ())
    }


def _delete(thing: Managed, record: OwnedRecord, observed: Observed) -> Operation:
    old = _ours(thing, record)
    steps = tuple(old.remove(observed.context(old.key.device)))
    return _removal(old, steps, f"not declared any more, last in {short(record.commit)}")


def _ours(thing: Managed, record: OwnedRecord) -> Managed:
    """A thing that is there, with what was applied last."""
    needs = thing.needs | record.needs
    return replace(thing, policy=record.policy, path=record.path, needs=needs)


def _removal(old: Managed, steps: tuple[Step, ...] = (), reason: str = "") -> Operation:
    return Operation(
        Action.DELETE, old.key, old.path, (), steps, Cost.REPLACE, None, None, old, reason=reason
    )


def _forget(key: Key, record: OwnedRecord) -> Operation:
    reason = f"neither declared nor deleted by us, last in {short(record.commit)}"
    return Operation(
        Action.FORGET, key, record.path, (), (), Cost.NONE, None, None, None, reason=reason
    )


def _kept(key: Key, why: str) -> Verdict:
    return Verdict(notes=(_note(NoteKind.KEPT, key, why),))


def _note(kind: NoteKind, key: Key, text: str) -> Note:
    return Note(kind, str(key), text, None, key)
