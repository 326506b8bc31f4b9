"""File systems: fstab, mount, umount, findmnt, df.

/etc/fstab is a file that is read each time by a parser of its own. Sources: fstab(5), mount(8),
findmnt(8), mount.nfs(8); compared with the real programs. Leaves out: bind mounts, swap, the
contents of network file systems.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulator.linux import blocks
from simulator.linux.call import Call, Failed, Options, Programs, word_set
from simulator.linux.state import File, Mount

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()

FSTAB = "/etc/fstab"
_TYPES = word_set("ext4 xfs vfat swap nfs nfs4 tmpfs none proc auto")
_SILENT = word_set("defaults nofail auto noauto _netdev users user x-systemd.automount")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Entry:
    """A line of fstab."""

    source: str
    target: str
    fstype: str
    options: tuple[str, ...]

    def mounted(self, source: str, fstype: str, volume: str) -> Mount:
        """As the kernel then shows it."""
        read_only = "ro" in self.options
        flags = [o for o in self.options if o not in _SILENT and o not in ("rw", "ro")]
        flags = [flag for flag in flags if not flag.startswith("x-")]
        shown = ["ro" if read_only else "rw", "relatime", *flags]
        return Mount(source, self.target, fstype, ",".join(dict.fromkeys(shown)), volume)


class Refused(Exception):
    """What mount says, with its exit status."""

    def __init__(self, text: str, status: int = 32) -> None:
        super().__init__(text)
        self.status = status


def read_fstab(text: str) -> tuple[list[Entry], list[int]]:
    """Entries, and numbers of the lines that are none."""
    entries, bad = [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        words = [_OCTAL.sub(lambda m: chr(int(m[1], 8)), word) for word in words]
        numbers = all(word.isdigit() for word in words[4:6])
        if len(words) < 3 or not numbers:
            bad.append(number)
        else:
            options = words[3].split(",") if len(words) > 3 else ["defaults"]
            entries.append(Entry(words[0], words[1], words[2], tuple(options)))
    return entries, bad


def entries_of(host: LinuxHost, twin: Twin) -> list[Entry]:
    """The host's fstab, bad lines left out."""
    found = host.files(twin).find(FSTAB)
    return read_fstab(found.content)[0] if found is not None else []


def attach(host: LinuxHost, twin: Twin, entry: Entry) -> None:
    """Mount one entry. Raises Refused."""
    folder = host.files(twin).find(entry.target)
    if folder is None or folder.kind != "dir":
        raise Refused(f"mount: {entry.target}: mount point does not exist.")
    if entry.fstype in ("nfs", "nfs4"):
        made = _network(host, twin, entry)
    else:
        made = _local(host, twin, entry)
    known = host.state.mounts.get(entry.target)
    if known is not None and known.source == made.source:
        raise Refused(f"mount: {entry.target}: {made.source} already mounted on {entry.target}.")
    host.state.mounts[entry.target] = made
    if made.volume:
        host.state.files.setdefault(f"{made.volume}:", File(mode=0o755, kind="dir"))


def _local(host: LinuxHost, twin: Twin, entry: Entry) -> Mount:
    path, target = resolved(entry.source), entry.target
    device = blocks.find(host, twin, path)
    if device is None:
        if path != entry.source:
            raise Refused(f"mount: {target}: can't find {entry.source}.")
        raise Refused(f"mount: {target}: special device {entry.source} does not exist.")
    carried = blocks.signature(twin, device)
    if carried is None or carried.type not in blocks.BACKED:
        kind = carried.type if carried is not None else ""
        if kind and entry.fstype == "auto":
            raise Refused(f"mount: {target}: unknown filesystem type '{kind}'.")
        raise Refused(
            f"mount: {target}: wrong fs type, bad option, bad superblock on {device.path}, "
            "missing codepage or helper program, or other error."
        )
    if entry.fstype not in ("auto", carried.type):
        raise Refused(
            f"mount: {target}: wrong fs type, bad option, bad superblock on {device.path}, "
            "missing codepage or helper program, or other error."
        )
    return entry.mounted(device.path, carried.type, device.volume)


def resolved(source: str) -> str:
    """A source as a path: `UUID=...` leads below /dev/disk."""
    match source.partition("="):
        case ("UUID", "=", value):
            return f"/dev/disk/by-uuid/{value.strip(chr(34))}"
        case _:
            return source


