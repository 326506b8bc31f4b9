"""Syntax checks of daemons' files: sshd -t, nft -c -f, visudo -c.

Each has a reader of its own for the part of the language that is met on these hosts; what it does
not know is an error, as an unknown word is for the real program. Sources: sshd_config(5), nft(8),
sudoers(5). Leaves out: loading rules (no packet is filtered in the twin), Match blocks, aliases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.linux.call import SBIN, Call, Failed, Programs, word_set
from simulator.linux.daemons import DAEMONS, Daemon

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

programs = Programs()

SSHD = "/etc/ssh/sshd_config"
_FLAGS = word_set("yes no")
_SSHD: dict[str, frozenset[str]] = {
    "permitrootlogin": word_set("yes no prohibit-password without-password forced-commands-only"),
    "passwordauthentication": _FLAGS,
    "pubkeyauthentication": _FLAGS,
    "kbdinteractiveauthentication": _FLAGS,
    "usepam": _FLAGS,
    "x11forwarding": _FLAGS,
    "printmotd": _FLAGS,
    "permitemptypasswords": _FLAGS,
    "usedns": _FLAGS,
    "allowtcpforwarding": word_set("yes no local remote all"),
    "strictmodes": _FLAGS,
    **dict.fromkeys(
        word_set(
            "port listenaddress hostkey acceptenv subsystem authorizedkeysfile allowusers "
            "allowgroups "
        "denyusers denygroups include ciphers macs kexalgorithms loglevel syslogfacility "
        "maxauthtries maxsessions maxstartups clientaliveinterval clientalivecountmax banner "
        "addressfamily logingracetime"),
        frozenset(),
    ),
}  # fmt: skip


def _sshd_errors(path: str, text: str) -> list[str]:
    errors, unknown = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        allowed = _SSHD.get(words[0].lower())
        if allowed is None:
            errors.append(f"{path}: line {number}: Bad configuration option: {words[0]}")
            unknown += 1
        elif len(words) < 2:
            return [*errors, f'{path} line {number}: no argument after keyword "{words[0]}"']
        elif allowed and words[1] not in allowed:
            return [*errors, f'{path} line {number}: unsupported option "{words[1]}".']
        elif words[0].lower() == "port" and not words[1].isdigit():
            return [*errors, f"{path} line {number}: Badly formatted port number."]
    if unknown:
        errors.append(f"{path}: terminating, {unknown} bad configuration options")
    return errors


@programs.add("sshd", "openssh-server", SBIN)
def sshd(call: Call) -> int:
    """`sshd -t [-f FILE]`; 255 if the daemon would not start with it."""
    options, _ = call.options("tTf:")
    if "-t" not in options:
        raise Failed(255, "sshd: only -t is simulated\n")
    call.need_root("sshd: no hostkeys available -- exiting.")
    path = options.get("-f", default=SSHD)
    try:
        text = call.files.read(path)
    except OSError as error:
        raise Failed(255, f"{path}: {error.strerror}\n") from error
    errors = _sshd_errors(path, text)
    call.err += [f"{error}\n" for error in errors]
    return 255 if errors else 0


@programs.add("visudo", "sudo", SBIN)
def visudo(call: Call) -> int:
    """`visudo -c [-f FILE]`."""
    options, operands = call.options("cqsf:", "check", "file=", "quiet")
    if not options.any("-c", "--check"):
        raise call.fail("only -c is simulated")
    path = options.get("-f", "--file", default=operands[0] if operands else "/etc/sudoers")
    try:
        text = call.stdin if path == "-" else call.files.read(path)
    except OSError as error:
        raise call.fail(f"unable to open {path}: {error.strerror}") from error
    for number, line in enumerate(text.replace("\\\n", "  ").splitlines(), 1):
        if not _is_sudoers(line):
            raise Failed(1, f"{path}:{number}:{len(line)}: syntax error\n{line}\n")
    if not options.any("-q", "--quiet"):
        call.say(f"{path}: parsed OK")
    return 0


_WHO = r"[%+#]?[\w.@\\-]+"
_LIST = r"[^=:()]+"
_RULE = re.compile(
    rf"{_WHO}(?:\s*,\s*{_WHO})*\s+{_LIST}=\s*(?:\({_LIST}(?::{_LIST})?\)\s*)?(?:[A-Z]+:\s*)*\S.*"
)
_OTHER = re.compile(r"@include(dir)?\s+\S+|#include(dir)?\s+\S+|Defaults\S*\s+\S.*|\s*|#.*")


def _is_sudoers(line: str) -> bool:
    bare = line.strip()
    return bool(_OTHER.fullmatch(bare) or _RULE.fullmatch(bare)) and bare.count("(") == bare.count(
        ")"
    )


_FAMILIES = word_set("ip ip6 inet arp bridge netdev")
_HOOKS = word_set("prerouting input forward output postrouting ingress egress")
_STATEMENTS = word_set(
    "accept drop reject return jump goto counter log limit ct tcp udp icmp icmpv6 ip ip6 iif oif "
    "iifname oifname meta ether th sctp masquerade snat dnat queue comment fib socket"
)
_TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[{};\n]|[^\s{};"]+')


class _Rules:
    """A ruleset being read: tables with chains and sets."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.tokens: list[tuple[int, str]] = []
        number = 1
        for piece in _TOKEN.findall(text):
            if not piece.startswith("#"):
                self.tokens.append((number, piece))
            number += piece == "\n"
        self.last = number

    def fault(self, text: str) -> Failed:
        number = self.tokens[0][0] if self.tokens else self.last
        return Failed(1, f"{self.path}:{number}: Error: {text}\n")

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def take(self, expected: str = "") -> str:
        if not self.tokens:
            raise self.fault("syntax error, unexpected end of file")
        if expected and self.peek() != expected:
            shown = "newline" if self.peek() == "\n" else self.peek()
            raise self.fault(f"syntax error, unexpected {shown}, expecting {expected}")
        return self.tokens.pop(0)[1]

    def skip(self, *passed: str) -> None:
        while self.peek() in passed and self.tokens:
            self.tokens.pop(0)

    def statement(self) -> list[str]:
        """Words up to the end of a line, a semicolon, or the brace around it; sets kept whole."""
        words: list[str] = []
        depth = 0
        while self.tokens:
            piece = self.peek()
            if not depth and piece in (";", "\n", "}"):
                break
            depth += (piece == "{") - (piece == "}")
            words.append(self.take())
        if depth:
            raise self.fault("syntax error, unexpected end of file")
        return words

    def read(self) -> None:
        self.skip("\n", ";")
        while self.tokens:
            match self.take():
                case "flush" | "delete" | "destroy" | "add" | "include" | "define":
                    self.statement()
                case "table":
                    self.table()
                case word:
                    raise self.fault(f"syntax error, unexpected {word}")
            self.skip("\n", ";")

    def table(self) -> None:
        words = []
        while self.peek() not in ("{", "\n", ";", ""):
            words.append(self.take())
        if len(words) == 2 and words[0] not in _FAMILIES or len(words) not in (1, 2):
            raise self.fault("syntax error, unexpected string")
        if self.peek() != "{":
            return
        self.take("{")
        self.skip("\n", ";")
        while self.peek() != "}":
            match self.take():
                case "chain":
                    self.chain()
                case "set" | "map" | "counter":
                    self.take()
                    self.take("{")
                    while self.peek() != "}":
                        self.statement()
                        self.skip("\n", ";")
                    self.take("}")
                case word:
                    raise self.fault(f"syntax error, unexpected {word}")
            self.skip("\n", ";")
        self.take("}")

    def chain(self) -> None:
        self.take()
        self.take("{")
        self.skip("\n", ";")
        while self.peek() != "}":
            words = self.statement()
            if words[0] == "type":
                if "hook" in words and words[words.index("hook") + 1] not in _HOOKS:
                    raise self.fault("unknown chain hook")
            elif words[0] == "policy":
                if words[1:] not in (["accept"], ["drop"]):
                    raise self.fault("syntax error, unexpected policy")
            elif words[0] not in _STATEMENTS:
                raise self.fault(f"syntax error, unexpected string: {words[0]}")
            self.skip("\n", ";")
        self.take("}")


