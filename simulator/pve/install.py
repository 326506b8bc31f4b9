"""The documents of a cluster that has just been installed, and of one whose answers were observed.

`installed` is what an empty lab serves; `from_answers` turns the answers of GET calls back into
documents, for a rehearsal on what is really there. Source: the Proxmox VE installer; reference of
the API. Leaves out: secrets, which no answer contains; who knows one sets it with
`PveApi.add_token`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from simulator.pve import load, propertystring
from simulator.pve.documents import Documents, Entry, GuestConfig, NodeFiles, Volume
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.roles import ROLES_9
from simulator.pve.world import World
from simulator.pve_datacenter.backup import OBJECTS as JOB_OBJECTS
from simulator.pve_datacenter.cluster import OBJECTS as OPTION_OBJECTS
from simulator.pve_node import volumes
from simulator.pve_node.interfaces_file import in_order
from simulator.pve_node.network import activated
from simulator.pve_node.volumes import parse_size
from simulator.twin import Twin

Answers = Mapping[str, object]
"""Path with its query, as it was asked -> the `data` of the answer."""

LOCAL_CONTENT = "backup,import,iso,vztmpl"  # storage.cfg of a fresh installation
LACP = {"lacp": "802.3ad", "active-backup": "active-backup"}


def installed(twin: Twin, cluster: str) -> Documents:
    """Only root@pam, the storage `local`, and each node's own files."""
    world = World(twin, cluster)
    documents = Documents()
    documents.users["root@pam"] = {"enable": 1, "expire": 0}
    documents.storages["local"] = {"type": "dir", "path": "/var/lib/vz", "content": LOCAL_CONTENT}
    hosts = "".join(f"{world.address(node)} {node}.lab.example {node}\n" for node in world.nodes)
    for node in world.nodes:
        documents.nodes[node] = NodeFiles(
            dns={"search": "lab.example"},
            hosts=f"127.0.0.1 localhost\n{hosts}",
            network=wired_network(world, node),
        )
    return documents


def wired_network(world: World, node: str) -> dict[str, Entry]:
    """A node's interfaces as the lab wires them; its address is on the bridge, or on its bond."""
    host = world.host(node)
    known: dict[str, Entry] = {name: {"type": "eth", "method": "manual"} for name in host.nics}
    for name, bond in host.bonds.items():
        known[name] = {
            "type": "bond",
            "slaves": " ".join(bond.members),
            "bond_mode": LACP[bond.mode.value],
            "bond_miimon": str(bond.miimon_ms),
            "autostart": 1,
        }
    for number, (name, bridge) in enumerate(host.bridges.items()):
        entry: dict[str, Value] = {
            "type": "bridge",
            "bridge_ports": " ".join(bridge.ports),
            "bridge_vlan_aware": 1,
            "autostart": 1,
        }
        if number == 0:
            address = world.address(node)
            cidr = {"cidr": f"{address}/24", "address": address, "netmask": "24"}
            entry |= {"method": "static", **cidr}
        known[name] = entry
    return activated(in_order(known))


def from_answers(answers: Answers) -> Documents:
    """Documents that would give these answers. What was not asked is empty."""
    documents = Documents()
    by_path = _by_path(answers)
    _users(documents, by_path)
    documents.domains.put(dict(_named(by_path.get("/access/domains"), "realm")))
    for name, row in _named(by_path.get("/storage"), "storage"):
        documents.storages[name] = _without(row, "digest")
    _pools(documents, answers)
    _guests(documents, by_path)
    resources = _named(by_path.get("/cluster/ha/resources"), "sid")
    documents.ha_resources.put({name: _without(row, "digest") for name, row in resources})
    rules = _named(by_path.get("/cluster/ha/rules"), "rule")
    documents.ha_rules.put({name: _without(row, "digest", "order") for name, row in rules})
    jobs = _named(by_path.get("/cluster/backup"), "id")
    documents.jobs.put({name: _job(row) for name, row in jobs})
    _options(documents, by_path.get("/cluster/options"))
    _nodes(documents, by_path)
    _volumes(documents, by_path)
    return documents


