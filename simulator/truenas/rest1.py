"""REST 1.0, FreeNAS 11.1 to 11.3: reading iSCSI, NFS, volumes and interfaces.

Rows are the same as of the newer API under the names of the old one; target groups are a resource
of their own. Leaves out: writing, and everything else. Source: reference of the TrueNAS API,
FreeNAS 11.1.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from simulator.served.face import HttpRequest, HttpResponse
from simulator.truenas.api import TrueNasApi
from simulator.truenas.call import Entry, Session
from simulator.truenas.space import size_text
from simulator.twin import Twin

BASE = "/api/v1.0"
PAGE = 20
_METHODS = {"NONE": "None", "CHAP": "CHAP", "CHAP_MUTUAL": "CHAP Mutual"}

Ask = Callable[[str], Any]
"""Result of a method without parameters."""


def answer(api: TrueNasApi, twin: Twin, request: HttpRequest) -> HttpResponse:
    """Answer below /api/v1.0."""
    session = Session(secure=request.secure)
    if not _log_in(api, twin, session, request.headers.get("authorization", "")):
        return _json(401, {"error_message": "You need to log in"})
    parts = request.path.removeprefix(BASE).strip("/").split("/")

    def ask(name: str) -> Any:
        return api.call(twin, session, name)

    if parts == ["system", "version"]:
        return _json(200, {"fullversion": api.version.full, "name": "FreeNAS", "version": ""})
    if parts == ["services", "iscsi", "globalconfiguration"]:
        shown: object = _global(ask("iscsi.global.config"))
    else:
        rows = _rows(parts, ask)
        if rows is None:
            return _json(404, {"error_message": "Sorry, this request could not be processed."})
        shown = _page(rows, request.query) if not isinstance(rows, dict) else rows
    if request.method != "GET":
        return _json(405, {"error_message": f"{request.method} is left out of this simulation"})
    return _json(200, shown)


def _log_in(api: TrueNasApi, twin: Twin, session: Session, header: str) -> bool:
    """HTTP Basic, as root."""
    kind, _, text = header.partition(" ")
    try:
        user, _, password = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return False
    basic = kind.lower() == "basic" and user == "root"
    return basic and bool(api.call(twin, session, "auth.login", [user, password]))


def _json(status: int, value: object) -> HttpResponse:
    headers = {"Content-Type": "application/json"}
    return HttpResponse(status, "", headers, json.dumps(value).encode())


def _page(rows: list[Entry], query: str) -> list[Entry]:
    given = dict(parse_qsl(query))
    first = int(given["offset"]) if given.get("offset", "").isdecimal() else 0
    limit = int(given["limit"]) if given.get("limit", "").isdecimal() else PAGE
    return rows[first : first + limit] if limit else rows[first:]


def _rows(parts: list[str], ask: Ask) -> list[Entry] | Entry | None:
    """All of a resource; with an id at the end that one; None where there is none."""
    path = "/".join(parts)
    if (make := _RESOURCES.get(path)) is not None:
        return make(ask)
    match parts:
        case ["storage", "volume", pool, "zvols"]:
            return [_zvol(row) for row in _datasets(ask, "VOLUME") if row["pool"] == pool]
        case ["storage", "volume", pool, "datasets"]:
            found = _datasets(ask, "FILESYSTEM")
            return [_dataset(row) for row in found if row["pool"] == pool and row["name"] != pool]
        case [*above, last] if (make := _RESOURCES.get("/".join(above))) and last.isdecimal():
            return next((row for row in make(ask) if row["id"] == int(last)), None)
    return None


def _global(row: Mapping[str, Any]) -> Entry:
    return {
        "id": 1,
        "iscsi_basename": row["basename"],
        "iscsi_isns_servers": " ".join(row["isns_servers"]),
        "iscsi_pool_avail_threshold": row["pool_avail_threshold"],
    }


def _portals(ask: Ask) -> list[Entry]:
    return [
        {
            "id": row["id"],
            "iscsi_target_portal_tag": row["tag"],
            "iscsi_target_portal_ips": [f"{one['ip']}:{one['port']}" for one in row["listen"]],
            "iscsi_target_portal_comment": row["comment"],
            "iscsi_target_portal_discoveryauthmethod": _METHODS[row["discovery_authmethod"]],
            "iscsi_target_portal_discoveryauthgroup": row["discovery_authgroup"],
        }
        for row in ask("iscsi.portal.query")
    ]


def _initiators(ask: Ask) -> list[Entry]:
    return [
        {
            "id": row["id"],
            "iscsi_target_initiator_tag": row["tag"],
            "iscsi_target_initiator_initiators": "\n".join(row["initiators"]) or "ALL",
            "iscsi_target_initiator_auth_network": "\n".join(row["auth_network"]) or "ALL",
            "iscsi_target_initiator_comment": row["comment"],
        }
        for row in ask("iscsi.initiator.query")
    ]


def _credentials(ask: Ask) -> list[Entry]:
    names = ("tag", "user", "secret", "peeruser", "peersecret")
    return [
        {"id": row["id"], **{f"iscsi_target_auth_{name}": row[name] for name in names}}
        for row in ask("iscsi.auth.query")
    ]


def _targets(ask: Ask) -> list[Entry]:
    return [
        {
            "id": row["id"],
            "iscsi_target_name": row["name"],
            "iscsi_target_alias": row["alias"],
            "iscsi_target_mode": row["mode"].lower(),
        }
        for row in ask("iscsi.target.query")
    ]


def _groups(ask: Ask) -> list[Entry]:
    rows = [(row["id"], group) for row in ask("iscsi.target.query") for group in row["groups"]]
    return [
        {
            "id": number,
            "iscsi_target": target,
            "iscsi_target_portalgroup": group["portal"],
            "iscsi_target_initiatorgroup": group["initiator"],
            "iscsi_target_authgroup": group["auth"],
            "iscsi_target_authtype": _METHODS[group["authmethod"]],
            "iscsi_target_initialdigest": "Auto",
        }
        for number, (target, group) in enumerate(rows, 1)
    ]


def _extents(ask: Ask) -> list[Entry]:
    same = ("name", "path", "filesize", "blocksize", "serial", "naa", "ro", "rpm", "xen")
    more = ("insecure_tpc", "comment", "pblocksize", "avail_threshold")
    return [
        {
            "id": row["id"],
            "iscsi_target_extent_type": "ZVOL" if row["type"] == "DISK" else "File",
            "iscsi_target_extent_disk": row["disk"] or "",
            **{f"iscsi_target_extent_{name}": row[name] for name in (*same, *more)},
        }
        for row in ask("iscsi.extent.query")
    ]


def _associations(ask: Ask) -> list[Entry]:
    return [
        {
            "id": row["id"],
            "iscsi_target": row["target"],
            "iscsi_extent": row["extent"],
            "iscsi_lunid": row["lunid"],
        }
        for row in ask("iscsi.targetextent.query")
    ]


def _shares(ask: Ask) -> list[Entry]:
    same = ("paths", "comment", "alldirs", "ro", "quiet", "security")
    who = ("maproot_user", "maproot_group", "mapall_user", "mapall_group")
    return [
        {
            "id": row["id"],
            "nfs_network": " ".join(row["networks"]),
            "nfs_hosts": " ".join(row["hosts"]),
            **{f"nfs_{name}": row[name] for name in (*same, *who)},
        }
        for row in ask("sharing.nfs.query")
    ]


def _services(ask: Ask) -> list[Entry]:
    return [
        {"id": row["id"], "srv_service": row["service"], "srv_enable": row["enable"]}
        for row in ask("service.query")
    ]


def _interfaces(ask: Ask) -> list[Entry]:
    return [
        {
            "id": number,
            "int_interface": row["name"],
            "int_name": row["name"],
            "int_ipv4address": row["aliases"][0]["address"] if row["aliases"] else "",
            "int_v4netmaskbit": str(row["aliases"][0]["netmask"]) if row["aliases"] else "",
            "int_dhcp": False,
            "int_options": f"mtu {row['mtu']}",
        }
        for number, row in enumerate(ask("interface.query"), 1)
    ]


def _vlans(ask: Ask) -> list[Entry]:
    rows = [row for row in ask("interface.query") if row["type"] == "VLAN"]
    return [
        {
            "id": number,
            "vlan_vint": row["name"],
            "vlan_pint": row["vlan_parent_interface"],
            "vlan_tag": row["vlan_tag"],
        }
        for number, row in enumerate(rows, 1)
    ]


def _volumes(ask: Ask) -> list[Entry]:
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "vol_name": row["name"],
            "vol_guid": row["guid"],
            "status": "HEALTHY" if row["healthy"] else row["status"],
            "mountpoint": row["path"],
            "used": row["allocated"],
            "avail": row["free"],
        }
        for row in ask("pool.query")
    ]


def _datasets(ask: Ask, kind: str) -> list[Mapping[str, Any]]:
    return [row for row in ask("pool.dataset.query") if row["type"] == kind]


def _zvol(row: Mapping[str, Any]) -> Entry:
    return {
        "name": row["name"].partition("/")[2],
        "volsize": row["volsize"]["parsed"],
        "avail": row["available"]["parsed"],
        "used": row["used"]["parsed"],
        "refer": row["usedbydataset"]["parsed"],
        "compression": row["compression"]["rawvalue"],
    }


def _dataset(row: Mapping[str, Any]) -> Entry:
    return {
        "name": row["name"].partition("/")[2],
        "pool": row["pool"],
        "mountpoint": row["mountpoint"],
        "used": row["used"]["parsed"],
        "avail": row["available"]["parsed"],
        "quota": row["quota"]["parsed"] or 0,
        "recordsize": size_text(row["recordsize"]["parsed"]),
    }


_RESOURCES: Mapping[str, Callable[[Ask], list[Entry]]] = {
    "services/iscsi/portal": _portals,
    "services/iscsi/authorizedinitiator": _initiators,
    "services/iscsi/authcredential": _credentials,
    "services/iscsi/target": _targets,
    "services/iscsi/targetgroup": _groups,
    "services/iscsi/extent": _extents,
    "services/iscsi/targettoextent": _associations,
    "services/services": _services,
    "sharing/nfs": _shares,
    "network/interface": _interfaces,
    "network/vlan": _vlans,
    "storage/volume": _volumes,
}
