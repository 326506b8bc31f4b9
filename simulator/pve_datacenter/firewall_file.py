"""A firewall file of Proxmox VE: cluster.fw, a node's host.fw, a guest's or a virtual net's .fw.

Read from and written to its text, which is all that is kept (`Documents.files`): the order of
rules, small letters in names, sorted sets and what a line can't hold follow from that. Digests are
of what a list shows, as the real ones are. Source: PVE::Firewall, generic_fw_config_parser and
save_*_conf. Leaves out: what a rule does to packets.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from simulator.pve.propertystring import items

Row = Mapping[str, str | int]
"""A rule, an alias or a member of a set, by the names that the API uses."""

RULE_OPTIONS = ("iface", "source", "dest", "proto", "dport", "sport", "log", "icmp-type")
_FLAGS = {
    "iface": "-i",
    "proto": "-p",
    **{o: f"-{o}" for o in RULE_OPTIONS if o not in ("iface", "proto")},
}
_NAMES = {flag: option for option, flag in _FLAGS.items()} | {"-iface": "iface"}
NUMBERS = frozenset(
    items(
        """
    enable ebtables dhcp ipfilter macfilter ndp radv nosmurfs tcpflags nftables log_nf_conntrack
    nf_conntrack_allow_invalid nf_conntrack_max nf_conntrack_tcp_timeout_established
    nf_conntrack_tcp_timeout_syn_recv protection_synflood protection_synflood_burst
    protection_synflood_rate
    """
    )
)
"""Options whose values are numbers."""


@dataclass(frozen=True)
class Group:
    """A named list: a security group's rules, or a set's members."""

    rows: tuple[Row, ...] = ()
    comment: str = ""


@dataclass(frozen=True)
class FirewallFile:
    """All sections. Aliases and groups are by their names in small letters."""

    options: Mapping[str, str | int] = field(default_factory=dict)
    aliases: Mapping[str, Row] = field(default_factory=dict)
    ipsets: Mapping[str, Group] = field(default_factory=dict)
    rules: tuple[Row, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The file. What is empty has no section."""
        parts = []
        if self.options:
            lines = "".join(f"{key}: {value}\n" for key, value in sorted(self.options.items()))
            parts.append(f"[OPTIONS]\n\n{lines}\n")
        if self.aliases:
            rows = (self.aliases[name] for name in sorted(self.aliases))
            lines = "".join(f"{r['name']} {r['cidr']}{_comment(r)}\n" for r in rows)
            parts.append(f"[ALIASES]\n\n{lines}\n")
        for name in sorted(self.ipsets):
            members = {str(row["cidr"]): row for row in self.ipsets[name].rows}
            lines = "".join(
                f"{'!' if members[cidr].get('nomatch') else ''}{cidr}{_comment(members[cidr])}\n"
                for cidr in sorted(members)
            )
            parts.append(f"{_head('IPSET', name, self.ipsets[name])}{lines}\n")
        if self.rules:
            parts.append(f"[RULES]\n\n{''.join(map(_rule_line, self.rules))}\n")
        for name in sorted(self.groups):
            lines = "".join(map(_rule_line, self.groups[name].rows))
            parts.append(f"{_head('group', name, self.groups[name])}{lines}\n")
        return "".join(parts)


def _head(word: str, name: str, group: Group) -> str:
    comment = f" # {group.comment}" if group.comment else ""
    return f"[{word} {name}]{comment}\n\n"


def _comment(row: Row) -> str:
    text = str(row.get("comment", ""))
    return f" # {text}" if text.strip() else ""


def _rule_line(rule: Row) -> str:
    action = f"{rule['macro']}({rule['action']})" if "macro" in rule else f"{rule['action']}"
    line = f"{'' if rule.get('enable') else '|'}{str(rule['type']).upper()} {action}"
    for option in RULE_OPTIONS:
        if option in rule and (rule["type"] != "group" or option == "iface"):
            line += f" {_FLAGS[option]} {rule[option]}"
    return f"{line}{_comment(rule)}\n"


@lru_cache(maxsize=8192)
def read(text: str) -> FirewallFile:
    """The sections of a file; lines that are none of its kind are left out, as the parser does."""
    options: dict[str, str | int] = {}
    aliases: dict[str, Row] = {}
    ipsets: dict[str, Group] = {}
    groups: dict[str, Group] = {}
    rules: list[Row] = []
    section, name = "", ""
    for raw in text.split("\n"):
        line, _, note = raw.partition("#")
        line, note = line.strip(), note.strip()
        if not line:
            continue
        if match := re.fullmatch(r"\[(\w+)(?:\s+([^\s\]]+))?\]", line):
            section, name = match[1].lower(), (match[2] or "").lower()
            if section == "ipset":
                ipsets[name] = Group(comment=note)
            elif section == "group":
                groups[name] = Group(comment=note)
            continue
        commented: dict[str, str | int] = {"comment": note} if note else {}
        match section:
            case "options":
                key, _, value = line.partition(":")
                options[key.strip()] = _number(key.strip(), value.strip())
            case "aliases" if len(words := line.split()) == 2:
                aliases[words[0].lower()] = {"name": words[0], **address(words[1]), **commented}
            case "ipset":
                negated = {"nomatch": 1} if line.startswith("!") else {}
                member: Row = {"cidr": line.lstrip("! "), **negated, **commented}
                ipsets[name] = Group((*ipsets[name].rows, member), ipsets[name].comment)
            case "rules" if rule := _read_rule(line):
                rules.append({**rule, **commented})
            case "group" if rule := _read_rule(line):
                group = groups[name]
                groups[name] = Group((*group.rows, {**rule, **commented}), group.comment)
            case _:
                continue
    return FirewallFile(options, aliases, ipsets, tuple(rules), groups)


def _number(key: str, value: str) -> str | int:
    return int(value) if key in NUMBERS and value.isdecimal() else value


def _read_rule(line: str) -> dict[str, str | int]:
    """A rule's line; empty if it is none."""
    enabled = not line.startswith("|")
    words = line.lstrip("|").split()
    if len(words) < 2 or words[0].lower() not in ("in", "out", "forward", "group"):
        return {}
    rule: dict[str, str | int] = {"type": words[0].lower(), "enable": int(enabled)}
    if match := re.fullmatch(r"([\w+\-/]+)\((\w+)\)", words[1]):
        rule |= {"macro": match[1], "action": match[2]}
    else:
        rule["action"] = words[1].lower() if rule["type"] == "group" else words[1]
    rest = words[2:]
    for flag, value in zip(rest[::2], rest[1::2], strict=False):
        if flag in _NAMES:
            rule[_NAMES[flag]] = value
    return rule


def address(text: str) -> dict[str, str | int]:
    """`cidr` and `ipversion` as they are kept: a network of one host is the host. Raises ValueError
    for what is no address.
    """
    version = ipaddress.ip_interface(text).version
    return {
        "cidr": re.sub(r"/(32|128)$", "", text) if version == 4 else text.removesuffix("/128"),
        "ipversion": version,
    }


def digest_of_rows(rows: Sequence[Row]) -> str:
    """SHA-1 over all values of a list; that of nothing for an empty one."""
    digest = hashlib.sha1(usedforsecurity=False)
    for row in rows:
        for key in sorted(row):
            digest.update(f"{key}:{row[key]}\n".encode())
    return digest.hexdigest()
