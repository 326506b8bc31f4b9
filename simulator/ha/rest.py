"""What decides what the HA daemons of a cluster do next: compared, to see whether they rest.

`stack` takes the shape after two rounds a beat apart: if it is the same, and no age can change
anything, the rounds that follow bring nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.cluster.documents import Records
from simulator.cluster.locks import agent_lock
from simulator.cluster.state import Cluster, Manager


def shape_of(cluster: Cluster) -> tuple[object, ...]:
    """All that rounds depend on, but for names that change with every round, and ages."""
    status = cluster.status
    uids = {record.uid for record in status.services.values()}
    return (
        cluster.queue,
        _records(status.services),
        status.master_node,
        status.nodes,
        status.maintenance,
        status.disarm,
        {
            node: (
                one.state,
                one.mode,
                {(r.sid, r.state, r.exit_code, uid in uids) for uid, r in one.results.items()},
            )
            for node, one in cluster.lrm_status.items()
        },
        {name: lock.node for name, lock in cluster.locks.items()},
        set(cluster.watchdogs),
        {
            node: (one.state, one.idle_rounds, one.disarmed, one.shutdown, _memory(one.manager))
            for node, one in cluster.crms.items()
        },
        {
            node: (
                one.state,
                one.mode,
                one.idle_rounds,
                one.shutdown,
                one.failed_stops,
                tuple(one.jobs),
                tuple(one.moving),
                {sid: n for sid, n in one.restarts.items() if n},
            )
            for node, one in cluster.lrms.items()
        },
    )


def _memory(manager: Manager | None) -> tuple[object, ...]:
    if manager is None:
        return ()
    return (
        _records(manager.records),
        dict(manager.node_states),
        manager.maintenance,
        manager.disarm,
        manager.hold,
        manager.rounds_to_group_migration,
        manager.fully_disarmed,
    )


def _records(records: Records) -> dict[str, tuple[object, ...]]:
    return {
        sid: (
            record.state,
            record.node,
            record.target,
            record.timeout_s,
            record.command,
            record.failed_nodes,
            record.maintenance_node,
            record.running,
        )
        for sid, record in records.items()
    }


def stamps_of(cluster: Cluster) -> Iterator[tuple[object, float]]:
    """Every instant whose age may decide something.

    Of a node that is off and has no service it decides nothing before one of the two changes.
    """
    wanted = {node for rec in cluster.status.services.values() for node in (rec.node, rec.target)}
    asleep = {node for node in cluster.machines if node not in cluster.lrms and node not in wanted}
    unused = {agent_lock(node) for node in asleep}
    yield from (
        (name, lock.renewed_s) for name, lock in cluster.locks.items() if name not in unused
    )
    yield from cluster.watchdogs.items()
    for node, one in cluster.crms.items():
        for seen, at_s in (one.manager.last_online_s if one.manager else {}).items():
            if seen not in asleep:
                yield (node, seen, "online"), at_s
    for node, guard in cluster.lrms.items():
        if guard.state == "lost_agent_lock":
            yield (node, guard.state), guard.entered_s