def _network(host: LinuxHost, twin: Twin, entry: Entry) -> Mount:
    from simulator.linux.exports import Unserved, served

    address, _, folder = entry.source.partition(":")
    try:
        served(twin, host.host, address, folder)
    except Unserved as error:
        raise Refused(f"mount.nfs: {error} while mounting {entry.source}") from error
    version = "vers=4.2" if not any(o.startswith("vers") for o in entry.options) else ""
    made = entry.mounted(entry.source, "nfs4", "")
    return replace(made, options=",".join(filter(None, [made.options, version, f"addr={address}"])))


def mount_all(host: LinuxHost, twin: Twin) -> list[str]:
    """`mount -a`: what fstab asks for and is not mounted; answers what could not be."""
    failures = []
    for entry in entries_of(host, twin):
        wanted = "noauto" not in entry.options and entry.fstype not in ("swap", "proc", "none")
        if wanted and entry.target not in host.state.mounts:
            try:
                attach(host, twin, entry)
            except Refused as error:
                failures.append(str(error))
    return failures


UNITS = "/etc/systemd/system/"


def read_unit(text: str) -> Entry | None:
    """What a mount unit asks for; None without what it needs. Source: systemd.mount(5)."""
    known = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    if not {"What", "Where"} <= known.keys():
        return None
    options = tuple(known.get("Options", "defaults").split(","))
    return Entry(known["What"], known["Where"], known.get("Type", "auto"), options)


def units_of(host: LinuxHost) -> dict[str, Entry]:
    """Mount units that an administrator made, by their files. All are taken as enabled."""
    texts = {
        path: file.content
        for path, file in host.state.files.items()
        if path.startswith(UNITS) and path.endswith(".mount")
    }
    found = {path: read_unit(text) for path, text in texts.items()}
    return {path: entry for path, entry in found.items() if entry is not None}


def start_unit(host: LinuxHost, twin: Twin, entry: Entry) -> None:
    """Mount what a unit asks for; its folder is made if it is missing. Raises Refused."""
    parts = entry.target.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:depth])
        host.state.files.setdefault(folder, File(mode=0o755, kind="dir"))
    attach(host, twin, entry)


def tell(host: LinuxHost, twin: Twin) -> None:
    """Tell the physics which file systems of the host's disks are mounted where."""
    state, now = twin.state, dict[str, tuple[str, int]]()
    for mount in host.state.mounts.values():
        if mount.target != "/" and mount.volume.startswith(f"{host.host}/"):
            place = f"{host.host}:{mount.target}"
            known = state.mounted.get(place, ("", 0))
            same = known[0] == mount.volume
            now[place] = known if same else (mount.volume, blocks.size_of(host, twin, mount))
    for place in [known for known in state.mounted if known.startswith(f"{host.host}:")]:
        if place not in now:
            del state.mounted[place]
    state.mounted |= now


def detach(host: LinuxHost, target: str) -> str:
    """Unmount; answers why not."""
    deeper = [known for known in host.state.mounts if known.startswith(f"{target}/")]
    mount = host.state.mounts[target]
    exported = any(
        share.path == target or share.path.startswith(f"{target}/") for share in host.state.shares
    )
    if deeper or exported or target == "/":
        return f"umount: {target}: target is busy."
    del host.state.mounts[mount.target]
    return ""


@programs.add("mount")
def mount(call: Call) -> int:
    """Mount what fstab says of a folder or device, or `-t TYPE SOURCE FOLDER`, or all (-a)."""
    options, operands = call.options("at:o:rwv", "all", "types=", "options=", status=1)
    if not operands and not options.any("-a", "--all"):
        for each in call.state.mounts.values():
            call.say(f"{each.source} on {each.target} type {each.fstype} ({each.options})")
        return 0
    call.need_root(f"mount: {operands[-1] if operands else ''}: must be superuser to use mount.")
    if options.any("-a", "--all"):
        failures = mount_all(call.host, call.twin)
        call.err += [f"{failure}\n" for failure in failures]
        return 32 if failures else 0
    try:
        _mount_one(call, options, operands)
    except Refused as error:
        hint = "       dmesg(1) may have more information after failed mount system call.\n"
        raise Failed(error.status, f"{error}\n{hint if 'nfs' not in str(error) else ''}") from error
    return 0


