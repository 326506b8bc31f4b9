"""The states of a service, each a function that looks once and may enter another.

Called again and again within a round until nothing changes, so chains of states take no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.cluster.documents import LrmResult, ServiceRecord
from simulator.cluster.guests import type_of
from simulator.cluster.nodes import offline_delayed
from simulator.cluster.state import CRM
from simulator.cluster.turn import Turn

MOVES = ("migrate", "relocate")
LEFTOVER_LOCKS = frozenset(
    {"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete"}
    | {"suspending", "suspended"}
)
"""Locks that the action of a dead node left. Source: pve-ha-manager, Env::PVE2."""

OK, ERROR, WRONG_NODE, IGNORED = 0, 1, 3, 8
"""Exit codes of an LRM's jobs that the manager tells apart. Source: pve-ha-manager, Tools."""


def step(turn: Turn, sid: str) -> None:
    """Let a service look at its node, its wanted state, its command and its LRM's result."""
    record = turn.records[sid]
    STATES[record.state](turn, sid, turn.results.get(record.uid))


def _fence_if_silent(turn: Turn, sid: str) -> None:
    now_s = turn.cluster.clock_s(turn.node, CRM)
    if offline_delayed(turn.manager, turn.records[sid].node, now_s):
        turn.change(sid, "fence")


def _request_start(turn: Turn, sid: str, result: LrmResult | None) -> None:
    node = turn.records[sid].node
    if turn.manager.crs.rebalance_on_start:
        chosen = turn.select(sid, "best-score")
        which = "current" if chosen == node else "new"
        if chosen:
            turn.say(
                "info", f"service {sid}: re-balance selected {which} node {chosen} for startup"
            )
        if chosen and chosen != node:
            turn.change(sid, "request_start_balance", node, chosen)
            return
    turn.change(sid, "started", node)


def _request_stop(turn: Turn, sid: str, result: LrmResult | None) -> None:
    if result is None:
        _fence_if_silent(turn, sid)
    elif result.exit_code == OK:
        turn.change(sid, "stopped")
    else:
        turn.say("err", f"service '{sid}' stop failed (exit code {result.exit_code})")
        turn.change(sid, "error")


def _stopped(turn: Turn, sid: str, result: LrmResult | None) -> None:
    record, config = turn.records[sid], turn.services[sid]
    if record.node != config.node:
        turn.say("info", f"fixup service '{sid}' location ({record.node} => {config.node})")
        record = turn.records[sid] = replace(record, node=config.node)
    if record.command:
        if _may_move(turn, sid, record):
            turn.change(sid, record.command[0], record.node, record.command[1])
            return
        if record.command[0] == "stop":
            ignored = f"ignore service '{sid}' stop request - service already stopped"
            turn.say("info", ignored)
        turn.records[sid] = replace(record, command=())
    if config.state == "disabled":
        return
    silent = offline_delayed(turn.manager, record.node, turn.cluster.clock_s(turn.node, CRM))
    if silent and turn.manager.node_states.get(record.node) != "maintenance":
        turn.change(sid, "fence")
        return
    if config.state == "started":
        turn.change(sid, "request_start", record.node)
    elif config.state != "stopped":
        _unknown_wanted(turn, sid)


def _unknown_wanted(turn: Turn, sid: str) -> None:
    wanted = turn.wanted(sid)
    turn.say("err", f"service '{sid}' - unknown state '{wanted}' in service configuration")


def _may_move(turn: Turn, sid: str, record: ServiceRecord) -> bool:
    """Whether its command is a move that can be; says why not."""
    word, target = (*record.command, "")[:2]
    if word not in MOVES:
        return False
    ignored = f"ignore service '{sid}' {word} request -"
    if target not in turn.online:
        turn.say("err", f"{ignored} node '{target}' not online")
    elif target == record.node:
        turn.say("info", f"{ignored} service already on node '{target}'")
    else:
        return True
    return False


