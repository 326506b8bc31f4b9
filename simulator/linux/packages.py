"""dpkg-query and apt-get over the few packages that matter here.

A package brings its programs (each is in the table with its package), its units and its files.
Sources: dpkg-query(1), apt-get(8); versions of Debian 13. Leaves out: repositories as things that
can fail, dependencies, upgrades, removal of configuration files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.linux.call import Call, Failed, Programs
from simulator.linux.daemons import DAEMONS
from simulator.linux.defaults import CONFIGURATION, VERSIONS
from simulator.linux.state import File, Unit

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()
_LOCK = "/var/lib/dpkg/lock-frontend"
_FORMAT = r"${Package}\t${Version}\n"


def add(host: LinuxHost, twin: Twin, package: str) -> None:
    """Unpack a package and start its daemons, as Debian does."""
    host.state.packages[package] = VERSIONS[package]
    for path, (mode, content) in CONFIGURATION.get(package, {}).items():
        _folders(host, path)
        host.state.files.setdefault(path, File(content.format(host=host.host), mode))
    for name, daemon in DAEMONS.items():
        if daemon.package == package and name not in host.state.units:
            failure = daemon.start(host, twin)
            host.state.units[name] = Unit(daemon.description, True, not failure, twin.now_s)


def _folders(host: LinuxHost, path: str) -> None:
    parts = path.split("/")[1:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:depth])
        host.state.files.setdefault(folder, File(mode=0o755, kind="dir"))


@programs.add("dpkg-query")
def dpkg_query(call: Call) -> int:
    """`dpkg-query -W [-f FORMAT] [PACKAGE ...]`."""
    options, operands = call.options("Wf:ls", "show", "showformat=", status=2)
    if not options.any("-W", "--show"):
        raise call.fail("only `dpkg-query -W` is simulated", 2)
    form = options.get("-f", "--showformat", default=_FORMAT)
    status = 0
    for name in operands or sorted(call.state.packages):
        if name not in call.state.packages:
            call.complain(f"no packages found matching {name}")
            status = 1
            continue
        call.out.append(_formatted(call, name, form))
    return status


def _formatted(call: Call, name: str, form: str) -> str:
    known = {
        "Package": name,
        "binary:Package": name,
        "Version": call.state.packages[name],
        "Status": "install ok installed",
        "db:Status-Status": "installed",
        "db:Status-Abbrev": "ii ",
        "Architecture": "amd64",
    }
    text = re.sub(r"\$\{([^};]+)(?:;-?\d+)?\}", lambda m: known.get(m[1], ""), form)
    return text.replace("\\n", "\n").replace("\\t", "\t")


@programs.add("apt-get")
def apt_get(call: Call) -> int:
    """update, install, remove."""
    options, operands = call.options(
        "yqo:", "yes", "quiet", "no-install-recommends", "assume-yes", status=100
    )
    verb, *names = operands or [""]
    if verb not in ("update", "install", "remove"):
        raise Failed(100, f"E: Invalid operation {verb}\n")
    if call.user != "root":
        raise Failed(
            100,
            f"E: Could not open lock file {_LOCK} - open (13: Permission denied)\n"
            f"E: Unable to acquire the dpkg frontend lock ({_LOCK}), are you root?\n",
        )
    call.say("Reading package lists...")
    if verb == "update":
        return 0
    if unknown := [name for name in names if name not in VERSIONS]:
        raise Failed(100, f"E: Unable to locate package {unknown[0]}\n")
    installed = call.state.packages
    fresh = [name for name in names if (name in installed) is (verb == "remove")]
    if fresh and not options.any("-y", "--yes", "--assume-yes"):
        raise Failed(1, "Do you want to continue? [Y/n] Abort.\n")
    if fresh and verb == "install" and "/" in call.state.full:
        raise Failed(100, "E: You don't have enough free space in /var/cache/apt/archives/.\n")
    for name in fresh:
        if verb == "install":
            call.say(f"Setting up {name} ({VERSIONS[name]}) ...")
            add(call.host, call.twin, name)
        else:
            call.say(f"Removing {name} ({installed[name]}) ...")
            _remove(call, name)
    return 0


def _remove(call: Call, package: str) -> None:
    for name, daemon in DAEMONS.items():
        if daemon.package == package and name in call.state.units:
            daemon.stop(call.host, call.twin)
            del call.state.units[name]
    del call.state.packages[package]
