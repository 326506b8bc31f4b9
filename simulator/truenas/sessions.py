"""iSCSI sessions: which hosts are logged in to which targets, as the twin's paths say.

Source: reference of the TrueNAS API, block storage chain. Leaves out: CHAP (a host is taken to have
the right secret), and hosts outside the lab.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.served import target_logins
from simulator.truenas.world import Login


def live_sessions(call: Call) -> Iterator[tuple[int, Login]]:
    """Target and login of every session."""
    documents = call.documents
    logins = [login for login, _ in call.world.logins()]
    offered = {
        target: target_logins(documents, target) for target in documents.rows("iscsi.target")
    }
    for target, pairs in offered.items():
        for login in logins:
            if (login.portal, login.initiator) in pairs or (login.portal, "*") in pairs:
                yield target, login


def busy_targets(call: Call, targets: Collection[int]) -> set[int]:
    """Those of the targets that a host is logged in to."""
    return {target for target, _ in live_sessions(call) if target in targets}


@serves("iscsi.global.sessions")
def sessions(call: Call) -> object:
    """Every session."""
    base = call.documents.settings["iscsi.global"]["basename"]
    rows = call.documents.rows("iscsi.target")
    found: list[Entry] = []
    for target, login in live_sessions(call):
        name = rows[target]["name"]
        whole = name if name.startswith(("iqn.", "naa.", "eui.")) else f"{base}:{name}"
        found.append(
            {
                "initiator": login.initiator,
                "initiator_addr": login.address,
                "initiator_alias": None,
                "target": whole,
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
