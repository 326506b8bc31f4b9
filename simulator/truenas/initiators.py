"""iSCSI initiator groups: which hosts may log in; an empty list is everybody.

Deleting a group that a target names is not refused: the target keeps a null in its place, which is
everybody. Source: reference of the TrueNAS API, block storage chain.
"""

from __future__ import annotations

from simulator.truenas.call import Call
from simulator.truenas.crud import Resource

TABLE = "iscsi.initiator"


def _delete(call: Call, identity: int) -> None:
    RESOURCE.drop(call, identity)
    targets = call.documents.rows("iscsi.target")
    for key, row in list(targets.items()):
        groups = [
            {**group, "initiator": None} if group["initiator"] == identity else group
            for group in row["groups"]
        ]
        targets[key] = {**row, "groups": groups}


RESOURCE = Resource(TABLE, "iscsi_initiator", "Initiator", delete=_delete)
