"""Workers: what a call starts and answers for with a UPID, and the calls that look at them.

A task ends when its timer rings: `FINISH` then does its work and its log and exit status are kept;
one of `ROUNDS` may set the timer anew and go on. Until the end it is a `Task` among the documents,
so a fork carries it along. Leaves out: output of the others while they run, and a worker that
outlives its node's power. Source: PVE::RESTEnvironment fork_worker,
PVE::API2::Tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Task
from simulator.pve.formats import NODE
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, TaskError, bad_parameters, died

DURATIONS_S: Mapping[str, float] = {
    "qmcreate": 2.0,  # assumed, and a second for each disk
    "qmconfig": 1.0,  # assumed
    "qmdestroy": 2.0,  # assumed
    "qmstart": 2.0,  # assumed: KVM and its network devices are up
    "qmshutdown": 20.0,  # assumed: an ACPI shutdown of a server system
    "qmstop": 1.0,  # assumed: SIGTERM to KVM
    "qmreboot": 20.0,  # assumed: as shutdown; the start follows at once
    "qmreset": 1.0,  # assumed
    "qmigrate": 2.0,  # recorded: a stopped guest's file moves; running ones: migration_s
    "qmtemplate": 0.3,  # assumed: volumes are renamed, so who goes on at once finds a template
    "resize": 1.0,  # assumed
    "vzcreate": 5.0,  # assumed: a template of 100 MiB is unpacked
    "vzdestroy": 2.0,  # assumed
    "vzstart": 2.0,  # assumed
    "vzshutdown": 10.0,  # assumed: init of a small system
    "vzstop": 1.0,  # assumed
    "vzreboot": 10.0,  # assumed, as vzshutdown
    "vzmigrate": 2.0,  # assumed, as qmigrate
    "vztemplate": 0.3,  # assumed, as qmtemplate
    "imgdel": 1.0,  # assumed
    "hastart": 1.0,  # recorded: queues the request and ends at once
    "hastop": 1.0,  # recorded, as hastart
    "hamigrate": 1.0,  # recorded, as hastart
    "srvreload": 5.0,  # assumed: ifreload over a few bonds and bridges
}
"""Seconds of simulated time that a worker takes."""


@dataclass
class Worker(Environment):
    """A task at its end, about to do its work."""

    task: Task = field(default_factory=lambda: Task("", "", 0, 0, 0, "", "", ""))
    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print a line to the task's log."""
        self.lines.append(text)

    def text(self, name: str, default: str = "") -> str:
        """A value that was handed to the worker."""
        value = self.task.work.get(name)
        return default if value is None else str(value)

    def number(self, name: str) -> int:
        """An integer that was handed to the worker."""
        return int(self.text(name, "0"))


TASKS_KEPT = 1000  # assumed: PVE::RESTEnvironment rotates the archive by its size

FINISH: dict[str, Callable[[Worker], None]] = {}
"""What the worker of each type does at its end; `finish` among its work names another one."""

ROUNDS: dict[str, Callable[[Worker], float | None]] = {}
"""What a worker of each type does in a round: seconds until the next one, None after the last.

What it has to know then is the work of `worker.task`, which it replaces.
"""

routes = Routes()


def start_task(
    scene: Environment,
    type_name: str,
    id_text: str,
    work: Mapping[str, Value] | None = None,
    *,
    took_s: float | None = None,
) -> str:
    """Fork a worker on the scene's node; its UPID."""
    number = scene.documents.next_serial()
    pid, pstart = 1000 + number, int((scene.twin.now_s + 3600) * 100)
    head = f"UPID:{scene.node}:{pid:08X}:{pstart:08X}:{scene.now_s:08X}"
    upid = f"{head}:{type_name}:{id_text}:{scene.user}:"
    task = Task(
        upid, scene.node, pid, pstart, scene.now_s, type_name, id_text, scene.user, work=work or {}
    )
    scene.documents.tasks[upid] = task
    _forget_old(scene)
    scene.log(f"starting task {upid}")
    lasts_s = DURATIONS_S.get(type_name, 1.0) if took_s is None else took_s
    scene.twin.after(lasts_s, (scene.api.name, "task", upid))
    return upid


