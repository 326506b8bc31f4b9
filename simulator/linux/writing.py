"""Programs that change files. Source: GNU coreutils. Leaves out: links, sparse files, times."""

from __future__ import annotations

import errno
import posixpath
import re

from simulator.linux.call import Call, Programs

programs = Programs()


@programs.add("tee")
def tee(call: Call) -> int:
    """Stdin to files and to stdout."""
    options, operands = call.options("a", "append")
    status = 0
    for path in operands:
        try:
            appends = options.any("-a", "--append")
            call.files.write(path, call.stdin, 0o666 & ~call.shell.umask, appends=appends)
        except OSError as error:
            call.complain(f"{path}: {error.strerror}")
            status = 1
    call.out.append(call.stdin)
    return status


@programs.add("dd")
def dd(call: Call) -> int:
    """`dd of=FILE [if=FILE] [conv=fsync]`: whole files only."""
    given = dict(word.partition("=")[::2] for word in call.args)
    if odd := given.keys() - {"if", "of", "conv", "status", "bs", "oflag"}:
        raise call.fail(f"unrecognized operand '{min(odd)}'")
    try:
        text = call.files.read(given["if"]) if "if" in given else call.stdin
    except OSError as error:
        raise call.fail(f"failed to open '{given['if']}': {error.strerror}") from error
    if "of" not in given:
        call.out.append(text)
        return 0
    try:
        call.files.write(given["of"], text, 0o666 & ~call.shell.umask)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        what = f"error writing '{given['of']}'" if full else f"failed to open '{given['of']}'"
        raise call.fail(f"{what}: {error.strerror}") from error
    return 0


@programs.add("touch")
def touch(call: Call) -> int:
    """Make files that are missing."""
    _, operands = call.options("c")
    for path in operands:
        if call.files.find(path) is None:
            try:
                call.files.write(path, "", 0o666 & ~call.shell.umask)
            except OSError as error:
                raise call.fail(f"cannot touch '{path}': {error.strerror}") from error
    return 0


@programs.add("sync")
def sync(call: Call) -> int:
    """Everything written is on disk at once here; missing files are errors as they are there."""
    _, operands = call.options("df", "data", "file-system")
    status = 0
    for path in operands:
        try:
            call.files.stat(path)
        except OSError as error:
            call.complain(f"error opening '{path}': {error.strerror}")
            status = 1
    return status


@programs.add("mktemp")
def mktemp(call: Call) -> int:
    """A new file or folder under a name of its own."""
    options, operands = call.options("dp:t", "directory", "tmpdir=", "suffix=")
    template = operands[0] if operands else "tmp.XXXXXXXXXX"
    parent = options.get("-p", "--tmpdir", default="" if operands else "/tmp")  # noqa: S108
    shape = re.fullmatch(r"(.*?)(X{3,})([^X/]*)", template, re.DOTALL)
    if shape is None:
        raise call.fail(f"too few X's in template '{template}'")
    ending = shape[3] + options.get("--suffix")
    path = posixpath.join(parent, shape[1] + call.host.digits(len(shape[2])) + ending)
    made = "directory" if options.any("-d", "--directory") else "file"
    try:
        if made == "directory":
            call.files.make_folder(path, 0o700)
        else:
            call.files.write(path, "", 0o600)
    except OSError as error:
        shown = posixpath.join(parent, template)
        raise call.fail(
            f"failed to create {made} via template '{shown}': {error.strerror}"
        ) from error
    call.say(path)
    return 0


@programs.add("mkdir")
def mkdir(call: Call) -> int:
    """Make folders; with -p those on the way, and none is an error."""
    options, operands = call.options("pm:v", "parents", "mode=")
    mode = _mode(call, options.get("-m", "--mode"), 0o777 & ~call.shell.umask)
    if not operands:
        raise call.fail("missing operand")
    status = 0
    for path in operands:
        try:
            if options.any("-p", "--parents"):
                _make_parents(call, path, mode)
            else:
                call.files.make_folder(path, mode)
        except OSError as error:
            call.complain(f"cannot create directory '{path}': {error.strerror}")
            status = 1
    return status


