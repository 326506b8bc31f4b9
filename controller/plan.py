"""A plan: what would be done, in which order, at what cost, because of which line.

Plain values between `planning` (makes it), the gate (judges it), `render` (prints it) and `execute`
(does it). A plan binds to what was observed: its fingerprint changes when the commit, the steps or
anything observed of the things that it touches does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from controller.managed import Cost, Key, Managed, Mark, Value, Values
from controller.step import Step
from lab.errors import Place, Refused
from lab.item import Path

FORMAT_VERSION = 1


class Action(StrEnum):
    """What happens to a thing. The last two, and ADOPT without steps, change our records alone."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ADOPT = "adopt"  # it was there before us and becomes ours
    RECORD = "record"  # it is as declared, and our records say something else
    FORGET = "forget"  # it was ours and is gone


@dataclass(frozen=True)
class Change:
    """One field of a thing; None where there is no value before or after.

    `drifted`: the commit did not ask for a change here, somebody else made one.
    """

    field: str
    old: Value | None
    new: Value | Mark | None
    cost: Cost
    place: Place | None
    drifted: bool = False


@dataclass(frozen=True)
class Operation:
    """All that is done to one thing in one go; `wanted` None: it goes. `old` None: it comes.

    `wanted` holds only the values that may change, `owns` what is ours once it is proved. The
    `old` of a delete has the policy that was applied last.
    """

    action: Action
    key: Key
    path: Path
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    cost: Cost
    place: Place | None
    wanted: Managed | None
    old: Managed | None
    owns: Values = field(default_factory=dict)
    reason: str = ""

    @property
    def claims(self) -> Mapping[str, str]:
        """What its thing claims once it is done."""
        if self.wanted is None:
            return {}
        held = self.old.values if self.old else {}
        return replace(self.wanted, values={**held, **self.wanted.values}).claims

    @property
    def takes(self) -> Mapping[str, str]:
        """What its thing claims then, and did not before."""
        before = self.old.claims if self.old else {}
        then = self.claims if self.steps else {}
        return {what: how for what, how in then.items() if before.get(what) != how}

    @property
    def awaits(self) -> frozenset[Key]:
        """What can't go any more once it is done."""
        return self.wanted.awaits if self.wanted and self.steps else frozenset()

    def makes_way(self, other: Operation) -> bool:
        """Whether it gives up what another one takes."""
        if self.old is None or self.key.device != other.key.device or self.key == other.key:
            return False
        before, then = self.old.claims, self.claims
        return any(
            before.get(what, how) != how and then.get(what, how) == how
            for what, how in other.takes.items()
        )


class NoteKind(StrEnum):
    """Why something that a reader may expect is not in the plan."""

    UNKNOWN = "unknown"  # did not answer: neither there nor absent
    BLOCKED = "blocked"  # needs something that is not there and not coming, or that another has
    CYCLE = "cycle"  # things that need each other
    WITHHELD = "withheld"  # `manage` does not allow what was written
    IMPOSSIBLE = "impossible"  # the device can't be made so
    KEPT = "kept"  # would be deleted, but may not be
    DRIFT = "drift"  # somebody else changed it, and the policy is to report
    DEFERRED = "deferred"  # written, in force after the next restart
    UNMANAGED = "unmanaged"  # declared, not managed yet
    FOREIGN = "foreign"  # there, and not ours
    UNSAID = "unsaid"  # there, and adoption can't write it


@dataclass(frozen=True)
class Note:
    """Something the reader of a plan must know and that is not done."""

    kind: NoteKind
    subject: str
    text: str
    place: Place | None = None
    key: Key | None = None


@dataclass(frozen=True)
class Plan:
    """Operations in waves: everything in a wave may run side by side, waves one after another.

    `pending`: adoptions that would change the device and wait for an approval; they are not done.
    """

    commit: str
    waves: tuple[tuple[Operation, ...], ...]
    notes: tuple[Note, ...] = ()
    pending: tuple[Operation, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not self.waves

    @property
    def operations(self) -> Iterator[Operation]:
        """All, in order."""
        return (operation for wave in self.waves for operation in wave)

    @property
    def cost(self) -> Cost:
        """The worst of all."""
        return max((operation.cost for operation in self.operations), default=Cost.NONE)

    @property
    def fingerprint(self) -> str:
        """Equal for equal plans made from equal observations of what they touch."""
        told = [self.commit, [[_told(operation) for operation in wave] for wave in self.waves]]
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def short(commit: str) -> str:
    """A commit for people: the first digits of a hash; a name such as `main` as it is."""
    return commit[:12] if re.fullmatch("[0-9a-f]{40,64}", commit) else commit


def _told(operation: Operation) -> list[object]:
    key, old, wanted = operation.key, operation.old, operation.wanted
    return [
        [operation.action, key.device, key.kind, key.id],
        dict(wanted.values) if wanted else None,
        dict(old.values) if old else None,
        [str(step) for step in operation.steps],
    ]


def fingerprint_of(file_text: str) -> str:
    """The fingerprint in a plan file (`vlab plan --save FILE`).

    Raises Refused for a text that is no plan file.
    """
    try:
        data = json.loads(file_text)
        version, fingerprint = data["format_version"], data["fingerprint"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refused("this is no plan file", "make one: vlab plan --save FILE") from error
    if version != FORMAT_VERSION:
        fix = "make it anew: vlab plan --save FILE"
        raise Refused(f"the plan file has format {version}, not {FORMAT_VERSION}", fix)
    return str(fingerprint)
