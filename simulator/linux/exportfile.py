"""Reading exports(5) as exportfs does: what a file offers to whom, and what is wrong with it.

Source: exports(5); messages and the order of options compared with nfs-utils 2.6. Leaves out:
names that must be resolved (they are taken as they are), netgroups' members, NFS on IPv6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from simulator.linux.call import word_set
from simulator.linux.state import Share

_FLAVORS = word_set("sys krb5 krb5i krb5p null")
_PAIRS = (
    ("ro", "rw"), ("sync", "async"), ("wdelay", "no_wdelay"), ("hide", "nohide"),
    ("root_squash", "no_root_squash"), ("no_all_squash", "all_squash"),
    ("no_subtree_check", "subtree_check"), ("secure", "insecure"), ("acl", "no_acl"),
    ("secure_locks", "insecure_locks"), ("auth_nlm", "no_auth_nlm"), ("nocrossmnt", "crossmnt"),
    ("no_pnfs", "pnfs"), ("no_security_label", "security_label"),
)  # fmt: skip
_OPPOSITE = {name: pair for pair in _PAIRS for name in pair}
_VALUED = word_set("fsid anonuid anongid sec refer replicas mp mountpoint xprtsec")
_WORD = re.compile(r'"[^"]*"[^\s]*|(?:[^\s(]|\((?:[^)]*\))?)+')
_CLIENT = re.compile(r"([^()]*)(?:\((.*)\))?", re.DOTALL)


class SyntaxFault(Exception):
    """A line that can't be read; nothing after it in its file is."""


@dataclass
class Reading:
    """What came of reading files: shares, and complaints as exportfs prints them."""

    shares: list[Share] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def read(self, file: str, text: str) -> None:
        """Take the lines of a file, up to one that is wrong."""
        joined = re.sub(r"\\\n", lambda _: " \0", text)
        number = 0
        for line in joined.split("\n"):
            number += 1
            skipped, line = line.count("\0"), line.replace("\0", "")
            try:
                self._line(file, number, line)
            except SyntaxFault as fault:
                self.errors.append(str(fault))
                return
            number += skipped

    def _line(self, file: str, number: int, line: str) -> None:
        words = _WORD.findall(re.sub(r'#[^"]*$', "", line))
        if not words:
            return
        path = _unquoted(words.pop(0))
        defaults: dict[str, str] = {}
        if not words:
            self.warnings.append(
                f"exportfs: No options for {path} : suggest (sync) to avoid warning"
            )
            words = [""]
        for word in words:
            if word.startswith("-"):
                defaults = _options(file, number, word[1:], {})
                continue
            match = _CLIENT.fullmatch(word)
            if match is None or "(" in word and match[2] is None:
                raise SyntaxFault(f"exportfs: {file}:{number}: syntax error: bad option list")
            client = match[1] or "*"
            chosen = _options(file, number, match[2] or "", defaults)
            if match[2] is None and not defaults and word:
                self.warnings.append(
                    f"exportfs: No options for {path} {client}: suggest {client}(sync)"
                    " to avoid warning"
                )
            if "subtree_check" not in chosen and "no_subtree_check" not in chosen:
                self.warnings.append(
                    f"exportfs: {file} [{number}]: Neither 'subtree_check' or 'no_subtree_check' "
                    f'specified for export "{match[1]}:{path}".\n'
                    "  Assuming default behaviour ('no_subtree_check').\n"
                    "  NOTE: this default has changed since nfs-utils version 1.0.x\n"
                )
            self._add(path, client, chosen)

    def _add(self, path: str, client: str, chosen: dict[str, str]) -> None:
        if fault := _client_fault(client):
            self.errors.append(fault)
            return
        share = Share(path, client, _shown(chosen))
        known = next((s for s in self.shares if (s.path, s.client) == (path, client)), None)
        if known is not None:
            kind = "duplicated" if known == share else "incompatible duplicated"
            self.errors.append(f"exportfs: {kind} export entries:\nexportfs: \t{client}:{path}")
        else:
            self.shares.append(share)


def _unquoted(word: str) -> str:
    text = word.replace('"', "")
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def _options(file: str, number: int, text: str, defaults: dict[str, str]) -> dict[str, str]:
    """Options by name, those of a pair replacing each other."""
    chosen = dict(defaults)
    for option in filter(None, text.split(",")):
        name, equals, value = option.partition("=")
        if name not in _OPPOSITE and not (
            name in _VALUED and (equals or name in ("mp", "mountpoint"))
        ):
            raise SyntaxFault(f'exportfs: {file}:{number}: unknown keyword "{option}"\n')
        if name in ("anonuid", "anongid") and not re.fullmatch(r"-?\d+", value):
            raise SyntaxFault(f'exportfs: {file}: {number}: bad {name} "{option}"\n')
        if name == "sec" and (odd := [f for f in value.split(":") if f not in _FLAVORS]):
            raise SyntaxFault(f"exportfs: unknown flavor {odd[0]}\n")
        for other in _OPPOSITE.get(name, ()):
            chosen.pop(other, None)
        chosen[name] = value
    return chosen


def _shown(chosen: dict[str, str]) -> tuple[str, ...]:
    """Options in the order of `exportfs -v`."""

    def of(pair: str) -> str:
        first, second = _OPPOSITE[pair]
        return second if second in chosen else first

    shown = [of("sync"), of("wdelay"), of("hide")]
    shown += ["crossmnt"] * ("crossmnt" in chosen)
    shown += ["no_subtree_check"] * ("subtree_check" not in chosen)
    shown += ["no_acl"] * ("no_acl" in chosen)
    shown += [f"fsid={chosen[name]}" for name in ("fsid",) if name in chosen]
    shown += ["mountpoint"] * ("mp" in chosen or "mountpoint" in chosen)
    shown += [f"{name}={chosen[name]}" for name in ("anonuid", "anongid") if name in chosen]
    shown += [f"sec={chosen.get('sec', 'sys')}", of("ro"), of("root_squash"), of("all_squash")]
    return tuple(shown)


def _client_fault(client: str) -> str:
    """Why a client is no client."""
    address, slash, mask = client.partition("/")
    if not slash:
        return ""
    try:
        IPv4Network(f"{address}/{mask}", strict=False)
    except NetmaskValueError:
        return f"exportfs: Invalid prefix `{mask}' for {client}"
    except AddressValueError:
        return f"exportfs: Invalid IP address {client}"
    return ""


def admits(client: str, address: str) -> bool:
    """Whether an export to `client` is for a host with this address."""
    if client == "*" or client == address:
        return True
    try:
        return "/" in client and IPv4Address(address) in IPv4Network(client, strict=False)
    except ValueError:
        return False


def lines(shares: Sequence[Share], *, verbose: bool) -> list[str]:
    """Exports as `exportfs` and `exportfs -v` list them: single hosts, then networks, the rest."""

    def rank(share: Share) -> int:
        if share.client == "*":
            return 3
        return 1 if "/" in share.client else 2 if re.search("[*?@]", share.client) else 0

    found = []
    for share in sorted(shares, key=rank):
        client = "<world>" if share.client == "*" else share.client
        options = f"({','.join(share.options)})" if verbose else ""
        gap = "\n\t\t" if len(share.path) > 14 else "\t"
        found.append(f"{share.path:14}{gap}{client}{options}")
    return found
