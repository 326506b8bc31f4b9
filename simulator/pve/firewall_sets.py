"""Names for addresses: aliases, IP sets and security groups, and what rules can refer to.

Source: PVE::API2::Firewall::Aliases, ::IPSet, ::Groups, ::Helpers collect_refs.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from simulator.pve import firewall_file
from simulator.pve.call import Call
from simulator.pve.firewall import (
    CLUSTER,
    CLUSTER_FILE,
    DIGEST,
    GUESTS,
    NAME,
    Scope,
    need_digest,
    read_file,
)
from simulator.pve.firewall_file import (
    FirewallFile,
    Group,
    Row,
    address,
    digest_of_rows,
)
from simulator.pve.routes import Routes
from simulator.pve.wire import bad_parameters, died

routes = Routes()

_ALIAS = f"name {NAME} 2..64\n"
_MEMBER = _ALIAS + "cidr IPorCIDRorAlias\n"


def _line(call: Call, name: str = "comment") -> dict[str, str | int]:
    """A comment as a line of the file can hold it."""
    text = call.text(name).split("\n", 1)[0].strip()
    return {"comment": text} if text else {}


def alias_calls(scope: Scope) -> None:
    """Register the calls on a scope's aliases."""
    base, at = f"{scope.base}/aliases", f"{scope.base}/aliases/{{name}}"

    def rows(file: FirewallFile) -> list[Row]:
        return [file.aliases[name] for name in sorted(file.aliases)]

    def find(call: Call) -> Row:
        alias = scope.read(call).aliases.get(call.text("name").lower())
        if alias is None:
            raise bad_parameters(name="no such alias")
        return alias

    @routes.add(f"GET {base}", scope.audit, scope.takes)
    def listed(call: Call) -> object:
        known = rows(scope.read(call))
        digest = digest_of_rows(known)
        return [{**row, "digest": digest} for row in known]

    def put(call: Call, name: str, aliases: dict[str, Row]) -> None:
        row = {"name": name, **address(call.text("cidr")), **_line(call)}
        file = scope.read(call)
        scope.write(call, replace(file, aliases={**aliases, name.lower(): row}))

    @routes.add(
        f"POST {base}", scope.modify, scope.takes + _ALIAS + "cidr IPorCIDR\ncomment? string"
    )
    def create(call: Call) -> object:
        name, known = call.text("name"), dict(scope.read(call).aliases)
        if name.lower() in known:
            raise bad_parameters(name=f"alias '{name}' already exists")
        put(call, name, known)
        return None

    @routes.add(f"GET {at}", scope.audit, scope.takes + _ALIAS)
    def one(call: Call) -> object:
        return dict(find(call))

    @routes.add(
        f"PUT {at}",
        scope.modify,
        scope.takes + _ALIAS + DIGEST + f"cidr IPorCIDR\ncomment? string\nrename? {NAME} 2..64\n",
    )
    def update(call: Call) -> object:
        known = dict(scope.read(call).aliases)
        need_digest(call, digest_of_rows(rows(scope.read(call))))
        old = find(call)
        rename = call.text("rename", str(old["name"]))
        if rename.lower() != str(old["name"]).lower() and rename.lower() in known:
            raise bad_parameters(name=f"alias '{rename}' already exists")
        del known[str(old["name"]).lower()]
        put(call, rename, known)
        return None

    @routes.add(f"DELETE {at}", scope.modify, scope.takes + _ALIAS + DIGEST)
    def delete(call: Call) -> object:
        file = scope.read(call)
        need_digest(call, digest_of_rows(rows(file)))
        left = {key: row for key, row in file.aliases.items() if key != call.text("name").lower()}
        scope.write(call, replace(file, aliases=left))
        return None


def _set_rows(file: FirewallFile) -> list[Row]:
    return [_named("name", name, file.ipsets[name]) for name in sorted(file.ipsets)]


def _named(key: str, name: str, group: Group) -> Row:
    return {key: name, "comment": group.comment} if group.comment else {key: name}


