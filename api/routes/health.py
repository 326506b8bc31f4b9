"""For those who watch the process: whether it is alive and ready, and its figures."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.answers import Answer
from api.metrics import Metrics
from api.problems import responses
from api.view import View

router = APIRouter(tags=["health"])


class Health(Answer):
    """It is."""

    status: str = "ok"


@router.get("/healthz")
async def alive() -> Health:
    """Whether the process answers."""
    return Health()


@router.get("/readyz", responses=responses(503))
def ready(request: Request) -> Health:
    """Whether there is something to show: the history answers, and a pass has ended."""
    view: View = request.app.state.view
    if not view.history.recall("looked"):
        raise HTTPException(503, "no pass has ended yet")
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses(503)},
)
def metrics(request: Request) -> Response:
    """Figures in the text format of Prometheus; names begin with `vlab_`, units are base units."""
    kept: Metrics = request.app.state.metrics
    return Response(kept.text(request.app.state.view), media_type=CONTENT_TYPE_LATEST)
