"""Who changed what on a cluster: the cluster log and the tasks, as entries about our things.

The log tells updates of guests (`update VM 101: -memory 4096`), the tasks what made, removed,
started or stopped one. Proxmox VE tells nothing of changes of pools, storages, users and HA.
Source: PVE::API2::Cluster. Without the privilege Sys.Syslog on `/` the log shows our own entries
only, without Sys.Audit the tasks likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.attribution import Entry
from controller.managed import Key
from controller.pve.ha_resource import HaResource
from controller.pve.vm import Vm
from controller.step import Answers, Query

LOG = Query("/cluster/log", {"max": 500})
TASKS = Query("/cluster/tasks")

_UPDATE = re.compile(r"update VM (\d+): (.*)", re.DOTALL)
_OPTION = re.compile(r"(?:^|\s)--?([a-z]\w*)(?:\s+(\S+))?")
_LISTS = ("delete", "revert", "disk")  # options whose value names what is changed
_WHOLE = ("qmcreate", "qmclone", "qmrestore", "qmdestroy")
_POWER = ("qmstart", "qmstop", "qmshutdown", "qmreboot", "qmsuspend", "qmresume", "qmreset")
_HA_POWER = ("hastart", "hastop", "hashutdown")


@dataclass(frozen=True)
class PveTrail:
    """The trail of one cluster; `ours`: the login that we change things with (`user!token`)."""

    ours: str
    queries = (LOG, TASKS)

    def read(self, device: str, answers: Answers) -> Iterator[Entry]:
        """What others than ourselves did."""
        for row in _rows(answers.get(LOG.text)):
            yield from self._of_others(_logged(device, row), str(row.get("user", "")))
        for row in _rows(answers.get(TASKS.text)):
            login = str(row.get("user", ""))
            if row.get("tokenid") and "!" not in login:
                login = f"{login}!{row['tokenid']}"
            yield from self._of_others(_tasks(device, row), login)

    def word(self, key: Key, field_name: str) -> str:
        """The option behind a field of a guest; what is in force comes from the same option."""
        name = field_name.removeprefix("running.")
        if name.startswith(tuple(f"{slots}." for slots in Vm.owned_maps)):
            return name.split(".")[1]
        known = Vm.field_of(name) if key.kind == Vm.kind else None
        return known.api if known else name

    def _of_others(self, entries: Iterable[Entry], login: str) -> Iterator[Entry]:
        if login and login != self.ours:
            yield from (replace(entry, who=login) for entry in entries)


def _rows(answer: object) -> Iterator[Mapping[str, Any]]:
    yield from (
        row for row in (answer if isinstance(answer, list) else ()) if isinstance(row, dict)
    )


def _logged(device: str, row: Mapping[str, Any]) -> Iterator[Entry]:
    message = str(row.get("msg", ""))
    if (found := _UPDATE.match(message)) is not None:
        name = f"{row.get('node')}/{row.get('uid')}/{row.get('time')}"
        about = Key(device, Vm.kind, found[1])
        yield Entry(name, float(row.get("time", 0)), "", about, message, _options(found[2]))


def _options(text: str) -> frozenset[str]:
    """Names of what an update changed: `-memory 4096 -delete cpu,tags` is memory, cpu, tags."""
    names: set[str] = set()
    for option, value in _OPTION.findall(text):
        names |= set(value.split(",")) if option in _LISTS else {option}
    return frozenset(names)


def _tasks(device: str, row: Mapping[str, Any]) -> Iterator[Entry]:
    kind, guest = str(row.get("type", "")), str(row.get("id", ""))
    at_s, upid = float(row.get("starttime", 0)), str(row.get("upid", ""))
    text = f"task {kind} {guest}"
    about = Key(device, Vm.kind, guest)
    if kind in _WHOLE:
        yield Entry(upid, at_s, "", about, text)
    elif kind in (*_POWER, *_HA_POWER):
        state = frozenset({"state"})
        yield Entry(upid, at_s, "", about, text, state)
        if kind in _HA_POWER:
            of_ha = Key(device, HaResource.kind, f"vm:{guest}")
            yield Entry(f"{upid} HA", at_s, "", of_ha, text, state)
