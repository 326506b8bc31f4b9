"""One case for each kind of thing: how it is declared, how a device that has it answers, and what
makes it. The answers are written by the facts of the API and have what others set beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.managed import Managed
from controller.pve.acl import Acl
from controller.pve.backup_job import BackupJob
from controller.pve.group import Group
from controller.pve.ha_resource import HaResource
from controller.pve.ha_rule import HaRule
from controller.pve.options import Options
from controller.pve.pool import Pool
from controller.pve.role import Role
from controller.pve.storage import Storage
from controller.pve.user import User
from controller.pve.vm import Vm

DIGEST = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
VERSION = {"/version": {"version": "9.2.11", "release": "9.2", "repoid": "14a22df35955d97d"}}
GUESTS = """
guests:
  luffy: {vmid: 101, cluster: a}
  zoro: {vmid: 102, cluster: a}
"""


@dataclass(frozen=True)
class Case:
    """`declared` is the text of the language, `answers` what a device that agrees says."""

    kind: type[Managed]
    declared: str
    answers: Mapping[str, Any]
    made_by: tuple[str, ...]
    beside: str = ""  # what the declaration refers to


def guest_answers(
    options: Mapping[str, Any],
    *,
    status: str = "running",
    pending: Mapping[str, Any] | None = None,
    **row: Any,
) -> dict[str, Any]:
    """Answers about guest 101 on pve2. `pending` waits for a restart; None: the option goes."""
    waiting = pending or {}
    view: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in options.items()]
    for key, value in waiting.items():
        entry = next((each for each in view if each["key"] == key), None)
        if entry is None:
            view.append(entry := {"key": key})
        entry |= {"delete": 1} if value is None else {"pending": value}
    resource = {"type": "qemu", "id": "qemu/101", "vmid": 101, "node": "pve2", "status": status}
    container = {"type": "lxc", "vmid": 900, "node": "pve1", "status": "running"}
    return {
        "/cluster/resources?type=vm": [resource | {"template": 0, "uptime": 5} | row, container],
        "/nodes/pve2/qemu/101/pending": [*view, {"key": "digest", "value": DIGEST}],
    }


GUEST_OPTIONS = {
    "name": "luffy",
    "cores": 8,
    "sockets": "1",
    "cpu": "cputype=host,flags=+aes",
    "memory": "8192",
    "ostype": "win10",
    "onboot": 1,
    "agent": "1,fstrim_cloned_disks=1",
    "tags": "prod;web",
    "description": "Domain controller\nand DNS\n",
    "scsi0": "vm:vm-101-disk-0,iothread=1,size=50G,ssd=1",
    "scsi1": "vm:vm-101-disk-1,discard=on,size=102400M",
    "net0": "virtio=BC:24:11:AA:00:01,bridge=vmbr0,firewall=1,tag=10",
    "ide2": "none,media=cdrom",
    "efidisk0": "vm:vm-101-disk-2,efitype=4m,size=528K",
    "unused0": "vm:vm-101-disk-9",
    "scsihw": "virtio-scsi-single",
    "boot": "order=scsi0;net0",
    "meta": "creation-qemu=9.2.0,ctime=1795341550",
    "vmgenid": "1d16f0f2-ba33-4463-ba8f-fd59013f1dac",
}
GUEST = """
guests:
  luffy:
    vmid: 101
    cluster: a
    state: started
    cores: 8
    sockets: 1
    cpu: host,flags=+aes
    memory: 8GiB
    os: win10
    onboot: true
    agent: true
    tags: [Web, prod]
    description: |
      Domain controller
      and DNS
    pool: company
    disks:
      scsi0: {storage: vm, size: 50GiB, discard: false, ssd: true}
      scsi1: {storage: vm, size: 100GiB, discard: true, ssd: false}
    nets:
      net0: {bridge: vmbr0, vlan: prod, model: virtio, firewall: true}
"""

CASES = {
    "options": Case(
        Options,
        """
clusters:
  a:
    version: "9.2"
    corosync: {links: [mgmt]}
    options:
      keyboard: es
      console: html5
      email-from: root@lab.example
      mac-prefix: "AA:BB:CC"
      migration-vlan: mgmt
      shutdown-policy: migrate
      scheduler: static
      description: |
        two
        lines
