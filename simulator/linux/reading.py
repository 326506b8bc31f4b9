"""Programs that look at files and at the host. Sources: GNU coreutils; stat(1), id(1)."""

from __future__ import annotations

import hashlib
import posixpath
import re
import stat as modes
import time

from lab.kinds.node import Node
from simulator.linux.call import Call, Programs
from simulator.linux.state import File

programs = Programs()

_KINDS = {
    "file": ("regular file", modes.S_IFREG),
    "dir": ("directory", modes.S_IFDIR),
    "link": ("symbolic link", modes.S_IFLNK),
    "block": ("block special file", modes.S_IFBLK),
    "char": ("character special file", modes.S_IFCHR),
}
_ALGORITHMS = {"sha256sum": "sha256", "sha1sum": "sha1", "md5sum": "md5"}


@programs.add("cat")
def cat(call: Call) -> int:
    """Files one after the other; `-` or nothing is stdin."""
    _, operands = call.options("uv", "show-nonprinting")
    status = 0
    for path in operands or ["-"]:
        try:
            call.out.append(call.stdin if path in ("-", "/dev/stdin") else call.files.read(path))
        except OSError as error:
            call.complain(f"{path}: {error.strerror}")
            status = 1
    return status


@programs.add("head")
def head(call: Call) -> int:
    """The first lines."""
    options, operands = call.options("n:", "lines=")
    count = options.get("-n", "--lines", default="10")
    if not count.isdigit():
        raise call.fail(f"invalid number of lines: '{count}'")
    text = call.files.read(operands[0]) if operands else call.stdin
    call.out.append("".join(text.splitlines(keepends=True)[: int(count)]))
    return 0


@programs.add("sha256sum sha1sum md5sum")
def checksum(call: Call) -> int:
    """Digests of files."""
    _, operands = call.options("bt", "binary", "text")
    status = 0
    for path in operands or ["-"]:
        try:
            text = call.stdin if path == "-" else call.files.read(path)
        except OSError as error:
            call.complain(f"{path}: {error.strerror}")
            status = 1
            continue
        digest = hashlib.new(_ALGORITHMS[call.name], text.encode("utf-8", "surrogateescape"))
        call.say(f"{digest.hexdigest()}  {path}")
    return status


@programs.add("cmp")
def cmp(call: Call) -> int:
    """Whether two files are alike."""
    options, operands = call.options("s", "silent", "quiet", status=2)
    if len(operands) != 2:
        raise call.fail("missing operand", 2)
    texts = []
    for path in operands:
        try:
            texts.append(call.stdin if path == "-" else call.files.read(path))
        except OSError as error:
            raise call.fail(f"{path}: {error.strerror}", 2) from error
    if texts[0] == texts[1]:
        return 0
    if not options.any("-s", "--silent", "--quiet"):
        common = next((n for n, (a, b) in enumerate(zip(*texts, strict=False), 1) if a != b), None)
        if common is None:
            shorter = operands[len(texts[0]) > len(texts[1])]
            call.complain(f"EOF on {shorter}")
        else:
            line = texts[0][: common - 1].count("\n") + 1
            call.say(f"{operands[0]} {operands[1]} differ: char {common}, line {line}")
    return 1


@programs.add("stat")
def stat(call: Call) -> int:
    """`stat -c FORMAT`: what is known of an inode."""
    options, operands = call.options("c:L", "format=", "printf=", "dereference")
    form = options.get("-c", "--format")
    printed = options.get("--printf").replace("\\n", "\n").replace("\\t", "\t")
    if not operands:
        raise call.fail("missing operand")
    status = 0
    for path in operands:
        try:
            found = call.files.stat(path, follow=options.any("-L", "--dereference"))
        except OSError as error:
            call.complain(f"cannot statx '{path}': {error.strerror}")
            status = 1
            continue
        if not form and not printed:
            raise call.fail("only --format and --printf are simulated")
        text = _described(call, path, found, form or printed)
        call.out.append(text if printed else f"{text}\n")
    return status


