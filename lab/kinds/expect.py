"""What must hold, and what is known not to: invariants and accepted single points of failure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.faults import FaultKind
from lab.item import Flaw, Item
from lab.names import ServiceName
from lab.units import Duration


class Expectation(Item):
    """Either an invariant or an accepted single point.

    Invariant: after `any_one_fault_of` those kinds (each thing of the kind in turn) every service
    of `services` is back within `outage`. Accepted: the fault `accept` may break `services`, for
    `reason`; invariants skip that fault for those services. No services: it breaks none, and is
    stated for what it costs otherwise. `accept` may name faults that are accepted only together:
    `fail-switch sw1 fail-switch sw2`.
    """

    services: tuple[ServiceName, ...]
    any_one_fault_of: tuple[FaultKind, ...] = ()
    outage: Duration | None = None
    accept: str | None = None
    reason: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        if (self.accept is None) == (not self.any_one_fault_of):
            yield Flaw(
                (),
                "an expectation has either any-one-fault-of or accept",
                fix="write one",
            )
        if self.accept is not None and not self.reason:
            yield Flaw((), "an accepted single point has no reason", fix="add reason:")
        if self.any_one_fault_of and not self.services:
            yield Flaw(("services",), "an invariant names no service", fix="name one")
        if self.any_one_fault_of and self.outage is None:
            yield Flaw(
                (),
                "an invariant says how long an outage may be",
                fix="add outage: 300s",
            )
