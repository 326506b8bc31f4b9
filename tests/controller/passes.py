"""A pass of the controller without its shell: recover, observe, plan, execute, take over.

What a test needs of git, gate and history is a commit's name and a dict.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from controller.execute import AfterOperation, Outcome, execute
from controller.journal import Journal
from controller.managed import Key
from controller.observe import observe
from controller.owned import OwnedRecord
from controller.plan import Plan
from controller.planning import plan_changes
from controller.recover import Recovery, recover
from lab.lab import Lab
from tests.controller.shelf import CLUSTERS, ManualClock, Shelf, device
from tests.labs import lab_of


@dataclass
class Passes:
    """One controller: its device, clock, journal and memory of what is ours."""

    port: Shelf
    clock: ManualClock
    journal: Journal = field(default_factory=Journal)
    owned: dict[Key, OwnedRecord] = field(default_factory=dict)

    def recover(self) -> Recovery:
        """Take over what the journal says."""
        recovery = recover(self.journal, [device(self.port)], self.clock, self.owned)
        self.owned = recovery.owned(self.owned)
        if not recovery.in_doubt:
            self.journal.clear()
        return recovery

    def plan(self, declared: str, *, approve: Container[Key] = frozenset()) -> Plan:
        """What is to be done for a desired state."""
        recovery = self.recover()
        observed = observe([device(self.port)], self.clock).doubting(recovery.in_doubt)
        return plan_changes(lab(declared), observed, self.owned, "c0ffee", approve=approve)

    def act(self, declared: str, after: AfterOperation | None = None) -> Outcome:
        """One whole pass."""
        outcome = execute(self.plan(declared), [device(self.port)], self.journal, self.clock, after)
        self.recover()
        return outcome


def lab(declared: str) -> Lab:
    """The lab of a desired state, in cluster a."""
    return lab_of(CLUSTERS, declared, rules=False)
