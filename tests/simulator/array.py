"""An array for tests, in the rack: as just installed or as declared, asked in process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.truenas.api import TrueNasApi
from simulator.truenas.declared import declared
from simulator.truenas.face import attach
from simulator.truenas.inprocess import InProcess
from simulator.truenas.install import installed
from simulator.twin import Twin
from tests.simulator.rack import Tree, rack

GIB = 2**30
PASSWORD = "made-up"
SECRET = "s" * 64
ADDRESSES = ("10.0.101.21", "10.0.102.21")


@dataclass
class Array:
    """An array on its twin, and a client that is logged in."""

    twin: Twin
    api: TrueNasApi
    key: str
    client: InProcess

    def __call__(self, method: str, *params: object) -> Any:
        """Call a method."""
        return self.client.call(method, *params)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.twin.run_until(self.twin.now_s + seconds)

    def fail(self, faults: str) -> None:
        """Let something fail now."""
        self.twin.inject(parse_faults([faults]))
        self.wait(0)

    def volume(self, name: str = "tank/z", size: int = 100 * GIB, **more: object) -> Any:
        """Make a volume."""
        data = {"name": name, "type": "VOLUME", "volsize": size, **more}
        return self("pool.dataset.create", data)

    def problem(self, storage: str = "lun", node: str = "pve1") -> str:
        """What the physics says of a storage on a node."""
        return self.twin.facts.storage_problem("a", storage, node)


def array(
    version: str = "25.10",
    *,
    full: bool = False,
    seed: int = 0,
    change: Callable[[Tree], object] = lambda nas: None,
) -> Array:
    """An array of a release; `full`: with all that the rack declares, else as installed.

    `change` has its way with the array's part of the tree.
    """

    def of_version(tree: Tree) -> None:
        tree["nas"]["nas1"]["version"] = version
        tree["nas"]["nas1"]["shares"]["iso"]["path"] = "/mnt/images/iso"
        for name, node in tree["nodes"].items():
            node["initiator"] = f"iqn.1993-08.org.debian:01:{name}"
        change(tree["nas"]["nas1"])

    twin = twin_of(rack(change=of_version), seed=seed)
    documents = (declared if full else installed)(twin, "nas1")
    api = attach(twin, "nas1", documents)
    api.set_password(api.version.administrator, PASSWORD)
    key = api.add_key(SECRET)
    client = InProcess(twin, "nas1", key)
    if not api.version.has("12.0.."):
        client = InProcess(twin, "nas1", user="root", password=PASSWORD)
    return Array(twin, api, key, client)


def chain(here: Array, name: str = "t", volume: str = "tank/z") -> dict[str, int]:
    """Volume to LUN, offered to everybody on both portals; ids by kind."""
    here.volume(volume)
    portals = [
        here("iscsi.portal.create", {"listen": [{"ip": address}]})["id"] for address in ADDRESSES
    ]
    group = here("iscsi.initiator.create", {"comment": name})["id"]
    groups = [{"portal": portal, "initiator": group} for portal in portals]
    target = here("iscsi.target.create", {"name": name, "groups": groups})["id"]
    extent = here("iscsi.extent.create", {"name": name, "disk": f"zvol/{volume}"})["id"]
    lun = here("iscsi.targetextent.create", {"target": target, "extent": extent})["id"]
    start(here, "iscsitarget")
    return {
        "portal": portals[0], "initiator": group, "target": target, "extent": extent, "lun": lun,
    }  # fmt: skip


def start(here: Array, service: str) -> None:
    """Start a service, as the release has it, and wait for it."""
    if here.api.version.has("25.10.."):
        here("service.control", "START", service)
    else:
        here("service.start", service)
    here.wait(5)
