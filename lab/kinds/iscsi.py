"""What an array offers over iSCSI: portals, who may log in, and targets with their LUNs.

Sources: RFC 7143 (portal groups, names, CHAP); the TrueNAS documentation, block shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from lab.item import Flaw, Part
from lab.names import NodeName, VlanName
from lab.units import Natural, Secret

LUN_MAX = 16382
TARGET = r"[a-z0-9.:-]{1,64}"  # what follows the base in an iSCSI name: RFC 7143, 4.2.7


class Portal(Part):
    """An address that offers iSCSI on one VLAN. Those of one `group` are one portal group."""

    vlan: VlanName
    address: IPv4Address
    group: str | None = None
    comment: str | None = None


class InitiatorGroup(Part):
    """Who may log in: nodes and other initiators by name; everybody, if none is written."""

    nodes: tuple[NodeName, ...] = ()
    names: tuple[str, ...] = ()
    comment: str | None = None


class Chap(Part):
    """A login of initiators; with a peer, the array logs in to them as well.

    `tag`: the number under which targets know it on the array.
    """

    tag: Natural
    user: str
    secret: Secret
    peer_user: str | None = None
    peer_secret: Secret | None = None

    def flaws(self) -> Iterator[Flaw]:
        if (self.peer_user is None) != (self.peer_secret is None):
            yield Flaw((), "a peer has a user and a secret", fix="write both, or neither")
        elif self.peer_secret == self.secret:
            why = "whoever can log in could answer for the array too (RFC 7143, 12.1.3)"
            yield Flaw(("peer-secret",), "the peer has the same secret", why, "use another one")


class Target(Part):
    """An iSCSI target: LUN number -> zvol, offered on portals to the nodes named.

    Without an `initiator-group` its own one lists the initiators of these nodes; if no node has
    one, everybody is let in. `chap`: a login of the array.
    """

    portals: tuple[str, ...]
    initiators: tuple[NodeName, ...]
    luns: dict[str, str]
    chap: str | None = None
    initiator_group: str | None = None
    alias: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        for lun in self.luns:
            if not (lun.isdecimal() and int(lun) <= LUN_MAX and lun == str(int(lun))):
                yield Flaw(("luns", lun), f"{lun} is no LUN", fix=f"use a number up to {LUN_MAX}")
