"""SDN as it is served: staged, applied, rolled back, locked; and its section files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pve.documents import Documents, Entry
from simulator.pve.sections import encode_text
from simulator.pve.wire import ApiError
from simulator.pve_datacenter.sdn_state import SUBNETS, VNETS, ZONES
from tests.simulator.pve_cluster import Cluster, cluster

ZONE, VNET = "/cluster/sdn/zones", "/cluster/sdn/vnets"


def _with_net(zone: str = "z1", net: str = "v1") -> Cluster:
    here = cluster()
    here.ok(f"POST {ZONE}", zone=zone, type="simple")
    here.ok(f"POST {VNET}", vnet=net, zone=zone)
    return here


def test_what_is_staged_runs_only_once_it_is_applied() -> None:
    here = _with_net()
    assert here.ok(f"GET {VNET}", running=1) == []
    assert here.ok(f"GET {VNET}", pending=1) == [
        {"vnet": "v1", "type": "vnet", "digest": None, "state": "new", "pending": {"zone": "z1"}}
    ]
    task = here.done("PUT /cluster/sdn")
    assert (task.type, task.status) == ("reloadnetworkall", "OK")
    row = {"vnet": "v1", "type": "vnet", "zone": "z1", "digest": None}
    assert here.ok(f"GET {VNET}", running=1) == [row]
    assert here.ok(f"GET {VNET}", pending=1) == [row]
    assert here.ok("GET /nodes/pve2/sdn/zones") == [{"zone": "z1", "status": "available"}]
    networks = {row["network"] for row in here.ok("GET /cluster/resources", type="sdn")}
    assert networks == {"localnetwork", "z1"}


def test_a_change_a_removal_and_a_deletion_show_as_what_will_be() -> None:
    here = _with_net()
    here.ok(f"POST {VNET}", vnet="v2", zone="z1", alias="old")
    here.done("PUT /cluster/sdn")
    here.ok(f"PUT {VNET}/v1", alias="new")
    here.ok(f"PUT {VNET}/v2", delete="alias")
    rows = {row["vnet"]: row for row in here.ok(f"GET {VNET}", pending=1)}
    assert (rows["v1"]["state"], rows["v1"]["pending"]) == ("changed", {"alias": "new"})
    assert (rows["v2"]["alias"], rows["v2"]["pending"]) == ("old", {"alias": "deleted"})
    here.ok(f"DELETE {VNET}/v2")
    assert here.ok(f"GET {VNET}/v2", pending=1)["state"] == "deleted"
    assert here.refusal(f"GET {VNET}/v2") == (500, "sdn vnet 'v2' does not exist")


def test_a_rollback_stages_what_runs() -> None:
    here = _with_net()
    here.done("PUT /cluster/sdn")
    here.ok(f"DELETE {VNET}/v1")
    here.ok(f"DELETE {ZONE}/z1")
    here.ok("POST /cluster/sdn/rollback")
    assert [row["vnet"] for row in here.ok(f"GET {VNET}")] == ["v1"]
    assert "state" not in here.ok(f"GET {ZONE}/z1", pending=1)


def test_who_holds_the_lock_alone_may_change() -> None:
    here = cluster()
    token = here.ok("POST /cluster/sdn/lock")
    refused = (500, "create sdn zone object failed: invalid lock token provided!")
    assert here.refusal(f"POST {ZONE}", zone="z1", type="simple") == refused
    here.ok(f"POST {ZONE}", zone="z1", type="simple", lock__token=token)
    here.done("PUT /cluster/sdn", lock__token=token)
    here.ok(f"DELETE {ZONE}/z1")
    pending = "could not acquire lock for SDN config: configuration has pending changes"
    assert here.refusal("POST /cluster/sdn/lock") == (500, pending)
    here.ok("POST /cluster/sdn/lock", allow__pending=1)
    here.ok("DELETE /cluster/sdn/lock", force=1)
    here.ok("POST /cluster/sdn/rollback")


@pytest.mark.parametrize(
    ("zone", "net", "wrong"),
    [
        ({"type": "simple"}, {"tag": 5}, "tag: vlan tag is not allowed on simple zone"),
        ({"type": "vlan", "bridge": "vmbr0"}, {}, "tag: missing vlan tag"),
        ({"type": "vlan", "bridge": "vmbr0"}, {"tag": 4097}, "tag: vlan tag max value is 4096"),
        ({"type": "vxlan", "peers": "10.0.0.1"}, {}, "tag: missing vxlan tag"),
        ({"type": "qinq", "bridge": "vmbr0", "tag": 5}, {}, "tag: missing vlan tag"),
    ],
)
def test_the_type_of_the_zone_decides_over_tags(
    zone: dict[str, Any], net: dict[str, Any], wrong: str
) -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="z1", **zone)
    response = here.send(f"POST {VNET}", vnet="v1", zone="z1", **net)
    assert response.status == 500
    assert (response.members or {})["message"] == (
        f"create sdn vnet object failed: 400 Parameter verification failed.\n{wrong}\n"
    )


def test_a_vxlan_tag_is_taken_in_all_zones_and_a_vlan_tag_in_its_own() -> None:
    here = cluster()
    for zone in ("x1", "x2"):
        here.ok(f"POST {ZONE}", zone=zone, type="vxlan", peers="10.0.0.1")
    for zone in ("l1", "l2"):
        here.ok(f"POST {ZONE}", zone=zone, type="vlan", bridge="vmbr0")
    here.ok(f"POST {VNET}", vnet="a1", zone="x1", tag=7)
    assert "already exist" in str(here.send(f"POST {VNET}", vnet="a2", zone="x2", tag=7).members)
    here.ok(f"POST {VNET}", vnet="b1", zone="l1", tag=7)
    here.ok(f"POST {VNET}", vnet="b2", zone="l2", tag=7)


def test_a_subnet_is_named_after_its_zone_and_keeps_its_net_and_zone() -> None:
    here = _with_net()
    ranges = ["start-address=10.0.0.10,end-address=10.0.0.20"]
    base = f"{VNET}/v1/subnets"
    here.ok(f"POST {base}", subnet="10.0.0.0/24", type="subnet", gateway="10.0.0.1",
            dhcp__range=ranges)  # fmt: skip
    subnet = here.ok(f"GET {base}/z1-10.0.0.0-24")
    assert (subnet["cidr"], subnet["mask"], subnet["zone"]) == ("10.0.0.0/24", "24", "z1")
    assert subnet["dhcp-range"] == [{"start-address": "10.0.0.10", "end-address": "10.0.0.20"}]
    assert "Can't delete vnet" in str(here.send(f"DELETE {VNET}/v1").members)
    assert "is used by vnet v1" in here.refusal(f"DELETE {ZONE}/z1")[1]
    wrong: dict[str, Any] = {"subnet": "10.1.0.0/24", "type": "subnet"}
    for extra, text in (
        ({"gateway": "10.2.0.1"}, "10.2.0.1 is not in subnet 10.1.0.0/24"),
        ({"dhcp-range": ["start-address=10.1.0.9,end-address=10.1.0.2"]}, "must be smaller than"),
        ({"dhcp-range": ["start-address=10.3.0.1,end-address=10.3.0.2"]}, "is not in subnet"),
    ):
        sent: dict[str, Any] = {key.replace("-", "__"): value for key, value in extra.items()}
        assert text in str(here.send(f"POST {base}", **wrong, **sent).members)


def test_an_evpn_zone_needs_its_controller_and_gets_a_mac() -> None:
    here = cluster()
    zone = {"zone": "ev", "type": "evpn", "controller": "c1", "vrf__vxlan": 10}
    assert "controller c1 don't exist" in here.refusal(f"POST {ZONE}", **zone)[1]
    here.ok(
        "POST /cluster/sdn/controllers", controller="c1", type="evpn", asn=65000, peers="10.0.0.1"
    )
    here.ok(f"POST {ZONE}", **zone)
    assert here.ok(f"GET {ZONE}/ev")["mac"].startswith("BC:24:11:")
    used = "controller c1 is used by ev"
    assert used in here.refusal("DELETE /cluster/sdn/controllers/c1")[1]


def test_a_guest_may_stand_on_a_net_that_runs() -> None:
    here = _with_net()
    here.guest(100, net0="virtio,bridge=v1")
    assert here.done("POST /nodes/pve1/qemu/100/status/start").status != "OK"
    here.done("PUT /cluster/sdn")
    assert here.done("POST /nodes/pve1/qemu/100/status/start").status == "OK"
    weak = here.user("ana@pve", "PVEVMAdmin")
    refused = here.refusal("PUT /nodes/pve1/qemu/100/config", user=weak, net1="virtio,bridge=v1")
    assert refused == (403, "Permission check failed (/sdn/zones/z1/v1, SDN.Use)")


def test_a_bridge_of_a_zone_shows_its_uplink_and_the_cards_of_guests_that_run_there() -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="l1", type="vlan", bridge="vmbr0")
    here.ok(f"POST {VNET}", vnet="v1", zone="l1", tag=7)
    here.ok(f"POST {VNET}", vnet="v2", zone="l1", tag=8, vlanaware=1)
    here.done("PUT /cluster/sdn")
    here.guest(100, net0="virtio,bridge=v1", net3="virtio,bridge=v2,firewall=1,tag=30")
    at = "GET /nodes/pve1/sdn/zones/l1/bridges"
    first, second = here.ok(at)
    assert (first["name"], first["vlan_filtering"], len(first["ports"])) == ("v1", "0", 1)
    uplink = {"name": second["ports"][0]["name"], "primary_vlan": 1, "vlans": ["1", "2-4094"]}
    assert second["ports"] == [uplink]
    here.done("POST /nodes/pve1/qemu/100/status/start")
    first, second = here.ok(at)
    assert first["ports"][1:] == [{"name": "tap100i0", "vmid": 100, "index": "0"}]
    walled = {"name": "fwpr100p3", "vmid": 100, "index": "3", "primary_vlan": 30, "vlans": ["30"]}
    assert second["ports"][1:] == [walled]
    assert [len(row["ports"]) for row in here.ok(at.replace("pve1", "pve2"))] == [1, 1]


def test_a_card_with_a_tag_is_on_its_own_bridge_only_where_that_knows_vlans() -> None:
    here = cluster()
    here.ok("PUT /nodes/pve1/network/vmbr0", type="bridge", delete="bridge_vlan_aware")
    here.done("PUT /nodes/pve1/network")
    here.guest(100, net0="virtio,bridge=vmbr0,tag=30", net1="virtio,bridge=vmbr0")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    at = "GET /nodes/pve1/sdn/zones/localnetwork/bridges"

    def ports() -> list[str]:
        row = next(row for row in here.ok(at) if row["name"] == "vmbr0")
        return [port["name"] for port in row["ports"] if "vmid" in port]

    assert ports() == ["tap100i1"]
    here.ok("PUT /nodes/pve1/network/vmbr0", type="bridge", bridge_vlan_aware=1)
    here.done("PUT /nodes/pve1/network")
    assert ports() == ["tap100i0", "tap100i1"]


def test_a_net_that_runs_is_among_the_bridges_of_its_nodes() -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="z1", type="simple", nodes="pve1", ipam="pve")
    here.ok(f"POST {VNET}", vnet="v1", zone="z1", alias="web")
    bridges = "/nodes/pve1/network"
    assert "v1" not in [row["iface"] for row in here.ok(f"GET {bridges}", type="any_bridge")]
    here.done("PUT /cluster/sdn")
    (net,) = here.ok(f"GET {bridges}", type="vnet")
    assert net == {
        "iface": "v1", "type": "vnet", "active": "1", "ipam": 1, "vlanaware": 0, "comments": "web"
    }  # fmt: skip
    for kind, there in (("any_bridge", True), ("include_sdn", True), ("bridge", False)):
        found = [row["iface"] for row in here.ok(f"GET {bridges}", type=kind)]
        assert ("v1" in found, "vmbr0" in found) == (there, True), kind
    assert here.ok("GET /nodes/pve2/network", type="vnet") == []
    weak = here.user("ana@pve", "PVEVMAdmin")
    assert here.ok(f"GET {bridges}", user=weak, type="vnet") == []


def test_the_built_in_manager_keeps_addresses_of_gateways_and_of_those_given_by_hand() -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="z1", type="simple", ipam="pve")
    here.ok(f"POST {VNET}", vnet="v1", zone="z1")
    base, mac = f"{VNET}/v1", "BC:24:11:00:00:01"
    here.ok(f"POST {base}/subnets", subnet="10.0.0.0/24", type="subnet", gateway="10.0.0.1")
    here.ok(f"POST {base}/ips", zone="z1", ip="10.0.0.9", mac=mac)
    taken = here.refusal(f"POST {base}/ips", zone="z1", ip="10.0.0.9")
    assert taken == (500, "IP '10.0.0.9' already exist")
    assert "any subnet" in here.refusal(f"POST {base}/ips", zone="z1", ip="10.1.0.1")[1]

    def addresses() -> list[tuple[str, Any]]:
        rows = here.ok("GET /cluster/sdn/ipams/pve/status")
        assert {(row["zone"], row["vnet"], row["subnet"]) for row in rows} == {
            ("z1", "v1", "10.0.0.0/24")
        }
        return [(row["ip"], row.get("gateway") or row.get("vmid")) for row in rows]

    assert addresses() == [("10.0.0.1", 1), ("10.0.0.9", None)]
    here.ok(f"PUT {base}/ips", zone="z1", ip="10.0.0.7", mac=mac, vmid=100)
    assert "already exist" in here.refusal(f"PUT {base}/ips", zone="z1", ip="10.0.0.1", mac=mac)[1]
    assert addresses() == [("10.0.0.1", 1), ("10.0.0.7", "100")]
    here.ok(f"PUT {base}/subnets/z1-10.0.0.0-24", gateway="10.0.0.2")
    assert addresses() == [("10.0.0.2", 1), ("10.0.0.7", "100")]
    here.ok("POST /cluster/sdn/rollback")
    assert here.ok("GET /cluster/sdn/ipams/pve/status") == []  # no net is there to see it by
    assert "10.0.0.7" in here.api.documents.files["sdn/pve-ipam-state.json"]


def test_a_state_that_lacks_a_subnet_learns_of_it_and_of_no_gateway_outside() -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="z1", type="simple", ipam="pve")
    here.ok(f"POST {VNET}", vnet="v1", zone="z1")
    base = f"{VNET}/v1/subnets"
    here.ok(f"POST {base}", subnet="10.0.0.0/24", type="subnet", gateway="10.0.0.1")
    here.ok(f"POST {base}", subnet="10.1.0.1/32", type="subnet", gateway="10.9.0.1")
    del here.api.documents.files["sdn/pve-ipam-state.json"]
    here.ok(f"PUT {base}/z1-10.0.0.0-24", gateway="10.0.0.2")
    here.ok(f"PUT {base}/z1-10.1.0.1-32", gateway="10.9.0.2")
    rows = here.ok("GET /cluster/sdn/ipams/pve/status")
    assert [row["ip"] for row in rows] == ["10.0.0.2"]


def test_a_subnet_stays_while_somebody_has_an_address_of_it() -> None:
    here = cluster()
    here.ok(f"POST {ZONE}", zone="z1", type="simple", ipam="pve")
    here.ok(f"POST {VNET}", vnet="v1", zone="z1")
    subnet = f"{VNET}/v1/subnets/z1-10.0.0.0-24"
    here.ok(f"POST {VNET}/v1/subnets", subnet="10.0.0.0/24", type="subnet", gateway="10.0.0.1")
    here.ok(f"POST {VNET}/v1/ips", zone="z1", ip="10.0.0.9")
    told = "delete sdn subnet object failed: cannot delete subnet '10.0.0.0/24', not empty"
    assert here.refusal(f"DELETE {subnet}") == (500, told)
    here.ok(f"DELETE {VNET}/v1/ips", zone="z1", ip="10.0.0.9")
    gone = here.refusal(f"DELETE {VNET}/v1/ips", zone="z1", ip="10.0.0.9")
    assert gone == (500, "IP '10.0.0.9' does not exist in IPAM DB")
    here.ok(f"DELETE {subnet}")


_NAME = st.from_regex(r"[a-z][a-z0-9]{1,6}", fullmatch=True)
_ZONES = st.dictionaries(
    _NAME,
    st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("simple")}, optional={"mtu": st.integers(1, 9000), "nodes": _NAME}
        ),
        st.fixed_dictionaries(
            {"type": st.just("vlan"), "bridge": _NAME},
            optional={"bridge-disable-mac-learning": st.integers(0, 1)},
        ),
    ),
)


@given(entries=_ZONES)
def test_sections_that_are_written_are_read_back_equal_and_in_order(
    entries: dict[str, Entry],
) -> None:
    documents = Documents()
    ZONES.write(documents, entries)
    assert ZONES.entries(documents) == entries
    assert list(ZONES.entries(documents)) == list(entries)


def test_several_values_of_a_key_stand_on_lines_of_their_own() -> None:
    documents = Documents()
    entry: Entry = {"type": "subnet", "vnet": "v1", "dhcp-range": ("a=1", "b=2")}
    SUBNETS.write(documents, {"z-10.0.0.0-24": entry})
    assert documents.files[SUBNETS.path].count("\tdhcp-range ") == 2
    assert SUBNETS.entries(documents) == {"z-10.0.0.0-24": entry}


def test_a_value_of_two_lines_is_refused_before_it_spoils_the_file() -> None:
    with pytest.raises(ApiError, match="property 'alias' contains a line feed"):
        VNETS.write(Documents(), {"v1": {"type": "vnet", "zone": "z", "alias": "a\n\tzone x"}})


@given(text=st.text(max_size=30))
def test_an_escaped_comment_is_plain_ascii_on_one_line(text: str) -> None:
    assert encode_text(text).isascii()
    assert len(encode_text(text).splitlines()) <= 1
