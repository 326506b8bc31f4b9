"""What a guest is given at its first boot, and what reaches the QEMU of one that is off."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.simulator.pve_cluster import Cluster, cluster

GUEST = "/nodes/pve1/qemu/100"
MAC = "BC:24:11:00:00:01"


def _part(here: Cluster, kind: str) -> dict[str, Any]:
    """A part of the drive, read as cloud-init reads it."""
    found = YAML(typ="safe").load(here.ok(f"GET {GUEST}/cloudinit/dump", type=kind))
    assert isinstance(found, dict)
    return found


def test_the_drive_has_the_user_and_his_keys_but_no_password() -> None:
    here = cluster()
    here.guest(100, name="web1", ciuser="ana", cipassword="hidden", ciupgrade=0,
               sshkeys="ssh-ed25519%20AAAA%20ana%0A")  # fmt: skip
    text = here.ok(f"GET {GUEST}/cloudinit/dump", type="user")
    assert text.startswith("#cloud-config\n")
    assert "hidden" not in text
    assert here.file(100).current["cipassword"] not in text
    found = _part(here, "user")
    assert (found["hostname"], found["fqdn"], found["user"]) == ("web1", "web1.lab.example", "ana")
    assert found["ssh_authorized_keys"] == ["ssh-ed25519 AAAA ana"]
    assert found["users"] == ["default"]
    assert "package_upgrade" not in found


def test_the_drive_has_an_address_for_each_card() -> None:
    here = cluster()
    here.guest(
        100, net0=f"virtio={MAC},bridge=vmbr0", ipconfig0="ip=10.0.0.5/24,gw=10.0.0.1",
        net1="virtio,bridge=vmbr0", ipconfig1="ip=dhcp,ip6=fd00::5/64,gw6=fd00::1",
        nameserver="10.0.0.2", searchdomain="a.example b.example",
    )  # fmt: skip
    first, second, names = _part(here, "network")["config"]
    assert (first["name"], first["mac_address"]) == ("eth0", MAC.lower())
    assert first["subnets"] == [
        {"type": "static", "address": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}
    ]
    assert second["subnets"] == [
        {"type": "dhcp4"}, {"type": "static6", "address": "fd00::5/64", "gateway": "fd00::1"},
    ]  # fmt: skip
    assert names == {
        "type": "nameserver", "address": ["10.0.0.2"], "search": ["a.example", "b.example"],
    }  # fmt: skip


def test_an_instance_is_another_one_when_its_settings_change() -> None:
    here = cluster()
    here.guest(100)
    before = _part(here, "meta")["instance-id"]
    assert _part(here, "meta")["instance-id"] == before
    here.ok(f"PUT {GUEST}/config", ciuser="root")
    assert _part(here, "meta")["instance-id"] != before
    assert _part(here, "user")["disable_root"] is False


@pytest.mark.parametrize(
    "options", [{"ostype": "win11"}, {"citype": "configdrive2"}, {"cicustom": "user=local:s/a.yml"}]
)
def test_other_forms_are_left_out(options: dict[str, str]) -> None:
    here = cluster()
    here.guest(100, **options)
    assert here.refusal(f"GET {GUEST}/cloudinit/dump", type="user")[0] == 501


def test_only_a_guest_that_is_on_takes_keys_and_none_has_a_monitor() -> None:
    here = cluster()
    assert here.refusal(f"PUT {GUEST}/sendkey", key="ret")[1].startswith("Configuration file")
    here.guest(100)
    assert here.refusal(f"PUT {GUEST}/sendkey", key="ret") == (500, "VM 100 not running")
    assert here.ok(f"POST {GUEST}/monitor", command="info") == "ERROR: VM 100 not running\n"
    here.done(f"POST {GUEST}/status/start")
    assert here.ok(f"PUT {GUEST}/sendkey", key="ret") is None
    assert here.refusal(f"POST {GUEST}/monitor", command="info")[0] == 501


def test_nothing_is_executed_in_a_guest_whose_agent_does_not_answer() -> None:
    here = cluster()
    here.guest(100, agent="1")
    asked: dict[str, Any] = {"command": ["id"]}
    assert here.refusal(f"POST {GUEST}/agent/exec", **asked) == (500, "VM 100 is not running")
    here.done(f"POST {GUEST}/status/start")
    refused = here.refusal(f"POST {GUEST}/agent/exec", **asked)
    assert refused == (500, "QEMU guest agent is not running")
    user = here.user("ana@pve", "PVEVMUser")
    assert here.refusal(f"POST {GUEST}/agent/exec", user=user, **asked)[0] == 403
    assert here.refusal(f"GET {GUEST}/agent/file-read", user=user, file="/etc/hosts")[0] == 500
