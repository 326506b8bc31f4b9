"""Names for addresses: aliases, IP sets and security groups, and what rules can refer to.

Source: PVE::API2::Firewall::Aliases, ::IPSet, ::Groups, ::Helpers collect_refs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import bad_parameters, died
from simulator.pve_datacenter import firewall_file
from simulator.pve_datacenter.firewall_file import (
    FirewallFile,
    Group,
    Row,
    address,
    digest_of_rows,
)
from simulator.pve_datacenter.firewall_scopes import (
    CLUSTER,
    CLUSTER_FILE,
    DIGEST,
    GUESTS,
    NAME,
    Scope,
    read_file,
)

routes = Routes()

_ALIAS = f"name {NAME} 2..64\n"
_MEMBER = _ALIAS + "cidr IPorCIDRorAlias\n"


def _line(call: Call, name: str = "comment") -> dict[str, str | int]:
    """A comment as a line of the file can hold it."""
    text = call.text(name).split("\n", 1)[0].strip()
    return {"comment": text} if text else {}


@dataclass(frozen=True)
class Aliases:
    """The calls on a scope's aliases."""

    scope: Scope

    def register(self) -> None:
        """Let them answer."""
        scope, base = self.scope, f"{self.scope.base}/aliases"
        at, named = f"{base}/{{name}}", scope.takes + _ALIAS
        new = "cidr IPorCIDR\ncomment? string\n"
        changes = f"{new}{DIGEST}rename? {NAME} 2..64\n"
        routes.add(f"GET {base}", scope.audit, scope.takes)(self.listed)
        routes.add(f"POST {base}", scope.modify, named + new)(self.create)
        routes.add(f"GET {at}", scope.audit, named)(self.one)
        routes.add(f"PUT {at}", scope.modify, named + changes)(self.update)
        routes.add(f"DELETE {at}", scope.modify, named + DIGEST)(self.delete)

    def _rows(self, call: Call) -> list[Row]:
        aliases = self.scope.read(call).aliases
        return [aliases[name] for name in sorted(aliases)]

    def _find(self, call: Call) -> Row:
        alias = self.scope.read(call).aliases.get(call.text("name").lower())
        if alias is None:
            raise bad_parameters(name="no such alias")
        return alias

    def _put(self, call: Call, name: str, aliases: dict[str, Row]) -> None:
        row = {"name": name, **address(call.text("cidr")), **_line(call)}
        file = self.scope.read(call)
        self.scope.write(call, replace(file, aliases={**aliases, name.lower(): row}))

    def listed(self, call: Call) -> object:
        """All, by name."""
        return _listed(self._rows(call))

    def create(self, call: Call) -> object:
        """A new one; names differ by more than their case."""
        name, known = call.text("name"), dict(self.scope.read(call).aliases)
        if name.lower() in known:
            raise bad_parameters(name=f"alias '{name}' already exists")
        self._put(call, name, known)
        return None

    def one(self, call: Call) -> object:
        """One."""
        return dict(self._find(call))

    def update(self, call: Call) -> object:
        """Replace one, under another name if that is free."""
        known = dict(self.scope.read(call).aliases)
        call.need_digest(digest_of_rows(self._rows(call)))
        old = str(self._find(call)["name"])
        rename = call.text("rename", old)
        if rename.lower() != old.lower() and rename.lower() in known:
            raise bad_parameters(name=f"alias '{rename}' already exists")
        del known[old.lower()]
        self._put(call, rename, known)
        return None

    def delete(self, call: Call) -> object:
        """Remove one; one that is absent is fine."""
        file = self.scope.read(call)
        call.need_digest(digest_of_rows(self._rows(call)))
        left = {key: row for key, row in file.aliases.items() if key != call.text("name").lower()}
        self.scope.write(call, replace(file, aliases=left))
        return None


