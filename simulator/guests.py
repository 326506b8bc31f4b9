"""Guests: what can be done to them, and what happens to them by itself.

The acts are what a hypervisor does when told: each changes the state at once and leaves waiting
to its caller. The part lets guests boot, stops those whose node is gone, holds those whose
storage waits, and starts guests with `onboot` after their node has started and has quorum (guests
under HA are left to HA). A guest on a node that hangs stands still and is whole when the node
comes to itself; one whose storage waits as well, however long.

Leaves out: what happens inside a guest, the order and delays of onboot guests, QEMU's own errors,
memory pressure: an overcommitted node runs everything.
"""

from __future__ import annotations

from dataclasses import replace

from lab.kinds.host import Nic
from simulator.facts import Facts
from simulator.model import Model
from simulator.state import GuestKey, GuestPower, GuestState, HostPower, Timer
from simulator.storage.availability import STORAGES
from simulator.twin import Twin
from simulator.workload import Workload

# A guest that the lab does not declare (made by hand over the API): the language's own default.
BOOT_S = 60.0
# Starting a migration, its last round, and the hand-over of the configuration. Assumed.
MIGRATION_SETUP_S = 2.0
# Payload of TCP with 1500-byte frames on Ethernet (1448 of 1538 bytes). Source: IEEE 802.3, RFC
# 9293.
TCP_SHARE = 0.94


class GuestPart:
    """Keeps `state.guests`."""

    name = "guests"
    reads = (*STORAGES, "onboot", "views", "guests")

    def settle(self, twin: Twin) -> bool:
        """Let every guest follow its node and its storages."""
        facts = twin.facts
        changed = self._start_onboot(twin, facts)
        on = {node: facts.host_on(node) for node in twin.model.lab.nodes}
        for key, guest in twin.state.guests.items():
            if guest.power is GuestPower.STOPPED:
                continue
            if twin.state.hosts[guest.node] is not HostPower.ON:
                self._kill(twin, facts, key, guest)
                changed = True
                continue
            stalled = guest.stalled
            if on[guest.node]:
                stalled = _stalled(facts, key, guest.node)
            if stalled != guest.stalled or guest.power is GuestPower.BOOTING:
                goes_on = on[guest.node] and not stalled and not guest.paused
                changed |= self._follow(twin, facts, key, stalled, goes_on=goes_on)
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """A guest has booted."""
        key = (timer[1], int(timer[2]))
        guest = twin.state.guests[key]
        twin.state.guests[key] = replace(guest, power=GuestPower.RUNNING, boot_left_s=None)
        twin.note(twin.facts.guest_name(key), "running", f"runs on {guest.node}")

    def _kill(self, twin: Twin, facts: Facts, key: GuestKey, guest: GuestState) -> None:
        twin.cancel(_boot_timer(key))
        twin.state.guests[key] = GuestState(guest.node, disks=guest.disks)
        twin.note(facts.guest_name(key), "killed", f"goes down with {guest.node}")

    def _follow(
        self, twin: Twin, facts: Facts, key: GuestKey, stalled: str, *, goes_on: bool
    ) -> bool:
        before = twin.state.guests[key]
        after = replace(before, stalled=stalled)
        if before.power is GuestPower.BOOTING:
            after = _boot(twin, key, after, goes_on=goes_on)
        twin.state.guests[key] = after
        if before.stalled and not stalled:
            twin.note(facts.guest_name(key), "io-resumed", "its I/O goes on")
        elif stalled and not before.stalled:
            twin.note(facts.guest_name(key), "io-stalled", f"its I/O waits: {stalled}")
        return after != before

    def _start_onboot(self, twin: Twin, facts: Facts) -> bool:
        ready = [node for node in twin.state.onboot if facts.view(node).quorate]
        for node in ready:
            del twin.state.onboot[node]
            for key, guest in twin.state.guests.items():
                if guest.node == node and facts.spec(key).onboot and not _in_ha(facts, key):
                    start(twin, key)
        return bool(ready)


def set_workload(twin: Twin, cluster: str, workload: Workload) -> None:
    """Let a cluster hold `workload`.

    Guests that it no longer has are gone; new ones need `place`.
    """
    state = twin.state
    state.workloads[cluster] = workload
    for key in [key for key in state.guests if key[0] == cluster]:
        if key[1] not in workload.guests:
            twin.cancel(_boot_timer(key))
            del state.guests[key]
    twin.changed()


def place(twin: Twin, key: GuestKey, node: str) -> None:
    """Let a new guest be on a node, off."""
    twin.cancel(_boot_timer(key))
    twin.state.guests[key] = GuestState(node)
    twin.changed()


def recover(twin: Twin, key: GuestKey, node: str) -> None:
    """Let a guest of a node that is gone be on another, off: its configuration alone moves."""
    guest = twin.state.guests[key]
    disks = guest.disks or guest.node
    twin.cancel(_boot_timer(key))
    twin.state.guests[key] = GuestState(node, disks="" if disks == node else disks)
    twin.changed()


