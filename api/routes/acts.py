"""What others may ask the controller to do: to look now."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from api.answers import Answer
from api.problems import responses
from api.security import needs_token
from api.view import View

router = APIRouter(tags=["acts"])


class Looking(Answer):
    """The next pass begins at once, or when the present one ends."""

    looking: bool = True


@router.post(
    "/look", status_code=202, dependencies=[Depends(needs_token)], responses=responses(401, 403)
)
def look(request: Request) -> Looking:
    """Look at the remote and at the devices now: for a forge's webhook, whatever its body says."""
    view: View = request.app.state.view
    view.look("webhook")
    return Looking()
