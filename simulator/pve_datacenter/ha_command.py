"""`ha-manager`, as root runs it on a node: the way to what has no call, such as node maintenance.

Whoever serves a node's shell hands the words over; they end in the same queue as the API's
requests. Source: ha-manager(1). Leaves out: adding and changing resources and rules, which the API
has calls for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simulator.ha.part import ha_command
from simulator.pve.call import Call
from simulator.pve_datacenter.ha_status import rows

if TYPE_CHECKING:
    from simulator.pve.api import PveApi
    from simulator.twin import Twin

FAILED = 255  # exit status of a PVE::CLIHandler that died


class Said(NamedTuple):
    """What a command answers."""

    status: int
    out: str = ""
    err: str = ""


def ha_manager(api: PveApi, twin: Twin, node: str, words: list[str]) -> Said:
    """Run `ha-manager WORDS` on a node that is up."""
    call = Call(api, twin, node, "root@pam")
    match words:
        case ["status"]:
            told = [f"{row['type']} {row['status']}\n" for row in rows(call)]
            return Said(0, "".join(told))
        case ["crm-command", "node-maintenance", ("enable" | "disable") as word, target]:
            if target not in call.world.nodes:
                return Said(FAILED, err=f"no such node '{target}'\n")
            return _queue(call, f"{word}-node-maintenance {target}")
        case ["crm-command", ("migrate" | "relocate" | "stop") as word, sid, value]:
            if sid not in api.documents.ha_resources:
                return Said(FAILED, err=f"service '{sid}' not found\n")
            return _queue(call, f"{word} {sid} {value}")
        case ["crm-command", "disarm-ha", ("freeze" | "ignore") as mode]:
            return _queue(call, f"disarm-ha {mode}")
        case ["crm-command", "arm-ha"]:
            return _queue(call, "arm-ha")
    return Said(FAILED, err=f"ERROR: unknown command 'ha-manager {' '.join(words)}'\n")


def _queue(call: Call, command: str) -> Said:
    if not call.world.quorate(call.node):
        return Said(FAILED, err="cluster not ready - no quorum?\n")
    ha_command(call.twin, call.api.cluster, command)
    return Said(0)
