"""Server-sent events: that something changed, and what in short.

Level-triggered: while somebody listens the history is looked at every so often, and what differs
from the last look is sent; who was away misses nothing, since a page asks for the whole on each
event. So a standby controller's page is as live as the leader's. Source: the HTML standard,
server-sent events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.answers import Answer
from api.problems import responses
from api.view import View
from controller.history import History, HistoryAway

router = APIRouter(tags=["state"])

LISTENERS = 64
RETRY_MS = 2000


class Progress(Answer):
    """A run under way, or the one that ended last. `operations`: how many are in each state."""

    number: int
    result: str
    operations: dict[str, int]


@dataclass(frozen=True)
class Glance:
    """Little enough to look at it every second."""

    looked: str
    event: int
    faults: tuple[str, ...]
    run: Progress | None


class Listeners:
    """How many there are, and whether they shall go."""

    def __init__(self) -> None:
        self.count = 0
        self._closed = asyncio.Event()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send them home; from any thread."""
        loop.call_soon_threadsafe(self._closed.set)

    async def pause(self, seconds: float) -> bool:
        """Wait; False when it is time to go."""
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            return True
        return False


def glance(view: View) -> Glance:
    """A short look. Raises HistoryAway."""
    history = view.history
    events = history.events(1)
    now = view.lab()
    faults = tuple(f"{fault.subject}: {fault.text}" for fault in now.faults) if now else ()
    number = events[0].number if events else 0
    return Glance(history.recall("looked"), number, faults, _progress(history))


def _progress(history: History) -> Progress | None:
    newest = history.runs(1)
    if not newest:
        return None
    states: dict[str, int] = {}
    for operation in history.operations(newest[0].number):
        states[operation.state] = states.get(operation.state, 0) + 1
    return Progress(number=newest[0].number, result=newest[0].result, operations=states)


def news(before: Glance | None, now: Glance) -> Iterator[ServerSentEvent]:
    """What to send after a look."""
    if now.run is not None and (before is None or before.run != now.run):
        yield ServerSentEvent(event="run", data=now.run)
    if before is None or (before.looked, before.event, before.faults) != (
        now.looked,
        now.event,
        now.faults,
    ):
        data = {"looked_s": float(now.looked) if now.looked else None, "event": now.event}
        yield ServerSentEvent(event="status", data=data, retry=RETRY_MS)


async def _listeners(request: Request) -> AsyncIterable[Listeners]:
    listeners: Listeners = request.app.state.listeners
    if listeners.count >= LISTENERS:
        raise HTTPException(503, f"{LISTENERS} are listening already", {"retry-after": "30"})
    listeners.count += 1
    try:
        yield listeners
    finally:
        listeners.count -= 1


@router.get("/events", response_class=EventSourceResponse, responses=responses(503))
async def events(
    request: Request, listeners: Annotated[Listeners, Depends(_listeners)]
) -> AsyncIterable[ServerSentEvent]:
    """`status` when anything shown by it changed, `run` when a run came further; both at first."""
    view: View = request.app.state.view
    before = None
    while True:
        try:
            now = await run_in_threadpool(glance, view)
        except HistoryAway as away:
            yield ServerSentEvent(comment=str(away))
        else:
            for event in news(before, now):
                yield event
            before = now
        if not await listeners.pause(view.every_s):
            return
