"""One writer at a time, on both databases, whatever happens to the one that has the lease."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from controller.database import connect
from controller.lease import (
    LIFETIME_S,
    SKEW_S,
    Lease,
    LeaseLost,
    Tenure,
    acquire,
    current,
    only_process,
    release,
)
from lab.errors import Refused

T0_S = 1_700_000_000.0


class HandClock:
    """Shows what it was set to; tells when it is asked."""

    def __init__(self, now_s: float = T0_S) -> None:
        self.now_s = now_s
        self.asked = threading.Event()

    def now(self) -> float:
        self.asked.set()
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def engine(history_url: str) -> Iterator[Engine]:
    engine = connect(history_url)
    yield engine
    engine.dispose()


def lease_of(engine: Engine, holder: str, now_s: float = T0_S) -> Lease:
    lease = acquire(engine, holder, now_s)
    assert lease is not None
    return lease


def test_the_second_controller_waits_while_the_first_renews(engine: Engine) -> None:
    first = lease_of(engine, "east")
    assert first == Lease("east", T0_S + LIFETIME_S, 1)
    assert acquire(engine, "west", T0_S + 30) is None
    renewed = lease_of(engine, "east", T0_S + 50)
    assert (renewed.until_s, renewed.token) == (T0_S + 50 + LIFETIME_S, 1)
    assert acquire(engine, "west", T0_S + 50 + LIFETIME_S) is None


def test_the_second_controller_takes_over_when_the_first_is_silent(engine: Engine) -> None:
    lease_of(engine, "east")
    silence_s = LIFETIME_S + SKEW_S
    assert acquire(engine, "west", T0_S + silence_s) is None
    taken = lease_of(engine, "west", T0_S + silence_s + 1)
    assert taken.token == 2
    assert acquire(engine, "east", T0_S + silence_s + 2) is None


def test_a_controller_that_ends_lets_the_other_in_at_once(engine: Engine) -> None:
    lease_of(engine, "east")
    release(engine, "west")
    assert acquire(engine, "west", T0_S + 1) is None
    release(engine, "east")
    assert lease_of(engine, "west", T0_S + 1).token == 2


def test_one_of_many_that_come_at_the_same_instant_gets_it(engine: Engine) -> None:
    start = threading.Barrier(8)
    got: list[Lease] = []

    def come(name: str) -> None:
        start.wait()
        if (lease := acquire(engine, name, T0_S)) is not None:
            got.append(lease)

    threads = [threading.Thread(target=come, args=(f"holder {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [current(engine)]


def test_a_holder_that_was_stopped_for_long_does_not_go_on(engine: Engine) -> None:
    clock = HandClock()
    with Tenure(engine, lease_of(engine, "east"), clock) as tenure:
        tenure.check()
        clock.now_s += LIFETIME_S + 1
        with pytest.raises(LeaseLost, match="not renewed in time"):
            tenure.check()
        lease_of(engine, "west", clock.now_s + SKEW_S)
        with pytest.raises(LeaseLost, match="west took the lease over"):
            tenure.check()


def test_a_lease_that_changed_hands_and_came_back_is_another_one(engine: Engine) -> None:
    clock = HandClock()
    with Tenure(engine, lease_of(engine, "east"), clock) as tenure:
        release(engine, "east")
        lease_of(engine, "west")
        release(engine, "west")
        lease_of(engine, "east")
        with pytest.raises(LeaseLost):
            tenure.check()


def test_a_busy_holder_keeps_its_lease(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.lease.RENEW_S", 0.01)
    clock = HandClock()
    lease = lease_of(engine, "east")
    clock.now_s += LIFETIME_S - 1
    with Tenure(engine, lease, clock) as tenure:
        for _ in range(2):  # once asked again, the renewal before it is in the database
            clock.asked.clear()
            assert clock.asked.wait(60)
        clock.now_s += LIFETIME_S - 1
        tenure.check()


def test_a_state_folder_lets_one_process_in_and_keeps_its_name(tmp_path: Path) -> None:
    with only_process(tmp_path / "state") as name:
        code = (
            "import sys; from pathlib import Path; from controller.lease import only_process\n"
            "with only_process(Path(sys.argv[1])): pass"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "state"], capture_output=True, text=True
        )
        assert "Refused: another vlab works in" in other.stderr
        with pytest.raises(Refused), only_process(tmp_path / "state"):
            pytest.fail("two were let in")
    with only_process(tmp_path / "state") as again:
        assert again == name
