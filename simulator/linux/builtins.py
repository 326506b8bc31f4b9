"""What is built into a shell, and programs that run other programs. Source: bash(1), sudo(8)."""

from __future__ import annotations

import re

from simulator.linux.call import Call, Failed, Program, Programs, Result, lookup
from simulator.linux.state import File

programs = Programs()

_UNARY = "efdrwxsbhLnz"
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", "%%": "%"}


@programs.add("true :")
def true(_call: Call) -> None:
    """Nothing."""


@programs.add("pgrep")
def pgrep(_call: Call) -> int:
    """Nothing: whatever was started is over when it answers."""
    return 1


@programs.add("false")
def false(_call: Call) -> int:
    """Fail."""
    return 1


@programs.add("echo")
def echo(call: Call) -> None:
    """Say the words."""
    words = list(call.args)
    bare = bool(words) and words[0] == "-n"
    call.out.append(" ".join(words[1:] if bare else words) + ("" if bare else "\n"))


@programs.add("printf")
def printf(call: Call) -> None:
    """`%s` only, over all arguments."""
    if not call.args:
        raise Failed(2, "printf: usage: printf [-v var] format [arguments]\n")
    form, values = call.args[0], list(call.args[1:])
    if odd := re.search(r"%[^s%]|\\[^nt\\]", form):
        raise Failed(1, f"bash: printf: `{odd[0]}': not simulated\n")
    count = len(re.findall("%s", form))
    while True:
        chunk, values = values[:count], values[count:]
        call.out.append(_filled(form, [*chunk, *[""] * (count - len(chunk))]))
        if not values or not count:
            return


def _filled(form: str, values: list[str]) -> str:
    parts = iter(values)

    def text(match: re.Match[str]) -> str:
        return next(parts) if match[0] == "%s" else _ESCAPES[match[0]]

    return re.sub(r"%s|%%|\\[nt\\]", text, form)


@programs.add("exit")
def exit_(call: Call) -> int:
    """End the line."""
    status = int(call.args[0]) & 255 if call.args and call.args[0].isdigit() else 0
    call.shell.ended = status
    return status


@programs.add("set")
def set_(call: Call) -> None:
    """`-e` matters here; `-u` and `-o pipefail` change nothing that is simulated."""
    known = {"-e", "-u", "-eu", "-ue", "-o", "pipefail", "-euo"}
    if odd := [word for word in call.args if word not in known]:
        raise Failed(2, f"bash: set: {odd[0]}: not simulated\n")
    call.shell.exits_on_error |= any(word.startswith("-") and "e" in word for word in call.args)


@programs.add("umask")
def umask(call: Call) -> int:
    """Say or set the mask for new files."""
    if not call.args:
        call.say(f"{call.shell.umask:04o}")
    elif re.fullmatch("[0-7]{1,4}", call.args[0]):
        call.shell.umask = int(call.args[0], 8) & 0o777
    else:
        raise Failed(1, f"bash: umask: {call.args[0]}: octal number out of range\n")
    return 0


def lookup_of(call: Call, word: str) -> Program | None:
    """The program that a word names here."""
    known = dict(call.host.programs)
    return lookup(known, call.state, word, as_root=call.user == "root")


@programs.add("command")
def command(call: Call) -> int:
    """`command -v NAME`."""
    if len(call.args) != 2 or call.args[0] != "-v":
        raise Failed(2, "bash: command: only `command -v NAME' is simulated\n")
    found = lookup_of(call, call.args[1])
    if found is None:
        return 1
    call.say(f"{found.folders[0]}/{found.name}")
    return 0


@programs.add("test [")
def test(call: Call) -> int:
    """One condition on a file, a text or numbers, and its negation."""
    words = list(call.args)
    if call.name == "[" and (not words or words.pop() != "]"):
        raise Failed(2, "bash: line 1: [: missing `]'\n")
    negated = len(words) > 1 and words[0] == "!"
    holds = _holds(call, words[1:] if negated else words)
    return int(holds is negated)


def _holds(call: Call, words: list[str]) -> bool:
    match words:
        case []:
            return False
        case [text]:
            return bool(text)
        case [flag, text] if re.fullmatch(f"-[{_UNARY}]", flag):
            return _unary(call, flag[1], text)
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, "-eq" | "-ne" | "-lt" | "-gt" | "-le" | "-ge" as sign, right]:
            return _compared(sign, left, right)
    raise Failed(2, f"bash: line 1: test: {words[-1]}: not a condition that is simulated\n")


