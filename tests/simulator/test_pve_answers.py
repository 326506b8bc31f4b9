"""Every answer fits what the official schema of Proxmox VE 9.2 says of it.

Conversions: booleans are 0 and 1, integers may come as text, a property that is not `optional` must
be there, and more properties than the schema names are fine, as in the real answers.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from simulator.mon.monitors import monitors_of
from simulator.pve.api import tree
from simulator.pve.documents import Backup, Volume
from simulator.pve.routes import Route
from simulator.pve.wire import Given, Request
from tests.simulator.ceph_nodes import with_ceph
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster
from tests.simulator.pve_schemas import misfits, official

TOKEN = {"authorization": f"PVEAPIToken={ROOT}={SECRET}"}
NAMES = {
    "node": "pve1", "vmid": "100", "pos": "0", "storage": "data", "userid": "ana@pve",
    "groupid": "ops", "roleid": "Few", "tokenid": "t1", "poolid": "web", "realm": "pve",
    "name": "web", "group": "web", "cidr": "10.0.0.0%2F24", "zone": "z1", "vnet": "v1",
    "subnet": "z1-10.0.0.0-24", "controller": "c1", "ipam": "pve", "iface": "vmbr0",
    "service": "cron", "snapname": "one", "sid": "vm:100", "rule": "near",
    "volume": "data:100%2Fvm-100-disk-0.qcow2", "fabric": "f1", "fabric_id": "f1",
    "node_id": "pve1", "pci-id-or-mapping": "web",
}  # fmt: skip
IDS = {"/cluster/backup": "nightly", "/cluster/replication": "102-0", "/cluster/mapping": "web",
       "/cluster/metrics": "db", "/nodes": "102-0",
       "/cluster/acme/plugins": "standalone", "/cluster/sdn/fabrics": "f1",
       "/cluster/jobs/realm-sync": "often", "/access/tfa": "recovery"}  # fmt: skip
TARGETS = {"/sendmail/": "mail-to-root", "/smtp/": "mail", "/webhook/": "hook",
           "/matchers/": "late"}  # fmt: skip
WRONG = {
    "GET /cluster/mapping/dir": "description is optional when one is made",
    "GET /cluster/mapping/pci": "description is optional when one is made",
    "GET /cluster/mapping/usb": "description is optional, error comes with check-node alone",
}
"""Calls whose schema says less or other than what the real API answers."""
CEPH_NAMES = {"name": "vm", "osdid": "0", "flag": "noout"}
BACKUP = "local:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma"
ASKED: dict[str, dict[str, Given]] = {
    "/feature": {"feature": "copy"},
    "/rrddata": {"timeframe": "hour"},
    "/storage/data/rrd": {"timeframe": "hour", "ds": "used"},
    "/rrd": {"timeframe": "hour", "ds": "cpu,netin"},
    "/dump": {"type": "user"},
    "/query-url-metadata": {"url": "https://h1/a.iso"},
    "/schedule-analyze": {"schedule": "daily"},
    "/cmd-safety": {"service": "osd", "action": "stop", "id": "0"},
    "/cfg/value": {"config-keys": "global:fsid"},
    "/disks/smart": {"disk": "/dev/sda"},
    "/scan/iscsi": {"portal": "10.0.0.1"},
    "/scan/lvmthin": {"vg": "pve"},
    "/extractconfig": {"volume": BACKUP},
}
"""What has to be asked along, by the end of a path."""
UNUSED = re.compile(
    r"/cluster/sdn/dns/|/agent/|/cluster/ha/groups|/nextid|/scan/(nfs|cifs|pbs)|/query-oci|/disks/zfs/"
    r"|/acme/(account/|meta|tos)|websocket|/file-restore/|/import-metadata"
)
"""Calls that can't answer here: nothing to ask for, nobody who answers, or a ticket is needed."""


