"""One long story that makes every writing call, in every release.

What each call answers is held against the schema of the release by `conftest`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from simulator.pve.api import tree
from simulator.pve.releases import NEWEST, RELEASES
from simulator.pve.wire import Request, Response
from tests.simulator.pve_cluster import Cluster, cluster
from tests.simulator.pve_schemas import answer_misfits

Step = tuple[str, dict[str, Any]]
VM, CT, NODE, SDN, FIREWALL = (
    "/nodes/pve1/qemu/100", "/nodes/pve1/lxc/200", "/nodes/pve1", "/cluster/sdn",
    "/cluster/firewall",
)  # fmt: skip
NIC = "virtio,bridge=vmbr0"
TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"


def _firewall(base: str, kind: str = "in") -> list[Step]:
    rules = f"{base}/rules"
    return [
        (f"POST {rules}", {"type": kind, "action": "ACCEPT", "enable": 1}),
        (f"PUT {rules}/0", {"comment": "ä"}),
        (f"DELETE {rules}/0", {}),
        (f"PUT {base}/options", {"enable": 0}),
    ]


def _sets(base: str) -> list[Step]:
    return [
        (f"POST {base}/aliases", {"name": "web", "cidr": "10.0.0.1"}),
        (f"PUT {base}/aliases/web", {"cidr": "10.0.0.2"}),
        (f"DELETE {base}/aliases/web", {}),
        (f"POST {base}/ipset", {"name": "web"}),
        (f"POST {base}/ipset/web", {"cidr": "10.0.0.0/24"}),
        (f"PUT {base}/ipset/web/10.0.0.0%2F24", {"comment": "x"}),
        (f"DELETE {base}/ipset/web/10.0.0.0%2F24", {}),
        (f"DELETE {base}/ipset/web", {}),
    ]


def _snapshots(guest: str) -> list[Step]:
    return [
        (f"POST {guest}/snapshot", {"snapname": "one"}),
        (f"PUT {guest}/snapshot/one/config", {"description": "x"}),
        (f"POST {guest}/snapshot/one/rollback", {}),
        (f"DELETE {guest}/snapshot/one", {}),
    ]


PEOPLE: list[Step] = [
    ("POST /access/groups", {"groupid": "ops"}),
    ("PUT /access/groups/ops", {"comment": "x"}),
    ("POST /access/users", {"userid": "ana@pve", "groups": "ops", "password": "long enough"}),
    ("PUT /access/users/ana@pve", {"email": "a@b.de"}),
    ("PUT /access/password", {"userid": "ana@pve", "password": "longer yet"}),
    ("POST /access/users/ana@pve/token/t1", {}),
    ("PUT /access/users/ana@pve/token/t1", {"comment": "x"}),
    ("POST /access/roles", {"roleid": "Few", "privs": "VM.Audit"}),
    ("PUT /access/roles/Few", {"privs": "VM.Console", "append": 1}),
    ("PUT /access/acl", {"path": "/vms", "roles": "Few", "users": "ana@pve"}),
    ("POST /access/domains", {"realm": "corp", "type": "ldap", "server1": "h1",
                              "base_dn": "dc=lab", "user_attr": "uid"}),
    ("PUT /access/domains/corp", {"comment": "x"}),
    ("DELETE /access/domains/corp", {}),
    ("DELETE /access/users/ana@pve/token/t1", {}),
    ("DELETE /access/users/ana@pve", {}),
    ("DELETE /access/roles/Few", {}),
    ("DELETE /access/groups/ops", {}),
]  # fmt: skip
OBJECTS: list[Step] = [
    ("POST /storage", {"storage": "more", "type": "dir", "path": "/srv/more",
                       "content": "iso,vztmpl,images,rootdir"}),
    ("PUT /storage/more", {"disable": 0}),
    ("POST /pools", {"poolid": "web"}),
    ("PUT /pools/web", {"comment": "x"}),
    ("DELETE /pools/web", {}),
    ("POST /pools", {"poolid": "web"}),
    ("PUT /pools", {"poolid": "web", "comment": "y"}),
    ("DELETE /pools", {"poolid": "web"}),
    ("PUT /cluster/options", {"keyboard": "de", "description": "ä"}),
    ("POST /cluster/backup", {"id": "nightly", "schedule": "daily", "all": 1}),
    ("PUT /cluster/backup/nightly", {"comment": "x"}),
    ("DELETE /cluster/backup/nightly", {}),
    ("POST /cluster/metrics/server/db", {"type": "graphite", "server": "h1", "port": 2003}),
    ("PUT /cluster/metrics/server/db", {"server": "h2", "port": 2003}),
    ("DELETE /cluster/metrics/server/db", {}),
    *[
        step
        for kind, place in (("dir", "path=/srv/data"), ("pci", "path=0000:01:00.0,id=10de:1db6"),
                            ("usb", "id=1d6b:0002"))
        for step in (
            (f"POST /cluster/mapping/{kind}", {"id": "web", "map": [f"node=pve1,{place}"]}),
            (f"PUT /cluster/mapping/{kind}/web", {"map": [f"node=pve1,{place}"]}),
            (f"DELETE /cluster/mapping/{kind}/web", {}),
        )
    ],
]  # fmt: skip
NODES: list[Step] = [
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
NETS: list[Step] = [
    (f"POST {SDN}/lock", {}),
    (f"DELETE {SDN}/lock", {"force": 1}),
    (f"POST {SDN}/ipams", {"ipam": "own", "type": "pve"}),
    (f"PUT {SDN}/ipams/own", {}),
    (f"DELETE {SDN}/ipams/own", {}),
    (f"POST {SDN}/dns", {"dns": "pd", "type": "powerdns", "url": "http://h1", "key": "x"}),
    (f"PUT {SDN}/dns/pd", {"ttl": 60}),
    (f"DELETE {SDN}/dns/pd", {}),
    (f"POST {SDN}/controllers", {"controller": "c1", "type": "evpn", "asn": 1,
                                 "peers": "10.0.0.1"}),
    (f"PUT {SDN}/controllers/c1", {"asn": 2}),
    (f"DELETE {SDN}/controllers/c1", {}),
    (f"POST {SDN}/zones", {"zone": "z1", "type": "simple", "ipam": "pve"}),
    (f"PUT {SDN}/zones/z1", {"mtu": 1400}),
    (f"POST {SDN}/vnets", {"vnet": "v1", "zone": "z1"}),
    (f"PUT {SDN}/vnets/v1", {"alias": "x"}),
    (f"POST {SDN}/vnets/v1/subnets", {"subnet": "10.0.0.0/24", "type": "subnet"}),
    (f"PUT {SDN}/vnets/v1/subnets/z1-10.0.0.0-24", {"gateway": "10.0.0.1"}),
    *_firewall(f"{SDN}/vnets/v1/firewall", "forward"),
    (f"PUT {SDN}", {}),
    (f"DELETE {SDN}/vnets/v1/subnets/z1-10.0.0.0-24", {}),
    (f"DELETE {SDN}/vnets/v1", {}),
    (f"DELETE {SDN}/zones/z1", {}),
    (f"POST {SDN}/rollback", {}),
]  # fmt: skip
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
    (f"POST {VM}/status/reset", {}),
    (f"POST {VM}/status/reboot", {}),
    (f"POST {VM}/status/shutdown", {}),
    (f"POST {VM}/status/start", {}),
    (f"POST {VM}/status/stop", {}),
    (f"POST {VM}/migrate", {"target": "pve2", "with-local-disks": 1}),
    ("POST /nodes/pve2/qemu/100/migrate", {"target": "pve1", "with-local-disks": 1}),
    *_firewall(f"{VM}/firewall"),
    *_sets(f"{VM}/firewall"),
    (f"POST {NODE}/qemu/101/template", {}),
    (f"DELETE {NODE}/qemu/101", {"purge": 1}),
    (f"POST {NODE}/vzdump", {"vmid": "100", "storage": "local"}),
]  # fmt: skip
CONTAINERS: list[Step] = [
    (f"POST {NODE}/storage/local/download-url",
     {"content": "vztmpl", "url": "http://h1/x", "filename": TEMPLATE.rpartition("/")[2]}),
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
    (f"POST {CT}/status/reboot", {}),
    (f"POST {CT}/status/shutdown", {}),
    (f"POST {CT}/status/start", {}),
    (f"POST {CT}/status/stop", {}),
    (f"POST {CT}/migrate", {"target": "pve2"}),
    ("POST /nodes/pve2/lxc/200/migrate", {"target": "pve1"}),
    *_firewall(f"{CT}/firewall"),
    *_sets(f"{CT}/firewall"),
    (f"POST {NODE}/lxc/201/template", {}),
    (f"DELETE {NODE}/lxc/201", {}),
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
    (f"DELETE {NODE}/tasks/{{upid}}", {}),
    ("POST /nodes/pve3/status", {"command": "reboot"}),
]  # fmt: skip
REST: list[Step] = [
    (f"POST {NODE}/storage/data/content", {"vmid": 100, "filename": "vm-100-disk-9.raw",
                                           "size": "1G", "format": "raw"}),
    (f"PUT {NODE}/storage/data/content/data:100%2Fvm-100-disk-9.raw", {"notes": "x"}),
    (f"DELETE {NODE}/storage/data/content/data:100%2Fvm-100-disk-9.raw", {}),
    *_firewall(FIREWALL),
    *_firewall(f"{NODE}/firewall"),
    *_sets(FIREWALL),
    (f"POST {FIREWALL}/groups", {"group": "web"}),
    (f"POST {FIREWALL}/groups/web", {"type": "in", "action": "ACCEPT"}),
    (f"PUT {FIREWALL}/groups/web/0", {"comment": "x"}),
    (f"DELETE {FIREWALL}/groups/web/0", {}),
    (f"DELETE {FIREWALL}/groups/web", {}),
    ("DELETE /storage/more", {}),
]  # fmt: skip
STORY = [*PEOPLE, *OBJECTS, *NODES, *NETS, *GUESTS, *CONTAINERS, *REST, *HA]

UNHEARD = re.compile(r".*/agent.*")
"""Calls that nobody answers: no system runs inside the twin's guests."""
REFUSED = {
    r"\w+ /cluster/sdn/dns.*": "dns",  # no such server is there to be asked
    r"POST /nodes/.*/status/(suspend|resume)": "not implemented",
    r"POST /nodes/.*/lxc/200/status/resume": "already running",
    r"PUT /nodes/.*/content/.*": "only backups can have notes",
    r"\w+ /cluster/ha/groups.*": "ha groups have been migrated to rules",
}
"""Calls of the story that are refused, with what is said then."""


