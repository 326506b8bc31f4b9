"""Tasks: which one a step begins, which guest it is about, whether it went well.

A task is known only from the answer of its call; after a lost answer it is found again by type, id,
user and start. Source: PVE::RPCEnvironment fork_worker, qemu-server's API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from controller.step import Rest

SKEW_S = 30.0  # by which a node's clock may be behind ours
_GUEST = re.compile(r"/qemu/(\d+)|/resources/vm:(\d+)")
_TYPES = (
    ("POST", re.compile(r"/qemu"), ("qmcreate", "qmrestore")),
    ("DELETE", re.compile(r"/qemu/\d+"), ("qmdestroy",)),
    ("POST", re.compile(r"/config"), ("qmconfig",)),
    ("PUT", re.compile(r"/resize"), ("resize",)),
    ("POST", re.compile(r"/move_disk"), ("qmmove",)),
    ("POST", re.compile(r"/migrate"), ("qmigrate", "hamigrate")),
    ("POST", re.compile(r"/status/start"), ("qmstart", "hastart")),
    ("POST", re.compile(r"/status/(?:stop|shutdown)"), ("qmstop", "qmshutdown", "hastop")),
    ("POST", re.compile(r"/status/reboot"), ("qmreboot",)),
)


def is_task(answer: object) -> bool:
    """Whether an answer names a task that was begun."""
    return isinstance(answer, str) and answer.startswith("UPID:")


def node_of(upid: str) -> str:
    """The node that runs a task: UPID:node:pid:pstart:starttime:type:id:user:"""
    return upid.split(":")[1]


def title(upid: str) -> str:
    """A task as people say it: `qmstart 101 on pve1`."""
    fields = upid.split(":")
    return f"{fields[5]} {fields[6]} on {fields[1]}".replace("  ", " ")


def guest_of(step: Rest) -> str:
    """The guest that a step changes; empty for what belongs to the whole cluster."""
    if found := _GUEST.search(step.path):
        return found[1] or found[2]
    if step.path.endswith("/qemu"):
        return str(step.params["vmid"])
    if step.path in ("/pools", "/cluster/ha/resources"):
        return str(step.params.get("vms") or step.params.get("sid") or "").removeprefix("vm:")
    return ""


def types_of(step: Rest) -> tuple[str, ...]:
    """Types of the tasks that a step may begin; none for what is done when it is answered."""
    if "/qemu" not in step.path:
        return ()
    return next(
        (
            types
            for method, end, types in _TYPES
            if step.method == method and re.search(f"(?:{end.pattern})$", step.path)
        ),
        (),
    )


def runs_for(task: Mapping[str, Any], step: Rest, user: str, since_s: float) -> bool:
    """Whether a task of the list still runs and was begun by a step sent at `since_s`."""
    return (
        "endtime" not in task
        and task.get("type") in types_of(step)
        and str(task.get("id")) == guest_of(step)
        and (not user or task.get("user") == user)
        and float(task.get("starttime", 0)) >= since_s - SKEW_S
    )


def succeeded(status: Mapping[str, Any]) -> bool:
    """Whether a task that has ended did its work; warnings do not count against it."""
    said = str(status.get("exitstatus", ""))
    return said == "OK" or said.startswith("WARNINGS")