def _started(turn: Turn, sid: str, result: LrmResult | None) -> None:
    record, config = turn.records[sid], turn.services[sid]
    if record.node not in turn.online:
        _fence_if_silent(turn, sid)
        if turn.manager.node_states.get(record.node) != "maintenance":
            return
        turn.records[sid] = replace(turn.records[sid], maintenance_node=record.node)
        record = turn.records[sid]
    if config.state in ("disabled", "stopped"):
        turn.change(sid, "request_stop")
    elif config.state != "started":
        _unknown_wanted(turn, sid)
    elif record.command:
        _obey(turn, sid, record)
    else:
        preference = _judged_start(turn, sid, result)
        if preference is not None:
            _settle(turn, sid, preference, new_uid=result is not None)


def _obey(turn: Turn, sid: str, record: ServiceRecord) -> None:
    """Take up what a user asked for of a started service."""
    word = record.command[0]
    if _may_move(turn, sid, record):
        target = record.command[1]
        turn.say("info", f"{word} service '{sid}' to node '{target}'")
        turn.change(sid, word, record.node, target)
    elif word == "stop":
        timeout_s = int(record.command[1])
        if timeout_s:
            asked = f"graceful stop with timeout '{timeout_s}'"
        else:
            asked = "immediate service hard-stop"
        turn.say("info", f"request {asked} for service '{sid}'")
        turn.change(sid, "request_stop", timeout_s=timeout_s)
        turn.configure(sid, state="stopped")
    else:
        turn.records[sid] = replace(record, command=())


def _judged_start(turn: Turn, sid: str, result: LrmResult | None) -> str | None:
    """Return the preference for its node after what its LRM said; None: it is in error now."""
    record = turn.records[sid]
    if result is None:
        return "none"
    if result.exit_code == OK:
        if record.failed_nodes:
            failed = ", ".join(record.failed_nodes)
            done = f"relocation policy successful for '{sid}' on node '{record.node}'"
            turn.say("info", f"{done}, failed nodes: {failed}")
        if record.failed_nodes or not record.running:
            turn.records[sid] = replace(record, failed_nodes=(), running=True)
        return "none"
    failed_nodes = (*record.failed_nodes, record.node)
    running = record.running and result.exit_code not in (ERROR, WRONG_NODE)
    turn.records[sid] = replace(record, failed_nodes=failed_nodes, running=running)
    if result.exit_code not in (ERROR, WRONG_NODE):
        code = result.exit_code
        turn.say("err", f"service '{sid}' got unrecoverable error (exit code {code})")
    elif len(failed_nodes) <= turn.services[sid].max_relocate:
        failed = f"starting service {sid} on node '{record.node}' failed"
        turn.say("warning", f"{failed}, relocating service.")
        return "try-next"
    else:
        failed = f"recovery policy for service {sid} failed, entering error state."
        turn.say("err", f"{failed} Failed nodes: {', '.join(failed_nodes)}")
    turn.change(sid, "error")
    return None


def _settle(turn: Turn, sid: str, preference: str, *, new_uid: bool) -> None:
    """Let a started service stay or go where it should be."""
    record, node = turn.records[sid], turn.select(sid, preference)
    if node and node != record.node:
        _leave_maintenance(turn, sid, record, node)
        if type_of(sid) == "vm":
            turn.say("info", f"migrate service '{sid}' to node '{node}' (running)")
            turn.change(sid, "migrate", record.node, node)
        else:
            turn.say("info", f"relocate service '{sid}' to node '{node}'")
            turn.change(sid, "relocate", record.node, node)
        return
    if preference == "try-next" and not node:
        retry = f"Tried all available nodes for service '{sid}', retry start on current node."
        tried = ", ".join(record.failed_nodes)
        turn.say("warning", f"Start Error Recovery: {retry} Tried nodes: {tried}")
    if record.maintenance_node == record.node and record.node in turn.online:
        stale = f"clearing stale maintenance node '{record.node}' setting (is current node)"
        turn.say("info", f"service '{sid}': {stale}")
        record = replace(record, maintenance_node="")
    if new_uid:
        record = replace(record, uid=turn.cluster.new_uid())
    turn.records[sid] = record