def _tell(here: Cluster) -> tuple[set[str], dict[str, str]]:
    """The calls that were made, and what went wrong."""
    release, made, wrong = here.api.release, {"POST /access/ticket"}, dict[str, str]()
    headers = here.login()
    for call, params in STORY:
        method, _, path = call.partition(" ")
        path = path.replace("{upid}", next(iter(here.api.documents.tasks), ""))
        segments = [part.replace("%2F", "/") for part in path.split("/") if part]
        found = tree().find(method, segments)
        assert found is not None, call
        if release.lacks(found[0].call):
            continue
        known = release.table(found[0]).params
        sent = {f"_{key}": value for key, value in params.items() if key in known}
        response = here.send(f"{method} {path}", None, headers=headers, **sent)
        made.add(found[0].call)
        data = (response.members or {}).get("data")
        if response.status != 200:
            told = f"{response.reason} {(response.members or {}).get('errors')}"
            if not any(re.fullmatch(at, call) and said in told for at, said in REFUSED.items()):
                wrong[call] = told
        elif str(data).startswith("UPID:"):
            while (task := here.api.documents.tasks[str(data)]).running:
                here.wait(1)
            if task.status != "OK":
                wrong[call] = task.status
        here.wait(1)
    return made, wrong


@pytest.mark.parametrize("release", RELEASES)
def test_every_writing_call_is_made_and_answers_as_its_release_says(release: str) -> None:
    here = cluster()
    here.api.release = RELEASES[release]
    here.api.documents.storages["tank"] = {"type": "zfspool", "pool": "tank", "content": "rootdir"}
    made, wrong = _tell(here)
    assert wrong == {}
    writes = {
        route.call
        for route in tree().routes
        if route.method != "GET" and not RELEASES[release].lacks(route.call)
    }
    assert {call for call in writes - made if not UNHEARD.fullmatch(call)} == set()


@pytest.mark.parametrize(
    ("call", "data", "miss"),
    [
        ("GET /version", {"version": "9.2", "release": "9.2"}, "data.repoid is missing"),
        ("GET /pools", {}, "data is {}, not array"),
        ("POST /pools", "UPID:x", "data is 'UPID:x', not null"),
        ("POST /nodes/pve1/qemu", None, "data is null, not string"),
        ("GET /nodes", [{"node": "pve1", "status": "fine"}], "data[0].status is 'fine', none of"),
        ("GET /pools", [{"poolid": "web"}], ""),
    ],
)
def test_an_answer_that_is_none_of_its_schema_is_seen(call: str, data: object, miss: str) -> None:
    method, _, path = call.partition(" ")
    found = answer_misfits(
        NEWEST, Request("pve1", method, path), Response(200, "OK", {"data": data})
    )
    assert any(miss in told for told in found) if miss else found == []
