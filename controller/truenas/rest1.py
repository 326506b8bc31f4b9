"""REST 1.0: FreeNAS 11.1, read only, for adoption. Its resources are told as rows of today.

What it has no words for does not answer: sessions, so nothing there is ever taken to be unused.
Source: reference of the TrueNAS API, FreeNAS 11.1, REST 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from controller.step import Json
from controller.truenas.fields import Row
from controller.truenas.login import Login
from controller.truenas.rest2 import read, sent
from lab.errors import DeviceError

BASE = "/api/v1.0"
METHODS = {"None": "NONE", "Auto": "NONE", "CHAP": "CHAP", "CHAP Mutual": "CHAP_MUTUAL"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)i?B?", re.IGNORECASE)
_POWERS = {unit: power for power, unit in enumerate(["", "K", "M", "G", "T", "P"])}
EVERYBODY = "ALL"

Get = Callable[[str], Any]
"""The answer of a resource."""


class Rest1:
    """One array at `address` (`host:port`), as root."""

    def __init__(self, device: str, address: str, client: httpx.Client, login: Login) -> None:
        self.device = device
        self._address = address
        self._client = client
        self._login = login

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """What a query would answer. Raises DeviceError for everything else."""
        if method not in READERS:
            what = f"{method}: FreeNAS 11.1 is only read, and has nothing of this to read"
            raise DeviceError(self.device, what, status=405)

        def get(resource: str) -> Any:
            request = self._client.build_request(
                "GET",
                f"https://{self._address}{BASE}/{resource}/",
                params={"limit": 0},
                timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
            )
            answer = sent(self.device, self._client, request, resource, self._login)
            if answer.status_code != 200:
                what = f"{resource}: HTTP {answer.status_code}"
                raise DeviceError(self.device, what, status=answer.status_code)
            return read(self.device, resource, answer)

        try:
            return READERS[method](get)
        except (KeyError, TypeError, ValueError) as error:
            raise DeviceError(self.device, f"{method}: can't be read: {error!r}") from error

    def close(self) -> None:
        """End the connections."""
        self._client.close()


def size_of(text: object) -> int:
    """Bytes of `10G` or of a number."""
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is no size")
    return round(float(found[1]) * 1024.0 ** _POWERS[found[2].upper()])


def _version(get: Get) -> str:
    return str(get("system/version")["fullversion"])


def _global(get: Get) -> Row:
    config = get("services/iscsi/globalconfiguration")
    return {"basename": config["iscsi_basename"]}


def _portals(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "listen": [{"ip": ip.rpartition(":")[0]} for ip in row["iscsi_target_portal_ips"]],
            "comment": row.get("iscsi_target_portal_comment") or "",
        }
        for row in get("services/iscsi/portal")
    ]


def _initiators(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "initiators": [
                name
                for name in re.split(r"[\s,]+", row["iscsi_target_initiator_initiators"])
                if name not in ("", EVERYBODY)
            ],
            "comment": row.get("iscsi_target_initiator_comment") or "",
        }
        for row in get("services/iscsi/authorizedinitiator")
    ]


def _logins(get: Get) -> list[Row]:
    names = {
        "tag": "tag", "user": "user", "secret": "secret", "peeruser": "peeruser",
        "peersecret": "peersecret",
    }  # fmt: skip
    return [
        {"id": row["id"]}
        | {ours: row.get(f"iscsi_target_auth_{old}") for ours, old in names.items()}
        for row in get("services/iscsi/authcredential")
    ]


def _targets(get: Get) -> list[Row]:
    """Groups are rows of a resource of their own."""
    groups: dict[int, list[Row]] = {}
    for row in get("services/iscsi/targetgroup"):
        groups.setdefault(row["iscsi_target"], []).append(
            {
                "portal": row["iscsi_target_portalgroup"],
                "initiator": row.get("iscsi_target_initiatorgroup"),
                "authmethod": METHODS[row["iscsi_target_authtype"]],
                "auth": row.get("iscsi_target_authgroup"),
            }
        )
    return [
        {
            "id": row["id"],
            "name": row["iscsi_target_name"],
            "alias": row.get("iscsi_target_alias"),
            "groups": groups.get(row["id"], []),
        }
        for row in get("services/iscsi/target")
    ]


def _extents(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "name": row["iscsi_target_extent_name"],
            "type": "FILE" if row["iscsi_target_extent_type"] == "File" else "DISK",
            "disk": _disk(row),
            "path": row.get("iscsi_target_extent_path"),
            "serial": row.get("iscsi_target_extent_serial"),
            "blocksize": int(row["iscsi_target_extent_blocksize"]),
            "ro": row["iscsi_target_extent_ro"],
            "enabled": True,
            "comment": row.get("iscsi_target_extent_comment") or "",
        }
        for row in get("services/iscsi/extent")
    ]


def _disk(row: Mapping[str, Any]) -> str | None:
    """A volume stands in the path, with /dev before it, when the resource answers."""
    if row["iscsi_target_extent_type"] == "File":
        return None
    named = row.get("iscsi_target_extent_disk") or row.get("iscsi_target_extent_path") or ""
    return str(named).removeprefix("/dev/") or None


def _luns(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "target": row["iscsi_target"],
            "extent": row["iscsi_extent"],
            "lunid": row["iscsi_lunid"],
        }
        for row in get("services/iscsi/targettoextent")
    ]


def _shares(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "paths": row["nfs_paths"],
            "networks": (row.get("nfs_network") or "").split(),
            "hosts": (row.get("nfs_hosts") or "").split(),
            "ro": row["nfs_ro"],
            "maproot_user": row.get("nfs_maproot_user") or None,
            "maproot_group": row.get("nfs_maproot_group") or None,
            "enabled": True,
            "comment": row.get("nfs_comment") or "",
        }
        for row in get("sharing/nfs")
    ]


def _services(get: Get) -> list[Row]:
    return [
        {
            "id": row["id"],
            "service": row["srv_service"],
            "enable": bool(row["srv_enable"]),
            "state": "RUNNING" if row["srv_enable"] else "STOPPED",
        }
        for row in get("services/services")
    ]


def _pools(get: Get) -> list[Row]:
    return [{"id": row["id"], "name": row["vol_name"]} for row in get("storage/volume")]


def _property(parsed: object) -> Row:
    return {"value": str(parsed), "rawvalue": str(parsed), "parsed": parsed, "source": "LOCAL"}


def _datasets(get: Get) -> list[Row]:
    """Sizes are texts; what is set here and what is inherited is not told, so it is not read."""
    found: list[Row] = []
    for pool in get("storage/volume"):
        name = pool["vol_name"]
        for row in get(f"storage/volume/{name}/datasets"):
            full = row["name"] if row["name"].startswith(f"{name}/") else f"{name}/{row['name']}"
            quota = _property(size_of(row.get("quota") or 0))
            found.append({"name": full, "type": "FILESYSTEM", "quota": quota})
        for row in get(f"storage/volume/{name}/zvols"):
            size = _property(size_of(row["volsize"]))
            reserved = _property(0 if row.get("sparse") else size["parsed"])
            full = f"{name}/{row['name'].removeprefix(f'{name}/')}"
            found.append(
                {"name": full, "type": "VOLUME", "volsize": size, "refreservation": reserved}
            )
    return found


READERS: Mapping[str, Callable[[Get], Any]] = {
    "system.version": _version,
    "iscsi.global.config": _global,
    "iscsi.portal.query": _portals,
    "iscsi.initiator.query": _initiators,
    "iscsi.auth.query": _logins,
    "iscsi.target.query": _targets,
    "iscsi.extent.query": _extents,
    "iscsi.targetextent.query": _luns,
    "sharing.nfs.query": _shares,
    "service.query": _services,
    "pool.query": _pools,
    "pool.dataset.query": _datasets,
}
