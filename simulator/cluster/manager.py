"""The master's round: what is there, what is wanted, what services do next, written at the end.

A round reads shared documents, works in the master's memory and writes the manager status; one
that fails (CfsUnavailable) has changed the memory and written nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from simulator.cluster import commands, disarm, nodes, services
from simulator.cluster.documents import (
    Groups,
    Line,
    ManagerStatus,
    NodeInfo,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.groups import RETRY_ROUNDS, group_rules, migrate, with_failback
from simulator.cluster.guests import type_of
from simulator.cluster.nodes import Say
from simulator.cluster.rebalance import rebalance
from simulator.cluster.rules import Compiled, compile_rules
from simulator.cluster.state import CRM, Cluster, Manager
from simulator.cluster.turn import Turn, online_nodes
from simulator.cluster.usage import Usage, build_usage, overcommitted

IDLE_STATES = frozenset({"stopped", "freeze", "error", "request_start"})
"""States in which a service needs no LRM. Source: pve-ha-manager, LRM."""


def new_manager(cluster: Cluster, node: str) -> Manager:
    """Return the memory of a node's CRM that has become master."""
    status, crs = cluster.status, cluster.datacenter.crs
    if crs.mode != "basic":
        cluster.tell(node, CRM, "info", f"using scheduler mode '{crs.mode}'")
    return Manager(
        dict(status.nodes), dict(status.services), status.maintenance, status.disarm, crs
    )


def active_count(node: str, records: Mapping[str, ServiceRecord]) -> int:
    """How many services are this node's LRM's to look after, those on their way to it too."""
    return sum(
        node in (record.node, record.target) and record.state not in IDLE_STATES
        for record in records.values()
    )


def round_of(cluster: Cluster, node: str, manager: Manager) -> None:
    """Do a round as the master on this node; raises CfsUnavailable."""

    def say(level: str, message: str) -> None:
        cluster.tell(node, CRM, level, message)

    infos = cluster.node_infos(node)
    cluster.need_cfs(node)
    lrms = {name: cluster.lrm_status.get(name) for name in manager.node_states}
    modes = {name: status.mode if status else "active" for name, status in lrms.items()}
    online = {name: info.online for name, info in infos.items()}
    nodes.update(manager, online, modes, cluster.clock_s(node, CRM), say)
    if manager.node_states.get(node) not in ("online", "maintenance"):
        say("info", "master seems offline")
        return
    _read_settings(cluster, manager, say)
    _migrate_groups(cluster, manager, infos, say)
    configured = with_failback(cluster.groups, cluster.services)
    if manager.disarm is None:
        _track(cluster, manager, configured, say)
    usage = _usage(cluster, manager, configured, infos, say)
    gone = {sid: ServiceConfig(rec.node) for sid, rec in manager.records.items()}  # while disarmed
    turn = Turn(
        cluster,
        node,
        manager,
        {**gone, **configured},
        _compiled(cluster, manager, configured, say),
        usage,
        modes,
        {uid: res for status in lrms.values() if status for uid, res in status.results.items()},
        online_nodes(manager),
    )
    commands.process(turn)
    restricted = _prepare(turn)
    if restricted is None or restricted:
        _settle(turn, restricted)
    _write(cluster, node, manager)


def _prepare(turn: Turn) -> Collection[str] | None:
    """Disarm or rebalance; returns the services to process, None for all."""
    manager = turn.manager
    if manager.disarm:
        unfinished = disarm.proceed(turn)
        manager.fully_disarmed = manager.disarm.state == "disarmed" and not unfinished
        return unfinished
    manager.fully_disarmed = False
    _rebalance(turn)
    return None


def _rebalance(turn: Turn) -> None:
    manager = turn.manager
    crs, online = manager.crs, turn.online
    manager.hold, move = rebalance(
        manager.hold, crs, turn.records, turn.compiled, online, turn.usage
    )
    if move is None:
        return
    word = "migrate" if type_of(move.sid) == "vm" else "relocate"
    change = f"expected change for imbalance from {move.before:.2f} to {move.after:.2f}"
    turn.say("info", f"auto rebalance - {word} {move.sid} to {move.target} ({change})")
    commands.queue_move(turn, f"{word} {move.sid} {move.target}", word, move.sid, move.target)


def _settle(turn: Turn, restricted: Collection[str] | None) -> None:
    """Let services look until none changes its state."""
    while _pass(turn, restricted):
        pass


def _pass(turn: Turn, restricted: Collection[str] | None) -> bool:
    sids = sorted(turn.records if restricted is None else restricted)
    changed = False
    for sid in sids:
        before = turn.records[sid].state
        services.step(turn, sid)
        record = turn.records[sid]
        if turn.modes.get(record.node) == "restart" and record.state in (
            "started",
            "stopped",
            "request_stop",
        ):
            turn.change(sid, "freeze")
        changed |= turn.records[sid].state != before
    return _fence(turn, sids) or changed