@cache
def _full() -> Cluster:
    """A cluster with one of everything."""
    here = cluster()
    data = here.api.documents.storages["data"]
    here.api.documents.storages["data"] = {**data, "prune-backups": "keep-last=1"}
    here.api.documents.storages["tank"] = {"type": "zfspool", "pool": "tank", "content": "images"}
    here.api.sync(here.twin)
    here.guest(100, name="web", scsi0="data:1,format=qcow2", net0="virtio,bridge=vmbr0", tags="a")
    here.guest(102, scsi0="tank:1")
    here.done("POST /nodes/pve1/qemu/100/snapshot", snapname="one")
    here.ok("POST /access/groups", groupid="ops", comment="x")
    here.ok("POST /access/users", userid="ana@pve", groups="ops")
    here.ok("POST /access/users/ana@pve/token/t1")
    here.ok("POST /access/tfa/ana@pve", user=None, headers=here.login(), type="recovery")
    here.ok("POST /access/domains", realm="corp", type="ad", server1="h1", domain="corp.lab")
    here.ok("POST /cluster/jobs/realm-sync/often", realm="corp", schedule="daily", scope="users")
    here.ok("POST /access/roles", roleid="Few", privs="VM.Audit")
    here.ok("PUT /access/acl", path="/vms", roles="Few", users="ana@pve")
    here.ok("POST /pools", poolid="web")
    here.ok("PUT /pools", poolid="web", vms="100", storage="data")
    here.ok("POST /cluster/sdn/zones", zone="z1", type="simple", ipam="pve")
    here.ok("POST /cluster/sdn/vnets", vnet="v1", zone="z1")
    here.ok("POST /cluster/sdn/vnets/v1/subnets", subnet="10.0.0.0/24", type="subnet",
            gateway="10.0.0.1")  # fmt: skip
    here.ok("POST /cluster/sdn/controllers", controller="c1", type="evpn", asn=1, peers="10.0.0.1")
    here.ok("POST /cluster/sdn/fabrics/fabric", id="f1", protocol="openfabric",
            ip_prefix="10.9.0.0/24")  # fmt: skip
    here.ok("POST /cluster/sdn/fabrics/node/f1", node_id="pve1", protocol="openfabric",
            ip="10.9.0.1", interfaces=["name=eno1"])  # fmt: skip
    here.done("PUT /cluster/sdn")
    for base in ("/cluster/firewall", "/nodes/pve1/qemu/100/firewall"):
        here.ok(f"POST {base}/ipset", name="web")
        here.ok(f"POST {base}/ipset/web", cidr="10.0.0.0/24")
        here.ok(f"POST {base}/aliases", name="web", cidr="10.0.0.1")
        here.ok(f"POST {base}/rules", type="in", action="ACCEPT", source="+web", log="info")
    here.ok("POST /cluster/sdn/vnets/v1/firewall/rules", type="forward", action="ACCEPT")
    here.ok("POST /nodes/pve1/firewall/rules", type="in", action="ACCEPT")
    here.ok("POST /cluster/firewall/groups", group="web")
    here.ok("POST /cluster/firewall/groups/web", type="in", action="ACCEPT")
    for kind, place in (("dir", "path=/srv/data"), ("pci", "path=0000:01:00.0,id=10de:1db6"),
                        ("usb", "id=1d6b:0002")):  # fmt: skip
        here.ok(f"POST /cluster/mapping/{kind}", id="web", map=[f"node=pve1,{place}"])
    here.ok("POST /cluster/metrics/server/db", type="graphite", server="10.0.0.1", port=2003)
    ends = "/cluster/notifications/endpoints"
    mail = {"mailto": ["a@b.example"], "from__address": "pve@lab.example"}
    here.ok(f"POST {ends}/gotify", name="web", server="https://g.example", token="t")
    here.ok(f"PUT {ends}/sendmail/mail-to-root", **mail)
    here.ok(f"POST {ends}/smtp", name="mail", server="m.example", **mail)
    here.ok(f"POST {ends}/webhook", name="hook", url="https://w.example", method="put",
            header=["name=a,value=YQ=="], secret=["name=k,value=YQ=="])  # fmt: skip
    here.ok("POST /cluster/notifications/matchers", name="late", target=["hook"])
    here.ok("POST /cluster/replication", id="102-0", type="local", target="pve2")
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1)
    here.ok("POST /cluster/ha/resources", sid="vm:100", state="started")
    here.ok("POST /cluster/ha/rules", rule="near", type="node-affinity", resources="vm:100",
            nodes="pve1")  # fmt: skip
    here.wait(60)
    kept = Backup("name: web\n")
    backup = Volume(
        "local", "pve1", BACKUP.partition(":")[2], 100, 1, "vma", 0, "backup", backup=kept
    )
    here.api.documents.volumes[backup.key] = backup
    return here