def _unary(call: Call, flag: str, text: str) -> bool:
    if flag in "nz":
        return bool(text) is (flag == "n")
    if not text:
        return False
    files = call.files
    if flag in "hL":
        try:
            return files.stat(text, follow=False).kind == "link"
        except OSError:
            return False
    found = files.find(text)
    if found is None:
        return False
    kinds = {"f": "file", "d": "dir", "b": "block"}
    if flag in kinds:
        return found.kind == kinds[flag]
    if flag == "s":
        return found.size_bytes > 0
    return flag == "e" or _may(call.user, found, flag)


def _may(user: str, found: File, flag: str) -> bool:
    bit = {"r": 4, "w": 2, "x": 1}[flag]
    if user == "root":
        return flag != "x" or found.kind == "dir" or bool(found.mode & 0o111)
    shift = 6 if user == found.owner else 3 if user == found.group else 0
    return bool(found.mode >> shift & bit)


def _compared(sign: str, left: str, right: str) -> bool:
    for word in (left, right):
        if not re.fullmatch(r"-?\d+", word):
            raise Failed(2, f"bash: line 1: test: {word}: integer expression expected\n")
    a, b = int(left), int(right)
    return {
        "-eq": a == b, "-ne": a != b, "-lt": a < b, "-gt": a > b, "-le": a <= b, "-ge": a >= b,
    }[sign]  # fmt: skip


@programs.add("sh bash")
def sh(call: Call) -> int:
    """`sh -c LINE [NAME [ARGUMENT ...]]`, or a line from stdin."""
    words, line = list(call.args), None
    shell = call.shell.inner()
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag == "--":
            continue
        if not re.fullmatch("-[ceus]+", flag):
            raise Failed(2, f"{call.name}: {flag}: invalid option\n")
        shell.exits_on_error |= "e" in flag
        line = "" if "c" in flag else line
    if line is None:
        if words and words != ["-"]:
            raise Failed(127, f"{call.name}: {words[0]}: scripts are not simulated\n")
        return _relay(call, shell.line(call.stdin, ""))
    if not words:
        raise Failed(2, f"{call.name}: -c: option requires an argument\n")
    return _relay(call, shell.line(words[0], call.stdin, words[1:] or [call.name]))


@programs.add("env timeout nice")
def prefix(call: Call) -> int:
    """Programs before a program: what they set changes nothing that is simulated."""
    words = list(call.args)
    if call.name == "env":
        while words and re.match(r"[A-Za-z_]\w*=", words[0]):
            words.pop(0)
    elif call.name == "timeout":
        while words and words[0].startswith("-"):
            words.pop(0)
        if not words or not re.fullmatch(r"\d+(\.\d+)?[smhd]?", words.pop(0)):
            raise call.fail("invalid time interval", 125)
    if not words or words[0].startswith("-"):
        raise call.fail("this use is not simulated", 125)
    result = call.shell.inner().words(words, call.stdin)
    if result.status == 127 and not lookup_of(call, words[0]):
        result = Result(127, "", f"{call.name}: '{words[0]}': No such file or directory\n")
    return _relay(call, result)


@programs.add("sudo", "sudo")
def sudo(call: Call) -> int:
    """`sudo -n COMMAND`, as another user with `-u`; nobody can type a password here."""
    words, user = list(call.args), "root"
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag == "--":
            break
        if flag == "-u" and words:
            user = words.pop(0)
        elif flag not in ("-n", "--non-interactive", "-H", "-S", "-k"):
            raise Failed(1, f"sudo: {flag}: not simulated\n")
    if call.state.sudo_fault:
        raise Failed(1, f"{call.state.sudo_fault}\n")
    if user not in call.state.accounts:
        raise Failed(
            1, f"sudo: unknown user {user}\nsudo: error initializing audit plugin sudoers_audit\n"
        )
    account = call.state.accounts.get(call.user)
    if call.user not in ("root", user) and not (account and account.sudo):
        raise Failed(1, "sudo: a password is required\n")
    if not words:
        raise Failed(1, "usage: sudo -h | -K | -k | -V\n")
    result = call.shell.inner(user).words(words, call.stdin)
    if result.status == 127 and not lookup_of(call, words[0]):
        result = Result(1, "", f"sudo: {words[0]}: command not found\n")
    return _relay(call, result)


def _relay(call: Call, result: Result) -> int:
    call.out.append(result.stdout)
    call.err.append(result.stderr)
    return result.status
