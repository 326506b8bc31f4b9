"""One case for each kind of thing: how it is declared, how an array that has it answers, and what
makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.truenas.chap import Chap
from controller.truenas.dataset import Dataset
from controller.truenas.extent import Extent
from controller.truenas.initiator_group import InitiatorGroup
from controller.truenas.lun import Lun
from controller.truenas.nfs_share import NfsShare
from controller.truenas.portal import Portal
from controller.truenas.snapshot_task import SnapshotTask
from controller.truenas.target import Target
from controller.truenas.thing import NasThing
from controller.truenas.zvol import Zvol
from tests.controller.truenas.worlds import (
    DATASET,
    EXTENT,
    GROUP,
    LOGIN,
    PORTALS,
    ROOT,
    SHARE,
    TARGET,
    TASK,
    ZVOL,
    A,
    B,
    prop,
)

CHAIN = """
zvols: {group1: {pool: tank, size: 100GiB, sparse: false, block-size: 16KiB}}
portals:
  path1: {vlan: iscsi-1, address: 192.168.101.21}
  path2: {vlan: iscsi-2, address: 192.168.102.21, comment: second}
targets:
  vms: {portals: [path1, path2], initiators: [pve1, pve2], luns: {0: group1}}
"""


LET_IN = f'"initiator": "{{initiator-group {A},{B} vms}}", "authmethod": "NONE", "auth": null'


@dataclass(frozen=True)
class Case:
    """`declared` is what stands below the array's entry, `answers` changes of what it says."""

    kind: type[NasThing]
    declared: str
    made_by: tuple[str, ...]
    answers: Mapping[str, object] = field(default_factory=dict)
    identity: str = ""


