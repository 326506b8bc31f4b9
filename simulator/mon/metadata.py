"""What daemons tell of themselves: where they run, on what, at which addresses.

A manager stands beside every monitor, and the first of the quorum is the active one, as `status`
has it. Source: Ceph's manual, monitor commands; the fields and their order, and the ports of a
daemon one after the other, as 16.2 answered. Leaves out metadata servers and file systems, of which
there are none, and what the twin has no facts for: kernels, processors, builds.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping

from simulator.mon import tree
from simulator.mon.command import Args, Command, MonError, Site, maybe, number, reading
from simulator.mon.documents import Row
from simulator.mon.status import address, mons, quorum

RELEASES = {
    12: "luminous", 13: "mimic", 14: "nautilus", 15: "octopus", 16: "pacific", 17: "quincy",
    18: "reef", 19: "squid", 20: "tentacle",
}  # fmt: skip
FLASH = ("ssd", "nvme")
MANAGER_PORT, OSD_PORT = 6800, 6802  # ms_bind_port_min, and what the host's manager leaves
NETWORKS = ("front", "back", "hb_front", "hb_back")  # in the order in which an OSD binds them
FIRST_PID, FIRST_GID = 2000, 4100  # assumed: processes and sessions that start after others


def release(version: str) -> int:
    """The number of a version's release, which is that of the first letter of its name, too."""
    first = version.partition(".")[0].lower()
    return int(first) if first.isdigit() else ord(first[:1] or "a") - ord("a") + 1


def pid(osd: int) -> int:
    """Process of an OSD while it runs."""
    return FIRST_PID + osd


def _common(site: Site, host: str) -> Row:
    """What all daemons tell."""
    version = site.twin.model.lab.ceph[site.name].version
    return {
        "arch": "x86_64",
        "ceph_release": RELEASES.get(release(version), ""),
        "ceph_version": f"ceph version {version}",
        "ceph_version_short": version,
        "hostname": host,
        "mem_swap_kb": "0",
        "mem_total_kb": str(site.twin.model.hosts[host].memory // 1024),
        "os": "Linux",
    }


def _pair(host_address: str, port: int, nonce: int) -> str:
    """Both protocols of one address."""
    return f"[v2:{host_address}:{port}/{nonce},v1:{host_address}:{port + 1}/{nonce}]"


def _monitors(site: Site, _args: Args) -> object:
    return [
        {
            "name": mon,
            "addrs": f"[v2:{address(site, mon)}:3300/0,v1:{address(site, mon)}:6789/0]",
            **_common(site, mon),
        }
        for mon in mons(site)
    ]


def _managers(site: Site, _args: Args) -> object:
    names = quorum(site)
    return [{"name": mgr, "addr": address(site, mgr), **_common(site, mgr)} for mgr in names]


def _manager_dump(site: Site, _args: Args) -> object:
    active, *standbys = quorum(site)
    where, nonce = address(site, active), FIRST_PID - 1
    vector = [
        {"type": "v2", "addr": f"{where}:{MANAGER_PORT}", "nonce": nonce},
        {"type": "v1", "addr": f"{where}:{MANAGER_PORT + 1}", "nonce": nonce},
    ]
    ranks = mons(site).index
    return {
        "epoch": 1,
        "active_gid": FIRST_GID + ranks(active),
        "active_name": active,
        "active_addrs": {"addrvec": vector},
        "active_addr": f"{where}:{MANAGER_PORT + 1}/{nonce}",
        "available": True,
        "standbys": [{"gid": FIRST_GID + ranks(mgr), "name": mgr} for mgr in standbys],
        "services": {},
    }


def _osds(site: Site, args: Args) -> object:
    if "id" not in args:
        return [_osd(site, osd) for osd in site.osds]
    if (osd := number(args, "id")) not in site.osds:
        raise MonError(errno.ENOENT, f"osd.{osd} does not exist")
    return _osd(site, osd)


def _osd(site: Site, osd: int) -> Row:
    host, disk = site.osds[osd], tree.device(site, osd)
    turns = site.twin.model.lab.ceph[site.name].osds[str(osd)].device_class not in FLASH
    return {
        "id": osd,
        **dict(_addresses(site, osd)),
        "bluefs": "1",
        "bluefs_dedicated_db": "0",
        "bluefs_dedicated_wal": "0",
        "bluefs_single_shared_device": "1",
        "bluestore_bdev_dev_node": f"/dev/{disk}",
        "bluestore_bdev_devices": disk,
        "bluestore_bdev_rotational": str(int(turns)),
        "bluestore_bdev_size": str(tree.size_bytes(site, osd)),
        "bluestore_bdev_support_discard": str(int(not turns)),
        "bluestore_bdev_type": "hdd" if turns else "ssd",
        "default_device_class": "hdd" if turns else "ssd",
        "device_ids": "",
        "devices": disk,
        "osd_data": f"/var/lib/ceph/osd/ceph-{osd}",
        "osd_objectstore": "bluestore",
        "rotational": str(int(turns)),
        **_common(site, host),
    }


def _addresses(site: Site, osd: int) -> Iterator[tuple[str, str]]:
    """Four of two ports each; the next OSD of the host has the next ones."""
    host = site.osds[osd]
    first = OSD_PORT + 2 * len(NETWORKS) * tree.hosts(site)[host].index(osd)
    for place, network in enumerate(NETWORKS):
        yield f"{network}_addr", _pair(address(site, host), first + 2 * place, pid(osd))


def _none(_site: Site, _args: Args) -> object:
    return []


COMMANDS: Mapping[str, Command] = {
    "mon metadata": reading(_monitors),
    "mgr metadata": reading(_managers),
    "mgr dump": reading(_manager_dump),
    "mds metadata": reading(_none),
    "fs ls": reading(_none),
    "osd metadata": reading(_osds, *maybe("id")),
}
