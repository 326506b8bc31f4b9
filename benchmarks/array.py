"""What it costs to look at a large array and to find nothing to do, over a websocket with TLS.

One share for every ten LUNs. The array is served by another process, whose time the look waits for
and whose memory is not counted.
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
from controller.clock import SystemClock
from controller.devices import Device
from controller.installation import devices_of
from controller.observe import observe
from controller.owned import OwnedRecord
from controller.planning import plan_changes, wanted_things
from controller.secrets import Vault, resolve
from controller.settings import settings_in
from lab.lab import Lab
from lab.load import load
from simulator.build import twin_of
from simulator.served.lab import ServedLab

_HARDWARE = """\
feeds: {f1: {}}
vlans:
  iscsi: {id: 101, role: iscsi, subnet: 10.1.0.0/16}
  images: {id: 103, role: nfs, subnet: 10.3.0.0/16}
nas:
  nas1:
    version: '25.10'
    iqn: iqn.2005-10.org.example
    feeds: [f1]
    nics: {eno1: {vlans: [iscsi, images]}}
    addresses: {iscsi: 10.1.0.1, images: 10.3.0.1}
    disks: {sda: {size: 100TB}}
    pools: {tank: {level: single, disks: [sda]}}
    portals: {path: {vlan: iscsi, address: 10.1.0.1}}
"""


def lab_of(luns: int) -> Lab:
    """An array of this many LUNs, each on a target of its own."""
    text = _HARDWARE
    text += "    zvols:\n"
    text += "".join(f"      z{n}: {{pool: tank, size: 10GiB}}\n" for n in range(luns))
    text += "    targets:\n"
    target = "{{portals: [path], initiators: [], initiator-group: all, luns: {{0: z{0}}}}}"
    text += "".join(f"      t{n}: {target.format(n)}\n" for n in range(luns))
    text += "    initiator-groups: {all: {comment: all}}\n"
    text += "    shares:\n"
    share = "{{pool: tank, path: /mnt/tank/s{0}, vlan: images}}"
    text += "".join(f"      s{n}: {share.format(n)}\n" for n in range(luns // 10 or 1))
    return load({"array.yaml": text.encode()}, rules=False)


def observing(luns: int, opened: ExitStack) -> Run:
    """One look at all of it."""
    devices, clock = _served(luns, opened), SystemClock()

    def look() -> None:
        seen = observe(devices, clock)
        assert not seen.unknown, seen.unknown
        assert len(seen.things) > 4 * luns

    return look


def passing(luns: int, opened: ExitStack) -> Run:
    """A look, and the plan that follows from it: nothing to do."""
    devices, clock, lab = _served(luns, opened), SystemClock(), lab_of(luns)
    kinds = {device.name: device.kinds for device in devices}
    owned = {
        key: OwnedRecord("c0ffee", thing.path, thing.values, thing.policy, needs=thing.needs)
        for key, thing in wanted_things(lab, kinds).items()
    }

    def look() -> None:
        plan = plan_changes(lab, observe(devices, clock), owned, "c0ffee")
        assert plan.empty, [str(operation.key) for operation in plan.operations][:3]

    return look


def _served(luns: int, opened: ExitStack) -> list[Device]:
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    command = [sys.executable, "-m", "benchmarks.array", str(luns), str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    opened.enter_context(server)  # closes its stdin, upon which it ends
    assert server.stdout is not None
    where: Mapping[str, Any] = json.loads(server.stdout.readline())
    (folder / "key").write_text(where["api_keys"]["nas1"])
    login = {"address": where["addresses"]["nas1"], "ca": where["ca"]}
    arrays = {"nas1": {**login, "api_key": "secret://file/key"}}
    settings = settings_in(folder, {"source": {"remote": "lab"}, "nas": arrays})
    vault = Vault(lambda reference: resolve(reference, folder))
    return list(devices_of(settings, SystemClock(), vault))


def main(luns: int, folder: Path) -> None:
    """Serve until stdin ends; one JSON line on stdout says where and how to log in."""
    with ServedLab.start(twin_of(lab_of(luns)), folder, port=0) as served:
        print(json.dumps(told(served)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
