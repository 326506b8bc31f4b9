"""SDN as it is staged and as it was applied: the files below sdn/, the running copy, the lock.

What the API writes is staged in section files; applying copies them into one file of what runs, and
the difference is what is pending. Source: PVE::Network::SDN pending_config, commit_config,
lock_sdn_config. Leaves out: what an applied zone does to packets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from simulator.pve.call import Call
from simulator.pve.documents import Documents, Entry
from simulator.pve.parameters import PROPERTY_STRINGS, Value, parse, table
from simulator.pve.sections import SectionFile, section_type
from simulator.pve.wire import ApiError, died
from simulator.pve_datacenter.fabric_file import FABRICS

RUNNING_FILE = "sdn/.running-config"
LOCK_FILE = "sdn/.lock"

_COMMON = "nodes mtu dns reversedns dnszone ipam"
ZONE_KEYS = """
advertise-subnets?            boolean
bridge?                       string
bridge-disable-mac-learning?  boolean
controller?                   string
dhcp?                         enum(dnsmasq)
disable-arp-nd-suppression?   boolean
dns?                          string
dnszone?                      dns-name
dp-id?                        integer
exitnodes?                    pve-node-list
exitnodes-local-routing?      boolean
exitnodes-primary?            pve-node
fabric?                       pve-sdn-fabric-id
ipam?                         string
mac?                          mac-addr
mtu?                          integer
nodes?                        pve-node-list
peers?                        ip-list
reversedns?                   string
rt-import?                    pve-sdn-bgp-rt-list
tag?                          integer 0..
secondary-controllers?        array:sdn-controller-id
vlan-protocol?                enum(802.1q,802.1ad)
vrf-vxlan?                    integer 1..16777215
vxlan-port?                   integer 1..65536
"""
ZONES = SectionFile(
    "sdn/zones.cfg",
    ZONE_KEYS,
    {
        "evpn": section_type(
            f"vrf-vxlan+ controller+ secondary-controllers exitnodes exitnodes-local-routing "
            f"exitnodes-primary advertise-subnets disable-arp-nd-suppression "
            f"bridge-disable-mac-learning rt-import vxlan-port mac {_COMMON}"
        ),
        "faucet": section_type(f"dp-id+ {_COMMON}"),
        "qinq": section_type(f"tag+ bridge+ vlan-protocol {_COMMON}"),
        "simple": section_type(f"dhcp {_COMMON}"),
        "vlan": section_type(f"bridge+ bridge-disable-mac-learning {_COMMON}"),
        "vxlan": section_type(f"peers vxlan-port fabric {_COMMON}"),
    },
)
VNET_KEYS = r"""
alias?          /(?i:[\(\)-_.\w\d\s]{0,256})/ ..256
isolate-ports?  boolean
tag?            integer 1..16777215
vlanaware?      boolean
"""
VNETS = SectionFile(
    "sdn/vnets.cfg",
    VNET_KEYS + "zone string\n",
    {"vnet": section_type("zone+ alias isolate-ports tag vlanaware")},
)
PROPERTY_STRINGS["sdn-dhcp-range"] = table("end-address ip\nstart-address ip")
SUBNET_KEYS = """
dhcp-dns-server?  ip
dhcp-range?       array:{sdn-dhcp-range}
dnszoneprefix?    dns-name
gateway?          ip
snat?             boolean
"""
SUBNETS = SectionFile(
    "sdn/subnets.cfg",
    SUBNET_KEYS + "vnet string\n",
    {"subnet": section_type("vnet+ gateway snat dnszoneprefix dhcp-dns-server dhcp-range")},
)
CONTROLLER_KEYS = r"""
asn?                         integer 0..4294967295
bgp-mode?                    enum(auto,external,internal)
bgp-multipath-as-path-relax? boolean
ebgp?                        boolean
ebgp-multihop?               integer
fabric?                      pve-sdn-fabric-id
isis-domain?                 string
isis-ifaces?                 pve-iface-list
isis-net?                    /[a-fA-F0-9]{2}(\.[a-fA-F0-9]{4}){3,9}\.[a-fA-F0-9]{2}/ 20..50
loopback?                    string
node?                        pve-node
nodes?                       pve-node-list
peer-group-name?             pve-configid
peers?                       ip-list
route-map-in?                pve-sdn-route-map-id
route-map-out?               pve-sdn-route-map-id
"""
CONTROLLERS = SectionFile(
    "sdn/controllers.cfg",
    CONTROLLER_KEYS,
    {
        "bgp": section_type(
            "node+ asn+ peers bgp-multipath-as-path-relax ebgp ebgp-multihop loopback "
            "route-map-in route-map-out"
        ),
        "evpn": section_type(
            "asn+ peers fabric nodes bgp-mode peer-group-name route-map-in route-map-out"
        ),
        "faucet": section_type(""),
        "isis": section_type("isis-domain+ isis-ifaces+ isis-net+ node+ loopback"),
    },
)
IPAM_KEYS = """
fingerprint?  /([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}/
section?      integer
token?        string
url?          string
"""
IPAMS = SectionFile(
    "sdn/ipams.cfg",
    IPAM_KEYS,
    {
        "netbox": section_type("url+ token+ fingerprint"),
        "phpipam": section_type("url+ token+ section+ fingerprint"),
        "pve": section_type(""),
    },
    builtin={"pve": {"type": "pve"}},
)
DNS_KEYS = """
fingerprint?    /([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}/
reversemaskv6?  integer
ttl?            integer
"""
DNS = SectionFile(
    "sdn/dns.cfg",
    DNS_KEYS + "key string\nreversev6mask? integer\nurl string\n",
    {"powerdns": section_type("url+ key+ ttl reversemaskv6 reversev6mask fingerprint")},
)
STAGED = {
    "zones": ZONES,
    "vnets": VNETS,
    "subnets": SUBNETS,
    "controllers": CONTROLLERS,
    "fabrics": FABRICS,
}
"""What is applied together, by its name in the running file."""


def running(documents: Documents, what: str) -> dict[str, Entry]:
    """What was applied last."""
    text = documents.files.get(RUNNING_FILE)
    if not text:
        return {}
    ids: dict[str, dict[str, object]] = json.loads(text).get(what, {}).get("ids", {})
    return {name: _frozen(entry) for name, entry in ids.items()}


def _frozen(entry: Mapping[str, object]) -> Entry:
    kept: dict[str, Value] = {}
    for key, value in entry.items():
        if isinstance(value, list):
            kept[key] = tuple(str(item) for item in value)
        elif isinstance(value, dict):  # a set, as Perl keeps it
            kept[key] = ",".join(sorted(value))
        elif value is None or isinstance(value, str | int | float):
            kept[key] = value
    return kept


def commit(documents: Documents) -> None:
    """Apply all that is staged."""
    kept = {
        what: {"ids": dict(file.entries(documents).items())}
        for what, file in STAGED.items()
        if file.entries(documents)
    }
    text = documents.files.get(RUNNING_FILE)
    version = int(json.loads(text).get("version", 0)) if text else 0
    documents.files[RUNNING_FILE] = json.dumps({"version": version + 1, **kept})


def rollback(documents: Documents) -> None:
    """Stage what runs."""
    for what, file in STAGED.items():
        file.write(documents, running(documents, what))


def pending(documents: Documents, what: str) -> dict[str, dict[str, object]]:
    """What runs, with `state` and the future values where they differ."""
    return compared(running(documents, what), STAGED[what].entries(documents))


def compared(now: Mapping[str, Entry], later: Mapping[str, Entry]) -> dict[str, dict[str, object]]:
    """What is now, with `state` and the later values where they differ."""
    found: dict[str, dict[str, object]] = {}
    for name in sorted({**now, **later}):
        if name not in later:
            found[name] = {**now[name], "state": "deleted"}
            continue
        row, changes = _differences(now.get(name, {}), later[name])
        state = "new" if name not in now else "changed" if changes else ""
        found[name] = {**row, "state": state, "pending": changes} if state else row
    return found


def _differences(now: Entry, later: Entry) -> tuple[dict[str, object], dict[str, object]]:
    """The row of what runs, and what will differ. Type and net always show as they will be."""
    row: dict[str, object] = dict(now)
    changes: dict[str, object] = {key: "deleted" for key in now if later.get(key) is None}
    for key, value in later.items():
        if key in ("type", "vnet"):
            row[key] = value
        elif now.get(key) != value:
            changes[key] = list(value) if isinstance(value, tuple) else value
    return row, changes


def has_pending(documents: Documents) -> bool:
    """Whether anything waits to be applied."""
    return any("state" in row for what in STAGED for row in pending(documents, what).values())


@contextmanager
def locked(call: Call, failure: str) -> Iterator[None]:
    """Hold the SDN lock for one change; who took it for longer must send its token."""
    call.need_quorum()
    held = call.documents.files.get(LOCK_FILE)
    try:
        if held and call.text("lock-token") != held:
            raise died("invalid lock token provided!")
        yield
    except ApiError as error:
        raise ApiError(500, f"{failure}: {error.spoken}") from error


def subnet_shown(name: str, entry: Mapping[str, object], zone: str = "") -> dict[str, object]:
    """A subnet with what its id says: zone, network, mask; ranges as objects."""
    if not zone:
        zone = name.split("-")[0]
    network, _, mask = name.removeprefix(f"{zone}-").rpartition("-")
    ranges = entry.get("dhcp-range") or ()
    return {
        **entry,
        "id": name,
        "subnet": name,
        "zone": zone,
        "network": network,
        "mask": mask,
        "cidr": f"{network}/{mask}",
        "dhcp-range": [
            parse("sdn-dhcp-range", str(item))
            for item in (ranges if isinstance(ranges, tuple) else ())
        ],
    }


def subnets_of(documents: Documents, vnet: str) -> dict[str, Entry]:
    """Staged subnets of a virtual net."""
    entries = SUBNETS.entries(documents)
    return {name: entry for name, entry in entries.items() if entry.get("vnet") == vnet}


def bridge_path(documents: Documents, bridge: str) -> str:
    """Where rights to attach to a bridge are given: below its zone, or the node's own bridges."""
    zone = running(documents, "vnets").get(bridge, {}).get("zone", "localnetwork")
    return f"/sdn/zones/{zone}/{bridge}"


_SETS = ("all", "gateway", "no-gateway", "dhcp")


def address_sets(documents: Documents) -> frozenset[str]:
    """IP sets that firewall rules find for the virtual nets that run."""
    nets = running(documents, "vnets")
    return frozenset(f"{name}-{word}" for name in nets for word in _SETS)
