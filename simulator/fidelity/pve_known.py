"""Recorded answers that ours differ from, each with its reason: tested as expected failures.

Read by `pve_api`. A difference that is not here is a fault of ours.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A difference that is understood. Empty fields fit everything."""

    area: str
    why: str
    seq: str = ""
    numbers: AbstractSet[int] = frozenset()
    call: str = ""

    def fits(self, area: str, seq: str, n: int, call: str) -> bool:
        """Whether an exchange is meant."""
        return (
            area == self.area
            and self.seq in ("", seq)
            and (not self.numbers or n in self.numbers)
            and (not self.call or re.fullmatch(self.call, call) is not None)
        )


_EARLIER = "lists tasks of sequences that were recorded before"
_RESULTS = "still has a result of a sequence that was recorded before"

KNOWN: tuple[Known, ...] = (
    Known("cluster", "memory use on the host comes with pvestatd's second round", "no_quorum", {4}),
    Known(
        "cluster", "a dead node on one segment is always `No route to host` here", "no_quorum", {6}
    ),
    Known("cluster", "the recording ran in Madrid's time zone", "node_config", {19}),
    Known("cluster", _EARLIER, "node_config", {21}),
    Known("version", _EARLIER, "version", {23}),
    Known("qemu", "EFI disks can be made here; the recorder lacked a tool", "create", {17, 79}),
    Known(
        "network",
        "reloading activates interfaces here; the recorder's did not",
        "port_conflicts",
        {17},
    ),
    Known(
        "sdn",
        "which of several nets is named comes from Perl's hash order",
        call="DELETE /cluster/sdn/zones/.*",
    ),
    Known("ha", _RESULTS, "live_node_loss", {23}),
    Known("ha", _RESULTS, "live_stopped", {3}),
    Known("ha", _EARLIER, "live_stopped", {24}),
)
