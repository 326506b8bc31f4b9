"""The cluster as a whole, its nodes, and their network configuration."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.pve_cluster import Cluster, cluster

NETWORK = "/nodes/pve1/network"


def test_status_is_what_the_node_asked_sees() -> None:
    here = cluster()
    here.fail("fail-node pve3")
    rows = {row["id"]: row for row in here.ok("GET /cluster/status", node="pve2")}
    assert (rows["cluster"]["quorate"], rows["cluster"]["nodes"]) == (1, 3)
    online = {name: row["online"] for name, row in rows.items() if row["type"] == "node"}
    assert online == {"node/pve1": 1, "node/pve2": 1, "node/pve3": 0}
    assert rows["node/pve2"]["local"] == 1
    assert rows["node/pve1"]["ip"] == "192.168.99.1"


def test_a_node_that_was_down_has_a_short_uptime() -> None:
    here = cluster()
    before = here.ok("GET /nodes/pve3/status")["uptime"]
    here.fail("fail-node pve3@0s..10s", wait_s=120)
    assert before > 80_000
    assert here.ok("GET /nodes/pve3/status")["uptime"] < 120


def test_a_running_guest_takes_its_memory_from_its_node() -> None:
    here = cluster()
    here.guest(100, memory="4096")
    before = here.ok("GET /nodes/pve1/status")["memory"]["free"]
    here.done("POST /nodes/pve1/qemu/100/status/start")
    assert before - here.ok("GET /nodes/pve1/status")["memory"]["free"] == 4 * 2**30


def test_options_go_in_as_text_and_come_out_as_objects() -> None:
    here = cluster()
    here.ok("PUT /cluster/options", crs="ha=static", ha="shutdown_policy=migrate", keyboard="es")
    options = here.ok("GET /cluster/options")
    assert (options["crs"], options["ha"]) == ({"ha": "static"}, {"shutdown_policy": "migrate"})
    assert here.twin.facts.workload("a").shutdown_policy == "migrate"
    here.ok("PUT /cluster/options", delete="crs,bogus", keyboard="de")
    options = here.ok("GET /cluster/options")
    assert "crs" not in options
    assert options["keyboard"] == "de"


def test_the_tag_style_decides_how_tags_are_kept() -> None:
    here = cluster()
    here.guest(100, tags="b;A;a")
    assert here.config(100)["tags"] == "a;b"
    here.ok("PUT /cluster/options", tag__style="case-sensitive=1,ordering=config")
    here.ok("PUT /nodes/pve1/qemu/100/config", tags="b;A;a;b")
    assert here.config(100)["tags"] == "b;A;a"


def test_next_id_stays_within_the_range() -> None:
    here = cluster()
    assert here.ok("GET /cluster/nextid") == "100"
    here.ok("PUT /cluster/options", next__id="lower=200,upper=202")
    here.guest(200)
    assert here.ok("GET /cluster/nextid") == "201"
    assert here.errors("GET /cluster/nextid", vmid="200") == {"vmid": "VM 200 already exists"}


def test_the_log_shows_ones_own_lines_to_who_may_not_see_all() -> None:
    here = cluster()
    ana = here.user("ana@pve", "PVEVMAdmin")
    here.guest(100)
    here.ok("PUT /nodes/pve1/qemu/100/config", user=ana, onboot="1")
    assert [row["msg"] for row in here.ok("GET /cluster/log", user=ana)] == [
        "update VM 100: -onboot 1"
    ]
    assert len(here.ok("GET /cluster/log")) > 1


def _interfaces(here: Cluster) -> dict[str, dict[str, object]]:
    return {row["iface"]: row for row in here.ok(f"GET {NETWORK}")}


def test_network_changes_are_staged_shown_as_a_difference_and_reloaded() -> None:
    here = cluster()
    assert "changes" not in (here.send(f"GET {NETWORK}").members or {})
    here.ok(f"POST {NETWORK}", iface="vmbr1", type="bridge", cidr="10.20.0.1/24", autostart="1")
    changes = (here.send(f"GET {NETWORK}").members or {})["changes"]
    assert "+iface vmbr1 inet static\n+\taddress 10.20.0.1/24\n" in str(changes)
    assert here.api.documents.nodes["pve1"].network.keys() == {"eno1", "vmbr0"}
    task = here.done(f"PUT {NETWORK}")
    assert (task.type, task.id) == ("srvreload", "networking")
    assert _interfaces(here)["vmbr1"]["active"] == 1
    assert "changes" not in (here.send(f"GET {NETWORK}").members or {})


def test_staged_changes_can_be_dropped_and_come_up_with_the_node() -> None:
    here = cluster()
    here.ok(f"POST {NETWORK}", iface="vmbr1", type="bridge")
    here.ok(f"DELETE {NETWORK}")
    assert "vmbr1" not in _interfaces(here)
    here.ok(f"POST {NETWORK}", iface="vmbr2", type="bridge")
    here.fail("fail-node pve1@0s..5s", wait_s=120)
    assert "vmbr2" in here.api.documents.nodes["pve1"].network


def test_an_address_that_is_not_sent_again_leaves_an_interface_manual() -> None:
    here = cluster()
    here.ok(f"POST {NETWORK}", iface="vmbr1", type="bridge", cidr="10.20.0.1/24")
    here.ok(f"PUT {NETWORK}/vmbr1", type="bridge", comments="x")
    shown = here.ok(f"GET {NETWORK}/vmbr1")
    assert (shown["method"], shown["cidr"], shown["comments"]) == ("manual", "10.20.0.1/24", "x\n")
    here.ok(f"PUT {NETWORK}/vmbr1", type="bridge", delete="cidr")
    assert not {"cidr", "address", "netmask"} & here.ok(f"GET {NETWORK}/vmbr1").keys()


def test_a_port_is_used_once_and_has_to_be_there() -> None:
    here = cluster()
    assert here.errors(f"POST {NETWORK}", iface="vmbr1", type="bridge", bridge_ports="eno1") == {
        "bridge_ports": "eno1 is already used on interface 'vmbr0'."
    }
    assert here.refusal(f"POST {NETWORK}", iface="vmbr1", type="bridge", bridge_ports="eno9") == (
        500,
        "bridge 'vmbr1' - unable to find bridge port 'eno9'",
    )
    assert here.refusal(f"DELETE {NETWORK}/eno1")[0] == 500


def test_an_interface_is_told_not_to_start_with_its_node() -> None:
    here = cluster()
    here.ok(f"PUT {NETWORK}/vmbr0", type="bridge", autostart=0)
    assert "autostart" not in here.ok(f"GET {NETWORK}/vmbr0")


def test_what_carries_an_interface_takes_packets_as_large_as_it_sends() -> None:
    here = cluster()
    for nic in ("eno2", "eno3"):
        here.ok(f"POST {NETWORK}", iface=nic, type="eth")
    large = {"type": "bridge", "bridge_ports": "eno2", "mtu": 9000}
    low = "interface 'eno2' - mtu 1500 is lower than 'vmbr1' - mtu 9000"
    assert here.refusal(f"POST {NETWORK}", iface="vmbr1", **large) == (500, low)
    here.ok(f"PUT {NETWORK}/eno2", type="eth", mtu=9000)
    here.ok(f"POST {NETWORK}", iface="vmbr1", **large)
    here.ok(f"POST {NETWORK}", iface="bond0", type="bond", slaves="eno3")
    bond = here.refusal(f"PUT {NETWORK}/bond0", type="bond", slaves="eno3", mtu=9000)
    assert bond[1] == "interface 'eno3' - mtu 1500 is lower than 'bond0' - mtu 9000"


@pytest.mark.parametrize(
    ("settings", "wrong", "problem"),
    [
        ({"cidr": "10.1.0.1/24", "address": "10.1.0.1", "netmask": "255.255.255.0"},
         "address", "address conflicts with cidr"),
        ({"cidr6": "ff02::1/64"},
         "address", "ff02::1 with type 'MULTICAST', cannot be used as host IPv6 address."),
        ({"bridge_vids": " , "}, "bridge_vids", "VLAN list items are empty"),
    ],
)  # fmt: skip
def test_addresses_and_vlans_of_an_interface_are_told_once_and_fit(
    settings: dict[str, Any], wrong: str, problem: str
) -> None:
    errors = cluster().errors(f"POST {NETWORK}", iface="vmbr1", type="bridge", **settings)
    assert errors == {wrong: problem}


def test_ports_of_an_open_vswitch_bridge_know_it_and_go_with_it() -> None:
    here = cluster()
    here.ok(f"POST {NETWORK}", iface="eno2", type="eth")
    port: dict[str, Any] = {"iface": "int1", "type": "OVSIntPort"}
    post = f"POST {NETWORK}"
    assert here.errors(post, **port) == {"ovs_bridge": "parameter is required"}
    none = here.errors(post, ovs_bridge="ovs0", **port)
    assert none == {"ovs_bridge": "bridge 'ovs0' does not exist"}
    other = here.errors(post, ovs_bridge="vmbr0", **port)
    assert other == {"ovs_bridge": "interface 'vmbr0' is no OVS bridge"}
    missing = here.refusal(post, iface="ovs0", type="OVSBridge", ovs_ports="eno9")
    assert missing == (500, "OVS bridge 'ovs0' - unable to find port 'eno9'")
    here.ok(post, iface="ovs0", type="OVSBridge", ovs_ports="eno2")
    here.ok(post, ovs_bridge="ovs0", ovs_tag=5, **port)
    assert here.ok(f"GET {NETWORK}/ovs0")["ovs_ports"] == "eno2 int1"
    shown = here.ok(f"GET {NETWORK}/eno2")
    assert (shown["type"], shown["ovs_bridge"]) == ("OVSPort", "ovs0")
    here.ok(f"DELETE {NETWORK}/ovs0")
    left = {row["iface"]: row["type"] for row in here.ok(f"GET {NETWORK}")}
    assert left == {"eno1": "eth", "eno2": "eth", "vmbr0": "bridge"}
