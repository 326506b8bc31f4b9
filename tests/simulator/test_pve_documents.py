"""Documents as data: forked, loaded from answers, read by the physics."""

from __future__ import annotations

from typing import Any

from simulator.build import twin_of
from simulator.declared import declared_workload
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.pve.documents import Documents, GuestConfig
from simulator.pve.install import from_answers
from simulator.pve.load import workload
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster
from tests.simulator.three_nodes import apart, bound, guest, three_nodes

ASKED = (
    "/access/acl",
    "/access/domains",
    "/access/groups",
    "/access/roles",
    "/access/users?full=1",
    "/cluster/backup",
    "/cluster/ha/resources",
    "/cluster/ha/rules",
    "/cluster/options",
    "/cluster/resources",
    "/cluster/status",
    "/nodes",
    "/nodes/pve1/network",
    "/nodes/pve1/qemu/100/pending",
    "/nodes/pve2/qemu/101/config",
    "/nodes/pve1/storage/data/content",
    "/pools?poolid=team",
    "/storage",
)


def _furnished() -> Cluster:
    """A cluster with something of everything."""
    here = cluster()
    here.guest(100, scsi0="data:4", net0="virtio,bridge=vmbr0,tag=10", memory="2048", tags="a;b")
    here.guest(101, node="pve2", cores="2")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    here.ok("PUT /nodes/pve1/qemu/100/config", cores="4")
    here.ok("POST /access/groups", groupid="ops", comment="operators")
    here.ok("POST /access/users", userid="ana@pve", groups="ops", email="ana@lab.example")
    here.ok("POST /access/roles", roleid="Cpu", privs="VM.Config.CPU")
    here.ok("PUT /access/acl", path="/vms", roles="Cpu", groups="ops", propagate="0")
    here.ok("POST /access/domains", realm="corp", type="ad", server1="dc", domain="d")
    here.ok("POST /pools", poolid="team", comment="the team")
    here.ok("PUT /pools", poolid="team", vms="100", storage="data")
    here.ok("POST /cluster/ha/resources", sid="vm:101", max_restart="2")
    here.ok(
        "POST /cluster/ha/rules",
        rule="near",
        type="node-affinity",
        resources="vm:101",
        nodes="pve2:1",
    )
    here.ok(
        "POST /cluster/backup",
        id="nightly",
        schedule="daily",
        vmid="100",
        prune__backups="keep-last=2",
    )
    here.ok("PUT /cluster/options", crs="ha=static", registered__tags="a;b", description="lab")
    return here


def _answers(here: Cluster) -> dict[str, Any]:
    found = {}
    for text in ASKED:
        path, _, query = text.partition("?")
        params = dict(part.split("=") for part in query.split("&") if part)
        found[text] = here.ok(f"GET {path}", **{f"_{key}": value for key, value in params.items()})
    return found


def _comparable(answers: dict[str, Any]) -> Any:
    """Answers without digests and orders, which depend on more than what is asked for."""
    if isinstance(answers, dict):
        skipped = ("digest", "changes", "uptime", "hastate", "parent")
        return {key: _comparable(value) for key, value in answers.items() if key not in skipped}
    if isinstance(answers, list):
        rows = [
            row for row in answers if not (isinstance(row, dict) and row.get("key") == "digest")
        ]
        return sorted((_comparable(row) for row in rows), key=repr)
    return answers


def test_documents_loaded_from_answers_give_the_same_answers() -> None:
    here = _furnished()
    answers = _answers(here)
    api = PveApi("a", from_answers(answers))
    api.add_token(ROOT, SECRET)
    twin = here.twin.fork()
    twin.attach(api)
    twin.changed()
    twin.settle()
    again, expected = _comparable(_answers(Cluster(twin, api))), _comparable(answers)
    for text in ASKED:
        assert again[text] == expected[text], text


def test_a_token_that_was_only_seen_opens_nothing() -> None:
    seen = {"userid": "root@pam", "tokens": [{"tokenid": "seen", "privsep": 0}]}
    here = cluster()
    api = PveApi("a", from_answers({"/access/users?full=1": [seen]}))
    there = Cluster(here.twin, api)
    for secret in ("", "None"):
        headers = {"authorization": f"PVEAPIToken=root@pam!seen={secret}"}
        assert there.refusal("GET /version", headers=headers)[0] == 401


def test_what_waits_is_loaded_from_the_pending_view() -> None:
    documents = from_answers(_answers(_furnished()))
    assert documents.guests[100].pending == {"cores": 4}
    assert "cores" not in documents.guests[100].current


