"""Conditions: what an operator reads first, for the lab and for each object.

Types follow the Kubernetes convention (Ready, Reconciling, Stalled) plus Safe and Drifted. A
condition keeps the instant at which its status last changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class ConditionType(StrEnum):
    """What is judged."""

    READY = "Ready"  # the lab is as the commit says
    RECONCILING = "Reconciling"  # it is being made so
    STALLED = "Stalled"  # it will not become so by itself
    SAFE = "Safe"  # every invariant holds
    DRIFTED = "Drifted"  # somebody else changed something


class Status(StrEnum):
    """The third value is honest ignorance."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """`reason` is one CamelCase word for machines, `message` a sentence for people."""

    type: ConditionType
    status: Status
    reason: str
    message: str = ""
    since_s: float = 0.0


Conditions = Mapping[ConditionType, Condition]


def updated(old: Conditions, new: list[Condition], now_s: float) -> dict[ConditionType, Condition]:
    """`old` with `new` laid over; `since_s` moves only where the status changed."""
    result = dict(old)
    for condition in new:
        before = old.get(condition.type)
        same = before is not None and before.status == condition.status
        since_s = before.since_s if before is not None and same else now_s
        result[condition.type] = replace(condition, since_s=since_s)
    return result
