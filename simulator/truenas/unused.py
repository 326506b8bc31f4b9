"""Features of which an array of the lab has none: their lists are there, and empty.

Clients that watch an array ask for all of them. Nothing can be made in them here. Source: the
namespaces of the TrueNAS API.
"""

from __future__ import annotations

from simulator.truenas.call import Call, serves

NAMESPACES = (
    "app", "cloudsync", "cronjob", "keychaincredential", "replication", "rsynctask", "sharing.smb",
    "vm",
)  # fmt: skip


@serves(*(f"{namespace}.query" for namespace in NAMESPACES))
def query(call: Call) -> object:
    """None of them."""
    return call.selected([])
