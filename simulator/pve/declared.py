"""The documents of a cluster to which the desired state was applied, as its API would hold them.

What a served lab with its whole load begins with. Written from the vendor's facts, with no code of
the controller. Leaves out: what the language cannot say (MAC addresses, ids, times), which is made
up.
"""

from __future__ import annotations

from lab.kinds.backup_job import BackupJob
from lab.kinds.guest import Guest, Power
from lab.kinds.ha_rule import HaRule, RuleType
from lab.kinds.storage import Dir, Keep, Lvm, LvmThin, Nfs, Rbd, StorageBase, ZfsPool
from lab.lab import Lab
from simulator.pve.documents import Documents, Entry, GuestConfig, Volume
from simulator.pve.install import installed
from simulator.pve.parameters import Value
from simulator.pve_node.volumes import format_size, full_name, place_of
from simulator.twin import Twin


def declared(twin: Twin, cluster: str) -> Documents:
    """All documents of one cluster of the twin's lab."""
    lab, documents = twin.model.lab, installed(twin, cluster)
    for name, storage in lab.storages.items():
        if cluster in storage.clusters:
            documents.storages[name] = _storage(lab, storage)
    _people(lab, cluster, documents)
    for name, guest in lab.guests.items():
        if guest.cluster == cluster:
            state = twin.state.guests.get((cluster, guest.vmid))
            _guest(lab, documents, name, guest, state.node if state else "")
    documents.ha_resources.put(_resources(lab, cluster))
    rules = {n: _rule(lab, rule) for n, rule in lab.ha_rules.items() if rule.cluster == cluster}
    documents.ha_rules.put(rules)
    jobs = {n: _job(lab, job) for n, job in lab.backup_jobs.items() if job.cluster == cluster}
    documents.jobs.put(jobs)
    _options(lab, cluster, documents)
    return documents


def _set(**values: Value) -> dict[str, Value]:
    """Only what has a value."""
    return {
        key.replace("_", "-"): value for key, value in values.items() if value not in (None, "")
    }


def _keep(keep: Keep | None) -> str:
    """Retention as a property string."""
    if keep is None:
        return ""
    if keep.all:
        return "keep-all=1"
    counts = {name: getattr(keep, name) for name in ("last", "daily", "weekly", "monthly")}
    return ",".join(f"keep-{name}={count}" for name, count in counts.items() if count is not None)


def _storage(lab: Lab, storage: StorageBase) -> Entry:
    entry: dict[str, Value] = {"content": ",".join(sorted(c.value for c in storage.content))}
    match storage:
        case Rbd():
            entry |= {"type": "rbd", "pool": storage.pool, "krbd": int(storage.krbd)}
        case Lvm():
            entry |= {"type": "lvm", "vgname": storage.vg, "shared": 1}
        case Dir():
            entry |= {"type": "dir", "path": storage.path}
        case ZfsPool():
            entry |= {"type": "zfspool", "pool": storage.pool}
            entry |= {} if storage.sparse is None else {"sparse": int(storage.sparse)}
        case LvmThin():
            entry |= {"type": "lvmthin", "vgname": storage.vg, "thinpool": storage.thin_pool}
        case Nfs():
            server, export = _export(lab, storage)
            entry |= {"type": "nfs", "server": server, "export": export}
    if storage.nodes is not None:
        entry["nodes"] = ",".join(sorted(storage.nodes))
    if not storage.enabled:
        entry["disable"] = 1
    return entry | _set(prune_backups=_keep(storage.keep))


def _export(lab: Lab, storage: Nfs) -> tuple[str, str]:
    """Address and folder of an NFS server, in the VLAN that the folder is open to."""
    if storage.nas is not None and storage.share is not None:
        share = lab.nas[storage.nas].shares[storage.share]
        return str(lab.nas[storage.nas].addresses.get(share.vlan, "")), share.path
    if storage.backup_server is not None and storage.export is not None:
        folder = lab.backup_servers[storage.backup_server].exports[storage.export]
        addresses = lab.backup_servers[storage.backup_server].addresses
        return str(addresses.get(folder.vlan, "")), folder.path
    return "", ""


def _people(lab: Lab, cluster: str, documents: Documents) -> None:
    for name, group in lab.groups.items():
        if group.clusters is None or cluster in group.clusters:
            documents.groups[name] = _set(comment=group.comment)
    for name, user in lab.users.items():
        if user.clusters is None or cluster in user.clusters:
            known = _set(
                firstname=user.first_name,
                lastname=user.last_name,
                email=user.email,
                comment=user.comment,
                groups=",".join(sorted(user.groups)),
            )
            documents.users[name] = {"enable": int(user.enabled), "expire": 0, **known}
    for name, role in lab.roles.items():
        if role.clusters is None or cluster in role.clusters:
            documents.roles[name] = {"privs": ",".join(sorted(role.privileges))}
    for name, realm in lab.realms.items():
        if realm.clusters is None or cluster in realm.clusters:
            known = _set(domain=realm.domain, server1=realm.server, comment=realm.comment)
            documents.domains[name] = {"type": realm.type.value, **known}
    for name, pool in lab.pools.items():
        if pool.clusters is None or cluster in pool.clusters:
            stores = ",".join(pool.storages)
            documents.pools[name] = _set(comment=pool.comment, storage=stores)
    for acl in lab.acls.values():
        if acl.clusters is None or cluster in acl.clusters:
            for role_name in acl.roles:
                for kind, names in (("group", acl.groups), ("user", acl.users)):
                    for who in names:
                        documents.acl[acl.path, kind, who, role_name] = int(acl.propagate)


