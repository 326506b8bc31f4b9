"""Whether a firewall rule may be, in Proxmox VE's words, and the formats of its parts.

Called by the calls that write rules, and for each rule that is shown: a rule whose alias went away
later keeps its place and says what is wrong. Source: PVE::Firewall verify_rule, parse_address_list,
parse_port_name_number_or_range; Net::IP for what it says of a bad address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulator.pve.formats import FORMATS, check_format
from simulator.pve.propertystring import items
from simulator.pve_datacenter.firewall_file import FirewallFile, Row
from simulator.pve_datacenter.firewall_macros import (
    ICMP4,
    ICMP6,
    ICMP6_TYPES,
    ICMP_TYPES,
    MACROS,
    PREFERRED,
    PROTOCOLS,
    SERVICES,
    WITH_PORTS,
)

NAME = r"[A-Za-z][A-Za-z0-9\-\_]+"
SCOPED = rf"(guest/|dc/|sdn/)?({NAME})"
DIRECTIONS = {
    "cluster": frozenset(items("in out forward group")),
    "host": frozenset(items("in out forward group")),
    "vnet": frozenset(items("forward group")),
    "vm": frozenset(items("in out group")),
    "ct": frozenset(items("in out group")),
    "group": frozenset(items("in out forward")),
}
MOST_PORTS = 15  # iptables multiport


def address_list_problem(text: str) -> str:
    """What is wrong with a source or destination; "" if nothing is."""
    if re.fullmatch(r"\+\S+", text):
        return "ipset name too long\n" if len(text) > 65 else ""
    if re.fullmatch(SCOPED, text):
        return "alias name too long\n" if len(text) > 64 else ""
    parts = text.split(",")
    versions = set()
    for part in parts:
        version, problem = _address(part)
        if problem:
            return f"invalid IP address: {problem}\n"
        versions.add(version)
        if len(versions) > 1:
            return "detected mixed ipv4/ipv6 address list\n"
    if len(parts) > 1 and any("-" in part for part in parts):
        return "you can't use a range in a list\n"
    return ""


def _address(text: str) -> tuple[int, str]:
    """Version of an address, network or range, or what Net::IP says of it."""
    for end in re.split(r"\s*-\s*", text):
        quads = end.partition("/")[0].split(".")
        if all(quad.isdecimal() for quad in quads):
            wrong = [quad for quad in quads if len(quad) > 9 or int(quad) > 255]
            if wrong:
                return 0, f"Invalid quad in IP address {end.partition('/')[0]} - {wrong[0]}"
        try:
            version = ipaddress.ip_interface(end).version
        except ValueError:
            return 0, f"Cannot determine IP version for {end.partition('/')[0]}"
        network = ipaddress.ip_interface(end)
        if "/" in end and network.ip != network.network.network_address:
            width = network.max_prefixlen
            return 0, f"Invalid prefix {int(network.ip):0{width}b}/{network.network.prefixlen}"
    return version, ""


def address_version(text: str) -> int:
    """4 or 6; 0 for a name."""
    if text.startswith("+") or re.fullmatch(SCOPED, text):
        return 0
    return _address(text.split(",")[0])[0]


def ports_problem(text: str, *, destination: bool) -> str:
    """What is wrong with ports; a destination may be an ICMP type."""
    count, icmp = 0, False
    for part in text.split(","):
        count += 1
        if match := re.fullmatch(r"(\d{1,5}):(\d{1,5})", part):
            count += 1
            for port in match.groups():
                if int(port) > 65535:
                    return f"invalid port '{port}'\n"
            if int(match[1]) > int(match[2]):
                return f"backwards range '{part}' not allowed, must be {match[2]}:{match[1]}\n"
        elif re.fullmatch(r"\d{1,5}", part):
            if int(part) > 65535:
                return f"invalid port '{part}'\n"
        elif destination and (part in ICMP_TYPES or part in ICMP6_TYPES):
            icmp = True
        elif part not in SERVICES:
            return f"invalid port '{part}'\n"
    if icmp and count > 1:
        return "ICMP ports not allowed in port range\n"
    return f"too many entries in port list (> {MOST_PORTS} numbers)\n" if count > MOST_PORTS else ""


def _protocol_problem(text: str) -> str:
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else None
    known = text in PROTOCOLS or number in PROTOCOLS.values()
    small = number is not None and number < 256
    return "" if known or small else f"unknown protocol '{text}'\n"


def _icmp_problem(text: str) -> str:
    known = text in ICMP_TYPES or text in ICMP6_TYPES or re.fullmatch(r"\d+(/\d+)?", text)
    return "" if known else f"invalid icmp-type {text}\n"


def _cidr_problem(text: str) -> str:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return "value does not look like a valid IP address or CIDR network\n"
    return ""


FORMATS.update(
    {
        "pve-fw-addr-spec": address_list_problem,
        "pve-fw-dport-spec": lambda text: ports_problem(text, destination=True),
        "pve-fw-sport-spec": lambda text: ports_problem(text, destination=False),
        "pve-fw-protocol-spec": _protocol_problem,
        "pve-fw-icmp-type-spec": _icmp_problem,
        "IPorCIDR": _cidr_problem,
        "IPorCIDRorAlias": lambda text: (
            "" if re.fullmatch(rf"(dc/|guest/)?{NAME}", text) else _cidr_problem(text)
        ),
    }
)


@dataclass
class Context:
    """Where a rule stands: its environment, its own file, the cluster's, and SDN's sets."""

    env: str  # a key of DIRECTIONS
    own: FirewallFile
    cluster: FirewallFile
    sdn_sets: frozenset[str] = frozenset()


@dataclass
class _Check:
    """One rule on its way through the checks; `ipversion` is what its addresses agreed on."""

    rule: Row
    context: Context
    ipversion: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return bool(self.rule.get(name))

    def text(self, name: str) -> str:
        return str(self.rule.get(name, ""))

    def wrong(self, name: str, problem: str) -> None:
        if problem:
            self.errors.setdefault(name, problem.rstrip("\n"))

    def agree(self, name: str, version: int) -> None:
        if version and self.ipversion and version != self.ipversion:
            self.wrong(name, "detected mixed ipv4/ipv6 addresses in rule")
        self.ipversion = version or self.ipversion


def verified(rule: Row, context: Context) -> tuple[dict[str, str | int], dict[str, str]]:
    """The rule as it is kept (macro's own spelling, `ipversion`), and what is wrong with it, worst
    first.
    """
    check = _Check(rule, context)
    for step in (_type, _interface, _macro_name, _protocol, _ports, _icmp, _source_ports, _ends):
        step(check)
    kept = dict(rule)
    if (name := PREFERRED.get(check.text("macro").lower())) is not None:
        kept["macro"] = name
        if not check.errors:
            _macro(check, name)
    if check.ipversion:
        kept["ipversion"] = check.ipversion
    return kept, check.errors


def _type(check: _Check) -> None:
    kind, action, env = check.text("type"), check.text("action"), check.context.env
    if kind not in DIRECTIONS[env]:
        check.wrong("type", f"invalid rule type '{kind}' for rule_env '{env}'")
    elif kind == "group":
        if not re.fullmatch(NAME, action):
            check.wrong("action", "invalid characters in security group name")
    elif action not in ("ACCEPT", "DROP", "REJECT"):
        check.wrong("action", f"unknown action '{action}'")
    elif (kind, action) == ("forward", "REJECT"):
        check.wrong("action", "cannot define REJECT rules on forward chain")


def _interface(check: _Check) -> None:
    if not check.has("iface"):
        return
    if check.context.env in ("group", "vnet"):
        check.wrong("type", "parameter -i not allowed for this rule type")
    check.wrong("iface", check_format("pve-iface", check.text("iface")))
    if check.context.env in ("vm", "ct") and not re.fullmatch(r"net\d+", check.text("iface")):
        check.wrong("iface", r"value does not match the regex pattern 'net\d+'")


def _macro_name(check: _Check) -> None:
    if check.has("macro") and check.text("macro").lower() not in PREFERRED:
        check.wrong("macro", f"unknown macro '{check.text('macro')}'")


def _protocol(check: _Check) -> None:
    if proto := check.text("proto"):
        check.wrong("proto", _protocol_problem(proto))
        check.agree("proto", 4 if proto == "icmp" else 6 if proto in ("icmpv6", "ipv6-icmp") else 0)


def _needs_protocol(check: _Check, name: str, *, icmp: bool) -> None:
    proto = check.text("proto")
    if not proto:
        check.wrong("proto", f"missing property - '{name}' requires this property")
    elif proto not in WITH_PORTS and not (icmp and proto in ICMP4 | ICMP6):
        check.wrong(name, f"protocol '{proto}' does not support ports")


def _ports(check: _Check) -> None:
    if check.has("dport"):
        check.wrong("dport", ports_problem(check.text("dport"), destination=True))
        _needs_protocol(check, "dport", icmp=True)


def _icmp(check: _Check) -> None:
    if not (kind := check.text("icmp-type")):
        return
    proto = check.text("proto")
    if proto not in ICMP4 | ICMP6:
        check.wrong("proto", "missing property - 'icmp-type' requires this property")
    if check.has("dport"):
        check.wrong("icmp-type", "'icmp-type' cannot be specified together with 'dport'")
    names = ICMP_TYPES if proto in ICMP4 else ICMP6_TYPES
    if kind not in names and not re.fullmatch(r"\d+(/\d+)?", kind):
        word = "icmp-type" if proto in ICMP4 else "icmpv6-type"
        check.wrong("icmp-type", f"invalid {word} '{kind}' for proto '{proto}'")


def _source_ports(check: _Check) -> None:
    if check.has("sport"):
        check.wrong("sport", ports_problem(check.text("sport"), destination=False))
        _needs_protocol(check, "sport", icmp=False)


def _ends(check: _Check) -> None:
    for name in ("source", "dest"):
        if text := check.text(name):
            check.wrong(name, address_list_problem(text))
            check.agree(name, address_version(text))
            _reference(check, name, text)


def _reference(check: _Check, name: str, text: str) -> None:
    """A set or an alias must be there: in the file itself, or in the cluster's."""
    context = check.context
    if text.startswith("+"):
        match = re.fullmatch(rf"\+{SCOPED}", text)
        if match is None:
            check.wrong(name, f"invalid ipset name '{text}'")
            return
        scope, word = match[1] or "", match[2]
        known = _within(scope, context, lambda file: frozenset(file.ipsets))
        if scope in ("", "sdn/"):
            known = [*known, context.sdn_sets]
        if not any(word in names or word.lower() in names for names in known):
            check.wrong(name, f"no such ipset '{word}'")
    elif match := re.fullmatch(SCOPED, text):
        word = match[2].lower()
        for file in _files(match[1] or "", context):
            if word in file.aliases:
                check.agree(name, int(file.aliases[word]["ipversion"]))
                return
        check.wrong(name, f"no such alias '{text}'")


def _files(scope: str, context: Context) -> Iterator[FirewallFile]:
    if scope in ("", "guest/") and context.env in ("vm", "ct", "host", "vnet"):
        yield context.own
    if scope in ("", "dc/"):
        yield context.cluster


def _within(
    scope: str, context: Context, names: Callable[[FirewallFile], frozenset[str]]
) -> list[frozenset[str]]:
    return [names(file) for file in _files(scope, context)]


def _macro(check: _Check, name: str) -> None:
    """What is given beside a macro must not say something else than the macro does."""
    for template in MACROS[name]:
        for key, value in template.items():
            if check.has(key) and check.text(key) != value:
                problem = f"parameter '{key}' already define in macro (value = '{value}')"
                check.wrong(key, problem)
                return
