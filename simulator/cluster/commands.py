"""The CRM commands that users queue: moves, stops, maintenance, disarm.

The master takes them up once a round, in their order. A move is only noted here; the service
takes it up from its own state.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.cluster.documents import Disarm
from simulator.cluster.turn import Turn


def process(turn: Turn) -> None:
    """Empty the queue; raises CfsUnavailable."""
    turn.cluster.need_cfs(turn.node)
    queue, turn.cluster.queue = turn.cluster.queue, ()
    for command in queue:
        _process(turn, command)


def _process(turn: Turn, command: str) -> None:
    match command.split():
        case [("migrate" | "relocate") as word, sid, target]:
            _move(turn, command, word, sid, target)
        case ["stop", sid, timeout] if timeout.isdecimal():
            _stop(turn, command, sid, timeout)
        case ["enable-node-maintenance", node]:
            _enable_maintenance(turn, command, node)
        case ["disable-node-maintenance", node]:
            _disable_maintenance(turn, node)
        case ["disarm-ha", ("freeze" | "ignore") as mode]:
            _disarm(turn, mode)
        case ["arm-ha"]:
            _arm(turn)
        case _:
            turn.say("err", f"unable to parse crm command: {command}")


def _move(turn: Turn, command: str, word: str, sid: str, target: str) -> None:
    if sid not in turn.records:
        turn.say("err", f"crm command error - no such service: {command}")
    elif target not in turn.online:
        turn.say("err", f"crm command error - node not online: {command}")
    elif turn.records[sid].node == target:
        ignored = "ignore crm command - service already on target node"
        turn.say("info", f"{ignored}: {command}")
    else:
        queue_move(turn, command, word, sid, target)


def queue_move(turn: Turn, command: str, word: str, sid: str, target: str) -> None:
    """Note a move for a service and those it belongs with, unless one it avoids is there."""
    for other in turn.compiled.negative(sid):
        record = turn.records.get(other)
        if record and record.node in ("", target) and record.target in ("", target):
            avoided = f"service '{other}' on node '{target}' in negative affinity"
            refused = f"crm command '{command}' error - {avoided} with service '{sid}'"
            turn.say("err", refused)
            return
    turn.say("info", f"got crm command: {command}")
    turn.records[sid] = replace(turn.records[sid], command=(word, target))
    for other in turn.compiled.positive(sid):
        record = turn.records.get(other)
        if record and target not in (record.node, record.target):
            along = f"{word} service '{other}' to node '{target}'"
            why = f"service '{other}' in positive affinity with service '{sid}'"
            turn.say("info", f"crm command '{command}' - {along} ({why})")
            turn.records[other] = replace(record, command=(word, target))


def _stop(turn: Turn, command: str, sid: str, timeout: str) -> None:
    if sid not in turn.records:
        turn.say("err", f"crm command error - no such service: {command}")
        return
    turn.say("info", f"got crm command: {command}")
    turn.records[sid] = replace(turn.records[sid], command=("stop", timeout))


def _enable_maintenance(turn: Turn, command: str, node: str) -> None:
    manager = turn.manager
    if manager.disarm:
        ignored = f"ignoring maintenance command for node {node} - HA stack is disarmed"
        turn.say("warn", ignored)
    elif node in turn.online:
        manager.maintenance |= {node}
    elif manager.node_states.get(node) == "maintenance":
        ignored = f"ignoring crm command - node {node} is already in maintenance state"
        turn.say("info", ignored)
    else:
        turn.say("err", f"crm command error - node not online: {command}")


def _disable_maintenance(turn: Turn, node: str) -> None:
    state = turn.manager.node_states.get(node, "unknown")
    if state != "maintenance":
        cleared = f"clearing maintenance of node {node} requested, but it's in state {state}"
        turn.say("warn", cleared)
    turn.manager.maintenance -= {node}


def _disarm(turn: Turn, mode: str) -> None:
    if turn.manager.disarm:
        state = turn.manager.disarm.state
        turn.say("notice", f"ignoring disarm-ha command - already in disarm state ({state})")
        return
    turn.say("info", f"got crm command: disarm-ha {mode}")
    if mode == "ignore":
        for sid in sorted(turn.records):
            turn.say("info", f"disarm: suspending HA tracking for service '{sid}'")
    turn.manager.disarm = Disarm(mode)


def _arm(turn: Turn) -> None:
    disarm = turn.manager.disarm
    if disarm is None:
        turn.say("notice", "ignoring arm-ha command - HA stack is not disarmed")
        return
    turn.say("info", "got crm command: arm-ha")
    if disarm.mode == "ignore":
        for sid, record in sorted(turn.records.items()):
            config = turn.services.get(sid)
            if config and config.node != record.node:
                moved = f"updating node '{record.node}' => '{config.node}'"
                turn.say("info", f"service '{sid}': {moved} (changed while disarmed)")
                turn.records[sid] = replace(record, node=config.node)
    turn.manager.disarm = None
