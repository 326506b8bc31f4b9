"""The daemons of a node: their state, and starting and stopping them. Source: PVE::API2::Services;
systemd.unit(5).

Where the twin serves the node's Linux side too, cron, chrony and sshd are that host's own units, so
`systemctl` there tells the same; corosync is that of the physics, and a node without it falls out
of the cluster. All that is enabled runs again after a boot. Leaves out: stopping the HA services
and pvestatd, which the twin can't do without (501); what is lost while another one is stopped;
changes of what is enabled; that the Debian of 7.4 logs by rsyslog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from simulator.membership import corosync
from simulator.pve.call import Call, Environment
from simulator.pve.documents import NodeFiles
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError
from simulator.pve_node import certificates

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.linux.state import Unit

routes = Routes()

SERVICES = {
    "chrony": "chrony, an NTP client/server",
    "corosync": "Corosync Cluster Engine",
    "cron": "Regular background program processing daemon",
    "ksmtuned": "Kernel Samepage Merging (KSM) Tuning Daemon",
    "lxcfs": "FUSE filesystem for LXC",
    "postfix": "Postfix Mail Transport Agent (main/default instance)",
    "proxmox-firewall": "Proxmox nftables firewall",
    "pve-cluster": "The Proxmox VE cluster filesystem",
    "pve-firewall": "Proxmox VE firewall",
    "pve-ha-crm": "PVE Cluster HA Resource Manager Daemon",
    "pve-ha-lrm": "PVE Local HA Resource Manager Daemon",
    "pve-lxc-syscalld": "Proxmox VE LXC Syscall Daemon",
    "pvedaemon": "PVE API Daemon",
    "pvefw-logger": "Proxmox VE firewall logger",
    "pveproxy": "PVE API Proxy Server",
    "pvescheduler": "Proxmox VE scheduler",
    "pvestatd": "PVE Status Daemon",
    "qmeventd": "PVE Qemu Event Daemon",
    "spiceproxy": "PVE SPICE Proxy Server",
    "sshd": "OpenBSD Secure Shell server",
    "syslog": "syslog.service",
    "systemd-journald": "Journal Service",
    "systemd-timesyncd": "systemd-timesyncd.service",
}
"""What systemd calls each. The last of a name that is its unit's is of one that is not there."""
ABSENT = frozenset({"syslog", "systemd-timesyncd"})  # Debian 13: rsyslog is gone, chrony replaces
STATIC = frozenset({"systemd-journald"})
ESSENTIAL = frozenset({"pve-cluster", "pvedaemon", "pveproxy"})  # PVE::API2::Services
UNSTOPPABLE = frozenset({"pve-ha-crm", "pve-ha-lrm", "pvestatd"})

AUDIT, MODIFY = "/nodes/{node} Sys.Audit", "/nodes/{node} Sys.Modify"
_SERVICE = f"node pve-node\nservice enum({','.join(SERVICES)})\n"
_PATH = "/nodes/{node}/services/{service}"


def _unit(scene: Environment, service: str) -> tuple[LinuxHost, str, Unit] | None:
    """The unit of the node's Linux side that the service is, if the twin has one."""
    host = cast("LinuxHost | None", scene.twin.devices.get(f"linux/{scene.node}"))
    name = "ssh" if service == "sshd" else service
    if host is None or name not in host.state.units:
        return None
    return host, name, host.state.units[name]


def _active(scene: Environment, service: str) -> bool:
    if service in ABSENT:
        return False
    if service == "corosync":
        return scene.node not in scene.twin.state.stopped
    if (known := _unit(scene, service)) is not None:
        return known[2].active
    return service not in scene.documents.nodes.get(scene.node, NodeFiles()).stopped


def _state(scene: Environment, service: str) -> dict[str, object]:
    active, unit = _active(scene, service), _unit(scene, service)
    enabled = "enabled" if unit is None or unit[2].enabled else "disabled"
    if service in ABSENT | STATIC:
        enabled = "not-found" if service in ABSENT else "static"
    return {
        "service": service,
        "name": service,
        "desc": SERVICES[service],
        "state": "running" if active else "dead",
        "active-state": "active" if active else "inactive",
        "unit-state": enabled,
    }


@routes.add("GET /nodes/{node}/services", AUDIT, "node pve-node\n")
def services(call: Call) -> object:
    """All that the release has."""
    state = next(route for route in routes.all if route.call == f"GET {_PATH}/state")
    return [
        _state(call, service) for service in call.api.release.table(state).params["service"].enum
    ]


@routes.add(f"GET {_PATH}", AUDIT, _SERVICE)
def service_index(call: Call) -> object:
    """What can be done."""
    del call
    return [{"subdir": word} for word in ("state", "start", "stop", "restart", "reload")]


@routes.add(f"GET {_PATH}/state", AUDIT, _SERVICE)
def service_state(call: Call) -> object:
    """One of them."""
    return _state(call, call.text("service"))


def _doing(word: str) -> Callable[[Call], object]:
    """The call that starts the task for a command of systemctl."""

    def act(call: Call) -> object:
        service = call.text("service")
        if word == "stop" and service in UNSTOPPABLE:
            path = f"/nodes/{call.node}/services/{service}/stop"
            raise ApiError(501, f"Method 'POST {path}' not implemented")
        work = {"finish": "service", "command": word}
        return start_task(call, f"srv{word}", service, work, took_s=1.0)

    act.__doc__ = f"Let systemd {word} it: a task."
    return act


for _word in ("start", "stop", "restart", "reload"):
    routes.add(f"POST {_PATH}/{_word}", MODIFY, _SERVICE)(_doing(_word))


def _finish(worker: Worker) -> None:
    service, word = worker.task.id, worker.text("command")
    if service in ESSENTIAL and word == "stop":
        refused = f"invalid service cmd '{service} {word}': refusing to stop essential service!"
        raise TaskError(refused)
    if service in ABSENT:
        raise TaskError(f"command 'systemctl {word} {service}' failed: exit code 5")
    if (unit := _unit(worker, service)) is not None:
        host, name, _ = unit
        result = host.run(worker.twin, ["systemctl", word, name])
        if result.status:
            text = f"command 'systemctl {word} {service}' failed: exit code {result.status}"
            raise TaskError(text)
        return
    if word == "reload" and not _active(worker, service):
        raise TaskError(f"command 'systemctl reload {service}' failed: exit code 1")
    if service == "pveproxy":
        certificates.start_proxy(worker)
    _switch(worker, service, on=word != "stop")


FINISH["service"] = _finish


def _switch(worker: Worker, service: str, *, on: bool) -> None:
    """Keep that it runs from now on, or does not."""
    if on is _active(worker, service):
        return
    if service == "corosync":
        if on:
            corosync.join(worker.twin, worker.node)
        else:
            corosync.leave(worker.twin, worker.node)
        return
    nodes = worker.documents.nodes
    files = nodes.get(worker.node, NodeFiles())
    stopped = files.stopped - {service} if on else files.stopped | {service}
    nodes[worker.node] = replace(files, stopped=stopped)