def _make_parents(call: Call, path: str, mode: int) -> None:
    known = call.files.find(path)
    if known is not None and known.kind == "dir":
        return
    parent = posixpath.dirname(call.files.absolute(path))
    if parent != "/":
        _make_parents(call, parent, 0o777 & ~call.shell.umask)
    call.files.make_folder(path, mode)


@programs.add("rmdir")
def rmdir(call: Call) -> int:
    """Remove empty folders."""
    _, operands = call.options("")
    for path in operands:
        try:
            if call.files.stat(path, follow=False).kind != "dir":
                raise NotADirectoryError(20, "Not a directory", path)
            call.files.remove(path)
        except OSError as error:
            raise call.fail(f"failed to remove '{path}': {error.strerror}") from error
    return 0


@programs.add("rm")
def rm(call: Call) -> int:
    """Remove files; with -r folders with all in them."""
    options, operands = call.options("frRv", "force", "recursive")
    force, deep = options.any("-f", "--force"), options.any("-r", "-R", "--recursive")
    if not operands and not force:
        raise call.fail("missing operand")
    status = 0
    for path in operands:
        try:
            found = call.files.stat(path, follow=False)
            if found.kind == "dir" and not deep:
                raise IsADirectoryError(21, "Is a directory", path)
            if call.files.absolute(path) == "/":
                raise call.fail("it is dangerous to operate recursively on '/'")
            for each in reversed(list(call.files.walk(path))):
                call.files.remove(each)
        except OSError as error:
            if not (force and error.errno in (errno.ENOENT, errno.ENOTDIR)):
                call.complain(f"cannot remove '{path}': {error.strerror}")
                status = 1
    return status


@programs.add("mv")
def mv(call: Call) -> int:
    """Rename at once within a file system; across them copy, then remove."""
    options, operands = call.options("fTnvt:", "no-target-directory", "force", "target-directory=")
    sources, target = _operands(call, [*operands, *options.all("-t", "--target-directory")])
    bare = options.any("-T", "--no-target-directory")
    for source in sources:
        end = target if bare else _into(call, source, target)
        try:
            call.files.stat(source, follow=False)
        except OSError as error:
            raise call.fail(f"cannot stat '{source}': {error.strerror}") from error
        if "-n" in options and call.files.find(end) is not None:
            continue
        try:
            call.files.rename(source, end)
        except OSError as error:
            if error.errno == errno.EISDIR:
                text = f"cannot overwrite directory '{end}' with non-directory"
                raise call.fail(text) from error
            if error.errno != errno.EXDEV:
                text = f"cannot move '{source}' to '{end}': {error.strerror}"
                raise call.fail(text) from error
            _copy(call, source, end, keeps=True)
            call.files.remove(source)
    return 0


def _operands(call: Call, words: list[str]) -> tuple[list[str], str]:
    """What to copy or move, and where to. Raises Failed if one of them is missing."""
    if len(words) < 2:
        after = f"destination file operand after '{words[0]}'" if words else "file operand"
        raise call.fail(f"missing {after}")
    return words[:-1], words[-1]


@programs.add("cp")
def cp(call: Call) -> int:
    """Copy files; -p and -a keep mode and owners."""
    options, operands = call.options("fpaTnv", "preserve", "archive", "no-target-directory")
    sources, target = _operands(call, operands)
    for source in sources:
        end = target if options.any("-T", "--no-target-directory") else _into(call, source, target)
        if "-n" in options and call.files.find(end) is not None:
            continue
        _copy(call, source, end, keeps=options.any("-p", "-a", "--preserve", "--archive"))
    return 0


def _into(call: Call, source: str, target: str) -> str:
    """Where a source comes to lie: in the target, if that is a folder."""
    known = call.files.find(target)
    inside = known is not None and known.kind == "dir"
    return posixpath.join(target, posixpath.basename(source.rstrip("/"))) if inside else target


