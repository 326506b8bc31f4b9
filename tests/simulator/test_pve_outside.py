"""What a node can't do without the servers of others, and what it tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve.releases import RELEASES
from tests.simulator.pve_cluster import cluster

NODE = "/nodes/pve1"
UNNAMED = "Temporary failure in name resolution"


def test_a_refresh_of_packages_reaches_no_repository_and_says_which() -> None:
    here = cluster()
    here.ok(f"PUT {NODE}/apt/repositories", handle="no-subscription")
    task = here.done(f"POST {NODE}/apt/update")
    assert (task.type, task.status) == ("aptupdate", "OK"), "apt-get takes it for no error"
    asked = [line.split()[1:] for line in task.log if line.startswith("Err:")]
    assert ["http://download.proxmox.com/debian/pve", "trixie", "InRelease"] in asked
    assert ["http://ftp.debian.org/debian", "trixie-updates", "InRelease"] in asked
    assert "  Temporary failure resolving 'security.debian.org'" in task.log
    files = "/etc/apt/sources.list.d/pve-enterprise.sources"
    here.ok(f"POST {NODE}/apt/repositories", path=files, index=0, enabled=0)
    fewer = here.done(f"POST {NODE}/apt/update").log
    assert sum(line.startswith("Err:") for line in fewer) == len(asked) - 1
    assert here.done(f"POST {NODE}/apt/update", quiet=1).log == ("TASK OK",)
    assert here.ok(f"GET {NODE}/apt/update") == []


def test_a_subscription_key_stays_new_until_the_shop_is_asked() -> None:
    here, key = cluster(), "pve2c-0123456789"
    assert here.ok(f"GET {NODE}/subscription")["status"] == "notfound"
    refused = here.refusal(f"PUT {NODE}/subscription", key="pve1c-0123456789")
    assert refused == (500, "wrong number of sockets (1 < 2)")
    assert "key" in here.errors(f"PUT {NODE}/subscription", key="pve3c-0123456789")
    assert here.ok(f"GET {NODE}/subscription")["status"] == "notfound"
    lost = f"subscription check failed: Can't connect to shop.proxmox.com:443 ({UNNAMED})"
    assert here.refusal(f"PUT {NODE}/subscription", key=key) == (500, lost)
    told = here.ok(f"GET {NODE}/subscription")
    assert (told["status"], told["key"], told["sockets"]) == ("new", key, 2)
    assert here.refusal(f"POST {NODE}/subscription") == (500, lost)
    anybody = here.ok(f"GET {NODE}/subscription", user=here.user("ana@pve"))
    assert anybody == {"status": "new"}
    assert here.ok("GET /nodes/pve2/subscription", node="pve2")["status"] == "notfound"
    here.ok(f"DELETE {NODE}/subscription")
    assert here.ok(f"GET {NODE}/subscription")["status"] == "notfound"
    assert "serverid" not in here.ok(f"GET {NODE}/subscription", user=here.user("ben@pve"))


@pytest.mark.parametrize(
    ("call", "sent", "why"),
    [
        ("scan/cifs", {"server": "files.lab"},
         "unable to resolve address for server 'files.lab'"),
        ("scan/cifs", {"server": "10.9.9.9"},
         "do_connect: Connection to 10.9.9.9 failed (Error NT_STATUS_HOST_UNREACHABLE)"),
        ("scan/cifs", {"server": "192.168.99.2"},
         "do_connect: Connection to 192.168.99.2 failed (Error NT_STATUS_CONNECTION_REFUSED)"),
        ("scan/pbs", {"server": "192.168.99.2", "username": "a@pbs", "password": "p"},
         "error fetching datastores - 500 Can't connect to 192.168.99.2:8007 (Connection refused)"),
        ("scan/pbs", {"server": "pbs.lab", "username": "a@pbs", "password": "p", "port": 443},
         f"error fetching datastores - 500 Can't connect to pbs.lab:443 ({UNNAMED})"),
        ("query-oci-repo-tags", {"reference": "registry.lab:5000/library/alpine"},
         "command 'skopeo list-tags docker://registry.lab:5000/library/alpine' failed: exit code "
         "1"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_not_reached(
    call: str, sent: dict[str, Any], why: str
) -> None:
    assert cluster().refusal(f"GET {NODE}/{call}", **sent) == (500, why)


def test_a_host_that_is_off_refuses_nothing() -> None:
    here = cluster()
    here.fail("fail-node pve2")
    refused = here.refusal(f"GET {NODE}/scan/cifs", server="192.168.99.2")
    assert refused[1].endswith("(Error NT_STATUS_HOST_UNREACHABLE)")


def test_no_device_has_mediated_devices() -> None:
    here, pci = cluster(), f"GET {NODE}/hardware/pci"
    assert here.ok(f"{pci}/0000:01:00.0") == [{"method": "mdev"}]
    assert here.ok(f"{pci}/0000:01:00.0/mdev") == here.ok(f"{pci}/gpu/mdev") == []
    assert "pci-id-or-mapping" in here.errors(f"{pci}/01:00/mdev")


def test_a_picture_is_named_after_what_it_shows() -> None:
    here = cluster()
    here.guest(100)
    day: dict[str, Any] = {"timeframe": "day"}
    folder = "/var/lib/rrdcached/db"
    asked = here.ok(f"GET {NODE}/rrd", ds="cpu,arcsize", **day)
    assert asked == {"filename": f"{folder}/pve-node-9.0/pve1_cpu_arcsize.png"}
    asked = here.ok(f"GET {NODE}/qemu/100/rrd", ds="mem", **day)
    assert asked == {"filename": f"{folder}/pve-vm-9.0/100_mem.png"}
    asked = here.ok(f"GET {NODE}/storage/data/rrd", ds="used", **day)
    assert asked == {"filename": f"{folder}/pve-storage-9.0/pve1/data_used.png"}
    assert "No DS called 'mem' in" in here.refusal(f"GET {NODE}/rrd", ds="mem", **day)[1]
    assert "No such file" in here.refusal(f"GET {NODE}/qemu/101/rrd", ds="mem", **day)[1]
    here.api.release = RELEASES["8.4"]
    assert "No DS called 'arcsize'" in here.refusal(f"GET {NODE}/rrd", ds="arcsize", **day)[1]


def test_a_report_shows_the_files_of_the_node() -> None:
    here = cluster()
    here.guest(100, name="web", scsi0="data:1")
    here.guest(101, node="pve2", name="elsewhere")
    here.ok("PUT /cluster/options", keyboard="es")
    text = here.ok(f"GET {NODE}/report")
    assert text.startswith("==== general system info ====\n\n# hostname\npve1\n")
    config = here.file(100).text.rstrip()
    assert f"\n# cat /etc/pve/qemu-server/100.conf\n{config}\n" in text
    assert "elsewhere" not in text
    assert "\n# cat /etc/pve/storage.cfg\ndir: local\n" in text
    assert "\n# cat /etc/pve/datacenter.cfg\nkeyboard: es\n" in text
    assert "iface vmbr0 inet static" in text
    assert here.refusal(f"GET {NODE}/report", user=here.user("ana@pve"))[0] == 403
