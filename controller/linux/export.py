"""NFS exports: a folder for root alone, open to one VLAN. Source: exports(5), exportfs(8).

`root only`: the folder has mode 0700, and root of a client is root there. What is in force is read;
a line of /etc/exports is a block of ours. `exportfs` has no dry run: when it does not like the new
file, the old one comes back. An export that clients have mounted stays (those of NFS 4 alone are
not listed: a storage that is declared keeps them).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.fields import PLAIN, Field
from controller.linux.block import block_of
from controller.linux.file import pending, waits
from controller.linux.mount import escaped, mount_key
from controller.linux.package import packages_of
from controller.linux.service import NFS_SERVER, Service
from controller.linux.shell import asked, output, succeeded
from controller.linux.thing import HostThing, host_of, key_of
from controller.managed import Context, Cost, Fragment, Key, Value
from controller.step import Answers, Command, Query, Step, WriteFile
from lab.errors import Refused
from lab.lab import Lab

EXPORTS = "/etc/exports"
IN_FORCE, TEXT = asked("exportfs", "-s"), asked("cat", "--", EXPORTS)
CLIENTS = asked("showmount", "--no-headers", "-a")
OPTIONS = ("no_root_squash", "no_subtree_check", "rw", "sync")
MODE = "0700"
# What exportfs adds by itself: exports(5), general options.
_DEFAULTS = frozenset(
    ("wdelay", "hide", "nocrossmnt", "secure", "no_all_squash", "sec=sys", "acl", "secure_locks",
     "auth_nlm", "no_pnfs", "no_security_label")
)  # fmt: skip
_LINE = re.compile(r"^(\S+)\s+([^\s(]+)\(([^)]*)\)$", re.MULTILINE)


def export_key(host: str, path: str) -> Key:
    """An export of a host, as storages need it."""
    return key_of(host, Export.kind, path)


def _mark(path: str) -> str:
    return f"vlab export {path}"


def _in_force(text: str) -> dict[str, set[str]]:
    """path -> clients, each with what is said of it beyond defaults: `192.0.2.0/24(rw,sync)`."""
    found: dict[str, set[str]] = {}
    for path, client, options in _LINE.findall(text):
        said = ",".join(sorted({*options.split(",")} - _DEFAULTS))
        found.setdefault(_plain(path), set()).add(f"{client}({said})")
    return found


def _shared(device: str, answers: Answers) -> dict[str, set[str]]:
    """What a host exports; nothing if it has no NFS server. Raises DeviceError."""
    found = output(answers, IN_FORCE)
    return {} if found.missing else _in_force(succeeded(device, IN_FORCE, found).stdout)


def _plain(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word.strip('"'))


def _folder(path: str) -> Query:
    return asked("stat", "-c", "%a", "--", path, about=path)


@dataclass(frozen=True)
class Export(HostThing):
    """A folder and whom it is open to: its id is the path. `ours`: its line is a block of ours."""

    kind = "export"
    words = ("backup-servers",)
    section = "exports"
    fields = (Field("clients", ("vlan",), PLAIN, Cost.LIVE), Field("mode", (), PLAIN, Cost.LIVE))

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from (IN_FORCE, TEXT, waits(EXPORTS))
        if IN_FORCE.text in answers and (shared := _shared(device, answers)):
            yield CLIENTS
            yield from map(_folder, shared)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        text = output(answers, TEXT).stdout
        for path, clients in _shared(device, answers).items():
            if _folder(path).text not in answers:
                continue
            folder = output(answers, _folder(path))
            ours = block_of(device, text, _mark(path)) is not None
            values: dict[str, Value] = {
                "clients": tuple(sorted(clients)),
                "mode": f"{int(folder.stdout, 8):04o}" if not folder.status else "",
                "ours": ours,
                "in_force": not (ours and pending(answers, EXPORTS)),
            }
            thing = cls.there(device, path, values)
            yield replace(thing, needs=frozenset({*_above(device, path), _server(device)}))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        server = lab.backup_servers.get(host_of(device))
        for name, item in server.exports.items() if server is not None else ():
            vlan = lab.vlans.get(item.vlan)
            if vlan is None or vlan.subnet is None or server is None:
                continue  # a VLAN without a subnet has nobody to open it to
            thing = cls.said(lab, device, item.path, ("exports", name), item, item)
            goal: dict[str, Value] = {
                "clients": (f"{vlan.subnet}({','.join(OPTIONS)})",),
                "mode": MODE,
                "in_force": True,
            }
            place = lab.place(*thing.path, "vlan")
            origin = dict.fromkeys(goal, place) if place is not None else {}
            needs = packages_of(lab, device) | {mount_key(device, server.mount), _server(device)}
            yield replace(thing, values=goal, origin=origin, needs=needs)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        held = old.values if old is not None else {}
        clients = {**held, **self.values}["clients"]
        if old is not None and clients != held["clients"] and not held["ours"]:
            fix = f"take its line out of {EXPORTS} of {self.host}, or say what it says"
            raise Refused(f"{self.id} is in {EXPORTS} by another hand", fix)
        if held.get("mode") != MODE:
            yield Command(("mkdir", "-p", "-m", MODE, "--", self.id))
            yield Command(("chmod", MODE, "--", self.id))
        if clients != held.get("clients") or not held["in_force"]:
            assert isinstance(clients, tuple), "read and wanted as one"
            line = " ".join((escaped(self.id), *clients))
            yield self._block(f"{line}\n")

    def remove(self, context: Context) -> Iterator[Step]:
        if who := context.around.get(f"clients.{self.id}"):
            raise Refused(f"{self.id} is mounted by {who}", "unmount it there first")
        if not self.values["ours"]:
            raise Refused(f"{self.id} is in {EXPORTS} by another hand", "take it out by hand")
        yield self._block("")  # the folder stays: it may hold data

    def _block(self, lines: str) -> WriteFile:
        return WriteFile(EXPORTS, lines, block=_mark(self.id), after=("exportfs", "-ra"))

    def declare(self, lab: Lab) -> Fragment:
        server = lab.backup_servers.get(self.host)
        if server is None or self.values["mode"] != MODE:
            return {}
        open_to = {f"{vlan.subnet}({','.join(OPTIONS)})": name for name, vlan in lab.vlans.items()}
        vlans = [open_to[client] for client in self.held("clients") if client in open_to]
        if len(vlans) != 1 or len(self.held("clients")) != 1:
            return {}
        names = {export.path: name for name, export in server.exports.items()}
        name = names.get(self.id, self.id.rpartition("/")[2])
        return self.entry(lab, {"exports": {name: {"path": self.id, "vlan": vlans[0]}}})


def _server(device: str) -> Key:
    return Key(device, Service.kind, NFS_SERVER)


def _above(device: str, path: str) -> Iterator[Key]:
    """Mounts that the folder may be on."""
    while path != "/":
        yield mount_key(device, path)
        path = path.rpartition("/")[0] or "/"