def start(twin: Twin, key: GuestKey, left_s: float | None = None) -> None:
    """Power a guest on where it is; it serves after its boot, of which `left_s` are left if it goes
    on from memory. One that is on stays as it is.
    """
    guest = twin.state.guests[key]
    if guest.power is GuestPower.STOPPED:
        twin.state.guests[key] = replace(guest, power=GuestPower.BOOTING, boot_left_s=left_s)
        twin.note(twin.facts.guest_name(key), "starting", f"starts on {guest.node}")
        twin.changed()


def stop(twin: Twin, key: GuestKey) -> None:
    """Power a guest off."""
    guest = twin.state.guests[key]
    if guest.power is not GuestPower.STOPPED:
        twin.cancel(_boot_timer(key))
        twin.state.guests[key] = GuestState(guest.node, lock=guest.lock, disks=guest.disks)
        twin.note(twin.facts.guest_name(key), "stopped", f"is stopped on {guest.node}")
        twin.changed()


def pause(twin: Twin, key: GuestKey, *, paused: bool = True) -> None:
    """Let a guest that is on stand still where it is, its memory kept, or go on."""
    guest = twin.state.guests[key]
    if guest.power is not GuestPower.STOPPED and guest.paused != paused:
        twin.state.guests[key] = replace(guest, paused=paused)
        word, text = ("paused", "is paused") if paused else ("resumed", "goes on")
        twin.note(twin.facts.guest_name(key), word, f"{text} on {guest.node}")
        twin.changed()


def remove(twin: Twin, key: GuestKey) -> None:
    """Forget where a guest is; it is in no workload any more."""
    twin.cancel(_boot_timer(key))
    twin.state.guests.pop(key, None)
    twin.changed()


def migrate(twin: Twin, key: GuestKey, node: str) -> None:
    """Let a guest be on another node from now on, as it is.

    The caller has let `migration_s` pass.
    """
    guest = twin.state.guests[key]
    if guest.node != node:
        disks = "" if guest.disks == node else guest.disks
        twin.state.guests[key] = replace(guest, node=node, disks=disks)
        twin.note(twin.facts.guest_name(key), "moved", f"moves from {guest.node} to {node}")
        twin.changed()


def boot_s(twin: Twin, key: GuestKey) -> float:
    """From power on until a guest serves."""
    declared = twin.model.declared(key)
    return BOOT_S if declared is None else declared.boot


def migration_s(twin: Twin, key: GuestKey, online: bool) -> float:
    """How long a migration takes: offline only the configuration moves, as storages are shared.

    Online the memory is copied once over one TCP connection, which never uses more than one
    member of a bond. Leaves out: pages written meanwhile, compression, other traffic, disks on
    local storage.
    """
    if not online:
        return MIGRATION_SETUP_S
    memory_bits = twin.facts.spec(key).memory_bytes * 8
    return MIGRATION_SETUP_S + memory_bits / (TCP_SHARE * _migration_bps(twin.model, key[0]))


def _migration_bps(model: Model, cluster: str) -> int:
    """The slowest port of the cluster in the VLAN that migrations use."""
    declared = model.lab.clusters[cluster]
    vlan = declared.options.migration_vlan or declared.corosync.links[0]
    speeds = (
        model.hosts[node].nics[leg.port.rpartition("/")[2]].speed
        for node in model.nodes[cluster]
        for uplink in model.wiring.by_device.get(model.vertex[node], ())
        if vlan in uplink.vlans
        for leg in uplink.legs
    )
    return min(speeds, default=Nic().speed)


def _stalled(facts: Facts, key: GuestKey, node: str) -> str:
    """Why the I/O of a guest on a node waits."""
    for storage in sorted(facts.spec(key).storages):
        if problem := facts.storage_problem(key[0], storage, node):
            return problem
    return ""


def _boot(twin: Twin, key: GuestKey, guest: GuestState, *, goes_on: bool) -> GuestState:
    """Let a boot go on, or stand still with what is left of it."""
    timer = _boot_timer(key)
    if goes_on and not twin.is_set(timer):
        left_s = boot_s(twin, key) if guest.boot_left_s is None else guest.boot_left_s
        twin.after(left_s, timer)
    elif not goes_on and twin.is_set(timer):
        left_s = twin.state.timers[timer].at_s - twin.now_s
        twin.cancel(timer)
        return replace(guest, boot_left_s=left_s)
    return guest


def _boot_timer(key: GuestKey) -> Timer:
    return ("guests", key[0], str(key[1]))


def _in_ha(facts: Facts, key: GuestKey) -> bool:
    """Whether HA starts and stops a guest; it does not touch what it is to ignore."""
    resource = facts.workload(key[0]).ha.get(f"vm:{key[1]}")
    return resource is not None and resource.state != "ignored"
