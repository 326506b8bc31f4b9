"""A node's own calls: its daemons, its power, its log, and what its QEMU can do."""

from __future__ import annotations

import pytest

from simulator.linux.install import installed as linux
from simulator.pve.releases import RELEASES
from simulator.state import GuestPower, HostPower
from tests.simulator.pve_cluster import Cluster, cluster

SERVICES = "/nodes/pve1/services"


def _service(here: Cluster, name: str, node: str = "pve1") -> tuple[str, str, str]:
    row = here.ok(f"GET /nodes/{node}/services/{name}/state")
    return row["state"], row["active-state"], row["unit-state"]


def _power(here: Cluster) -> HostPower:
    return here.twin.state.hosts["pve2"]


def test_a_service_stops_starts_and_runs_again_after_a_boot() -> None:
    here = cluster()
    assert _service(here, "spiceproxy") == ("running", "active", "enabled")
    task = here.done(f"POST {SERVICES}/spiceproxy/stop")
    assert (task.type, task.id, task.status) == ("srvstop", "spiceproxy", "OK")
    assert _service(here, "spiceproxy") == ("dead", "inactive", "enabled")
    assert _service(here, "spiceproxy", "pve2")[0] == "running"
    reload = here.done(f"POST {SERVICES}/spiceproxy/reload")
    assert reload.status == "command 'systemctl reload spiceproxy' failed: exit code 1"
    here.done(f"POST {SERVICES}/spiceproxy/restart")
    assert _service(here, "spiceproxy")[0] == "running"
    here.done(f"POST {SERVICES}/postfix/stop")
    here.ok("POST /nodes/pve1/status", command="reboot")
    here.wait(300)
    assert {row["service"]: row["state"] for row in here.ok(f"GET {SERVICES}")}["postfix"] == (
        "running"
    )


def test_what_the_api_runs_on_is_not_stopped_and_what_is_not_there_not_started() -> None:
    here = cluster()
    essential = here.done(f"POST {SERVICES}/pveproxy/stop")
    assert essential.status.endswith("refusing to stop essential service!")
    assert _service(here, "syslog") == ("dead", "inactive", "not-found")
    absent = here.done(f"POST {SERVICES}/syslog/start")
    assert absent.status == "command 'systemctl start syslog' failed: exit code 5"
    assert here.refusal(f"POST {SERVICES}/pve-ha-lrm/stop")[0] == 501
    assert "service" in here.errors(f"POST {SERVICES}/nginx/stop")
    auditor = here.user("ana@pve", "PVEAuditor")
    here.ok(f"GET {SERVICES}", user=auditor)
    assert here.refusal(f"POST {SERVICES}/cron/stop", user=auditor)[0] == 403


def test_a_node_without_corosync_falls_out_and_comes_back() -> None:
    here = cluster()
    here.done("POST /nodes/pve2/services/corosync/stop")
    here.wait(30)
    online = {row["name"]: row["online"] for row in here.ok("GET /cluster/status")[1:]}
    assert online == {"pve1": 1, "pve2": 0, "pve3": 1}
    refused = here.refusal("POST /pools", node="pve2", poolid="web")
    assert "no quorum!" in refused[1]
    here.done("POST /nodes/pve2/services/corosync/start")
    here.wait(30)
    here.ok("POST /pools", node="pve2", poolid="web")


def test_the_daemons_of_the_linux_side_are_the_same_ones() -> None:
    here = cluster()
    host = linux(here.twin, "pve1")
    assert _service(here, "cron")[0] == "running"
    assert host.run(here.twin, "systemctl stop cron").status == 0
    assert _service(here, "cron")[0] == "dead"
    here.done(f"POST {SERVICES}/cron/start")
    assert host.run(here.twin, "systemctl is-active cron").stdout == "active\n"
    here.done(f"POST {SERVICES}/sshd/stop")
    assert host.reachable(here.twin) == "refused"


def test_a_node_goes_down_in_order_and_is_woken_again() -> None:
    here = cluster()
    here.guest(100, "pve2")
    here.done("POST /nodes/pve2/qemu/100/status/start")
    unset = here.refusal("POST /nodes/pve2/wakeonlan")
    assert unset == (500, "No wake on LAN MAC address defined for 'pve2'!")
    here.ok("PUT /nodes/pve2/config", wakeonlan="BC:24:11:00:00:01")
    here.ok("POST /nodes/pve2/status", command="shutdown")
    here.wait(300)
    assert _power(here) is HostPower.OFF
    assert here.twin.state.guests["a", 100].power is GuestPower.STOPPED
    assert here.ok("POST /nodes/pve2/wakeonlan") == "BC:24:11:00:00:01"
    here.wait(300)
    assert _power(here) is HostPower.ON
    own = here.refusal("POST /nodes/pve1/wakeonlan")
    assert own == (500, "'pve1' is local node, cannot wake my self!")


