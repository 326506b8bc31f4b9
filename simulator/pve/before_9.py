"""What Proxmox VE 8.4 has differently from 9: calls, parameters, rights.

Data for `releases`. Source: the official API schemas of 8.4 and 9, compared; wording of ids from
PVE::Network::SDN. Leaves out: what 9 has that the twin has not either.
"""

from __future__ import annotations

import re

from simulator.pve.changes import Change
from simulator.pve.formats import FORMATS, Format
from simulator.pve.propertystring import items
from simulator.pve_datacenter.acme import DNS_APIS
from simulator.pve_node.ceph_config import CONFIG_KEYS

_NEWER_DNS = frozenset(
    items("beget edgecenter freemyip he_ddns hetznercloud mijnhost openprovider_rest spaceship")
)
DNS_APIS_8 = frozenset(DNS_APIS) - _NEWER_DNS
GUEST = r"POST /nodes/\{node\}/qemu|(PUT|POST) /nodes/\{node\}/qemu/\{vmid\}/config"
CONTAINER = r"POST /nodes/\{node\}/lxc|PUT /nodes/\{node\}/lxc/\{vmid\}/config"
BACKUP = r"(POST|PUT) /cluster/backup.*|POST /nodes/\{node\}/vzdump"


def _sdn_id(word: str, pattern: str, longest: int = 0) -> Format:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            return f"{word} ID '{text}' contains illegal characters\n"
        if longest and len(text) > longest:
            return f"{word} ID '{text}' can't be more length than {longest} characters\n"
        return ""

    return check


