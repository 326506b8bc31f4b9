"""Guests that pretend: running is a flag of a node, and every act ends at once.

What an LRM does to a guest. Services of type `fa` fail as their number says, for the suite.
A live migration leaves nothing running on its target: the LRM there starts the guest.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.cluster.state import LRM, Cluster

TYPES = frozenset({"vm", "ct", "fa"})


def type_of(sid: str) -> str:
    """`vm` of `vm:101`."""
    return sid.partition(":")[0]


def running(cluster: Cluster, node: str, sid: str) -> bool:
    """Whether it runs on this node."""
    return sid in cluster.running.get(node, ())


def start(cluster: Cluster, node: str, sid: str) -> None:
    """Start it, if nothing hinders."""
    if _fails(cluster, node, sid, "start", 1) or _locked(cluster, node, sid, "start"):
        return
    cluster.running[node] = cluster.running.get(node, frozenset()) | {sid}


def shut_down(cluster: Cluster, node: str, sid: str) -> None:
    """Stop it, if nothing hinders."""
    if _digit(sid, 3) or _locked(cluster, node, sid, "shutdown"):
        return
    cluster.running[node] = cluster.running.get(node, frozenset()) - {sid}


def move(cluster: Cluster, node: str, sid: str, target: str, *, live: bool) -> bool:
    """Bring it to another node; False if it stays."""
    runs = running(cluster, node, sid)
    if type_of(sid) == "ct" and live and runs:
        text = "unable to live migrate running container, fallback to relocate"
        cluster.tell(node, LRM, "warn", text)
        live = False
    if _fails(cluster, node, sid, "move", 2):
        return False
    word = "migrate" if live else "relocate"
    cluster.tell(node, LRM, "info", f"service {sid} - start {word} to node '{target}'")
    if _locked(cluster, node, sid, word):
        return False
    if runs and not live:
        cluster.tell(node, LRM, "info", f"stopping service {sid} (relocate)")
        shut_down(cluster, node, sid)
        cluster.tell(node, LRM, "info", f"service status {sid} stopped")
    cluster.configure(node, sid, replace(cluster.services[sid], node=target))
    cluster.tell(node, LRM, "info", f"service {sid} - end {word} to node '{target}'")
    cluster.running[node] = cluster.running.get(node, frozenset()) - {sid}
    return True


def _locked(cluster: Cluster, node: str, sid: str, act: str) -> bool:
    lock = cluster.services[sid].lock
    if lock:
        cluster.tell(node, LRM, "err", f"service '{sid}' locked ({lock}), unable to {act}!")
    return bool(lock)


def _digit(sid: str, place: int) -> int:
    """A digit of a failing service's number; 0 for others."""
    digits = sid.partition(":")[2]
    return int(digits[place]) if type_of(sid) == "fa" and place < len(digits) else 0


def _fails(cluster: Cluster, node: str, sid: str, act: str, place: int) -> bool:
    """Count an attempt: so many fail before one succeeds, on one node or on all."""
    if type_of(sid) != "fa":
        return False
    only_on = _digit(sid, 5)
    tried = cluster.attempts.get((sid, act), 0) + 1
    fails = (not only_on or node == f"node{only_on}") and tried <= _digit(sid, place)
    cluster.attempts[sid, act] = tried if fails else 0
    return fails
