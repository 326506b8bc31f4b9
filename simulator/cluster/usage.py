"""What services make of the nodes' CPU and memory: the scores by which the manager chooses a node.

Built anew in each round of the manager, corrected as services change their state in it; asked by
`placement` and `rebalance`. Source: the Proxmox VE 9 administration guide, cluster resource
scheduling; pve-ha-manager 5.2 with proxmox-resource-scheduling.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from simulator.cluster import topsis
from simulator.cluster.documents import (
    DEFAULT_MAXCPU,
    DEFAULT_MAXMEM_BYTES,
    Amount,
    CrsSettings,
    Line,
    NodeInfo,
    Nodes,
    Records,
    ServiceConfig,
    ServiceRecord,
    Services,
)
from simulator.cluster.topsis import total

# States that load the node they are on, and those that load the one they go to
_HERE = {"started", "request_stop", "fence", "freeze", "error", "recovery", "migrate", "relocate"}
_THERE = {"migrate", "relocate", "request_start_balance"}
MODES = ("basic", "static", "dynamic")


@dataclass(frozen=True)
class Placed:
    """The nodes that a service loads now, "" if none: where it is, and where it is moving to."""

    current: str = ""
    target: str = ""


def placed(record: ServiceRecord, online: Collection[str]) -> Placed:
    """What a record says of it; only nodes that are `online` carry anything."""
    return Placed(
        record.node if record.state in _HERE and record.node in online else "",
        record.target if record.state in _THERE and record.target in online else "",
    )


@dataclass(frozen=True)
class _Held:
    """A service that loads nodes. `running`: the measured load has it already."""

    nodes: tuple[str, ...]
    running: bool


@dataclass
class Usage:
    """The load of the nodes to place on. `put` is the one thing that changes it.

    `nodes`: what each has, in the order of their names. `limits`: maxcpu and maxmem by sid.
    `amounts`: what a move of a sid takes along. `measured`: load by node; None: none is measured,
    the limits stand for it.
    """

    mode: str
    bounded: bool
    nodes: Mapping[str, Amount]
    limits: Mapping[str, Amount]
    amounts: Mapping[str, Amount]
    measured: Mapping[str, Amount] | None = None
    _held: dict[str, _Held] = field(default_factory=dict)
    _put: dict[str, ServiceRecord | None] = field(default_factory=dict)  # not in `_held` yet

    def put(self, sid: str, record: ServiceRecord | None, config: ServiceConfig | None) -> None:
        """Count this service anew. Without a record it counts as its wanted state says.

        What that comes to is worked out when somebody asks: in most rounds nobody does.
        """
        if record is None and config is not None:
            record = ServiceRecord(config.state, config.node, uid="")
        self._put[sid] = record

    def _counted(self) -> dict[str, _Held]:
        """The services that load nodes."""
        for sid, record in self._put.items():
            at = placed(record, self.nodes) if record else Placed()
            nodes = tuple(dict.fromkeys(node for node in (at.current, at.target) if node))
            started = record is not None and record.state == "started"
            running = record.running if record and started else bool(at.current)
            self._held.pop(sid, None)
            if nodes:
                self._held[sid] = _Held(nodes, running)
        self._put.clear()
        return self._held

    def scores(self, sid: str) -> dict[str, float]:
        """How good each node is to start the service on, lower is better."""
        if self.mode == "basic":
            counts = dict.fromkeys(self.nodes, 0.0)
            for held in self._counted().values():
                for node in held.nodes:
                    counts[node] += 1
            return counts
        loads = self._start_loads()
        rows = [
            self._criteria({**loads, node: self._with_started(node, loads[node], sid)})
            for node in self.nodes
        ]
        return {node: -near for node, near in zip(self.nodes, topsis.closeness(rows), strict=True)}

    def amount(self, sids: Iterable[str]) -> Amount:
        """What these services take along when they move."""
        amounts = [self.amounts.get(sid, Amount()) for sid in sids]
        return _sum(amounts)

    def imbalance(self, move: tuple[str, str, Amount] | None = None) -> float:
        """How uneven the nodes are loaded, 0 is even; after a move (source, target, amount)."""
        loads = [(f.cpu + f.mem_bytes) / 2 for f in self._fractions(self._moved(move))]
        mean = total(loads) / len(loads) if loads else 0.0
        if not mean:
            return 0.0
        spread = sqrt(total((load - mean) ** 2 for load in loads) / len(loads)) / mean
        return spread / sqrt(len(loads) - 1) if self.bounded and len(loads) > 1 else spread

    def criteria(self, move: tuple[str, str, Amount]) -> topsis.Row:
        """The row by which this move is compared with others."""
        return self._criteria(self._moved(move))

    def _criteria(self, loads: Mapping[str, Amount]) -> topsis.Row:
        return topsis.criteria(self._fractions(loads))

    def _fractions(self, loads: Mapping[str, Amount]) -> list[Amount]:
        return [
            Amount(loads[node].cpu / has.cpu, loads[node].mem_bytes / has.mem_bytes)
            for node, has in self.nodes.items()
        ]

    def _moved(self, move: tuple[str, str, Amount] | None) -> dict[str, Amount]:
        loads = dict(self._start_loads() if self.measured is None else self.measured)
        if move:
            source, target, what = move
            left, joined = loads[source], loads[target]
            loads[source] = Amount(
                max(left.cpu - what.cpu, 0.0), max(left.mem_bytes - what.mem_bytes, 0.0)
            )
            loads[target] = Amount(joined.cpu + what.cpu, joined.mem_bytes + what.mem_bytes)
        return loads

    def _start_loads(self) -> dict[str, Amount]:
        """The load by node as for a start: a service that isn't measured takes its limits."""
        loads = dict(self.measured or dict.fromkeys(self.nodes, Amount()))
        for sid, held in sorted(self._counted().items()):
            if self.measured is None or not held.running:
                for node in held.nodes:
                    loads[node] = self._with_started(node, loads[node], sid)
        return loads

    def _with_started(self, node: str, load: Amount, sid: str) -> Amount:
        limit = self.limits.get(sid, Amount())
        cpu = limit.cpu or self.nodes[node].cpu  # no limit: it may take all the node has
        return Amount(load.cpu + cpu, load.mem_bytes + limit.mem_bytes)