def test_a_nodes_log_has_what_its_api_wrote() -> None:
    here = cluster()
    assert here.ok("GET /nodes/pve3/syslog") == [{"n": 1, "t": "no content"}]
    here.guest(100)
    here.wait(3600)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    lines = [row["t"] for row in here.ok("GET /nodes/pve1/syslog")]
    assert len(lines) == 4, "two tasks that began and ended"
    assert here.ok("GET /nodes/pve3/syslog")[0]["t"] == "no content", "not those of pve1"
    assert lines[0].startswith("Jan 01 00:00:00 pve1 pvedaemon[1000]: <root@pam!test> starting")
    assert here.ok("GET /nodes/pve1/syslog", start=3) == [{"n": 4, "t": lines[3]}]
    later = here.ok("GET /nodes/pve1/syslog", since="2026-01-01 00:30")
    assert [row["t"] for row in later] == lines[2:]
    assert here.ok("GET /nodes/pve1/syslog", service="sshd")[0]["t"] == "no content"
    first, *middle, last = here.ok("GET /nodes/pve1/journal", lastentries=2)
    assert middle == lines[2:]
    again = here.ok("GET /nodes/pve1/journal", startcursor=first, endcursor=last)
    assert again == [first, *middle, last]
    assert here.ok("GET /nodes/pve1/journal", endcursor=first)[1:-1] == lines[:3]
    assert here.refusal("GET /nodes/pve1/journal", structured=1)[0] == 501
    bad = here.refusal("GET /nodes/pve1/syslog", since="2026-13-01")
    assert bad[0] == 500


@pytest.mark.parametrize(("release", "newest"), [("9.2", "10.1"), ("8.4", "9.2"), ("7.4", "7.2")])
def test_machine_types_are_those_of_the_releases_qemu(release: str, newest: str) -> None:
    here = cluster()
    here.api.release = RELEASES[release]
    known = here.ok("GET /nodes/pve1/capabilities/qemu/machines")
    assert known[0] == {"id": f"pc-i440fx-{newest}", "type": "i440fx", "version": newest}
    assert f"pc-q35-{newest}" in {row["id"] for row in known}


def test_cpu_models_say_whose_they_are() -> None:
    here = cluster()
    vendors = {
        row["name"]: row["vendor"] for row in here.ok("GET /nodes/pve1/capabilities/qemu/cpu")
    }
    shown = [vendors[name] for name in ("host", "x86-64-v2-AES", "EPYC-Rome", "Nehalem", "phenom")]
    assert shown == ["default", "default", "AuthenticAMD", "GenuineIntel", "AuthenticAMD"]
    flags = here.ok("GET /nodes/pve1/capabilities/qemu/cpu-flags", accel="kvm")
    assert {"name": "aes"} in flags
    assert here.refusal("GET /nodes/pve1/capabilities/qemu/cpu", arch="aarch64")[0] == 501


def test_network_cards_are_counted_where_their_guests_run() -> None:
    here = cluster()
    here.guest(100, net0="virtio,bridge=vmbr0", net1="virtio,bridge=vmbr0")
    here.guest(101, net0="virtio,bridge=vmbr0")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    rows = here.ok("GET /nodes/pve1/netstat")
    assert [(row["vmid"], row["dev"]) for row in rows] == [("100", "net0"), ("100", "net1")]
    assert here.ok("GET /nodes/pve2/netstat") == []


def test_devices_are_shown_to_whoever_may_look_at_everything() -> None:
    here = cluster()
    assert here.ok("GET /nodes/pve1/hardware/pci") == []
    auditor = here.user("ana@pve", "PVEAuditor")
    here.ok("GET /nodes/pve1/hardware/pci", user=auditor)
    assert here.refusal("GET /nodes/pve1/hardware/usb", user=auditor)[0] == 403


def test_a_node_that_is_not_served_has_a_made_up_fingerprint() -> None:
    here = cluster()
    told = here.ok("GET /nodes/pve2/certificates/info")
    listed = {row["node"]: row["ssl_fingerprint"] for row in here.ok("GET /nodes")}
    assert told == [{"filename": "pve-ssl.pem", "fingerprint": listed["pve2"]}]
    assert len(set(listed.values())) == 3


def test_a_domain_of_a_node_is_named_once_and_has_a_plugin_that_is_there() -> None:
    here = cluster()
    put = "PUT /nodes/pve1/config"
    here.ok(put, acme="domains=a.lab;b.lab", acmedomain0="c.lab")
    for params, why in (
        ({"acme": "domains=a.lab;A.lab"}, "duplicate domain 'a.lab' in ACME config properties"),
        (
            {"acmedomain1": "b.lab"},
            "duplicate domain 'b.lab' in ACME config properties 'acmedomain1' and 'acme'",
        ),
        ({"acmedomain1": "d.lab,plugin=dns1"}, "plugin 'dns1' for domain 'd.lab' not found!"),
    ):
        assert here.refusal(put, **params) == (500, why)


def test_a_nodes_processors_are_told_as_the_kernel_tells_of_them() -> None:
    told = cluster().ok("GET /nodes/pve1/status")["cpuinfo"]
    names = {"cores", "cpus", "flags", "hvm", "mhz", "model", "sockets", "user_hz"}
    assert told.keys() == names
    assert (float(told["mhz"]), told["user_hz"]) == (2400, 100)
    assert told["hvm"] == str(int("vmx" in told["flags"].split()))