def _fence(turn: Turn, sids: Collection[str]) -> bool:
    """Fence the nodes of services that wait for it, and nodes left in that state."""
    fenced: dict[str, bool] = {}

    def fence(node: str) -> bool:
        if node not in fenced:
            fenced[node] = nodes.fence(turn.cluster, turn.node, turn.manager, node, turn.say)
            turn.online = online_nodes(turn.manager)
        return fenced[node]

    waiting = [sid for sid in sids if turn.records[sid].state == "fence"]
    changed = False
    for sid in waiting:
        if fence(turn.records[sid].node):
            turn.change(sid, "recovery")
            changed = True
    left = [node for node, state in sorted(turn.manager.node_states.items()) if state == "fence"]
    for node in left:
        if node not in fenced:
            interference = "no services to-fence! admin interference?!"
            turn.say("notice", f"node '{node}' in fence state but {interference}")
            changed |= fence(node)
    return changed


def _read_settings(cluster: Cluster, manager: Manager, say: Say) -> None:
    old, manager.crs = manager.crs, cluster.datacenter.crs
    if old.mode != manager.crs.mode:
        say("info", f"switching scheduler mode from '{old.mode}' to '{manager.crs.mode}'")


def _migrate_groups(
    cluster: Cluster, manager: Manager, infos: Mapping[str, NodeInfo], say: Say
) -> None:
    """Turn groups into rules once all nodes know rules; tried every so many rounds."""
    if not cluster.groups:
        return
    manager.rounds_to_group_migration -= 1
    if manager.rounds_to_group_migration > 0:
        return
    manager.rounds_to_group_migration = RETRY_ROUNDS
    migration = migrate(
        cluster.groups,
        cluster.rules,
        cluster.services,
        infos,
        manager.node_states,
        cluster.lrm_status,
        {node: active_count(node, manager.records) for node in infos},
    )
    _say_all(migration.lines, say)
    if migration.rules is not None and migration.services is not None:
        cluster.rules, cluster.services = migration.rules, dict(migration.services)
        cluster.groups = {}


def _track(
    cluster: Cluster, manager: Manager, configured: Mapping[str, ServiceConfig], say: Say
) -> None:
    """Begin with services that are new, forget those that are gone."""
    records = manager.records
    for sid, config in sorted(configured.items()):
        if sid not in records and config.state != "ignored":
            say("info", f"adding new service '{sid}' on node '{config.node}'")
            state = "request_start" if config.state == "started" else "request_stop"
            records[sid] = ServiceRecord(state, config.node, cluster.new_uid())
    for sid in sorted(records):
        known = configured.get(sid)
        why = "ignored state requested" if known else "no config"
        if known is None or known.state == "ignored":
            say("info", f"removing stale service '{sid}' ({why})")
            del records[sid]


def _compiled(
    cluster: Cluster, manager: Manager, configured: Mapping[str, ServiceConfig], say: Say
) -> Compiled:
    """Return the rules in force; only what they are made from makes them anew."""
    groups: Groups = cluster.groups
    made_from = frozenset(cluster.machines), cluster.rules, groups
    if manager.compiled is None or manager.compiled_from != made_from:
        rules = {**cluster.rules, **group_rules(groups, configured)}
        manager.compiled, lines = compile_rules(rules, sorted(cluster.machines))
        manager.compiled_from = made_from
        _say_all(lines, say)
    return manager.compiled


def _usage(
    cluster: Cluster,
    manager: Manager,
    configured: Mapping[str, ServiceConfig],
    infos: Mapping[str, NodeInfo],
    say: Say,
) -> Usage:
    if manager.crs.mode == "dynamic":
        for what in overcommitted(
            configured, infos, cluster.static_stats, cluster.dynamic_stats, cluster.running
        ):
            cluster.tell_hardware(f"overcommitted {what}", level="warning")
    usage, lines = build_usage(
        manager.crs,
        {node: infos[node] for node in sorted(online_nodes(manager)) if node in infos},
        manager.records,
        configured,
        cluster.static_stats,
        cluster.dynamic_stats,
        cluster.running,
    )
    _say_all(lines, say)
    return usage


def _say_all(lines: Collection[Line], say: Say) -> None:
    for line in lines:
        say(line.level, line.message)


def _write(cluster: Cluster, node: str, manager: Manager) -> None:
    cluster.need_cfs(node)
    cluster.status = ManagerStatus(
        node,
        dict(manager.node_states),
        dict(manager.records),
        manager.maintenance,
        manager.disarm,
        cluster.clock_s(node, CRM),
    )