def _guest(lab: Lab, documents: Documents, name: str, guest: Guest, node: str) -> None:
    config: dict[str, Value] = {
        "name": name,
        "cores": guest.cores,
        "sockets": guest.sockets,
        "memory": str(guest.memory // 2**20),
        "vmgenid": f"00000000-0000-4000-8000-{guest.vmid:012d}",
        "smbios1": f"uuid=00000000-0000-4000-9000-{guest.vmid:012d}",
    }
    config |= _set(cpu=guest.cpu, ostype=guest.os, tags=";".join(sorted(guest.tags)))
    config |= _set(description=guest.description, onboot=_flag(guest.onboot))
    config |= _set(agent=None if guest.agent is None else str(int(guest.agent)))
    for number, (slot, disk) in enumerate(sorted(guest.disks.items())):
        storage = documents.storages[disk.storage]
        base = full_name(storage, guest.vmid, f"vm-{guest.vmid}-disk-{number}", "raw")
        place = place_of(storage, node)
        volume = Volume(disk.storage, place, base, guest.vmid, disk.size, "raw", 0)
        documents.volumes[volume.key] = volume
        flags = "".join(
            f",{key}" for key, on in (("discard=on", disk.discard), ("ssd=1", disk.ssd)) if on
        )
        parts = sorted([*flags.split(",")[1:], f"size={format_size(disk.size)}"])
        config[slot] = ",".join([volume.volid, *parts])
    for number, (slot, net) in enumerate(sorted(guest.nets.items())):
        mac = f"BC:24:11:{guest.vmid >> 8 & 255:02X}:{guest.vmid & 255:02X}:{number:02X}"
        tag = lab.vlans[net.vlan].id
        firewall = "" if net.firewall is None else f",firewall={int(net.firewall)}"
        config[slot] = f"{net.model}={mac},bridge={net.bridge}{firewall},tag={tag}"
    order = [*sorted(guest.disks)[:1], *sorted(guest.nets)[:1]]
    config["boot"] = f"order={';'.join(order)}" if order else " "
    documents.guests[guest.vmid] = GuestConfig("qemu", config)
    if guest.pool is not None:
        pool = documents.pools[guest.pool]
        vms = [*filter(None, [str(pool.get("vms") or "")]), str(guest.vmid)]
        documents.pools[guest.pool] = {**pool, "vms": ",".join(vms)}


def _resources(lab: Lab, cluster: str) -> dict[str, Entry]:
    """What is under HA, by `vm:100`."""
    return {
        f"vm:{guest.vmid}": {
            "type": "vm",
            "state": "stopped" if guest.state is Power.STOPPED else "started",
            "max_restart": guest.ha.restart,
            "max_relocate": guest.ha.relocate,
        }
        for guest in lab.guests.values()
        if guest.cluster == cluster and guest.ha is not None
    }


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _rule(lab: Lab, rule: HaRule) -> Entry:
    sids = ",".join(sorted(f"vm:{lab.guests[name].vmid}" for name in rule.guests))
    entry: dict[str, Value] = {"type": rule.type.value, "resources": sids}
    if rule.type is RuleType.NODE_AFFINITY:
        nodes = sorted((rule.nodes or {}).items())
        entry["nodes"] = ",".join(f"{n}:{prio}" if prio else n for n, prio in nodes)
        if rule.strict:
            entry["strict"] = 1
    elif rule.affinity is not None:
        entry["affinity"] = rule.affinity.value
    return entry | _set(comment=rule.comment)


def _job(lab: Lab, job: BackupJob) -> Entry:
    vmids = ",".join(str(lab.guests[name].vmid) for name in job.guests)
    return {
        "type": "vzdump",
        "schedule": job.schedule,
        "storage": job.storage,
        "mode": job.mode.value,
        "enabled": int(job.enabled),
        **_set(vmid=vmids, pool=job.pool, prune_backups=_keep(job.keep), comment=job.comment),
    }


def _options(lab: Lab, cluster: str, documents: Documents) -> None:
    options = lab.clusters[cluster].options
    documents.options |= _set(
        keyboard=options.keyboard,
        console=options.console,
        description=options.description,
        ha=f"shutdown_policy={options.shutdown_policy.value}",
        crs=f"ha={options.scheduler.value}",
    )
    for key in ("email_from", "mac_prefix"):
        if value := getattr(options, key):
            documents.options[key] = str(value)
    vlan = options.migration_vlan
    if vlan is not None and (subnet := lab.vlans[vlan].subnet) is not None:
        documents.options["migration"] = f"network={subnet},type=secure"
