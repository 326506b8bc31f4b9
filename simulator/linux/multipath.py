"""multipath and multipathd: one device of all paths to a LUN, by WWID.

The daemon's configuration is what it read at its last start or reconfigure. Which LUNs get a map
follows `find_multipaths`: with `strict`, Debian's default, only those whose WWID stands in
/etc/multipath/wwids or in a `multipaths` entry. Sources: multipath(8), multipathd(8),
multipath.conf(5), libmultipath's print.c for the fields of the JSON. Leaves out: priorities,
hardware handlers, user_friendly_names' bindings.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from simulator.linux import blocks
from simulator.linux.call import SBIN, Call, Failed, Programs
from simulator.linux.daemons import DAEMONS, Daemon
from simulator.linux.map_report import describe, list_paths, map_json
from simulator.linux.mpconf import DEFAULTS, Conf, read
from simulator.linux.state import Map, ScsiDisk

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()
PACKAGE = "multipath-tools"
CONF, FOLDER, WWIDS = "/etc/multipath.conf", "/etc/multipath/conf.d", "/etc/multipath/wwids"


def _texts(host: LinuxHost, twin: Twin) -> dict[str, str]:
    """The configuration files as they are now."""
    files = host.files(twin)
    known = files.find(FOLDER)
    names = files.names(FOLDER) if known is not None and known.kind == "dir" else []
    paths = [CONF, *(f"{FOLDER}/{name}" for name in names if name.endswith(".conf"))]
    return {path: found.content for path in paths if (found := files.find(path)) is not None}


def _loaded(host: LinuxHost) -> Conf:
    """What the daemon read last."""
    texts = {
        path: text
        for path, text in host.state.loaded.items()
        if path == CONF or path.startswith(f"{FOLDER}/")
    }
    return read(texts)


def _load(host: LinuxHost, twin: Twin) -> str:
    kept = {p: t for p, t in host.state.loaded.items() if not p.startswith("/etc/multipath")}
    host.state.loaded = kept | _texts(host, twin)
    make_maps(host, twin, _loaded(host))
    return ""


DAEMONS["multipathd"] = Daemon(
    PACKAGE, "Device-Mapper Multipath Device Controller", _load, reload=_load
)


def wwids(host: LinuxHost, twin: Twin) -> list[str]:
    """WWIDs that the host has been told to make maps of."""
    found = host.files(twin).find(WWIDS)
    return re.findall(r"(?m)^/(\S+)/$", found.content) if found is not None else []


def follow(host: LinuxHost, twin: Twin) -> None:
    """What the running daemon does when paths or its configuration changed."""
    unit = host.state.units.get("multipathd")
    if unit is None or not unit.active:
        return
    make_maps(host, twin, _loaded(host))


def make_maps(host: LinuxHost, twin: Twin, conf: Conf, only: str = "") -> list[str]:
    """Make the maps that are missing, rename and resize those that are there; WWIDs made."""
    known, made = set(wwids(host, twin)), []
    by_wwid: dict[str, list[ScsiDisk]] = {}
    for disk in host.state.disks.values():
        by_wwid.setdefault(disk.wwid, []).append(disk)
    for wwid, paths in by_wwid.items():
        first = paths[0]
        settings = conf.of_map(wwid, first.vendor, first.product)
        name = settings.get("alias") or wwid
        size_bytes = min(path.size_bytes for path in paths)
        old = host.state.maps.get(wwid)
        if old is not None:
            if (old.name, old.size_bytes) != (name, size_bytes):
                host.state.maps[wwid] = Map(name, old.minor, size_bytes)
        elif (not only or only in (wwid, name)) and _wanted(conf, known, wwid, paths):
            minor = max((each.minor for each in host.state.maps.values()), default=4) + 1
            host.state.maps[wwid] = Map(name, minor, size_bytes)
            made.append(wwid)
    _remember(host, twin, [wwid for wwid in made if wwid not in known])
    return made


def _wanted(conf: Conf, known: set[str], wwid: str, paths: list[ScsiDisk]) -> bool:
    if conf.blacklisted(wwid, paths[0].vendor, paths[0].product, "sda"):
        return False
    match conf.setting("find_multipaths"):
        case "yes" | "on" | "smart":
            return wwid in known or len(paths) > 1
        case "no" | "off" | "greedy":
            return True
        case _:
            return wwid in known


def _remember(host: LinuxHost, twin: Twin, fresh: list[str]) -> bool:
    """Add WWIDs to the file; whether that worked."""
    if not fresh:
        return True
    files = host.files(twin)
    heading = "# Multipath wwids, Version : 1.0\n# Valid WWIDs:\n"
    old = files.find(WWIDS)
    lines = "".join(f"/{wwid}/\n" for wwid in fresh)
    try:
        if files.find("/etc/multipath") is None:
            files.make_folder("/etc/multipath")
        files.write(WWIDS, (old.content if old is not None else heading) + lines, 0o600)
    except OSError:
        return False
    return True


@programs.add("multipath", PACKAGE, SBIN)
def multipath(call: Call) -> int:
    """-l lists, -a and -w change the file of WWIDs, -f and -F flush, -t prints the settings."""
    options, operands = call.options("lafFwWrtTv:cCuhqdp:D")
    call.need_root("need to be root")
    word = operands[0] if operands else ""
    if "-l" in options:
        return _list(call, word)
    if "-t" in options or "-T" in options:
        return _settings(call)
    if "-a" in options:
        return _add(call, word)
    if "-w" in options:
        return _drop(call, word)
    if "-f" in options or "-F" in options:
        return _flush(call, word, every="-F" in options)
    if odd := [flag for flag in ("-c", "-C", "-u", "-W", "-d", "-h") if flag in options]:
        raise call.fail(f"{odd[0]} is not simulated")
    conf = read(_texts(call.host, call.twin))
    call.err += [f"{line}\n" for line in conf.complaints]
    make_maps(call.host, call.twin, conf, word)
    return 0


def _list(call: Call, word: str) -> int:
    conf = _loaded(call.host)
    for wwid, known in call.state.maps.items():
        if word in ("", wwid, known.name):
            describe(call, conf, wwid, known)
    return 0


def _settings(call: Call) -> int:
    """The merged configuration, complaints first."""
    conf = read(_texts(call.host, call.twin))
    call.err += [f"{line}\n" for line in conf.complaints]
    call.say("defaults {")
    for name in DEFAULTS:
        value = conf.setting(name)
        call.say(f"\t{name} {value if value.isdigit() else chr(34) + value + chr(34)}")
    call.say("}")
    for section, entry, rows in (
        ("devices", "device", conf.devices),
        ("multipaths", "multipath", conf.multipaths),
    ):
        call.say(f"{section} {{")
        for row in rows:
            body = "".join(f'\t\t{name} "{value}"\n' for name, value in row.items())
            call.out.append(f"\t{entry} {{\n{body}\t}}\n")
        call.say("}")
    return 0


def _wwid_of(call: Call, word: str) -> str:
    """A WWID from itself, a map's name or a path's device."""
    if not word:
        raise Failed(1, "need a device, a map or a WWID\n")
    if word.startswith("/dev/"):
        device = blocks.find(call.host, call.twin, word)
        wwid = blocks.wwid_of(call.host, device) if device is not None else ""
        if not wwid:
            raise Failed(1, f"{word}: failed to get wwid\n")
        return wwid
    return next((wwid for wwid, known in call.state.maps.items() if known.name == word), word)


def _add(call: Call, word: str) -> int:
    wwid = _wwid_of(call, word)
    if wwid not in wwids(call.host, call.twin) and not _remember(call.host, call.twin, [wwid]):
        raise Failed(1, f"failed to add wwid '{wwid}' to wwids file\n")
    call.say(f"wwid '{wwid}' added")
    return 0


def _drop(call: Call, word: str) -> int:
    wwid, known = _wwid_of(call, word), call.files.find(WWIDS)
    if known is None or f"/{wwid}/\n" not in known.content:
        raise Failed(1, f"wwid '{wwid}' not found in wwids file\n")
    call.files.write(WWIDS, known.content.replace(f"/{wwid}/\n", ""))
    call.say(f"wwid '{wwid}' removed")
    return 0


def _flush(call: Call, word: str, *, every: bool) -> int:
    chosen = [
        wwid for wwid, known in call.state.maps.items() if every or word in (wwid, known.name)
    ]
    if not chosen and not every:
        raise Failed(1, f"{word}: map not found\n")
    status = 0
    for wwid in chosen:
        device = blocks.find(call.host, call.twin, f"/dev/mapper/{call.state.maps[wwid].name}")
        assert device is not None
        known = blocks.devices(call.host, call.twin)
        held = any(device.name in each.below for each in known.values())
        if held or blocks.users(call.host, call.twin, device):
            call.err.append(f"{call.state.maps[wwid].name}: map in use\n")
            status = 1
        else:
            del call.state.maps[wwid]
    return status


@programs.add("multipathd", PACKAGE, SBIN)
def multipathd(call: Call) -> int:
    """Commands for the running daemon, given as words or after -k."""
    options, operands = call.options("k:sdv:")
    words = " ".join([*([options.get("-k")] if "-k" in options else []), *operands]).split()
    if call.user != "root":
        raise Failed(1, "need to be root\n")
    unit = call.state.units.get("multipathd")
    if unit is None or not unit.active:
        raise Failed(1, "error -1 in mpath_connect: Connection refused\n")
    conf = _loaded(call.host)
    match words:
        case ["show" | "list", "maps" | "multipaths", "json"]:
            maps = [map_json(call, conf, wwid, m) for wwid, m in call.state.maps.items()]
            _json(call, {"major_version": 0, "minor_version": 1, "maps": maps})
        case ["show" | "list", "map" | "multipath", name, "json"]:
            wwid = _wwid_of(call, name)
            if wwid not in call.state.maps:
                raise Failed(1, "fail\n")
            row = map_json(call, conf, wwid, call.state.maps[wwid])
            _json(call, {"major_version": 0, "minor_version": 1, "map": row})
        case ["show" | "list", "maps" | "multipaths"]:
            call.say("name sysfs uuid")
            for wwid, known in call.state.maps.items():
                call.say(f"{known.name} dm-{known.minor} {wwid}")
        case ["show" | "list", "paths"]:
            list_paths(call)
        case ["show" | "list", "config", *_]:
            _settings(call)
        case ["show" | "list", "status"]:
            call.say(f"paths: {len(call.state.disks)}\nbusy: False")
        case ["reconfigure", *_]:
            _load(call.host, call.twin)
            call.say("ok")
        case ["resize", "map", name]:
            _resize(call, name)
        case ["add", "map" | "path", _]:
            follow(call.host, call.twin)
            call.say("ok")
        case ["del" | "remove", "map", name]:
            return _flush(call, name, every=False)
        case _:
            raise Failed(1, f"cli[{' '.join(words)}]: this command is not simulated\n")
    return 0


def _json(call: Call, value: object) -> None:
    call.out.append(json.dumps(value, indent=3) + "\n")


def _resize(call: Call, name: str) -> None:
    if _wwid_of(call, name) not in call.state.maps:
        raise Failed(1, "fail\n")
    follow(call.host, call.twin)
    call.say("ok")
