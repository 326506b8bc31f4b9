"""How a node of Proxmox VE asks the monitors of its Ceph cluster, and what it is told if it can't.

All of `/ceph/` goes through here to the very monitors that answer `ceph`. Sources: PVE::RADOS,
PVE::Ceph::Tools. Leaves out the seconds that a request waits before it gives up.
"""

from __future__ import annotations

import json
from typing import Any

from simulator.mon.command import Reply, Site
from simulator.mon.monitors import Monitors, NoQuorum, monitors_of
from simulator.pve.call import Environment
from simulator.pve.wire import ApiError, died

AUDIT = "/ Sys.Audit|Datastore.Audit"
MODIFY = "/ Sys.Modify"
NODE = "node pve-node\n"
CHANGE_S = 1.0  # measured: 0.9-1.1 s until a change of the OSD map is agreed on


def need_ceph(scene: Environment) -> None:
    """Raise unless Ceph is installed on the node; /etc/pve has its configuration then."""
    if not scene.world.holds_ceph(scene.node):
        raise died("binary not installed: /usr/bin/ceph-mon")


def monitors(scene: Environment) -> Monitors:
    """The cluster's. Raises where there is no Ceph."""
    need_ceph(scene)
    return monitors_of(scene.twin, scene.world.ceph)


def site(scene: Environment) -> Site:
    """Where its commands are carried out."""
    return monitors(scene).site(scene.twin)


def command(scene: Environment, prefix: str, **args: Any) -> Reply:
    """What monitors answer a command, be it a refusal. Raises if none answers."""
    asked = monitors(scene)
    if not scene.world.reaches_monitors(scene.node):
        raise died("got timeout")
    try:
        return asked.command(scene.twin, {"prefix": prefix, **args})
    except NoQuorum as error:
        raise died("got timeout") from error


def mon_command(scene: Environment, prefix: str, **args: Any) -> Any:
    """The data of an answer. Raises what the monitors refuse."""
    reply = command(scene, prefix, **args)
    if reply.code:
        raise ApiError(500, f"error with '{prefix}': mon_cmd failed - {reply.text}\n")
    return json.loads(reply.output) if reply.output else None