def _created(call: Call, key: str, word: str, known: dict[str, Group]) -> dict[str, Group]:
    """With a new set or group, or one renamed or commented anew."""
    name, comment = call.text(key), str(_line(call).get("comment", ""))
    if not call.has("rename"):
        if name in known:
            raise bad_parameters(**{key: f"{word} '{name}' already exists"})
        return {**known, name: Group(comment=comment)}
    old = call.text("rename")
    if old not in known:
        raise bad_parameters(**{key: f"{word} '{old}' does not exist"})
    if name in known and name != old:
        raise bad_parameters(**{key: f"{word} '{name}' does already exist"})
    group = known.pop(old)
    return {**known, name: replace(group, comment=comment or group.comment)}


def set_calls(scope: Scope) -> None:
    """Register the calls on a scope's IP sets."""
    base, at = f"{scope.base}/ipset", f"{scope.base}/ipset/{{name}}"

    def find(call: Call) -> Group:
        name = call.text("name")
        if (group := scope.read(call).ipsets.get(name)) is None:
            raise died(f"no such IPSet '{name}'")
        return group

    def put(call: Call, rows: tuple[Row, ...]) -> None:
        file = scope.read(call)
        group = replace(find(call), rows=rows)
        scope.write(call, replace(file, ipsets={**file.ipsets, call.text("name"): group}))

    def member(call: Call) -> Row:
        for row in find(call).rows:
            if row["cidr"] == call.text("cidr"):
                return row
        raise bad_parameters(cidr="no such IP/Network")

    @routes.add(f"GET {base}", scope.audit, scope.takes)
    def listed(call: Call) -> object:
        known = _set_rows(scope.read(call))
        digest = digest_of_rows(known)
        return [{**row, "digest": digest} for row in known]

    @routes.add(
        f"POST {base}",
        scope.modify,
        scope.takes + _ALIAS + DIGEST + f"comment? string\nrename? {NAME} 2..64\n",
    )
    def create(call: Call) -> object:
        file = scope.read(call)
        need_digest(call, digest_of_rows(_set_rows(file)))
        scope.write(call, replace(file, ipsets=_created(call, "name", "IPSet", dict(file.ipsets))))
        return None

    @routes.add(f"DELETE {at}", scope.modify, scope.takes + _ALIAS + "force? boolean\n")
    def delete(call: Call) -> object:
        name, file = call.text("name"), scope.read(call)
        if find(call).rows and not call.flag("force"):
            raise died(f"IPSet '{name}' is not empty")
        left = {key: group for key, group in file.ipsets.items() if key != name}
        scope.write(call, replace(file, ipsets=left))
        return None

    @routes.add(f"GET {at}", scope.audit, scope.takes + _ALIAS)
    def members(call: Call) -> object:
        rows = find(call).rows
        digest = digest_of_rows(rows)
        return [{**row, "digest": digest} for row in rows]

    @routes.add(
        f"POST {at}", scope.modify, scope.takes + _MEMBER + "comment? string\nnomatch? boolean\n"
    )
    def add(call: Call) -> object:
        rows, cidr = find(call).rows, _entry(call, scope)
        if any(row["cidr"] == cidr for row in rows):
            raise bad_parameters(cidr=f"address '{cidr}' already exists")
        put(call, (*rows, {"cidr": cidr, **_negated(call), **_line(call)}))
        return None

    @routes.add(f"GET {at}/{{cidr}}", scope.audit, scope.takes + _MEMBER)
    def one(call: Call) -> object:
        return {**member(call), "digest": digest_of_rows(find(call).rows)}

    @routes.add(
        f"PUT {at}/{{cidr}}",
        scope.modify,
        scope.takes + _MEMBER + DIGEST + "comment? string\nnomatch? boolean\n",
    )
    def update(call: Call) -> object:
        rows = find(call).rows
        need_digest(call, digest_of_rows(rows))
        old = member(call)
        new: Row = {"cidr": old["cidr"], **_negated(call), **_line(call)}
        put(call, tuple(new if row is old else row for row in rows))
        return None

    @routes.add(f"DELETE {at}/{{cidr}}", scope.modify, scope.takes + _MEMBER + DIGEST)
    def remove(call: Call) -> object:
        rows = find(call).rows
        need_digest(call, digest_of_rows(rows))
        put(call, tuple(row for row in rows if row["cidr"] != call.text("cidr")))
        return None


def _negated(call: Call) -> dict[str, str | int]:
    return {"nomatch": 1} if call.flag("nomatch") else {}


