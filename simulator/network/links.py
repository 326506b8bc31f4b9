"""Bonds over time: how long a dead member is still used, and how long a healed one is not used yet.

A member whose carrier is gone is dropped at the next look at the carriers (miimon). A silently
dead one, whose carrier stays, is dropped by LACP after three periods without a PDU from the
partner, counted from the last one that came, at whichever end takes longer; without LACP never.
Until then it is in `state.unnoticed`; dropped members are in `state.left`, and come back some
time after they are healed. Reachability itself is in `reach`.

Source: the Linux bonding manual; IEEE 802.1AX 6.4 (timers); measured figures with the real
drivers.

Leaves out: updelay and downdelay, members between switches (noticed at once), bonds of arrays and
backup servers other than as Linux does them, the partner's own rate (taken as the host's).
"""

from __future__ import annotations

from lab.kinds.host import Bond, BondMode, Driver, LacpRate
from simulator.model import BROKEN
from simulator.network.reach import Reach
from simulator.network.wiring import Leg, Uplink
from simulator.state import Timer
from simulator.twin import Twin

# LACPDUs every 30 s (slow) or 1 s (fast); a partner is lost after three periods. Source: IEEE
# 802.1AX 6.4.1.
PERIOD_S = {LacpRate.SLOW: 30.0, LacpRate.FAST: 1.0}
LOST_PERIODS = 3
# From carrier up to a member that carries traffic: the mux waits 2 s (802.1AX, aggregate wait),
# then PDUs are exchanged. Measured with fast rate: Linux 2.4-3.2 s, Open vSwitch (no wait) 0.1-1
# s.
REJOIN_S = {Driver.LINUX: (2.4, 3.2), Driver.OVS: (0.1, 1.0)}


class LinkPart:
    """Keeps `state.unnoticed` and `state.left`, by port vertices."""

    name = "links"
    reads = (*BROKEN, "unnoticed")

    def settle(self, twin: Twin) -> bool:
        """Look at every member of every bond of a running host."""
        reach = twin.facts.reach
        dead, state = reach.broken.dead, twin.state
        changed = False
        for uplink in twin.model.wiring.bonds:
            off = uplink.device_bit & dead
            for leg in uplink.legs:
                if off:
                    changed |= self._forget(twin, leg)
                elif leg.mask & dead or leg.port in state.left or leg.port in state.unnoticed:
                    changed |= self._follow(twin, reach, uplink, leg)
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """A bond notices that a member is dead, or takes it back."""
        _, what, port = timer[:3]
        state, name = twin.state, port.rpartition("/")[2]
        uplink = twin.model.wiring.bond_of[port]
        if what == "join":
            del state.left[port]
            done = f"takes {name} back"
        else:
            dead_s = twin.now_s - state.unnoticed.pop(port)
            state.left[port] = twin.now_s
            done = f"drops {name}"
            if timer[3] == "silence":
                done += f", whose flows were lost for {dead_s:.1f} s"
        total = len(uplink.legs)
        using = total - sum(leg.port in state.left for leg in uplink.legs)
        kind = "bond-restored" if using == total else "bond-degraded"
        text = f"{uplink.name} {done}: {using} of {total} members in use"
        twin.note(f"bond {uplink.name}", kind, text)

    def _follow(self, twin: Twin, reach: Reach, uplink: Uplink, leg: Leg) -> bool:
        state, port = twin.state, leg.port
        assert uplink.bond is not None
        join = (self.name, "join", port)
        if not leg.mask & reach.broken.dead:
            self._cancel_leave(twin, port)
            if port in state.left and not twin.is_set(join):
                twin.after(self._rejoin_s(twin, uplink.bond, port), join)
            return state.unnoticed.pop(port, None) is not None
        twin.cancel(join)
        if port in state.left:
            return False
        carrier = bool(leg.mask & reach.broken.hard)
        leave = (self.name, "leave", port, "carrier" if carrier else "silence")
        delay_s = notice_s(twin, uplink.bond, leg, carrier=carrier)
        if delay_s is not None and not twin.is_set(leave):
            self._cancel_leave(twin, port)
            twin.after(delay_s, leave)
        if port in state.unnoticed:
            return False
        state.unnoticed[port] = twin.now_s
        if not carrier:
            how = "nothing will notice" if delay_s is None else "LACP has not noticed yet"
            name = port.rpartition("/")[2]
            twin.note(
                f"bond {uplink.name}",
                "bond-disturbed",
                f"{uplink.name} still uses {name}, which is dead: flows over it are lost, {how}",
            )
        return True

    def _forget(self, twin: Twin, leg: Leg) -> bool:
        """A host that does not run has no bonds; it makes them anew when it starts."""
        twin.cancel((self.name, "join", leg.port))
        self._cancel_leave(twin, leg.port)
        known = (twin.state.unnoticed.pop(leg.port, None), twin.state.left.pop(leg.port, None))
        return known != (None, None)

    def _cancel_leave(self, twin: Twin, port: str) -> None:
        twin.cancel((self.name, "leave", port, "carrier"))
        twin.cancel((self.name, "leave", port, "silence"))

    def _rejoin_s(self, twin: Twin, bond: Bond, port: str) -> float:
        if bond.mode is BondMode.LACP:
            return twin.between(*REJOIN_S[bond.driver], port)
        return twin.between(0, bond.miimon_ms / 1000, port)


def notice_s(twin: Twin, bond: Bond, leg: Leg, *, carrier: bool) -> float | None:
    """How long until a bond drops a dead member; None: it never does."""
    if carrier:
        return twin.between(0, bond.miimon_ms / 1000, leg.port)
    if not notices_silence(bond, leg):
        return None
    period_s = PERIOD_S[bond.rate]
    heard = [twin.between(0, period_s, leg.port, end) for end in ("near", "far")]
    return LOST_PERIODS * period_s - min(heard)


def notices_silence(bond: Bond, leg: Leg) -> bool:
    """Whether both ends speak LACP on a member, so that silence is noticed."""
    return bond.mode is BondMode.LACP and leg.lag is not None