def _listed(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Rows with the digest over all of them."""
    digest = digest_of_rows(rows)
    return [{**row, "digest": digest} for row in rows]


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


@dataclass(frozen=True)
class Sets:
    """The calls on a scope's IP sets and their members."""

    scope: Scope

    def register(self) -> None:
        """Let them answer."""
        scope, base = self.scope, f"{self.scope.base}/ipset"
        at, named, member = f"{base}/{{name}}", scope.takes + _ALIAS, scope.takes + _MEMBER
        new = f"{DIGEST}comment? string\nrename? {NAME} 2..64\n"
        marks = "comment? string\nnomatch? boolean\n"
        routes.add(f"GET {base}", scope.audit, scope.takes)(self.listed)
        routes.add(f"POST {base}", scope.modify, named + new)(self.create)
        routes.add(f"DELETE {at}", scope.modify, named + "force? boolean\n")(self.delete)
        routes.add(f"GET {at}", scope.audit, named)(self.members)
        routes.add(f"POST {at}", scope.modify, member + marks)(self.add)
        routes.add(f"GET {at}/{{cidr}}", scope.audit, member)(self.one)
        routes.add(f"PUT {at}/{{cidr}}", scope.modify, member + DIGEST + marks)(self.update)
        routes.add(f"DELETE {at}/{{cidr}}", scope.modify, member + DIGEST)(self.remove)

    def _find(self, call: Call) -> Group:
        name = call.text("name")
        if (group := self.scope.read(call).ipsets.get(name)) is None:
            raise died(f"no such IPSet '{name}'")
        return group

    def _put(self, call: Call, rows: tuple[Row, ...]) -> None:
        file = self.scope.read(call)
        group = replace(self._find(call), rows=rows)
        ipsets = {**file.ipsets, call.text("name"): group}
        self.scope.write(call, replace(file, ipsets=ipsets))

    def _member(self, call: Call) -> Row:
        for row in self._find(call).rows:
            if row["cidr"] == call.text("cidr"):
                return row
        raise bad_parameters(cidr="no such IP/Network")

    def listed(self, call: Call) -> object:
        """All, by name."""
        return _listed(_set_rows(self.scope.read(call)))

    def create(self, call: Call) -> object:
        """A new one, or another name or comment for one."""
        file = self.scope.read(call)
        call.need_digest(digest_of_rows(_set_rows(file)))
        ipsets = _created(call, "name", "IPSet", dict(file.ipsets))
        self.scope.write(call, replace(file, ipsets=ipsets))
        return None

    def delete(self, call: Call) -> object:
        """Remove one that is empty, or by force."""
        name, file = call.text("name"), self.scope.read(call)
        if self._find(call).rows and not call.flag("force"):
            raise died(f"IPSet '{name}' is not empty")
        left = {key: group for key, group in file.ipsets.items() if key != name}
        self.scope.write(call, replace(file, ipsets=left))
        return None

    def members(self, call: Call) -> object:
        """Members of one."""
        return _listed(self._find(call).rows)

    def add(self, call: Call) -> object:
        """A new member."""
        rows, cidr = self._find(call).rows, _entry(call, self.scope)
        if any(row["cidr"] == cidr for row in rows):
            raise bad_parameters(cidr=f"address '{cidr}' already exists")
        self._put(call, (*rows, {"cidr": cidr, **_negated(call), **_line(call)}))
        return None

    def one(self, call: Call) -> object:
        """One member."""
        return {**self._member(call), "digest": digest_of_rows(self._find(call).rows)}

    def update(self, call: Call) -> object:
        """Other marks for a member."""
        rows = self._find(call).rows
        call.need_digest(digest_of_rows(rows))
        old = self._member(call)
        new: Row = {"cidr": old["cidr"], **_negated(call), **_line(call)}
        self._put(call, tuple(new if row is old else row for row in rows))
        return None

    def remove(self, call: Call) -> object:
        """Take a member out; one that is absent is fine."""
        rows = self._find(call).rows
        call.need_digest(digest_of_rows(rows))
        self._put(call, tuple(row for row in rows if row["cidr"] != call.text("cidr")))
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
    Aliases(_scope).register()
    Sets(_scope).register()
    reference_calls(_scope)

_GROUP = f"group {NAME} 2..18\n"


def _group_rows(file: FirewallFile) -> list[Row]:
    return [_named("group", name, file.groups[name]) for name in sorted(file.groups)]


@routes.add("GET /cluster/firewall/groups")
def groups(call: Call) -> object:
    """Security groups."""
    return _listed(_group_rows(CLUSTER.read(call)))


@routes.add(
    "POST /cluster/firewall/groups",
    CLUSTER.modify,
    _GROUP + DIGEST + f"comment? string\nrename? {NAME} 2..18\n",
)
def create_group(call: Call) -> object:
    """A new group, or another name for one: rules that use it follow."""
    file = CLUSTER.read(call)
    call.need_digest(digest_of_rows(_group_rows(file)))
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
