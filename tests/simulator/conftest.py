"""Each answer of a served Proxmox VE in these tests is held against its official schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.pve.api import PveApi
from simulator.pve.wire import Request, Response
from simulator.twin import Twin
from tests.simulator.pve_schemas import answer_misfits


@pytest.fixture(autouse=True)
def _answers_fit_the_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test, once it is over, if one of the answers is none of its call's."""
    found: list[str] = []
    handle = PveApi.handle

    def checked(api: PveApi, twin: Twin, request: Request) -> Response:
        response = handle(api, twin, request)
        found.extend(answer_misfits(api.release, request, response))
        return response

    monkeypatch.setattr(PveApi, "handle", checked)
    yield
    assert found == []