CASES = {
    "dataset": Case(
        Dataset,
        """
datasets:
  tank/iso: {quota: 20GiB, refquota: 10GiB, compression: zstd, sync: always, atime: false,
             record-size: 1MiB, comment: ISO images}
""",
        (
            'pool.dataset.create({"name": "tank/iso", "type": "FILESYSTEM", "compression": "ZSTD", '
            '"sync": "ALWAYS", "comments": "ISO images", "quota": 21474836480, '
            '"refquota": 10737418240, "recordsize": "1024K", "atime": "OFF"})',
        ),
        {
            "pool.dataset.query": [
                ROOT,
                DATASET
                | {
                    "quota": prop(20 * 2**30, "20G"),
                    "refquota": prop(10 * 2**30, "10G"),
                    "compression": prop("zstd", "ZSTD"),
                    "sync": prop("always", "ALWAYS"),
                    "atime": prop(False, "OFF"),
                    "recordsize": prop(2**20, "1M"),
                    "comments": prop("ISO images", "ISO images"),
                },
                ZVOL,
            ]
        },
    ),
    "zvol": Case(
        Zvol,
        """
zvols: {group1: {pool: tank, size: 100GiB, sparse: true, block-size: 64KiB, sync: always}}
""",
        (
            'pool.dataset.create({"name": "tank/group1", "type": "VOLUME", "volsize": 107374182400,'
            ' "sparse": true, "volblocksize": "64K", "sync": "ALWAYS"})',
        ),
        {
            "pool.dataset.query": [
                ROOT,
                ZVOL
                | {
                    "refreservation": prop(None, "NONE", "DEFAULT"),
                    "volblocksize": prop(65536, "64K"),
                    "sync": prop("always", "ALWAYS"),
                },
            ]
        },
    ),
    "portal": Case(
        Portal,
        CHAIN,
        (
            'iscsi.portal.create({"listen": [{"ip": "192.168.102.21"}], "comment": "second"})',
        ),
        identity="192.168.102.21",
    ),
    "portal on two networks": Case(
        Portal,
        """
portals:
  path1: {vlan: iscsi-1, address: 192.168.101.21, group: both, comment: both}
  path2: {vlan: iscsi-2, address: 192.168.102.21, group: both}
""",
        (
            'iscsi.portal.create({"listen": [{"ip": "192.168.101.21"}, {"ip": "192.168.102.21"}], '
            '"comment": "both"})',
        ),
        {
            "iscsi.portal.query": [
                PORTALS[0]
                | {
                    "comment": "both",
                    "listen": [{"ip": "192.168.102.21"}, {"ip": "192.168.101.21"}],
                }
            ],
            "iscsi.target.query": [],
            "iscsi.targetextent.query": [],
        },
    ),
    "initiator group of a target": Case(
        InitiatorGroup,
        CHAIN,
        (f'iscsi.initiator.create({{"initiators": ["{A}", "{B}"], "comment": "vms"}})',),
    ),
    "initiator group of its own": Case(
        InitiatorGroup,
        'initiator-groups: {lab: {nodes: [pve1], names: ["iqn.x:other"], comment: of the lab}}',
        (
            f'iscsi.initiator.create({{"initiators": ["{A}", "iqn.x:other"], '
            '"comment": "of the lab"})',
        ),
        {
            "iscsi.initiator.query": [
                GROUP | {"initiators": ["iqn.x:other", A], "comment": "of the lab"}
            ]
        },
    ),
    "login": Case(
        Chap,
        'chap: {students: {tag: 7, user: students, secret: "secret://env/CHAP"}}',
        ('iscsi.auth.create({"tag": 7, "user": "students", "secret": "***"})',),
        {"iscsi.auth.query": [LOGIN]},
    ),
    "login both ways": Case(
        Chap,
        'chap: {x: {tag: 7, user: students, secret: "secret://env/CHAP", peer-user: array, '
        'peer-secret: "secret://env/PEER"}}',
        (
            'iscsi.auth.create({"tag": 7, "user": "students", "secret": "***", '
            '"peeruser": "array", "peersecret": "***"})',
        ),
        {
            "iscsi.auth.query": [
                LOGIN | {"peeruser": "array", "peersecret": "secret://env/PEER"},
            ]
        },
    ),
    "target": Case(
        Target,
        CHAIN,
        (
            'iscsi.target.create({"name": "vms", "groups": ['
            f'{{"portal": "{{portal 192.168.101.21}}", {LET_IN}}}, '
            f'{{"portal": "{{portal 192.168.102.21}}", {LET_IN}}}]}})',
        ),
    ),
    "target with a login, for all": Case(
        Target,
        """
portals: {path1: {vlan: iscsi-1, address: 192.168.101.21}}
chap: {x: {tag: 7, user: students, secret: "secret://env/CHAP"}}
targets: {vms: {portals: [path1], initiators: [], luns: {}, chap: x, alias: the lab}}
""",
        (
            'iscsi.target.create({"name": "vms", "groups": [{"portal": "{portal 192.168.101.21}", '
            '"initiator": null, "authmethod": "CHAP", "auth": 7}], "alias": "the lab"})',
        ),
        {
            "iscsi.auth.query": [LOGIN],
            "iscsi.target.query": [
                TARGET
                | {
                    "alias": "the lab",
                    "groups": [{"portal": 3, "initiator": None, "authmethod": "CHAP", "auth": 7}],
                }
            ],
        },
    ),
    "extent": Case(
        Extent,
        """
zvols:
  group1: {pool: tank, size: 100GiB, extent: {serial: 7c7a1cd02828837, block-size: 4KiB,
           read-only: true, enabled: false, comment: the first}}
""",
        (
            'iscsi.extent.create({"name": "group1", "type": "DISK", "disk": "zvol/tank/group1", '
            '"serial": "7c7a1cd02828837", "blocksize": 4096, "ro": true, "enabled": false, '
            '"comment": "the first"})',
        ),
        {
            "iscsi.extent.query": [
                EXTENT | {"blocksize": 4096, "ro": True, "enabled": False, "comment": "the first"}
            ]
        },
    ),
    "extent of another name": Case(
        Extent,
        """
zvols:
  vm/group1: {pool: tank, size: 100GiB, extent: {name: old, serial: 7c7a1cd02828837,
              block-size: 512B, read-only: false, enabled: true}}
""",
        (
            'iscsi.extent.create({"name": "old", "type": "DISK", "disk": "zvol/tank/vm/group1", '
            '"serial": "7c7a1cd02828837", "blocksize": 512, "ro": false, "enabled": true})',
        ),
        {
            "iscsi.extent.query": [EXTENT | {"name": "old", "disk": "zvol/tank/vm/group1"}],
            "pool.dataset.query": [ROOT, ZVOL | {"id": "tank/vm/group1", "name": "tank/vm/group1"}],
            "sharing.nfs.query": [],
        },
    ),
    "lun": Case(
        Lun,
        CHAIN,
        (
            'iscsi.targetextent.create({"target": "{target vms}", "lunid": 0, '
            '"extent": "{extent group1}"})',
        ),
    ),
    "share": Case(
        NfsShare,
        """
shares:
  iso: {pool: tank, path: /mnt/tank/iso, vlan: images, networks: [192.168.103.0/24, 10.1.0.0/16],
        hosts: [backup.lab], read-only: true, maproot-user: root, maproot-group: wheel,
        enabled: false, comment: images}
""",
        (
            'sharing.nfs.create({"path": "/mnt/tank/iso", "networks": ["10.1.0.0/16", '
            '"192.168.103.0/24"], "hosts": ["backup.lab"], "ro": true, "maproot_user": "root", '
            '"maproot_group": "wheel", "enabled": false, "comment": "images"})',
        ),
        {
            "sharing.nfs.query": [
                SHARE
                | {
                    "networks": ["192.168.103.0/24", "10.1.0.0/16"],
                    "hosts": ["backup.lab"],
                    "ro": True,
                    "maproot_group": "wheel",
                    "enabled": False,
                    "comment": "images",
                }
            ]
        },
    ),
    "snapshots": Case(
        SnapshotTask,
        """
zvols: {group1: {pool: tank, size: 100GiB}}
snapshot-tasks:
  nightly: {dataset: tank/group1, schedule: "0 3 * * *", keep: 2 weeks, recursive: false,
            exclude: [], allow-empty: true, enabled: true}
""",
        (
            'pool.snapshottask.create({"dataset": "tank/group1", '
            '"naming_schema": "auto-%Y-%m-%d_%H-%M", "schedule": {"minute": "0", "hour": "3", '
            '"dom": "*", "month": "*", "dow": "*", "begin": "00:00", "end": "23:59"}, '
            '"recursive": false, "exclude": [], "allow_empty": true, "enabled": true, '
            '"lifetime_value": 2, "lifetime_unit": "WEEK"})',
        ),
        {"pool.snapshottask.query": [TASK]},
    ),
    "snapshots in working hours": Case(
        SnapshotTask,
        """
snapshot-tasks:
  hourly: {dataset: tank/iso, schedule: "30 * * * mon-fri", keep: 1 day, begin: "08:00",
           end: "18:00", naming: "h-%Y%m%d%H%M", recursive: true, exclude: [tank/iso/tmp],
           allow-empty: false, enabled: false}
datasets: {tank/iso: {}}
""",
        (
            'pool.snapshottask.create({"dataset": "tank/iso", "naming_schema": "h-%Y%m%d%H%M", '
            '"schedule": {"minute": "30", "hour": "*", "dom": "*", "month": "*", '
            '"dow": "mon-fri", "begin": "08:00", "end": "18:00"}, "recursive": true, '
            '"exclude": ["tank/iso/tmp"], "allow_empty": false, "enabled": false, '
            '"lifetime_value": 1, "lifetime_unit": "DAY"})',
        ),
        {
            "pool.snapshottask.query": [
                TASK
                | {
                    "dataset": "tank/iso",
                    "recursive": True,
                    "exclude": ["tank/iso/tmp"],
                    "lifetime_value": 1,
                    "lifetime_unit": "DAY",
                    "enabled": False,
                    "allow_empty": False,
                    "naming_schema": "h-%Y%m%d%H%M",
                    "schedule": {
                        "minute": "30", "hour": "*", "dom": "*", "month": "*", "dow": "mon-fri",
                        "begin": "08:00", "end": "18:00",
                    },
                }
            ]
        },
    ),
}  # fmt: skip
