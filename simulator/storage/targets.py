"""iSCSI targets as an initiator meets them: what it may log in to, and the LUNs it finds there.

Read from an array's documents: those of the device that lives on the twin, else those it would have
if the lab were applied. Sources: RFC 7143; SPC-4 for the identification of a LUN; reference of the
TrueNAS API, block storage chain. Leaves out: mutual CHAP (the target's own proof), FILE extents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.kinds.nas import Nas
from simulator.facts import Facts
from simulator.truenas.api import TrueNasApi
from simulator.truenas.attachments import ASSOCIATIONS, EXTENTS, extent_dataset
from simulator.truenas.declared import declared
from simulator.truenas.documents import Documents, Row
from simulator.truenas.served import full_name, running
from simulator.truenas.version import version_of
from simulator.twin import Twin

PORT = 3260  # RFC 7143, the well-known port


@dataclass(frozen=True, slots=True)
class Lun:
    """A logical unit. `volume`: what it shows, as `simulator.storage.disks` keeps it."""

    number: int
    volume: str
    naa: str  # 32 hexadecimal digits, without 0x
    serial: str
    size_bytes: int
    block_bytes: int
    vendor: str
    product: str = "iSCSI Disk"

    @property
    def wwid(self) -> str:
        """As scsi_id(8) and multipath name it: 3 for an NAA designator, then its digits."""
        return f"3{self.naa}"


@dataclass(frozen=True, slots=True)
class Door:
    """A portal that leads to a target. `initiators`: names let in, empty for everybody; `logins`:
    CHAP users with their secrets, one of which is asked for unless there are none.
    """

    address: str
    port: int
    tag: int
    initiators: frozenset[str]
    logins: tuple[tuple[str, str], ...] = ()

    def admits(self, initiator: str) -> bool:
        """Whether an initiator may see and use the target here."""
        return not self.initiators or initiator in self.initiators


@dataclass(frozen=True, slots=True)
class Target:
    """A target of an array, with its doors and its LUNs by number."""

    nas: str
    iqn: str
    doors: tuple[Door, ...]
    luns: tuple[Lun, ...]

    def door(self, address: str, port: int) -> Door | None:
        """The door at an address."""
        here = (door for door in self.doors if (door.address, door.port) == (address, port))
        return next(here, None)


def targets(twin: Twin, nas: str) -> list[Target]:
    """All that an array offers now, whether it can be reached or not; none while it is stopped."""
    device = twin.devices.get(f"nas/{nas}")
    documents = device.documents if isinstance(device, TrueNasApi) else declared(twin, nas)
    if not running(documents, "iscsitarget"):
        return []
    scale = version_of(twin.model.lab.nas[nas].version).scale
    return [
        Target(
            nas,
            full_name(documents, row["name"]),
            tuple(_doors(documents, row)),
            tuple(_luns(documents, nas, identity, "TrueNAS" if scale else "FreeNAS")),
        )
        for identity, row in documents.rows("iscsi.target").items()
    ]


def _doors(documents: Documents, target: Row) -> Iterator[Door]:
    portals, groups = documents.rows("iscsi.portal"), documents.rows("iscsi.initiator")
    for group in target["groups"]:
        known = groups.get(group["initiator"] or 0)
        names = frozenset(known["initiators"]) - {"ALL"} if known is not None else frozenset()
        logins = tuple(
            (row["user"], row["secret"])
            for row in documents.rows("iscsi.auth").values()
            if group.get("authmethod", "NONE") != "NONE" and row["tag"] == group.get("auth")
        )
        common = documents.settings["iscsi.global"].get("listen_port", PORT)
        portal = portals.get(group["portal"], {"listen": (), "tag": 0})
        for listen in portal["listen"]:
            port = int(listen.get("port") or common)
            yield Door(listen["ip"], port, int(portal["tag"]), names, logins)


def _luns(documents: Documents, nas: str, target: int, vendor: str) -> Iterator[Lun]:
    rows = [row for row in documents.rows(ASSOCIATIONS).values() if row["target"] == target]
    for row in sorted(rows, key=lambda row: int(row["lunid"])):
        extent = documents.rows(EXTENTS).get(row["extent"])
        if extent is None or not extent["enabled"] or extent["type"] != "DISK":
            continue
        name = extent_dataset(extent)
        zvol = documents.datasets.get(name)
        if zvol is not None:
            yield Lun(
                int(row["lunid"]),
                volume_of(nas, name, zvol.created_s),
                str(extent["naa"]).removeprefix("0x"),
                str(extent["serial"]),
                int(zvol.properties["volsize"]),
                int(extent["blocksize"]),
                vendor,
            )


def volume_of(nas: str, zvol: str, created_s: float = 0.0) -> str:
    """A zvol as `simulator.storage.disks` keeps what it carries: one made anew carries nothing."""
    return f"{nas}/{zvol}" + (f"@{created_s:g}" if created_s else "")


def owner(twin: Twin, address: str) -> str | None:
    """The array that has an address."""
    for name, nas in twin.model.lab.nas.items():
        if _vlan(nas, address) is not None:
            return name
    return None


def path_to(facts: Facts, host: str, nas: str, address: str) -> bool:
    """Whether packets get from a host to an address of an array and back."""
    declared_nas = facts.model.lab.nas[nas]
    portal = portal_at(declared_nas, address)
    if portal is not None and not facts.works(f"portal {nas}/{portal}"):
        return False
    vlan = _vlan(declared_nas, address)
    return vlan is not None and facts.host_on(nas) and facts.talks(host, nas, vlan)


def portal_at(nas: Nas, address: str) -> str | None:
    """The declared name of the portal at an address."""
    return next((name for name, each in nas.portals.items() if str(each.address) == address), None)


def _vlan(nas: Nas, address: str) -> str | None:
    found = {str(portal.address): portal.vlan for portal in nas.portals.values()}
    return {**{str(own): vlan for vlan, own in nas.addresses.items()}, **found}.get(address)
