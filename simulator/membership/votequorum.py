"""Who has quorum: the rules by which votequorum counts, without time or network.

`corosync` says which nodes form a membership and whom the quorum device gives its votes;
here that becomes, for each node by itself, whether it may act. A node remembers a little from one
membership to the next (`Ballot`); two nodes of one membership can come to different verdicts, as
real ones do.

Sources: votequorum(5); what it leaves open was tried with corosync 3.1.7 (`vlab fidelity
corosync-live`). Leaves out: votes other than one for each node, changes while the cluster runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lab.kinds.corosync import Corosync, Edge


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a node's votequorum knows.

    `expected`: the votes of which it takes the majority. `waits`: for all nodes at once. `device`:
    the quorum device votes for it. `breaker`: the node that would break a tie, of those with whom
    it last had a majority. `size`: how many were members with it.
    """

    expected: int
    quorate: bool = False
    waits: bool = False
    device: bool = False
    breaker: str = ""
    size: int = 1

    @property
    def needed(self) -> int:
        """Votes that are a majority."""
        return self.expected // 2 + 1


@dataclass(frozen=True, slots=True)
class Votequorum:
    """The settings of one cluster. `nodes`: all of them, in the order of their ids."""

    nodes: Sequence[str]
    settings: Corosync

    def fresh(self) -> Ballot:
        """A node whose daemon has just started."""
        expected = self.settings.expected_votes or len(self.nodes)
        return Ballot(expected + self.device_votes, waits=self.settings.waits_for_all)

    @property
    def device_votes(self) -> int:
        """Votes of the quorum device; 0 without one."""
        device = self.settings.qdevice
        return 0 if device is None else device.votes(len(self.nodes))

    def votes(self, members: int, ballot: Ballot) -> int:
        """The votes that a node counts in a membership."""
        return members + (self.device_votes if ballot.device else 0)

    def formed(self, before: Mapping[str, Ballot]) -> dict[str, Ballot]:
        """Verdicts of a membership. `before`: what each member knows as it forms; `device` is so
        already.
        """
        sure = [ballot.expected for ballot in before.values() if ballot.quorate]
        return {node: self._judged(ballot, sure, tuple(before)) for node, ballot in before.items()}

    def _judged(self, ballot: Ballot, sure: Sequence[int], members: Sequence[str]) -> Ballot:
        """`sure`: the expected votes of members that come with quorum; who has none takes theirs,
        and waits no longer.
        """
        votes = self.votes(len(members), ballot)
        expected = max(sure) if sure and not ballot.quorate else ballot.expected
        now = replace(ballot, expected=max(expected, votes), size=len(members))
        if ballot.waits and not sure and votes < now.expected:
            return replace(now, quorate=False)
        majority = votes >= self._needed(now, members)
        if majority:
            now = replace(now, breaker=self._edge(members))
        quorate = majority or self._breaks_tie(now, ballot.size, members, votes)
        return replace(now, quorate=quorate, waits=self.settings.waits_for_all and not quorate)

    def _needed(self, ballot: Ballot, members: Sequence[str]) -> int:
        alone = self.settings.two_node and len(members) <= 2
        return 1 if alone else ballot.needed

    def _breaks_tie(self, now: Ballot, before: int, members: Sequence[str], votes: int) -> bool:
        """Whether half of the votes is enough: the breaker is here, and those who left have no
        majority.
        """
        return (
            self.settings.auto_tie_breaker
            and votes == now.expected // 2
            and before - len(members) < now.needed
            and now.breaker in members
        )

    def _edge(self, members: Sequence[str]) -> str:
        lowest = self.settings.auto_tie_breaker_node is Edge.LOWEST
        return (min if lowest else max)(members, key=self.nodes.index)

    def lowered(self, before: Mapping[str, Ballot]) -> dict[str, Ballot]:
        """The members once the window of last_man_standing is over: with quorum they expect no more
        votes than there are.
        """
        return {
            node: replace(ballot, expected=len(before)) if ballot.quorate else ballot
            for node, ballot in before.items()
        }
