"""Nodes: list, version, status, own settings. Source: PVE::API2::Nodes, NodeConfig, DNS, Hosts.

Kernel and CPU names are those of a current release on the lab's hardware.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from simulator.pve.call import Call
from simulator.pve.documents import Entry, NodeFiles
from simulator.pve.parameters import PROPERTY_STRINGS, parse, table
from simulator.pve.routes import Routes, index
from simulator.pve.sections import check_option_lines, digest_of_text, option_text
from simulator.pve.wire import bad_parameters, died
from simulator.pve.world import SYSTEM_USED_BYTES
from simulator.pve_datacenter import resources
from simulator.pve_datacenter.acme import PLUGINS

routes = Routes()
index(
    routes,
    "/nodes/{node}",
    "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal "
    "lxc migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report "
    "rrd rrddata scan sdn services spiceshell startall status stopall storage subscription "
    "suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan",
)
NODE = "node pve-node\n"


@routes.add("GET /nodes")
def nodes(call: Call) -> object:
    """Members, with figures for who may audit them."""
    return [
        {**resources.node_row(call, node), "ssl_fingerprint": resources.fingerprint(call.api, node)}
        for node in call.world.nodes
    ]


@routes.add("GET /nodes/{node}/version", takes=NODE)
def version(call: Call) -> object:
    """Release of one node."""
    return dict(call.api.release.version)


KERNEL = {
    "sysname": "Linux",
    "release": "6.17.2-1-pve",
    "version": "#1 SMP PREEMPT_DYNAMIC",
    "machine": "x86_64",
}
"""A kernel of Proxmox VE 9."""
CPU = {
    "model": "Intel(R) Xeon(R) CPU E5620 @ 2.40GHz",
    "mhz": "2400.000",
    "flags": "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx "
    "fxsr sse sse2 ss ht syscall nx rdtscp lm pni vmx ssse3 cx16 sse4_1 sse4_2 popcnt aes lahf_lm",
    "hvm": "1",
    "user_hz": 100,
}
"""What of a CPU is the same on every node. Source: PVE::ProcFSTools read_cpuinfo."""
SOCKETS = 2  # assumed


@routes.add("GET /nodes/{node}/status", "/nodes/{node} Sys.Audit", NODE)
def status(call: Call) -> object:
    """A node's hardware and load."""
    host, world = call.world.host(call.node), call.world
    free = max(0, call.twin.facts.memory_free_bytes(call.node))
    disk = world.disk_bytes(call.node)
    return {
        "uptime": call.api.uptime_s(call.twin, call.node),
        "cpu": resources.NODE_CPU,
        "wait": 0,
        "idle": 0,
        "loadavg": ["0.00", "0.00", "0.00"],
        "cpuinfo": {
            **CPU,
            "cpus": host.cores,
            "cores": max(1, host.cores // 4),
            "sockets": SOCKETS,
        },
        "memory": {
            "total": host.memory,
            "used": host.memory - free,
            "free": free,
            "available": free,
        },
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {
            "total": disk,
            "used": SYSTEM_USED_BYTES,
            "free": disk - SYSTEM_USED_BYTES,
            "avail": disk - SYSTEM_USED_BYTES,
        },
        "ksm": {"shared": 0},
        "pveversion": "pve-manager/{version}/{repoid}".format(**call.api.release.version),
        "kversion": f"{KERNEL['sysname']} {KERNEL['release']} {KERNEL['version']}",
        "current-kernel": KERNEL,
        "boot-info": {"mode": "legacy-bios"},
    }


PROPERTY_STRINGS["acme"] = table("account? pve-configid\ndomains? string")
PROPERTY_STRINGS["acmedomain"] = table("alias? string\ndomain* string\nplugin? pve-configid")
PROPERTY_STRINGS["wakeonlan"] = table(
    "bind-interface? pve-iface\nbroadcast-address? ipv4\nmac* mac-addr"
)
SETTINGS = """
acme?                   {acme}
acmedomain[6]?          {acmedomain}
ballooning-target?      integer 0..100
description?            string ..65536
location?               pve-node-location
startall-onboot-delay?  integer 0..300
wakeonlan?              {wakeonlan}
"""
_NAMES = (
    "acme,acmedomain0,acmedomain1,acmedomain2,acmedomain3,acmedomain4,acmedomain5,"
    "ballooning-target,description,location,startall-onboot-delay,wakeonlan"
)


def files(call: Call) -> NodeFiles:
    """The files of the node that answers."""
    return call.documents.nodes.get(call.node, NodeFiles())


def keep(call: Call, changed: NodeFiles) -> None:
    """Replace the files of the node that answers."""
    call.documents.nodes[call.node] = changed


@routes.add("GET /nodes/{node}/config", "/ Sys.Audit", NODE + f"property? enum({_NAMES})")
def config(call: Call) -> object:
    """A node's settings; nothing at all, not even a digest, before the first one."""
    known = files(call).config
    if call.has("property"):
        name = call.text("property")
        return {name: known[name]} if name in known else {}
    return {**known, "digest": digest_of_text(option_text(known))} if known else {}


@routes.add(
    "PUT /nodes/{node}/config",
    "/ Sys.Modify",
    NODE + SETTINGS + "delete? pve-configid-list\ndigest? string ..40",
)
def update_config(call: Call) -> object:
    """Change a node's settings. A description that is deleted stays as an empty one."""
    known = files(call).config
    call.need_digest(digest_of_text(option_text(known)))
    skipped = ("node", "delete", "digest")
    sent = {key: call.text(key) for key in call.values if call.has(key) and key not in skipped}
    if "description" in sent:
        sent["description"] = sent["description"].rstrip("\n") + "\n"
    new = {**known, **sent}
    for key in call.words("delete"):
        new.pop(key, None)
    if "description" in known and "description" not in new:
        new["description"] = ""
    with call.locked(f"nodes/{call.node}/config"):
        _check_acme(call, new)
        check_option_lines(new)
        keep(call, replace(files(call), config=new))
    return None


def _check_acme(call: Call, config: Entry) -> None:
    """Raise for a domain that is named twice, or for a plugin that is not there. Source:
    PVE::NodeConfig get_acme_conf.
    """
    known: dict[str, str] = {}
    named = str(parse("acme", str(config["acme"])).get("domains") or "") if "acme" in config else ""
    for domain in filter(None, named.lower().split(";")):
        if domain in known:
            raise died(f"duplicate domain '{domain}' in ACME config properties")
        known[domain] = "acme"
    for key in sorted(key for key in config if key.startswith("acmedomain")):
        values = parse("acmedomain", str(config[key]))
        domain, plugin = str(values["domain"]).lower(), values.get("plugin", "standalone")
        if domain in known:
            both = f"'{key}' and '{known[domain]}'"
            raise died(f"duplicate domain '{domain}' in ACME config properties {both}")
        if plugin not in PLUGINS.of(call.documents):
            raise died(f"plugin '{plugin}' for domain '{domain}' not found!")
        known[domain] = key


_DNS = "search string\ndns1? ip\ndns2? ip\ndns3? ip\n"


@routes.add("GET /nodes/{node}/netstat", "/nodes/{node} Sys.Audit", NODE)
def netstat(call: Call) -> object:
    """Bytes that passed each network card of the guests that run here: the twin counts none."""
    return [
        {"vmid": str(vmid), "dev": option, "in": "0", "out": "0"}
        for vmid, guest in call.documents.guests.items()
        if (state := call.world.guest(vmid)) is not None
        if call.world.running(vmid) and state.node == call.node
        for option in sorted(guest.current)
        if option.startswith("net") and option[3:].isdigit()
    ]


@routes.add("GET /nodes/{node}/dns", "/nodes/{node} Sys.Audit", NODE)
def dns(call: Call) -> object:
    """Resolver settings."""
    return dict(files(call).dns)


@routes.add("PUT /nodes/{node}/dns", "/nodes/{node} Sys.Modify", NODE + _DNS)
def update_dns(call: Call) -> object:
    """Replace the resolver settings."""
    new = {key: call.text(key) for key in ("search", "dns1", "dns2", "dns3") if call.has(key)}
    keep(call, replace(files(call), dns=new))
    return None


@routes.add("GET /nodes/{node}/time", "/nodes/{node} Sys.Audit", NODE)
def time(call: Call) -> object:
    """The clock and its zone."""
    zone = files(call).timezone
    try:
        offset = datetime.fromtimestamp(call.now_s, ZoneInfo(zone)).utcoffset()
    except ZoneInfoNotFoundError:
        offset = None
    local = call.now_s + (int(offset.total_seconds()) if offset else 0)
    return {"time": call.now_s, "localtime": local, "timezone": zone}


@routes.add("PUT /nodes/{node}/time", "/nodes/{node} Sys.Modify", NODE + "timezone string")
def update_time(call: Call) -> object:
    """Change the time zone."""
    zone = call.text("timezone")
    if zone not in available_timezones():
        raise bad_parameters(timezone=f"No such timezone: {zone}")
    keep(call, replace(files(call), timezone=zone))
    return None


@routes.add("GET /nodes/{node}/hosts", "/ Sys.Audit", NODE)
def hosts(call: Call) -> object:
    """/etc/hosts."""
    text = files(call).hosts
    return {"data": text, "digest": digest_of_text(text)}


@routes.add(
    "POST /nodes/{node}/hosts",
    "/nodes/{node} Sys.Modify",
    NODE + "data string\ndigest? string ..64",
)
def update_hosts(call: Call) -> object:
    """Replace /etc/hosts."""
    call.need_digest(digest_of_text(files(call).hosts))
    keep(call, replace(files(call), hosts=call.text("data")))
    return None
