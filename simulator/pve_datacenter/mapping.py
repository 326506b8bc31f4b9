"""Mappings: names for PCI and USB devices and for folders, with a place on each node.

Source: PVE::API2::Cluster::Mapping, PVE::Mapping::PCI, ::USB, ::Dir. Leaves out: comparing a PCI or
USB mapping with a node's hardware; the twin's nodes have no such devices, so a check finds none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.formats import FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, Value, table
from simulator.pve.routes import Routes, index
from simulator.pve.sections import SectionFile, check_new, check_removable, section_type
from simulator.pve.wire import denied, died

routes = Routes()
index(routes, "/cluster/mapping", "dir pci usb")

_PLACE = "Value does not look like a valid absolute path."
_SYMBOLS = f"{_PLACE} These symbols are currently not allowed in path: ;,=()\n"
FORMATS["pve-storage-path-in-property-string"] = lambda text: (
    "" if text.startswith("/") and not set(text) & set(";,=()") else _SYMBOLS
)
_IDS = r"/[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}/"
_SLOT = r"[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?"
PROPERTY_STRINGS |= {
    "mapping-dir": table("node pve-node\npath pve-storage-path-in-property-string"),
    "mapping-pci": table(
        f"""
        description?   string ..4096
        id             {_IDS}
        iommugroup?    integer
        node           pve-node
        path           /{_SLOT}(?:;{_SLOT})*/
        subsystem-id?  {_IDS}
        """
    ),
    "mapping-usb": table(
        rf"""
        description?  string ..4096
        id            {_IDS}
        node          pve-node
        path?         /(\d+)\-(\d+(\.\d+)*)/
        """
    ),
}
FOLDERS = frozenset({"/", "/etc", "/home", "/mnt", "/opt", "/root", "/srv", "/usr", "/var",
                     "/var/lib", "/var/lib/vz", "/mnt/pve"})  # fmt: skip
"""Folders that every installation has; storages add theirs."""


@dataclass(frozen=True)
class Kind:
    """One kind. `said` is what errors call it; `audited` whether a check names the node."""

    name: str
    said: str
    file: SectionFile
    keys: str
    map_kept: bool = False  # PUT must send the map again
    gone: str = ""  # what deleting an absent one says


def _file(name: str, keys: str) -> SectionFile:
    known = (
        f"map+ description {' '.join(line.split('?')[0] for line in keys.split(chr(10)) if line)}"
    )
    text = f"map? array:{{mapping-{name}}}\ndescription? string ..4096\n{keys}"
    return SectionFile(f"mapping/{name}.cfg", text, {name: section_type(known)}, only=name)


_PCI = "live-migration-capable? boolean\nmdev? boolean\n"
DIR = Kind("dir", "directory mapping", _file("dir", ""), "")
PCI = Kind("pci", "hardware mapping", _file("pci", _PCI), _PCI, map_kept=True)
USB = Kind("usb", "hardware mapping", _file("usb", ""), "", map_kept=True)
KINDS = (DIR, PCI, USB)
RIGHTS = ("Mapping.Use", "Mapping.Modify", "Mapping.Audit")


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "digest", "delete")
    return {
        key: value for key, value in call.values.items() if key not in skipped and call.has(key)
    }


def _maps(entry: Entry) -> list[str]:
    known = entry.get("map")
    return [str(item) for item in known] if isinstance(known, tuple) else []


def _shown(entry: Entry, digest: str) -> dict[str, object]:
    return {**entry, "map": _maps(entry), "digest": digest}


def exists(call: Call, path: str) -> bool:
    """Whether a folder is on the node asked: a usual one, or a storage's."""
    paths = {str(entry.get("path", "")).rstrip("/") for entry in call.documents.storages.values()}
    return path.rstrip("/") in paths | FOLDERS or path == "/"


def _check_folders(call: Call, maps: list[str]) -> None:
    """The folders of the node asked must be there, and a node is named once."""
    seen: dict[str, int] = {}
    for text in maps:
        values = propertystring.split(text)
        node, path = values["node"], values["path"]
        if node == call.node and not exists(call, path):
            raise died(f"Path {path} does not exist")
        seen[node] = seen.get(node, 0) + 1
    for node, times in seen.items():
        if times > 1:
            raise died(f"Node '{node}' is specified {times} times.")


