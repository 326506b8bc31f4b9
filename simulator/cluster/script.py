"""The commands of a case: what happens to the hardware, and what users ask of the cluster.

Each is logged, then takes effect at once. Raises ScriptError for one that can't be carried out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import zip_longest

from lab.errors import VlabError
from simulator.cluster import crm, lrm
from simulator.cluster.documents import Amount, ServiceConfig
from simulator.cluster.groups import VERSION
from simulator.cluster.hardware import set_power, start_crm
from simulator.cluster.state import Cluster

MIB = 1024**2
SID = re.compile(r"(vm|ct):[0-9]+|fa:[0-9]{3,}")
"""A service; of a failing one three digits at least say how it fails."""
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
WANTED = ("started", "stopped", "disabled", "ignored")


class ScriptError(VlabError):
    """A command of a case that is none, or names what there is not."""


def execute(cluster: Cluster, command: str, source: str = "cmdlist") -> None:
    """Carry out any command but `delay` and `skip-round`, which are the clock's."""
    words = command.split()
    if words[:1] == ["power"] and len(words) == 3 and words[2] in ("on", "off"):
        set_power(cluster, _node(cluster, words[1]), source, on=words[2] == "on")
        return
    cluster.tell_hardware(f"execute {command}", source)
    match words:
        case ["network", node, ("on" | "off") as word]:
            _change(cluster, node, network=word == "on")
        case ["cfs", node, "rw", ("work" | "fail") as word]:
            _change(cluster, node, cfs_readable=word == "work")
        case ["cfs", node, "update", ("work" | "fail") as word]:
            _change(cluster, node, cfs_current=word == "work")
        case [("reboot" | "shutdown") as word, node]:
            _change(cluster, node, shutdown=word)
            if node in cluster.lrms:
                lrm.request_shutdown(cluster, node)
        case ["restart-lrm", node]:
            if _node(cluster, node) in cluster.lrms:
                cluster.lrms[node].restart = True
                lrm.request_shutdown(cluster, node)
        case ["crm", node, *rest]:
            _crm(cluster, _node(cluster, node), rest, command)
        case ["pve-manager-version", node, "set", version]:
            if not VERSION.match(version):
                raise ScriptError(f"'{version}' is no version of pve-manager")
            _change(cluster, node, version=version)
        case ["service", sid, "add", node, *rest]:
            _add(cluster, sid, _node(cluster, node), rest)
        case ["service", sid, *rest]:
            _service(cluster, sid, rest, command)
        case _:
            raise ScriptError(f"unknown command '{command}'")


def _node(cluster: Cluster, node: str) -> str:
    if node not in cluster.machines:
        raise ScriptError(f"no such node '{node}'")
    return node


def _change(cluster: Cluster, node: str, **values: object) -> None:
    machine = cluster.machines[_node(cluster, node)]
    cluster.machines[node] = replace(machine, **values)  # type: ignore[arg-type]  # fields' names


def _crm(cluster: Cluster, node: str, words: list[str], command: str) -> None:
    match words:
        case ["stop"]:
            if node in cluster.crms:
                cluster.crms[node].stop = True
                crm.request_shutdown(cluster, node)
        case ["start"]:
            if node not in cluster.crms:
                start_crm(cluster, node)
        case [("enable-node-maintenance" | "disable-node-maintenance") as word]:
            cluster.queue += (f"{word} {node}",)
        case ["disarm-ha", ("freeze" | "ignore") as mode]:
            cluster.queue += (f"disarm-ha {mode}",)
        case ["arm-ha"]:
            cluster.queue += ("arm-ha",)
        case _:
            raise ScriptError(f"unknown command '{command}'")


def _add(cluster: Cluster, sid: str, node: str, words: list[str]) -> None:
    match (*words, *("started", "0")[len(words) :]):
        case [state, ("0" | "1") as runs] if state in WANTED and SID.fullmatch(sid):
            if sid in cluster.services:
                raise ScriptError(f"service '{sid}' is there already")
        case _:
            raise ScriptError(f"service '{sid}' can't be added as '{' '.join(words)}'")
    cluster.services[sid] = ServiceConfig(node, state)
    running = cluster.running.get(node, frozenset())
    cluster.running[node] = running | {sid} if runs == "1" else running - {sid}


def _service(cluster: Cluster, sid: str, words: list[str], command: str) -> None:
    if sid not in cluster.services:
        raise ScriptError(f"no such service '{sid}'")
    config = cluster.services[sid]
    match words:
        case [("started" | "stopped" | "disabled" | "ignored") as state]:
            cluster.services[sid] = replace(config, state=state)
        case [("migrate" | "relocate") as word, node]:
            cluster.queue += (f"{word} {sid} {_node(cluster, node)}",)
        case ["stop", timeout]:
            cluster.queue += (f"stop {sid} {timeout}",)
        case ["delete"]:
            del cluster.services[sid]
            cluster.static_stats.pop(sid, None)
        case ["lock", *name]:
            cluster.services[sid] = replace(config, lock=name[0] if name else "backup")
        case ["unlock", *_]:
            cluster.services[sid] = replace(config, lock="")
        case ["set-static-stats", *values]:
            _set_stats(cluster.static_stats, sid, values, "maxcpu", "maxmem")
        case ["set-dynamic-stats", *values]:
            _set_stats(cluster.dynamic_stats, sid, values, "cpu", "mem")
        case ["manual-migrate", node]:
            disarm = cluster.status.disarm
            if config.state != "ignored" and not (disarm and disarm.mode == "ignore"):
                raise ScriptError(f"service '{sid}' is managed, so can't be moved by hand")
            cluster.services[sid] = replace(config, node=_node(cluster, node))
        case _:
            raise ScriptError(f"unknown command '{command}'")


def _set_stats(stats: dict[str, Amount], sid: str, words: list[str], cpu: str, mem: str) -> None:
    """Change the named ones of a service; memory is given in MiB."""
    amount = stats.get(sid, Amount())
    for name, value in zip_longest(words[::2], words[1::2], fillvalue=""):
        if not NUMBER.fullmatch(value):
            raise ScriptError(f"the usage value '{name}' is no number, but '{value}'")
        if name == cpu:
            amount = replace(amount, cpu=float(value))
        elif name == mem:
            amount = replace(amount, mem_bytes=float(value) * MIB)
        else:
            raise ScriptError(f"no such usage value '{name}'; it is {cpu} or {mem}")
    stats[sid] = amount
