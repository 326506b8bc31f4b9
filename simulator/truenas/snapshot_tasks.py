"""Periodic snapshot tasks: kept and checked. Leaves out: their running, and what they remove."""

from __future__ import annotations

import errno

from simulator.truenas.call import Call, Entry
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.documents import Row

NEEDED = ("%Y", "%m", "%d", "%H", "%M")
BOUNDS = {"minute": (0, 59), "hour": (0, 23), "dom": (1, 31), "month": (1, 12), "dow": (1, 7)}


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    new.pop("fixate_removal_date", None)
    if new["dataset"] not in call.documents.datasets:
        problems.add("dataset", "ZFS dataset not found", errno.ENOENT)
    if missing := [word for word in NEEDED if word not in new["naming_schema"]]:
        problems.add("naming_schema", f"{', '.join(missing)} must be present in naming schema")
    if new["lifetime_value"] < 1:
        problems.add("lifetime_value", "Must be positive")
    if new["exclude"] and not new["recursive"]:
        problems.add("exclude", "Excluding datasets is not necessary for non-recursive tasks")
    for name, (low, high) in BOUNDS.items():
        text = str(new["schedule"][name])
        if text.isdecimal() and not low <= int(text) <= high:
            problems.add(f"schedule.{name}", f"Please use a value between {low} and {high}")


def _entry(call: Call, row: Row) -> Entry:
    del call
    return {**row, "vmware_sync": False, "state": {"state": "PENDING"}}


RESOURCE = Resource(
    "pool.snapshottask", "periodic_snapshot", "PeriodicSnapshotTask", _check, _entry
)