@cache
def _ceph() -> Cluster:
    """A cluster with Ceph on its nodes, and something in each of its files."""
    here = with_ceph(loaded=True)
    monitors_of(here.twin, "a").line(here.twin, ["config", "set", "osd", "osd_max_backfills", "2"])
    here.done("PUT /nodes/pve1/ceph/pool/vm", target_size="1G", pg_num_min=8)
    here.fail("fail-osd a/3", 60)
    return here


def _path(route: Route) -> str:
    path = route.path
    kind = "102" if "replication" in path else "100"
    for name in re.findall(r"\{([^}]*)\}", path):
        word = next((w for start, w in IDS.items() if name == "id" and path.startswith(start)), "")
        target = next((n for part, n in TARGETS.items() if part in path), NAMES["name"])
        names = {**NAMES, "vmid": kind, "id": word, "name": target}
        known = (names | (CEPH_NAMES if "/ceph" in path else {})).get(name.strip("*"), "none")
        path = path.replace(f"{{{name}}}", known)
    return path


GETS = [
    route
    for route in tree().routes
    if route.method == "GET" and route.path != "/" and not UNUSED.search(route.path)
]


@pytest.mark.parametrize("route", GETS, ids=lambda route: str(route.call))
def test_an_answer_fits_the_official_schema(route: Route) -> None:
    here, path = _ceph() if "/ceph" in route.path else _full(), _path(route)
    if "{upid}" in route.path:
        path = path.replace("none", next(iter(here.api.documents.tasks)))
    asked = next((given for end, given in ASKED.items() if path.endswith(end)), {})
    who = here.login() if route.may == "root" else TOKEN
    response = here.api.handle(here.twin, Request("pve1", "GET", path, asked, who))
    if "/lxc/" in path and response.status == 500:
        assert "lxc/100.conf' does not exist" in response.reason
        return
    assert response.status == 200, f"{path}: {response.status} {response.reason}"
    known = official(route)
    assert known is not None
    found = list(misfits(known.get("returns", {}), (response.members or {})["data"]))
    assert bool(found) == (route.call in WRONG), found


def test_a_task_that_never_was_is_told_of_its_id() -> None:
    here = cluster()
    task = "/nodes/pve1/tasks/UPID:pve1:00000001:00000001:00000001:x:1:root@pam:"
    for call in (f"GET {task}/status", f"DELETE {task}"):
        assert here.errors(call) == {"upid": "no such task"}
    text = "unable to open file - No such file or directory"
    assert here.ok(f"GET {task}/log") == [{"n": 1, "t": text}]
    odd = here.errors("GET /nodes/pve1/tasks/UPID:x/log")
    assert odd == {"upid": "unable to parse worker upid"}


def test_somebody_elses_task_is_seen_by_auditors_and_stopped_by_who_may_change_the_node() -> None:
    here = cluster()
    task = here.done("POST /nodes/pve1/qemu", vmid=100)
    auditor = here.user("ana@pve", "PVEAuditor")
    assert here.ok(f"GET /nodes/pve1/tasks/{task.upid}/status", user=auditor)["type"] == "qmcreate"
    refused = here.refusal(f"DELETE /nodes/pve1/tasks/{task.upid}", user=auditor)
    assert refused == (403, "Permission check failed (/nodes/pve1, Sys.Modify)")


def test_where_one_of_several_rights_will_do_none_of_them_is_named() -> None:
    here = cluster()
    here.guest(100)
    cloner = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    here.ok("POST /access/roles", roleid="Cloner", privs="VM.Clone")
    here.ok("PUT /access/acl", path="/vms/100", roles="Cloner", users="ana@pve")
    for call, params in (
        ("POST /nodes/pve1/qemu/100/clone", {"newid": 101}),
        ("GET /cluster/mapping/pci/gpu", {}),
        ("GET /access/users/root@pam/token", {}),
        ("GET /access/users/ana@pve/token", {}),  # a token is not its user
    ):
        refused = here.refusal(call, user=cloner, **params)
        assert refused == (403, "Permission check failed")


def test_what_has_no_rule_is_for_the_superuser_alone() -> None:
    here = cluster()
    assert here.refusal("GET /cluster/backup-info") == (
        403,
        "Permission check failed (user != root@pam)",
    )
    assert here.ok("GET /cluster/backup-info", user=None, headers=here.login())