""",
        {
            "/cluster/options": {
                "keyboard": "es",
                "console": "html5",
                "email_from": "root@lab.example",
                "mac_prefix": "AA:BB:CC",
                "migration": {"type": "insecure", "network": "192.168.99.0/24"},
                "ha": {"shutdown_policy": "migrate"},
                "crs": {"ha": "static", "ha-rebalance-on-start": "1"},
                "description": "two\nlines\n",
                "language": "es",
                "allowed-tags": [],
                "bwlimit": "migration=1000",
            }
        },
        (),
    ),
    "role": Case(
        Role,
        "roles: {Student: {clusters: [a], privileges: [VM.Console, VM.Audit]}}",
        {
            "/access/roles": [
                {"roleid": "Student", "privs": "VM.Audit,VM.Console", "special": 0},
                {"roleid": "PVEAuditor", "privs": "VM.Audit", "special": 1},
            ]
        },
        ("POST /access/roles roleid=Student privs=VM.Audit,VM.Console",),
    ),
    "group": Case(
        Group,
        'groups: {admins: {clusters: [a], comment: "Who runs it: all"}}',
        {"/access/groups": [{"groupid": "admins", "comment": "Who runs it: all", "users": ""}]},
        ("POST /access/groups groupid=admins comment=Who runs it: all",),
    ),
    "user": Case(
        User,
        """
users:
  "ana@pve": {clusters: [a], groups: [teachers, admins], enabled: false, first-name: Ana,
              last-name: Pérez, email: ana@lab.example, comment: ñ}
""",
        {
            "/access/users?full=1": [
                {
                    "userid": "ana@pve",
                    "groups": "admins,teachers",
                    "enable": 0,
                    "expire": 0,
                    "firstname": "Ana",
                    "lastname": "Pérez",
                    "email": "ana@lab.example",
                    "comment": "ñ",
                    "realm-type": "pve",
                    "tokens": None,
                }
            ]
        },
        (
            "POST /access/users userid=ana@pve groups=admins,teachers enable=0 firstname=Ana "
            "lastname=Pérez email=ana@lab.example comment=ñ",
        ),
    ),
    "storage on Ceph": Case(
        Storage,
        """
storages:
  vm: {type: rbd, clusters: [a], content: [rootdir, images], ceph: a, pool: vm, krbd: true,
       nodes: [pve2, pve1], enabled: false}
""",
        {
            "/storage": [
                {
                    "storage": "vm",
                    "type": "rbd",
                    "pool": "vm",
                    "krbd": 1,
                    "content": "images,rootdir",
                    "nodes": "pve2,pve1",
                    "disable": 1,
                    "shared": 1,
                    "digest": DIGEST,
                }
            ]
        },
        (
            "POST /storage storage=vm type=rbd content=images,rootdir nodes=pve1,pve2 disable=1 "
            "pool=vm krbd=1",
        ),
    ),
    "storage on an array's share": Case(
        Storage,
        """
storages:
  iso: {type: nfs, clusters: [a], content: [iso], nas: nas1, share: iso, keep: {last: 3, daily: 7}}
""",
        {
            "/storage": [
                {
                    "storage": "iso",
                    "type": "nfs",
                    "server": "192.168.103.21",
                    "export": "/mnt/tank/iso",
                    "path": "/mnt/pve/iso",
                    "options": "vers=4.2",
                    "content": "iso",
                    "prune-backups": "keep-daily=7,keep-last=3",
                    "shared": 1,
                    "digest": DIGEST,
                }
            ]
        },
        (
            "POST /storage storage=iso type=nfs content=iso server=192.168.103.21 "
            "export=/mnt/tank/iso prune-backups=keep-daily=7,keep-last=3",
        ),
    ),
    "storage on a backup server": Case(
        Storage,
        """
storages:
  bk: {type: nfs, clusters: [a], content: [backup], backup-server: bak1, export: a}
""",
        {
            "/storage": [
                {
                    "storage": "bk",
                    "type": "nfs",
                    "server": "192.168.254.31",
                    "export": "/backup/a",
                    "content": "backup",
                }
            ]
        },
        (
            "POST /storage storage=bk type=nfs content=backup server=192.168.254.31 "
            "export=/backup/a",
        ),
    ),
    "storage on a LUN": Case(
        Storage,
        """
