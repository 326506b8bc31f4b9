"""The base of everything that the HTTP API answers, and what several answers share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from lab.errors import Place


class Answer(BaseModel):
    """A frozen value with a known shape: what is not in the model can't leak into an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class Fault(Answer):
    """Something that is broken or silent now; `subject` as in faults: `node pve2`."""

    subject: str
    text: str


class Mistake(Answer):
    """One thing that was not understood. `pointer`: where in the body; `parameter`: which other."""

    detail: str
    fix: str
    pointer: str | None = None
    parameter: str | None = None


class Complaint(Answer):
    """An error, as `application/problem+json`. Source: RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: tuple[Mistake, ...] = ()


def placed(place: Place | None) -> str | None:
    """`nodes/pve1.yaml:5:7`."""
    return None if place is None else str(place)
