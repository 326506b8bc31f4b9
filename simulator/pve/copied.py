"""A twin of a real cluster from a copy of its /etc/pve: `tar czf backup.tar.gz /etc/pve`.

archive -> files -> documents -> a plain lab with the cluster's API on top. Nothing is unpacked to
disk, no link is followed, and what is below priv/ is passed over unread. How the servers are wired,
what their disks hold and which guests ran is not in such a copy: guests that start at boot run.
"""

from __future__ import annotations

import gzip
import ipaddress
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lab.errors import LabInvalid, VlabError
from simulator import guests
from simulator.build import twin_of
from simulator.pve import etc_pve, load
from simulator.pve.api import PveApi
from simulator.pve.documents import Documents
from simulator.pve.etc_pve import EtcPve, Member
from simulator.pve.formats import check_format
from simulator.pve.install import installed
from simulator.pve.plain_lab import declaration, loaded
from simulator.pve_datacenter import sdn_state
from simulator.twin import Twin

MOST_FILE_BYTES = 2**20  # pmxcfs: MEMDB_MAX_FILE_SIZE
MOST_BYTES = 128 * 2**20  # pmxcfs: MEMDB_MAX_FSSIZE
MOST_MEMBERS = 256 * 2**10  # pmxcfs: MEMDB_MAX_INODES
ROOTS = ("etc/pve", "pve")
LINKS = frozenset({"local", "lxc", "openvz", "qemu-server"})
"""Links that pmxcfs itself shows, to the folder of the node it runs on."""
FIX = "fix: make one with: tar czf backup.tar.gz -C / etc/pve"
DEFAULT_NAME = "copied"
_DAMAGED = (zlib.error, gzip.BadGzipFile, lzma.LZMAError)


def read_archive(path: Path) -> dict[str, str]:
    """The readable files of an archive by their paths below /etc/pve. Raises VlabError for what is
    no copy of a cluster, or tries to be more.
    """
    if not path.is_file():
        raise VlabError(f"{path} is no file\n  {FIX}")
    try:
        with tarfile.open(path, "r:*") as archive:
            files = dict(_files(path, archive))
    except (OSError, tarfile.TarError, EOFError, *_DAMAGED) as error:
        raise VlabError(f"{path} is no archive that can be read: {error}\n  {FIX}") from error
    if not any(name in files for name in ("corosync.conf", "user.cfg", "storage.cfg")) and not any(
        name.startswith("nodes/") for name in files
    ):
        raise VlabError(f"{path} has no files of a Proxmox VE cluster\n  {FIX}")
    return files


def _files(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    total = 0
    for number, member in enumerate(archive):
        if number >= MOST_MEMBERS:
            raise VlabError(f"{path} has more than {MOST_MEMBERS} members, and /etc/pve never has")
        name = _below(path, member)
        if not name or member.isdir() or name.startswith("priv/") or "/priv/" in name:
            continue
        if member.issym() and name in LINKS:
            continue
        if not member.isfile():
            raise VlabError(f"{path}: {member.name} is no plain file, and is not followed\n  {FIX}")
        total += member.size
        if member.size > MOST_FILE_BYTES or total > MOST_BYTES:
            raise VlabError(f"{path}: {member.name} is larger than anything in /etc/pve can be")
        content = archive.extractfile(member)
        text = _text(content.read() if content else b"")
        if text is not None:
            yield name, text


def _below(path: Path, member: tarfile.TarInfo) -> str:
    """A member's path below /etc/pve; "" for the folders above."""
    parts = PurePosixPath(member.name).parts
    if ".." in parts or PurePosixPath(member.name).is_absolute():
        raise VlabError(f"{path}: {member.name} leads out of the archive\n  {FIX}")
    name = "/".join(part for part in parts if part != ".")
    for root in ROOTS:
        if f"{name}/".startswith(f"{root}/"):
            return name[len(root) + 1 :]
    return "" if any(root.startswith(f"{name}/") for root in ROOTS) else name


def _text(content: bytes) -> str | None:
    """None for what is no text: nothing here reads it."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


@dataclass(frozen=True)
class Copied:
    """A twin of a copied cluster, its API, and the lab that was made up for it, by word."""

    twin: Twin
    api: PveApi
    declared: Mapping[str, Mapping[str, Any]]


def twin_of_copy(found: EtcPve) -> Copied:
    """A twin of the cluster with its API. Raises VlabError for a copy without a node, or with names
    that no lab can have.
    """
    if not found.members:
        raise VlabError(f"the copy names no node: it lacks corosync.conf and nodes/\n  {FIX}")
    for member in found.members:
        if problem := check_format("pve-node", member.name):
            raise VlabError(f"the copy has a node {member.name!r}: {problem.strip()}\n  {FIX}")
    cluster = re.sub(r"[^a-z0-9-]", "-", found.name.lower()).strip("-") or DEFAULT_NAME
    declared = declaration(cluster, _addresses(found.members), *_attached(found.documents))
    try:
        lab = loaded(declared)
    except LabInvalid as error:
        raise VlabError(f"the copy has names that no lab can have:\n{error}") from error
    twin = twin_of(lab, empty=True)
    documents = _with_nodes(found.documents, installed(twin, cluster))
    api = PveApi(cluster, documents, cluster_name=found.name or cluster)
    twin.attach(api)
    api.sync(twin)
    for vmid, node in found.places.items():
        guests.place(twin, (cluster, vmid), node)
    twin.settle()
    for vmid, guest in documents.guests.items():
        if guest.current.get("onboot") and not guest.current.get("template"):
            guests.start(twin, (cluster, vmid))
    twin.settle()
    return Copied(twin, api, declared)


def twin_of_archive(path: Path) -> Copied:
    """A twin of the cluster whose /etc/pve was copied into an archive. Raises VlabError."""
    return twin_of_copy(etc_pve.read(read_archive(path)))


def _addresses(members: tuple[Member, ...]) -> Mapping[str, str]:
    """Each node's address; a made-up one where corosync.conf has a name, or nothing."""
    found = {}
    for number, member in enumerate(members, 1):
        try:
            found[member.name] = str(ipaddress.IPv4Address(member.address))
        except ValueError:
            found[member.name] = f"192.0.2.{number}"
    return found


def _attached(documents: Documents) -> tuple[list[str], list[int]]:
    """Bridges that guests are on, vmbr0 first, and their VLANs; virtual nets of SDN are none."""
    nets = sdn_state.running(documents, "vnets")
    used = [net for guest in documents.guests.values() for net in load.nets(guest.current)]
    bridges = {bridge for bridge, _ in used if bridge not in nets}
    return ["vmbr0", *sorted(bridges - {"vmbr0"})], sorted({tag for _, tag in used if tag})


def _with_nodes(documents: Documents, plain: Documents) -> Documents:
    """The copy's documents; what a node keeps outside of /etc/pve is as just installed."""
    for node, files in plain.nodes.items():
        own = documents.nodes.get(node)
        documents.nodes[node] = replace(files, config=own.config if own else {})
    for name, entry in plain.storages.items():
        documents.storages.setdefault(name, entry)
    return documents
