"""Older releases: calls and parameters that they lack, rights, and answers of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve.changes import Change
from simulator.pve.parameters import table
from simulator.pve.releases import RELEASES, release_of
from tests.simulator.pve_cluster import Cluster, cluster


def _at(release: str) -> Cluster:
    here = cluster()
    here.api.release = RELEASES[release]
    return here


@pytest.mark.parametrize(
    ("version", "release"), [("9.2", "9.2"), ("8.1.4", "8.4"), ("7.4", "7.4"), ("5.2", "9.2")]
)
def test_a_version_is_answered_as_the_release_of_its_kind(version: str, release: str) -> None:
    assert release_of(version) is RELEASES[release]


@pytest.mark.parametrize(
    ("call", "releases"),
    [
        ("GET /cluster/ha/rules", {"9.2"}),
        ("POST /cluster/sdn/lock", {"9.2"}),
        ("GET /cluster/mapping/pci", {"9.2", "8.4"}),
        ("GET /cluster/bulk-action/guest", {"9.2"}),
        ("GET /cluster/notifications/targets", {"9.2", "8.4"}),
        ("GET /nodes/pve1/capabilities/qemu/migration", {"9.2"}),
        ("GET /cluster/firewall/rules", {"9.2", "8.4", "7.4"}),
    ],
)
def test_a_call_is_there_since_its_release(call: str, releases: set[str]) -> None:
    there = {name for name in RELEASES if _at(name).send(call).status != 501}
    assert there == releases


def test_7_4_grows_a_disk_at_once_and_tells_memory_as_a_number() -> None:
    here = _at("7.4")
    here.guest(100, scsi0="data:1", memory="512")
    resize = "PUT /nodes/pve1/qemu/100/resize"
    assert here.ok(resize, disk="scsi0", size="2G") is None
    assert here.config(100)["scsi0"].endswith("size=2G")
    assert here.config(100)["memory"] == 512
    shrunk = here.refusal(resize, disk="scsi0", size="1G")
    assert shrunk == (500, "shrinking disks is not supported")


def test_only_newer_releases_say_in_the_body_what_is_wrong() -> None:
    assert "message" in (_at("8.4").send("GET /storage/none").members or {})
    answer = _at("7.4").send("GET /storage/none")
    assert (answer.reason, answer.members) == ("storage 'none' does not exist", {"data": None})


def test_a_parameter_that_came_later_is_unknown_before() -> None:
    create = "POST /nodes/pve1/qemu"
    assert "ha-managed" in _at("8.4").errors(create, vmid=100, ha__managed=1)
    assert _at("9.2").done(create, vmid=100, ha__managed=1).status == "OK"


def test_7_4_asks_for_no_right_on_a_bridge() -> None:
    for release, status in (("9.2", 403), ("7.4", 200)):
        here = _at(release)
        here.guest(100)
        user = here.user("ana@pve", "PVEVMAdmin")
        change = "PUT /nodes/pve1/qemu/100/config"
        assert here.send(change, user=user, net0="virtio,bridge=vmbr0").status == status


def test_a_change_removes_adds_and_replaces_parameters() -> None:
    change = Change(
        r"GET /x",
        lacks="gone dev[n]",
        takes="new? integer 1..2",
        differs="kept string ..4\nabsent? string",
    )
    assert [change.concerns(call) for call in ("GET /x", "GET /x/y", "PUT /x")] == [1, 0, 0]
    known = table("kept? string\ngone? string\ndev[2]? string\nold -> gone\nother? string")
    changed = change.applied(known)
    assert set(changed.params) == {"kept", "other", "new"}
    assert (changed.params["kept"].high, changed.params["kept"].optional) == (4, True)
    assert changed.aliases == {}


@pytest.mark.parametrize(
    ("call", "params", "wrong", "releases"),
    [
        ("POST /storage", {"type": "glusterfs", "server": "h1", "volume": "v"}, "type", {"9.2"}),
        ("POST /storage", {"type": "dir", "path": "/x", "maxfiles": "3"}, "maxfiles", {"9.2"}),
        ("PUT /cluster/options", {"crs": "ha=dynamic"}, "crs", {"8.4", "7.4"}),
        ("PUT /cluster/options", {"notify": "fencing=always"}, "notify", {"7.4"}),
        ("PUT /cluster/options", {"language": "nl"}, "language", {"7.4"}),
        ("POST /cluster/firewall/rules", {"type": "forward", "action": "DROP"}, "type", {"7.4"}),
        ("POST /access/roles", {"roleid": "x1", "privs": "VM.Monitor"}, "privs", {"9.2"}),
        ("POST /access/roles", {"roleid": "x1", "privs": "VM.Replicate"}, "privs", {"8.4", "7.4"}),
        ("POST /access/roles", {"roleid": "x1", "privs": "SDN.Use"}, "privs", {"7.4"}),
        ("POST /pools", {"poolid": "a/b"}, "poolid", {"7.4"}),
        ("GET /nodes/pve1/rrddata", {"timeframe": "decade"}, "timeframe", {"8.4", "7.4"}),
        ("GET /nodes/pve1/journal", {"priority": "3"}, "priority", {"8.4", "7.4"}),
        ("GET /nodes/pve1/services/lxcfs/state", {}, "service", {"8.4", "7.4"}),
        ("GET /nodes/pve1/capabilities/qemu/cpu", {"arch": "x86_64"}, "arch", {"8.4", "7.4"}),
        (
            "PUT /nodes/pve1/lxc/200/config",
            {"rootfs": "a:1,mountoptions=discard"},
            "rootfs",
            {"7.4"},
        ),
        (
            "PUT /nodes/pve1/qemu/100/config",
            {"machine": "q35,aw-bits=39"},
            "machine",
            {"8.4", "7.4"},
        ),
        ("POST /cluster/sdn/zones", {"zone": "z-1", "type": "simple"}, "zone", set(RELEASES)),
        (
            "PUT /access/acl",
            {"path": "/mapping", "roles": "PVEAdmin", "users": "root@pam"},
            "path",
            {"7.4"},
        ),
    ],
)
def test_a_value_is_refused_where_the_release_does_not_know_it(
    call: str, params: dict[str, Any], wrong: str, releases: set[str]
) -> None:
    sent: dict[str, Any] = {**params, **({"storage": "s1"} if call == "POST /storage" else {})}
    refused = {}
    for name in RELEASES:
        response = _at(name).send(call, **sent)
        refused[name] = wrong in ((response.members or {}).get("errors") or {})  # type: ignore[operator]
    assert {name for name, known in refused.items() if known} == releases


def test_the_words_for_a_wrong_zone_are_those_of_the_release() -> None:
    told = {
        name: _at(name).errors("POST /cluster/sdn/zones", zone="z-1", type="simple")["zone"]
        for name in RELEASES
    }
    assert told["9.2"] == "value does not match the regex pattern"
    assert (
        told["8.4"]
        == told["7.4"]
        == ("invalid format - zone ID 'z-1' contains illegal characters\n")
    )


@pytest.mark.parametrize(
    ("role", "privilege", "releases"),
    [
        ("Administrator", "VM.Monitor", {"8.4", "7.4"}),
        ("PVEVMUser", "VM.GuestAgent.Audit", {"9.2"}),
        ("PVEVMAdmin", "VM.Replicate", {"9.2"}),
        ("PVESysAdmin", "Permissions.Modify", {"7.4"}),
        ("PVEAdmin", "Permissions.Modify", {"7.4"}),
        ("PVEAdmin", "Mapping.Use", {"9.2", "8.4"}),
        ("PVESDNUser", "SDN.Use", {"9.2", "8.4"}),
        ("Administrator", "Sys.AccessNetwork", {"9.2", "8.4"}),
        ("PVEAuditor", "SDN.Audit", {"9.2", "8.4", "7.4"}),
    ],
)
def test_built_in_roles_are_those_of_the_release(
    role: str, privilege: str, releases: set[str]
) -> None:
    found = set()
    for name in RELEASES:
        rows = {row["roleid"]: row["privs"] for row in _at(name).ok("GET /access/roles")}
        found |= {name} if privilege in rows.get(role, "").split(",") else set()
    assert found == releases


def test_asking_a_guests_agent_takes_the_privilege_of_the_release() -> None:
    for release, role, other in (("9.2", "VM.GuestAgent.Audit", "VM.Monitor"),
                                 ("8.4", "VM.Monitor", "VM.GuestAgent.Audit")):  # fmt: skip
        here = _at(release)
        here.guest(100)
        here.ok("POST /access/roles", roleid="Asks", privs=role)
        here.api.documents.roles["Other"] = {"privs": other}
        asked = "GET /nodes/pve1/qemu/100/agent/info"
        allowed = here.send(asked, user=here.user("ana@pve", "Asks"))
        assert (allowed.status, allowed.reason) == (500, "VM 100 is not running")
        assert here.send(asked, user=here.user("bob@pve", "Other")).status == 403


def test_a_directory_lists_a_name_as_long_as_the_release_has_any_call_of_it() -> None:
    for name in RELEASES:
        here = _at(name)
        listed = {row["subdir"] for row in here.ok("GET /nodes/pve1/lxc/100")}
        assert "migrate" in listed  # 8.4 has no GET of it
        assert ("interfaces" in listed) is (name != "7.4")
        acme = {row["name"] for row in here.ok("GET /cluster/acme")}
        assert ("meta" in acme) is (name != "7.4")


def test_services_listed_are_those_that_can_be_asked_about() -> None:
    listed = {}
    for name in RELEASES:
        here = _at(name)
        listed[name] = {row["service"] for row in here.ok("GET /nodes/pve1/services")}
        for service in listed[name]:
            assert here.ok(f"GET /nodes/pve1/services/{service}/state")["service"] == service
    assert listed["8.4"] == listed["7.4"]
    assert listed["9.2"] - listed["8.4"] == {
        "lxcfs", "proxmox-firewall", "pve-lxc-syscalld", "qmeventd",
    }  # fmt: skip


def test_who_may_look_at_storages_saw_the_disks_of_7_4_too() -> None:
    seen = {}
    for name in RELEASES:
        here = _at(name)
        everywhere = here.user("ana@pve", "PVEDatastoreUser")
        of_node = here.user("bob@pve", "PVEDatastoreUser", path="/nodes/pve1")
        seen[name] = [
            here.send(f"GET /nodes/pve1/disks/{kind}", user=user).status
            for kind in ("list", "lvm")
            for user in (everywhere, of_node)
        ]
    assert seen == {"9.2": [403] * 4, "8.4": [403] * 4, "7.4": [200, 200, 200, 403]}


def test_a_guests_command_is_a_text_in_7_4_and_a_list_since() -> None:
    sent = {"call": "POST /nodes/pve1/qemu/100/agent/exec", "command": ["ls", "/"]}
    answers = {}
    for name in RELEASES:
        here = _at(name)
        here.guest(100)
        answers[name] = here.send(**sent).status  # type: ignore[arg-type]
    assert answers == {"9.2": 500, "8.4": 500, "7.4": 400}
    here = _at("7.4")
    here.guest(100)
    assert here.refusal(str(sent["call"]), command="ls /")[1] == "VM 100 is not running"


def test_the_file_of_figures_that_is_missing_is_named_as_the_release_names_it() -> None:
    for name, folder in (("9.2", "pve-vm-9.0"), ("8.4", "pve2-vm"), ("7.4", "pve2-vm")):
        refused = _at(name).refusal("GET /nodes/pve1/qemu/100/rrddata", timeframe="hour")
        assert f"/{folder}/100'" in refused[1]


def test_an_option_that_came_later_can_not_be_unset_before() -> None:
    for release, answer in (("9.2", "no such option 'maxfiles'"), ("8.4", "")):
        here = _at(release)
        here.ok("POST /storage", storage="s1", type="dir", path="/x")
        response = here.send("PUT /storage/s1", delete="maxfiles")
        assert response.reason.endswith(answer or "OK")


def test_7_4_keeps_who_may_change_nets_apart_from_their_zone() -> None:
    here = _at("7.4")
    here.ok("POST /cluster/sdn/zones", zone="z1", type="simple")
    here.ok("POST /cluster/sdn/vnets", vnet="v1", zone="z1")
    zones, nets = (here.user(f"{who}@pve", "PVESDNAdmin", path=f"/sdn/{who}")
                   for who in ("zones", "vnets"))  # fmt: skip
    change = "PUT /cluster/sdn/vnets/v1"
    assert here.send(change, user=zones, alias="x").status == 403
    assert here.send(change, user=nets, alias="x").status == 200
    assert here.refusal("PUT /cluster/sdn/vnets/v9")[1] == (
        "update sdn vnet object failed: sdn vnet 'v9' does not exist"
    )
