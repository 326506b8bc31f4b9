"""What Proxmox VE 7.4 has differently from 8.4: calls, parameters, rights.

Data for `releases`, applied after `before_9`. Source: the official API schemas of 7.4 and 8.4,
compared; wording from PVE::Storage::Plugin and PVE::QemuServer. Leaves out: the rights that lists
of SDN look at, which are those of later releases.
"""

from __future__ import annotations

import re

from simulator.pve.before_9 import BACKUP, CONTAINER, DNS_APIS_8, GUEST
from simulator.pve.changes import Change
from simulator.pve.formats import FORMATS, WORD, one_of
from simulator.pve.propertystring import items
from simulator.pve_guest.guest_strings import MACHINE

_DN = r'\w+=("[\w ,+/<>;=]+"|[^ ,+"/<>;=]+)'

_NEWER_DNS = frozenset(
    items(
        "alviy artfiles bookmyname dnsexit gcore googledomains ionos_cloud ipv64 limacity nanelo "
        "omglol technitium tencent timeweb west_cn yandex360 zoneedit"
    )
)
_DNS_APIS_7 = (DNS_APIS_8 | {"do", "yandex"}) - _NEWER_DNS
FORMATS |= {
    "pve-poolid-7": lambda text: (
        "" if re.fullmatch(WORD, text) else f"pool name '{text}' contains invalid characters\n"
    ),
    "pve-qm-usb-device": lambda text: (
        ""
        if re.fullmatch(r"(0x)?[0-9A-Fa-f]{4}:(0x)?[0-9A-Fa-f]{4}|\d+-\d+(\.\d+)*|(?i:spice)", text)
        else "unable to parse usb device\n"
    ),
    "pve-storage-format": one_of(frozenset(items("raw qcow2 vmdk subvol")), "invalid format '{}'"),
}
_ABSENT = (
    r"\w+ /cluster/(mapping|notifications|metrics/export).*",
    r"\w+ /cluster/sdn/vnets/\{vnet\}/(firewall|ips).*",
    r"GET /cluster/sdn/ipams/\{ipam\}/status",
    r"\w+ /nodes/\{node\}/suspendall",
    r"\w+ /nodes/\{node\}/lxc/\{vmid\}/interfaces",
    r"(PUT|DELETE) /pools",
    r"\w+ /cluster/jobs/realm-sync.*",
    r"GET /nodes/\{node\}/storage/\{storage\}/import-metadata",
    r"PUT /access/users/\{userid\}/unlock-tfa",
    r"GET /nodes/\{node\}/ceph/cfg/value",
    r"GET /cluster/acme/meta",
    r"GET /nodes/\{node\}/hardware/pci/.*",
)
_CEPH = r"(/nodes/[^/]+/ceph)"
FORMER_IN_7 = {
    rf"GET {_CEPH}/pools/([^/]+)": r"\1/pool/\2/status",
    rf"\w+ {_CEPH}/pools(/[^/]+)?": r"\1/pool\2",
    rf"\w+ {_CEPH}/config": r"\1/cfg/raw",
    rf"\w+ {_CEPH}/configdb": r"\1/cfg/db",
}
"""Calls by their older paths, with those of now."""
BEFORE_8 = (
    *(Change(calls, absent=True) for calls in _ABSENT),
    Change(r"GET /cluster/sdn", may="/ SDN.Audit"),
    Change(r"GET /nodes/.*/file-restore/download", lacks="tar"),
    Change(r"POST /nodes/\{node\}/execute", may="/nodes/{node} Sys.Audit"),
    Change(r"(PUT|DELETE) /cluster/sdn/zones/\{zone\}", may="/sdn/zones SDN.Allocate"),
    Change(
        r"POST /cluster/sdn/vnets|(PUT|DELETE) /cluster/sdn/vnets/\{vnet\}",
        may="/sdn/vnets SDN.Allocate",
    ),
    Change(r"GET /cluster/sdn/vnets/\{vnet\}", may="/sdn/vnets/{vnet} SDN.Allocate"),
    Change(
        r"(POST|PUT|DELETE) /cluster/sdn/vnets/\{vnet\}/subnets.*",
        may="/sdn/vnets/{vnet}/subnets SDN.Allocate",
    ),
    Change(
        r"GET /cluster/sdn/vnets/\{vnet\}/subnets/\{subnet\}",
        may="/sdn/vnets/{vnet}/subnets/{subnet} SDN.Allocate",
    ),
    Change(r".*", differs="digest? string ..40"),
    Change(r"(POST|PUT) /nodes/\{node\}/apt/repositories", differs="digest? string ..80"),
    Change(
        r"GET /nodes/\{node\}/disks/(directory|lvm|lvmthin|smart|zfs.*)",
        may="/ Sys.Audit|Datastore.Audit",
    ),
    Change(
        r"(POST|DELETE) /nodes/\{node\}/disks/(directory|lvm|lvmthin|zfs).*",
        may="/ Sys.Modify&Datastore.Allocate",
    ),
    Change(
        r"GET /nodes/\{node\}/disks/list",
        may="/ Sys.Audit|Datastore.Audit, /nodes/{node} Sys.Audit|Datastore.Audit",
    ),
    Change(r"(POST|PUT) /nodes/\{node\}/ceph/pool.*", differs="name string"),
    Change(r"GET /nodes/\{node\}/query-url-metadata", may="/ Sys.Audit|Sys.Modify"),
    Change(r"POST /nodes/.*/qemu/.*/agent/exec", takes="command? string-alist"),
    Change(r"\w+ /access/roles.*", differs="privs? pve-priv-7-list"),
    Change(
        r"\w+ /access/users.*",
        differs="""
        comment?    string
        email?      email-opt
        firstname?  string
        keys?       string
        lastname?   string
        password?   string 5..64
        """,
    ),
    Change(r"PUT /access/password", lacks="confirmation-password", differs="password string 5..64"),
    Change(
        r"\w+ /access/domains.*",
        lacks="check-connection groups-autocreate groups-claim groups-overwrite query-userinfo",
        differs=f"""
        acr-values?  string
        base_dn?     /{_DN}(,\\s*{_DN})*/ ..256
        bind_dn?     /{_DN}(,\\s*{_DN})*/ ..256
        group_dn?    /{_DN}(,\\s*{_DN})*/ ..256
        """,
    ),
    Change(
        BACKUP,
        lacks="fleecing job-id notification-mode notification-policy notification-target "
        "pbs-change-detection-mode",
        differs="exclude-path? string-alist",
    ),
    Change(r"\w+ /cluster/backup/.*", differs="id string ..50"),
    Change(
        r"PUT /cluster/options",
        lacks="consent-text",
        differs="""
        language?  enum(ca,da,de,en,es,eu,fa,fr,he,it,ja,nb,nn,pl,pt_BR,ru,sl,sv,tr,zh_CN,zh_TW)
        """,
    ),
    Change(r"POST /cluster/acme/account", lacks="eab-hmac-key eab-kid"),
    Change(r"\w+ /cluster/acme/plugins.*", differs=f"api enum({','.join(sorted(_DNS_APIS_7))})"),
    Change(r"PUT /cluster/firewall/options", lacks="policy_forward"),
    Change(r"PUT /nodes/\{node\}/firewall/options", lacks="log_level_forward nftables"),
    Change(r".*/firewall/(rules|groups/).*", differs="type enum(in,out,group)"),
    Change(
        GUEST,
        lacks="amd-sev ciupgrade import-working-storage virtiofs[n]",
        differs="live-restore? boolean requires=archive\nmemory? integer 16..",
    ),
    Change(rf"{GUEST}|POST /nodes/.*/qemu/.*/status/start", differs=f"machine? {MACHINE} ..40"),
    Change(r"POST /nodes/.*/qemu/.*/status/start", lacks="nets-host-mtu"),
    Change(CONTAINER, lacks="dev[n]"),
    Change(r"POST /nodes/.*/status/stop", lacks="overrule-shutdown"),
    Change(
        r"\w+ /nodes/\{node\}/config",
        lacks="ballooning-target",
        differs="""
        property?   enum(acme,acmedomain0,acmedomain1,acmedomain2,acmedomain3,acmedomain4,
                         acmedomain5,description,startall-onboot-delay,wakeonlan)
        wakeonlan?  mac-addr
        """,
    ),
    Change(
        r"GET /nodes/\{node\}/network",
        differs="""
        type?  enum(bridge,bond,eth,alias,vlan,OVSBridge,OVSBond,OVSPort,OVSIntPort,any_bridge)
        """,
    ),
    Change(
        r"POST /nodes/\{node\}/network|PUT /nodes/\{node\}/network/\{iface\}",
        lacks="bridge_vids",
        differs="""
        type  enum(bridge,bond,eth,alias,vlan,OVSBridge,OVSBond,OVSPort,OVSIntPort,unknown)
        """,
    ),
    Change(r"\w+ /pools.*", differs="poolid pve-poolid-7"),
    Change(r"PUT /pools/\{poolid\}", lacks="allow-move"),
    Change(r"GET /pools", lacks="poolid type"),
    Change(r"\w+ /cluster/sdn/zones.*", lacks="dhcp vxlan-port"),
    Change(r"\w+ /cluster/sdn/vnets(/\{vnet\})?", lacks="isolate-ports"),
    Change(r"\w+ /cluster/sdn/vnets/\{vnet\}/subnets.*", lacks="dhcp-dns-server dhcp-range"),
    Change(
        r"\w+ /cluster/sdn/controllers.*",
        lacks="isis-domain isis-ifaces isis-net",
        differs="type enum(bgp,evpn,faucet)",
    ),
    Change(r"\w+ /cluster/sdn/(ipams|dns).*", lacks="fingerprint"),
    Change(
        r"(GET|POST) /storage",
        differs="""
        type  enum(btrfs,cephfs,cifs,dir,glusterfs,iscsi,iscsidirect,lvm,lvmthin,nfs,pbs,rbd,zfs,
                   zfspool)
        """,
    ),
    Change(
        r"POST /storage|PUT /storage/\{storage\}",
        lacks="create-base-path create-subdirs skip-cert-verification zfs-base-path",
        differs="format? pve-storage-format",
    ),
    Change(
        r"POST /nodes/\{node\}/storage/\{storage\}/content",
        differs="format? enum(raw,qcow2,subvol) requires=size",
    ),
    Change(
        r"POST /nodes/\{node\}/storage/\{storage\}/(download-url|upload)",
        lacks="compression",
        differs="content enum(iso,vztmpl)\ntmpfilename? string",
    ),
)
_IMAGES = "enum(raw,cow,qcow,qed,qcow2,vmdk,cloop)"
_MOUNT_OPTION = "(noatime|lazytime|nodev|nosuid|noexec)"
STRINGS_BEFORE_8 = (
    Change("efidisk", lacks="ms-cert"),
    Change("efidisk|ide|sata|scsi|virtio", differs=f"format? {_IMAGES}"),
    Change("mp|rootfs", differs=f"mountoptions? /{_MOUNT_OPTION}(;{_MOUNT_OPTION})*/"),
    Change(
        "notify",
        lacks="fencing replication target-fencing target-package-updates target-replication",
        takes="package-updates enum(auto,always,never)",
    ),
    Change("scsi", lacks="product vendor"),
    Change("usb", lacks="mapping", takes="host* pve-qm-usb-device"),
    Change("vga", lacks="clipboard"),
)
