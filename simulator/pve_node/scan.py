"""What a node finds when it looks for storage. Source: PVE::API2::Storage::Scan, PVE::Storage
scan_nfs, scan_iscsi, scan_cifs; PVE::Storage::PBSPlugin scan_datastores; smbclient(1).

Servers are the lab's own: what they give now, to this node, over networks that work. A name is not
looked up. None serves SMB or is a Proxmox Backup Server: those that are there refuse connections.
"""

from __future__ import annotations

from ipaddress import ip_address

from simulator.model import initiator_of
from simulator.pve.call import Call
from simulator.pve.outside import UNNAMED, why_unreached
from simulator.pve.routes import Routes, index
from simulator.pve.wire import died
from simulator.pve_node.disk_pools import groups, pools, thin_pools, zpools
from simulator.pve_node.disks import NODE, host_of
from simulator.storage.targets import PORT, owner, path_to, targets

routes = Routes()
index(routes, "/nodes/{node}/scan", "cifs iscsi lvm nfs pbs zfs", "method")
MAY = "/storage Datastore.Allocate"


@routes.add("GET /nodes/{node}/scan/nfs", MAY, NODE + "server pve-storage-server\n")
def nfs(call: Call) -> object:
    """Folders that a server exports, with the clients that may mount them."""
    server, exports = call.text("server"), _exports(call, call.text("server"))
    if exports is None:
        command = f"/sbin/showmount --no-headers --exports {server}"
        raise died(f"command '{command}' failed: exit code 1")
    return [
        {"path": path, "options": ",".join(sorted(clients)) or "*"}
        for path, clients in exports.items()
    ]


def _exports(call: Call, address: str) -> dict[str, set[str]] | None:
    """Folder -> clients, none for everybody; None if no server answers there.

    A server that does not tell serves what is declared, to the VLAN that is declared.
    """
    model, facts = call.twin.model, call.twin.facts
    for name in (*model.lab.nas, *model.lab.backup_servers):
        for vlan, own in model.hosts[name].addresses.items():
            if str(own) != address:
                continue
            if not facts.host_on(name) or not facts.talks(call.node, name, vlan):
                return None
            told = facts.state.arrays.get(name) or facts.state.linux.get(name)
            if told is not None:
                return {path: {*clients} for path, clients in told.exports.items()}
            subnet = model.lab.vlans[vlan].subnet
            clients = set() if subnet is None else {str(subnet)}
            return {share.path: clients for share in model.exports.get(address, ())}
    return None


def _there(call: Call, address: str) -> bool:
    """Whether a host of the lab that runs, and is reached, has an address."""
    facts = call.twin.facts
    return any(
        facts.host_on(name) and facts.talks(call.node, name, vlan)
        for name, host in call.twin.model.hosts.items()
        for vlan, own in host.addresses.items()
        if str(own) == address
    )


@routes.add(
    "GET /nodes/{node}/scan/cifs",
    MAY,
    NODE + "server pve-storage-server\ndomain? string\npassword? string\nusername? string\n",
)
def cifs(call: Call) -> object:
    """Shares of a server: nobody has any."""
    server = call.text("server")
    if why_unreached(server) == UNNAMED:
        raise died(f"unable to resolve address for server '{server}'")
    status = "CONNECTION_REFUSED" if _there(call, server) else "HOST_UNREACHABLE"
    raise died(f"do_connect: Connection to {server} failed (Error NT_STATUS_{status})")


@routes.add(
    "GET /nodes/{node}/scan/pbs",
    MAY,
    NODE
    + r"""
    fingerprint?  /([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}/
    password      string
    port?         integer 1..65535
    server        pve-storage-server
    username      string
    """,
)
def pbs(call: Call) -> object:
    """Datastores of a Proxmox Backup Server: nobody is one."""
    server, port = call.text("server"), call.number("port", 8007)
    why = "Connection refused" if _there(call, server) else why_unreached(server)
    raise died(f"error fetching datastores - 500 Can't connect to {server}:{port} ({why})")


@routes.add("GET /nodes/{node}/scan/iscsi", MAY, NODE + "portal pve-storage-portal-dns\n")
def iscsi(call: Call) -> object:
    """Targets that a portal tells of, each with all portals that lead to it; none if it is silent.

    A portal tells an initiator only of what it may use.
    """
    address, _, port = call.text("portal").partition(":")
    try:
        ip_address(address)
    except ValueError as error:
        text = f"unable to parse/resolve portal address '{call.text('portal')}'"
        raise died(text) from error
    nas, own = owner(call.twin, address), _initiator(call)
    if nas is None or not path_to(call.twin.facts, call.node, nas, address):
        return []
    known = targets(call.twin, nas)
    if not any(target.door(address, int(port or PORT)) for target in known):
        return []
    rows = []
    for target in known:
        doors = [f"{door.address}:{door.port}" for door in target.doors if door.admits(own)]
        if doors:
            rows.append({"target": target.iqn, "portal": ",".join(doors)})
    return rows


def _initiator(call: Call) -> str:
    """The node's own iSCSI name, as its file has it."""
    from simulator.linux import records

    host = host_of(call)
    found = records.initiator(host.files(call.twin)) if host.state.files else ""
    return found or initiator_of(call.twin.model.lab, call.node)


@routes.add("GET /nodes/{node}/scan/lvm", MAY, NODE)
def lvm(call: Call) -> object:
    """Volume groups that the node sees."""
    return [{"vg": group.name, **told} for group, told in groups(call)]


@routes.add(
    "GET /nodes/{node}/scan/lvmthin",
    MAY,
    NODE + r"vg /[a-zA-Z0-9.+_][a-zA-Z0-9.+_-]+/ ..100",
)
def lvm_thin(call: Call) -> object:
    """Thin pools of a volume group."""
    known = [(group.name, volume.name) for group, volume in thin_pools(call)]
    known += [(str(e["vgname"]), str(e["thinpool"])) for e, _, _ in pools(call, "lvmthin")]
    return [{"lv": lv} for vg, lv in dict.fromkeys(known) if vg == call.text("vg")]


@routes.add("GET /nodes/{node}/scan/zfs", MAY, NODE)
def zfs(call: Call) -> object:
    """Pools of ZFS, and datasets that storages are on."""
    found = {pool.name: (pool.usable_bytes, 0) for pool in zpools(call)}
    found |= {str(e["pool"]): (size, used) for e, size, used in pools(call, "zfspool")}
    return [
        {"pool": name, "size": size, "free": size - used} for name, (size, used) in found.items()
    ]
