"""NFS shares: a folder, the networks and hosts that may mount it, who root becomes.

Known by the folder. Where no networks are written it is open to its VLAN alone; a share open to
everybody is written as such. Source: exports(5); the TrueNAS documentation, NFS shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Self

from controller.managed import Context, Cost, Fragment, Key
from controller.step import Answers, Json
from controller.truenas.dataset import NAMESPACE, Dataset, holder
from controller.truenas.fields import FLAG, NAME, SET, TEXT, Row, field
from controller.truenas.thing import NasThing, array, rows
from lab.kinds.nas import Share
from lab.lab import Lab

NETWORKS = field("networks", SET, cost=Cost.LIVE, default=())
HOSTS = field("hosts", SET, cost=Cost.LIVE, default=())
COMMON = (
    field("read_only", FLAG, api="ro", cost=Cost.STOP_START, default=False),
    field("maproot_user", NAME, cost=Cost.LIVE),
    field("maproot_group", NAME, cost=Cost.LIVE),
    field("enabled", FLAG, cost=Cost.STOP_START, default=True),
    field("comment", TEXT),
)


@dataclass(frozen=True)
class NfsShare(NasThing):
    """A share."""

    kind = "nfs-share"
    words = ("nas",)
    namespace = "sharing.nfs"
    asks = (NAMESPACE,)
    fields = (NETWORKS, HOSTS, *COMMON)
    sections = {"shares": fields}

    @classmethod
    def identity(cls, row: Row) -> str:
        return str(row["path"])

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for name, share in nas.shares.items():
            thing = cls.said(lab, device, share.path, ("shares", name), share, share)
            values = {**_own_network(lab, share), **thing.values}
            yield replace(thing, values=values).on(holder(nas, share.path))

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        names = {str(each["name"]) for each in rows(device, answers, NAMESPACE)}
        around = self.id.removeprefix("/mnt/")
        while "/" in around and around not in names:
            around = around.rpartition("/")[0]
        return self.on(around)

    def on(self, dataset: str) -> Self:
        """The same with the dataset, or the pool, that it needs."""
        kind = Dataset.kind if "/" in dataset else "pool"
        return replace(self, needs=frozenset({Key(self.key.device, kind, dataset)}))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        """Whoever loses access has to stop."""
        if field_name in (NETWORKS.name, HOSTS.name):
            held, goal = set(old.held(field_name)), set(self.held(field_name))
            open_to_all = not (old.held(NETWORKS.name) or old.held(HOSTS.name))
            return Cost.STOP_START if held - goal or (open_to_all and goal) else Cost.LIVE
        return super().cost(field_name, old, context)

    def identified(self) -> dict[str, Json]:
        return {"path": self.id}

    def declare(self, lab: Lab) -> Fragment:
        pool = self.id.removeprefix("/mnt/").partition("/")[0]
        vlan = self._vlan(lab)
        if vlan is None or not self.id.startswith("/mnt/") or ",/mnt/" in self.id:
            return {}  # the language has no share of several folders
        name = self.id.removeprefix("/mnt/").replace("/", "-")
        return self.part(lab, "shares", name, pool=pool, path=self.id, vlan=vlan)

    def _vlan(self, lab: Lab) -> str | None:
        """The VLAN of the array that it is open to; for one open to all, its only NFS VLAN."""
        nas = array(lab, self.key.device)
        near = [] if nas is None else [name for name in nas.addresses if name in lab.vlans]
        for network in self.held(NETWORKS.name):
            for name in near:
                subnet = lab.vlans[name].subnet
                if subnet is not None and subnet.overlaps(ip_network(network, strict=False)):
                    return name
        offering = [name for name in near if lab.vlans[name].role == "nfs"]
        return offering[0] if len(offering) == 1 else None


def _own_network(lab: Lab, share: Share) -> dict[str, tuple[str, ...]]:
    """The network of its VLAN, for a share that says nothing of whom it is open to."""
    vlan = lab.vlans.get(share.vlan)
    if share.written & {"networks", "hosts"} or vlan is None or vlan.subnet is None:
        return {}
    return {NETWORKS.name: (str(vlan.subnet),)}
