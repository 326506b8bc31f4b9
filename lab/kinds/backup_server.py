"""The backup server: a host that exports folders over NFS. Source: exports(5)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.item import Flaw, Owned, Part
from lab.kinds.system import System, whole_path
from lab.names import VlanName, nearest
from lab.units import Size


class Export(Part):
    """One folder, open to one VLAN, root only."""

    path: str
    vlan: VlanName


class BackupServer(Owned, System):
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
        if not whole_path(self.mount):
            yield Flaw(("mount",), f"{self.mount} is no whole path", fix="write /backup")
        taken: dict[str, str] = {}
        for name, export in self.exports.items():
            at = ("exports", name, "path")
            if not whole_path(export.path):
                yield Flaw(at, f"{export.path} is no whole path", fix=f"write {self.mount}/{name}")
            elif export.path in taken:
                fix = "give each area a folder of its own"
                yield Flaw(at, f"{export.path} is export {taken[export.path]} too", fix=fix)
            elif not f"{export.path}/".startswith(f"{self.mount}/"):
                what = f"{export.path} is not on the disk for backups, at {self.mount}"
                why = "backups would fill the system's own disk"
                yield Flaw(at, what, why, f"write {self.mount}/{name}")
            taken.setdefault(export.path, name)
