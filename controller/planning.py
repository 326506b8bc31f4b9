"""The plan: a commit against what is there and what we applied. A function from values to a value.

Observe comes before it, the gate and execute after it. It decides nothing about safety: what may be
done at all is the policy of each thing (`diff`, `prune`), whether it is wise is the gate's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import get_args

from controller.diff import Verdict, judge
from controller.families import all_kinds
from controller.managed import Key, Managed
from controller.observed import Observed
from controller.order import blocked, waves
from controller.owned import Ownership
from controller.plan import Note, NoteKind, Operation, Plan
from controller.prune import prune
from lab.errors import LabInvalid, Problem
from lab.item import Owned
from lab.lab import WORDS, Lab


class _Everything(Container[Key]):
    def __contains__(self, key: object) -> bool:
        return True


EVERYTHING: Container[Key] = _Everything()
"""Approves every adoption."""
Kinds = Mapping[str, tuple[type[Managed], ...]]


def plan_changes(
    lab: Lab,
    observed: Observed,
    owned: Ownership,
    commit: str,
    *,
    approve: Container[Key] = frozenset(),
) -> Plan:
    """What makes the devices hold `lab`. `approve`: strangers that may be changed on adoption.

    Raises LabInvalid if two entries declare the same thing of a device.
    """
    wanted = wanted_things(lab, observed.kinds)
    verdicts = [
        judge(thing, observed, owned.get(key), lab.place(*thing.path), approved=key in approve)
        for key, thing in wanted.items()
    ]
    verdicts += prune(owned, wanted, observed)
    found = [verdict.operation for verdict in verdicts if verdict.operation and not verdict.waits]
    operations = {operation.key: operation for operation in found}
    impossible = {
        note.key
        for verdict in verdicts
        for note in verdict.notes
        if note.kind is NoteKind.IMPOSSIBLE and note.key is not None
    }
    waiting = blocked(operations, observed, impossible)
    ordered, circles = waves({key: op for key, op in operations.items() if key not in waiting})
    notes = [
        *(note for verdict in verdicts for note in verdict.notes),
        *waiting.values(),
        *circles,
        *_unmanaged(lab, wanted, observed.kinds),
        *_foreign(wanted, owned, observed),
    ]
    return Plan(commit, ordered, tuple(sorted(notes, key=_order)), _pending(verdicts))


def wanted_things(lab: Lab, kinds: Kinds) -> dict[Key, Managed]:
    """Everything that `lab` declares for these devices.

    Raises LabInvalid if two entries declare the same thing, or want what only one can have.
    """
    wanted: dict[Key, Managed] = {}
    claims: dict[tuple[str, str], tuple[Managed, str]] = {}
    problems = []
    for device in sorted(kinds):
        for thing in (thing for kind in kinds[device] for thing in kind.wanted(lab, device)):
            first = wanted.setdefault(thing.key, thing)
            if first is not thing:
                why = "the device has one thing of that name, and it can't be both"
                problems.append(_twice(lab, thing, first, str(thing.key), why))
                continue
            for what, how in sorted(thing.claims.items()):
                first, known = claims.setdefault((device, what), (thing, how))
                if known != how:
                    why = f"{first.key} and {thing.key} can't both have it"
                    problems.append(_twice(lab, thing, first, f"{device} {what}", why))
    if problems:
        raise LabInvalid(tuple(problems))
    return wanted


def _twice(lab: Lab, thing: Managed, first: Managed, what: str, why: str) -> Problem:
    where = lab.place(*first.path) or "/".join(first.path)
    said = f"{what} is declared twice; the first is at {where}"
    return Problem(lab.place(*thing.path), said, why, "remove one of the two")


def _pending(verdicts: list[Verdict]) -> tuple[Operation, ...]:
    found = [verdict.operation for verdict in verdicts if verdict.operation and verdict.waits]
    return tuple(sorted(found, key=lambda operation: operation.key))


def _unmanaged(lab: Lab, wanted: Mapping[Key, Managed], kinds: Kinds) -> Iterator[Note]:
    """Words that become things on devices, of which no kind made any."""
    managed = {thing.path[:2] for thing in wanted.values()}
    words = {word for device in kinds.values() for kind in device for word in kind.words}
    words |= {word for kind in all_kinds() for word in kind.words}
    for word, hint in WORDS.items():
        names = [name for name in lab.map(word) if (word, name) not in managed]
        if not names or not becomes_things(hint):
            continue
        told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        why = "no device in the settings holds it" if word in words else "declared, not managed yet"
        yield Note(NoteKind.UNMANAGED, f"{word} {told}", why, lab.place(word, names[0]))


def becomes_things(hint: object) -> bool:
    """Whether entries of a word (its type in WORDS) are put on devices, and so have a policy."""
    if isinstance(hint, type):
        return issubclass(hint, Owned)
    return any(becomes_things(each) for each in get_args(hint))


def _foreign(wanted: Mapping[Key, Managed], owned: Ownership, observed: Observed) -> Iterator[Note]:
    """How much is there that nobody declared."""
    count = Counter(
        (key.device, key.kind)
        for key, thing in observed.things.items()
        if not thing.inherent and key not in wanted and key not in owned
    )
    said = {kind.kind for kinds in observed.kinds.values() for kind in kinds if kind.words}
    for (device, kind), number in count.items():
        how = "`vlab adopt` writes them as desired state" if kind in said else "no word says them"
        text = f"{number} not declared: left alone; {how}"
        yield Note(NoteKind.FOREIGN, f"{device} {kind}", text)


def _order(note: Note) -> tuple[int, str, str]:
    return (list(NoteKind).index(note.kind), note.subject, note.text)
