"""Errors as problem details. Source: RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.answers import Complaint, Mistake
from controller.history import HistoryAway
from lab.messages import told

MEDIA_TYPE = "application/problem+json"


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its errors in OpenAPI."""
    schema = {"$ref": "#/components/schemas/Complaint"}
    return {
        code: {
            "description": HTTPStatus(code).phrase,
            "model": Complaint,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for code in codes
    }


def complaint(
    status: int,
    detail: str = "",
    headers: dict[str, str] | None = None,
    errors: tuple[Mistake, ...] = (),
) -> JSONResponse:
    """An answer that says no."""
    title = HTTPStatus(status).phrase
    said = Complaint(title=title, status=status, detail=detail, errors=errors)
    return JSONResponse(said.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def _mistake(detail: Mapping[str, Any]) -> Mistake:
    """In our words what pydantic found; the pointer is one of RFC 6901, as a fragment."""
    where, *path = map(str, detail["loc"])
    if detail["type"] == "json_invalid":
        why = str(detail["ctx"]["error"])
        return Mistake(detail=f"the body is not JSON: {why}", fix="write JSON", pointer="#")
    within = {**detail, "loc": path}
    (problem,) = told((within,), "", None, (f"the {where}",), None, lambda _path: None)
    if where != "body":
        return Mistake(detail=problem.what, fix=problem.fix, parameter=".".join(path))
    steps = (quote(step.replace("~", "~0").replace("/", "~1")) for step in path)
    pointer = "#" + "".join(f"/{step}" for step in steps)
    return Mistake(detail=problem.what, fix=problem.fix, pointer=pointer)


def install(app: FastAPI) -> None:
    """Let every error of `app` be told so."""

    @app.exception_handler(HTTPException)
    async def said_no(_request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return complaint(error.status_code, error.detail, headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = tuple(map(_mistake, error.errors()))
        return complaint(422, "; ".join(mistake.detail for mistake in found), errors=found)

    @app.exception_handler(HistoryAway)
    async def away(_request: Request, error: HistoryAway) -> JSONResponse:
        return complaint(503, str(error), {"retry-after": "5"})
