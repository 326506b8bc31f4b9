"""Packages of a node: repositories, versions, updates. Source: PVE::API2::APT, proxmox-apt;
administration guide, package repositories; sources.list(5).

A node has what the installer of Proxmox VE 9 leaves: Debian's repositories and the two that need a
subscription. Those servers are not reached from the lab: refreshing the package index fails as
apt-get does without a network, which is no error of the task, and there are no updates. Leaves out:
changelogs (501); repositories of older releases (501); versions of packages that are not Proxmox
VE's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from simulator.pve.call import Call
from simulator.pve.documents import Entry, NodeFiles
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, died
from simulator.pve_node.nodes import KERNEL, files, keep

routes = Routes()
_BASE = "/nodes/{node}/apt"
index(routes, _BASE, "changelog repositories update versions", "id")
AUDIT, MODIFY = "/nodes/{node} Sys.Audit", "/nodes/{node} Sys.Modify"
NODE = "node pve-node\n"

SUITE = "trixie"
_FOLDER = "/etc/apt/sources.list.d"
_KEYS = "/usr/share/keyrings"
Sources = Mapping[str, tuple[Entry, ...]]
"""Repositories by the file that they are in."""


def _repository(uri: str, suites: str, components: str, enabled: int = 1) -> Entry:
    debian = "debian.org" in uri
    key = f"{_KEYS}/{'debian-archive-keyring' if debian else 'proxmox-archive-keyring'}.gpg"
    return {
        "URIs": (uri,),
        "Suites": tuple(suites.split()),
        "Components": tuple(components.split()),
        "Signed-By": key,
        "Enabled": enabled,
    }


_DEBIAN = "main contrib non-free-firmware"
_ENTERPRISE, _PUBLIC = "https://enterprise.proxmox.com/debian", "http://download.proxmox.com/debian"
STANDARD: Mapping[str, tuple[str, str, Entry]] = {
    "enterprise": (
        "Enterprise", f"{_FOLDER}/pve-enterprise.sources",
        _repository(f"{_ENTERPRISE}/pve", SUITE, "pve-enterprise"),
    ),
    "no-subscription": (
        "No-Subscription", f"{_FOLDER}/proxmox.sources",
        _repository(f"{_PUBLIC}/pve", SUITE, "pve-no-subscription"),
    ),
    "test": (
        "Test", f"{_FOLDER}/proxmox.sources",
        _repository(f"{_PUBLIC}/pve", SUITE, "pve-test"),
    ),
    "ceph-squid-enterprise": (
        "Ceph Squid Enterprise", f"{_FOLDER}/ceph.sources",
        _repository(f"{_ENTERPRISE}/ceph-squid", SUITE, "enterprise"),
    ),
    "ceph-squid-no-subscription": (
        "Ceph Squid No-Subscription", f"{_FOLDER}/ceph.sources",
        _repository(f"{_PUBLIC}/ceph-squid", SUITE, "no-subscription"),
    ),
    "ceph-squid-test": (
        "Ceph Squid Test", f"{_FOLDER}/ceph.sources",
        _repository(f"{_PUBLIC}/ceph-squid", SUITE, "test"),
    ),
}  # fmt: skip
"""Name, file and repository of those that can be added by a handle."""
INSTALLED: Sources = {
    f"{_FOLDER}/ceph.sources": (STANDARD["ceph-squid-enterprise"][2],),
    f"{_FOLDER}/debian.sources": (
        # Assumed: which of Debian's mirrors an installer names.
        _repository("http://ftp.debian.org/debian/", f"{SUITE} {SUITE}-updates", _DEBIAN),
        _repository("http://security.debian.org/debian-security/", f"{SUITE}-security", _DEBIAN),
    ),
    f"{_FOLDER}/pve-enterprise.sources": (STANDARD["enterprise"][2],),
}
PACKAGES = {
    "libpve-access-control": "9.1.1",
    "libpve-common-perl": "9.2.1",
    "libpve-guest-common-perl": "6.0.2",
    "libpve-http-server-perl": "6.0.5",
    "libpve-network-perl": "1.3.0",
    "libpve-storage-perl": "9.1.7",
    "pve-cluster": "9.1.6",
    "pve-container": "6.1.10",
    "pve-firewall": "6.0.4",
    "pve-ha-manager": "5.2.0",
    "qemu-server": "9.2.6",
}
"""Versions that were released together with pve-manager 9.2.11."""


def _sources(call: Call) -> Sources:
    if not call.api.release.version["release"].startswith("9"):
        raise ApiError(501, f"'{call.path}' not implemented for this release")
    known = files(call).sources
    return INSTALLED if known is None else known


def _words(entry: Entry, key: str) -> list[str]:
    return list(value) if isinstance(value := entry[key], tuple) else []


def _row(entry: Entry) -> dict[str, object]:
    lists = {key: _words(entry, key) for key in ("URIs", "Suites", "Components")}
    return {
        "Types": ["deb"],
        **lists,
        "Options": [{"Key": "Signed-By", "Values": [entry["Signed-By"]]}],
        "Enabled": entry["Enabled"],
        "FileType": "sources",
    }


def _digest(content: object) -> bytes:
    return hashlib.sha256(json.dumps(content, default=dict).encode()).digest()


def _same(entry: Entry, other: Entry) -> bool:
    """Whether it is that repository, enabled or not."""
    return {**entry, "Enabled": 1} == {**other, "Enabled": 1}


def _standard(sources: Sources) -> list[dict[str, object]]:
    """The well-known ones, with whether they are enabled if they are there at all."""
    rows = []
    for handle, (name, _, known) in STANDARD.items():
        found = [e["Enabled"] for entries in sources.values() for e in entries if _same(e, known)]
        row: dict[str, object] = {"handle": handle, "name": name}
        rows.append(row | ({"status": int(any(found))} if found else {}))
    return rows


@routes.add(f"GET {_BASE}/repositories", AUDIT, NODE)
def repositories(call: Call) -> object:
    """All files with their repositories, and which of the well-known ones are there."""
    sources = _sources(call)
    told, infos = [], []
    for path, entries in sorted(sources.items()):
        rows = [_row(entry) for entry in entries]
        digest = list(_digest(rows))
        told.append({"path": path, "file-type": "sources", "digest": digest, "repositories": rows})
        origin = "Debian" if path.endswith("/debian.sources") else "Proxmox"
        infos += [
            {"path": path, "index": str(number), "kind": "origin", "message": origin}
            for number in range(len(rows))
        ]
    whole = _digest(told).hex()
    standard = _standard(sources)
    return {"files": told, "digest": whole, "errors": [], "infos": infos,
            "standard-repos": standard}  # fmt: skip


def _write(call: Call, path: str, entries: tuple[Entry, ...]) -> None:
    keep(call, replace(files(call), sources={**_sources(call), path: entries}))


def _need_digest(call: Call) -> None:
    shown = repositories(call)
    assert isinstance(shown, dict)
    call.need_digest(shown["digest"])


@routes.add(
    f"POST {_BASE}/repositories",
    MODIFY,
    NODE + "path string\nindex integer\nenabled? boolean\ndigest? string ..80\n",
)
def change_repository(call: Call) -> object:
    """Enable or disable a repository of a file."""
    _need_digest(call)
    path, number = call.text("path"), call.number("index")
    if (entries := _sources(call).get(path)) is None:
        raise died(f"invalid path - {path}")
    if not 0 <= number < len(entries):
        raise died(f"invalid index - {number}")
    if call.has("enabled"):
        changed = {**entries[number], "Enabled": call.number("enabled")}
        _write(call, path, (*entries[:number], changed, *entries[number + 1 :]))
    return None


@routes.add(f"PUT {_BASE}/repositories", MODIFY, NODE + "handle string\ndigest? string ..80\n")
def add_repository(call: Call) -> object:
    """Add a well-known repository, or enable it where it is already."""
    _need_digest(call)
    handle, sources = call.text("handle"), _sources(call)
    if handle not in STANDARD:
        raise died(f"unknown repository handle '{handle}'")
    _, path, known = STANDARD[handle]
    for place, entries in sources.items():
        if any(_same(entry, known) for entry in entries):
            _write(call, place, tuple(known if _same(e, known) else e for e in entries))
            return None
    _write(call, path, (*sources.get(path, ()), known))
    return None


@routes.add(f"GET {_BASE}/update", MODIFY, NODE)
def updates(call: Call) -> object:
    """None that the node knows of."""
    del call
    return []


@routes.add(f"POST {_BASE}/update", MODIFY, NODE + "notify? boolean\nquiet? boolean\n")
def refresh(call: Call) -> object:
    """Refresh the index: a task."""
    return start_task(call, "aptupdate", "", {"quiet": call.number("quiet")})


def _finish_refresh(worker: Worker) -> None:
    """Fetch nothing from any repository that is enabled; of older releases those are not known."""
    if worker.number("quiet"):
        return
    worker.say("starting apt-get update")
    known = worker.documents.nodes.get(worker.node, NodeFiles()).sources
    entries = [e for found in (INSTALLED if known is None else known).values() for e in found]
    newest = worker.api.release.version["release"].startswith("9")
    asked = [
        (uri.rstrip("/"), suite)
        for entry in entries
        if newest and entry["Enabled"]
        for uri in _words(entry, "URIs")
        for suite in _words(entry, "Suites")
    ]
    lost = {uri: f"Temporary failure resolving '{urlsplit(uri).hostname}'" for uri, _ in asked}
    for number, (uri, suite) in enumerate(asked, 1):
        worker.say(f"Err:{number} {uri} {suite} InRelease")
        worker.say(f"  {lost[uri]}")
    worker.say("Reading package lists...")
    for uri, suite in asked:
        worker.say(f"W: Failed to fetch {uri}/dists/{suite}/InRelease  {lost[uri]}")
    ignored = "They have been ignored, or old ones used instead."
    worker.say(f"W: Some index files failed to download. {ignored}")


FINISH["aptupdate"] = _finish_refresh


@routes.add(f"GET {_BASE}/versions", AUDIT, NODE)
def versions(call: Call) -> object:
    """Versions of the packages that make up Proxmox VE."""
    release = call.api.release
    known = PACKAGES if release.version["version"].startswith("9.2.11") else {}
    own = {"pve-manager": release.version["version"], "pve-qemu-kvm": release.qemu, **known}
    rows = [_package(name, version) for name, version in sorted(own.items())]
    kernel = {"RunningKernel": KERNEL["release"]}
    manager = "{version}/{repoid}".format(**release.version)
    return [
        {**_package("proxmox-ve", f"{release.version['release']}.0"), **kernel},
        *(
            row | ({"ManagerVersion": manager} if row["Package"] == "pve-manager" else {})
            for row in rows
        ),
    ]


def _package(name: str, version: str) -> dict[str, object]:
    return {
        "Package": name,
        "Version": version,
        "OldVersion": version,
        "Title": name,
        "Description": name,
        "CurrentState": "Installed",
        "Arch": "all" if name.startswith(("lib", "proxmox-ve", "pve-ha")) else "amd64",
        "Origin": "Proxmox",
        "Priority": "optional",
        "Section": "admin",
    }
