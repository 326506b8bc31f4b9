"""Hosts as just installed, and hosts to which the desired state was applied.

`installed` is what an empty lab serves; `declared` what stands under a loaded one: LUNs logged in
to, volume groups on them, exports. Written from the vendors' facts, with no code of the controller.
Sources: the Debian and Proxmox VE installers. Leaves out: files below /etc/pve and the network
configuration, which the Proxmox VE API owns.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from uuid import UUID

from lab.kinds.backup_server import BackupServer
from lab.kinds.node import Node
from lab.kinds.storage import Lvm
from simulator.linux import exports, mounts, multipath, packages, sessions
from simulator.linux.blocks import local_disks
from simulator.linux.files import Files
from simulator.linux.host import LinuxHost
from simulator.linux.records import fresh, keep, records
from simulator.linux.state import Account, File, HostState, Mount, Partition
from simulator.model import initiator_of
from simulator.storage.disks import LVM, LogicalVolume, Signature, VolumeGroup
from simulator.storage.targets import targets, volume_of
from simulator.twin import Twin

ADMINISTRATOR = "vlab"  # the unprivileged user of every host, who may use sudo
GIB = 2**30
_FOLDERS = (
    "/etc", "/etc/ssh", "/etc/iscsi", "/etc/multipath", "/etc/sudoers.d", "/etc/systemd", "/home",
    f"/home/{ADMINISTRATOR}", "/mnt", "/opt", "/root", "/run", "/srv", "/usr", "/var",
    "/var/lib", "/var/log", "/dev",
)  # fmt: skip
_COMMON = ("cron", "chrony", "openssh-server", "sudo", "nftables", "lvm2", "nfs-common", "rpcbind")
_OF_NODES = ("open-iscsi", "multipath-tools")
_OF_BACKUP_SERVERS = ("nfs-kernel-server", "xfsprogs")


def hosts_of(twin: Twin) -> list[str]:
    """Names of the hosts that run Linux: nodes and backup servers."""
    return [*twin.model.lab.nodes, *twin.model.lab.backup_servers]


def installed(twin: Twin, name: str, *, seed: int = 0) -> LinuxHost:
    """A host after its installation, attached to the twin. Its other disks are blank."""
    declared_host = twin.model.hosts[name]
    state = HostState(
        accounts={
            "root": Account(0, "/root", sudo=True),
            ADMINISTRATOR: Account(1000, f"/home/{ADMINISTRATOR}", sudo=True),
            "nobody": Account(65534, "/nonexistent"),
        }
    )
    host = LinuxHost(name, state, seed=seed)
    host.running = True
    for folder in _FOLDERS:
        state.files[folder] = File(mode=0o755, kind="dir")
    state.files["/tmp"] = File(mode=0o1777, kind="dir")  # noqa: S108
    state.files["/root"] = File(mode=0o700, kind="dir")
    home = File(mode=0o700, owner=ADMINISTRATOR, group=ADMINISTRATOR, kind="dir")
    state.files[f"/home/{ADMINISTRATOR}"] = home
    state.files["/etc/hostname"] = File(f"{name}\n")
    state.files["/etc/passwd"] = File("root:x:0:0:root:/root:/bin/bash\n")
    _system_disk(twin, host)
    twin.attach(host)
    chosen = _OF_NODES if isinstance(declared_host, Node) else _OF_BACKUP_SERVERS
    if isinstance(declared_host, Node):
        text = f"InitiatorName={initiator_of(twin.model.lab, name)}\n"
        state.files["/etc/iscsi/initiatorname.iscsi"] = File(text, 0o600)
    for package in (*_COMMON, *chosen):
        packages.add(host, twin, package)
    return host


def _system_disk(twin: Twin, host: LinuxHost) -> None:
    """Partitions as the installers make them; root is on LVM on nodes, on a partition elsewhere."""
    name = host.host
    disk, size_bytes = next(local_disks(twin.model.hosts[name]))
    carried = twin.state.carried
    carried.setdefault(f"{name}/{disk}", Signature("gpt", _uuid(name, "gpt")))
    node = name in twin.model.lab.nodes
    host.state.partitions[f"{disk}1"] = Partition(disk, GIB)
    host.state.partitions[f"{disk}2"] = Partition(disk, size_bytes - GIB)
    carried.setdefault(f"{name}/{disk}1", Signature("vfat", "B0B0-0001"))
    system = f"{name}/{disk}2"
    if node:
        group = _uuid(name, "vg")
        carried.setdefault(system, Signature(LVM, _uuid(name, "pv"), group=group))
        volumes = (LogicalVolume("root", _uuid(name, "root"), size_bytes // 4 // 2**22 * 2**22),)
        members = ((system, size_bytes - GIB),)
        twin.state.volume_groups.setdefault(group, VolumeGroup("pve", group, members, volumes))
        carried.setdefault(f"{group}/root", Signature("ext4", _uuid(name, "ext4")))
        source, volume = "/dev/mapper/pve-root", f"{group}/root"
    else:
        carried.setdefault(system, Signature("ext4", _uuid(name, "ext4")))
        source, volume = f"/dev/{disk}2", system
    host.state.mounts["/"] = Mount(source, "/", "ext4", "rw,relatime,errors=remount-ro", volume)
    fstab = f"{source} / ext4 errors=remount-ro 0 1\n"
    host.state.files["/etc/fstab"] = File(fstab)


def declared(twin: Twin, name: str, *, seed: int = 0, filled: bool = True) -> LinuxHost:
    """A host with what the lab declares of it, attached to the twin.

    `filled`: with volume groups on its LUNs; False where other hosts say what is on them.
    """
    host = installed(twin, name, seed=seed)
    known = twin.model.hosts[name]
    if isinstance(known, BackupServer):
        _backup_server(twin, host, known)
    else:
        if filled:
            fill_luns(twin, known.cluster if isinstance(known, Node) else "")
        _paths(twin, host)
    return host


def fill_luns(twin: Twin, cluster: str) -> None:
    """Volume groups of a cluster's declared storages, on LUNs on which nothing is yet."""
    for storage in twin.model.lab.storages.values():
        if not isinstance(storage, Lvm) or cluster not in storage.clusters:
            continue
        nas = twin.model.lab.nas[storage.nas]
        zvol = nas.zvols[nas.targets[storage.target].luns[storage.lun]]
        volume = volume_of(
            storage.nas, f"{zvol.pool}/{nas.targets[storage.target].luns[storage.lun]}"
        )
        if volume not in twin.state.carried:
            group = _uuid(volume, "vg")
            twin.state.carried[volume] = Signature(LVM, _uuid(volume, "pv"), group=group)
            twin.state.volume_groups[group] = VolumeGroup(storage.vg, group, ((volume, zvol.size),))


