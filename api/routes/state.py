"""How things stand: status, objects, plan, runs, and the lab as it is drawn."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from api.answers import Answer
from api.problems import responses
from api.topology import Topology, topology
from api.view import View
from controller import status as standing
from controller.managed import Value

router = APIRouter(tags=["state"])
LAST = 2**63 - 1  # the largest number of a row in a database


class KeyTold(Answer):
    """The identity of a thing on its device."""

    device: str
    kind: str
    id: str


class ChangeTold(Answer):
    """A field that changes; null where there is no value before or after. Sizes in bytes."""

    field: str
    old: Value | None
    new: Value | None
    cost: str
    place: str | None
    drifted: bool


class OperationTold(Answer):
    """What is done to one thing, the file and line that ask for it, and what is sent."""

    action: str
    key: KeyTold
    path: list[str]
    cost: str
    place: str | None
    reason: str
    changes: list[ChangeTold]
    steps: list[str]


class NoteTold(Answer):
    """Something that is not done, and why."""

    kind: str
    subject: str
    text: str
    place: str | None


class Plan(Answer):
    """What would be done, as `vlab plan --output json` says it."""

    format_version: int
    commit: str
    fingerprint: str
    cost: str
    waves: list[list[OperationTold]]
    pending: list[OperationTold]
    notes: list[NoteTold]


@router.get("/status", responses=responses(503))
def status(request: Request) -> standing.Status:
    """Everything at a glance: sync, commits, conditions, last runs, last events, plan."""
    return standing.status(_view(request).history)


@router.get("/objects", responses=responses(503))
def objects(request: Request) -> list[standing.ObjectView]:
    """The conditions of every declared object."""
    return list(standing.status(_view(request).history, runs=0, events=0).objects)


@router.get("/plan", responses=responses(404, 503))
def plan(request: Request) -> Plan:
    """The plan of the last pass."""
    made = standing.status(_view(request).history, runs=0, events=0).plan
    if made is None:
        raise HTTPException(404, "no pass has made a plan yet")
    return Plan.model_validate(made)


@router.get("/runs", responses=responses(422, 503))
def runs(
    request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 20
) -> list[standing.RunView]:
    """The last runs, newest first, without their operations."""
    return list(standing.status(_view(request).history, runs=limit, events=0).runs)


@router.get("/runs/{number}", responses=responses(404, 422, 503))
def run(request: Request, number: Annotated[int, Path(le=LAST)]) -> standing.RunView:
    """One run with all its operations."""
    found = standing.run_view(_view(request).history, number)
    if found is None:
        raise HTTPException(404, f"there is no run {number}")
    return found


@router.get("/lab", responses=responses(404, 503))
def lab(request: Request) -> Topology:
    """The lab as it is drawn: what is declared, where guests are, what is broken."""
    now = _view(request).lab()
    if now is None:
        raise HTTPException(404, "no commit is in force yet")
    return topology(now.lab, now.commit, now.places, now.faults)


def _view(request: Request) -> View:
    view: View = request.app.state.view
    return view
