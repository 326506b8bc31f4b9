"""Moving a guest to another cluster, and the tunnel that the other one opens for it. Source:
PVE::API2::Qemu, PVE::API2::LXC remote_migrate_vm, mtunnel, mtunnelwebsocket; PVE::APIClient::LWP.

No other cluster is reached from here: with a fingerprint the task says so, without one the call,
which asks for it. A tunnel waits with a locked, empty guest until it gives up. Leaves out: what is
said through a tunnel. How a remote that is not reached is told is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from simulator import guests
from simulator.pve.call import Call
from simulator.pve.documents import GuestConfig
from simulator.pve.formats import FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, parse, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.tickets import need_path_ticket, path_ticket
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_datacenter import replication
from simulator.pve_guest import guest_clone
from simulator.pve_guest.guest_config import KINDS, LXC, QEMU, Kind, check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_power import in_ha
from simulator.pve_node.storage import need_enabled

routes = Routes()

PROPERTY_STRINGS["proxmox-remote"] = table(
    r"""
    apitoken      string
    fingerprint?  /([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}/
    host          address
    port?         integer
    """
)
FORMATS["bridge-pair"] = FORMATS["storage-pair"]
PORT = 8006
CONNECT_S = 3.0  # assumed, as an unreachable node of the own cluster
TUNNEL_WAIT_S = 300.0
_REMOTE = """
delete?          boolean
online?          boolean
target-bridge    bridge-pair-list
target-endpoint  proxmox-remote
target-storage   storage-pair-list
target-vmid?     integer:pve-vmid 100..999999999
"""
_OF_KIND = {
    "qemu": "bwlimit? integer 0..\n",
    "lxc": "bwlimit? number 0..\nrestart? boolean\ntimeout? integer\n",
}
_MOVES = {"qemu": "qmigrate", "lxc": "vzmigrate"}
_SOCKETS = {"qemu": "/run/qemu-server/{vmid}.mtunnel", "lxc": "/run/pve/ct-{vmid}.mtunnel"}
_TUNNELS = {"qemu": "qmtunnel", "lxc": "vzmtunnel"}
_HOLDS = {"qemu": ("images", "vm images"), "lxc": ("rootdir", "CT rootdirs")}


def _may_tunnel(call: Call) -> None:
    call.need(f"/vms/{call.text('vmid')}", "VM.Allocate")
    call.need("/", "Sys.Incoming")


@dataclass(frozen=True)
class Calls:
    """The calls for one kind of guest."""

    kind: Kind

    def register(self) -> None:
        """Let them answer, and their workers work."""
        kind, base = self.kind, f"/nodes/{{node}}/{self.kind.name}/{{vmid}}"
        takes = GUEST + _REMOTE + _OF_KIND[kind.name]
        routes.add(f"POST {base}/remote_migrate", "/vms/{vmid} VM.Migrate", takes)(self.migrate)
        takes = GUEST + "bridges? pve-bridge-id-list\nstorages? pve-storage-id-list\n"
        routes.add(f"POST {base}/mtunnel", _may_tunnel, takes, here=True)(self.tunnel)
        takes = GUEST + "socket string\nticket string\n"
        routes.add(f"GET {base}/mtunnelwebsocket", "all", takes, here=True)(self.websocket)
        FINISH[_TUNNELS[kind.name]] = _nobody_came

    def migrate(self, call: Call) -> object:
        """Move a guest to another cluster: a task."""
        vmid, kind = call.number("vmid"), self.kind
        call.need_quorum()
        check_lock(find_guest(call, vmid, kind.name).current, kind.word)
        if kind is LXC:
            _need_may_run(call, "container without --online or --restart")
        if in_ha(call, vmid, kind.sid):
            why = f"cannot migrate HA-managed {kind.word} to remote cluster"
            raise bad_parameters(vmid=why)
        remote = parse("proxmox-remote", call.text("target-endpoint"))
        host, port = str(remote["host"]), remote.get("port") or PORT
        unreached = f"500 Can't connect to {host}:{port} (No route to host)"
        if not remote.get("fingerprint"):
            raise died(unreached)
        if kind is QEMU:
            if replication.jobs_of(call, vmid):
                raise died("cannot remote-migrate replicated VM")
            _need_may_run(call, "VM without --online")
        if "1" in items(call.text("target-storage")):
            raise died("remote migration requires explicit storage mapping!")
        work = {"finish": "remote migration", "host": host, "why": unreached, "word": kind.word}
        return start_task(call, _MOVES[kind.name], str(vmid), work, took_s=CONNECT_S)

    def tunnel(self, call: Call) -> object:
        """Take the id of a guest that is to come from another cluster, and wait for it: a task."""
        vmid, kind = call.number("vmid"), self.kind
        if call.text("node") not in (call.node, "localhost"):
            why = f"node needs to be 'localhost' or local hostname '{call.node}'"
            raise bad_parameters(node=why)
        content, held = _HOLDS[kind.name]
        for name in call.words("storages"):
            entry = need_enabled(call, name)
            call.need(f"/storage/{name}", "Datastore.AllocateSpace")
            if content not in items(str(entry["content"])):
                raise died(f"storage '{name}' does not support {held}")
        for bridge in call.words("bridges"):
            if bridge not in call.world.host(call.node).bridges:
                raise died(f"bridge '{bridge}' does not exist")
        call.need_quorum()
        if (other := call.documents.guests.get(vmid)) is not None:
            state = call.world.guest(vmid)
            where = state.node if state else call.node
            there = f"{KINDS[other.kind].word} {vmid} already exists on node '{where}'"
            why = f"unable to create empty {kind.word} config - {there}\n"
            raise bad_parameters(vmid=why)
        call.documents.guests[vmid] = GuestConfig(kind.name, {"lock": "create"})
        call.api.sync(call.twin)
        guests.place(call.twin, (call.api.cluster, vmid), call.node)
        socket = _SOCKETS[kind.name].format(vmid=vmid)
        path, task = f"/socket/{socket}", _TUNNELS[kind.name]
        return {
            "ticket": path_ticket(call.api, "PVETUNNEL", call.user, path, call.now_s),
            "upid": start_task(call, task, str(vmid), took_s=TUNNEL_WAIT_S),
            "socket": socket,
        }

    def websocket(self, call: Call) -> object:
        """What a websocket is told, whose ticket is right: where to go on."""
        socket = call.text("socket")
        need_path_ticket(call, call.text("ticket"), "PVETUNNEL", f"/socket/{socket}")
        find_guest(replace(call, node=call.text("node")), call.number("vmid"), self.kind.name)
        return {"socket": socket}


def _need_may_run(call: Call, what: str) -> None:
    may = call.flag("online") or call.flag("restart")
    if call.world.running(call.number("vmid")) and not may:
        raise died(f"can't migrate running {what}")


def _finish_migrate(worker: Worker) -> None:
    now, took_s = worker.now_s, worker.now_s - worker.task.start_s
    host, why = worker.text("host"), worker.text("why")
    for after_s, text in (
        (-took_s, f"starting migration of {worker.text('word')} {worker.task.id} to node '{host}'"),
        (0, f"ERROR: migration aborted (duration 00:00:{took_s:02}): {why}"),
    ):
        worker.say(f"{datetime.fromtimestamp(now + after_s, UTC):%Y-%m-%d %H:%M:%S} {text}")
    raise TaskError("migration aborted")


def _nobody_came(worker: Worker) -> None:
    worker.say("mtunnel started")
    worker.say("Failed to accept tunnel connection - got timeout")
    worker.say("Removing tunnel socket..")
    worker.say("Removing temporary VM config..")
    guest_clone.forget(worker, int(worker.task.id))
    raise TaskError("Exiting mtunnel")


FINISH["remote migration"] = _finish_migrate
for _kind in KINDS.values():
    Calls(_kind).register()
