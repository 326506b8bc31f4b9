"""The NFS server: exportfs, showmount, and what a client may mount.

/etc/exports and /etc/exports.d/*.exports are files; what the kernel exports is what exportfs last
made of them. Sources: exportfs(8), exports(5), showmount(8). Leaves out: NFS versions, locks,
clients' state, /etc/nfs.conf (a file that nobody here reads).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.linux.call import SBIN, Call, Failed, Programs
from simulator.linux.daemons import DAEMONS, Daemon
from simulator.linux.exportfile import Reading, admits, lines

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()
PACKAGE = "nfs-kernel-server"
UNIT = "nfs-server"


class Unserved(Exception):
    """A server does not give a folder to a client; its text says why, in mount.nfs's words."""


def read(host: LinuxHost, twin: Twin) -> Reading:
    """What the host's files ask for."""
    files, reading = host.files(twin), Reading()
    folder = "/etc/exports.d"
    known = files.find(folder)
    names = files.names(folder) if known is not None and known.kind == "dir" else []
    paths = [f"{folder}/{name}" for name in names if name.endswith(".exports")]
    for path in ["/etc/exports", *(path for path in paths if not path.startswith(f"{folder}/."))]:
        found = files.find(path)
        if found is not None:
            reading.read(path, found.content)
        else:
            reading.errors.append(f"exportfs: can't open {path} for reading")
    return reading


def apply(host: LinuxHost, twin: Twin) -> list[str]:
    """Export what the files ask for and nothing else; the complaints, errors last."""
    reading, files = read(host, twin), host.files(twin)
    for share in reading.shares:
        found = files.find(share.path)
        if found is None:
            reading.errors.append(
                f"exportfs: Failed to stat {share.path}: No such file or directory"
            )
        elif found.kind != "dir":
            reading.errors.append(
                f"exportfs: {share.path} is not a directory. Remote access will fail"
            )
    host.state.shares = tuple(reading.shares)
    return reading.errors


def _start(host: LinuxHost, twin: Twin) -> str:
    apply(host, twin)
    return ""


def _stop(host: LinuxHost, _twin: Twin) -> str:
    host.state.shares = ()
    return ""


DAEMONS[UNIT] = Daemon(
    PACKAGE, "NFS server and services", _start, _stop, _start, aliases=("nfs-kernel-server",)
)


@programs.add("exportfs", PACKAGE, SBIN)
def exportfs(call: Call) -> int:
    """List what is exported; with -a and -r follow the files, with -u export nothing."""
    options, operands = call.options("arvuo:sfi")
    if operands:
        raise call.fail("only exports written in files are simulated")
    if not any(flag in options for flag in ("-a", "-r", "-u", "-f")):
        if "-s" in options:
            for share in call.state.shares:
                call.say(f"{share.path}  {share.client}({','.join(share.options)})")
            return 0
        for line in lines(call.state.shares, verbose="-v" in options):
            call.say(line)
        return 0
    if call.user != "root":
        raise call.fail(
            "could not open /var/lib/nfs/.etab.lock for locking: errno 13 (Permission denied)"
        )
    if "-u" in options:
        call.host.state.shares = ()
        return 0
    if "-f" in options:
        return 0
    warnings = read(call.host, call.twin).warnings
    before = {(share.path, share.client) for share in call.state.shares}
    errors = apply(call.host, call.twin)
    call.err += [f"{line}\n" for line in [*warnings, *errors]]
    if "-v" in options:
        for share in call.state.shares:
            call.say(f"exporting {share.client}:{share.path}")
        for path, client in sorted(before - {(s.path, s.client) for s in call.state.shares}):
            call.say(f"unexporting {client}:{path} from kernel")
    return 1 if errors else 0


