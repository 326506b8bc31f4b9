"""Jobs: work that takes simulated time, and the calls that look at it.

A job ends when its timer rings; its handler then runs and its result is kept. Until then it is
plain data among the documents, so a fork carries it along. Leaves out: a limit on how many run at
once, logs. Source: middlewared.job; reference of the TrueNAS API, jobs.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.truenas.call import HANDLERS, Call, Entry, Session, date, serves
from simulator.truenas.catalogue import METHODS, checker
from simulator.truenas.documents import Job
from simulator.truenas.errors import CallError, Invalid
from simulator.twin import Twin

if TYPE_CHECKING:
    from simulator.truenas.api import TrueNasApi

DURATIONS_S: Mapping[str, float] = {
    "service.control": 2.0,  # assumed
    "core.bulk": 0.1,  # assumed: plain calls
    "pool.scrub.scrub": 1.0,  # of the call: the scrub itself goes on
}
NEVER_S = 10**9
"""When a job ends that waits for another one: the other one's end rings first."""


def start(call: Call, params: Sequence[object], message_id: object) -> Job:
    """Begin a job."""
    documents, name = call.documents, call.method.name
    delay_s = DURATIONS_S.get(name, 0.0)
    if name == "core.job_wait":
        other = documents.jobs.get(call.args["id"])
        if other is not None and other.state == "RUNNING":
            delay_s = NEVER_S
    job = Job(
        documents.next_id("job"),
        name,
        tuple(params),
        call.session.user,
        call.now_s,
        call.now_s + delay_s,
        () if message_id is None else (message_id,),
    )
    documents.jobs[job.id] = job
    _tell(call, job, "added")
    call.twin.after(delay_s, (call.api.name, "job", str(job.id)))
    return job


def end(api: TrueNasApi, twin: Twin, identity: int) -> None:
    """Do a job's work, keep what came of it, and wake those that waited for it."""
    job = api.documents.jobs[identity]
    if job.state != "RUNNING":
        return
    method = METHODS[job.method]
    args = checker(api.version).arguments(method.params, job.arguments)
    call = Call(api, twin, Session(user=job.user), method, args)
    try:
        ended = replace(job, state="SUCCESS", result=HANDLERS[job.method](call))
    except CallError as error:
        info = {"type": "CallError", "errno": error.number, "extra": error.extra}
        ended = replace(job, state="FAILED", error=str(error), exc_info=info)
    except Invalid as error:
        extra = [list(problem) for problem in error.problems]
        info = {"type": "ValidationErrors", "errno": errno.EINVAL, "extra": extra}
        ended = replace(job, state="FAILED", error=str(error), exc_info=info)
    _keep(call, replace(ended, end_s=call.now_s))


def _keep(call: Call, job: Job) -> None:
    call.documents.jobs[job.id] = job
    _tell(call, job, "changed")
    for other in call.documents.jobs.values():
        if other.state == "RUNNING" and other.method == "core.job_wait":
            (waited_for,) = other.arguments
            if waited_for == job.id:
                call.twin.after(0, (call.api.name, "job", str(other.id)))


def _tell(call: Call, job: Job, message: str) -> None:
    call.emit("core.get_jobs", message, job.id, entry(job, call.now_s))


def entry(job: Job, now_s: float) -> Entry:
    """A job as `core.get_jobs` shows it: how far it is by how long it has run."""
    ended = job.state != "RUNNING"
    until_s = now_s if job.end_s is None else job.end_s
    share = (until_s - job.start_s) / (job.due_s - job.start_s) if job.due_s > job.start_s else 0
    percent = 100 if job.state == "SUCCESS" else min(99, int(100 * share))
    return {
        "id": job.id,
        "message_ids": list(job.message_ids),
        "method": job.method,
        "arguments": list(job.arguments),
        "transient": False,
        "description": None,
        "abortable": True,
        "logs_path": None,
        "logs_excerpt": None,
        "progress": {"percent": percent, "description": "" if not ended else None, "extra": None},
        "result": job.result,
        "result_encoding_error": None,
        "error": job.error,
        "exception": job.error,
        "exc_info": None if job.exc_info is None else {"repr": job.error, **job.exc_info},
        "state": job.state,
        "time_started": date(job.start_s),
        "time_finished": date(job.end_s),
        "credentials": {"type": "LOGIN_PASSWORD", "data": {"username": job.user}},
    }


@serves("core.get_jobs")
def get_jobs(call: Call) -> object:
    """Jobs since the middleware started."""
    return call.selected([entry(job, call.now_s) for job in call.documents.jobs.values()])


def _find(call: Call) -> Job:
    job = call.documents.jobs.get(call.args["id"])
    if job is None:
        raise CallError(f"Job {call.args['id']} does not exist", errno.ENOENT)
    return job


@serves("core.job_wait")
def job_wait(call: Call) -> object:
    """The result of another job, which has ended by now."""
    job = _find(call)
    if job.state != "SUCCESS":
        raise CallError(job.error or "Job was aborted")
    return job.result


@serves("core.job_abort")
def job_abort(call: Call) -> None:
    """End a job without its work."""
    job = _find(call)
    if job.state == "RUNNING":
        call.twin.cancel((call.api.name, "job", str(job.id)))
        _keep(call, replace(job, state="ABORTED", end_s=call.now_s, error="Aborted"))


@serves("core.bulk")
def bulk(call: Call) -> object:
    """One method with many parameter lists, one after the other."""
    name, results = call.args["method"], []
    for params in call.args["params"]:
        row: Entry = {"job_id": None, "error": None, "result": None}
        try:
            result = call.api.call(call.twin, call.session, name, params)
            row["job_id" if isinstance(result, Job) else "result"] = (
                result.id if isinstance(result, Job) else result
            )
        except (CallError, Invalid) as error:
            row["error"] = str(error)
        results.append(row)
    return results
