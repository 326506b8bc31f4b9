"""File systems that come and go: mount, umount, and what starts and stops by itself.

Sources: mount(8), mount.nfs(8), systemd.mount(5); compared with the real programs. Leaves out: bind
mounts, swap, the contents of network file systems.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.linux import blocks
from simulator.linux.call import Call, Failed, Options, Programs
from simulator.linux.fstab import FSTAB, TYPES, UNITS, Entry, read_fstab, read_unit, resolved
from simulator.linux.state import File, Mount

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()


class Refused(Exception):
    """What mount says, with its exit status."""

    def __init__(self, text: str, status: int = 32) -> None:
        super().__init__(text)
        self.status = status


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
        if fstype not in TYPES:
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
