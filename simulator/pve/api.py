"""The served cluster: from a request to a response, over the documents and the twin.

`PveApi` is a device of the twin. `handle` is the plain function that the HTTPS server and the in-
process adapter share; `settle` and `due` keep documents in step with what the physics does. Leaves
out: how requests travel (`simulator/served`). Source: PVE::HTTPServer rest_handler, for the order
of checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING
from urllib.parse import unquote

from simulator import guests
from simulator.pve import tasks
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents
from simulator.pve.load import Loads, Remembered, workload
from simulator.pve.parameters import check
from simulator.pve.releases import NEWEST, Release
from simulator.pve.routes import Guard, Route, Routes, Tree
from simulator.pve.tickets import TICKET_LIFETIME_S, authenticate, password_hash
from simulator.pve.wire import ApiError, Given, Request, Response, denied, died, wrong
from simulator.pve_datacenter import ha
from simulator.pve_datacenter.resources import settled_row
from simulator.pve_guest import lxc_config
from simulator.pve_guest.guest_config import KINDS
from simulator.pve_guest.guest_update import apply_pending
from simulator.pve_node import certificates, rrd
from simulator.served.face import Reachable, Shown, reachable
from simulator.state import GuestPower, GuestState, HostPower, Timer
from simulator.twin import Twin
from simulator.workload import Workload

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost

EPOCH_S = 1_767_225_600  # 2026-01-01T00:00:00Z: when simulated time begins, unless told otherwise
INSTALLED_S = 86_400.0  # assumed: nodes have been up for a day when simulated time begins
METHODS = frozenset({"GET", "PUT", "POST", "DELETE"})
DUPLICATE = "duplicate parameter (already defined in URI) with conflicting values!"
MIGRATE = {"qm": "qmigrate", "vz": "vzmigrate"}
BROKEN_LOCKS = frozenset({"migrate", "backup", "mounted", "clone", "snapshot", "rollback"})
"""Locks that HA takes off a guest it recovers. Source: PVE::HA::Resources::PVEVM remove_locks."""


ROOMS = ("pve", "pve_datacenter", "pve_guest", "pve_node")
"""Packages whose modules answer calls."""


@cache
def tree() -> Tree:
    """All calls: those of every module of these rooms that has `routes`."""
    rooms = [import_module(f"simulator.{name}") for name in ROOMS]
    names = [f"{room.__name__}.{m.name}" for room in rooms for m in iter_modules(room.__path__)]
    areas = [getattr(import_module(name), "routes", None) for name in sorted(names)]
    return Tree([area for area in areas if isinstance(area, Routes)])


class PveApi:
    """The API of one cluster. `cluster` is its name in the lab, `cluster_name` its own."""

    def __init__(
        self,
        cluster_key: str,
        documents: Documents,
        *,
        epoch_s: float = EPOCH_S,
        seed: int = 0,
        cluster_name: str = "",
        ticket_lifetime_s: float = TICKET_LIFETIME_S,
        release: Release = NEWEST,
    ) -> None:
        self.name = f"pve/{cluster_key}"
        self.cluster = cluster_key
        self.cluster_name = cluster_name or cluster_key
        self.documents = documents
        self.calls = tree()
        self.epoch_s = epoch_s
        self.seed = seed
        self.ticket_lifetime_s = ticket_lifetime_s
        self.release = release
        self.guest_since_s: dict[int, float] = {}
        self.node_since_s: dict[str, float] = {}  # only of those that went down meanwhile
        self.down: set[str] = set()
        self.switches: dict[str, rrd.Switches] = {}  # of node/NAME and guest/VMID
        self.hosts: dict[str, LinuxHost] = {}  # of nodes of which the twin has no Linux side
        self.certificates: dict[str, Shown] = {}  # of nodes that are served
        self.loads = Loads()
        self.guest_rows = Remembered(settled_row)
        self._seen: dict[int, GuestState] = {}
        self._wanted: Workload | None = None

    def fork(self) -> PveApi:
        """The same cluster over copied documents. What is remembered of guests' rows is shared."""
        copy = PveApi(
            self.cluster,
            self.documents.copy(),
            epoch_s=self.epoch_s,
            seed=self.seed,
            cluster_name=self.cluster_name,
            ticket_lifetime_s=self.ticket_lifetime_s,
            release=self.release,
        )
        copy.hosts = {node: host.fork() for node, host in self.hosts.items()}
        copy.certificates = self.certificates.copy()
        copy.loads, copy.guest_rows = self.loads, self.guest_rows
        copy.guest_since_s = self.guest_since_s.copy()
        copy.node_since_s = self.node_since_s.copy()
        copy.down = self.down.copy()
        copy.switches = self.switches.copy()
        copy._seen = self._seen.copy()
        return copy

    def set_password(self, user: str, password: str) -> None:
        """Let a user log in with a password."""
        self.documents.passwords[user] = password_hash(password)

    def add_token(self, name: str, secret: str, *, privsep: bool = False) -> None:
        """Let somebody log in as `user@realm!name` with a secret known beforehand."""
        self.documents.tokens[name] = {"privsep": int(privsep), "expire": 0, "secret": secret}

    def sync(self, twin: Twin) -> None:
        """Tell the physics what the documents hold now, if it is something else than before."""
        now = workload(self.documents, self.loads)
        if now != twin.state.workloads.get(self.cluster):
            guests.set_workload(twin, self.cluster, now)

    def uptime_s(self, twin: Twin, node: str) -> int:
        """How long a node has been up."""
        return int(twin.now_s - self.node_since_s.get(node, -INSTALLED_S))

    def reachable(self, twin: Twin, node: str) -> Reachable:
        """Whether a client gets through to a node's API."""
        return reachable(twin, node)

    def handle(self, twin: Twin, request: Request) -> Response:
        """Answer one request. Nothing but this and the passing of time changes the documents."""
        try:
            response = self._answer(twin, request)
        except ApiError as error:
            response = error.response
            if not self.release.message_in_body and response.members:
                members = {k: v for k, v in response.members.items() if k != "message"}
                response = replace(response, members=members)
        twin.settle()
        return response

    def _answer(self, twin: Twin, request: Request) -> Response:
        path = self.release.path(f"{request.method} {request.path}")
        segments = [unquote(part) for part in path.split("/") if part]
        shown = "/" + "/".join(segments)
        found = self.calls.find(request.method, segments)
        unknown = ApiError(501, f"Method '{request.method} {shown}' not implemented")
        if request.method not in METHODS:
            raise unknown
        now_s = int(self.epoch_s + twin.now_s)
        user = authenticate(self, request, found[0] if found else None, now_s)
        if found is None or self.release.lacks(found[0].call):
            raise unknown
        route, in_path = found
        given = _merged(request.params, in_path)
        call = Call(self, twin, request.node, user, path=shown, given=given, file=request.file)
        _authorize(call, self.release.may(route))
        _proxy(call, route, in_path)
        data = self._handled(call, route)
        return Response(200, "OK", {"data": data, **call.members})

    def _handled(self, call: Call, route: Route) -> object:
        """What a call gives that may be made here, once its parameters are checked."""
        call.takes = self.release.table(route)
        values, errors = check(call.takes, call.given, self.release.property_strings)
        if errors:
            raise wrong(errors)
        call.values = values
        return route.handler(call)

    def inner(self, outer: Call, method: str, path: str, args: Mapping[str, Given]) -> object:
        """What a call gives that is made within another one, on its node and by its user.

        Raises ApiError. Source: PVE::API2::Nodes execute.
        """
        found = self.calls.find(method, [part for part in path.split("/") if part])
        if found is None or self.release.lacks(found[0].call):
            raise died(f"no handler for '{path}'")
        route, in_path = found
        if twice := dict.fromkeys(args.keys() & in_path.keys(), "duplicate parameter"):
            raise wrong(twice)
        call = replace(outer, path=f"/{path}", given={**in_path, **args}, members={}, file=None)
        _authorize(call, self.release.may(route))
        return self._handled(call, route)

    def due(self, twin: Twin, timer: Timer) -> None:
        """A task of ours has come to its end."""
        task = self.documents.tasks[timer[2]]
        tasks.finish(tasks.Worker(self, twin, task.node, task.user, task=task))
        if task.type.startswith(("qm", "vz")) and task.id.isdecimal():
            self._follow_guest(twin, int(task.id))

    def settle(self, twin: Twin) -> bool:
        """Follow the physics: nodes and guests that came or went, tasks that lost their node."""
        self._follow_nodes(twin)
        if (wanted := twin.state.workloads.get(self.cluster)) is not self._wanted:
            self._wanted = wanted
            ha.follow(self, twin)
        state = twin.state.guests
        now = {vmid: guest for (owner, vmid), guest in state.items() if owner == self.cluster}
        if now == self._seen:
            return False
        moved = [vmid for vmid, guest in now.items() if guest is not self._seen.get(vmid)]
        changed = False
        for vmid in moved:
            self._tell(twin, vmid, self._seen.get(vmid), now[vmid])
            changed |= self._follow_guest(twin, vmid)
        for vmid in self._seen.keys() - now.keys():
            self.guest_since_s.pop(vmid, None)
            self.switches.pop(f"guest/{vmid}", None)
            del self._seen[vmid]
        return changed

    def _follow_nodes(self, twin: Twin) -> None:
        for node in twin.model.nodes[self.cluster]:
            on = twin.state.hosts[node] is HostPower.ON
            began_s = -INSTALLED_S if f"node/{node}" not in self.switches else twin.now_s
            self._switched(f"node/{node}", began_s, on)
            if on and node in self.down:
                self.down.remove(node)
                self.node_since_s[node] = twin.now_s
            elif not on and node not in self.down:
                self.down.add(node)
                self._lose_node(twin, node)

    def _switched(self, name: str, now_s: float, on: bool) -> None:
        self.switches[name] = rrd.switched(self.switches.get(name, ()), now_s, on)

    def _lose_node(self, twin: Twin, node: str) -> None:
        """Workers of a node that went down are gone without a word; what was staged comes up with
        it.
        """
        for task in list(self.documents.tasks.values()):
            if task.running and task.node == node:
                twin.cancel((self.name, "task", task.upid))
                end_s = int(self.epoch_s + twin.now_s)
                lost = replace(task, end_s=end_s, status="unexpected status", work={})
                self.documents.tasks[task.upid] = lost
        if (files := self.documents.nodes.get(node)) is not None:
            network = files.network if files.staged is None else files.staged
            booted = replace(
                files,
                network=network,
                staged=None,
                stopped=frozenset(),
                presented=certificates.set_pair(self.documents, node),
            )
            self.documents.nodes[node] = booted

    def _follow_guest(self, twin: Twin, vmid: int) -> bool:
        """Take note of where a guest is and whether it runs; True if its configuration changed."""
        now = twin.state.guests.get((self.cluster, vmid))
        if now is None:
            return False
        before = self._seen.get(vmid)
        self._seen[vmid] = now
        self._switched(f"guest/{vmid}", twin.now_s, now.power is not GuestPower.STOPPED)
        if now.power is GuestPower.STOPPED:
            self.guest_since_s.pop(vmid, None)
        else:
            self.guest_since_s.setdefault(vmid, twin.now_s)
        guest = self.documents.guests.get(vmid)
        if guest is None:
            return False
        recovered = before is not None and before.node != now.node
        if recovered and guest.current.get("lock") in BROKEN_LOCKS:
            unlocked = {key: value for key, value in guest.current.items() if key != "lock"}
            guest = self.documents.guests[vmid] = replace(guest, current=unlocked)
        went_off = before is not None and before.power is not now.power is GuestPower.STOPPED
        if not went_off or not (guest.pending or guest.removals):
            return False
        scene = Environment(self, twin, now.node, "root@pam")
        try:
            if guest.kind == "lxc":
                lxc_config.apply_pending(scene, vmid)
            else:
                apply_pending(scene, vmid, [])
        except ApiError as error:
            scene.log(error.spoken.strip(), pri=3)
        self.sync(twin)
        return True

    def _tell(self, twin: Twin, vmid: int, before: GuestState | None, now: GuestState) -> None:
        """Keep a task for what nobody asked of this API: acts of HA, guests that start at boot."""
        if before is None or vmid not in self.documents.guests:
            return
        was_on = before.power is not GuestPower.STOPPED
        is_on = now.power is not GuestPower.STOPPED
        task = KINDS[self.documents.guests[vmid].kind].task
        if before.node != now.node and twin.facts.host_on(before.node):
            self._tell_task(twin, MIGRATE[task], vmid, before.node)
        if is_on and not was_on:
            self._tell_task(twin, f"{task}start", vmid, now.node)
        if was_on and not is_on and twin.facts.host_on(before.node):
            self._tell_task(twin, f"{task}shutdown", vmid, before.node)

    def _tell_task(self, twin: Twin, type_name: str, vmid: int, node: str) -> None:
        scene = Environment(self, twin, node, "root@pam")
        upid = tasks.start_task(scene, type_name, str(vmid))
        twin.cancel((self.name, "task", upid))
        tasks.end_task(scene, self.documents.tasks[upid], "OK", ("TASK OK",))


