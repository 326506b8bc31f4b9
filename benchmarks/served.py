"""A served lab of any size, in a process of its own, so that a controller's figures are its own.

One guest is made through the API and the others are copies of it: making a thousand of them one
after the other would take longer than all that is measured.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from api.served_lab import told
from benchmarks.lab import FIRST_VMID, lab_of, tree
from controller.check import applied
from controller.stage import empty_stage
from lab.load import load
from simulator.ha.part import run_in
from simulator.pve.api import PveApi
from simulator.pve.documents import Documents
from simulator.served.lab import ServedLab
from simulator.state import GuestPower, GuestState
from simulator.twin import Twin


def populated(guests: int) -> Twin:
    """A twin on which everything is as the lab of this size declares it."""
    lab = lab_of(guests)
    pattern, _ = applied(load(tree(guests, only=1)), "one guest")
    twin, nodes = empty_stage(lab), lab.members("a")
    api = _api(twin)
    api.documents = _multiplied(_api(pattern).documents, range(FIRST_VMID, FIRST_VMID + guests))
    api.sync(twin)
    for number in range(guests):
        place = GuestState(nodes[number % len(nodes)], GuestPower.RUNNING)
        twin.state.guests["a", FIRST_VMID + number] = place
    run_in(twin)
    twin.changed()
    twin.settle()
    return twin


def _api(twin: Twin) -> PveApi:
    api = twin.devices["pve/a"]
    assert isinstance(api, PveApi)
    return api


def _multiplied(one: Documents, vmids: range) -> Documents:
    """The same with a copy of the first guest, its disks and its HA entry for each vmid."""
    many, first = one.copy(), str(FIRST_VMID)
    pattern = one.guests[FIRST_VMID]
    for number, vmid in enumerate(vmids):
        config = {
            name: value.replace(first, str(vmid)) if isinstance(value, str) else value
            for name, value in pattern.current.items()
        }
        many.guests[vmid] = replace(pattern, current={**config, "name": f"g{number}"})
        for volume in one.volumes.values():
            copy = replace(volume, vmid=vmid, name=volume.name.replace(first, str(vmid)))
            many.volumes[copy.key] = copy
    many.ha_resources.put({f"vm:{vmid}": one.ha_resources[f"vm:{first}"] for vmid in vmids})
    return many


def main(guests: int, folder: Path) -> None:
    """Serve until stdin ends; one JSON line on stdout says where and how to log in."""
    with ServedLab.start(populated(guests), folder, port=0) as served:
        print(json.dumps(told(served)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
