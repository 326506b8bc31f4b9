"""Errors as problem details. Source: RFC 9457."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.answers import Complaint
from controller.history import HistoryAway

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


def complaint(status: int, detail: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says no."""
    told = Complaint(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(told.model_dump(), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of `app` be told so."""

    @app.exception_handler(HTTPException)
    async def said_no(_request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return complaint(error.status_code, error.detail, headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(_request: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return complaint(422, "; ".join(told))

    @app.exception_handler(HistoryAway)
    async def away(_request: Request, error: HistoryAway) -> JSONResponse:
        return complaint(503, str(error), {"retry-after": "5"})