@programs.add("nft", "nftables", SBIN)
def nft(call: Call) -> int:
    """`nft -c -f FILE` reads rules and says what is wrong with them."""
    options, operands = call.options("cf:", "check", "file=")
    path = options.get("-f", "--file")
    if operands or not path:
        raise call.fail("only `nft [-c] -f FILE' is simulated")
    call.need_root("Operation not permitted (you must be root)")
    try:
        text = call.stdin if path in ("-", "/dev/stdin") else call.files.read(path)
    except OSError as error:
        shown = f'internal:0:0-0: Error: Could not open file "{path}": {error.strerror}\n'
        raise Failed(1, shown) from error
    _Rules(path, text).read()
    if not options.any("-c", "--check"):
        call.state.loaded["nftables"] = text
    return 0


def _start_sshd(host: LinuxHost, twin: Twin) -> str:
    found = host.files(twin).find(SSHD)
    errors = _sshd_errors(SSHD, found.content) if found is not None else [f"{SSHD}: missing"]
    return "\n".join(errors)


def _start_nftables(host: LinuxHost, twin: Twin) -> str:
    found = host.files(twin).find("/etc/nftables.conf")
    try:
        _Rules("/etc/nftables.conf", found.content if found is not None else "").read()
    except Failed as error:
        return error.text
    return ""


DAEMONS["ssh"] = Daemon(
    "openssh-server", "OpenBSD Secure Shell server", _start_sshd, reload=_start_sshd,
    aliases=("sshd",),
)  # fmt: skip
DAEMONS["nftables"] = Daemon("nftables", "nftables", _start_nftables, reload=_start_nftables)
