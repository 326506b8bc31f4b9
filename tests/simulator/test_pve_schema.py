"""The tables of parameters: by themselves, and against the official schema of Proxmox VE 9.2, which
the package fakepve carries.
"""

from __future__ import annotations

import pytest

from simulator.pve.api import tree
from simulator.pve.formats import check_format
from simulator.pve.parameters import PROPERTY_STRINGS, check, parse, property_problem, table
from simulator.pve.routes import Route
from simulator.pve_datacenter.fabrics import NOT_BUILT
from tests.simulator.pve_schemas import base, official, parameters, unlike

_OF_FABRICS = {"persistent_keepalive", "redistribute", "route_filter"}
_OF_NODES = NOT_BUILT - _OF_FABRICS
LACKING = {
    "POST /cluster/ha/resources": {"auto-rebalance"},
    "PUT /cluster/ha/resources/{sid}": {"auto-rebalance"},
    "POST /cluster/sdn/fabrics/fabric": _OF_FABRICS,
    "PUT /cluster/sdn/fabrics/fabric/{id}": _OF_FABRICS,
    "POST /cluster/sdn/fabrics/node/{fabric_id}": _OF_NODES,
    "PUT /cluster/sdn/fabrics/node/{fabric_id}/{node_id}": _OF_NODES,
}
"""The twin's HA manager does not rebalance by itself, so a guest can't be left out of that; its
fabrics know neither WireGuard nor BGP.
"""
BY_TYPE = {"POST /cluster/ha/rules", "PUT /cluster/ha/rules/{rule}"}
"""Calls whose parameters depend on one of them: checked in two steps here."""


SKIPPED = BY_TYPE | {"GET /"}  # the schema does not name the root
ROUTES = [route for route in tree().routes if route.call not in SKIPPED]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_a_call_takes_what_the_official_schema_says(route: Route) -> None:
    known = official(route)
    assert known is not None, f"the schema of 9.2 has no {route.call}"
    named = parameters(known)
    assert route.table.more == bool(known["parameters"].get("additionalProperties", True))
    names = {base(name, named) for name in route.table.params}
    assert names | LACKING.get(route.call, set()) == set(named) - {"node"} | names & {"node"}
    for name, param in route.table.params.items():
        assert unlike(param, named[base(name, named)]) == "", f"{route.call} {name}"


def test_a_table_reads_types_bounds_marks_and_aliases() -> None:
    known = table(
        """
        name*     string 2..5
        net[2]?   {net}
        size?     integer 0..  requires=name
        mode?     enum(a,
                       b)
        shape?    /[a-z]+/
        old -> name
        """
    )
    assert set(known.params) == {"name", "net0", "net1", "size", "mode", "shape"}
    assert (known.default_key, known.aliases) == ("name", {"old": "name"})
    assert known.params["mode"].enum == ("a", "b")
    assert (known.params["size"].low, known.params["size"].requires) == (0, "name")


@pytest.mark.parametrize(
    ("line", "value", "problem"),
    [
        ("n integer 1..9", "0", "value must have a minimum value of 1"),
        ("n integer 1..9", "10", "value must have a maximum value of 9"),
        ("n integer", " 2", "type check ('integer') failed - got ' 2'"),
        ("n number", "2.5", ""),
        ("n boolean", "on", "type check ('boolean') failed - got 'on'"),
        ("n string ..3", "four", "value may only be 3 characters long"),
        ("n string 5..", "four", "value must be at least 5 characters long"),
        ("n /[a-z]+/", "A", "value does not match the regex pattern"),
        ("n enum(a,b)", "c", "value 'c' does not have a value in the enumeration 'a, b'"),
        ("n pve-vmid-list", "100;99", "invalid format - value does not look like a valid VM ID\n"),
        ("n email-opt", "", ""),
    ],
)
def test_a_value_is_refused_in_proxmox_ves_words(line: str, value: str, problem: str) -> None:
    _, errors = check(table(line), {"n": value})
    assert errors.get("n", "") == problem


def test_what_is_missing_or_needed_by_another_is_told() -> None:
    known = table("a string\nb? string requires=c\nc? string")
    _, errors = check(known, {"b": "x"})
    assert errors == {
        "a": "property is missing and it is not optional",
        "c": "missing property required by 'b'",
    }