def _by_path(answers: Answers) -> dict[str, object]:
    """Answers by path alone; rows of lists that were asked in parts are put together."""
    found: dict[str, object] = {}
    for key, data in answers.items():
        path, known = key.partition("?")[0], found.get(key.partition("?")[0])
        if isinstance(known, list) and isinstance(data, list):
            found[path] = [*known, *(row for row in data if row not in known)]
        else:
            found[path] = data
    return found


def _rows(data: object) -> Iterator[dict[str, Any]]:
    if isinstance(data, list):
        yield from data


def _named(data: object, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in _rows(data):
        yield str(row[key]), _without(row, key)


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names and value is not None}


def _text(value: object) -> str:
    """A property string from the object that it came out as."""
    if isinstance(value, Mapping):
        flat = {k: ";".join(v) if isinstance(v, list) else v for k, v in value.items()}
        return propertystring.join(flat)
    return ";".join(value) if isinstance(value, list) else str(value)


def _job(row: Entry) -> Entry:
    kept = {key: _text(value) if key in JOB_OBJECTS else value for key, value in row.items()}
    return _without(kept, "next-run")


def _users(documents: Documents, by_path: Answers) -> None:
    for name, row in _named(by_path.get("/access/users"), "userid"):
        for token in row.get("tokens") or []:
            documents.tokens[f"{name}!{token['tokenid']}"] = _without(token, "tokenid")
        groups = row.get("groups")
        row["groups"] = ",".join(groups) if isinstance(groups, list) else groups or ""
        documents.users[name] = _without(row, "tokens", "realm-type")
    documents.users.setdefault("root@pam", {"enable": 1, "expire": 0})
    for name, row in _named(by_path.get("/access/groups"), "groupid"):
        documents.groups[name] = _without(row, "users")
        for member in items(str(row.get("users") or "")):
            user = dict(documents.users.get(member, {"enable": 1, "expire": 0}))
            groups = {*items(str(user.get("groups") or "")), name}
            documents.users[member] = {**user, "groups": ",".join(sorted(groups))}
    for name, row in _named(by_path.get("/access/roles"), "roleid"):
        if name not in ROLES_9:
            documents.roles[name] = {"privs": row.get("privs", "")}
    for row in _rows(by_path.get("/access/acl")):
        entry = (row["path"], row["type"], row["ugid"], row["roleid"])
        documents.acl[entry] = int(row.get("propagate", 1))


def _pools(documents: Documents, answers: Answers) -> None:
    for key, data in answers.items():
        path, _, query = key.partition("?")
        rows = list(_rows(data)) if path == "/pools" else []
        if path.startswith("/pools/") and isinstance(data, Mapping):
            rows = [dict(data)]
        wanted = dict(parse_qsl(query)).get("poolid")
        for row in rows:
            name = str(row.get("poolid") or wanted or path.removeprefix("/pools/"))
            entry = dict(documents.pools.get(name, {}))
            if row.get("comment"):
                entry["comment"] = row["comment"]
            if (members := row.get("members")) is not None:
                vms = [str(member["vmid"]) for member in members if "vmid" in member]
                stores = [str(member["storage"]) for member in members if "storage" in member]
                entry |= {"vms": ",".join(vms), "storage": ",".join(dict.fromkeys(stores))}
            documents.pools[name] = entry


def _guests(documents: Documents, answers: Answers) -> None:
    for key, data in answers.items():
        parts = key.partition("?")[0].strip("/").split("/")
        if parts[0] != "nodes" or len(parts) != 5 or parts[2] not in ("qemu", "lxc"):
            continue
        vmid, what = int(parts[3]), parts[4]
        known = documents.guests.get(vmid, GuestConfig(parts[2]))
        if what == "config" and isinstance(data, Mapping) and not (known.pending or known.removals):
            documents.guests[vmid] = GuestConfig(parts[2], _without(data, "digest"))
        elif what == "pending":
            documents.guests[vmid] = _from_pending(parts[2], list(_rows(data)))
    for row in _rows(answers.get("/cluster/resources")):
        if row.get("type") not in ("qemu", "lxc"):
            continue
        documents.guests.setdefault(int(row["vmid"]), _from_row(row))
        if pool := row.get("pool"):
            entry = documents.pools.get(pool, {})
            vms = dict.fromkeys([*items(str(entry.get("vms") or "")), str(row["vmid"])])
            documents.pools[pool] = {**entry, "vms": ",".join(vms)}


