"""What is staged of SDN is made to run, dropped, or kept from others.

Every node reloads its network; one that can't be reached is told of in the task's log. Source:
PVE::API2::Network::SDN.
"""

from __future__ import annotations

import uuid

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import died
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.sdn import LOCK_TOKEN
from simulator.pve_node.network import activate

routes = Routes()

MAY = "/sdn SDN.Allocate"
_RELEASE = LOCK_TOKEN + "release-lock? boolean\n"


def _released(call: Call) -> None:
    if call.flag("release-lock", default=True):
        call.documents.files.pop(sdn_state.LOCK_FILE, None)


@routes.add("PUT /cluster/sdn", MAY, _RELEASE)
def apply(call: Call) -> object:
    """Make what is staged run, and let every node reload its network: a task."""
    with sdn_state.locked(call, "could not commit SDN config"):
        sdn_state.commit(call.documents)
        _released(call)
    return start_task(call, "reloadnetworkall", "")


def _finish_reload(worker: Worker) -> None:
    for node in worker.world.nodes:
        worker.say(f"{node}: reloading network config")
        if worker.world.reaches(worker.node, node):
            activate(worker.documents, node)
            continue
        address = worker.world.address(node)
        worker.say(
            f"proxy handler failed: ssh: connect to host {address} port 22: No route to host"
        )
        command = f"pvesh set /nodes/{node}/network --regenerate-frr 0"
        worker.say(f"command '{command}' failed: exit code 255")


FINISH["reloadnetworkall"] = _finish_reload


@routes.add("POST /cluster/sdn/lock", MAY, "allow-pending? boolean")
def lock(call: Call) -> object:
    """Keep others from changing SDN: the answer is the token that lets one through."""
    with sdn_state.locked(call, "could not acquire lock for SDN config"):
        if not call.flag("allow-pending") and sdn_state.has_pending(call.documents):
            raise died("configuration has pending changes")
        token = str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
        call.documents.files[sdn_state.LOCK_FILE] = token
    return token


@routes.add("DELETE /cluster/sdn/lock", MAY, LOCK_TOKEN + "force? boolean")
def unlock(call: Call) -> object:
    """Give the lock back, or break it."""
    if call.flag("force"):
        call.need_quorum()
        call.documents.files.pop(sdn_state.LOCK_FILE, None)
        return None
    with sdn_state.locked(call, "could not release lock on SDN config"):
        call.documents.files.pop(sdn_state.LOCK_FILE, None)
    return None


@routes.add("POST /cluster/sdn/rollback", MAY, _RELEASE)
def rollback(call: Call) -> object:
    """Drop what is staged."""
    with sdn_state.locked(call, "could not rollback SDN config"):
        sdn_state.rollback(call.documents)
        _released(call)
    return None
