"""/etc/pve as files: what a cluster's API keeps, read from a copy of them and written back.

The way in for a real cluster (`copied`) and for recordings. Firewall, SDN, mappings, replication,
metric servers and notifications are kept as their text, the rest in the maps of `Documents`.
Secrets (priv/) are never looked at, and what else names one is left out. Source: pmxcfs(8), the
write functions of each file's module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from simulator.pve import user_cfg
from simulator.pve.cluster_files import DOMAINS, HA_RESOURCES, HA_RULES, JOBS
from simulator.pve.documents import Documents, GuestConfig, NodeFiles, Volume
from simulator.pve.load import volumes as volume_options
from simulator.pve.parameters import table
from simulator.pve.propertystring import split
from simulator.pve.sections import option_text
from simulator.pve.storage_types import STORAGES
from simulator.pve_datacenter import (
    cluster,
    ha_groups,
    ipam_state,
    metrics,
    notification_kinds,
    replication,
    sdn_state,
)
from simulator.pve_datacenter.mapping import KINDS as MAPPINGS
from simulator.pve_guest import guest_file
from simulator.pve_node.volumes import parse_size, place_of

GUEST_FILE = re.compile(r"nodes/(?P<node>[^/]+)/(?P<folder>qemu-server|lxc)/(?P<vmid>\d+)\.conf")
NODE_FILE = re.compile(r"nodes/(?P<node>[^/]+)/config")
KEPT_AS_TEXT = re.compile(
    r"firewall/[\w.\-]+\.fw|sdn/firewall/\w+\.fw|nodes/[^/]+/(host\.fw|pveproxy-ssl\.pem)"
)
_TEXT_FILES = frozenset(
    [
        *(file.path for file in sdn_state.STAGED.values()),
        sdn_state.RUNNING_FILE,
        sdn_state.IPAMS.path,
        ipam_state.STATE_FILE,
        *(kind.file.path for kind in MAPPINGS),
        *(file.path for file in (DOMAINS, JOBS, HA_RESOURCES, HA_RULES, STORAGES)),
        replication.JOBS.path,
        metrics.SERVERS.path,
        notification_kinds.FILE.path,
        ha_groups.GROUPS.path,
    ]
)
SECRETS = frozenset({"password", "client-key", "keyring", "encryption-key", "token", "key"})


@dataclass(frozen=True)
class Member:
    """A node as corosync.conf names it."""

    name: str
    number: int
    address: str = ""


@dataclass(frozen=True)
class EtcPve:
    """What the files say."""

    documents: Documents
    places: Mapping[int, str]  # where each guest's file is
    members: tuple[Member, ...] = ()
    name: str = ""
    unread: tuple[str, ...] = field(default=())  # files that nothing here reads


def read(files: Mapping[str, str]) -> EtcPve:
    """Documents from the files of a cluster; paths are below /etc/pve."""
    documents, places = Documents(), dict[int, str]()
    unread = [path for path in sorted(files) if not _read_one(documents, places, path, files[path])]
    user_cfg.read(files.get("user.cfg", ""), documents)
    documents.options.update(_options(files.get("datacenter.cfg", ""), cluster.OPTIONS))
    name, members = _corosync(files.get("corosync.conf", ""))
    known = {member.name for member in members} | set(places.values()) | _nodes(files)
    extra = sorted(known - {member.name for member in members})
    members += tuple(Member(node, len(members) + n) for n, node in enumerate(extra, 1))
    for node in known:
        documents.nodes.setdefault(node, NodeFiles())
    _volumes(documents, places)
    return EtcPve(documents, places, members, name, tuple(unread))


_READ_HERE = frozenset({"user.cfg", "datacenter.cfg", "corosync.conf"})


def _read_one(documents: Documents, places: dict[int, str], path: str, text: str) -> bool:
    """Read a file that stands for itself; False for one that nothing reads."""
    if match := GUEST_FILE.fullmatch(path):
        kind = "qemu" if match["folder"] == "qemu-server" else "lxc"
        documents.guests[int(match["vmid"])] = guest_file.read(text, kind)
        places[int(match["vmid"])] = match["node"]
    elif match := NODE_FILE.fullmatch(path):
        known = documents.nodes.get(match["node"], NodeFiles())
        documents.nodes[match["node"]] = NodeFiles(config=_options(text), dns=known.dns)
    elif KEPT_AS_TEXT.fullmatch(path) or path in _TEXT_FILES:
        documents.files[path] = _without_secrets(text)
    else:
        return path in _READ_HERE
    return True


def _nodes(files: Mapping[str, str]) -> set[str]:
    return {path.split("/")[1] for path in files if path.startswith("nodes/") and "/" in path[6:]}


def _without_secrets(text: str) -> str:
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if not (line[:1].isspace() and line.split(maxsplit=1)[:1] and line.split()[0] in SECRETS)
    )


def _options(text: str, keys: str = "") -> dict[str, str | int]:
    """`key: value` lines; # lines are the description."""
    known = table(keys).params if keys else {}
    found: dict[str, str | int] = {}
    notes = [unquote(line[1:]) for line in text.split("\n") if line.startswith("#")]
    for line in text.split("\n"):
        key, colon, value = (part.strip() for part in line.partition(":"))
        if colon and not line.startswith("#"):
            param = known.get(key)
            number = (
                param is not None and param.type in ("integer", "boolean") and value.isdecimal()
            )
            found[key] = int(value) if number else value
    return found | ({"description": "".join(f"{note}\n" for note in notes)} if notes else {})


