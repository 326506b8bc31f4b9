"""The report of a node for whoever helps its administrator. Source: PVE::Report.

The sections and commands whose output follows from what the twin has, in the order of the real one.
Leaves out: all other commands, such as those that show load, drivers and firmware.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import formatdate

from simulator.pve.call import Call
from simulator.pve.etc_pve import GUEST_FILE, guest_path
from simulator.pve.routes import Routes
from simulator.pve.sections import option_text
from simulator.pve_node.interfaces_file import interfaces_file
from simulator.pve_node.nodes import NODE, files

routes = Routes()
Output = tuple[str, str]
"""A command and what it prints."""


def _general(call: Call) -> Iterator[Output]:
    release = call.api.release.version
    yield "hostname", call.node
    yield "date -R", formatdate(call.now_s)
    yield "pveversion", f"pve-manager/{release['version']}/{release['repoid']}"
    yield "cat /etc/hosts", files(call).hosts


def _storage(call: Call) -> Iterator[Output]:
    yield "cat /etc/pve/storage.cfg", call.documents.files.get("storage.cfg", "")


def _guests(call: Call) -> Iterator[Output]:
    for vmid, guest in sorted(call.documents.guests.items()):
        state = call.world.guest(vmid)
        if state is not None and state.node == call.node:
            path = guest_path(guest, vmid, call.node)
            assert GUEST_FILE.fullmatch(path)
            yield f"cat /etc/pve/{path.split('/', 2)[2]}", guest.text


def _network(call: Call) -> Iterator[Output]:
    yield "cat /etc/network/interfaces", interfaces_file(files(call).network)


def _firewall(call: Call) -> Iterator[Output]:
    for path, text in sorted(call.documents.files.items()):
        if re.fullmatch(r"firewall/.*fw", path):
            yield f"cat /etc/pve/{path}", text
    yield "cat /etc/pve/local/host.fw", call.documents.files.get(f"nodes/{call.node}/host.fw", "")


def _cluster(call: Call) -> Iterator[Output]:
    yield "cat /etc/pve/datacenter.cfg", option_text(call.documents.options)


def _jobs(call: Call) -> Iterator[Output]:
    yield "cat /etc/pve/jobs.cfg", call.documents.files.get("jobs.cfg", "")


SECTIONS: dict[str, Callable[[Call], Iterator[Output]]] = {
    "general system info": _general,
    "info about storage": _storage,
    "info about virtual guests": _guests,
    "info about network": _network,
    "info about firewall": _firewall,
    "info about cluster": _cluster,
    "info about jobs": _jobs,
}


@routes.add("GET /nodes/{node}/report", "/nodes/{node} Sys.Audit", NODE)
def report(call: Call) -> object:
    """All sections as one text."""
    text = ""
    for title, outputs in SECTIONS.items():
        text += f"\n==== {title} ====\n"
        for command, printed in outputs(call):
            text += f"\n# {command}\n{printed.rstrip()}\n"
    return text.lstrip()
