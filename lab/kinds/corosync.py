"""How the nodes of a cluster agree who is a member and who may act: corosync with votequorum.

The words are those of the manuals, with hyphens. Sources: corosync.conf(5), votequorum(5),
corosync-qdevice(8); what excludes what is what corosync 3.1.7 itself refuses or switches off.

Leaves out: votes other than one for each node, a list of nodes as tie breaker, heuristics of the
quorum device, downscaling.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Item
from lab.names import VlanName
from lab.units import Count, Flag, Natural

MAX_LINKS = 8  # corosync.conf(5), interface: linknumber 0 to 7
CONSENSUS_PER_TOKEN = 1.2  # the same, consensus


class Edge(StrEnum):
    """Which node breaks a tie, by its id: nodes of a cluster are numbered in the order of names."""

    LOWEST = "lowest"
    HIGHEST = "highest"


class Algorithm(StrEnum):
    """Whom a quorum device gives its votes. ffsplit: exactly one half of a split cluster, with one
    vote. lms: the last nodes that it still sees, with one vote less than there are nodes.
    """

    FFSPLIT = "ffsplit"
    LMS = "lms"


class Qdevice(Item):
    """A quorum device: a server outside of the cluster that runs qnetd. `vlan`: where the nodes
    reach it.
    """

    host: str
    vlan: VlanName
    algorithm: Algorithm = Algorithm.FFSPLIT
    tie_breaker: Edge = Edge.LOWEST

    def votes(self, nodes: int) -> int:
        """Its votes in a cluster of so many nodes; it takes no other number."""
        return 1 if self.algorithm is Algorithm.FFSPLIT else max(1, nodes - 1)


class Corosync(Item):
    """Membership and quorum. Timers in milliseconds; defaults are corosync 3's, 125 is what new
    clusters of 9.2 write. `wait-for-all` is on where `two-node` is, unless written.
    """

    links: tuple[VlanName, ...]
    token_ms: Count = 3000
    token_coefficient_ms: Natural = 650
    expected_votes: Count | None = None
    two_node: Flag = False
    wait_for_all: Flag | None = None
    last_man_standing: Flag = False
    last_man_standing_window_ms: Count = 10_000
    auto_tie_breaker: Flag = False
    auto_tie_breaker_node: Edge = Edge.LOWEST
    qdevice: Qdevice | None = None

    @property
    def waits_for_all(self) -> bool:
        """Whether nobody has quorum before all nodes were there at once."""
        return self.two_node if self.wait_for_all is None else self.wait_for_all

    def token_in_force_ms(self, nodes: int) -> int:
        """The token timeout in a cluster of so many nodes: it grows with each above two."""
        return self.token_ms + max(0, nodes - 2) * self.token_coefficient_ms

    def slowest_s(self, nodes: int) -> float:
        """The longest from the loss of nodes to the membership without them: token + consensus."""
        return (1 + CONSENSUS_PER_TOKEN) * self.token_in_force_ms(nodes) / 1000

    def flaws(self) -> Iterator[Flaw]:
        if not 1 <= len(self.links) <= MAX_LINKS:
            what = f"there are {len(self.links)} corosync links"
            yield Flaw(("links",), what, fix=f"write 1 to {MAX_LINKS}")
        yield from self._exclusions()
        if "last_man_standing_window_ms" in self.written and not self.last_man_standing:
            what = "last-man-standing-window-ms is written without last-man-standing"
            yield Flaw(
                ("last-man-standing-window-ms",), what, "it does nothing", "add last-man-standing"
            )
        if "auto_tie_breaker_node" in self.written and not self.auto_tie_breaker:
            what = "auto-tie-breaker-node is written without auto-tie-breaker"
            yield Flaw(("auto-tie-breaker-node",), what, "it does nothing", "add auto-tie-breaker")

    def _exclusions(self) -> Iterator[Flaw]:
        """What can't be together."""
        if self.two_node and self.auto_tie_breaker:
            what = "two-node and auto-tie-breaker are both on"
            why = "with two-node both halves go on; corosync then switches two-node off"
            yield Flaw(("two-node",), what, why, "remove one of them")
        if self.qdevice is None:
            return
        for other in ("two_node", "auto_tie_breaker", "last_man_standing"):
            if getattr(self, other):
                key = other.replace("_", "-")
                what = f"{key} and a qdevice are both there"
                why = "the device's vote does the same, and corosync refuses to start with both"
                yield Flaw((key,), what, why, "remove one of them")
        if self.expected_votes is not None:
            what = "expected-votes and a qdevice are both there"
            why = "the device's votes are counted on top, so the number can't be the whole"
            fix = "remove expected-votes: it is counted from nodes and device"
            yield Flaw(("expected-votes",), what, why, fix)
