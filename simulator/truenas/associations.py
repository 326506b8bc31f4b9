"""Which extent is which LUN of which target. Source: reference of the TrueNAS API, block storage
chain.
"""

from __future__ import annotations

import errno

from simulator.truenas.attachments import ASSOCIATIONS
from simulator.truenas.call import Call
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.errors import CallError
from simulator.truenas.sessions import busy_targets

LUNS = range(16_383)


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    others = list(draft.others(call, ASSOCIATIONS).values())
    if new["target"] not in call.documents.rows("iscsi.target"):
        problems.add("target", f"Target {new['target']} does not exist", errno.ENOENT)
    if new["extent"] not in call.documents.rows("iscsi.extent"):
        problems.add("extent", f"Extent {new['extent']} does not exist", errno.ENOENT)
    elif any(row["extent"] == new["extent"] for row in others):
        problems.add("extent", "Extent is already in use", errno.EEXIST)
    taken = {row["lunid"] for row in others if row["target"] == new["target"]}
    if new["lunid"] is None:
        new["lunid"] = next(number for number in LUNS if number not in taken)
    elif new["lunid"] not in LUNS:
        problems.add("lunid", f"LUN ID must be between 0 and {LUNS[-1]}")
    elif new["lunid"] in taken:
        problems.add("lunid", "LUN ID is already being used for this target.", errno.EEXIST)


def _delete(call: Call, identity: int) -> None:
    target = call.documents.rows(ASSOCIATIONS)[identity]["target"]
    if busy_targets(call, {target}) and not call.args["force"]:
        name = call.documents.rows("iscsi.target")[target]["name"]
        raise CallError(f"Associated target {name} is in use.")
    RESOURCE.drop(call, identity)


RESOURCE = Resource(ASSOCIATIONS, "iscsi_targetextent", "Target to Extent", _check, delete=_delete)