def _checks(call: Call, kind: Kind, entry: Entry) -> dict[str, object]:
    """What a node says of its part of a mapping."""
    node = call.text("check-node")
    here = [v for text in _maps(entry) if (v := propertystring.split(text)).get("node") == node]
    found: list[dict[str, str]] = []
    if not here:
        found.append({"severity": "warning", "message": f"No mapping for node {node}."})
    for values in here:
        if kind is PCI:
            text = "".join(f"pci device '{p}' not found\n" for p in values["path"].split(";")[:1])
            found.append({"severity": "error", "message": f"Invalid configuration: {text}"})
        elif kind is USB:
            where = f"usb device '{values['id']}' not found\n"
            found.append({"severity": "error", "message": f"Invalid configuration: {where}"})
        elif not exists(call, values["path"]):
            text = f"Path {values['path']} does not exist\n"
            found.append({"severity": "error", "message": f"Invalid configuration: {text}"})
    if kind is USB:
        return {"error": found[0]} if found else {}
    return {"checks": found}


@dataclass(frozen=True)
class Calls:
    """The five calls of a kind."""

    kind: Kind

    def register(self) -> None:
        """Let them answer."""
        kind, where = self.kind, f"/mapping/{self.kind.name}"
        base, at = f"/cluster{where}", f"/cluster{where}/{{id}}"
        item = f"map array:{{mapping-{kind.name}}}\n"
        keys = kind.keys + "description? string ..4096\nid pve-configid\n"
        changes = "delete? pve-configid-list ..4096\ndigest? string ..64\n"
        again = item if kind is USB else item.replace("map ", "map? ")
        one_may, all_may = f"{where}/{{id}} Mapping.Modify", f"{where} Mapping.Modify"
        routes.add(f"GET {base}", "all", "check-node? pve-node")(self.listed)
        routes.add(f"POST {base}", all_may, keys + item)(self.create)
        routes.add(f"GET {at}", _need_any(where), "id pve-configid")(self.one)
        routes.add(f"PUT {at}", one_may, keys + changes + again)(self.update)
        routes.add(f"DELETE {at}", all_may, "id pve-configid")(self.delete)

    def _locked(self, call: Call, verb: str) -> AbstractContextManager[None]:
        return call.locked(f"mapping_{self.kind.name}_cfg", f"{verb} {self.kind.said} failed: ")

    def listed(self, call: Call) -> object:
        """All that the caller may see; with `check-node` what that node says of them."""
        kind, rows = self.kind, []
        digest = kind.file.digest(call.documents)
        for name, entry in kind.file.entries(call.documents).items():
            if call.may(f"/mapping/{kind.name}/{name}", *RIGHTS):
                checks = _checks(call, kind, entry) if call.has("check-node") else {}
                rows.append({"id": name, **_shown(entry, digest), **checks})
        return rows

    def one(self, call: Call) -> object:
        """One."""
        name, known = call.text("id"), self.kind.file.entries(call.documents)
        if name not in known:
            raise died(f"mapping '{name}' not found")
        return _shown(known[name], self.kind.file.digest(call.documents))

    def create(self, call: Call) -> object:
        """A new one."""
        kind, name, sent = self.kind, call.text("id"), _sent(call)
        check_new(kind.file.types[kind.name], sent)
        entry: Entry = {"type": kind.name, **sent}
        if kind is DIR:
            _check_folders(call, _maps(entry))
        with self._locked(call, "create"):
            if name in kind.file.entries(call.documents):
                raise died(f"{kind.name} ID '{name}' already defined")
            kind.file.put(call.documents, name, entry)
        return None

    def update(self, call: Call) -> object:
        """Change one."""
        kind, name, sent = self.kind, call.text("id"), _sent(call)
        if kind is DIR and call.has("map"):
            _check_folders(call, _maps({"map": sent["map"]}))
        with self._locked(call, "update"):
            call.need_digest(kind.file.digest(call.documents))
            known = kind.file.entries(call.documents)
            if name not in known:
                raise died(f"{kind.name} ID '{name}' does not exist")
            kind_type = kind.file.types[kind.name]
            if kind.map_kept:
                check_new(kind_type, sent)
            check_removable(kind_type, call.words("delete"), sent)
            left = {k: v for k, v in known[name].items() if k not in call.words("delete")}
            kind.file.put(call.documents, name, {**left, **sent})
        return None

    def delete(self, call: Call) -> object:
        """Remove one; one that is absent is fine."""
        with self._locked(call, "delete"):
            self.kind.file.put(call.documents, call.text("id"), None)
        return None


def _need_any(where: str) -> Callable[[Call], None]:
    """Any right on the mapping."""

    def guard(call: Call) -> None:
        if not call.may(f"{where}/{call.text('id')}", *RIGHTS):
            raise denied()

    return guard


for _kind in KINDS:
    Calls(_kind).register()
