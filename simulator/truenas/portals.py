"""iSCSI: the array's own settings, and its portals: the addresses it listens on.

Deleting a portal renumbers the tags of the others and takes it out of targets' groups. Source:
reference of the TrueNAS API, block storage chain.
"""

from __future__ import annotations

import errno
import re

from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.documents import Row
from simulator.truenas.errors import Problems

GLOBAL = "iscsi.global"
TABLE = "iscsi.portal"
ANY = ("0.0.0.0", "::")  # noqa: S104 - what the API calls every address of the array
_BASENAME = re.compile(r"[a-z0-9.:-]+")


@serves("iscsi.global.config")
def config(call: Call) -> object:
    """Settings of the whole target."""
    return dict(call.documents.settings[GLOBAL])


@serves("iscsi.global.update")
def update(call: Call) -> object:
    """Change them. Another base name renames every target, and nobody asks the hosts."""
    data, problems = call.data, Problems("iscsiglobal_update")
    if "basename" in data and not _BASENAME.fullmatch(data["basename"]):
        problems.add("basename", "Lowercase alphanumeric characters plus dot, dash and colon only.")
    problems.check()
    call.documents.settings[GLOBAL] = {**call.documents.settings[GLOBAL], **data}
    call.documents.changed()
    return config(call)


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    addresses = [listen["ip"] for listen in new["listen"]]
    taken = {listen["ip"] for row in draft.others(call, TABLE).values() for listen in row["listen"]}
    if not addresses:
        problems.add("listen", "At least one listen address is required.")
    for number, address in enumerate(addresses):
        place = f"listen.{number}.ip"
        if address in taken or address in addresses[:number]:
            problems.add(place, f"{address} already in use.", errno.EEXIST)
        elif address not in (*ANY, *call.world.addresses):
            problems.add(place, f"IP {address} not configured on this system.")
    method, group = new.get("discovery_authmethod", "NONE"), new.get("discovery_authgroup")
    if method != "NONE":
        tags = {row["tag"] for row in call.documents.rows("iscsi.auth").values()}
        if group not in tags:
            problems.add("discovery_authgroup", f"Auth Group {group} not found", errno.ENOENT)
    if draft.old is None:
        new["tag"] = len(call.documents.rows(TABLE)) + 1


def _entry(call: Call, row: Row) -> Entry:
    if not call.version.scale:
        return dict(row)
    port = call.documents.settings[GLOBAL]["listen_port"]
    return {**row, "listen": [{"ip": listen["ip"], "port": port} for listen in row["listen"]]}


def _delete(call: Call, identity: int) -> None:
    RESOURCE.drop(call, identity)
    portals, targets = call.documents.rows(TABLE), call.documents.rows("iscsi.target")
    for number, (key, row) in enumerate(list(portals.items()), 1):
        portals[key] = {**row, "tag": number}
    for key, row in list(targets.items()):
        kept = [group for group in row["groups"] if group["portal"] != identity]
        if len(kept) < len(row["groups"]):
            targets[key] = {**row, "groups": kept}


RESOURCE = Resource(TABLE, "iscsiportal", "Portal", _check, _entry, _delete)


@serves("iscsi.portal.listen_ip_choices")
def listen_ip_choices(call: Call) -> object:
    """Addresses that a portal may have."""
    return {address: address for address in (*ANY, *call.world.addresses)}