def _described(call: Call, path: str, found: File, form: str) -> str:
    kind, bits = _KINDS[found.kind]
    mount = call.files.mount_of(call.files.absolute(path))
    known = {
        "a": f"{found.mode:o}",
        "A": modes.filemode(bits | found.mode),
        "U": found.owner,
        "G": found.group,
        "u": str(_uid(call, found.owner)),
        "g": str(_uid(call, found.group)),
        "s": str(found.size_bytes),
        "F": "regular empty file" if found.kind == "file" and not found.content else kind,
        "n": path,
        "N": f"'{path}'",
        "Y": str(int(call.host.epoch_s + found.changed_s)),
        "m": mount.target,
        "h": "1",
        "%": "%",
    }
    if odd := next((m[1] for m in re.finditer("%(.)", form) if m[1] not in known), ""):
        raise call.fail(f"%{odd} is not simulated")
    return re.sub("%(.)", lambda m: known[m[1]], form)


def _uid(call: Call, name: str) -> int:
    account = call.state.accounts.get(name)
    return account.uid if account else 65534


@programs.add("ls")
def ls(call: Call) -> int:
    """Names, one to a line; with -l modes, owners and sizes."""
    options, operands = call.options("1aAdln", "all", "almost-all", "directory", status=2)
    long, hidden = (
        "-l" in options or "-n" in options,
        options.any("-a", "-A", "--all", "--almost-all"),
    )
    status = 0
    for path in operands or ["."]:
        try:
            found = call.files.stat(path, follow="-l" not in options)
            inside = found.kind == "dir" and not options.any("-d", "--directory")
            names = call.files.names(path) if inside else [path]
        except OSError as error:
            verb = "open directory" if error.errno == 13 and call.files.find(path) else "access"
            call.complain(f"cannot {verb} '{path}': {error.strerror}")
            status = 2
            continue
        if len(operands) > 1 and inside:
            call.say(f"{path}:")
        if long and inside:
            call.say("total 0")
        for name in names:
            if not inside or hidden or not name.startswith("."):
                call.say(_line(call, posixpath.join(path, name), name) if long else name)
    return status


def _line(call: Call, path: str, name: str) -> str:
    found = call.files.stat(path, follow=False)
    mode = modes.filemode(_KINDS[found.kind][1] | found.mode)
    when = time.strftime("%b %e %H:%M", time.gmtime(call.host.epoch_s + found.changed_s))
    arrow = f" -> {found.content}" if found.kind == "link" else ""
    return f"{mode} 1 {found.owner} {found.group} {found.size_bytes} {when} {name}{arrow}"


@programs.add("readlink realpath")
def readlink(call: Call) -> int:
    """Where a link leads; with -f, or as realpath, a whole path."""
    options, operands = call.options("fem", "canonicalize", "canonicalize-existing")
    if not operands:
        raise call.fail("missing operand")
    status = 0
    for path in operands:
        full = call.name == "realpath" or options.any("-f", "-e", "--canonicalize")
        target = call.files.real(path)
        parent = call.files.find(posixpath.dirname(target))
        if full and parent is not None and parent.kind == "dir":
            call.say(target)
            continue
        link = None if full else call.files.find(path) and call.files.stat(path, follow=False)
        if link is None or link.kind != "link":
            if call.name == "realpath":
                call.complain(f"{path}: No such file or directory")
            status = 1
        else:
            call.say(link.content)
    return status


@programs.add("hostname")
def hostname(call: Call) -> int:
    """The host's name."""
    options, _ = call.options("sfIi", "short", "fqdn", "all-ip-addresses")
    name = call.files.read("/etc/hostname").strip()
    if options.any("-I", "--all-ip-addresses", "-i"):
        own = call.twin.model.hosts[call.host.host].addresses.values()
        call.say(" ".join(map(str, own)))
    else:
        call.say(f"{name}.lab.example" if options.any("-f", "--fqdn") else name)
    return 0


@programs.add("uname")
def uname(call: Call) -> int:
    """The kernel."""
    options, _ = call.options("srnma")
    release = "6.14.11-4-pve" if isinstance(_declared(call), Node) else "6.12.57+deb13-amd64"
    known = {"-s": "Linux", "-n": call.host.host, "-r": release, "-m": "x86_64"}
    chosen = [text for flag, text in known.items() if flag in options or "-a" in options]
    call.say(" ".join(chosen or ["Linux"]))
    return 0


def _declared(call: Call) -> object:
    return call.twin.model.hosts[call.host.host]


@programs.add("date")
def date(call: Call) -> int:
    """`date +%s`: seconds of the Unix epoch."""
    if list(call.args) != ["+%s"]:
        raise call.fail("only `date +%s` is simulated")
    call.say(str(int(call.host.epoch_s + call.twin.now_s)))
    return 0