def _mount_one(call: Call, options: Options, operands: list[str]) -> None:
    given = options.get("-o", "--options")
    if given and "remount" in given.split(","):
        _remount(call, operands[-1], given)
        return
    if len(operands) == 1:
        word = operands[0]
        known = entries_of(call.host, call.twin)
        entry = next((e for e in known if word.rstrip("/") in (e.target, e.source)), None)
        if entry is None:
            raise Refused(f"mount: {word}: can't find in {FSTAB}.", 1)
        if given:
            entry = replace(entry, options=(*entry.options, *given.split(",")))
    else:
        source, target = operands[:2]
        fstype = options.get("-t", "--types", default="nfs" if ":/" in source else "auto")
        if fstype not in _TYPES:
            raise Refused(f"mount: {target}: unknown filesystem type '{fstype}'.")
        words = tuple(given.split(",")) if given else ()
        entry = Entry(source, call.files.absolute(target), fstype, words)
    attach(call.host, call.twin, entry)


def _remount(call: Call, target: str, given: str) -> None:
    mounted = call.state.mounts.get(target)
    if mounted is None:
        raise Refused(f"mount: {target}: mount point not mounted or bad option.")
    words = [word for word in given.split(",") if word != "remount"]
    kept = [o for o in mounted.options.split(",") if o not in ("ro", "rw") or not words]
    shown = ",".join(dict.fromkeys([*words, *kept]))
    call.state.mounts[target] = replace(mounted, options=shown)


@programs.add("umount")
def umount(call: Call) -> int:
    """Unmount folders or devices."""
    _, operands = call.options("vflr")
    status = 0
    for word in operands:
        known = call.state.mounts.values()
        mount = next((m for m in known if word.rstrip("/") in (m.target, m.source)), None)
        if mount is None:
            there = call.files.find(word) is not None
            why = "not mounted." if there else "no mount point specified."
            call.complain(f"{word}: {why}")
            status = 32
            continue
        call.need_root(f"umount: {word}: must be superuser to unmount.", 32)
        if failure := detach(call.host, mount.target):
            call.err.append(f"{failure}\n")
            status = 32
    return status


@programs.add("mountpoint")
def mountpoint(call: Call) -> int:
    """Whether a folder is one."""
    options, operands = call.options("q", "quiet")
    path = operands[0] if operands else ""
    found = path.rstrip("/") in call.state.mounts
    if not options.any("-q", "--quiet"):
        call.say(f"{path} is {'' if found else 'not '}a mountpoint")
    return 0 if found else 32


@programs.add("findmnt")
def findmnt(call: Call) -> int:
    """Mounted file systems, or those of fstab, as JSON or in columns; --verify checks fstab."""
    options, operands = call.options(
        "Jno:lsrt:S:T:M:bx",
        "json", "noheadings", "output=", "list", "fstab", "raw", "types=", "source=", "target=",
        "mountpoint=", "tab-file=", "verify", "real", "kernel",
    )  # fmt: skip
    if options.any("-x", "--verify"):
        return _verify(call, options.get("--tab-file", default=FSTAB))
    rows = list(_chosen(call, options, operands))
    if not rows:
        return 1
    columns = (
        options.get("-o", "--output", default="target,source,fstype,options").lower().split(",")
    )
    if odd := [
        name for name in columns if name not in ("target", "source", "fstype", "options", "uuid")
    ]:
        raise call.fail(f"unknown column: {odd[0]}")
    shown = [{name: _column(call, row, name) for name in columns} for row in rows]
    if options.any("-J", "--json"):
        call.out.append(json.dumps({"filesystems": shown}, indent=3) + "\n")
    elif options.any("-n", "-r", "--noheadings", "--raw"):
        for line in shown:
            call.say(" ".join(str(value or "") for value in line.values()))
    else:
        raise call.fail("only JSON (-J) and columns without headings (-n) are simulated")
    return 0


