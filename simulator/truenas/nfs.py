"""NFS: the service's settings, and the folders it exports. Source: reference of the TrueNAS API,
files; exports(5).
"""

from __future__ import annotations

import errno
from ipaddress import ip_network

from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.documents import Row
from simulator.truenas.errors import Problems
from simulator.truenas.filesystem import exists

SETTINGS = "nfs"
TABLE = "sharing.nfs"
_TAKEN = "Another NFS share already exports this dataset for"


@serves("nfs.config")
def config(call: Call) -> object:
    """Settings of the service."""
    kept = dict(call.documents.settings[SETTINGS])
    if not call.version.strict:
        return kept
    servers = kept["servers"] or min(call.world.host.cores, 32)
    kept |= {"v4_krb_enabled": kept["v4_krb"], "keytab_has_nfs_spn": False}
    return {
        **kept,
        "servers": servers,
        "managed_nfsd": call.documents.settings[SETTINGS]["servers"] is None,
    }


@serves("nfs.update")
def update(call: Call) -> object:
    """Change them."""
    data, problems = call.data, Problems("nfs_update")
    for number, address in enumerate(data.get("bindip", ())):
        if address not in ("0.0.0.0", *call.world.addresses):  # noqa: S104
            problems.add(f"bindip.{number}", f"{address} is not configured on this system.")
    if call.version.scale and data.get("protocols") == []:
        problems.add("protocols", "Must specify at least one value ('NFSV3', 'NFSV4')")
    problems.check()
    call.documents.settings[SETTINGS] = {**call.documents.settings[SETTINGS], **data}
    call.documents.changed()
    return config(call)


@serves("nfs.client_count")
def client_count(call: Call) -> object:
    """Hosts that have something mounted: the twin does not count them."""
    del call
    return 0


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    paths = [new["path"]] if "path" in new else new["paths"]
    if not paths:
        problems.add("paths", "At least one path is required")
    for path in paths:
        if not path.startswith("/mnt/"):
            problems.add("path", "The path must reside within a pool mount point")
        elif not exists(call, path):
            problems.add("path", "This path does not exist.", errno.ENOENT)
    if len({path.split("/")[2] for path in paths if path.startswith("/mnt/")}) > 1:
        problems.add("paths", "Paths for a NFS share must reside within the same filesystem")
    for kind in ("maproot", "mapall"):
        if new[f"{kind}_group"] and not new[f"{kind}_user"]:
            text = "This field is required when map group is specified"
            problems.add(f"{kind}_user", text)
    if new["maproot_user"] and new["mapall_user"]:
        problems.add("mapall_user", "maproot_user disqualifies mapall_user")
    _check_others(call, draft, {*paths}, problems)


def _check_others(call: Call, draft: Draft, paths: set[str], problems: Problems) -> None:
    """No two shares of one folder for the same clients."""
    new = draft.new
    networks = [ip_network(text, strict=False) for text in new["networks"]]
    for number, network in enumerate(networks):
        if any(_overlap(network, other) for other in networks[:number]):
            problems.add(f"networks.{number}", f"Overlapping subnets: {network}")
    for row in draft.others(call, TABLE).values():
        if not paths & {*([row["path"]] if "path" in row else row["paths"])}:
            continue
        known = [ip_network(text, strict=False) for text in row["networks"]]
        for network in networks:
            if any(_overlap(network, other) for other in known):
                problems.add("networks", f"{_TAKEN} {network}")
        for host in sorted({*new["hosts"]} & {*row["hosts"]}):
            problems.add("hosts", f"{_TAKEN} {host}")
        if not (networks or new["hosts"]) and (known or not row["hosts"]):
            problems.add("networks", f"{_TAKEN} some network")


def _overlap(one: object, other: object) -> bool:
    """Networks of two IP versions never do."""
    assert hasattr(one, "overlaps")
    return type(one) is type(other) and bool(one.overlaps(other))


def _entry(call: Call, row: Row) -> Entry:
    return {**row, "locked": False} if call.version.has("12.0..") else dict(row)


RESOURCE = Resource(TABLE, "sharingnfs", "NFS share", _check, _entry)
