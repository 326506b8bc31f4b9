"""Where firewalls are: cluster, node, guest, virtual net; each with its file and who may change it.

Source: PVE::API2::Firewall::Cluster, ::Host, ::VM, ::Vnet; PVE::Firewall for options and locks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulator.pve.call import Call
from simulator.pve.parameters import PROPERTY_STRINGS, table
from simulator.pve.routes import Guard
from simulator.pve.wire import died
from simulator.pve_datacenter import firewall_file, sdn_state
from simulator.pve_datacenter.firewall_file import FirewallFile
from simulator.pve_datacenter.firewall_rules import Context

CLUSTER_FILE = "firewall/cluster.fw"
NAME = r"/[A-Za-z][A-Za-z0-9\-\_]+/"
DIGEST = "digest? string ..64\n"
VNET_ID = r"vnet /[a-zA-Z][a-zA-Z0-9]*[a-zA-Z0-9]/ 2..8" "\n"
LOG_LEVELS = "enum(emerg,alert,crit,err,warning,notice,info,debug,nolog)"
POLICY = "enum(ACCEPT,REJECT,DROP)"


@dataclass(frozen=True)
class Scope:
    """A firewall somewhere. `file`: its file below /etc/pve; `takes`: what its path holds."""

    base: str
    env: str
    takes: str
    audit: Guard
    modify: Guard
    file: Callable[[Call], str]
    options: str

    def read(self, call: Call) -> FirewallFile:
        """What the file holds."""
        return read_file(call, self.file(call))

    def write(self, call: Call, changed: FirewallFile) -> None:
        """Put the file; one that says nothing is removed."""
        write_file(call, self.file(call), changed)

    def context(self, call: Call) -> Context:
        """Where a rule of this scope looks for names."""
        cluster = read_file(call, CLUSTER_FILE)
        return Context(self.env, self.read(call), cluster, sdn_state.address_sets(call.documents))


def read_file(call: Call, path: str) -> FirewallFile:
    """A firewall file; an empty one where there is none."""
    return firewall_file.read(call.documents.files.get(path, ""))


def write_file(call: Call, path: str, changed: FirewallFile) -> None:
    """Replace a firewall file, under its lock."""
    with call.locked(_lock_of(path), kind="firewall"):
        if changed.text:
            call.documents.files[path] = changed.text
        else:
            call.documents.files.pop(path, None)


def _lock_of(path: str) -> str:
    """The lock of a firewall file. Source: PVE::Firewall lock_*_conf."""
    folder, _, file = path.rpartition("/")
    name = file.removesuffix(".fw")
    if folder.startswith("nodes/"):
        return f"host-{folder.partition('/')[2]}"
    if folder == "sdn/firewall":
        return f"vnet-{name}"
    return name if name == "cluster" else f"vm-{name}"


def _vnet(call: Call, *privileges: str) -> None:
    name = call.text("vnet")
    vnet = sdn_state.VNETS.entries(call.documents).get(name)
    if vnet is None:
        raise died("invalid vnet specified")
    call.need(f"/sdn/zones/{vnet.get('zone')}/{name}", *privileges)


_GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"
_GUEST_OPTIONS = f"""
dhcp?           boolean
enable?         boolean
ipfilter?       boolean
log_level_in?   {LOG_LEVELS}
log_level_out?  {LOG_LEVELS}
macfilter?      boolean
ndp?            boolean
policy_in?      {POLICY}
policy_out?     {POLICY}
radv?           boolean
"""
PROPERTY_STRINGS["log_ratelimit"] = table(
    "burst? integer 0..\nenable* boolean\nrate? /[1-9][0-9]*\\/(second|minute|hour|day)/"
)
CLUSTER = Scope(
    "/cluster/firewall",
    "cluster",
    "",
    "/ Sys.Audit",
    "/ Sys.Modify",
    lambda _: CLUSTER_FILE,
    f"""
    ebtables?        boolean
    enable?          integer 0..
    log_ratelimit?   {{log_ratelimit}}
    policy_forward?  enum(ACCEPT,DROP)
    policy_in?       {POLICY}
    policy_out?      {POLICY}
    """,
)
HOST = Scope(
    "/nodes/{node}/firewall",
    "host",
    "node pve-node\n",
    "/nodes/{node} Sys.Audit",
    "/nodes/{node} Sys.Modify",
    lambda call: f"nodes/{call.node}/host.fw",
    f"""
    enable?                                boolean
    log_level_forward?                     {LOG_LEVELS}
    log_level_in?                          {LOG_LEVELS}
    log_level_out?                         {LOG_LEVELS}
    log_nf_conntrack?                      boolean
    ndp?                                   boolean
    nf_conntrack_allow_invalid?            boolean
    nf_conntrack_helpers?                  pve-fw-conntrack-helper
    nf_conntrack_max?                      integer 32768..
    nf_conntrack_tcp_timeout_established?  integer 7875..
    nf_conntrack_tcp_timeout_syn_recv?     integer 30..60
    nftables?                              boolean
    nosmurfs?                              boolean
    protection_synflood?                   boolean
    protection_synflood_burst?             integer
    protection_synflood_rate?              integer
    smurf_log_level?                       {LOG_LEVELS}
    tcp_flags_log_level?                   {LOG_LEVELS}
    tcpflags?                              boolean
    """,
)
GUESTS = tuple(
    Scope(
        f"/nodes/{{node}}/{kind}/{{vmid}}/firewall",
        env,
        _GUEST,
        "/vms/{vmid} VM.Audit",
        "/vms/{vmid} VM.Config.Network",
        lambda call: f"firewall/{call.number('vmid')}.fw",
        _GUEST_OPTIONS,
    )
    for kind, env in (("qemu", "vm"), ("lxc", "ct"))
)
VNET = Scope(
    "/cluster/sdn/vnets/{vnet}/firewall",
    "vnet",
    VNET_ID,
    lambda call: _vnet(call, "SDN.Audit", "SDN.Allocate"),
    lambda call: _vnet(call, "SDN.Allocate"),
    lambda call: f"sdn/firewall/{call.text('vnet')}.fw",
    f"enable? boolean\nlog_level_forward? {LOG_LEVELS}\npolicy_forward? enum(ACCEPT,DROP)\n",
)