def _chosen(call: Call, options: Options, operands: list[str]) -> Iterator[Mount]:
    rows = list(call.state.mounts.values())
    if options.any("-s", "--fstab"):
        path = options.get("--tab-file", default=FSTAB)
        try:
            entries, bad = read_fstab(call.files.read(path))
        except OSError as error:
            raise call.fail(f"can't read {path}: {error.strerror}") from error
        for number in bad:
            name = posixpath.basename(path) if "--tab-file" in options else path
            call.complain(f"{name}: parse error at line {number} -- ignored")
        rows = [Mount(e.source, e.target, e.fstype, ",".join(e.options)) for e in entries]
    elif target := options.get("-T", "--target"):
        rows = [call.files.mount_of(call.files.absolute(target))]
    types = options.get("-t", "--types")
    words = [*operands, *options.all("-M", "--mountpoint")]
    sources = options.all("-S", "--source")
    for row in rows:
        if types and row.fstype not in types.split(","):
            continue
        if words and not {row.target, row.source}.intersection(w.rstrip("/") or "/" for w in words):
            continue
        if sources and row.source not in sources:
            continue
        yield row


def _column(call: Call, row: Mount, name: str) -> str | None:
    if name == "uuid":
        carried = call.twin.state.carried.get(row.volume)
        return carried.uuid if carried is not None else None
    return str(getattr(row, name))


def _verify(call: Call, path: str) -> int:
    try:
        entries, bad = read_fstab(call.files.read(path))
    except OSError as error:
        raise call.fail(f"can't read {path}: {error.strerror}") from error
    errors = 0
    for number in bad:
        call.complain(f"{path}: parse error at line {number} -- ignored")
    for entry in entries:
        troubles = list(_troubles(call, entry))
        if troubles:
            call.say("\n".join([entry.target, *(f"   {trouble}" for trouble in troubles)]))
        errors += sum(trouble.startswith("[E]") for trouble in troubles)
    if bad or errors:
        parse = f"{len(bad)} parse error{'s' * (len(bad) != 1)}"
        call.err.append(f"\n{parse}, {errors} error{'s' * (errors != 1)}, 0 warnings\n")
        return 1
    call.say("Success, no errors or warnings detected")
    return 0


def _troubles(call: Call, entry: Entry) -> Iterator[str]:
    if entry.fstype == "swap" or entry.target == "none":
        return
    if call.files.find(entry.target) is None:
        yield "[E] unreachable on boot required target: No such file or directory"
    network = entry.fstype in ("nfs", "nfs4")
    if not network and blocks.find(call.host, call.twin, resolved(entry.source)) is None:
        yield f"[E] unreachable on boot required source: {entry.source}"
    if entry.fstype not in _TYPES:
        yield f"[E] unsupported filesystem type: {entry.fstype}"


@programs.add("df")
def df(call: Call) -> int:
    """`df -B1 --output=...`, or -P: sizes of file systems."""
    options, operands = call.options("PkB:hTa", "output=", "block-size=", "portability")
    mounts = list(call.state.mounts.values())
    if operands:
        mounts = []
        for path in operands:
            try:
                call.files.stat(path)
            except OSError as error:
                raise call.fail(f"{path}: {error.strerror}") from error
            mounts.append(call.files.mount_of(call.files.absolute(path)))
    unit = 1 if options.get("-B", "--block-size") == "1" else 1024
    fields = options.get("--output", default="source,size,used,avail,pcent,target").split(",")
    unit_name = "1B" if unit == 1 else "1024" if "-P" in options else "1K"
    titles = {
        "source": "Filesystem", "size": f"{unit_name}-blocks",
        "used": "Used", "avail": "Avail" if "--output" in options else "Available",
        "pcent": "Use%" if "-P" not in options else "Capacity", "target": "Mounted on",
        "fstype": "Type",
    }  # fmt: skip
    if odd := [name for name in fields if name not in titles]:
        raise call.fail(f"option --output: field '{odd[0]}' unknown")
    call.say(" ".join(titles[name] for name in fields))
    for mount in mounts:
        size = call.files.capacity_bytes(mount)
        used = size if mount.target in call.state.full else call.files.used_bytes(mount)
        row = {
            "source": mount.source, "size": size // unit, "used": -(-used // unit),
            "avail": (size - used) // unit, "pcent": f"{-(-100 * used // size) if size else 0}%",
            "target": mount.target, "fstype": mount.fstype,
        }  # fmt: skip
        call.say(" ".join(str(row[name]) for name in fields))
    return 0