@programs.add("showmount", folders=SBIN)
def showmount(call: Call) -> int:
    """`showmount -e SERVER`: what a server exports; `showmount -a`: who has mounted it here."""
    options, operands = call.options("ea", "exports", "all", "no-headers")
    if options.any("-a", "--all"):
        return _mounted(call, headers="--no-headers" not in options)
    if not options.any("-e", "--exports"):
        raise call.fail("only `showmount -e` and `showmount -a` are simulated")
    server = operands[0] if operands else call.host.host
    own = [str(address) for address in call.twin.model.hosts[call.host.host].addresses.values()]
    here = server in ("localhost", "127.0.0.1", call.host.host, *own)
    try:
        found = by_folder(call.host) if here else offers(call.twin, call.host.host, server)
    except Unserved as error:
        silent = "timed out" in str(error)
        text = "Port mapper failure - Timed out" if silent else "Program not registered"
        raise Failed(1, f"clnt_create: RPC: {text}\n") from error
    if "--no-headers" not in options:
        call.say(f"Export list for {server}:")
    width = max((len(path) for path in found), default=0)
    for path, clients in found.items():
        call.say(f"{path:{width}} {','.join(clients)}")
    return 0


def _mounted(call: Call, *, headers: bool) -> int:
    if headers:
        call.say(f"All mount points on {call.host.host}:")
    for address, folder in sorted(clients(call.twin, call.host.host)):
        call.say(f"{address}:{folder}")
    return 0


def clients(twin: Twin, server: str) -> set[tuple[str, str]]:
    """(client's address, folder) of what is mounted from a host: by Proxmox VE and by hand."""
    found: set[tuple[str, str]] = set()
    for vlan, own in twin.model.hosts[server].addresses.items():
        for name, node in twin.model.lab.nodes.items():
            folders = {
                spec.export
                for spec in twin.facts.workload(node.cluster).storages.values()
                if (spec.type, spec.backing) == ("nfs", str(own))
                and spec.enabled
                and (spec.nodes is None or name in spec.nodes)
            }
            if (host := _host(twin, name)) is not None:
                sources = [m.source.partition(":") for m in host.state.mounts.values()]
                folders |= {folder for address, _, folder in sources if address == str(own)}
            address = node.addresses.get(vlan)
            if address is not None and twin.facts.host_on(name):
                found |= {(str(address), folder) for folder in folders if folder}
    return found


def by_folder(host: LinuxHost) -> dict[str, list[str]]:
    """What a host exports: folder -> clients. Raises Unserved while its server does not run."""
    unit = host.state.units.get(UNIT)
    if unit is None or not unit.active:
        raise Unserved("Connection refused")
    found: dict[str, list[str]] = {}
    for share in host.state.shares:
        found.setdefault(share.path, []).append(share.client)
    return found


def told(host: LinuxHost) -> dict[str, frozenset[str]]:
    """What the physics needs of the exports: folder -> clients, none for everybody."""
    try:
        found = by_folder(host)
    except Unserved:
        return {}
    return {
        folder: frozenset() if "*" in known else frozenset(known) for folder, known in found.items()
    }


def offers(twin: Twin, client: str, address: str) -> dict[str, list[str]]:
    """What the server at an address exports: folder -> clients. Raises Unserved.

    A Linux host on the twin is asked itself; else what the lab declares is open to its VLAN.
    """
    shares = twin.model.exports.get(address, ())
    host, vlan = _server(twin, address)
    if not host or not twin.facts.talks(client, host, vlan):
        raise Unserved("Connection timed out")
    device = _host(twin, host)
    if device is None:
        subnet = twin.model.lab.vlans[vlan].subnet
        return {share.path: [str(subnet or "*")] for share in shares if share.host == host}
    return by_folder(device)


def _host(twin: Twin, name: str) -> LinuxHost | None:
    from simulator.linux.host import LinuxHost

    device = twin.devices.get(f"linux/{name}")
    return device if isinstance(device, LinuxHost) else None


def served(twin: Twin, client: str, address: str, folder: str) -> None:
    """Raise Unserved unless the server at an address gives a folder to a host."""
    host, vlan = _server(twin, address)
    own = str(twin.model.hosts[client].addresses.get(vlan, "")) if host else ""
    clients = offers(twin, client, address).get(folder)
    if clients is None:
        raise Unserved("mounting failed, reason given by server: No such file or directory")
    if not any(admits(each, own) for each in clients):
        raise Unserved("access denied by server")


def _server(twin: Twin, address: str) -> tuple[str, str]:
    for name, declared in twin.model.hosts.items():
        for vlan, own in declared.addresses.items():
            if str(own) == address:
                return name, vlan
    return "", ""
