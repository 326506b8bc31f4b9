"""Every rule across objects: quiet on a sound lab, loud once one line of it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from lab import rules
from lab.errors import LabInvalid, Problem
from lab.lab import Lab
from lab.load import load
from lab.rules import (
    addresses,
    belonging,
    bonds,
    cables,
    capacity,
    expectations,
    ha_rules,
    management,
    membership,
    mtu,
    osds,
    quorum,
    storage,
    trunks,
)

SOUND = (Path(__file__).parent / "sound.yaml").read_text()


@dataclass(frozen=True)
class Case:
    """`old` becomes `new` all over the sound lab; then `rule` says `says`, perhaps with more."""

    rule: rules.Rule
    old: str
    new: str
    says: str
    severity: str = "error"

    def lab(self) -> Lab:
        assert self.old in SOUND
        text = SOUND.replace(self.old, self.new)
        return load({"lab.yaml": text.encode()}, rules=False)


@cache
def sound() -> Lab:
    return load({"lab.yaml": SOUND.encode()})


def votes(rule: rules.Rule, settings: str, says: str, severity: str = "error") -> Case:
    """Cluster a, which has three nodes, with more corosync settings."""
    old = "time-source: 192.168.99.1, corosync: {links: [management]"
    return Case(rule, old, f"{old}, {settings}", says, severity)


CASES = [
    Case(
        cables.ends_exist,
        "pve1-1: {ends: [pve1/eno1, sw1/p1]}",
        "pve1-1: {ends: [pve1/eno1, sw3/p1]}",
        "cable pve1-1 ends at sw3, which is no device",
    ),
    Case(
        cables.ends_exist,
        "pve1-1: {ends: [pve1/eno1, sw1/p1]}",
        "pve1-1: {ends: [pve1/eno7, sw1/p1]}",
        "cable pve1-1 ends at pve1/eno7, and pve1 has no port eno7",
    ),
    Case(
        cables.one_cable_per_port,
        "pve1-1: {ends: [pve1/eno1, sw1/p1]}",
        "pve1-1: {ends: [pve1/eno1, sw1/p2]}",
        "sw1/p2 has cable pve1-1 and cable pve2-1",
    ),
    Case(
        cables.one_cable_per_port,
        "pve1-1: {ends: [pve1/eno1, sw1/p1]}",
        "pve1-1: {ends: [pve1/eno1, pve1/eno1]}",
        "cable pve1-1 begins and ends at pve1/eno1",
    ),
    Case(
        cables.device_names_differ,
        "  router1:",
        "  SW1:",
        "router SW1 and switch sw1 have one name",
    ),
    Case(
        cables.bonds_are_cabled,
        "  pve2-2: {ends: [pve2/eno2, sw2/p2]}\n",
        "",
        "eno2 of pve2 bond0 has no cable",
        "warning",
    ),
    Case(
        trunks.cables_carry_both_ends,
        "p2: {vlans: [management, production, backup], lag: pve2}",
        "p2: {vlans: [management, production], lag: pve2}",
        "pve2 bond0 carries backup, but sw1 p2 at the other end does not",
    ),
    Case(
        trunks.cables_carry_both_ends,
        "up: {vlans: [management, production]}",
        "up: {vlans: [management, production, backup]}",
        "sw1 up carries backup, but router1 lan at the other end does not",
        "warning",
    ),
    Case(
        trunks.cables_carry_both_ends,
        "eno4: {access: iscsi-2, mtu: 9000}",
        "eno4: {vlans: [iscsi-2], mtu: 9000}",
        "iscsi-2 is tagged on pve1 eno4 and untagged on sw2 s1",
    ),
    Case(
        trunks.cables_carry_both_ends,
        "eno3: {access: management}",
        "eno3: {access: production}",
        "cable nas1-3 joins production of nas1 eno3 to management of sw2 nm",
    ),
    Case(
        trunks.peer_link_carries_lags,
        "peer: {vlans: [management, production, backup], lag: to-sw2}",
        "peer: {vlans: [management, production], lag: to-sw2}",
        "peer link sw1 peer does not carry backup",
    ),
    Case(
        trunks.peer_link_carries_lags,
        "  peer: {ends: [sw1/peer, sw2/peer]}\n",
        "",
        "sw1 and its peer sw2 have no cable between them",
    ),
    Case(
        trunks.addresses_have_a_port,
        "eno2: {access: iscsi-2, mtu: 9000}, eno3",
        "eno2: {mtu: 9000}, eno3",
        "nas1 has an address in iscsi-2, but no port or bond of it carries iscsi-2",
    ),
    Case(
        trunks.addresses_have_a_port,
        "{lan: {vlans: [management, production]}}",
        "{lan: {access: management}}",
        "router1 has a leg in production, but no port of it carries production",
    ),
    Case(
        trunks.bridges_carry_guest_vlans,
        "net0: {vlan: production, address: 192.168.10.72}",
        "net0: {vlan: iscsi-1}",
        "guest zoro net0 needs iscsi-1, but no port of vmbr0 on pve1 carries it, "
        "nor on 1 more of its nodes",
    ),
    Case(
        trunks.bridges_carry_guest_vlans,
        "bridges: {vmbr0: {ports: [eno1]}}",
        "bridges: {vmbr1: {ports: [eno1]}}",
        "guest nami net0 needs production, but other1 has no bridge vmbr0",
    ),
    Case(
        mtu.ports_fit_vlans,
        "s1: {vlans: [ceph, iscsi-1], mtu: 9000}",
        "s1: {vlans: [ceph, iscsi-1]}",
        "sw1 s1 has MTU 1500, but ceph, iscsi-1 needs 9000",
    ),
    Case(
        mtu.ports_fit_vlans,
        "eno3: {vlans: [ceph, iscsi-1], mtu: 9000}",
        "eno3: {vlans: [ceph, iscsi-1], mtu: 4000}",
        "pve1 eno3 has MTU 4000, but ceph, iscsi-1 needs 9000",
    ),
    Case(
        mtu.hosts_send_no_more,
        "bonds: {bond0: {members: [eno1, eno2], vlans: [management, backup]}}",
        "bonds: {bond0: {members: [eno1, eno2], vlans: [management, backup], mtu: 9000}}",
        "bak1 bond0 has MTU 9000, and sw1 p4 takes 1500",
        "warning",
    ),
    Case(
        bonds.lacp_bonds_meet_one_lag,
        "p2: {vlans: [management, production, backup], lag: pve2}",
        "p2: {vlans: [management, production, backup]}",
        "pve2 bond0 is an LACP bond, but sw1 p2 has no lag",
    ),
    Case(
        bonds.lacp_bonds_meet_one_lag,
        "    peer: sw1\n",
        "",
        "pve1 bond0 ends on sw1 and sw2, which are no MLAG pair",
    ),
    Case(
        bonds.lacp_bonds_meet_one_lag,
        "sw1:\n    feeds: [feed1]\n    peer: sw2\n    ports:\n"
        "      p1: {vlans: [management, production, backup], lag: pve1}",
        "sw1:\n    feeds: [feed1]\n    peer: sw2\n    ports:\n"
        "      p1: {vlans: [management, production, backup], lag: other}",
        "the legs of pve1 bond0 end in different LAGs: other, pve1",
    ),
    Case(
        bonds.lacp_bonds_meet_one_lag,
        "bak1-2: {ends: [bak1/eno2, sw2/p4]}",
        "bak1-2: {ends: [bak1/eno2, other1/eno1]}",
        "bak1 bond0 is an LACP bond, but other1 eno1 is no switch port",
    ),
    Case(
        bonds.lags_meet_one_bond,
        "n1: {access: iscsi-1, mtu: 9000}",
        "n1: {access: iscsi-1, mtu: 9000, lag: nas1}",
        "sw1 n1 is in lag nas1, but nas1 eno1 is in no bond",
    ),
    Case(
        bonds.lags_meet_one_bond,
        "members: [eno1, eno2], vlans: [management, backup]",
        "members: [eno1, eno2], mode: active-backup, vlans: [management, backup]",
        "sw1 p4 is in lag bak1, but bak1 bond0 is active-backup",
    ),
    Case(
        bonds.lags_meet_one_bond,
        "lag: pve2",
        "lag: pve1",
        "lag pve1 leads to pve1 bond0 and to pve2 bond0",
    ),
    Case(
        bonds.lags_meet_one_bond,
        ", lag: to-sw2",
        "",
        "sw2 peer is in lag to-sw1, but sw1 peer is in none",
    ),
    Case(
        bonds.lags_meet_one_bond,
        "lag: to-sw2",
        "lag: to-sw1",
        "lag to-sw1 joins sw1 peer to sw2 peer, both ports of itself",
    ),
    Case(
        bonds.iscsi_is_not_bonded,
        "vlans: [management, backup]}}",
        "vlans: [management, backup, iscsi-1]}}",
        "bak1 bond0 carries the iSCSI VLAN iscsi-1",
    ),
    Case(
        addresses.addresses_are_used_once,
        "address: 192.168.10.72",
        "address: 192.168.10.71",
        "192.168.10.71 in production belongs to luffy net0 and to zoro net0",
    ),
    Case(
        addresses.addresses_are_used_once,
        "ilo: {address: 192.168.99.111",
        "ilo: {address: 192.168.99.1",
        "192.168.99.1 in management belongs to the ilo of pve1 and to router1",
    ),
    Case(
        addresses.addresses_are_in_the_subnet,
        "path2: {vlan: iscsi-2, address: 192.168.102.21}",
        "path2: {vlan: iscsi-2, address: 192.168.101.22}",
        "192.168.101.22 of portal path2 of nas1 is outside of iscsi-2, 192.168.102.0/24",
    ),
    Case(
        addresses.addresses_are_in_the_subnet,
        "address: 192.168.10.72",
        "address: 192.168.10.255",
        "192.168.10.255 of zoro net0 is no host's address in 192.168.10.0/24",
    ),
    Case(
        addresses.vlan_ids_are_used_once,
        "iscsi-2: {id: 102",
        "iscsi-2: {id: 101",
        "VLAN id 101 belongs to iscsi-1 and to iscsi-2",
    ),
    Case(
        addresses.vmids_are_used_once,
        "vmid: 102",
        "vmid: 101",
        "VMID 101 belongs to luffy and to zoro of cluster a",
    ),
    Case(
        addresses.vmids_are_used_once,
        "vmid: 201",
        "vmid: 101",
        "VMID 101 is also that of luffy in cluster a",
        "warning",
    ),
    Case(
        management.forwards_name_networks,
        "source: vpn",
        "source: vnp",
        "router router1 forwards source vnp, which is no network",
    ),
    Case(
        management.forwards_name_networks,
        "to: internet",
        "to: backup",
        "router router1 forwards to backup, where it has no leg",
    ),
    Case(
        management.routers_keep_guests_out,
        "{source: production, to: internet}",
        "{source: production, to: management}",
        "router router1 forwards production to management",
    ),
    Case(
        management.routers_keep_guests_out,
        "source: vpn",
        "source: internet",
        "router router1 forwards internet to management",
    ),
    Case(
        management.guests_do_not_bridge,
        "    pool: company\n",
        "    pool: company\n    forwards: true\n",
        "guest luffy forwards between guests and management",
    ),
    Case(
        management.ports_do_not_mix,
        "up: {vlans: [management, production]}",
        "up: {vlans: [production], native: management}",
        "sw1 up has management untagged beside production",
    ),
    Case(
        management.servers_keep_out_of_guest_vlans,
        "ilo: {address: 192.168.99.111, vlan: management}",
        "ilo: {address: 192.168.10.111, vlan: production}",
        "the ilo of pve1 is in production, a VLAN of guests",
    ),
    Case(
        management.servers_keep_out_of_guest_vlans,
        "addresses: {management: 192.168.99.14}",
        "addresses: {management: 192.168.99.14, production: 192.168.10.14}",
        "other1 has an address in production, a VLAN of guests",
        "warning",
    ),
    Case(
        ha_rules.guests_of_rules_are_under_ha,
        "    ha: {restart: 1, relocate: 1}\n",
        "",
        "ha-rule luffy-home names guest luffy, which is not under HA",
    ),
    Case(
        ha_rules.guests_are_in_one_rule_for_nodes,
        "    ha: {restart: 1, relocate: 1}\n",
        "    ha: {restart: 1, relocate: 1}\n    placement: {pin: [pve1]}\n",
        "ha-rule luffy-home says nodes of guest luffy, and so does its own pin",
    ),
    Case(
        ha_rules.guests_are_in_one_rule_for_nodes,
        "ha-rules:\n",
        "ha-rules:\n  home: {cluster: a, type: node-affinity, guests: [luffy], nodes: {pve1: 0}}\n",
        "ha-rule luffy-home says nodes of guest luffy, and so does ha-rule home",
    ),
    Case(
        ha_rules.rules_among_guests_have_two,
        "type: node-affinity, guests: [luffy], nodes: {pve1: 2, pve3: 1}, strict: true",
        "type: resource-affinity, guests: [luffy], affinity: positive",
        "ha-rule luffy-home is among guests, and names one only",
    ),
    Case(
        ha_rules.guests_are_together_or_apart,
        "ha-rules:\n",
        "ha-rules:\n"
        "  pair: {cluster: a, type: resource-affinity, guests: [luffy, zoro], affinity: positive}\n"
        "  odd: {cluster: a, type: resource-affinity, guests: [zoro, luffy], affinity: negative}\n",
        "ha-rule odd and ha-rule pair say of guests luffy and zoro that they are together and",
    ),
    Case(
        membership.host_names_are_valid,
        "other1:",
        "other_1:",
        "node other_1 is no valid host name",
    ),
    Case(
        membership.ha_has_three_votes,
        "    nets: {net0: {vlan: production}}\n",
        "    nets: {net0: {vlan: production}}\n    ha: {}\n",
        "guest nami is under HA, but cluster b has 1 of the 3 nodes that HA needs",
    ),
    Case(
        membership.ha_rules_have_a_release_that_knows_them,
        'a: {version: "9.2",',
        'a: {version: "8.4",',
        "ha-rule luffy-home is for cluster a, which has version 8.4 of Proxmox VE",
        "warning",
    ),
    Case(
        membership.clocks_have_one_source,
        " time-source: 192.168.99.1,",
        "",
        "cluster a names no time source",
        "warning",
    ),
    Case(
        membership.nodes_are_on_every_link,
        "addresses: {management: 192.168.99.12, ",
        "addresses: {",
        "pve2 has no address in management, a corosync link of cluster a",
    ),
    Case(
        membership.links_are_apart_from_storage,
        "time-source: 192.168.99.1, corosync: {links: [management]}",
        "time-source: 192.168.99.1, corosync: {links: [backup, management]}",
        "the first corosync link of cluster a is backup, which carries storage",
    ),
    Case(
        membership.links_are_apart_from_storage,
        "public: ceph",
        "public: management",
        "the first corosync link of cluster a is management, which carries storage",
    ),
    votes(
        quorum.corosync_is_faster_than_the_watchdog,
        "token-ms: 13500",
        "cluster a needs up to 31 s to agree that a node is lost",
        "warning",
    ),
    votes(
        quorum.two_node_has_two_nodes,
        "two-node: true",
        "cluster a has two-node and 3 nodes",
    ),
    votes(
        quorum.tie_breaker_of_odd_nodes_waits_for_all,
        "auto-tie-breaker: true",
        "cluster a has auto-tie-breaker and 3 nodes",
    ),
    votes(
        quorum.tie_breaker_of_odd_nodes_waits_for_all,
        "auto-tie-breaker: true, wait-for-all: true, last-man-standing: true",
        "cluster a has auto-tie-breaker and 3 nodes",
    ),
    votes(
        quorum.last_man_standing_waits_for_all,
        "last-man-standing: true",
        "cluster a has last-man-standing without wait-for-all",
        "warning",
    ),
    votes(
        quorum.expected_votes_are_those_of_the_nodes,
        "expected-votes: 2",
        "cluster a expects 2 votes of 3 nodes",
    ),
    votes(
        quorum.expected_votes_are_those_of_the_nodes,
        "expected-votes: 5",
        "cluster a expects 5 votes of 3 nodes",
        "warning",
    ),
    votes(
        quorum.qdevice_is_outside,
        "qdevice: {host: pve2, vlan: management}",
        "the qdevice of cluster a is pve2, one of its nodes",
    ),
    votes(
        quorum.qdevice_is_outside,
        "qdevice: {host: bak2, vlan: management}",
        "the qdevice of cluster a is bak2, which is no server",
    ),
    votes(
        quorum.qdevice_is_outside,
        "qdevice: {host: bak1, vlan: production}",
        "pve1 has no address in production, where cluster a has its qdevice",
    ),
    votes(
        quorum.ffsplit_has_even_nodes,
        "qdevice: {host: bak1, vlan: management}",
        "cluster a has 3 nodes and a qdevice with ffsplit",
        "warning",
    ),
    Case(
        belonging.names_stay_in_their_clusters,
        "pin: [pve1, pve2]",
        "pin: [pve1, other1]",
        "guest zoro names node other1, which is in cluster b",
    ),
    Case(
        belonging.names_stay_in_their_clusters,
        "storage: local, size: 20GiB",
        "storage: vm-ceph, size: 20GiB",
        "guest nami names storage vm-ceph, which is not on cluster b",
    ),
    Case(
        belonging.names_stay_in_their_clusters,
        "guests: [luffy, zoro]",
        "guests: [luffy, nami]",
        "backup-job weekly names guest nami, which is in cluster b",
    ),
    Case(
        belonging.names_stay_in_their_clusters,
        "company: {clusters: [a]",
        "company: {clusters: [b]",
        "guest luffy names pool company, which is not on cluster a",
    ),
    Case(
        storage.backing_exists,
        "ceph: a, pool: vm}",
        "ceph: a, pool: vms}",
        "storage vm-ceph: ceph a has no pool vms",
    ),
    Case(
        storage.backing_exists,
        "target: vms, lun: 0",
        "target: vm, lun: 0",
        "storage vm-lun: nas1 has no target vm",
    ),
    Case(
        storage.backing_exists,
        "target: vms, lun: 0",
        "target: vms, lun: 1",
        "storage vm-lun: target vms of nas1 has no LUN 1",
    ),
    Case(
        storage.backing_exists,
        "backup-server: bak1, export: all",
        "backup-server: bak1, export: al",
        "storage saved: bak1 has no export al",
    ),
    Case(
        storage.backing_exists,
        "backup-server: bak1, export: all",
        "nas: nas1, share: all",
        "storage saved: nas1 has no share all",
    ),
    Case(
        storage.nodes_reach_storages,
        "{vlans: [ceph, iscsi-1], mtu: 9000}, eno4",
        "{vlans: [iscsi-1], mtu: 9000}, eno4",
        "storage vm-ceph is on ceph, which pve1 does not carry",
    ),
    Case(
        storage.nodes_reach_storages,
        "eno4: {access: iscsi-2, mtu: 9000}",
        "eno4: {}",
        "storage vm-lun is on iscsi-2, which pve1 does not carry",
    ),
    Case(
        storage.nodes_reach_storages,
        ", backup: 192.168.254.12}",
        "}",
        "storage saved is on backup, where pve2 has no address",
        "warning",
    ),
    Case(
        storage.initiators_are_let_in,
        "initiators: [pve1, pve2, pve3]",
        "initiators: [pve1, pve2]",
        "pve3 has storage vm-lun, but is no initiator of target vms",
    ),
    Case(
        storage.initiators_have_names,
        "  pve1:\n    cluster: a",
        "  pve1:\n    initiator: iqn.1993-08.org.debian:pve1\n    cluster: a",
        "target vms of nas1: no initiator name is known of pve2, pve3",
    ),
    Case(
        storage.servers_are_on_their_vlans,
        "eno2: {access: iscsi-2, mtu: 9000}, eno3",
        "eno2: {mtu: 9000}, eno3",
        "portal path2 is on iscsi-2, which no port or bond of nas1 carries",
    ),
    Case(
        storage.servers_are_on_their_vlans,
        "vlans: [management, backup]}}",
        "vlans: [management]}}",
        "export all is on backup, which no port or bond of bak1 carries",
    ),
    Case(
        storage.local_storages_are_on_disks_of_the_node,
        "path: /var/lib/vz}",
        "path: /var/lib/vz, raid: data}",
        "storage local is on data, which is no RAID of other1",
    ),
    Case(
        storage.disks_are_on_fit_storages,
        "vm-ceph: {type: rbd, clusters: [a], content: [images]",
        "vm-ceph: {type: rbd, clusters: [a], content: [rootdir]",
        "guest luffy scsi0 is on vm-ceph, which holds no images",
    ),
    Case(
        storage.disks_are_on_fit_storages,
        "target: vms, lun: 0}",
        "target: vms, lun: 0, nodes: [pve1]}",
        "guest zoro scsi0 is on vm-lun, which pve2 does not have",
    ),
    Case(
        storage.disks_are_on_fit_storages,
        "storage: vm-ceph, size: 50GiB",
        "storage: local, size: 50GiB",
        "guest luffy scsi0 is on local, which each node has for itself",
        "warning",
    ),
    Case(
        storage.backups_have_a_place,
        "content: [backup]",
        "content: [iso]",
        "backup-job weekly writes to saved, which holds no backups",
    ),
    Case(
        osds.osds_have_a_disk_each,
        "node: pve2, disk: sdc",
        "node: pve2, disk: sdz",
        "osd 1 of ceph a is on pve2/sdz, which is no disk there",
    ),
    Case(
        osds.osds_have_a_disk_each,
        "node: pve1, disk: osd-c",
        "node: pve1, disk: sda",
        "osd 0 of ceph a is on pve1/sda, part of the raid1 os",
    ),
    Case(
        osds.osds_have_a_disk_each,
        "1: {node: pve2, disk: sdc}",
        "1: {node: pve1, disk: sdc}",
        "pve1/sdc belongs to osd 0 of ceph a and to osd 1 of ceph a",
    ),
    Case(
        osds.copies_find_a_place,
        "pools: {vm: {}}",
        "pools: {vm: {size: 4}}",
        "pool vm of ceph a keeps 4 copies on 3 hosts",
    ),
    Case(
        osds.monitors_have_a_majority,
        "mons: [pve1, pve2, pve3]",
        "mons: [pve1, pve2]",
        "ceph a has 2 monitors",
        "warning",
    ),
    Case(
        osds.monitors_have_a_majority,
        "mons: [pve1, pve2, pve3]",
        "mons: [pve1, pve1, pve3]",
        "ceph a names 3 monitors on 2 nodes",
    ),
    Case(
        osds.nodes_are_on_the_public_network,
        " ceph: 192.168.253.13,",
        "",
        "pve3 serves ceph a, but has no address in ceph",
    ),
    Case(
        capacity.guests_fit_a_node,
        "memory: 8GiB\n    disks: {scsi0: {storage: vm-lun",
        "memory: 16GiB\n    disks: {scsi0: {storage: vm-lun",
        "guest zoro wants 16GiB, and the largest node where it may be has 15GiB for guests",
    ),
    Case(
        capacity.guests_fit_a_node,
        "cores: 8",
        "cores: 40",
        "guest luffy wants 40 cores, and no node where it may be has more than 32",
    ),
    Case(
        capacity.guests_have_a_home,
        "nodes: {pve1: 2, pve3: 1}, strict: true",
        "nodes: {other1: 2}, strict: true",
        "guest luffy may be on no node of cluster a",
    ),
    Case(
        expectations.accepted_faults_exist,
        "accept: fail-switch sw1 fail-switch sw2",
        "accept: fail-switch sw1 fail-switch sw3",
        "expectation known accepts fail-switch sw3, but there is no switch sw3",
    ),
    Case(
        expectations.accepted_faults_exist,
        "accept: fail-switch sw1 fail-switch sw2",
        "accept: switch sw1",
        "expectation known: 'switch' is no fault",
    ),
]


def test_a_sound_lab_breaks_no_rule() -> None:
    assert rules.problems(sound()) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_a_changed_line_is_reported_with_its_place(case: Case) -> None:
    found = list(case.rule(case.lab()))
    said = [problem for problem in found if problem.what.startswith(case.says)]
    assert said, [problem.what for problem in found]
    assert said[0].severity == case.severity
    assert said[0].place is not None
    assert said[0].why or said[0].fix


def test_a_vlan_that_only_one_end_carries_asks_nothing_of_the_mtu() -> None:
    offered = "up: {vlans: [management, production]}", "up: {vlans: [management, production, ceph]}"
    lab = Case(mtu.ports_fit_vlans, *offered, says="").lab()
    assert list(mtu.ports_fit_vlans(lab)) == []


def test_two_nodes_bear_a_loss_under_ha_where_a_quorum_device_has_a_vote() -> None:
    def fixes(text: str) -> list[str]:
        lab = load({"lab.yaml": text.encode()}, rules=False)
        return [problem.fix for problem in membership.ha_has_three_votes(lab)]

    two = SOUND.replace("  pve3:\n    cluster: a", "  pve3:\n    cluster: b")
    assert fixes(two) == ["add a node or a qdevice to cluster a, or remove ha"]
    device = "corosync: {links: [management], qdevice: {host: bak1, vlan: management}}"
    assert fixes(two.replace("corosync: {links: [management]}", device)) == []


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(rules.RULES)


def test_warnings_do_not_stop_loading() -> None:
    for case in CASES:
        if case.severity == "warning":
            lab = load({"lab.yaml": SOUND.replace(case.old, case.new).encode()})
            severities = {problem.severity for problem in rules.problems(lab)}
            assert severities == {"warning"}, case.says


def test_errors_stop_loading_with_all_of_them() -> None:
    text = SOUND.replace("vmid: 102", "vmid: 101").replace("cores: 8", "cores: 40")
    with pytest.raises(LabInvalid) as caught:
        load({"lab.yaml": text.encode()})
    assert [problem.what for problem in caught.value.problems] == [
        "guest luffy wants 40 cores, and no node where it may be has more than 32",
        "VMID 101 belongs to luffy and to zoro of cluster a",
    ]


def test_a_fault_that_a_fix_mends_is_gone_afterwards() -> None:
    broken = SOUND.replace("pools: {vm: {}}", "pools: {vm: {size: 4}}")
    (problem,) = rules.problems(load({"lab.yaml": broken.encode()}, rules=False))
    assert isinstance(problem, Problem)
    assert problem.fix == "add OSDs on more hosts, or write size: 3"
    mended = broken.replace("size: 4}", "size: 3}")
    assert rules.problems(load({"lab.yaml": mended.encode()})) == ()