def build_usage(
    settings: CrsSettings,
    nodes: Nodes,
    records: Records,
    services: Services,
    static: Mapping[str, Amount],
    dynamic: Mapping[str, Amount],
    running: Mapping[str, Collection[str]],
) -> tuple[Usage, tuple[Line, ...]]:
    """The usage of `nodes`, those to place on, by all services; and what the manager warns of.

    `static`: maxcpu and maxmem by sid; `dynamic`: cpu and mem by sid; `running`: by node, the sids
    that run there.
    """
    usage, lines = _empty(settings, nodes, static)
    if usage.mode == "dynamic":
        measured = {name: _measured(name, services, dynamic, running) for name in usage.nodes}
        usage = replace(usage, amounts=dynamic, measured=measured)
    for sid, record in sorted(records.items()):
        usage.put(sid, record, services.get(sid))
    for sid, config in sorted(services.items()):
        if sid not in records:
            usage.put(sid, None, config)
    return usage, lines


def _empty(
    settings: CrsSettings, nodes: Nodes, static: Mapping[str, Amount]
) -> tuple[Usage, tuple[Line, ...]]:
    """A usage in the mode that is possible, with no service in it."""
    mode, lines = settings.mode, []
    if mode not in MODES:
        lines.append(Line("warning", f"got unknown scheduler mode '{mode}', using 'basic'"))
        mode = "basic"
    if mode == "static" and (unknown := [n for n in sorted(nodes) if not _is_measured(nodes[n])]):
        error = f"missing maxcpu or maxmem of node '{unknown[0]}'"
        text = f"fallback to 'basic' scheduler mode, init for 'static' failed - {error}"
        lines.append(Line("warning", text))
        mode = "basic"
    has = {name: _capacity(nodes[name]) for name in sorted(nodes)}
    return Usage(mode, settings.bounded_imbalance, has, limits=static, amounts=static), tuple(lines)


def _is_measured(node: NodeInfo) -> bool:
    return bool(node.maxcpu and node.maxmem_bytes)


def overcommitted(
    services: Services,
    nodes: Nodes,
    static: Mapping[str, Amount],
    dynamic: Mapping[str, Amount],
    running: Mapping[str, Collection[str]],
) -> Iterator[str]:
    """What reading the measured usage warns of: `cpu on 'vm:101'`, `mem on 'node1'`.

    Usage is read twice in a round, so services are named twice; a node once for each service that
    finds it, or makes it, too full.
    """
    loads = dict.fromkeys(nodes, Amount())
    for _ in range(2):
        for sid in sorted(services):
            yield from _beyond(sid, dynamic.get(sid, Amount()), static.get(sid, Amount()))
    for sid, config in sorted(services.items()):
        node = config.node
        if node in nodes and sid in running.get(node, ()):
            loads[node] = _sum([loads[node], dynamic.get(sid, Amount())])
            yield from _beyond(node, loads[node], _capacity(nodes[node]))


def _beyond(name: str, used: Amount, has: Amount) -> Iterator[str]:
    if used.cpu > has.cpu:
        yield f"cpu on '{name}'"
    if used.mem_bytes > has.mem_bytes:
        yield f"mem on '{name}'"


def _capacity(node: NodeInfo) -> Amount:
    return Amount(node.maxcpu or DEFAULT_MAXCPU, node.maxmem_bytes or DEFAULT_MAXMEM_BYTES)


def _measured(
    node: str,
    services: Services,
    dynamic: Mapping[str, Amount],
    running: Mapping[str, Collection[str]],
) -> Amount:
    """What runs on the node now, as far as it is configured there."""
    here = [
        dynamic.get(sid, Amount())
        for sid in sorted(running.get(node, ()))
        if sid in services and services[sid].node == node
    ]
    return _sum(here)


def _sum(amounts: Sequence[Amount]) -> Amount:
    return Amount(total(a.cpu for a in amounts), total(a.mem_bytes for a in amounts))