def test_property_strings_know_default_keys_aliases_and_key_aliases() -> None:
    assert parse("net", "virtio,bridge=vmbr0,firewall=yes") == {
        "model": "virtio",
        "bridge": "vmbr0",
        "firewall": 1,
    }
    assert parse("net", "e1000=BC:24:11:00:00:01") == {
        "model": "e1000",
        "macaddr": "BC:24:11:00:00:01",
    }
    assert parse("scsi", "volume=data:1") == {"file": "data:1"}
    assert property_problem("net0", PROPERTY_STRINGS["net"], "bridge=vmbr0") == (
        "format error\nnet0.model: property is missing and it is not optional\n"
    )
    assert "duplicate key" in property_problem("net0", PROPERTY_STRINGS["net"], "virtio,e1000")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("pve-node", "pve1", "bad_node"),
        ("pve-storage-id", "vm-ceph", "1bad"),
        ("pve-userid", "ana@pve", "ana"),
        ("mac-addr", "BC:24:11:00:00:01", "01:00:00:00:00:01"),
        ("CIDRv4", "10.0.0.1/24", "10.0.0.1"),
        ("ipv6", "fd00::1", "10.0.0.1"),
        ("pve-poolid", "a/b/c", "a/b/c/d"),
        ("pve-cpuset", "0,2-3", "x"),
        ("dns-name", "web1.lab", "bad_name"),
        ("urlencoded", "ssh-ed25519%20AAAA", "not a key"),
        ("pve-volume-id-or-qm-path", "data:32", "garbage"),
        ("pve-startup-order", "order=1,up=10", "first"),
        ("pve-hotplug-features", "network,disk", "bogus"),
        ("disk-size", "32G", "lots"),
        ("CIDR", "10.0.0.0/8", "10.0.0.0/7"),
        ("CIDRv6", "fd00::/8", "::/0"),
        ("ipv6", "fe80::1", "fe80::1%eth0"),
        ("address", "web1.lab", "[::1]"),
        ("email", "a.b+c@lab.example", "a..b@lab.example"),
        ("email-or-username-list", "root,ana@lab.example", "root,@x"),
        ("urlencoded", "a%20b", "a/b"),
        ("pve-userid", f"{'a' * 60}@pve", f"{'a' * 61}@pve"),
        ("pve-vlan-id-or-range", "2-4094", "5-2"),
        ("pve-vlan-id-or-range", "4094", "4095"),
        ("pve-startup-order", "1,,up=2", "0"),
        ("pve-storage-path", "/srv/a b", "/"),
        ("pve-storage-portal-dns", "[fd00::1]:3260", "[fd00::1"),
        ("pve-dir-override-list", "iso=images/iso", "isos=images"),
        ("pve-day-of-week-list", "mon,tue", "monday"),
        ("pve-task-status-type-list", "OK,error", "fine"),
        ("ipv4mask", "255.255.255.0", "255.0.255.0"),
        ("ldap-simple-attr", "memberOf", "member-of"),
        ("pve-ha-resource-id", "vm:100", "VM:100"),
        ("pve-qm-bootdev-list", "scsi0;net0;usb1", "efidisk0"),
        ("pve-qm-bootdisk", "efidisk0", "net0"),
        ("storage-pair-list", "data:vm-ceph,local", "data:x"),
    ],
)
def test_formats_take_what_fits_and_nothing_else(name: str, good: str, bad: str) -> None:
    assert check_format(name, good) == ""
    assert check_format(name, bad).endswith("\n")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("net", "virtio,bridge=", "missing key in comma-separated list property"),
        ("net", "virtio,=vmbr0", "missing key in comma-separated list property"),
        ("net", "model=virtio,e1000=BC:24:11:00:00:01", "key alias 'model' is already defined"),
        ("scsi", "data:1,data:2", "duplicate key in comma-separated list property: file"),
        ("prune-backups", "keep-all=1,keep-last=2", "keep-all cannot be set together"),
        ("prune-backups", "keep-all=1,keep-last=0", ""),
        ("prune-backups", "keep-last=x", "type check ('integer') failed - got 'x'"),
        ("pve-qm-boot", "order=scsi0;sata9", "invalid boot device 'sata9'"),
        ("pve-qm-smbios1", "serial=a b", "does not match the regex pattern"),
        ("pve-qm-watchdog", "i6300esb,action=wait", "does not have a value in the enumeration"),
        ("pve-qm-rng", "max_bytes=1", "property is missing and it is not optional"),
        ("pve-qm-hostpci", "00:02.0;0000:03:00,pcie=on", ""),
        ("pve-qm-cicustom", "user=snippets", "unable to parse volume ID 'snippets'"),
        ("pve-tfa-config", "type=oath,step=5", "must have a minimum value of 10"),
        ("realm-sync-options", "scope=all", "does not have a value in the enumeration"),
        ("pve-vm-cpu-conf", "host,flags=+aes;-pcid,hidden=1,phys-bits=host", ""),
        ("pve-vm-cpu-conf", "bogus", "(missing 'custom-' prefix?)"),
        ("pve-vm-cpu-conf", "flags=+aes", "CPU is missing cputype"),
        ("pve-vm-cpu-conf", "host,flags=+avx9", "must be a subset of: nested-virt, md-clear"),
        ("pve-vm-cpu-conf", "host,phys-bits=7", "between 8 and 64 or 'host'"),
        ("pve-vm-cpu-conf", "host,reported-model=kvm64", "not allowed in VM-specific"),
        ("backup-fleecing", "enabled=1,storage=x", "cannot be shorter than 2 characters"),
    ],
)
def test_a_property_string_is_refused_in_proxmox_ves_words(
    name: str, text: str, problem: str
) -> None:
    known = table(f"value {name}" if "-" in name else f"value {{{name}}}")
    _, errors = check(known, {"value": text})
    assert problem in errors.get("value", "")
    assert bool(problem) == bool(errors)
