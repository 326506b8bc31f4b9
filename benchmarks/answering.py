"""What the served Proxmox VE API costs: many requests, and the lists of a large cluster.

In process, so that it is the answers alone that are measured; the lab is that of `served`.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.bench import Run
from benchmarks.lab import FIRST_VMID
from benchmarks.served import populated
from controller.pve.family import TOKEN, TOKEN_NAME, USER
from simulator.pve.api import PveApi
from simulator.pve.wire import Request
from simulator.twin import Twin

HEADERS = {"authorization": f"PVEAPIToken={USER}!{TOKEN_NAME}={TOKEN}"}
GUESTS = 100  # of the lab that many requests are sent to
LISTS = (
    "/cluster/resources",
    "/nodes/{node}/qemu",
    "/nodes/{node}/storage",
    "/cluster/ha/resources",
)


def requests(number: int, opened: ExitStack) -> Run:
    """Reads and writes by turns: a guest's configuration, a change of it, a rule, a pool."""
    twin = populated(GUESTS)
    node = twin.model.nodes["a"][0]
    vmid = next(v for (_, v), state in twin.state.guests.items() if state.node == node)
    config = f"/nodes/{node}/qemu/{vmid}/config"
    calls = [
        Request(node, "GET", config, {}, HEADERS),
        Request(node, "PUT", config, {"description": "x"}, HEADERS),
        Request(node, "GET", "/cluster/firewall/rules", {}, HEADERS),
        Request(node, "PUT", "/cluster/firewall/options", {"policy_in": "DROP"}, HEADERS),
        Request(node, "GET", "/version", {}, HEADERS),
    ]
    return lambda: _send(twin, [calls[n % len(calls)] for n in range(number)])


def lists(guests: int, opened: ExitStack) -> Run:
    """The lists that a page shows first, once each."""
    twin = populated(guests)
    assert len(twin.state.guests) == guests, FIRST_VMID
    node = twin.model.nodes["a"][0]
    calls = [Request(node, "GET", path.format(node=node), {}, HEADERS) for path in LISTS]
    return lambda: _send(twin, calls)


def _send(twin: Twin, calls: list[Request]) -> None:
    api = twin.devices["pve/a"]
    assert isinstance(api, PveApi)
    for call in calls:
        response = api.handle(twin, call)
        assert response.status == 200, (call.path, response)
        assert response.body