def _leave_maintenance(turn: Turn, sid: str, record: ServiceRecord, node: str) -> None:
    """Forget the node it would go back to, if it goes there now or was elsewhere already."""
    back = record.maintenance_node
    if not back:
        return
    if node == back:
        moved = f"moving service '{sid}' back to '{back}', node came back from maintenance."
        turn.say("info", moved)
    elif record.node != back:
        turn.say("info", f"dropping maintenance fallback node '{back}' for '{sid}'")
    else:
        return
    turn.records[sid] = replace(record, maintenance_node="")


def _moving(turn: Turn, sid: str, result: LrmResult | None) -> None:
    record = turn.records[sid]
    after = "started" if turn.wanted(sid) == "started" else "request_stop"
    if result is None:
        _fence_if_silent(turn, sid)
    elif result.exit_code == OK:
        turn.change(sid, after, record.target)
    elif result.exit_code == WRONG_NODE:
        wrong = "migration failed: service registered on wrong node!"
        turn.say("err", f"service '{sid}' - {wrong}")
        turn.change(sid, "error")
        _fence_if_silent(turn, sid)
    elif result.exit_code == IGNORED:
        ignored = "rebalance-on-start request ignored - service already running"
        turn.say("info", f"service '{sid}' - {ignored}")
        turn.change(sid, after, record.node)
        _fence_if_silent(turn, sid)
    else:
        code = result.exit_code
        turn.say("err", f"service '{sid}' - migration failed (exit code {code})")
        turn.change(sid, after, record.node)


def _fence(turn: Turn, sid: str, result: LrmResult | None) -> None:
    """Wait: its node is fenced after all services had their look."""


def _recovery(turn: Turn, sid: str, result: LrmResult | None) -> None:
    old, node = turn.records[sid].node, turn.select(sid, "best-score")
    if not node:
        failed = f"recovering service '{sid}' from fenced node '{old}' failed"
        turn.say("err", f"{failed}, no recovery node found")
        _stop_if_disabled(turn, sid)
        return
    if node == old:
        told = f"recover service '{sid}' to previous failed and fenced node '{old}' again"
    else:
        told = f"recover service '{sid}' from fenced node '{old}' to node '{node}'"
    turn.say("info", told)
    lock = turn.services[sid].lock
    if lock in LEFTOVER_LOCKS:
        turn.configure(sid, lock="")
        removed = f"removed leftover lock '{lock}' from recovered service '{sid}'"
        turn.say("warning", f"{removed} to allow its start.")
    turn.configure(sid, node=node)
    turn.change(sid, "started" if turn.wanted(sid) == "started" else "request_stop", node)


def _stop_if_disabled(turn: Turn, sid: str) -> None:
    if turn.wanted(sid) == "disabled":
        turn.records[sid] = replace(turn.records[sid], failed_nodes=())
        turn.change(sid, "stopped")


def _frozen(turn: Turn, sid: str, result: LrmResult | None) -> None:
    if turn.modes.get(turn.records[sid].node) == "active":
        turn.change(sid, "started" if turn.wanted(sid) == "started" else "request_stop")


def _error(turn: Turn, sid: str, result: LrmResult | None) -> None:
    _stop_if_disabled(turn, sid)


STATES: Mapping[str, Callable[[Turn, str, LrmResult | None], None]] = {
    "request_start": _request_start,
    "request_start_balance": _moving,
    "request_stop": _request_stop,
    "stopped": _stopped,
    "started": _started,
    "migrate": _moving,
    "relocate": _moving,
    "fence": _fence,
    "recovery": _recovery,
    "freeze": _frozen,
    "error": _error,
}
