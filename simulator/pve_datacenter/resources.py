"""Rows about guests, nodes and storages, as status calls and `GET /cluster/resources` show them.

Source: PVE::API2Tools, PVE::API2::Cluster. Loads that the twin does not simulate (traffic, disk
I/O, CPU of guests) are zero; memory is what guests were given.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from simulator.pve import load, propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, GuestConfig
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.world import SYSTEM_USED_BYTES
from simulator.pve_datacenter import sdn_state
from simulator.pve_node import storage
from simulator.pve_node.volumes import parse_size
from simulator.state import GuestState

if TYPE_CHECKING:
    from simulator.pve.api import PveApi

routes = Routes()

LOCAL_ZONE = "localnetwork"
UNNAMED = {"qemu": "VM {}", "lxc": "CT{}"}
NODE_CPU = 0.01  # assumed: an idle node
UNMEASURED = ("cpu", "disk", "diskread", "diskwrite", "netin", "netout")


def boot_disk_bytes(guest: GuestConfig) -> int:
    """Size of a container's root, or of the disk that a machine boots from or its first one."""
    config = guest.current
    boot = str(config.get("boot") or "")
    order = propertystring.split(boot, "legacy").get("order", "") if boot.strip() else ""
    disks = dict(load.volumes(config))
    boots = ("rootfs", *order.split(";"), *sorted(disks))
    first = next((option for option in boots if option in disks), "")
    values = propertystring.split(str(config.get(first) or ""), "file")
    return parse_size(values["size"]) if "size" in values else 0


def settled_row(vmid: int, guest: GuestConfig) -> dict[str, object]:
    """The part of a guest's row that its configuration decides. Shared: not to be changed."""
    config = guest.current
    row: dict[str, object] = {
        "id": f"{guest.kind}/{vmid}",
        "type": guest.kind,
        "vmid": vmid,
        "name": str(
            config.get("name") or config.get("hostname") or UNNAMED[guest.kind].format(vmid)
        ),
        "template": int(bool(config.get("template"))),
        "maxcpu": load.cpus(config),
        "maxmem": load.memory_mib(config) * 2**20,
        "maxdisk": boot_disk_bytes(guest),
    }
    row |= dict.fromkeys(UNMEASURED, 0)
    row |= {key: config[key] for key in ("tags", "lock") if str(config.get(key, "")).strip()}
    return row


def guest_row(scene: Environment, vmid: int) -> dict[str, object]:
    """A guest in `GET /cluster/resources`."""
    state = scene.world.guest(vmid)
    assert state is not None, f"guest {vmid} is nowhere"
    online = scene.world.online(state.node, scene.node)
    return _row(scene, vmid, state, online, scene.twin.now_s)


def _row(
    scene: Environment, vmid: int, state: GuestState, online: bool, now_s: float
) -> dict[str, object]:
    known = scene.api.guest_rows.of(vmid, scene.documents.guests[vmid])
    if not online:
        names = ("id", "type", "vmid", "tags", "lock")
        row: dict[str, object] = {name: known[name] for name in names if name in known}
        row |= {"node": state.node, "status": "unknown"}
    elif (since_s := scene.api.guest_since_s.get(vmid)) is None:
        stopped = {"status": "stopped", "mem": 0, "memhost": 0, "uptime": 0}
        row = {**known, "node": state.node, **stopped}
    else:
        memory, uptime_s = known["maxmem"], int(now_s - since_s)
        running = {"status": "running", "mem": memory, "memhost": memory, "uptime": uptime_s}
        row = {**known, "node": state.node, **running}
    sid = f"vm:{vmid}" if known["type"] == "qemu" else f"ct:{vmid}"
    if sid in scene.documents.ha_resources and (ha_state := scene.world.ha_state(sid)):
        row["hastate"] = ha_state
    return row


def guest_status(scene: Environment, vmid: int) -> dict[str, object]:
    """A guest in `GET /nodes/{node}/qemu` and status/current."""
    guest = scene.documents.guests[vmid]
    known = scene.api.guest_rows.of(vmid, guest)
    since_s = scene.api.guest_since_s.get(vmid)
    running = since_s is not None
    row: dict[str, object] = {
        "vmid": vmid,
        "name": known["name"],
        "status": "running" if running else "stopped",
        "cpus": known["maxcpu"],
        "maxmem": known["maxmem"],
        "maxdisk": known["maxdisk"],
        "mem": known["maxmem"] if running else 0,
        "memhost": known["maxmem"] if running else 0,
        "uptime": int(scene.twin.now_s - since_s) if since_s is not None else 0,
    }
    row |= {key: 0 for key in ("cpu", "disk", "netin", "netout")}
    if guest.kind == "lxc":
        row |= {"type": "lxc", "swap": 0, "diskread": 0, "diskwrite": 0}
        row["maxswap"] = int(str(guest.current.get("swap", 512))) * 2**20
        del row["memhost"]
    if running:
        row |= {"pid": 10000 + vmid, "diskread": 0, "diskwrite": 0}
    row |= {key: known[key] for key in ("tags", "lock") if key in known}
    return row | ({"template": 1} if known["template"] else {})


def proxy_file(node: str, ending: str) -> str:
    """Where below /etc/pve a certificate that was set is, or its key."""
    return f"nodes/{node}/pveproxy-ssl.{ending}"


