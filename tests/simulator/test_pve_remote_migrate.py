"""Guests that are to leave for another cluster, or to come from one."""

from __future__ import annotations

import pytest

from tests.simulator.pve_cluster import Cluster, cluster

MOVE = "POST /nodes/pve1/qemu/100/remote_migrate"
PRINT = ":".join(["AB"] * 32)
TOLD = {
    "target__endpoint": f"host=192.0.2.1,apitoken=x,fingerprint={PRINT}",
    "target__storage": "local",
    "target__bridge": "vmbr0",
}


def _with_guest() -> Cluster:
    here = cluster()
    here.guest(100, scsi0="data:1")
    return here


def test_a_cluster_that_is_not_reached_gets_no_guest() -> None:
    here = _with_guest()
    task = here.done(MOVE, **TOLD)
    assert (task.type, task.status) == ("qmigrate", "migration aborted")
    assert "Can't connect to 192.0.2.1:8006" in task.log[1]
    assert here.config(100)["scsi0"].startswith("data:")
    unknown = TOLD | {"target__endpoint": "host=remote.example,apitoken=x,port=8007"}
    refused = (500, "500 Can't connect to remote.example:8007 (No route to host)")
    assert here.refusal(MOVE, **unknown) == refused


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"target__endpoint": "host=192.0.2.1"}, "target-endpoint"),
        ({"target__endpoint": "host=192.0.2.1,apitoken=x,fingerprint=AB"}, "target-endpoint"),
        ({"target__storage": "local:x"}, "target-storage"),
        ({"target__vmid": 5}, "target-vmid"),
    ],
)
def test_what_is_wrong_is_told_before_anybody_is_asked(change: dict[str, str], name: str) -> None:
    assert set(_with_guest().errors(MOVE, **TOLD | change)) == {name}


def test_who_does_not_leave() -> None:
    here = _with_guest()
    explicit = "remote migration requires explicit storage mapping!"
    assert here.refusal(MOVE, **TOLD | {"target__storage": "1"}) == (500, explicit)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    online = "can't migrate running VM without --online"
    assert here.refusal(MOVE, **TOLD) == (500, online)
    here.ok("POST /cluster/ha/resources", sid="vm:100")
    why = "cannot migrate HA-managed VM to remote cluster"
    assert here.errors(MOVE, **TOLD, online=1) == {"vmid": why}


def test_a_tunnel_holds_an_empty_guest_until_it_gives_up() -> None:
    here = _with_guest()
    call = "POST /nodes/pve1/qemu/300/mtunnel"
    made = here.ok(call, storages="data", bridges="vmbr0")
    assert made["socket"] == "/run/qemu-server/300.mtunnel"
    assert here.config(300)["lock"] == "create"
    why = "unable to create empty VM config - VM 300 already exists on node 'pve1'\n"
    assert here.errors(call) == {"vmid": why}
    websocket = "GET /nodes/pve1/qemu/300/mtunnelwebsocket"
    given = {"socket": made["socket"], "ticket": made["ticket"]}
    assert here.ok(websocket, **given) == {"socket": made["socket"]}
    refused = (401, "permission denied - invalid PVETUNNEL ticket")
    assert here.refusal(websocket, **given | {"socket": "/run/x"}) == refused
    here.wait(301)
    task = here.api.documents.tasks[made["upid"]]
    assert (task.type, task.status) == ("qmtunnel", "Exiting mtunnel")
    assert here.refusal("GET /nodes/pve1/qemu/300/config")[0] == 500


def test_what_a_tunnel_needs() -> None:
    here = _with_guest()
    call = "POST /nodes/pve1/lxc/300/mtunnel"
    missing = (500, "bridge 'vmbr9' does not exist")
    assert here.refusal(call, bridges="vmbr9") == missing
    unfit = (500, "storage 'local' does not support CT rootdirs")
    assert here.refusal(call, storages="local") == unfit
    assert set(here.errors(call, node="pve2")) == {"node"}
    weak = here.user("ana@pve", "PVEVMAdmin")
    assert here.refusal(call, user=weak) == (403, "Permission check failed (/, Sys.Incoming)")
    assert 300 not in here.api.documents.guests