def started(call: Call, type_name: str, id_text: str, work: Mapping[str, Value]) -> str | None:
    """What answers a resize of a virtual machine: a task's UPID, or None once it is done where the
    release does it at once. Raises what the worker died of.
    """
    upid = start_task(call, type_name, id_text, work)
    if call.api.release.resize_is_task:
        return upid
    call.twin.cancel((call.api.name, "task", upid))
    finish(Worker(call.api, call.twin, call.node, call.user, call.documents.tasks[upid]))
    status = call.documents.tasks.pop(upid).status
    if status != "OK":
        raise died(status)
    return None


def _forget_old(scene: Environment) -> None:
    """Keep the list of tasks short: the oldest ones that have ended go."""
    tasks = scene.documents.tasks
    if len(tasks) > 2 * TASKS_KEPT:
        ended = [upid for upid, task in tasks.items() if not task.running]
        for upid in ended[: len(tasks) - TASKS_KEPT]:
            del tasks[upid]


def finish(worker: Worker) -> None:
    """Do the work and keep how it ended, or when it goes on."""
    try:
        name = worker.text("finish", worker.task.type)
        if (go_round := ROUNDS.get(name)) is not None:
            again_s = go_round(worker)
            if again_s is not None:
                _go_on(worker, again_s)
                return
        if (work := FINISH.get(name)) is not None:
            work(worker)
        status = "OK"
        worker.say("TASK OK")
    except (TaskError, ApiError) as error:
        text = error.spoken if isinstance(error, ApiError) else str(error)
        status = text.removesuffix("\n").replace("\n", " ")
        worker.say(f"TASK ERROR: {status}")
    end_task(worker, worker.task, status, tuple(worker.lines))


def _go_on(worker: Worker, again_s: float) -> None:
    """Keep a task that has not ended, with what it printed meanwhile."""
    task = replace(worker.task, log=(*worker.task.log, *worker.lines))
    worker.documents.tasks[task.upid] = task
    worker.twin.after(again_s, (worker.api.name, "task", task.upid))


def end_task(scene: Environment, task: Task, status: str, lines: tuple[str, ...] = ()) -> None:
    """Keep a task as ended."""
    done = replace(task, end_s=scene.now_s, status=status, log=(*task.log, *lines), work={})
    scene.documents.tasks[task.upid] = done
    scene.log(f"end task {task.upid} {status}", 6 if status == "OK" else 3)


def _row(task: Task) -> dict[str, object]:
    row: dict[str, object] = {
        "upid": task.upid,
        "node": task.node,
        "starttime": task.start_s,
        "type": task.type,
        "id": task.id,
        "user": task.user,
    }
    if task.end_s is not None:
        row |= {"endtime": task.end_s, "status": task.status}
    return row


def _own(call: Call, task: Task) -> bool:
    """Whether a task is the caller's, or one of his tokens'."""
    return call.user in (task.user, task.user.partition("!")[0])


def _visible(call: Call) -> list[Task]:
    """Newest first."""
    tasks = [
        task
        for task in call.documents.tasks.values()
        if _own(call, task) or call.may(f"/nodes/{task.node}", "Sys.Audit")
    ]
    return tasks[::-1]


@routes.add("GET /cluster/tasks")
def cluster_tasks(call: Call) -> object:
    """Recent tasks of all nodes; those that ended are `saved`. Source: PVE::Cluster get_tasklist
    (25).
    """
    rows = []
    for task in _visible(call)[:25]:
        row = _row(task)
        if not task.running:
            row["saved"] = "1"
        rows.append(row)
    return rows


@routes.add(
    "GET /nodes/{node}/tasks",
    takes="""
    node           pve-node
    errors?        boolean
    limit?         integer 0..
    since?         integer
    source?        enum(archive,active,all)
    start?         integer 0..
    statusfilter?  pve-task-status-type-list
    typefilter?    string
    until?         integer
    userfilter?    string
    vmid?          integer:pve-vmid 100..999999999
    """,
)
def node_tasks(call: Call) -> object:
    """Tasks of one node."""
    tasks = [task for task in _visible(call) if task.node == call.node and _fits(call, task)]
    if tasks:
        call.members["total"] = len(tasks)
    start = call.number("start")
    rows = []
    for task in tasks[start : start + call.number("limit", 50)]:
        rows.append({**_row(task), "pid": task.pid, "pstart": task.pstart})
    return rows


