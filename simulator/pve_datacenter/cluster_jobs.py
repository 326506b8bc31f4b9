"""Jobs of the cluster: when a schedule would run. Source: PVE::API2::Jobs."""

from __future__ import annotations

from datetime import UTC, datetime

from simulator.pve.calendar import parse_calendar
from simulator.pve.call import Call
from simulator.pve.routes import Routes, index

routes = Routes()
index(routes, "/cluster/jobs", "realm-sync schedule-analyze", "subdir")


@routes.add(
    "GET /cluster/jobs/schedule-analyze",
    takes="schedule pve-calendar-event ..128\nstarttime? integer\niterations? integer 1..100\n",
)
def analyze(call: Call) -> object:
    """The next times of a calendar event, as seconds of the Unix epoch and as text."""
    event = parse_calendar(call.text("schedule"))
    runs: list[int] = []
    after_s: int | None = call.number("starttime", call.now_s)
    while after_s is not None and len(runs) < call.number("iterations", 10):
        after_s = event.next_run_s(after_s)
        runs += [] if after_s is None else [after_s]
    return [
        {"timestamp": run_s, "utc": f"{datetime.fromtimestamp(run_s, UTC).ctime()}"}
        for run_s in runs
    ]
