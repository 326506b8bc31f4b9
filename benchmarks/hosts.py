"""What it costs to look at many Linux hosts and to find nothing to do, over SSH.

Each host is a backup server with a file system, a mount, four exports, a service, a file and a
block of another. They are served by another process, whose time the look waits for and whose memory
is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from api.served_lab import told
from benchmarks.bench import Run
from controller.check import applied
from controller.clock import SystemClock
from controller.installation import PARALLEL, devices_of
from controller.observe import observe
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.planning import plan_changes, wanted_things
from controller.secrets import Vault, resolve
from controller.settings import Settings, settings_in
from lab.lab import Lab
from lab.load import load
from simulator.served.lab import ServedLab

EXPORTS = 4
_NETWORK = """\
feeds: {f1: {}}
vlans:
  management: {id: 99, role: management, subnet: 192.168.0.0/16}
  backup: {id: 254, role: backup, subnet: 10.254.0.0/16}
"""


def lab_of(hosts: int) -> Lab:
    """This many backup servers on one switch."""
    names = range(1, hosts + 1)
    text = _NETWORK
    text += "switches:\n  sw1:\n    feeds: [f1]\n    ports:\n"
    text += "".join(f"      p{n}: {{vlans: [management, backup]}}\n" for n in names)
    text += "cables:\n"
    text += "".join(f"  c{n}: {{ends: [bak{n}/eno1, sw1/p{n}]}}\n" for n in names)
    text += "backup-servers:\n" + "".join(map(_host, names))
    return load({"hosts.yaml": text.encode()}, rules=False)


def _host(number: int) -> str:
    exports = [f"e{n}: {{path: /backup/e{n}, vlan: backup}}" for n in range(EXPORTS)]
    return f"""\
  bak{number}:
    feeds: [f1]
    nics: {{eno1: {{vlans: [management, backup]}}}}
    addresses: {{management: 192.168.1.{number}, backup: 10.254.1.{number}}}
    disks: {{sda: {{size: 146GB}}, sdb: {{size: 1TB}}}}
    disk: sdb
    mount: /backup
    exports: {{{", ".join(exports)}}}
    files:
      /etc/chrony/conf.d/vlab.conf: {{content: "server 192.168.0.1\\n"}}
      /etc/hosts: {{block: "192.168.1.{number} bak{number}\\n"}}
"""


def observing(hosts: int, opened: ExitStack) -> Run:
    """One look at all of them."""
    return _served(hosts, opened)


def passing(hosts: int, opened: ExitStack) -> Run:
    """A look, and the plan that follows from it: nothing to do."""
    looks, lab = _served(hosts, opened), lab_of(hosts)
    owned = {
        key: OwnedRecord("c0ffee", thing.path, thing.values, thing.policy, needs=thing.needs)
        for key, thing in wanted_things(lab, looks().kinds).items()
    }

    def look() -> None:
        plan = plan_changes(lab, looks(), owned, "c0ffee")
        assert plan.empty, [str(operation.key) for operation in plan.operations][:3]

    return look


class _Looks:
    """The ways to hosts that are served, over connections that stay open."""

    def __init__(self, lab: Lab, settings: Settings, opened: ExitStack) -> None:
        vault = Vault(lambda reference: resolve(reference, settings.folder))
        self._devices = list(devices_of(settings, SystemClock(), vault))
        for device in self._devices:
            opened.callback(device.close)
        kinds = {device.name: device.kinds for device in self._devices}
        self._named = wanted_things(lab, kinds).keys()

    def __call__(self) -> Observed:
        seen = observe(self._devices, SystemClock(), named=self._named, parallel=PARALLEL)
        assert not seen.unknown, seen.unknown
        assert len(seen.things) >= len(self._named)
        return seen


def _served(hosts: int, opened: ExitStack) -> _Looks:
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    command = [sys.executable, "-m", "benchmarks.hosts", str(hosts), str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    opened.enter_context(server)  # closes its stdin, upon which it ends
    assert server.stdout is not None
    ssh: Mapping[str, Any] = json.loads(server.stdout.readline())["ssh"]
    tables: dict[str, Any] = {"*": {"key": ssh["key"], "known_hosts": ssh["known_hosts"]}}
    for host, where in ssh["addresses"].items():
        address, _, port = where.partition(":")
        tables[host] = {"address": address, "port": int(port)}
    settings = settings_in(folder, {"source": {"remote": "lab"}, "linux": tables})
    return _Looks(lab_of(hosts), settings, opened)


def main(hosts: int, folder: Path) -> None:
    """Serve until stdin ends; one JSON line on stdout says where and how to log in."""
    twin, _ = applied(lab_of(hosts), "hosts")
    with ServedLab.start(twin, folder, port=0) as served:
        print(json.dumps(told(served)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