_SHORT = r"(?i:[a-z][a-z0-9]*[a-z0-9])"
FORMATS |= {
    "pve-ha-group-node": FORMATS["pve-ha-node"],
    "pve-sdn-controller-id": _sdn_id("controller", r"(?i:[a-z][a-z0-9_-]*[a-z0-9])", 64),
    "pve-sdn-dns-id": _sdn_id("dns", _SHORT),
    "pve-sdn-ipam-id": _sdn_id("ipam", _SHORT),
    "pve-sdn-vnet-id": _sdn_id("vnet", _SHORT, 8),
    "pve-sdn-zone-id": _sdn_id("zone", _SHORT, 8),
}
_ABSENT = (
    r"\w+ /cluster/ha/rules.*",
    r"\w+ /cluster/ha/status/(arm|disarm)-ha",
    r"\w+ /cluster/sdn/(lock|rollback|dry-run|fabrics).*",
    r"\w+ /cluster/(bulk-action|qemu).*",
    r"\w+ /nodes/\{node\}/sdn/(vnets|fabrics|zones/\{zone\}/(bridges|ip-vrf)).*",
    r"\w+ /nodes/\{node\}/query-oci-repo-tags",
    r"GET /nodes/\{node\}/lxc/\{vmid\}/migrate",
    r"GET /nodes/\{node\}/capabilities/qemu/(cpu-flags|migration)",
    r"POST /access/vncticket",
    r"POST /nodes/\{node\}/qemu/\{vmid\}/dbus-vmstate",
)
BEFORE_9 = (
    *(Change(calls, absent=True) for calls in _ABSENT),
    Change(
        r"POST /nodes/\{node\}/qemu/\{vmid\}/(agent|monitor)|\w+ /nodes/.*/qemu/.*/agent/.+",
        may="/vms/{vmid} VM.Monitor",
    ),
    Change(r"GET /nodes/.*/qemu/.*/agent/file-read", lacks="count decode offset"),
    Change(r"GET /nodes/\{node\}/capabilities/qemu/(cpu|machines)", lacks="arch"),
    Change(r"GET /nodes/\{node\}/ceph/cfg/value", differs=f"config-keys {CONFIG_KEYS}"),
    Change(r"GET /cluster/metrics/export", lacks="node-list"),
    Change(
        r"GET /nodes/\{node\}/journal",
        lacks="identifiers kernel priority service structured unit units",
    ),
    Change(r"GET /nodes/\{node\}/rrd(data)?", differs="timeframe enum(hour,day,week,month,year)"),
    Change(
        r"\w+ /nodes/\{node\}/services/\{service\}.*",
        differs="""
        service  enum(chrony,corosync,cron,ksmtuned,postfix,pve-cluster,pve-firewall,pve-ha-crm,
                      pve-ha-lrm,pvedaemon,pvefw-logger,pveproxy,pvescheduler,pvestatd,spiceproxy,
                      sshd,syslog,systemd-journald,systemd-timesyncd)
        """,
    ),
    Change(
        r"(POST|PUT|DELETE) /cluster/replication.*|POST /nodes/.*/replication/.*",
        may="/storage Datastore.Allocate",
    ),
    Change(r"\w+ /access/roles.*", differs="privs? pve-priv-8-list"),
    Change(r"\w+ /access/domains.*", lacks="audiences"),
    Change(r"PUT /access/users/\{userid\}/token/\{tokenid\}", lacks="delete regenerate"),
    Change(
        BACKUP,
        takes="""
        maxfiles?             integer 1..
        notification-policy?  enum(always,failure,never)
        notification-target?  pve-configid
        """,
    ),
    Change(r"\w+ /cluster/acme/plugins.*", differs=f"api enum({','.join(sorted(DNS_APIS_8))})"),
    Change(r"PUT /cluster/options", lacks="location replication"),
    Change(
        r"\w+ /nodes/\{node\}/config",
        lacks="location",
        differs="""
        property?  enum(acme,acmedomain0,acmedomain1,acmedomain2,acmedomain3,acmedomain4,
                        acmedomain5,ballooning-target,description,startall-onboot-delay,wakeonlan)
        """,
    ),
    Change(r"\w+ /cluster/ha/groups.*", differs="nodes? pve-ha-group-node-list"),
    Change(r"\w+ /cluster/ha/resources.*", lacks="failback purge"),
    Change(
        r"\w+ /cluster/metrics/server/\{id\}",
        lacks="otel-compression otel-headers otel-max-body-size otel-path otel-protocol "
        "otel-resource-attributes otel-timeout otel-verify-ssl",
        differs="type? enum(graphite,influxdb)",
    ),
    Change(GUEST, lacks="allow-ksm intel-tdx", differs="serial[4]? /(/dev/.+|socket)/"),
    Change(CONTAINER, lacks="entrypoint env"),
    Change(r"POST /nodes/\{node\}/(qemu|lxc)", lacks="ha-managed"),
    Change(
        r"POST /nodes/\{node\}/(start|stop|suspend|migrate)all",
        lacks="max-workers",
        differs="maxworkers? integer 1..",
    ),
    Change(r"POST /nodes/.*/qemu/.*/(migrate|status/start)", lacks="with-conntrack-state"),
    Change(
        r"GET /nodes/\{node\}/network",
        differs="""
        type?  enum(bridge,bond,eth,alias,vlan,OVSBridge,OVSBond,OVSPort,OVSIntPort,vnet,any_bridge,
                    any_local_bridge)
        """,
    ),
    Change(
        r"POST /nodes/\{node\}/network|PUT /nodes/\{node\}/network/\{iface\}",
        differs="""
        type  enum(bridge,bond,eth,alias,vlan,OVSBridge,OVSBond,OVSPort,OVSIntPort,vnet,unknown)
        """,
    ),
    Change(r"PUT /nodes/\{node\}/network", lacks="regenerate-frr"),
    Change(r"\w+ /cluster/sdn.*", lacks="lock-token release-lock"),
    Change(
        r"\w+ /cluster/sdn/(zones|vnets/\{vnet\}/ips).*|\w+ /nodes/\{node\}/sdn/zones/.*",
        lacks="fabric secondary-controllers",
        differs="zone pve-sdn-zone-id\nvrf-vxlan? integer",
    ),
    Change(
        r"\w+ /cluster/sdn/controllers.*",
        lacks="bgp-mode fabric nodes peer-group-name route-map-in route-map-out",
        differs="""
        asn?        integer 0..4294967296
        controller  pve-sdn-controller-id
        isis-net?   string
        """,
    ),
    Change(r"\w+ /cluster/sdn/ipams.*", differs="ipam pve-sdn-ipam-id"),
    Change(r"\w+ /cluster/sdn/dns.*", differs="dns pve-sdn-dns-id"),
    Change(r"\w+ /cluster/sdn/vnets(/\{vnet\})?", differs="tag? integer"),
    Change(
        r"\w+ /cluster/sdn/vnets(/\{vnet\}(/(firewall|ips).*)?)?"
        r"|(GET|DELETE) /cluster/sdn/vnets/.*",
        differs="vnet pve-sdn-vnet-id",
    ),
    Change(
        r"(GET|POST) /storage",
        differs="""
        type  enum(btrfs,cephfs,cifs,dir,esxi,glusterfs,iscsi,iscsidirect,lvm,lvmthin,nfs,pbs,rbd,
                   zfs,zfspool)
        """,
    ),
    Change(
        r"POST /storage|PUT /storage/\{storage\}",
        lacks="saferemove-stepsize snapshot-as-volume-chain",
        takes="""
        maxfiles?   integer 0..
        server2?    pve-storage-server requires=server
        transport?  enum(tcp,rdma,unix)
        """,
    ),
    Change(r"POST /storage", takes="volume? string"),
)
STRINGS_BEFORE_9 = (
    Change("agent", lacks="freeze-fs", takes="freeze-fs-on-backup? boolean"),
    Change(
        "crs",
        lacks="ha-auto-rebalance ha-auto-rebalance-hold-duration ha-auto-rebalance-margin "
        "ha-auto-rebalance-method ha-auto-rebalance-threshold",
        differs="ha? enum(basic,static)",
    ),
    Change("ct-net", lacks="host-managed"),
    Change(
        "ide|sata|scsi|virtio",
        takes="cyls? integer\nheads? integer\nsecs? integer\ntrans? enum(none,lba,auto)",
    ),
    Change("machine", lacks="aw-bits"),
    Change("mp", lacks="keepattrs"),
    Change("tpmstate", lacks="format"),
)
