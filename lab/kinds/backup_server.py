"""The backup server: a host that exports folders over NFS. Source: exports(5)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.item import Flaw, Item, Owned
from lab.kinds.host import Host
from lab.names import VlanName, nearest
from lab.units import Size


class Export(Item):
    """One folder, open to one VLAN, root only."""

    path: str
    vlan: VlanName


class BackupServer(Owned, Host):
    """A host with a file system for backups on `disk`."""

    disk: str
    mount: str
    capacity: Size | None = None
    exports: dict[str, Export]

    def flaws(self) -> Iterator[Flaw]:
        yield from super().flaws()
        if self.disk not in self.disks and self.disk not in self.raids:
            fix = nearest(self.disk, [*self.disks, *self.raids])
            yield Flaw(("disk",), f"there is no disk {self.disk} here", fix=fix)
