"""Who serves: the part that keeps the outages of every guest and service.

It comes last among the parts and only looks. `state.down_since` has everything that does not serve
now; `state.outages` has everything that ever served, with the seconds of its outages that are over.
What never served (a guest that is off by wish) has no outage.
Leaves out: how well something serves. A guest counts as serving or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from lab.kinds.service import Service
from simulator.facts import Facts
from simulator.model import BROKEN
from simulator.state import State, Timer
from simulator.twin import Twin


class WatchPart:
    """Follows guests and services as people see them."""

    name = "watch"
    reads = (*BROKEN, "workloads", "guests", "down_since", "outages")

    def settle(self, twin: Twin) -> bool:
        known = set()
        for subject, problem in problems(twin):
            known.add(subject)
            _follow(twin, subject, problem)
        for gone in (twin.state.down_since.keys() | twin.state.outages.keys()) - known:
            twin.state.down_since.pop(gone, None)
            twin.state.outages.pop(gone, None)
        return False  # nothing in the world depends on who looks at it

    def due(self, twin: Twin, timer: Timer) -> None:
        raise AssertionError(f"nobody sets a timer here: {timer}")


def problems(twin: Twin) -> Iterator[tuple[str, str]]:
    """Every guest and service with why it does not serve, "" if it does; each subject once."""
    facts, seen = twin.facts, set()
    for key in twin.state.guests:
        subject = facts.guest_name(key)
        if subject in seen:  # only clusters' own guests can share a name
            subject = f"{subject} ({key[1]})"
        seen.add(subject)
        yield subject, facts.guest_problem(key)
    for name, service in twin.model.lab.services.items():
        yield f"service {name}", service_problem(facts, service)


def service_problem(facts: Facts, service: Service) -> str:
    """Why a service serves nobody: `zoro: pve2 is off`; "" if it serves."""
    bad = _bad_guests(facts, service)
    if service.any and len(bad) < len(service.any):
        return ""
    return "; ".join(f"{name}: {reason}" for name, reason in bad.items())


def _bad_guests(facts: Facts, service: Service) -> dict[str, str]:
    reasons = {
        name: _guest_problem(facts, name, service.vlan) for name in service.any or service.all
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _guest_problem(facts: Facts, name: str, vlan: str | None) -> str:
    guest = facts.model.lab.guests[name]
    key = (guest.cluster, guest.vmid)
    return facts.guest_problem(key, vlan) if key in facts.state.guests else "it is not there"


def forget(state: State) -> None:
    """Start counting anew: outages that are over, and what was down all along, are of the past."""
    state.outages = {subject: 0.0 for subject in state.outages if subject not in state.down_since}


def _follow(twin: Twin, subject: str, problem: str) -> None:
    state, now_s = twin.state, twin.now_s
    if problem:
        if subject in state.down_since:
            return
        state.down_since[subject] = now_s
        if subject in state.outages and not _told(twin, subject):
            twin.note(subject, "down", f"does not serve, {_short(twin, subject, problem)}")
        return
    if subject not in state.down_since:
        state.outages.setdefault(subject, 0.0)
        return
    out_s = now_s - state.down_since.pop(subject)
    if subject in state.outages:
        state.outages[subject] += out_s
        twin.note(subject, "up", f"serves again, after {out_s:.1f} s")
    else:
        state.outages[subject] = 0.0
        twin.note(subject, "up", "serves")


def _told(twin: Twin, subject: str) -> bool:
    """Whether the trace says something of the subject at this very instant: then the cause is
    told.
    """
    now = takewhile(lambda event: event.at_s == round(twin.now_s, 3), reversed(twin.trace))
    return any(event.subject == subject for event in now)


def _short(twin: Twin, subject: str, problem: str) -> str:
    """A service's reason by its guests alone: the trace tells theirs beside it."""
    kind, _, name = subject.partition(" ")
    service = twin.model.lab.services.get(name)
    if kind != "service" or service is None:
        return problem
    return f"without {', '.join(_bad_guests(twin.facts, service))}"
