"""What holds at one instant: the questions that parts, devices and reports ask of a twin.

`Facts` reads a model and a state and changes neither. It is made anew for each instant
(`twin.facts`); what depends only on what is broken comes from `Reach`, which is worked out once
for each such state of the world. Reasons are in an operator's words; the empty string means that
nothing is wrong.

Leaves out: when something will change (that is in the parts), and the load: a bond, disk or CPU
that is merely slow serves. A guest behind a bond with a silently dead member that is still in use
serves, although some of its clients do not get through; `disturbance` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property, partial

from simulator.model import Model
from simulator.network.reach import Broken, Reach
from simulator.network.wiring import Uplink
from simulator.state import GuestKey, GuestPower, HostPower, State, View
from simulator.storage.availability import Trouble, pool_trouble, trouble
from simulator.workload import GuestSpec, Workload

STRANGER = View(frozenset(), quorate=False)
NO_WORKLOAD = Workload()


class Facts:
    """Answers about `state`, which must not change while they are asked."""

    def __init__(self, model: Model, state: State) -> None:
        self.model = model
        self.state = state
        self._troubles: dict[tuple[str, str, str], Trouble] = {}
        self._pools: dict[tuple[str, str], Trouble] = {}

    @cached_property
    def reach(self) -> Reach:
        """Who reaches whom."""
        return self.model.reach(self.state)

    @property
    def broken(self) -> Broken:
        """What does not work."""
        return self.reach.broken

    @cached_property
    def _dead(self) -> int:
        return self.broken.dead

    def works(self, vertex: str) -> bool:
        """Whether a box or part (by its vertex) has power, is not broken and does not hang."""
        return not self.model.bits[vertex] & self._dead

    def host_on(self, host: str) -> bool:
        """Whether a server runs its operating system, and does not hang."""
        return self.works(self.model.vertex[host])

    def host_problem(self, host: str) -> str:
        """Why a server does not run: `pve2 is off`."""
        if self.host_on(host):
            return ""
        how = {HostPower.OFF: "is off", HostPower.BOOTING: "is starting", HostPower.ON: "hangs"}
        return f"{host} {how[self.state.hosts[host]]}"

    def talks(self, host: str, other: str, vlan: str) -> bool:
        """Whether two servers reach each other in a VLAN; with itself: whether it runs."""
        vertex = self.model.vertex
        return self.reach.talks(vertex[host], vertex[other], vlan)

    def in_core(self, host: str, vlan: str) -> bool:
        """Whether a server reaches the main segment of a VLAN: the router's, else the largest."""
        return self.reach.core(vlan) in self.reach.segments(self.model.vertex[host], vlan)

    def api_reachable(self, node: str) -> bool:
        """Whether a client in the middle of the management network reaches a node's API."""
        return any(self.in_core(node, vlan) for vlan in self.model.management)

    def view(self, node: str) -> View:
        """The cluster as a node sees it; a node that does not run sees nobody."""
        return self.state.views.get(node, STRANGER)

    def quorate(self, cluster: str) -> frozenset[str]:
        """The running nodes that have quorum."""
        return frozenset(
            node
            for node in self.model.nodes[cluster]
            if self.view(node).quorate and self.host_on(node)
        )

    def storage_problem(self, cluster: str, name: str, node: str) -> str:
        """Why a storage does not serve on a node now: `pool vm: 1 of 2 copies needed are alive`."""
        return self._trouble(cluster, name, node).text

    def pool_trouble(self, ceph: str, pool: str) -> Trouble:
        """Why a pool of a Ceph cluster serves nobody."""
        if (ceph, pool) not in self._pools:
            self._pools[ceph, pool] = pool_trouble(self, ceph, pool)
        return self._pools[ceph, pool]

    def guest_problem(self, key: GuestKey, vlan: str | None = None) -> str:
        """Why a guest does not serve on `vlan` (None: on all of its nets)."""
        guest = self.state.guests[key]
        if reason := self.host_problem(guest.node):
            return reason
        if guest.power is GuestPower.STOPPED:
            return self.left_disk(key) or "it is off"
        if guest.paused:
            return "it is paused"
        if guest.stalled:
            return f"its I/O waits: {guest.stalled}"
        if guest.power is GuestPower.BOOTING:
            return "it is booting"
        return next(self._cut_nets(self.spec(key), guest.node, vlan), "")

    def hindrance(self, key: GuestKey, node: str) -> str:
        """Why a hypervisor could not start a guest on a node: a storage, or a missing bridge.

        A network that leads nowhere does not stop it, nor a storage that only waits for a death to
        be noticed: the guest starts, and its I/O goes on in a moment.
        """
        spec = self.spec(key)
        for bridge, _ in spec.nets:
            if bridge not in self.model.hosts[node].bridges:
                return f"{node} has no bridge {bridge}"
        found = (self._trouble(key[0], name, node) for name in sorted(spec.storages))
        return next((trouble.text for trouble in found if trouble.text and not trouble.passes), "")

    def left_disk(self, key: GuestKey) -> str:
        """Why a guest can't start where HA took it from a node that still has its disks."""
        disks = self.state.guests[key].disks
        storages = self.workload(key[0]).storages
        held = (name for name in sorted(self.spec(key).disks) if name in storages)
        local = next((name for name in held if storages[name].local), "")
        return f"its disk on {local} is on {disks}" if disks and local else ""

    def service_problem(self, name: str) -> str:
        """Why a service is not up: `any` needs one of its guests to serve, `all` every one."""
        service = self.model.lab.services[name]
        problems = {guest: self._declared_problem(guest, service.vlan) for guest in service.any}
        if problems and all(problems.values()):
            return "; ".join(f"{guest}: {why}" for guest, why in problems.items())
        for guest in service.all:
            if reason := self._declared_problem(guest, service.vlan):
                return f"{guest}: {reason}"
        return ""

    def disturbance(self, key: GuestKey) -> str:
        """Why part of a guest's traffic is lost although it serves: a dead leg not noticed yet."""
        node = self.state.guests[key].node
        for port in self.state.unnoticed:
            if not port.startswith(f"port {node}/"):
                continue
            for bridge, vid in self.spec(key).nets:
                for uplink in self._uplinks(node, bridge):
                    vlan = self.model.vlan_by_id.get(vid, "")
                    if any(leg.port == port for leg in uplink.legs) and vlan in uplink.vlans:
                        name = port.removeprefix("port ")
                        return f"flows over {name} are lost until {uplink.name} drops it"
        return ""

    def can_run(self, key: GuestKey, node: str) -> str:
        """Why a guest can't run on a node: storage, bridge, VLAN or placement.

        Memory is not looked at, as Proxmox VE does not. A storage that only waits for a death to be
        noticed is no reason: a guest starts on it and its I/O goes on in a moment.
        """
        if node not in self.model.nodes[key[0]]:
            return f"there is no node {node} in cluster {key[0]}"
        if reason := self.host_problem(node):
            return reason
        declared = self.model.declared(key)
        if declared is not None and declared.placement.pin and node not in declared.placement.pin:
            return f"it is pinned to {', '.join(declared.placement.pin)}"
        spec = self.spec(key)
        for name in sorted(spec.storages):
            found = self._trouble(key[0], name, node)
            if found.text and not found.passes:
                return found.text
        return next(self._cut_nets(spec, node, None), "")

    def memory_free_bytes(self, node: str) -> int:
        """Memory for guests minus what those that are on have; negative if overcommitted."""
        return self.model.lab.nodes[node].guest_memory_bytes - self._asked_bytes[node]

    @cached_property
    def _asked_bytes(self) -> Counter[str]:
        """Memory of the guests that are on, by node."""
        asked: Counter[str] = Counter()
        for key, guest in self.state.guests.items():
            if guest.power is not GuestPower.STOPPED:
                asked[guest.node] += self.spec(key).memory_bytes
        return asked

    def overcommit_bytes(self, node: str) -> int:
        """How much more memory a node's guests have than it has for them."""
        return max(0, -self.memory_free_bytes(node))

    def workload(self, cluster: str) -> Workload:
        """What a cluster holds."""
        return self.state.workloads.get(cluster, NO_WORKLOAD)

    def spec(self, key: GuestKey) -> GuestSpec:
        """A guest as its cluster holds it."""
        return self.workload(key[0]).guests[key[1]]

    def guest_name(self, key: GuestKey) -> str:
        """The vertex of a guest, as in traces: `guest luffy`."""
        return f"guest {self.model.guests.get(key) or self.spec(key).name}"

    def _trouble(self, cluster: str, name: str, node: str) -> Trouble:
        place = (cluster, name, node)
        if place not in self._troubles:
            self._troubles[place] = self._storage_trouble(cluster, name, node)
        return self._troubles[place]

    def _storage_trouble(self, cluster: str, name: str, node: str) -> Trouble:
        if reason := self.host_problem(node):
            return Trouble(reason)
        spec = self.workload(cluster).storages.get(name)
        if spec is None:
            return Trouble(f"there is no storage {name}")
        if not spec.enabled:
            return Trouble(f"storage {name} is disabled")
        if spec.nodes is not None and node not in spec.nodes:
            return Trouble(f"storage {name} is not for {node}")
        return trouble(self, cluster, spec, node)

    def _declared_problem(self, name: str, vlan: str | None) -> str:
        guest = self.model.lab.guests[name]
        key = (guest.cluster, guest.vmid)
        return self.guest_problem(key, vlan) if key in self.state.guests else "it does not exist"

    def _cut_nets(self, spec: GuestSpec, node: str, vlan: str | None) -> Iterator[str]:
        """Why the nets of a guest would reach nobody on a node; only those in `vlan`, if given."""
        for bridge, vid in spec.nets:
            if vlan is None or self.model.vlan_by_id.get(vid) == vlan:
                net = (node, f"{bridge} {vid}")
                if reason := self.reach.once(net, partial(self._cut, node, bridge, vid)):
                    yield reason

    def _cut(self, node: str, bridge: str, vid: int) -> str:
        if bridge not in self.model.hosts[node].bridges:
            return f"{node} has no bridge {bridge}"
        vlan = self.model.vlan_by_id.get(vid)
        if vid and vlan is None:
            return f"there is no VLAN {vid}"
        for uplink in self._uplinks(node, bridge):
            for known in (vlan,) if vlan is not None else sorted(uplink.vlans):
                here = self.reach.uplink_segments(uplink.name, known)
                if self.reach.core(known) in here:
                    return ""
        return f"{node} reaches nobody in VLAN {vlan or 'untagged'} over {bridge}"

    def _uplinks(self, node: str, bridge: str) -> Iterator[Uplink]:
        for port in self.model.hosts[node].bridges[bridge].ports:
            if (uplink := self.model.wiring.uplinks.get(f"{node}/{port}")) is not None:
                yield uplink
