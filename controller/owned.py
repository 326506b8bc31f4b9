"""What applied commits declared: the proof that a thing is ours to change and to delete.

Kept by the history, read by the diff. A thing without a record is a stranger's: it is adopted or
left alone, never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.managed import Key, Mark, Policy, Value, Values
from lab.item import Act, Drift, Path


@dataclass(frozen=True)
class OwnedRecord:
    """A thing as the newest applied commit declared it.

    `values` may hold more than that commit wrote while a change is under way (see `proved`): a
    map entry being removed stays ours until it is gone. `needs` holds what it was applied on, which
    its own device may not show: the export that a storage is on.
    """

    commit: str
    path: Path
    values: Values
    policy: Policy
    proved: bool = True  # False: the journal began it, and nobody has read it back yet
    needs: frozenset[Key] = frozenset()


Ownership = Mapping[Key, OwnedRecord]
"""All of it, by identity."""


def record_data(record: OwnedRecord) -> dict[str, Any]:
    """A record as plain JSON, without `proved`; a reset is null. Secrets in it are references."""
    policy = record.policy
    return {
        "commit": record.commit,
        "path": list(record.path),
        "values": {
            name: None if value is Mark.RESET else value for name, value in record.values.items()
        },
        "manage": sorted(policy.manage),
        "protect": policy.protect,
        "drift": policy.drift,
        "needs": [[need.device, need.kind, need.id] for need in sorted(record.needs)],
    }


def record_of(data: Mapping[str, Any], *, proved: bool) -> OwnedRecord:
    """The record that `record_data` wrote."""
    policy = Policy(
        manage=frozenset(Act(act) for act in data["manage"]),
        protect=data["protect"],
        drift=Drift(data["drift"]),
    )
    values = {name: _value(value) for name, value in data["values"].items()}
    needs = frozenset(Key(*need) for need in data.get("needs", ()))
    return OwnedRecord(data["commit"], tuple(data["path"]), values, policy, proved, needs)


def _value(data: Any) -> Value | Mark:
    if data is None:
        return Mark.RESET
    return tuple(_value(each) for each in data) if isinstance(data, list) else data
