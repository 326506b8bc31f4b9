"""What is mounted, and how full it is: findmnt, df. Sources: findmnt(8), df(1); compared with the
real programs.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator

from simulator.linux import blocks
from simulator.linux.call import Call, Options, Programs
from simulator.linux.fstab import FSTAB, TYPES, Entry, read_fstab, resolved
from simulator.linux.state import Mount

programs = Programs()


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
    if entry.fstype not in TYPES:
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
