"""Power: who has it, who starts, and the watchdog that resets a node that hangs.

A server or switch has a single power supply: it is off when all of its feeds are dark, or by a
hard fault of its own, which is loss of power. A server whose system volume is lost is off as
well, as it can't run. With power again it starts by itself (firmware set to power on after AC
loss) and runs after its `boot` time.

A node that hangs (silent fault) is frozen: corosync loses it, its guests stand still. Its
hardware watchdog resets it; the hang is over then, whatever time the fault was to last. Arrays,
backup servers, switches and routers have none.

A server that was shut down stays off until it is asked to start (`orders`), or its power is cut
and comes back.

Leaves out: uninterruptible supplies, dual power supplies, firmware that stays off.
"""

from __future__ import annotations

from simulator.faults import drop, update
from simulator.model import BROKEN, Model
from simulator.network.reach import Broken
from simulator.state import HostPower, State, Timer
from simulator.twin import Twin

# Proxmox VE's fencing watchdog: 60 s without an update and the node is reset. Source: the
# administration guide, high availability, fencing (watchdog-mux client timeout).
WATCHDOG_S = 60.0
# Assumed: a managed switch or router forwards this long after power on; vendors say one to three
# minutes.
BOX_BOOT_S = 90.0


class PowerPart:
    """Keeps `state.hosts` and `state.boxes`."""

    name = "power"
    reads = (*BROKEN, "orders", "halted")

    def settle(self, twin: Twin) -> bool:
        """Switch off what has no power, start what has it again, let watchdogs run."""
        broken = twin.facts.broken
        changed = False
        for host in [host for host, word in twin.state.orders.items() if word == "start"]:
            del twin.state.orders[host]
            changed |= twin.state.halted.pop(host, None) is not None
        for host in twin.state.hosts:
            reason = host_off(twin.model, twin.state, broken, host)
            changed |= self._host(twin, host, reason)
        for box in twin.state.boxes:
            changed |= self._box(twin, box, dark(twin.model, twin.state, box))
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """A start is over, or a watchdog fires."""
        match timer:
            case (_, "boot", host):
                twin.state.hosts[host] = HostPower.ON
                if host in twin.model.lab.nodes:
                    twin.state.onboot[host] = twin.now_s
                twin.note(twin.model.vertex[host], "up", f"{host} is up")
            case (_, "box", box):
                twin.state.boxes[box] = HostPower.ON
                twin.note(box, "up", f"{box} forwards again")
            case (_, "watchdog", host):
                reset(twin, host, "its watchdog fires")

    def _host(self, twin: Twin, host: str, reason: str) -> bool:
        vertex, state = twin.model.vertex[host], twin.state
        if reason:
            state.halted.pop(host, None)  # it starts by itself when power is back
        if reason and state.hosts[host] is not HostPower.OFF:
            state.hosts[host] = HostPower.OFF
            state.onboot.pop(host, None)
            twin.cancel((self.name, "boot", host))
            twin.cancel((self.name, "watchdog", host))
            twin.note(vertex, "off", f"{host} {reason}")
            return True
        if not reason and state.hosts[host] is HostPower.OFF and host not in state.halted:
            _boot(twin, host, "starts")
            return True
        watchdog = (self.name, "watchdog", host)
        if vertex not in state.faults or state.hosts[host] is not HostPower.ON:
            twin.cancel(watchdog)
        elif host in twin.model.lab.nodes and not twin.is_set(watchdog):
            twin.after(WATCHDOG_S, watchdog)
        return False

    def _box(self, twin: Twin, box: str, off: bool) -> bool:
        """Follow a switch or router."""
        boxes, timer = twin.state.boxes, (self.name, "box", box)
        if off and boxes[box] is not HostPower.OFF:
            boxes[box] = HostPower.OFF
            twin.cancel(timer)
            twin.note(box, "off", f"{box} is off")
            return True
        if not off and boxes[box] is HostPower.OFF:
            boxes[box] = HostPower.BOOTING
            twin.after(BOX_BOOT_S, timer)
            twin.note(box, "starting", f"{box} starts")
            return True
        return False


def dark(model: Model, state: State, vertex: str) -> bool:
    """Whether a box gets no power: a hard fault of its own, or no feed left."""
    if (fault := state.faults.get(vertex)) is not None and not fault.silent:
        return True
    feeds = model.feeds[vertex]
    return bool(feeds) and all(feed in state.faults for feed in feeds)


def host_off(model: Model, state: State, broken: Broken, host: str) -> str:
    """Why a server can't be on: `has no power`."""
    if dark(model, state, model.vertex[host]):
        return "has no power"
    system = model.systems.get(host)
    if system is not None and not system.survives(broken):
        return "has lost its system disks and stops"
    return ""


def reset(twin: Twin, host: str, why: str) -> None:
    """Reset a server that is on, as a watchdog does.

    What ran on it is gone, it starts again; a hang is cured.
    """
    if twin.state.hosts[host] is HostPower.OFF:
        return
    _boot(twin, host, f"is reset: {why}")
    drop(twin, twin.model.vertex[host])
    update(twin)
    twin.changed()


def reboot(twin: Twin, host: str) -> None:
    """Start a server anew that has ended all it did."""
    _boot(twin, host, "reboots")
    twin.changed()


def halt(twin: Twin, host: str) -> None:
    """Switch off a server that has ended all it did."""
    twin.state.hosts[host] = HostPower.OFF
    twin.state.halted[host] = twin.now_s
    twin.state.onboot.pop(host, None)
    twin.note(twin.model.vertex[host], "off", f"{host} is shut down")
    twin.changed()


def _boot(twin: Twin, host: str, how: str) -> None:
    twin.state.hosts[host] = HostPower.BOOTING
    twin.state.onboot.pop(host, None)
    twin.cancel(("power", "watchdog", host))
    twin.after(twin.model.hosts[host].boot, ("power", "boot", host))
    twin.note(twin.model.vertex[host], "starting", f"{host} {how}")
