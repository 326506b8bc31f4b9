"""A case of the regression suite, read from its folder: files in upstream's format -> a cluster.

Where JSON or section files meet values of our own; everything wrong with a file is a VlabError
that names it. Left out: `service_status_NODE` files, and the services of a case that lists none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from lab.errors import VlabError
from simulator.cluster.documents import (
    DEFAULT_MAXCPU,
    DEFAULT_MAXMEM_BYTES,
    OLDEST_VERSION,
    Amount,
    CrsSettings,
    Disarm,
    ManagerStatus,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.files import Files
from simulator.cluster.groups import VERSION, parse_groups
from simulator.cluster.rules import parse_rules
from simulator.cluster.script import SID
from simulator.cluster.services import STATES
from simulator.cluster.state import Cluster, Datacenter, Machine

MIB = 1024**2
DEFAULT_LIMIT = Amount(4.0, 4096.0 * MIB)  # of a service; pve-ha-manager's own simulator
DEFAULT_USAGE = Amount(2.0, 2048.0 * MIB)  # likewise


@dataclass(frozen=True)
class SuiteCase:
    """A case. `entries`: what happens, one for every fifth round; `expected`: the whole log."""

    name: str
    cluster: Cluster
    entries: tuple[tuple[str, ...], ...]
    expected: str


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class _Machine(_Wire):
    power: str = Field(pattern="^(on|off)$")
    network: str = Field(pattern="^(on|off)$")
    maxcpu: float | None = None
    maxmem: float | None = None
    version: str = Field(OLDEST_VERSION, alias="pve-manager-version", pattern=f"^{VERSION.pattern}")


class _Service(_Wire):
    node: str
    state: str = Field("disabled", pattern="^(started|enabled|stopped|disabled|ignored)$")
    group: str = ""
    failback: bool = True
    max_restart: int = 1
    max_relocate: int = 1
    lock: str = ""

    def config(self) -> ServiceConfig:
        state = "started" if self.state == "enabled" else self.state
        return ServiceConfig(**{**self.model_dump(), "state": state})


class _Record(_Wire):
    state: str = Field(pattern=f"^({'|'.join(STATES)})$")
    node: str
    uid: str = ""
    target: str = ""
    timeout: int | None = None
    cmd: tuple[str, ...] = ()
    failed_nodes: tuple[str, ...] = ()
    maintenance_node: str = ""
    running: bool = False

    def record(self) -> ServiceRecord:
        values = self.model_dump(exclude={"timeout", "cmd"})
        return ServiceRecord(**values, timeout_s=self.timeout, command=self.cmd)


class _Request(_Wire):
    maintenance: bool = False


class _Disarm(_Wire):
    mode: str = Field(pattern="^(freeze|ignore)$")
    state: str = Field("disarming", pattern="^(disarming|disarmed)$")


class _Status(_Wire):
    master_node: str = ""
    node_status: dict[str, Literal["unknown", "online", "maintenance", "fence", "gone"]] = {}
    service_status: dict[str, _Record] = {}
    node_request: dict[str, _Request] = {}
    disarm: _Disarm | None = None
    timestamp: int = 0

    def status(self) -> ManagerStatus:
        return ManagerStatus(
            self.master_node,
            dict(self.node_status),
            {sid: record.record() for sid, record in self.service_status.items()},
            frozenset(node for node, asked in self.node_request.items() if asked.maintenance),
            Disarm(self.disarm.mode, self.disarm.state) if self.disarm else None,
            self.timestamp,
        )


class _Ha(_Wire):
    shutdown_policy: str = "conditional"


class _Crs(_Wire):
    mode: str = Field("basic", alias="ha")
    rebalance_on_start: bool = Field(default=False, alias="ha-rebalance-on-start")
    auto_rebalance: bool = Field(default=False, alias="ha-auto-rebalance")
    threshold: float = Field(0.3, alias="ha-auto-rebalance-threshold")
    method: str = Field(
        "bruteforce", alias="ha-auto-rebalance-method", pattern="^(bruteforce|topsis)$"
    )
    hold_rounds: int = Field(3, alias="ha-auto-rebalance-hold-duration")
    margin: float = Field(0.1, alias="ha-auto-rebalance-margin")


class _Datacenter(_Wire):
    ha: _Ha = _Ha()
    crs: _Crs = _Crs()

    def settings(self) -> Datacenter:
        return Datacenter(
            self.ha.shutdown_policy, CrsSettings(**self.crs.model_dump(), bounded_imbalance=False)
        )


class _Limit(_Wire):
    maxcpu: float = 0
    maxmem: float = 0


class _Usage(_Wire):
    cpu: float = 0
    mem: float = 0


_Sid = Annotated[str, Field(pattern=f"^({SID.pattern})$")]
_ENTRIES = TypeAdapter(tuple[tuple[str, ...], ...])
_MACHINES = TypeAdapter(dict[str, _Machine])
_SERVICES = TypeAdapter(dict[_Sid, _Service])
_STATUS = TypeAdapter(_Status)
_DATACENTER = TypeAdapter(_Datacenter)
_LIMITS = TypeAdapter(dict[str, _Limit])
_USAGES = TypeAdapter(dict[str, _Usage])


def read_case(folder: Path) -> SuiteCase:
    """Read a case; raises VlabError with all that is wrong, files missing or malformed."""
    files = Files(folder)
    services = {
        sid: wire.config()
        for sid, wire in files.json("service_config", _SERVICES, {}, needed=True).items()
    }
    limits = _limits(files, services)
    cluster = Cluster(
        _machines(files),
        files.json("manager_status", _STATUS, _Status()).status(),
        services,
        files.sections("rules_config", parse_rules),
        files.sections("groups", parse_groups),
        files.json("datacenter.cfg", _DATACENTER, _Datacenter()).settings(),
        limits,
        _usages(files, limits),
    )
    entries = files.json("cmdlist", _ENTRIES, (), needed=True)
    expected = files.text("log.expect") or ""
    if files.problems:
        raise VlabError("\n".join(files.problems))
    return SuiteCase(folder.name, cluster, entries, expected)


def _machines(files: Files) -> dict[str, Machine]:
    off = _Machine(
        power="off", network="off", maxcpu=DEFAULT_MAXCPU, maxmem=float(DEFAULT_MAXMEM_BYTES)
    )
    three = {f"node{number}": off for number in (1, 2, 3)}
    return {
        node: Machine(
            wire.power == "on",
            wire.network == "on",
            maxcpu=wire.maxcpu,
            maxmem_bytes=wire.maxmem,
            version=wire.version,
        )
        for node, wire in files.json("hardware_status", _MACHINES, three).items()
    }


def _limits(files: Files, sids: Iterable[str]) -> dict[str, Amount]:
    default = {
        sid: _Limit(maxcpu=DEFAULT_LIMIT.cpu, maxmem=DEFAULT_LIMIT.mem_bytes) for sid in sids
    }
    wires = files.json("static_service_stats", _LIMITS, default)
    return {sid: Amount(wire.maxcpu, wire.maxmem) for sid, wire in wires.items()}


def _usages(files: Files, sids: Iterable[str]) -> dict[str, Amount]:
    default = {sid: _Usage(cpu=DEFAULT_USAGE.cpu, mem=DEFAULT_USAGE.mem_bytes) for sid in sids}
    wires = files.json("dynamic_service_stats", _USAGES, default)
    return {sid: Amount(wire.cpu, wire.mem) for sid, wire in wires.items()}