def _corosync(text: str) -> tuple[str, tuple[Member, ...]]:
    """Cluster's name and nodes of a corosync.conf."""
    name = re.search(r"^\s*cluster_name:\s*(\S+)", text, re.MULTILINE)
    members: list[Member] = []
    for block in re.findall(r"node\s*\{([^}]*)\}", text):
        values = dict(re.findall(r"^\s*(\w+):\s*(\S+)", block, re.MULTILINE))
        if "name" in values:
            number = int(values.get("nodeid", len(members) + 1))
            members.append(Member(values["name"], number, values.get("ring0_addr", "")))
    return name[1] if name else "", tuple(sorted(members, key=lambda member: member.number))


def _volumes(documents: Documents, places: Mapping[int, str]) -> None:
    """The volumes that guests' files name, as large as they say."""
    for vmid, guest in documents.guests.items():
        for config in (guest.current, *guest.snapshots.values()):
            for option, volid in volume_options(config):
                _add_volume(documents, places[vmid], vmid, volid, str(config[option]))
        for option, value in guest.current.items():
            if option.startswith("unused"):
                _add_volume(documents, places[vmid], vmid, str(value), "")


def _add_volume(documents: Documents, node: str, vmid: int, volid: str, text: str) -> None:
    name, _, rest = volid.partition(":")
    entry = documents.storages.get(name)
    if entry is None or rest.startswith(("iso/", "vztmpl/", "snippets/")):
        return
    size = split(text, "file", {"volume": "file"}).get("size", "0")
    suffix = rest.rpartition(".")[2] if "." in rest.rpartition("/")[2] else "raw"
    volume = Volume(
        name, place_of(entry, node), rest, vmid,
        parse_size(size) if re.fullmatch(r"\d+(\.\d+)?[KMGT]?", size) else 0, suffix, 0,
    )  # fmt: skip
    documents.volumes.setdefault(volume.key, volume)


def write(documents: Documents, places: Mapping[int, str]) -> dict[str, str]:
    """The files. Empty ones are not there."""
    texts = {
        "user.cfg": user_cfg.write(documents),
        "datacenter.cfg": option_text(documents.options),
        **documents.files,
    }
    for vmid, guest in documents.guests.items():
        texts[guest_path(guest, vmid, places[vmid])] = guest.text
    for node, files in documents.nodes.items():
        texts[f"nodes/{node}/config"] = option_text(files.config)
    return {path: text for path, text in texts.items() if text.strip() or GUEST_FILE.match(path)}


def guest_path(guest: GuestConfig, vmid: int, node: str) -> str:
    """Where a guest's file is."""
    folder = "qemu-server" if guest.kind == "qemu" else "lxc"
    return f"nodes/{node}/{folder}/{vmid}.conf"
