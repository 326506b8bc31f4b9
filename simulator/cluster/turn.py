"""One round of the master, as the steps of it share it.

Made anew each round by `manager`; what outlives the round is in its `Manager`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.cluster.documents import LrmResult, ServiceConfig, ServiceRecord
from simulator.cluster.placement import select_node
from simulator.cluster.rules import Compiled
from simulator.cluster.state import CRM, Cluster, Manager
from simulator.cluster.usage import Usage


@dataclass
class Turn:
    """A round. `services`: as configured; `modes`, `results`: what LRMs wrote, by node and uid."""

    cluster: Cluster
    node: str  # the master's
    manager: Manager
    services: dict[str, ServiceConfig]
    compiled: Compiled
    usage: Usage
    modes: Mapping[str, str]
    results: Mapping[str, LrmResult]
    online: frozenset[str]  # nodes that services may be placed on

    @property
    def records(self) -> dict[str, ServiceRecord]:
        """What the manager knows of services."""
        return self.manager.records

    def say(self, level: str, message: str) -> None:
        """Write the master's line."""
        self.cluster.tell(self.node, CRM, level, message)

    def wanted(self, sid: str) -> str:
        """Return the configured state."""
        return self.services[sid].state

    def select(self, sid: str, preference: str) -> str:
        """Return the node for a service, "" if there is none."""
        return select_node(
            sid,
            preference,
            self.records,
            self.services[sid],
            self.compiled,
            self.online,
            self.usage,
        )

    def change(
        self, sid: str, state: str, node: str = "", target: str = "", timeout_s: int | None = None
    ) -> None:
        """Enter a state; what the record said of the old one is gone."""
        old = self.records[sid]
        told = [f"{key} = {value}" for key, value in (("node", node), ("target", target)) if value]
        if timeout_s is not None:
            told.append(f"timeout = {timeout_s}")
        self.records[sid] = ServiceRecord(
            state,
            node or old.node,
            self.cluster.new_uid(),
            target,
            timeout_s,
            failed_nodes=old.failed_nodes,
            maintenance_node=old.maintenance_node,
        )
        self.usage.put(sid, self.records[sid], self.services.get(sid))
        given = f"  ({', '.join(told)})" if told else ""
        self.say("info", f"service '{sid}': state changed from '{old.state}' to '{state}'{given}")

    def configure(self, sid: str, node: str = "", state: str = "", lock: str | None = None) -> None:
        """Write a service's config, for the rest of this round too; one that is gone has none."""

        def changed(config: ServiceConfig) -> ServiceConfig:
            return replace(
                config,
                node=node or config.node,
                state=state or config.state,
                lock=config.lock if lock is None else lock,
            )

        if written := self.cluster.services.get(sid):
            self.cluster.configure(self.node, sid, changed(written))
        self.services[sid] = changed(self.services[sid])  # its failback may be its group's


def online_nodes(manager: Manager) -> frozenset[str]:
    """Nodes in state online."""
    return frozenset(node for node, state in manager.node_states.items() if state == "online")
