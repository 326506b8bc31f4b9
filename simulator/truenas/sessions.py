"""iSCSI sessions: which hosts are logged in to which targets, as the twin's paths say.

Source: reference of the TrueNAS API, block storage chain. Leaves out: CHAP (a host is taken to have
the right secret), and hosts outside the lab.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from simulator.truenas.attachments import ASSOCIATIONS, EXTENTS, extent_dataset
from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.served import full_name, target_logins
from simulator.truenas.world import Login
from simulator.workload import EVERYBODY


def live_sessions(call: Call) -> Iterator[tuple[int, Login]]:
    """Target and login of every session: a host is in where it sees a LUN."""
    documents, logins = call.documents, list(call.world.logins())
    volumes: dict[int, set[str]] = {}
    for row in documents.rows(ASSOCIATIONS).values():
        extent = documents.rows(EXTENTS).get(row["extent"])
        if extent is not None and row["target"] in documents.rows("iscsi.target"):
            volumes.setdefault(row["target"], set()).add(extent_dataset(extent))
    for target, shown in volumes.items():
        pairs = target_logins(documents, target)
        name = full_name(documents, documents.rows("iscsi.target")[target]["name"])
        for login, seen in logins:
            known = (login.portal, login.initiator) in pairs or (login.portal, EVERYBODY) in pairs
            if known and shown & seen and call.world.logged_in(login, name):
                yield target, login


def busy_targets(call: Call, targets: Collection[int]) -> set[int]:
    """Those of the targets that a host is logged in to."""
    return {target for target, _ in live_sessions(call) if target in targets}


@serves("iscsi.global.sessions")
def sessions(call: Call) -> object:
    """Every session."""
    rows = call.documents.rows("iscsi.target")
    found: list[Entry] = []
    for target, login in live_sessions(call):
        name = rows[target]["name"]
        found.append(
            {
                "initiator": login.initiator,
                "initiator_addr": login.address,
                "initiator_alias": None,
                "target": full_name(call.documents, name),
                "target_alias": rows[target]["alias"] or name,
                "header_digest": None,
                "data_digest": None,
                "max_data_segment_length": None,
                "max_receive_data_segment_length": 262_144,
                "max_xmit_data_segment_length": 262_144,
                "max_burst_length": 16_776_192,
                "first_burst_length": 65_536,
                "immediate_data": True,
                "iser": False,
                "offload": False,
            }
        )
    return call.selected(found)


@serves("iscsi.global.client_count")
def client_count(call: Call) -> object:
    """Hosts that are logged in."""
    return len({login.initiator for _, login in live_sessions(call)})