def _from_row(row: Mapping[str, Any]) -> GuestConfig:
    """A guest whose configuration was not asked: as large as the list of resources says."""
    config: dict[str, Value] = {"name": row.get("name"), "cores": int(row.get("maxcpu") or 1)}
    if size := int(row.get("maxmem") or 0):
        config["memory"] = str(size // 2**20)
    return GuestConfig(str(row["type"]), _without(config))


def _from_pending(kind: str, rows: list[dict[str, Any]]) -> GuestConfig:
    rows = [row for row in rows if row["key"] != "digest"]
    return GuestConfig(
        kind,
        {row["key"]: row["value"] for row in rows if "value" in row},
        {row["key"]: row["pending"] for row in rows if "pending" in row},
        {row["key"]: int(row["delete"]) for row in rows if row.get("delete")},
    )


def _options(documents: Documents, data: object) -> None:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "allowed-tags" or (key == "description" and not value):
                continue
            nested = key in OPTION_OBJECTS or key == "registered-tags"
            documents.options[key] = _text(value) if nested else str(value)


def _nodes(documents: Documents, answers: Answers) -> None:
    names = {str(row["node"]) for row in _rows(answers.get("/nodes"))}
    names |= {
        str(row["node"])
        for row in _rows(answers.get("/cluster/resources"))
        if row.get("type") == "node"
    }
    names |= {key.split("/")[2] for key in answers if key.startswith("/nodes/")}
    for node in sorted(names):
        network = answers.get(f"/nodes/{node}/network")
        derived = ("priority", "families", "exists")
        known = {name: _without(row, *derived) for name, row in _named(network, "iface")}
        config = answers.get(f"/nodes/{node}/config")
        dns = answers.get(f"/nodes/{node}/dns")
        documents.nodes[node] = NodeFiles(
            config=_without(config, "digest") if isinstance(config, Mapping) else {},
            dns=dict(dns) if isinstance(dns, Mapping) else {},
            network=in_order(known),
        )


def _volumes(documents: Documents, answers: Answers) -> None:
    """Those that were listed, and those that guests have."""
    where = {
        int(row["vmid"]): str(row["node"])
        for row in _rows(answers.get("/cluster/resources"))
        if row.get("type") in ("qemu", "lxc")
    }
    for key, data in answers.items():
        parts = key.partition("?")[0].strip("/").split("/")
        if len(parts) == 5 and (parts[0], parts[2], parts[4]) == ("nodes", "storage", "content"):
            for row in _rows(data):
                if "vmid" in row:
                    _add_volume(documents, parts[1], str(row["volid"]), int(row["vmid"]), row)
    for vmid, guest in documents.guests.items():
        for option, volid in load.volumes(guest.current):
            values = propertystring.split(str(guest.current[option]), "file")
            size = parse_size(values["size"]) if "size" in values else 0
            if not volumes.is_iso(volid):
                _add_volume(documents, where.get(vmid, ""), volid, vmid, {"size": size})


def _add_volume(
    documents: Documents, node: str, volid: str, vmid: int, row: Mapping[str, Any]
) -> None:
    storage, _, name = volid.partition(":")
    entry = documents.storages.get(storage, {"type": "dir"})
    format_name = str(row.get("format") or (name.rpartition(".")[2] if "." in name else "raw"))
    place = volumes.place_of(entry, node)
    volume = Volume(
        storage,
        place,
        name,
        vmid,
        int(row["size"]),
        format_name,
        int(row.get("ctime") or 0),
        volumes.content_of(name),
        str(row.get("notes") or ""),
        bool(row.get("protected")),
    )
    documents.volumes.setdefault(volume.key, volume)
