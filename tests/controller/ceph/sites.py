"""A small Ceph cluster for tests of its things: the same lab, on a twin or on a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from controller.ceph.family import CephFamily
from controller.ceph.kinds import KINDS
from controller.ceph.port import CephPort
from controller.ceph.transport import Transport
from controller.clock import Clock, SystemClock
from controller.devices import Device
from controller.execute import Outcome, execute
from controller.journal import Journal, ownership
from controller.managed import Key
from controller.observe import observe
from controller.observed import Observed
from controller.owned import Ownership
from controller.plan import Plan
from controller.planning import plan_changes
from controller.rehearsal import TwinClock
from controller.secrets import Vault, rehearsed
from lab.lab import Lab
from lab.load import load
from simulator.build import twin_of
from simulator.mon.install import installed
from simulator.mon.monitors import Monitors
from simulator.twin import Twin

DEVICE = "ceph/a"
NODES = ("pve1", "pve2", "pve3")
Ask = Callable[..., Any]
"""An administrator's `ceph WORDS`, answered as JSON."""


def hardware() -> str:
    """Three nodes on one switch, with a disk for an OSD each."""
    text = """
vlans: {ceph: {id: 253, role: ceph}}
clusters: {a: {version: "9.2", corosync: {links: [ceph]}}}
"""
    ports, hosts, cables = "", "", ""
    for number, node in enumerate(NODES, 1):
        ports += f"      {node}: {{access: ceph}}\n"
        hosts += f"""  {node}:
    cluster: a
    feeds: []
    boot: 1ms
    nics: {{eno1: {{access: ceph}}}}
    addresses: {{ceph: 192.168.253.{number}}}
    disks: {{sdb: {{size: 4GiB}}}}
"""
        cables += f"  {node}: {{ends: [{node}/eno1, sw1/{node}]}}\n"
    switch = f"switches:\n  sw1:\n    feeds: []\n    ports:\n{ports}"
    return f"{text}{switch}nodes:\n{hosts}cables:\n{cables}"


def tree(*parts: str, device_class: str = "") -> dict[str, bytes]:
    """Files of a lab whose Ceph cluster says `parts`, each some lines of its entry."""
    more = f", device-class: {device_class}" if device_class else ""
    osds = "".join(
        f"      {number}: {{node: {node}, disk: sdb{more}}}\n" for number, node in enumerate(NODES)
    )
    texts = parts if _pools(parts) else ("pools: {}", *parts)
    body = "".join(f"    {line}\n" for text in texts for line in text.strip("\n").split("\n"))
    entry = f"""# Ours.
ceph:
  a:
    cluster: a
    version: "16.2"
    public: ceph
    mons: [pve1]
    osds:
{osds}{body}"""
    return {"hardware.yaml": hardware().encode(), "ceph.yaml": entry.encode()}


def ceph(*parts: str, device_class: str = "") -> Lab:
    """The lab that these files declare."""
    return load(tree(*parts, device_class=device_class), rules=False)


def _pools(parts: tuple[str, ...]) -> bool:
    return any(part.strip().startswith("pools:") for part in parts)


@dataclass
class Site:
    """A cluster, the controller's way to it, and what it has applied there."""

    device: Device
    clock: Clock
    ask: Ask
    owned: Ownership = field(default_factory=dict)

    def observe(self) -> Observed:
        """What is there."""
        return observe([self.device], self.clock)

    def plan(self, lab: Lab, *, approve: Container[Key] = frozenset()) -> Plan:
        """What would make it so."""
        return plan_changes(lab, self.observe(), self.owned, "commit", approve=approve)

    def apply(self, lab: Lab, *, approve: Container[Key] = frozenset()) -> Outcome:
        """Make it so."""
        journal = Journal()
        plan = self.plan(lab, approve=approve)
        outcome = execute(plan, [self.device], journal, self.clock)
        changed = ownership(self.owned, journal.records)
        both = {**self.owned, **changed}
        self.owned = {key: record for key, record in both.items() if record is not None}
        return outcome


def twin_site(lab: Lab) -> Site:
    """On a twin whose monitors hold what a new cluster holds."""
    twin = twin_of(lab)
    monitors = Monitors("a", installed(twin, "a"))
    twin.attach(monitors)
    monitors.sync(twin)
    twin.settle()
    clock = TwinClock(twin)
    (device,) = CephFamily().served(twin, clock, Vault(rehearsed))
    return Site(device, clock, twin_ask(twin))


def twin_ask(twin: Twin) -> Ask:
    """An administrator at a twin."""

    def ask(*words: str) -> Any:
        monitors = twin.devices[DEVICE]
        assert isinstance(monitors, Monitors)
        reply = monitors.line(twin, list(words))
        twin.settle()
        assert reply.code == 0, reply
        return json.loads(reply.output) if reply.output.strip() else None

    return ask


def real_site(transport: Transport, ask: Ask) -> Site:
    """On a real cluster."""
    port = CephPort(DEVICE, transport, Vault(lambda _reference: SecretStr("unused")))
    return Site(Device(DEVICE, port, KINDS), SystemClock(), ask)