def _merged(params: Mapping[str, Given], in_path: Mapping[str, str]) -> Mapping[str, Given]:
    """Parameters of the path and of the body. Raises if both name one, and differ."""
    clash = {
        name: DUPLICATE
        for name, value in in_path.items()
        if params.get(name) is not None and str(params[name]) != value
    }
    if clash:
        raise wrong(clash)
    return {**params, **in_path}


def _authorize(call: Call, may: Guard) -> None:
    """Raise unless the call may be made. Parameters are unchecked, but may name the object."""
    call.values = {
        key: value for key, value in call.given.items() if isinstance(value, str | int | float)
    }
    if not isinstance(may, str):
        may(call)
    elif may == "root":
        if call.user != "root@pam":
            raise denied("user != root@pam")
    elif may not in ("world", "all"):
        rules = [rule.partition(" ") for rule in may.split(", ")]
        needs = [(_filled(path, call), privileges.split("|")) for path, _, privileges in rules]
        if "&" in may:
            call.need_all(needs[0][0], *needs[0][1][0].split("&"))
        elif len(needs) == 1:
            call.need(needs[0][0], *needs[0][1])
        elif not any(call.may(path, *privileges) for path, privileges in needs):
            raise denied()


def _filled(path: str, call: Call) -> str:
    """A path with the parameters it names."""
    for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        path = path.replace(f"{{{name}}}", call.text(name))
    return path


def _proxy(call: Call, route: Route, in_path: Mapping[str, str]) -> None:
    """Let the node that the path names answer. Raises if it can't."""
    node = in_path.get("node", "localhost")
    if route.here or not route.path.startswith("/nodes/") or node in ("localhost", call.node):
        return
    if node not in call.world.nodes:
        tail = f"failed to get address info for: {node}: Name or service not known"
        raise died(f"hostname lookup '{node}' failed - {tail}")
    if not call.world.reaches(call.node, node):
        hangs = call.twin.state.hosts[node] is HostPower.ON and not call.world.on(node)
        raise ApiError(595, "Connection timed out" if hangs else "No route to host", body=False)
    call.node = node