storages:
  lv: {type: lvm, clusters: [a], content: [images], nas: nas1, target: t1, lun: 0, vg: vg0}
""",
        {
            "/storage": [
                {
                    "storage": "lv",
                    "type": "lvm",
                    "vgname": "vg0",
                    "shared": 1,
                    "content": "images",
                }
            ]
        },
        ("POST /storage storage=lv type=lvm content=images vgname=vg0 shared=1",),
    ),
    "storage in a ZFS pool": Case(
        Storage,
        "storages: {z: {type: zfspool, clusters: [a], content: [images], pool: rpool/data,"
        " sparse: true}}",
        {
            "/storage": [
                {
                    "storage": "z",
                    "type": "zfspool",
                    "pool": "rpool/data",
                    "sparse": 1,
                    "content": "images",
                }
            ]
        },
        ("POST /storage storage=z type=zfspool content=images pool=rpool/data sparse=1",),
    ),
    "storage in a thin pool": Case(
        Storage,
        "storages: {t: {type: lvmthin, clusters: [a], content: [images], vg: pve,"
        " thin-pool: data}}",
        {
            "/storage": [
                {
                    "storage": "t",
                    "type": "lvmthin",
                    "vgname": "pve",
                    "thinpool": "data",
                    "content": "images",
                }
            ]
        },
        ("POST /storage storage=t type=lvmthin content=images vgname=pve thinpool=data",),
    ),
    "storage in a folder": Case(
        Storage,
        "storages: {local: {type: dir, clusters: [a], content: [iso, backup], path: /var/lib/vz}}",
        {
            "/storage": [
                {
                    "storage": "local",
                    "type": "dir",
                    "path": "/var/lib/vz",
                    "content": "iso,backup",
                }
            ]
        },
        ("POST /storage storage=local type=dir content=backup,iso path=/var/lib/vz",),
    ),
    "pool": Case(
        Pool,
        "pools: {company: {clusters: [a], comment: Mugiwara, storages: [vm, iso]}}",
        {
            "/pools": [{"poolid": "company", "comment": "Mugiwara"}],
            "/pools?poolid=company": [
                {
                    "poolid": "company",
                    "comment": "Mugiwara",
                    "members": [
                        {
                            "type": "storage",
                            "storage": "vm",
                            "node": "pve1",
                            "id": "storage/pve1/vm",
                        },
                        {
                            "type": "storage",
                            "storage": "vm",
                            "node": "pve2",
                            "id": "storage/pve2/vm",
                        },
                        {"type": "storage", "storage": "iso", "node": "pve1"},
                        {"type": "qemu", "vmid": 101, "node": "pve1", "id": "qemu/101"},
                    ],
                }
            ],
        },
        (
            "POST /pools poolid=company comment=Mugiwara",
            "PUT /pools poolid=company storage=iso,vm",
        ),
    ),
    "acl": Case(
        Acl,
        "acls: {x: {clusters: [a], path: /pool/company, groups: [admins], roles: [PVEVMAdmin], "
        "propagate: false}}",
        {
            "/access/acl": [
                {
                    "path": "/pool/company",
                    "type": "group",
                    "ugid": "admins",
                    "roleid": "PVEVMAdmin",
                    "propagate": 0,
                }
            ]
        },
        ("PUT /access/acl path=/pool/company roles=PVEVMAdmin groups=admins propagate=0",),
        beside="pools: {company: {clusters: [a]}}",
    ),
    "guest": Case(
        Vm,
        GUEST,
        guest_answers(GUEST_OPTIONS, pool="company", name="luffy"),
        (
            "POST /nodes/pve3/qemu vmid=101 name=luffy cores=8 sockets=1 cpu=host,flags=+aes "
            "memory=8192 ostype=win10 onboot=1 tags=prod;web "
            "description=Domain controller\nand DNS pool=company agent=1 "
            "net0=virtio,bridge=vmbr0,firewall=1,tag=10 scsi0=vm:50,discard=ignore,ssd=1 "
            "scsi1=vm:100,discard=on,ssd=0",
            "POST /nodes/{node:101}/qemu/101/status/start",
        ),
    ),
    "guest under HA": Case(
        HaResource,
        "guests: {luffy: {vmid: 101, cluster: a, state: stopped, ha: {restart: 2, relocate: 0}}}",
        {
            "/cluster/ha/resources": [
                {
                    "sid": "vm:101",
                    "type": "vm",
                    "state": "stopped",
                    "max_restart": 2,
                    "max_relocate": 0,
                    "failback": 1,
                    "digest": DIGEST,
                }
            ]
        },
        ("POST /cluster/ha/resources sid=vm:101 state=stopped max_restart=2 max_relocate=0",),
    ),
    "rule for nodes": Case(
        HaRule,
        "ha-rules: {near: {cluster: a, type: node-affinity, guests: [zoro, luffy], "
        "nodes: {pve1: 2, pve2: 0}, strict: true, comment: near its disk}}",
        VERSION
        | {
            "/cluster/ha/rules": [
                {
                    "rule": "near",
                    "type": "node-affinity",
                    "resources": "vm:102,vm:101",
                    "nodes": "pve2,pve1:2",
                    "strict": 1,
                    "comment": "near its disk",
                    "order": 1,
                    "digest": DIGEST,
                }
            ]
        },
        (
            "POST /cluster/ha/rules rule=near type=node-affinity resources=vm:101,vm:102 "
            "nodes=pve1:2,pve2:0 strict=1 comment=near its disk",
        ),
        beside=GUESTS,
    ),
    "rule for guests": Case(
        HaRule,
        "ha-rules: {apart: {cluster: a, type: resource-affinity, guests: [luffy, zoro], "
        "affinity: negative}}",
        VERSION
        | {
            "/cluster/ha/rules": [
                {
                    "rule": "apart",
                    "type": "resource-affinity",
                    "resources": "vm:101,vm:102",
                    "affinity": "negative",
                    "order": 1,
                }
            ]
        },
        (
            "POST /cluster/ha/rules rule=apart type=resource-affinity resources=vm:101,vm:102 "
            "affinity=negative",
        ),
        beside=GUESTS,
    ),
    "pin of a guest under HA": Case(
        HaRule,
        "guests: {luffy: {vmid: 101, cluster: a, ha: {}, placement: {pin: [pve2, pve1]}}}",
        VERSION
        | {
            "/cluster/ha/rules": [
                {
                    "rule": "pin-101",
                    "type": "node-affinity",
                    "resources": "vm:101",
                    "nodes": "pve1,pve2",
                    "strict": 1,
                }
            ]
        },
        (
            "POST /cluster/ha/rules rule=pin-101 type=node-affinity resources=vm:101 "
            "nodes=pve1:0,pve2:0 strict=1",
        ),
    ),
    "backup job for guests": Case(
        BackupJob,
        "backup-jobs: {weekly: {cluster: a, schedule: 'sat 03:00', storage: bk, "
        "guests: [zoro, luffy], mode: stop, keep: {last: 4}, enabled: false, comment: all}}",
        {
            "/cluster/backup": [
                {
                    "id": "weekly",
                    "type": "vzdump",
                    "schedule": "sat 03:00",
                    "storage": "bk",
                    "vmid": "102,101",
                    "mode": "stop",
                    "prune-backups": {"keep-last": "4"},
                    "enabled": 0,
                    "comment": "all",
                    "compress": "zstd",
                    "next-run": 1795834800,
                }
            ]
        },
        (
            "POST /cluster/backup id=weekly schedule=sat 03:00 storage=bk vmid=101,102 mode=stop "
            "enabled=0 comment=all prune-backups=keep-last=4",
        ),
        beside=GUESTS,
    ),
    "backup job for a pool": Case(
        BackupJob,
        "backup-jobs: {weekly: {cluster: a, schedule: daily, storage: bk, pool: company}}",
        {
            "/cluster/backup": [
                {
                    "id": "weekly",
                    "type": "vzdump",
                    "schedule": "daily",
                    "storage": "bk",
                    "pool": "company",
                    "enabled": 1,
                }
            ]
        },
        ("POST /cluster/backup id=weekly schedule=daily storage=bk pool=company",),
    ),
}
