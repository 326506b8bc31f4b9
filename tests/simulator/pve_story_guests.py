"""The part of the story that is about guests: machines, containers, many at once, HA."""

from __future__ import annotations

from tests.simulator.pve_story import Step
from tests.simulator.pve_story_cluster import rules, sets

NODE, VM, CT = "/nodes/pve1", "/nodes/pve1/qemu/100", "/nodes/pve1/lxc/200"
NIC = "virtio,bridge=vmbr0"
TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
REMOTE = {"target-endpoint": "host=192.0.2.1,apitoken=x", "target-storage": "local",
          "target-bridge": "vmbr0", "online": 1}  # fmt: skip


def _snapshots(guest: str) -> list[Step]:
    return [
        (f"POST {guest}/snapshot", {"snapname": "one"}),
        (f"PUT {guest}/snapshot/one/config", {"description": "x"}),
        (f"POST {guest}/snapshot/one/rollback", {}),
        (f"DELETE {guest}/snapshot/one", {}),
    ]


GUESTS: list[Step] = [
    (f"POST {NODE}/qemu", {"vmid": 100, "name": "web", "scsi0": "data:1,format=qcow2",
                           "net0": NIC, "memory": "512"}),
    (f"PUT {VM}/config", {"cores": 2}),
    (f"POST {VM}/config", {"scsi1": "data:1"}),
    (f"PUT {VM}/unlink", {"idlist": "scsi1"}),
    (f"PUT {VM}/resize", {"disk": "scsi0", "size": "2G"}),
    (f"POST {VM}/move_disk", {"disk": "scsi0", "storage": "more", "format": "qcow2"}),
    *_snapshots(VM),
    (f"POST {VM}/clone", {"newid": 101, "full": 1}),
    (f"PUT {VM}/config", {"ide2": "data:cloudinit"}),
    (f"PUT {VM}/cloudinit", {}),
    (f"POST {VM}/status/start", {}),
    (f"POST {VM}/status/suspend", {}),
    (f"POST {VM}/status/resume", {}),
    (f"POST {VM}/vncproxy", {"websocket": 1}),
    (f"POST {VM}/termproxy", {}),
    (f"POST {VM}/spiceproxy", {}),
    (f"POST {VM}/dbus-vmstate", {"action": "start"}),
    (f"POST {VM}/remote_migrate", REMOTE),
    (f"POST {NODE}/qemu/300/mtunnel", {}),
    (f"POST {VM}/status/reset", {}),
    (f"POST {VM}/status/reboot", {}),
    (f"POST {VM}/status/shutdown", {}),
    (f"POST {VM}/status/start", {}),
    (f"POST {VM}/status/stop", {}),
    (f"PUT {VM}/sendkey", {"key": "ctrl-alt-delete"}),
    (f"POST {VM}/monitor", {"command": "info status"}),
    (f"POST {VM}/migrate", {"target": "pve2", "with-local-disks": 1}),
    ("POST /nodes/pve2/qemu/100/migrate", {"target": "pve1", "with-local-disks": 1}),
    *rules(f"{VM}/firewall"),
    *sets(f"{VM}/firewall"),
    (f"POST {NODE}/qemu/101/template", {}),
    (f"DELETE {NODE}/qemu/101", {"purge": 1}),
    (f"POST {NODE}/vzdump", {"vmid": "100", "storage": "local"}),
]  # fmt: skip
CONTAINERS: list[Step] = [
    (f"POST {NODE}/storage/local/download-url",
     {"content": "vztmpl", "url": "http://h1/x", "filename": TEMPLATE.rpartition("/")[2]}),
    (f"POST {NODE}/aplinfo",
     {"storage": "local", "template": "debian-13-standard_13.1-2_amd64.tar.zst"}),
    (f"POST {NODE}/lxc", {"vmid": 200, "ostemplate": TEMPLATE, "rootfs": "tank:1",
                          "hostname": "ct", "password": "long enough"}),
    (f"PUT {CT}/config", {"cores": 2}),
    *_snapshots(CT),
    ("POST /cluster/replication", {"id": "200-0", "type": "local", "target": "pve2"}),
    ("PUT /cluster/replication/200-0", {"comment": "x"}),
    (f"POST {NODE}/replication/200-0/schedule_now", {}),
    ("DELETE /cluster/replication/200-0", {"force": 1}),
    (f"PUT {CT}/resize", {"disk": "rootfs", "size": "2G"}),
    (f"POST {CT}/move_volume", {"volume": "rootfs", "storage": "more"}),
    (f"POST {CT}/clone", {"newid": 201, "full": 1}),
    (f"POST {CT}/status/start", {}),
    (f"POST {CT}/status/suspend", {}),
    (f"POST {CT}/status/resume", {}),
    (f"POST {CT}/vncproxy", {}),
    (f"POST {CT}/termproxy", {}),
    (f"POST {CT}/spiceproxy", {}),
    (f"POST {CT}/remote_migrate", {**REMOTE, "restart": 1}),
    (f"POST {NODE}/lxc/301/mtunnel", {}),
    (f"POST {CT}/status/reboot", {}),
    (f"POST {CT}/status/shutdown", {}),
    (f"POST {CT}/status/start", {}),
    (f"POST {CT}/status/stop", {}),
    (f"POST {CT}/migrate", {"target": "pve2"}),
    ("POST /nodes/pve2/lxc/200/migrate", {"target": "pve1"}),
    *rules(f"{CT}/firewall"),
    *sets(f"{CT}/firewall"),
    (f"POST {NODE}/lxc/201/template", {}),
    (f"DELETE {NODE}/lxc/201", {}),
]  # fmt: skip
MANY: list[Step] = [
    (f"POST {NODE}/startall", {"vms": "100"}),
    (f"POST {NODE}/stopall", {"vms": "100"}),
    (f"POST {NODE}/migrateall",
     {"target": "pve2", "vms": "100", "maxworkers": 1, "with-local-disks": 1}),
    ("POST /cluster/bulk-action/guest/migrate",
     {"target": "pve1", "vms": ["100"], "with-local-disks": 1}),
    ("POST /nodes/pve2/migrateall",
     {"target": "pve1", "vms": "100", "maxworkers": 1, "with-local-disks": 1}),  # where it is still
    ("POST /cluster/bulk-action/guest/start", {"vms": ["100"]}),
    ("POST /cluster/bulk-action/guest/suspend", {"vms": ["100"]}),
    (f"POST {NODE}/suspendall", {"vms": "200"}),
    ("POST /cluster/bulk-action/guest/shutdown", {"vms": ["100"]}),
]  # fmt: skip
HA: list[Step] = [
    ("POST /cluster/ha/groups", {"group": "home", "nodes": "pve1"}),
    ("PUT /cluster/ha/groups/home", {"comment": "x"}),
    ("DELETE /cluster/ha/groups/home", {}),
    ("POST /cluster/ha/resources", {"sid": "vm:100", "state": "stopped"}),
    ("PUT /cluster/ha/resources/vm:100", {"max_restart": 2}),
    ("POST /cluster/ha/rules", {"rule": "near", "type": "node-affinity", "nodes": "pve1",
                                "resources": "vm:100"}),
    ("PUT /cluster/ha/rules/near", {"type": "node-affinity", "comment": "x"}),
    ("DELETE /cluster/ha/rules/near", {}),
    ("POST /cluster/ha/resources/vm:100/migrate", {"node": "pve2"}),
    ("POST /cluster/ha/resources/vm:100/relocate", {"node": "pve2"}),
    ("POST /cluster/ha/status/disarm-ha", {"resource-mode": "freeze"}),
    ("POST /cluster/ha/status/arm-ha", {}),
    ("DELETE /cluster/ha/resources/vm:100", {}),
]  # fmt: skip
