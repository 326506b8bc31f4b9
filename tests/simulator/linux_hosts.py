"""Simulated Linux hosts for tests: those of `rack` and a backup server, as installed or loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.linux.call import Result
from simulator.linux.host import LinuxHost
from simulator.linux.install import declared, hosts_of, installed
from simulator.truenas.api import TrueNasApi
from simulator.truenas.declared import declared as declared_array
from simulator.truenas.version import version_of
from simulator.twin import Twin
from tests.simulator.rack import rack

Tree = dict[str, Any]
IQN = "iqn.2005-10.org.freenas.ctl:t"
PORTALS = ("10.0.101.21", "10.0.102.21")


class Hosts:
    """A twin with its hosts on it."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin

    def __call__(self, host: str, command: str, stdin: str = "", user: str = "root") -> Result:
        """Run a line on a host."""
        return self.host(host).run(self.twin, command, stdin, user)

    def says(self, host: str, command: str, stdin: str = "", user: str = "root") -> str:
        """Run a line that must work; what it says."""
        result = self(host, command, stdin, user)
        assert (result.status, result.stderr) == (0, ""), result
        return result.stdout

    def host(self, name: str) -> LinuxHost:
        """A host itself."""
        device = self.twin.devices[f"linux/{name}"]
        assert isinstance(device, LinuxHost)
        return device

    @property
    def array(self) -> TrueNasApi:
        """The array."""
        device = self.twin.devices["nas/nas1"]
        assert isinstance(device, TrueNasApi)
        return device

    def fail(self, fault: str, wait_s: float = 0.0) -> None:
        """Let something break, and time pass."""
        self.twin.inject(parse_faults([fault]))
        self.wait(wait_s)

    def wait(self, wait_s: float) -> None:
        """Let time pass."""
        self.twin.run_until(self.twin.now_s + wait_s)

    def fork(self) -> Hosts:
        """The same in a copied world."""
        return Hosts(self.twin.fork())

    def log_in(self, *hosts: str) -> str:
        """Discover and log in on hosts, with a map for the LUN; its WWID."""
        wwid = ""
        for host in hosts:
            self.says(host, f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
            self.says(host, f"iscsiadm -m node -T {IQN} --login")
            wwid = self.says(host, "/lib/udev/scsi_id -g -u -d /dev/sdb").strip()
            self.says(host, f"multipath -a {wwid}")
            self.says(host, "multipathd reconfigure")
        return wwid


def hosts(*, loaded: bool = False, change: Callable[[Tree], object] | None = None) -> Hosts:
    """A rack of three nodes, an array with its LUN, and bak1 with a blank second disk."""

    def with_backup(tree: Tree) -> None:
        tree["backup-servers"] = {"bak1": _backup_server()}
        for name, node in tree["nodes"].items():
            node["initiator"] = f"iqn.1993-08.org.debian:01:{name}"
            node["addresses"]["nfs"] = f"10.0.103.{name.removeprefix('pve')}"
        tree["vlans"]["nfs"]["subnet"] = "10.0.103.0/24"
        ports = tree["switches"]["sw1"]["ports"]
        ports["bak1-eno1"] = {"vlans": ["mgmt", "nfs"]}
        tree["cables"]["bak1-eno1"] = {"ends": ["bak1/eno1", "sw1/bak1-eno1"]}
        if change is not None:
            change(tree)

    twin = twin_of(rack(change=with_backup), empty=not loaded)
    array = twin.model.lab.nas["nas1"]
    twin.attach(TrueNasApi("nas1", declared_array(twin, "nas1"), version_of(array.version)))
    for name in hosts_of(twin):
        (declared if loaded else installed)(twin, name)
    twin.changed()
    twin.settle()
    return Hosts(twin)


def _backup_server() -> Tree:
    return {
        "feeds": ["f1"],
        "nics": {"eno1": {"vlans": ["mgmt", "nfs"]}},
        "addresses": {"mgmt": "10.0.99.31", "nfs": "10.0.103.31"},
        "disks": {"sda": {"size": "100GB"}, "sdb": {"size": "1TB"}},
        "raids": {"os": {"level": "single", "disks": ["sda"]}},
        "disk": "sdb",
        "mount": "/backup",
        "exports": {"vm": {"path": "/backup/vm", "vlan": "nfs"}},
    }
