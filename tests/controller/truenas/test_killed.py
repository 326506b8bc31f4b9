"""Stopped before and after every call that changes the array, and started again: the same end."""

from __future__ import annotations

from itertools import count

import pytest

from controller.execute import execute
from controller.journal import Journal
from controller.planning import EVERYTHING, plan_changes
from controller.recover import recover
from lab.lab import Lab
from simulator.build import twin_of
from simulator.truenas.face import attach_installed
from simulator.twin import Twin
from tests.controller.truenas.served import Served, in_process, lab, steps

ASKING = ("query", "config", "sessions", "version", "client_count", "attachments", "get_jobs")
CALLS = 19  # that bring the array from nothing to all of the lab


class Killed(BaseException):
    """The process is gone; nothing of ours catches it."""


class Dying:
    """The way to an array for a process that dies at its so-many-th change."""

    def __init__(self, array: Served, last: int, *, after: bool) -> None:
        self._inner, self._numbers = array.line.inner, count(1)
        self._last, self._after = last, after

    def call(self, method: str, params: object, timeout_s: float) -> object:
        if method.rpartition(".")[2] in ASKING:
            return self._inner.call(method, params, timeout_s)  # type: ignore[arg-type]
        last = next(self._numbers) == self._last
        if last and not self._after:
            raise Killed
        answer = self._inner.call(method, params, timeout_s)  # type: ignore[arg-type]
        if last:
            raise Killed
        return answer

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def declared() -> Lab:
    return lab()


@pytest.fixture(scope="module")
def empty(declared: Lab) -> Twin:
    twin = twin_of(declared, empty=True)
    attach_installed(twin)
    return twin


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("last", range(1, CALLS + 1))
def test_killed_at_any_call_it_ends_in_the_same_array(
    last: int, after: bool, declared: Lab, empty: Twin
) -> None:
    twin = empty.fork()
    journal = Journal()
    first = in_process(declared, twin)
    plan = first.plan(declared)
    first.line.inner = Dying(first, last, after=after)
    with pytest.raises(Killed):
        execute(plan, [first.device], journal, first.clock)

    then = in_process(declared, twin)
    recovery = recover(journal, [then.device], then.clock, {})
    seen = then.observe().doubting(recovery.in_doubt)
    again = plan_changes(declared, seen, recovery.owned({}), "c0ffee", approve=EVERYTHING)
    assert execute(again, [then.device], journal, then.clock).done
    assert steps(then.plan(declared)) == []
    for namespace in ("iscsi.portal", "iscsi.initiator", "iscsi.auth", "iscsi.target"):
        rows = then.call(f"{namespace}.query")
        assert len(rows) == {"iscsi.portal": 2, "iscsi.target": 2}.get(namespace, 1)


def test_these_are_all_calls_that_change_something(declared: Lab, empty: Twin) -> None:
    array = in_process(declared, empty.fork())
    assert array.apply(declared).done
    changes = [name for name, _ in array.line.calls if name.rpartition(".")[2] not in ASKING]
    assert len(changes) == CALLS
