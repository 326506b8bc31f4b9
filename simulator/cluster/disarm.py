"""Disarm: the stack lets go of watchdogs and locks, without losing what it knows of services.

Fences, recoveries and moves that go on are finished first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from simulator.cluster.documents import ServiceRecord
from simulator.cluster.services import MOVES
from simulator.cluster.turn import Turn

FENCES = ("fence", "recovery")
FREEZABLE = ("started", "stopped", "request_stop", "request_start", "request_start_balance")


def proceed(turn: Turn) -> Collection[str]:
    """Go on with a disarm; returns the services that must still be processed this round."""
    unfinished = [sid for sid, rec in sorted(turn.records.items()) if rec.state in FENCES + MOVES]
    for sid in unfinished:
        state = turn.records[sid].state
        level = "warn" if state in FENCES else "info"
        turn.say(level, f"deferring disarm - service '{sid}' is in '{state}' state")
    if not unfinished:
        _suspend(turn)
        _close(turn)
    return unfinished


def _suspend(turn: Turn) -> None:
    disarm = turn.manager.disarm
    for sid, record in sorted(turn.records.items()):
        kept = ServiceRecord(
            record.state, record.node, record.uid, maintenance_node=record.maintenance_node
        )
        if disarm and disarm.mode == "ignore":
            turn.records[sid] = kept
        elif record.state in FREEZABLE:
            turn.say("info", f"disarm: freezing service '{sid}' (was '{record.state}')")
            uid = turn.cluster.new_uid()
            turn.records[sid] = replace(kept, state="freeze", uid=uid)


def _close(turn: Turn) -> None:
    """Declare the stack disarmed once every LRM that is there says so."""
    manager = turn.manager
    if manager.disarm is None or manager.disarm.state == "disarmed":
        return
    if all(turn.modes.get(node) == "disarm" for node in turn.online):
        turn.say("info", "all LRMs disarmed, HA stack is now fully disarmed")
        manager.disarm = replace(manager.disarm, state="disarmed")
