"""What a failure would do, asked over HTTP: the same run as `vlab simulate`, one at a time.

It works on a twin of the lab in force as declared and changes nothing. A run is bounded by the
number and the times of its faults; one that still takes long is answered without, and holds its
turn until it has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import Field

from api.answers import Answer
from api.metrics import Metrics
from api.problems import responses
from api.security import needs_token_from_afar
from api.timeline import as_json
from api.view import View
from lab.faults import Fault, parse_faults
from lab.lab import Lab
from simulator.outcome.report import Finding, LostRedundancy, Outage, Overcommit, Report
from simulator.outcome.simulate import in_time, simulate
from simulator.twin import Event

router = APIRouter(tags=["twin"])

FAULTS = 16
PATIENCE_S = 60.0


class Asked(Answer):
    """Faults in the one grammar: `fail-node pve2@0s..300s fail-switch sw1@30s`."""

    faults: Annotated[
        str, Field(min_length=1, max_length=1000, examples=["fail-node pve2@0s..300s"])
    ]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class VerdictTold(Answer):
    """`safe` or `unsafe`, and why."""

    name: str
    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...]


class Told(Answer):
    """What came of it, as `vlab simulate --output json` says it. Times in seconds of the run."""

    format_version: int
    faults: tuple[str, ...]
    seed: int
    until_s: float
    settled: bool
    events: tuple[Event, ...]
    outages: tuple[Outage, ...]
    lost_redundancy: tuple[LostRedundancy, ...]
    overcommit: tuple[Overcommit, ...]
    down_before: tuple[str, ...]
    verdict: VerdictTold
    rests_on: tuple[str, ...]


class Bench:
    """The one place where simulations run, one at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="simulation")

    def run(self, lab: Lab, faults: Sequence[Fault], seed: int, patience_s: float) -> Report:
        """One simulation. Raises HTTPException when another runs, or this one takes too long."""
        if not self._turn.acquire(blocking=False):
            raise HTTPException(429, "another simulation is running", {"retry-after": "2"})
        running = self._pool.submit(self._in_turn, lab, faults, seed)
        try:
            return running.result(patience_s)
        except TookTooLong as error:
            what = f"this takes longer than {patience_s:g} s; run `vlab simulate` on its own"
            raise HTTPException(503, what, {"retry-after": "60"}) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    def _in_turn(self, lab: Lab, faults: Sequence[Fault], seed: int) -> Report:
        """The turn is over before anybody hears what came of it, and so may ask for the next."""
        try:
            return simulate(lab, faults, seed=seed)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@router.post(
    "/simulations",
    dependencies=[Depends(needs_token_from_afar)],
    responses=responses(401, 403, 404, 422, 429, 503),
)
def simulations(request: Request, asked: Asked) -> Told:
    """Let these faults happen on a twin of the lab in force."""
    view: View = request.app.state.view
    bench: Bench = request.app.state.bench
    metrics: Metrics = request.app.state.metrics
    faults = _faults(asked.faults)
    now = view.lab()
    if now is None:
        raise HTTPException(404, "no commit is in force yet")
    with metrics.simulation():
        report = bench.run(now.lab, faults, asked.seed, PATIENCE_S)
    metrics.simulated(report.verdict.name)
    return Told.model_validate(as_json(report))


def _faults(words: str) -> tuple[Fault, ...]:
    try:
        faults = parse_faults([words])
        in_time(faults)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    if len(faults) > FAULTS:
        raise HTTPException(422, f"{len(faults)} faults are more than {FAULTS}")
    return faults
