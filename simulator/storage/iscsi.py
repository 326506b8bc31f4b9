"""iSCSI paths over time: a dead one is used until it is failed, a healed one returns late.

The initiator sees only silence: a NOP-out after some idle time, its timeout, then recovery before
I/O goes to another path. A lost carrier is no faster. Meanwhile all I/O that round robin sends
there waits, so every guest on the LUN does (`availability`). Paths of a node that does not run are
forgotten; it logs in to what it reaches when it starts.

Sources: open-iscsi and multipath-tools defaults; measured: one portal silent 15.2 s, its carrier
lost 14.3 s.

Leaves out: multipath policies other than round robin over all paths, failback, a missing
`fast_io_fail_tmo` (125-130 s), I/O errors by `no_path_retry fail` (I/O is taken to queue),
bandwidth of one path.
"""

from __future__ import annotations

from simulator.facts import Facts
from simulator.model import BROKEN
from simulator.state import HostPower, Timer
from simulator.storage.availability import logged_in, path_works
from simulator.twin import Twin
from simulator.workload import ArraySpec

# node.conn[0].timeo.noop_out_interval 5 s and noop_out_timeout 5 s, the interval already partly
# gone; then fast_io_fail_tmo 5 s, which multipathd puts in place of replacement_timeout.
FAIL_S = (10.0, 15.0)
# Login again and the next check of the path (polling_interval 5 s, up to four times that).
RETURN_S = (5.0, 20.0)


class IscsiPart:
    """Keeps `state.paths`."""

    name = "iscsi"
    reads = (*BROKEN, "arrays", "linux", "stale", "paths")

    def settle(self, twin: Twin) -> bool:
        """Compare every path with the network, and with what the arrays offer."""
        facts, paths = twin.facts, twin.state.paths
        changed = False
        for key in list(twin.state.stale):
            if twin.state.hosts[key.partition("/")[0]] is not HostPower.ON:
                del twin.state.stale[key]
        offered = offers(facts)
        for path in [path for path in paths if (*path.split("/"),) not in offered]:
            node, nas, portal = path.split("/")
            twin.cancel((self.name, node, nas, portal))
            twin.note(f"node {node}", "path-lost", f"{nas} offers it nothing over {portal} now")
            del paths[path]
            changed = True
        for node, nas, portal in offered:
            path = f"{node}/{nas}/{portal}"
            works = path_works(facts, node, nas, portal)
            timer = (self.name, node, nas, portal)
            if twin.state.hosts[node] is not HostPower.ON:
                twin.cancel(timer)
                changed |= paths.pop(path, None) is not None
            elif path not in paths:
                paths[path] = works
                changed = True
            elif paths[path] == works or not facts.host_on(node):
                twin.cancel(timer)
            elif not twin.is_set(timer):
                twin.after(twin.between(*(RETURN_S if works else FAIL_S), path), timer)
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """A path is failed, or in use again."""
        path = "/".join(timer[1:])
        _, node, nas, portal = timer
        twin.state.paths[path] = not twin.state.paths[path]
        usable = [
            twin.state.paths[f"{node}/{nas}/{other}"]
            for known, array, other in offers(twin.facts)
            if (known, array) == (node, nas)
        ]
        left = f"{sum(usable)} of {len(usable)} paths to {nas} in use"
        kind, word = (
            ("path-restored", "is back") if twin.state.paths[path] else ("path-lost", "fails")
        )
        twin.note(f"node {node}", kind, f"path over {portal} {word}: {left}")


def offers(facts: Facts) -> dict[tuple[str, str, str], frozenset[str]]:
    """Node, array, portal of every path that an initiator has -> volumes that it sees there.

    A host that tells of its sessions has paths where it is logged in, others wherever they may.
    """
    found = {
        (node, nas, portal): frozenset(
            volume for volume in volumes if logged_in(facts, node, nas, portal, volume)
        )
        for nas, spec in facts.state.arrays.items()
        for (node, portal), volumes in facts.model.offered(nas, spec).items()
    }
    for stale in facts.state.stale:
        node, nas, volume = stale.split("/", 2)
        for place in [place for place in found if place[:2] == (node, nas)]:
            found[place] -= {volume}
    return {place: volumes for place, volumes in found.items() if volumes}


def set_array(twin: Twin, nas: str, now: ArraySpec) -> None:
    """Let an array serve something else.

    Hosts ask for a target by its name: of one that is renamed under them they lose the LUNs, until
    it has its old name again, they start anew, or it was gone in between and they are told.
    """
    before = twin.state.arrays[nas]
    logged_in = offers(twin.facts)
    for volume, target in now.targets.items():
        old = before.targets.get(volume, target)
        for (node, array, _), volumes in logged_in.items():
            if array == nas and volume in volumes and old != target:
                twin.state.stale[f"{node}/{nas}/{volume}"] = old
    for key, asked in list(twin.state.stale.items()):
        _, array, volume = key.split("/", 2)
        if array == nas and now.targets.get(volume) in (None, asked):
            del twin.state.stale[key]
    twin.state.arrays[nas] = now
    twin.changed()


def usable_now(facts: Facts) -> dict[str, bool]:
    """Every path of running nodes, as it is once everybody knows."""
    return {
        f"{node}/{nas}/{portal}": path_works(facts, node, nas, portal)
        for node, nas, portal in offers(facts)
        if facts.host_on(node)
    }