def _fits(call: Call, task: Task) -> bool:
    source = call.text("source", "archive")
    kind = "ok" if task.status == "OK" else "warning" if task.status.startswith("WARN") else "error"
    return (
        (source == "all" or (source == "active") == task.running)
        and (not call.flag("errors") or kind == "error")
        and (not call.has("statusfilter") or kind in call.words("statusfilter"))
        and (not call.has("typefilter") or call.text("typefilter") == task.type)
        and (not call.has("vmid") or call.text("vmid") == task.id)
        and (not call.has("userfilter") or call.text("userfilter").lower() in task.user.lower())
        and (not call.has("since") or task.start_s >= call.number("since"))
        and (not call.has("until") or task.start_s <= call.number("until"))
    )


_WORKER = re.compile(
    rf"UPID:{NODE}:[0-9A-Fa-f]{{8}}:[0-9A-Fa-f]{{8,9}}:[0-9A-Fa-f]{{8}}:[^:\s]+:[^:\s]*:[^:\s]+:"
)


def _known(call: Call) -> Task | None:
    """The task that a UPID names, if this node has it. Raises for what can't be a UPID."""
    upid = call.text("upid")
    if not _WORKER.fullmatch(upid):
        raise bad_parameters(upid="unable to parse worker upid")
    task = call.documents.tasks.get(upid)
    return task if task is not None and task.node == call.node else None


def _task(call: Call, privilege: str = "Sys.Audit") -> Task:
    if (task := _known(call)) is None:
        raise bad_parameters(upid="no such task")
    if not _own(call, task):
        call.need(f"/nodes/{call.node}", privilege)
    return task


_UPID = "node pve-node\nupid string\n"


@routes.add("GET /nodes/{node}/tasks/{upid}", takes=_UPID)
def task_index(call: Call) -> object:
    """What there is of a task."""
    return [{"name": "log"}, {"name": "status"}]


@routes.add("GET /nodes/{node}/tasks/{upid}/status", takes=_UPID)
def task_status(call: Call) -> object:
    """Whether a task runs, and how it ended."""
    task = _task(call)
    row: dict[str, object] = {
        "upid": task.upid,
        "node": task.node,
        "pid": task.pid,
        "pstart": task.pstart,
        "starttime": task.start_s,
        "type": task.type,
        "id": task.id,
        "user": task.user,
        "status": "running" if task.running else "stopped",
    }
    if not task.running:
        row["exitstatus"] = task.status
    if "!" in task.user:
        row["user"], _, row["tokenid"] = task.user.partition("!")
    return row


@routes.add(
    "GET /nodes/{node}/tasks/{upid}/log",
    takes=_UPID + "start? integer 0..\nlimit? integer 0..\ndownload? boolean",
)
def task_log(call: Call) -> object:
    """Lines of a task's log."""
    if _known(call) is None:
        call.members["total"] = 1
        return [{"n": 1, "t": "unable to open file - No such file or directory"}]
    lines = _task(call).log
    call.members["total"] = max(len(lines), 1)
    if not lines:
        return [{"n": 1, "t": "no content"}]
    start = call.number("start")
    part = lines[start : start + (call.number("limit", 50) or len(lines))]
    return [{"n": start + number, "t": text} for number, text in enumerate(part, 1)]


@routes.add("DELETE /nodes/{node}/tasks/{upid}", takes=_UPID)
def stop_task(call: Call) -> object:
    """End a worker before its time: nothing of its work is done. The exit status is assumed."""
    task = _task(call, "Sys.Modify")
    if task.running:
        call.twin.cancel((call.api.name, "task", task.upid))
        end_task(call, task, "interrupted by signal", ("TASK ERROR: interrupted by signal",))
    return None