def _paths(twin: Twin, host: LinuxHost) -> None:
    """Log in to every declared target of this node, over every portal, with a map for each LUN."""
    files = host.files(twin)
    own = initiator_of(twin.model.lab, host.host)
    wwids = []
    for nas, array in twin.model.lab.nas.items():
        iqns = {
            f"{array.iqn}:{name}"
            for name, target in array.targets.items()
            if host.host in target.initiators
        }
        for target in targets(twin, nas) if iqns else ():
            doors = [door for door in target.doors if target.iqn in iqns and door.admits(own)]
            for door in doors:
                source = doors[0].address
                record = fresh(files, target.iqn, door.address, door.port, door.tag, source)
                values = {**record.values, "node.startup": "automatic"}
                if door.logins:
                    user, secret = door.logins[0]
                    values |= {
                        "node.session.auth.authmethod": "CHAP",
                        "node.session.auth.username": user,
                        "node.session.auth.password": secret,
                    }
                keep(files, replace(record, values=values))
            wwids += [lun.wwid for lun in target.luns if doors]
    lines = "".join(f"/{wwid}/\n" for wwid in dict.fromkeys(wwids))
    host.state.files[multipath.WWIDS] = File(
        f"# Multipath wwids, Version : 1.0\n# Valid WWIDs:\n{lines}", 0o600
    )
    for record in list(records(files)):
        sessions.log_in(host, twin, record)


def _backup_server(twin: Twin, host: LinuxHost, server: BackupServer) -> None:
    """An XFS file system on the declared disk, a folder for each export, open to its VLAN."""
    raid = server.raids.get(server.disk)
    disk = raid.disks[0] if raid is not None else server.disk
    volume = f"{host.host}/{disk}"
    made = Signature("xfs", str(_as_uuid(host.host, server.disk)))
    twin.state.carried.setdefault(volume, made)
    files = host.files(twin)
    fstab = files.read("/etc/fstab")
    line = f"UUID={twin.state.carried[volume].uuid} {server.mount} xfs defaults,nofail 0 2\n"
    files.write("/etc/fstab", fstab + line)
    _folder(files, server.mount, 0o755)
    mounts.mount_all(host, twin)
    lines = []
    for export in server.exports.values():
        _folder(files, export.path, 0o700)
        subnet = twin.model.lab.vlans[export.vlan].subnet
        client = str(subnet) if subnet is not None else "*"
        lines.append(f"{export.path} {client}(rw,sync,no_subtree_check,no_root_squash)\n")
    files.write("/etc/exports", "".join(lines))
    exports.apply(host, twin)


def _folder(files: Files, path: str, mode: int) -> None:
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:depth])
        if files.find(folder) is None:
            files.make_folder(folder, mode if depth == len(parts) else 0o755)


def _as_uuid(*words: str) -> UUID:
    return UUID(hashlib.sha256(" ".join(words).encode()).hexdigest()[:32], version=4)


def _uuid(*words: str) -> str:
    """An identifier that is always the same for the same words."""
    return str(_as_uuid(*words))


def attach_installed(twin: Twin) -> None:
    """Let every Linux host of the lab be as just installed."""
    for name in hosts_of(twin):
        installed(twin, name)