def fingerprint(api: PveApi, node: str) -> str:
    """That of a node's certificate, the one that was set if there is one."""
    if (found := set_certificate(api.documents, node)) is not None:
        return found.fingerprint(hashes.SHA256()).hex(":").upper()
    return issued_fingerprint(api, node)


def set_certificate(documents: Documents, node: str) -> x509.Certificate | None:
    """The certificate that was set for a node; None without one that can be read."""
    try:
        text = documents.files.get(proxy_file(node, "pem"), "")
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return None


def issued_fingerprint(api: PveApi, node: str) -> str:
    """That of a node's own certificate; a made-up one if the node is not served."""
    if (shown := api.certificates.get(node)) is not None:
        return shown.own.fingerprint(hashes.SHA256()).hex(":").upper()
    return made_up(node).hex(":").upper()


def made_up(node: str) -> bytes:
    """32 bytes that stand for what only a node's installation would decide."""
    return hashlib.sha256(f"certificate of {node}".encode()).digest()


def node_row(scene: Environment, node: str) -> dict[str, object]:
    """A node. Without Sys.Audit the caller sees no figures; an offline one has none of its load."""
    world = scene.world
    online = world.online(node, scene.node)
    row: dict[str, object] = {
        "id": f"node/{node}",
        "type": "node",
        "node": node,
        "status": "online" if online else "offline",
        "level": "",
    }
    if not scene.permissions.any(f"/nodes/{node}", ["Sys.Audit"]):
        return row
    host = world.host(node)
    row |= {"maxcpu": host.cores, "maxmem": host.memory, "maxdisk": world.disk_bytes(node)}
    if online:
        used = host.memory - max(0, scene.twin.facts.memory_free_bytes(node))
        row |= {"cpu": NODE_CPU, "mem": used, "disk": SYSTEM_USED_BYTES}
        row["uptime"] = scene.api.uptime_s(scene.twin, node)
    return row


def storage_row(scene: Environment, name: str, node: str) -> dict[str, object]:
    """A storage on a node."""
    entry = scene.documents.storages[name]
    row: dict[str, object] = {
        "id": f"storage/{node}/{name}",
        "type": "storage",
        "storage": name,
        "node": node,
        "content": entry["content"],
        "shared": int(storage.shared(entry)),
        "plugintype": entry["type"],
        "status": "unknown",
    }
    if scene.world.online(node, scene.node):
        state = storage.status(scene, name, node)
        if state["active"]:
            row |= {"status": "available", "disk": state["used"], "maxdisk": state["total"]}
    return row


@routes.add("GET /cluster/resources", takes="type? enum(vm,storage,node,sdn)")
def cluster_resources(call: Call) -> object:
    """Everything that the caller may see, in one list."""
    wanted = call.text("type")
    rows: list[dict[str, object]] = []
    if wanted in ("", "vm"):
        rows += _guests(call)
    if wanted in ("", "node"):
        rows += [_cluster_node(call, node) for node in call.world.nodes]
    if wanted in ("", "storage"):
        rows += _storages(call)
    if wanted in ("", "sdn"):
        rows += _zones(call)
    return rows


def _cluster_node(call: Call, node: str) -> dict[str, object]:
    row = {**node_row(call, node), "cgroup-mode": 2}
    if (ha_state := call.world.ha_node_state(node)) and "maxcpu" in row:
        row["hastate"] = ha_state
    return row


def _guests(call: Call) -> list[dict[str, object]]:
    pool_by_vmid = {
        int(vmid): name
        for name, entry in call.documents.pools.items()
        for vmid in items(str(entry.get("vms") or ""))
    }
    online = {node for node in call.world.nodes if call.world.online(node, call.node)}
    may_see = call.permissions.on
    everything = call.permissions.everything
    states, cluster, now_s = call.twin.state.guests, call.api.cluster, call.twin.now_s
    rows = []
    for vmid in call.documents.guests:
        if not everything and "VM.Audit" not in may_see(f"/vms/{vmid}"):
            continue
        if (state := states.get((cluster, vmid))) is None:
            continue
        row = _row(call, vmid, state, state.node in online, now_s)
        pool = pool_by_vmid.get(vmid)
        if pool is not None and call.may(f"/pool/{pool}", "Pool.Audit"):
            row["pool"] = pool
        rows.append(row)
    return rows


def _storages(call: Call) -> list[dict[str, object]]:
    return [
        storage_row(call, name, node)
        for name, entry in call.documents.storages.items()
        if storage.may_use(call, name)
        for node in call.world.nodes
        if storage.enabled_on(entry, node)
    ]


def _zones(call: Call) -> list[dict[str, object]]:
    """The nodes' own bridges, and SDN's zones that run, on the nodes that have them."""
    zones = {LOCAL_ZONE: "", **_nodes_by_zone(call.documents)}
    return [
        _zone(call, zone, node)
        for zone, nodes in zones.items()
        if call.may(f"/sdn/zones/{zone}", "SDN.Audit", "SDN.Use")
        for node in call.world.nodes
        if not nodes or node in items(nodes)
    ]


def _nodes_by_zone(documents: Documents) -> dict[str, str]:
    zones = sdn_state.running(documents, "zones")
    return {name: str(zone.get("nodes") or "") for name, zone in zones.items()}


def _zone(call: Call, zone: str, node: str) -> dict[str, object]:
    online = call.world.online(node, call.node)
    return {
        "id": f"network/{node}/zone/{zone}",
        "type": "network",
        "network": zone,
        "network-type": "zone",
        "node": node,
        "status": "ok" if online else "unknown",
    }