def _copy(call: Call, source: str, end: str, *, keeps: bool) -> None:
    try:
        found = call.files.stat(source)
        if found.kind == "dir":
            raise call.fail(f"-r not specified; omitting directory '{source}'")
        text = call.stdin if source == "/dev/stdin" else call.files.read(source)
    except OSError as error:
        word = "open" if error.errno == errno.EACCES else "stat"
        raise call.fail(f"cannot {word} '{source}': {error.strerror}") from error
    _create(call, end, text, found.mode & ~(0 if keeps else call.shell.umask))
    if keeps:
        call.files.change(end, found.mode)
        if call.user == "root":
            call.files.change(end, owner=found.owner, group=found.group)


def _create(call: Call, path: str, text: str, mode: int) -> None:
    try:
        call.files.write(path, text, mode)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        what = f"error writing '{path}'" if full else f"cannot create regular file '{path}'"
        raise call.fail(f"{what}: {error.strerror}") from error


@programs.add("install")
def install(call: Call) -> int:
    """Copy with a mode and owners, in place of what is there; with -d make folders."""
    options, operands = call.options(
        "Ddm:o:g:pTC", "mode=", "owner=", "group=", "directory", "no-target-directory"
    )
    mode = _mode(call, options.get("-m", "--mode"), 0o755)
    owner, group = options.get("-o", "--owner"), options.get("-g", "--group")
    _known(call, owner, group)
    if options.any("-d", "--directory"):
        for path in operands:
            _make_parents(call, path, mode)
            call.files.change(path, mode, owner, group)
        return 0
    if len(operands) != 2:
        raise call.fail(
            "missing file operand" if not operands else "exactly two files are simulated"
        )
    source, target = operands
    end = _into(call, source, target)
    if "-D" in options:
        _make_parents(call, posixpath.dirname(call.files.absolute(end)), 0o755)
    try:
        text = call.stdin if source in ("/dev/stdin", "-") else call.files.read(source)
    except OSError as error:
        raise call.fail(f"cannot stat '{source}': {error.strerror}") from error
    if (old := call.files.find(end)) is not None and old.kind == "file":
        call.files.remove(end)  # install unlinks what is there
    _create(call, end, text, mode)
    call.files.change(end, mode, owner, group)
    return 0


@programs.add("chmod")
def chmod(call: Call) -> int:
    """Octal modes."""
    options, operands = call.options("Rv", "reference=")
    if len(operands) < 2:
        raise call.fail("missing operand")
    mode = _mode(call, operands[0], 0)
    return _each(call, operands[1:], "-R" in options, lambda path: call.files.change(path, mode))


@programs.add("chown")
def chown(call: Call) -> int:
    """OWNER, OWNER:GROUP or :GROUP."""
    options, operands = call.options("Rvh", "reference=")
    if len(operands) < 2:
        raise call.fail("missing operand")
    owner, colon, group = operands[0].partition(":")
    group = owner if colon and not group else group
    _known(call, owner, group)
    return _each(
        call,
        operands[1:],
        "-R" in options,
        lambda path: call.files.change(path, owner=_name(call, owner), group=_name(call, group)),
    )


def _each(call: Call, paths: list[str], deep: bool, act: object) -> int:
    status = 0
    for path in paths:
        try:
            call.files.stat(path)
        except OSError as error:
            call.complain(f"cannot access '{path}': {error.strerror}")
            status = 1
            continue
        for each in call.files.walk(path) if deep else [path]:
            try:
                assert callable(act)
                act(each)
            except OSError as error:
                verb = "changing permissions" if call.name == "chmod" else "changing ownership"
                call.complain(f"{verb} of '{each}': {error.strerror}")
                status = 1
    return status


def _mode(call: Call, text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch("[0-7]{1,4}", text):
        raise call.fail(f"invalid mode: '{text}'")
    return int(text, 8)


def _known(call: Call, owner: str, group: str) -> None:
    for kind, name in (("user", owner), ("group", group)):
        if name and not _name(call, name):
            raise call.fail(f"invalid {kind}: '{name}'")


def _name(call: Call, text: str) -> str:
    """A user's name from a name or number; empty if there is none."""
    accounts = call.state.accounts
    if text.isdigit():
        return next((name for name, each in accounts.items() if each.uid == int(text)), "")
    return text if text in accounts else ""
