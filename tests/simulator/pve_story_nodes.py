"""The part of the story that is about nodes: their files, services and disks, Ceph on them."""

from __future__ import annotations

from tests.simulator.pem import self_signed
from tests.simulator.pve_story import SENT, Step

NODE = "/nodes/pve1"
CEPH, CONTENT = f"{NODE}/ceph", f"{NODE}/storage/data/content"

FILES: list[Step] = [
    (f"PUT {NODE}/config", {"description": "x"}),
    (f"PUT {NODE}/dns", {"search": "lab.example", "dns1": "10.0.0.1"}),
    (f"POST {NODE}/hosts", {"data": "127.0.0.1 localhost\n"}),
    (f"PUT {NODE}/time", {"timezone": "Europe/Madrid"}),
    (f"POST {NODE}/network", {"iface": "vmbr7", "type": "bridge"}),
    (f"PUT {NODE}/network/vmbr7", {"type": "bridge", "comments": "x"}),
    (f"DELETE {NODE}/network/vmbr7", {}),
    (f"POST {NODE}/network", {"iface": "vmbr7", "type": "bridge"}),
    (f"DELETE {NODE}/network", {}),
    (f"POST {NODE}/network", {"iface": "vmbr8", "type": "bridge", "autostart": 1}),
    (f"PUT {NODE}/network", {}),
]
_CHAIN, _KEY = self_signed("pve1.lab.example")
_CLEAN = {"cleanup-config": 1, "cleanup-disks": 1}
SYSTEM: list[Step] = [
    (f"POST {NODE}/certificates/custom", {"certificates": _CHAIN, "key": _KEY, "restart": 1}),
    (f"DELETE {NODE}/certificates/custom", {}),
    ("POST /cluster/acme/account", {"contact": "root@lab.example", "directory": "https://ca"}),
    ("PUT /cluster/acme/account/own", {}),
    ("DELETE /cluster/acme/account/own", {}),
    ("POST /cluster/acme/plugins", {"id": "own", "type": "dns", "api": "pdns", "data": "QT0x"}),
    ("PUT /cluster/acme/plugins/own", {"nodes": "pve1", "delete": "data"}),
    ("DELETE /cluster/acme/plugins/own", {}),
    *[(f"{act} {NODE}/certificates/acme/certificate", {}) for act in ("POST", "PUT", "DELETE")],
    *[(f"POST {NODE}/services/cron/{act}", {}) for act in ("stop", "start", "restart", "reload")],
    (f"PUT {NODE}/apt/repositories", {"handle": "no-subscription"}),
    (f"POST {NODE}/apt/repositories",
     {"path": "/etc/apt/sources.list.d/pve-enterprise.sources", "index": 0, "enabled": 0}),
    (f"POST {NODE}/apt/update", {}),
    (f"POST {NODE}/subscription", {}),
    (f"POST {NODE}/execute", {"commands": '[{"method": "GET", "path": "version"}]'}),
    *[(f"POST {NODE}/{shell}", {}) for shell in ("vncshell", "termproxy", "spiceshell")],
    (f"PUT {NODE}/subscription", {"key": "pve2c-0123456789"}),
    (f"DELETE {NODE}/subscription", {}),
    (f"POST {NODE}/disks/initgpt", {"disk": "/dev/sde"}),
    (f"PUT {NODE}/disks/wipedisk", {"disk": "/dev/sde"}),
    (f"POST {NODE}/disks/directory", {"name": "own", "device": "/dev/sde", "add_storage": 1}),
    (f"DELETE {NODE}/disks/directory/own", _CLEAN),
    (f"POST {NODE}/disks/lvm", {"name": "own", "device": "/dev/sde", "add_storage": 1}),
    (f"DELETE {NODE}/disks/lvm/own", _CLEAN),
    (f"POST {NODE}/disks/lvmthin", {"name": "own", "device": "/dev/sde", "add_storage": 1}),
    (f"DELETE {NODE}/disks/lvmthin/own", {"volume-group": "own", **_CLEAN}),
    (f"POST {NODE}/disks/zfs",
     {"name": "own", "devices": "/dev/sde", "raidlevel": "single", "add_storage": 1}),
    (f"DELETE {NODE}/disks/zfs/own", _CLEAN),
]  # fmt: skip
IN_CEPH: list[Step] = [
    ("PUT /cluster/ceph/flags/noout", {"value": 1}),
    ("PUT /cluster/ceph/flags", {"noout": 0, "noscrub": 1}),
    (f"POST {CEPH}/osd/0/out", {}),
    (f"POST {CEPH}/osd/0/in", {}),
    (f"POST {CEPH}/osd/0/scrub", {"deep": 1}),
    *[(f"POST {CEPH}/{act}", {"service": "osd.0"}) for act in ("stop", "start", "restart")],
    (f"POST {CEPH}/pool", {"name": "web", "pg_num": 16}),
    (f"PUT {CEPH}/pool/web", {"size": 2}),
    (f"DELETE {CEPH}/pool/web", {}),
]
STORED: list[Step] = [
    (f"POST {CONTENT}", {"vmid": 100, "filename": "vm-100-disk-9.raw", "size": "1G",
                         "format": "raw"}),
    (f"PUT {CONTENT}/data:100%2Fvm-100-disk-9.raw", {"notes": "x"}),
    (f"POST {CONTENT}/data:100%2Fvm-100-disk-9.raw", {"target": "data:100/vm-100-disk-8.raw"}),
    (f"DELETE {CONTENT}/data:100%2Fvm-100-disk-9.raw", {}),
    (f"POST {NODE}/storage/local/upload",
     {"content": "iso", "filename": "a.iso", "tmpfilename": "/var/tmp/pveupload-01",
      "file": SENT}),
    (f"DELETE {NODE}/storage/local/prunebackups", {"prune-backups": "keep-last=1"}),
    ("DELETE /storage/more", {}),
    (f"DELETE {NODE}/tasks/{{upid}}", {}),
]  # fmt: skip
POWER: list[Step] = [
    ("POST /nodes/pve3/status", {"command": "reboot"}),
    ("PUT /nodes/pve3/config", {"wakeonlan": "BC:24:11:00:00:03"}),
    ("POST /nodes/pve3/wakeonlan", {}),
]
