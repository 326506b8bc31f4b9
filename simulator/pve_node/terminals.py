"""What consoles of guests and nodes have in common: tickets, ports, and the worker that waits.

A worker listens for a client, one port per console of a node, and ends when none has come. Source:
PVE::API2::Qemu vncproxy, PVE::API2Tools run_spiceterm, PVE::AccessControl remote_viewer_config.
Leaves out: what is behind the port, so that nobody ever comes: a websocket gets no further than its
ticket; the words for ssh in the command of a console elsewhere in the cluster. How vncterm and
spiceterm end is assumed.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from cryptography.hazmat.primitives.serialization import Encoding

from simulator.pve.call import Call
from simulator.pve.documents import NodeFiles
from simulator.pve.parameters import Value
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.tickets import need_path_ticket, path_ticket
from simulator.pve.wire import TaskError, died
from simulator.pve_node.certificates import name_of

WAIT_S = 10.0  # for a client, everywhere but in run_spiceterm
SPICE_WAIT_S = 40.0
VNC_PORTS = range(5900, 6000)  # PVE::Tools next_vnc_port
SPICE_PORTS = range(61000, 61099)  # PVE::Tools next_spice_port
SPICE_PROXY_PORT = 3128
TERMPROXY_SAYS = "failed waiting for client: timed out"
WEBSOCKET = "port integer 5900..5999\nvncticket string ..512\n"


def _authority(call: Call) -> str:
    """The certificate of the cluster's authority; "" if the cluster is not served."""
    shown = call.api.certificates.get(call.node)
    return "" if shown is None else shown.authority.public_bytes(Encoding.PEM).decode()


def _free_port(call: Call, ports: range) -> int:
    taken = {
        task.work.get("port")
        for task in call.documents.tasks.values()
        if task.running and task.node == call.node
    }
    if (port := next((port for port in ports if port not in taken), None)) is None:
        raise died(f"unable to find free port ({ports.start}-{ports.stop})")
    return port


def failed(command: str, code: int = 1) -> str:
    """What PVE::Tools run_command dies with."""
    return f"command '{command}' failed: exit code {code}"


def open_vnc(call: Call, task: str, id_text: str, path: str, status: str = "") -> dict[str, object]:
    """Listen for VNC on the node asked. `status`: how the worker ends, with `{port}` in it."""
    answer = _open(call, task, id_text, path, status or "connection timed out", "")
    return {**answer, "cert": _authority(call)}


def open_terminal(
    call: Call, task: str, id_text: str, path: str, privilege: str, command: str
) -> dict[str, object]:
    """Let termproxy listen on the node asked."""
    line = f"/usr/bin/termproxy {{port}} --path {path} --perm {privilege} -- {command}"
    return _open(call, task, id_text, path, failed(line), TERMPROXY_SAYS)


def vncterm(call: Call, path: str, privilege: str, command: str) -> str:
    """How a worker ends that ran vncterm for a command."""
    sizes = [f"-{name} {call.number(name)}" for name in ("width", "height") if call.has(name)]
    sizes += ["-notls -listen localhost"] if call.flag("websocket") else []
    line = ["/usr/bin/vncterm -rfbport {port} -timeout 10 -authpath", path, "-perm", privilege]
    return failed(" ".join([*line, *sizes, "-c", command]))


def _open(
    call: Call, task: str, id_text: str, path: str, status: str, says: str
) -> dict[str, object]:
    port = _free_port(call, VNC_PORTS)
    work: dict[str, Value] = {
        "port": port,
        "status": status.replace("{port}", str(port)),
        "says": says,
    }
    return {
        "user": call.user,
        "ticket": path_ticket(call.api, "PVEVNC", call.user, path, call.now_s),
        "port": port,
        "upid": start_task(call, task, id_text, work, took_s=WAIT_S),
    }


def _nobody_came(worker: Worker) -> None:
    if said := worker.text("says"):
        worker.say(said)
    raise TaskError(worker.text("status"))


FINISH |= dict.fromkeys(("vncproxy", "vncshell", "spiceproxy", "spiceshell"), _nobody_came)


def websocket(call: Call, path: str) -> object:
    """What a websocket is told, whose ticket is right: where to go on."""
    need_path_ticket(call, call.text("vncticket"), "PVEVNC", path)
    return {"port": str(call.number("port"))}


def open_spice(
    call: Call, task: str, id_text: str, path: str, privilege: str, title: str, command: str
) -> dict[str, object]:
    """Let spiceterm listen on the node; the file for remote-viewer."""
    port = _free_port(call, SPICE_PORTS)
    known = call.documents.options.get("keyboard")
    keymap = f"--keymap {known} " if known else ""
    line = (
        f"/usr/bin/spiceterm --port {port} --addr localhost --timeout {SPICE_WAIT_S:.0f} "
        f"--authpath {path} --permissions {privilege} {keymap}-- {command}"
    )
    start_task(call, task, id_text, {"port": port, "status": failed(line)}, took_s=SPICE_WAIT_S)
    return viewer_file(call, id_text or "0", title, port)


def viewer_file(call: Call, id_text: str, title: str, port: int) -> dict[str, object]:
    """What remote-viewer reads, the one-time password in it."""
    stamp = f"{call.now_s:08x}"
    plain = f"pvespiceproxy:{stamp}:{id_text}:{call.node.lower()}"
    key = f"{call.api.seed} {call.api.name} spice"
    once = f"PVESPICE:{stamp}:{call.user}:{id_text}:{call.node}:{call.chance.random()}"
    proxy = call.text("proxy") or _full_name(call)
    proxy = f"[{proxy}]" if ":" in proxy and not proxy.startswith("[") else proxy
    return {
        "type": "spice",
        "title": title,
        "host": f"{plain}::{hmac.new(key.encode(), plain.encode(), hashlib.sha1).hexdigest()}",
        "host-subject": _subject(call),
        "proxy": f"http://{proxy}:{SPICE_PROXY_PORT}",
        "tls-port": port,
        "ca": _authority(call).replace("\n", "\\n"),
        "password": hashlib.sha1(once.encode(), usedforsecurity=False).hexdigest(),
        "secure-attention": "Ctrl+Alt+Ins",
        "toggle-fullscreen": "Shift+F11",
        "release-cursor": "Ctrl+Alt+R",
        "delete-this-file": 1,
    }


def _full_name(call: Call) -> str:
    domain = call.documents.nodes.get(call.node, NodeFiles()).dns.get("search")
    return f"{call.node}.{domain}" if domain else call.node


def _subject(call: Call) -> str:
    """The subject of the node's certificate, as remote-viewer wants it."""
    shown = call.api.certificates.get(call.node)
    line = f"/CN={_full_name(call)}" if shown is None else name_of(shown.own.subject)
    return re.sub(r"/(\w+=)", r",\1", line.removeprefix("/"))