def _entry(call: Call, scope: Scope) -> str:
    """A member as it is kept: an alias that is there, or a network without host bits. Raises."""
    text = call.text("cidr")
    if match := re.fullmatch(r"(guest/|dc/)?([A-Za-z][\w\-]+)", text):
        prefix, name = match[1] or "", match[2].lower()
        files = [scope.read(call)] if prefix != "dc/" or scope is CLUSTER else []
        files += [read_file(call, CLUSTER_FILE)] if prefix != "guest/" else []
        alias = next((file.aliases[name] for file in files if name in file.aliases), None)
        if alias is None:
            raise died(f"no such alias '{text}'")
        if str(alias["cidr"]).endswith("/0"):
            raise bad_parameters(cidr="a zero prefix alias is not allowed in ipset entries")
        return text
    network = ipaddress.ip_network(text, strict=False)
    if network.prefixlen == 0:
        raise bad_parameters(cidr="a zero prefix is not allowed in ipset entries")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def reference_calls(scope: Scope) -> None:
    """Register the call that lists what rules of a scope may refer to."""

    @routes.add(f"GET {scope.base}/refs", scope.audit, scope.takes + "type? enum(alias,ipset)\n")
    def references(call: Call) -> object:
        wanted = call.text("type")
        rows = _references(read_file(call, CLUSTER_FILE), "dc", wanted)
        if scope is not CLUSTER:
            rows += _references(scope.read(call), "guest", wanted)
        return rows


def _references(file: FirewallFile, where: str, wanted: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    if wanted in ("", "ipset"):
        for name, group in file.ipsets.items():
            row: dict[str, object] = dict(_named("name", name, group))
            rows.append({**row, "type": "ipset", "ref": f"+{name}", "scope": where})
    if wanted in ("", "alias"):
        for alias in file.aliases.values():
            comment = {"comment": alias["comment"]} if "comment" in alias else {}
            named = {"type": "alias", "name": alias["name"], "ref": alias["name"], "scope": where}
            rows.append({**named, **comment})
    return rows


for _scope in (CLUSTER, *GUESTS):
    alias_calls(_scope)
    set_calls(_scope)
    reference_calls(_scope)

_GROUP = f"group {NAME} 2..18\n"


def _group_rows(file: FirewallFile) -> list[Row]:
    return [_named("group", name, file.groups[name]) for name in sorted(file.groups)]


@routes.add("GET /cluster/firewall/groups")
def groups(call: Call) -> object:
    """Security groups."""
    known = _group_rows(CLUSTER.read(call))
    digest = digest_of_rows(known)
    return [{**row, "digest": digest} for row in known]


@routes.add(
    "POST /cluster/firewall/groups",
    CLUSTER.modify,
    _GROUP + DIGEST + f"comment? string\nrename? {NAME} 2..18\n",
)
def create_group(call: Call) -> object:
    """A new group, or another name for one: rules that use it follow."""
    file = CLUSTER.read(call)
    need_digest(call, digest_of_rows(_group_rows(file)))
    known = _created(call, "group", "Security group", dict(file.groups))
    CLUSTER.write(call, replace(file, groups=known))
    if call.has("rename") and call.text("rename") != call.text("group"):
        _rename_uses(call, call.text("rename"), call.text("group"))
    return None


def _rename_uses(call: Call, old: str, new: str) -> None:
    for path, text in list(call.documents.files.items()):
        if not path.endswith(".fw"):
            continue
        file = firewall_file.read(text)
        rules = tuple(
            {**rule, "action": new} if (rule["type"], rule["action"]) == ("group", old) else rule
            for rule in file.rules
        )
        if rules != file.rules:
            call.documents.files[path] = replace(file, rules=rules).text


@routes.add("DELETE /cluster/firewall/groups/{group}", CLUSTER.modify, _GROUP)
def delete_group(call: Call) -> object:
    """Remove a group that has no rules."""
    name, file = call.text("group"), CLUSTER.read(call)
    if (group := file.groups.get(name)) is None:
        raise died(f"no such security group '{name}'")
    if group.rows:
        raise died(f"Security group '{name}' is not empty")
    left = {key: known for key, known in file.groups.items() if key != name}
    CLUSTER.write(call, replace(file, groups=left))
    return None