def test_a_guest_of_which_only_a_row_was_seen_counts_as_a_load() -> None:
    row = {"type": "qemu", "vmid": 300, "node": "pve1", "name": "x", "maxmem": 2**30, "maxcpu": 2}
    documents = from_answers({"/cluster/resources?type=vm": [row]})
    assert workload(documents).guests[300].memory_bytes == 2**30
    assert from_answers({}).guests == {}


def test_volumes_are_known_from_the_guests_that_have_them() -> None:
    answers = {
        "/storage": [{"storage": "vm", "type": "rbd", "pool": "vm", "content": "images"}],
        "/nodes/pve1/qemu/100/config": {"scsi0": "vm:vm-100-disk-0,size=8G"},
    }
    volume = from_answers(answers).volumes["", "vm:vm-100-disk-0"]
    assert (volume.vmid, volume.size_bytes) == (100, 8 * 2**30)


def test_a_fork_goes_its_own_way_and_the_original_stays() -> None:
    here = _furnished()
    before = _comparable(_answers(here))
    fork = here.twin.fork()
    device = fork.devices["pve/a"]
    assert isinstance(device, PveApi)
    there = Cluster(fork, device)
    there.ok("PUT /nodes/pve1/qemu/100/config", name="elsewhere")
    there.ok("DELETE /access/groups/ops")
    there.done("DELETE /nodes/pve2/qemu/101", purge="1")
    assert _comparable(_answers(here)) == before


def test_a_task_under_way_ends_in_the_fork_as_in_the_original() -> None:
    here = cluster()
    upid = here.ok("POST /nodes/pve1/qemu", vmid=100, scsi0="data:1", net0="virtio,bridge=vmbr0")
    fork = here.twin.fork()
    device = fork.devices["pve/a"]
    assert isinstance(device, PveApi)
    there = Cluster(fork, device)
    for one in (here, there):
        one.wait(10)
        assert one.api.documents.tasks[upid].status == "OK"
    assert here.config(100) == there.config(100)


def test_the_physics_reads_the_documents() -> None:
    documents = Documents()
    documents.guests[100] = GuestConfig(
        "qemu",
        {
            "name": "web",
            "cores": 2,
            "sockets": 2,
            "memory": "current=2048",
            "onboot": 1,
            "scsi0": "vm:vm-100-disk-0,size=8G",
            "ide2": "none,media=cdrom",
            "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=10",
            "net1": "virtio=BC:24:11:00:00:02,bridge=vmbr1",
        },
        pending={"memory": "4096"},
    )
    spec = workload(documents).guests[100]
    assert (spec.name, spec.cores, spec.memory_bytes, spec.onboot) == ("web", 4, 2 * 2**30, True)
    assert (spec.storages, spec.nets) == (frozenset({"vm"}), (("vmbr0", 10), ("vmbr1", 0)))


def test_declared_documents_are_the_declared_load() -> None:
    storages = "storages: {vm: {type: dir, path: /d, clusters: [a], content: [images]}}"
    disk = "    disks: {scsi0: {storage: vm, size: 8GiB, ssd: true}}\n"
    lab = three_nodes(
        guest("luffy", 101, more=disk),
        guest("zoro", 102),
        more="\n".join([storages, apart("luffy", "zoro").replace("{r:", "{r1:")]),
        rules=False,
    )
    twin = twin_of(lab)
    documents = declared(twin, "a")
    del documents.storages["local"]
    assert workload(documents) == declared_workload(lab, "a")
    assert documents.guests[101].current["scsi0"] == "vm:101/vm-101-disk-0.raw,size=8G,ssd=1"


def test_declared_node_rules_carry_their_priorities() -> None:
    lab = three_nodes(guest("luffy", 101), more=bound("luffy", strict=True, pve1=2, pve2=1))
    documents = declared(twin_of(lab), "a")
    assert documents.ha_rules["r"] == {
        "type": "node-affinity",
        "resources": "vm:101",
        "nodes": "pve1:2,pve2:1",
        "strict": 1,
    }


def test_a_storage_of_somebody_elses_plugin_is_kept_as_far_as_it_is_known() -> None:
    row = {"storage": "drbd", "type": "drbd", "content": "images", "controller": "x", "shared": 1}
    documents = from_answers({"/storage": [{**row, "digest": "0"}]})
    assert documents.files["storage.cfg"] == "drbd: drbd\n\tcontent images\n\tshared 1\n\n"
    assert documents.storages["drbd"] == {"type": "drbd", "content": "images", "shared": 1}
