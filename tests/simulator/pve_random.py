"""Random requests to the API: mostly what a call's table allows, now and then what it does not.

Values are derived from the parameters of the release: from enumerations, limits, regular
expressions, tables of property strings. What does not fit is made to break a file or a number: line
ends, section heads, colons, other scripts' digits, keys that come twice.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

from simulator.pve.parameters import Param, Table
from simulator.pve.releases import Release
from simulator.pve.routes import Route

NAMES = ["web", "one", "new1", "v1", "z1"]
TEMPORARY = "/var/tmp/pveupload-01"
BACKUP = "local:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma"
SAVED_CONTAINER = "local:backup/vzdump-lxc-200-2026_01_01-00_00_00.tar"
IN_PATHS = {
    "node": ["pve1", "pve2"], "vmid": ["100", "200", "101"], "pos": ["0", "1"],
    "storage": ["data", "local"], "userid": ["ana@pve", "root@pam"], "realm": ["pam", "corp"],
    "cidr": ["10.0.0.0/24"], "subnet": ["z1-10.0.0.0-24"], "iface": ["vmbr0", "eno1", "vmbr7"],
    "volume": ["data:100/vm-100-disk-0.qcow2", "local:iso/x.iso", BACKUP],
    "sid": ["vm:100", "ct:200"], "id": ["web", "100-0", "nightly", "recovery"],
    "fabric_id": ["web", "one"], "node_id": ["pve1", "pve2"],
    "roleid": ["Few", "PVEAdmin"], "tokenid": ["t1"],
    "groupid": ["ops"], "group": ["web", "home"], "snapname": ["one"], "rule": ["near"],
    "osdid": ["0", "3"], "name": [*NAMES, "vm", "mail-to-root"],
}  # fmt: skip
EVIL = [
    "", " ", "-", "a\nb", "x\n\tbad 1", "[RULES]", "a: b", "ä€", "../x", "%0a", "0", "-1", "9" * 30,
    "-" + "9" * 30, "1.5", "1e400", "nan", "true", "\0", "a,b;c d", "=", "a=b,a=c", "' or 1", "٣",
    "²", "a\u2028b", "ä\x85b", "a\x1cb", "a\x0bb", "a\0b", "a\rb", "x" * 300, "😀", "9" * 5000,
    "1" * 310 + ".5", "#x", "x:y:z", "1 ", "\tx", ",", ";;", "a=", "=a", "0x10", "010", "+5",
    "host", "none", "//", "::1", "0.0.0.0/0",
]  # fmt: skip
ODD: list[Any] = [None, [], {}, True, False, 1.5, 10**40, ["a", "b"], [None], [["a"]], {"a": 1}]
GOOD = {
    "pve-node": ["pve1", "pve2", "pve3"], "pve-node-list": ["pve1", "pve1,pve2"],
    "pve-storage-id": ["data", "local"], "pve-vmid": ["100", "101", "200"],
    "pve-vmid-list": ["100", "100,101"], "pve-configid": NAMES, "pve-poolid": ["web", "web/a"],
    "pve-userid": ["ana@pve", "new@pve", "root@pam"], "pve-groupid": ["ops"], "dns-name": ["a.b"],
    "pve-groupid-list": ["ops"], "pve-userid-list": ["ana@pve"],
    "pve-configid-list": ["comment", "alias,tag", "scsi0", "description", "name"],
    "pve-fw-addr-spec": ["10.0.0.0/24", "+web"], "pve-fw-dport-spec": ["80", "80:90,443"],
    "pve-fw-protocol-spec": ["tcp", "icmp"], "IPorCIDR": ["10.0.0.0/24"], "ip": ["10.0.0.1"],
    "IPorCIDRorAlias": ["10.0.0.0/24", "web"], "pve-sdn-subnet-id": ["10.0.0.0/24"],
    "pve-sdn-fabric-id": NAMES,
    "pve-calendar-event": ["daily", "*/5"], "pve-roleid-list": ["PVEAdmin", "Few"],
    "pve-priv-list": ["VM.Audit"], "pve-iface": ["vmbr1", "eno1", "net0"], "ip-list": ["10.0.0.1"],
    "mac-addr": ["BC:24:11:00:00:01"], "ipv4": ["10.0.0.1"], "ipv6": ["fd00::1"],
    "CIDR": ["10.0.0.0/24"], "CIDRv4": ["10.0.0.5/24"], "pve-ipv4-config": ["dhcp", "10.0.0.9/24"],
    "pve-volume-id": ["data:100/vm-100-disk-0.qcow2"], "pve-lxc-mp-string": ["/srv", "data:1"],
    "pve-volume-id-or-qm-path": ["data:1", "none", "data:100/vm-100-disk-0.qcow2"],
    "disk-size": ["1G", "512M"], "email-opt": ["a@b.de", ""], "pve-ha-node-list": ["pve1:2,pve2"],
    "pve-ha-resource-id-list": ["vm:100"], "pve-ha-resource-or-vm-id": ["vm:100", "100"],
    "pve-storage-content-list": ["images,iso", "rootdir"], "urlencoded": ["a%20b"],
    "pve-storage-path": ["/srv/x"], "prune-backups": ["keep-last=2"], "mac-prefix": ["BC:24"],
    "pve-vm-cpu-conf": ["host", "cputype=kvm64"], "pve-startup-order": ["order=1,up=5"],
    "email-or-username": ["a@b.de", "root"], "pve-storage-content": ["iso", "backup", "images"],
}  # fmt: skip
NAMED = {
    "ostemplate": [SAVED_CONTAINER, "local:vztmpl/x.tar.zst"],
    "archive": [BACKUP, BACKUP, "/x.vma"], "handle": ["test", "enterprise", "ceph-squid"],
    "path": ["/etc/apt/sources.list.d/debian.sources", "/srv"], "tmpfilename": [TEMPORARY],
    "target": [BACKUP.replace(".vma", ".vma.zst"), "data:100/vm-100-disk-7.qcow2", "pve2", "web"],
    "config-keys": ["global:fsid", "osd:osd_max_backfills,client:keyring"], "service": ["osd.0"],
    "match-field": ["exact:type=vzdump", "regex:hostname=^pve"], "size": ["1G"],
    "match-severity": ["error", "info,notice"], "secret": ["name=key,value=eA=="], "id": ["0"],
    "crush_rule": ["replicated_rule"], "server": ["h1", "10.0.0.1"], "name": ["web", "vm", "a.b"],
    "interfaces": ["name=eno1", "name=eno2,ip=10.8.0.1/24"],
    "totp": ["otpauth://totp/x?secret=GEZDGNBV", "otpauth://totp/x?secret=1&digits=9"],
    "filename": ["x.iso", "vm-100-disk-5.raw"], "volume": [BACKUP],
    "disk": ["/dev/sda", "/dev/sdb", "/dev/sde", "scsi0"],
}  # fmt: skip
"""What fits parameters of these names, where their tables do not say it."""
DECISIVE = frozenset({"archive", "restore", "force", "storage", "tmpfilename"})
"""What makes another call of one with hundreds of parameters."""
WORDS = [
    *NAMES, "pve1", "100", "data", "root@pam", "scsi0", "net0", "rootfs", "ACCEPT", "10.0.0.0/24",
    "1", "2G", "+1G", "data:1", "/", "local:vztmpl/x.tar.zst", "https://h1/x.iso", "a=b",
]  # fmt: skip


class Asked(NamedTuple):
    """One request. `params` as they arrive."""

    route: Route
    path: str
    params: dict[str, Any]


def request(draw: Random, routes: Sequence[Route], release: Release) -> Asked:
    """A request to one of the routes, as a client of the release would make it."""
    route = draw.choice(routes)
    names = [name.strip("{*}") for name in re.findall(r"\{[^}]*\}", route.path)]
    path = route.path
    for name in names:
        odd = draw.random() < 0.05
        param = release.table(route).params.get(name.rstrip("*"))
        told = param.enum if param and param.enum else IN_PATHS.get(name.rstrip("*"), [*NAMES, "0"])
        known = [word for word in EVIL if word] if odd else told
        text = draw.choice(known)
        path = path.replace(f"{{{name}}}", quote(text, safe="", errors="replace"))
        path = path.replace(f"{{{name}*}}", quote(text, errors="replace"))
    params: dict[str, Any] = {}
    table = release.table(route)
    wish = draw.choice([1, 3, 9]) / max(1, sum(p.optional for p in table.params.values()))
    for name, param in table.params.items():
        again = re.search(r"[2-9]$|\d\d$", name) is not None
        rare = again or name == "digest"  # with a made-up one nothing is changed
        chance = 0.3 if name in DECISIVE else wish / 4 if rare else wish
        asked = not param.optional or draw.random() < chance
        if name not in names and asked:
            params[name] = value(draw, name, param, release)
    if "delete" in table.params and draw.random() < 0.3:
        params["delete"] = ",".join(draw.sample(sorted(table.params), draw.randint(1, 3)))
    if draw.random() < 0.03:
        params[draw.choice(["bogus", "", "ä", "node", "digest", "a b"])] = draw.choice(EVIL)
    return Asked(route, path, params)


def value(draw: Random, name: str, param: Param, release: Release) -> Any:
    """A value of a parameter; one in ten does not fit."""
    if draw.random() < 0.03:
        return draw.choice(ODD)
    if (
        name in NAMED
        and param.format in ("", "pve-volume-id")
        and not param.enum
        and draw.random() < 0.7
    ):
        text = draw.choice(NAMED[name])
        return [text] if param.type == "array" else text
    if param.type == "array":
        return [_text(draw, param, release) for _ in range(draw.randint(0, 3))]
    text = _text(draw, param, release)
    return [text, _text(draw, param, release)] if draw.random() < 0.01 else text  # a key sent twice


def _text(draw: Random, param: Param, release: Release) -> str:
    if draw.random() < 0.07:
        return draw.choice(EVIL)
    if param.table:
        return _property_string(draw, release.property_strings[param.table], release)
    if param.enum:
        return draw.choice(param.enum)
    if param.type == "boolean":
        return draw.choice("01")
    if param.type in ("integer", "number"):
        return _number(draw, param)
    if param.format:
        known = re.sub(r"-[78](-list|$)", r"\1", param.format)
        return str(draw.choice(GOOD.get(known, WORDS)))
    if param.pattern and draw.random() < 0.5:
        return _matching(draw, param.pattern)
    return draw.choice([*WORDS, "text with blanks", "ünïcode", "two\nlines", "a: b", "100%"])


def _number(draw: Random, param: Param) -> str:
    low = 0 if param.low is None else param.low
    high = low + 300 if param.high is None else param.high
    edge = draw.choice([low, high, low - 1, high + 1, 0, 10**20])
    number = edge if draw.random() < 0.3 else draw.randint(low, max(low, high))
    return (
        f"{number}.{draw.randint(0, 99)}"
        if param.type == "number" and draw.random() < 0.3
        else str(number)
    )


def _property_string(draw: Random, table: Table, release: Release) -> str:
    """Keys of a table with values of theirs, in any order; now and then one twice or misspelt."""
    parts = []
    for key, param in draw.sample(sorted(table.params.items()), len(table.params)):
        if param.optional and draw.random() < 0.75:
            continue
        text = _text(draw, param, release)
        bare = param.default_key and draw.random() < 0.5
        parts.append(text if bare else f"{key}={text}")
    if draw.random() < 0.05:
        parts.append(draw.choice([*EVIL, *parts, *(f"{old}=1" for old in table.aliases)]))
    return ",".join(parts)


_SAMPLES = [
    *NAMES, "0", "10", "1-3", "1-3;5", "/x", "x.raw", "a.b", "0x0123456789abcdef", "00:00:00",
    "socket", "/dev/ttyS0", "https://h1/x", "vmbr0", "AA", "1:2", "10de:1db6", "ext4", "q35", "pc",
    "noatime", "noatime;nodev", "0644", "veth", "eth0", *string.ascii_lowercase,
]  # fmt: skip


def _matching(draw: Random, pattern: str) -> str:
    """A text that a regular expression fits, out of samples."""
    fitting = [text for text in _SAMPLES if re.fullmatch(pattern, text)]
    return str(draw.choice(fitting or _SAMPLES))
