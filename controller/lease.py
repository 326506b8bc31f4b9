"""One writer: a lease in the history's database, renewed while its holder lives.

Controllers of one lab share the history's URL; whoever holds the lease acts, the others report.
Within a state folder a lock of the operating system lets one process in, so its successor after a
crash is the same holder and need not wait. A holder that stops renewing loses the lease after
`LIFETIME_S`. The fencing token rises with each change of holder; it is checked before each wave,
since a process that was stopped for long does not notice.

The limit: devices do not know the token, so a call that was on its way when the lease was lost
still arrives. Holders' clocks may differ by `SKEW_S`.
"""

from __future__ import annotations

import fcntl
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from controller.clock import Clock
from controller.database import HistoryAway, reading, transaction
from lab.errors import Interrupted, Refused

LIFETIME_S = 60.0
RENEW_S = LIFETIME_S / 4
SKEW_S = 10.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write until when, by the holder's clock."""

    holder: str
    until_s: float
    token: int


class LeaseLost(Interrupted):
    """Somebody else may be writing: stop before the next step."""


def acquire(engine: Engine, holder: str, now_s: float) -> Lease | None:
    """Take or renew the lease; None while another holder's is alive. One atomic statement."""
    values = {"holder": holder, "until": now_s + LIFETIME_S, "dead": now_s - SKEW_S}
    with transaction(engine) as connection:
        row = connection.execute(
            text(
                "INSERT INTO lease (id, holder, until_s, token) VALUES (1, :holder, :until, 1)"
                " ON CONFLICT (id) DO UPDATE SET holder = :holder, until_s = :until,"
                " token = lease.token + CASE WHEN lease.holder = :holder THEN 0 ELSE 1 END"
                " WHERE lease.holder = :holder OR lease.until_s < :dead"
                " RETURNING holder, until_s, token"
            ),
            values,
        ).one_or_none()
    return Lease(*row) if row is not None else None


def current(where: Engine | Connection) -> Lease | None:
    """Whoever has it or had it last; from a connection, as that one sees it."""
    with reading(where) as connection:
        row = connection.execute(text("SELECT holder, until_s, token FROM lease")).one_or_none()
    return Lease(*row) if row is not None else None


def release(engine: Engine, holder: str) -> None:
    """Let others have it at once."""
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE lease SET until_s = 0 WHERE holder = :holder"), {"holder": holder}
        )


@contextmanager
def only_process(state: Path) -> Iterator[str]:
    """The name of this installation as a holder, while no other process works in `state`.

    Raises Refused if one does. The lock goes with the process, however it ends.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "holder").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"another vlab works in {state}"
            raise Refused(what, "let it end, or give this one a state folder of its own") from error
        file.seek(0)
        name = file.read().strip()
        if not name:
            name = f"{socket.gethostname()}/{uuid.uuid4().hex[:12]}"
            file.write(name)
            file.flush()
        yield name


class Tenure:
    """A lease that is kept alive by a thread of its own, whatever the holder is busy with."""

    def __init__(self, engine: Engine, lease: Lease, clock: Clock) -> None:
        self._engine = engine
        self._lease = lease
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def check(self) -> None:
        """Raises LeaseLost unless the lease is still ours, asking the database."""
        held, ours = current(self._engine), (self._lease.holder, self._lease.token)
        if held is None or (held.holder, held.token) != ours:
            raise LeaseLost(f"{held.holder if held else 'somebody'} took the lease over")
        if held.until_s < self._clock.now():
            raise LeaseLost("the lease was not renewed in time")

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                acquire(self._engine, self._lease.holder, self._clock.now())
            except HistoryAway:
                continue  # the database is away: `check` says so before the next step

    def __enter__(self) -> Tenure:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
