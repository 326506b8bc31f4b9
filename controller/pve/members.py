"""Which nodes a cluster misses. Source: the Proxmox VE API, GET /cluster/status."""

from __future__ import annotations

from controller.step import Answers, Query

MEMBERS = Query("/cluster/status")


def away(answers: Answers) -> tuple[str, ...]:
    """Nodes that the cluster says are offline; none if it was not asked or did not answer."""
    rows = answers.get(MEMBERS.text)
    return tuple(
        str(row["name"])
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict) and row.get("type") == "node" and not row.get("online")
    )
