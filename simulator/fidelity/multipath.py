"""iSCSI with two portals, against open-iscsi and multipathd.

One path or both fail, silently or by their carrier, while a disk is written all the time. Compared
are how long the longest write waited and when a healed path is in use again. Format:
`network-data/multipath.json`: when faults were made and over, writes that waited, states by time.

Leaves out I/O errors: here I/O queues until a path is back, so other settings are not built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.fidelity.case import SEEDS, Case, Known, not_built, timed, told
from simulator.twin import Twin

TOLERANCE_S = 0.5  # a write every 50 ms, on an emulated CPU
AFTER_S = 60.0  # of the end of a recording, for what it did not see the end of
KNOWN: Known = {}


def cases(file: Path) -> Iterator[Case]:
    """Every comparison of a file."""
    for data in json.loads(file.read_text())["cases"]:
        yield from told(_played(data), KNOWN)


def _played(data: Mapping[str, Any]) -> Iterator[Case]:
    name = str(data["case"])
    both = len(_portals(data)) > 1
    if both and data["multipath"]["no_path_retry"] != "queue":
        yield not_built(name, "no_path_retry other than queue can't be declared")
        return
    twins = [_run(data, seed) for seed in SEEDS]
    hung_s = data["still_hung_s"]
    waited_s = max((stall[1] for stall in data["stalls"]), default=0.0)
    yield timed(
        f"{name} stall",
        waited_s if hung_s is None else hung_s,
        [_stall_s(twin) for twin in twins],
        TOLERANCE_S,
        at_least=hung_s is not None,
    )
    if (back_s := _back_s(data)) is not None:
        ours = [_restored_s(twin, _healed_s(data)) for twin in twins]
        yield timed(f"{name} path back", back_s, ours, TOLERANCE_S)


def _portals(data: Mapping[str, Any]) -> list[int]:
    """Which portals fail: their interfaces are a0 and n0, a1 and n1."""
    return [number for number in (0, 1) if f"n{number} " in data["marks"][0][1]]


def _healed_s(data: Mapping[str, Any]) -> float:
    return float(data["marks"][1][0] - data["marks"][0][0])


def _back_s(data: Mapping[str, Any]) -> float | None:
    """From the end of the fault to all paths in use."""
    healed_s = data["marks"][1][0]
    for at_s, (_, paths) in data["events"]:
        if at_s > healed_s and all(state == "A" for state, _ in paths):
            return float(at_s - healed_s)
    return None


def _stall_s(twin: Twin) -> float | None:
    """The longest wait of the guest's I/O; None if it has not ended."""
    begins = [event.at_s for event in twin.trace if event.kind == "io-stalled"]
    ends = [event.at_s for event in twin.trace if event.kind == "io-resumed"]
    if len(ends) < len(begins):
        return None
    return max((end - begin for begin, end in zip(begins, ends, strict=True)), default=0.0)


def _restored_s(twin: Twin, healed_s: float) -> float | None:
    times = [event.at_s for event in twin.trace if event.kind == "path-restored"]
    return times[-1] - healed_s if times else None


def _run(data: Mapping[str, Any], seed: int) -> Twin:
    twin = twin_of(load({"lab.json": _lab()}, rules=False), seed=seed)
    silent = "down" not in data["marks"][0][1]
    healed_s = _healed_s(data)
    twin.inject(
        Fault(FaultKind.CABLE, f"nas-{number}", 0.0, healed_s, silent) for number in _portals(data)
    )
    twin.run_until(healed_s + AFTER_S)
    return twin


def _lab() -> bytes:
    """A node with a guest on a LUN that an array offers at two portals."""
    vlans = ("iscsi0", "iscsi1")
    ports = {name: {"access": vlan} for name, vlan in zip(("eno1", "eno2"), vlans, strict=True)}
    switch = {f"{host}-{n}": {"access": vlans[n]} for host in ("n", "nas") for n in (0, 1)}
    disk = {"storage": "lun", "size": "1GiB"}
    tree = {
        "vlans": {
            "lan": {"id": 9, "role": "management"},
            **{vlan: {"id": 10 + n, "role": "iscsi"} for n, vlan in enumerate(vlans)},
        },
        "clusters": {"a": {"version": "9.2", "corosync": {"links": ["lan"]}}},
        "switches": {"sw": {"feeds": [], "ports": switch}},
        "nodes": {"n": {"cluster": "a", "feeds": [], "nics": ports}},
        "nas": {"nas": {**_ARRAY, "nics": ports}},
        "cables": {
            f"{host}-{n}": {"ends": [f"{host}/{port}", f"sw/{host}-{n}"]}
            for host in ("n", "nas")
            for n, port in enumerate(ports)
        },
        "storages": {
            "lun": {
                "type": "lvm", "clusters": ["a"], "content": ["images"],
                "vg": "lun", "nas": "nas", "target": "t", "lun": "0",
            }
        },
        "guests": {"g": {"vmid": 101, "cluster": "a", "disks": {"scsi0": disk}}},
    }  # fmt: skip
    return json.dumps(tree).encode()


_ARRAY: Mapping[str, Any] = {
    "version": "25.10",
    "feeds": [],
    "iqn": "iqn.2005-10.org.example",
    "disks": {"sda": {"size": "1TB"}},
    "pools": {"tank": {"level": "single", "disks": ["sda"]}},
    "zvols": {"z": {"pool": "tank", "size": "1GiB"}},
    "portals": {
        "p0": {"vlan": "iscsi0", "address": "10.0.10.1"},
        "p1": {"vlan": "iscsi1", "address": "10.0.11.1"},
    },
    "targets": {"t": {"portals": ["p0", "p1"], "luns": {"0": "z"}, "initiators": ["n"]}},
}
