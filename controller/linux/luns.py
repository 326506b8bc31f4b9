"""Which LUNs a node must see: they follow from storages on volume groups, and from arrays' targets.

`IQN/NUMBER` identifies a LUN on every host; portals are those that the target is offered on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.managed import Key
from lab.kinds.nas import Nas
from lab.kinds.storage import Lvm
from lab.lab import Lab

PORT = 3260  # RFC 7143: the well-known port
_WHOLE = ("iqn.", "eui.", "naa.")


@dataclass(frozen=True)
class Lun:
    """A LUN that a storage is on. `nodes`: who sees it; the first makes what is on it."""

    storage: str
    vg: str
    nas: str
    target: str
    number: str
    iqn: str
    portals: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def id(self) -> str:
        """As hosts know it."""
        return f"{self.iqn}/{self.number}"

    @property
    def on_array(self) -> Key:
        """The LUN on its array."""
        return Key(f"nas/{self.nas}", "lun", f"{self.target}/{self.number}")

    @property
    def target_on_array(self) -> Key:
        """Its target there."""
        return Key(f"nas/{self.nas}", "target", self.target)


def iqn_of(nas: Nas, target: str) -> str:
    """The whole name of a target. Source: the TrueNAS documentation, iSCSI targets."""
    return target if target.startswith(_WHOLE) else f"{nas.iqn}:{target}"


def luns(lab: Lab) -> Iterator[Lun]:
    """All that storages are on, as far as the array has them declared."""
    for name, storage in lab.storages.items():
        if not isinstance(storage, Lvm) or storage.nas not in lab.nas:
            continue
        nas = lab.nas[storage.nas]
        target = nas.targets.get(storage.target)
        if target is None or storage.lun not in target.luns:
            continue
        known = (nas.portals[each] for each in target.portals if each in nas.portals)
        portals = tuple(sorted(f"{portal.address}:{PORT}" for portal in known))
        members = {node for cluster in storage.clusters for node in lab.members(cluster)}
        nodes = tuple(sorted(members & {*(storage.nodes or members)}))
        iqn = iqn_of(nas, storage.target)
        yield Lun(name, storage.vg, storage.nas, storage.target, storage.lun, iqn, portals, nodes)


def luns_of(lab: Lab, host: str) -> Iterator[Lun]:
    """Those that a host must see."""
    return (lun for lun in luns(lab) if host in lun.nodes)
