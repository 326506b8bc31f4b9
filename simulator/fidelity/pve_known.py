"""Recorded answers that ours differ from, each with its reason: tested as expected failures.

Read by `pve_api`. A difference that is not here is a fault of ours. It is known by what differs, so
that another recording of the same kind is judged alike; by its place only where nothing else tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A difference that is understood. `calls`, `differs`: patterns of the call, and of how it
    differs; `place`: a pattern of AREA/SEQUENCE/NUMBER. Where `differs` has numbers of rows, theirs
    are more.
    """

    calls: str
    differs: str
    why: str
    place: str = ".*"

    def fits(self, place: str, call: str, how: str) -> bool:
        """Whether an exchange, and how it differs, is meant."""
        found = re.match(self.differs, how)
        if found is None or not re.fullmatch(self.calls, call):
            return False
        fewer = not found.groups() or int(found[1]) < int(found[2])
        return fewer and re.fullmatch(self.place, place) is not None


_FEWER = r"(\d+) rows, not (\d+)$"

KNOWN: tuple[Known, ...] = (
    Known(
        "GET /cluster/tasks|GET /nodes/[^/]+/tasks", f"data: {_FEWER}",
        "lists tasks of sequences that were recorded before",
    ),
    Known(
        "GET /cluster/ha/status/manager_status", rf"data\.lrm_status\.\S+\.results: {_FEWER}",
        "still has a result of a sequence that was recorded before",
    ),
    Known(
        "GET /cluster/resources|GET .*/status/current", r"data: without \[\], with \['memhost'\]",
        "memory use on the host comes with pvestatd's second round",
    ),
    Known(
        ".*", "reason 'No route to host', not 'Connection timed out'",
        "a dead node on one segment is always `No route to host` here",
    ),
    Known(
        "GET /nodes/[^/]+/time", r"data\.timezone: ours 'Etc/UTC'",
        "the recording ran in another time zone",
    ),
    Known(
        "GET /nodes/[^/]+/network", r"data: without \[\], with \['active'\]",
        "reloading activates interfaces here; the recorder's did not",
    ),
    Known(
        "DELETE /cluster/sdn/zones/.*", "reason '.* is used by vnet .*', not '.* is used by vnet ",
        "which of several nets is named comes from Perl's hash order",
    ),
    Known(
        "GET /nodes/[^/]+/qemu.*", "status 200 .*, not 500 .*does not exist|data: 10 rows, not 9",
        "EFI disks can be made here; the recorder lacked a tool", place="qemu/create/(17|79)",
    ),
)  # fmt: skip
