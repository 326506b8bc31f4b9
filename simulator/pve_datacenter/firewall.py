"""Firewall rules and options of every scope: cluster, security group, node, guest, virtual net.

One set of functions, registered for each scope (`firewall_scopes`). Sets, aliases, groups and
references are in `firewall_sets`. Source: PVE::API2::Firewall::Rules, ::Cluster, ::Host, ::VM,
::Vnet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from simulator.pve.call import Call
from simulator.pve.parameters import Table, table
from simulator.pve.routes import Routes, index
from simulator.pve.wire import bad_parameters, died, wrong
from simulator.pve_datacenter.firewall_file import Group, Row, digest_of_rows
from simulator.pve_datacenter.firewall_macros import MACROS
from simulator.pve_datacenter.firewall_rules import Context, verified
from simulator.pve_datacenter.firewall_scopes import (
    CLUSTER,
    DIGEST,
    GUESTS,
    HOST,
    LOG_LEVELS,
    NAME,
    VNET,
    Scope,
)

routes = Routes()

_RULE = f"""
comment?    string
dest?       pve-fw-addr-spec ..512
digest?     string ..64
dport?      pve-fw-dport-spec
enable?     integer 0..
icmp-type?  pve-fw-icmp-type-spec
iface?      pve-iface 2..20
log?        {LOG_LEVELS}
macro?      string ..128
pos?        integer 0..
proto?      pve-fw-protocol-spec
source?     pve-fw-addr-spec ..512
sport?      pve-fw-sport-spec
"""
_NEW_RULE = _RULE + f"action {NAME} 2..20\ntype enum(in,out,forward,group)\n"
_CHANGED_RULE = (
    _RULE
    + f"action? {NAME} 2..20\ntype? enum(in,out,forward,group)\n"
    + "delete? pve-configid-list\nmoveto? integer 0..\n"
)
PROPERTIES = frozenset(table(_NEW_RULE).params) - {"digest", "pos"}
Read = Callable[[Call], tuple[Row, ...]]
Write = Callable[[Call, tuple[Row, ...]], None]


@dataclass(frozen=True)
class Rules:
    """The calls on one list of rules. `env` is the environment that its rules are judged in."""

    base: str
    takes: str
    scope: Scope
    env: str
    read: Read
    write: Write

    def register(self) -> None:
        """Let them answer."""
        base, takes, audit, modify = self.base, self.takes, self.scope.audit, self.scope.modify
        at = takes + "pos? integer 0..\n"
        routes.add(f"GET {base}", audit, takes)(self.listed)
        routes.add(f"POST {base}", modify, takes + _NEW_RULE)(self.create)
        routes.add(f"GET {base}/{{pos}}", audit, at)(self.one)
        routes.add(f"PUT {base}/{{pos}}", modify, takes + _CHANGED_RULE)(self.update)
        routes.add(f"DELETE {base}/{{pos}}", modify, at + DIGEST)(self.delete)

    def _context(self, call: Call) -> Context:
        return replace(self.scope.context(call), env=self.env)

    def _known(self, call: Call) -> tuple[Row, ...]:
        """The rules, unless the caller has seen others."""
        rules = self.read(call)
        call.need_digest(_shown(rules, self._context(call))[1])
        return rules

    def listed(self, call: Call) -> object:
        """All, each with its position."""
        rows, digest = _shown(self.read(call), self._context(call))
        return [{**row, "pos": pos, "digest": digest} for pos, row in enumerate(rows)]

    def one(self, call: Call) -> object:
        """The one at a position."""
        rows, digest = _shown(self.read(call), self._context(call))
        pos = _position(call, rows)
        return {**rows[pos], "pos": call.text("pos"), "digest": digest}

    def create(self, call: Call) -> object:
        """A new one, which stands first; off unless it is said."""
        rules = self._known(call)
        new: dict[str, str | int] = {"enable": 0}
        self.write(call, (_checked(_changed(new, call), self._context(call)), *rules))
        return None

    def update(self, call: Call) -> object:
        """Change one, or move it, which ignores all else."""
        rules = self._known(call)
        pos = _position(call, rules)
        moveto = call.number("moveto", pos)
        if moveto != pos:
            self.write(call, _moved(rules, pos, moveto))
            return None
        changed = _without(_changed(rules[pos], call), call.words("delete"))
        checked = _checked(changed, self._context(call))
        self.write(call, (*rules[:pos], checked, *rules[pos + 1 :]))
        return None

    def delete(self, call: Call) -> object:
        """Remove one."""
        rules = self._known(call)
        pos = _position(call, rules)
        self.write(call, (*rules[:pos], *rules[pos + 1 :]))
        return None


def _shown(rules: tuple[Row, ...], context: Context) -> tuple[list[dict[str, object]], str]:
    """Rules as lists show them, and the digest over them."""
    rows: list[dict[str, object]] = []
    kept: list[Row] = []
    for rule in rules:
        known, errors = verified(rule, context)
        kept.append(known)
        rows.append({**known, "errors": errors} if errors else dict(known))
    return rows, digest_of_rows(kept)


def _position(call: Call, rules: tuple[Row, ...] | list[dict[str, object]]) -> int:
    pos = call.number("pos")
    if not call.has("pos") or pos >= len(rules):
        raise died(f"no rule at position {call.text('pos')}")
    return pos


def _changed(rule: Row, call: Call) -> dict[str, str | int]:
    """With what was sent; an empty value or a dash takes away."""
    changed = dict(rule)
    for name in PROPERTIES:
        if not call.has(name):
            continue
        text = call.text(name)
        if text in ("", "-"):
            changed.pop(name, None)
        else:
            changed[name] = call.number(name) if name == "enable" else _one_line(name, text)
    return changed


def _one_line(name: str, text: str) -> str:
    """A value that fits on a rule's line: a comment ends with its line."""
    return text.split("\n", 1)[0].strip() if name == "comment" else text


def _without(rule: dict[str, str | int], names: list[str]) -> dict[str, str | int]:
    for name in names:
        if name not in PROPERTIES:
            raise bad_parameters(delete=f"no such property ('{name}')")
        if name in ("type", "action"):
            raise bad_parameters(delete=f"unable to delete required property '{name}'")
        rule.pop(name, None)
    return rule


def _checked(rule: Row, context: Context) -> Row:
    kept, errors = verified(rule, context)
    if errors:
        raise wrong(dict([next(iter(errors.items()))]))
    kept.pop("ipversion", None)
    return kept


def _moved(rules: tuple[Row, ...], pos: int, moveto: int) -> tuple[Row, ...]:
    """The rule now at `pos` stands before the one that was at `moveto`."""
    before = [rule for at, rule in enumerate(rules) if at < moveto and at != pos]
    after = [rule for at, rule in enumerate(rules) if at >= moveto and at != pos]
    return (*before, rules[pos], *after)


def option_calls(scope: Scope) -> None:
    """Register the calls on a scope's options."""
    known: Table = table(scope.options)

    def show(call: Call) -> object:
        options = scope.read(call).options
        return {**options, "digest": digest_of_rows([options] if options else [])}

    def update(call: Call) -> object:
        file = scope.read(call)
        call.need_digest(digest_of_rows([file.options] if file.options else []))
        options = dict(file.options)
        for name in call.words("delete"):
            if name not in known.params:
                raise bad_parameters(delete=f"no such option '{name}'")
            options.pop(name, None)
        for name, param in known.params.items():
            if call.has(name):
                number = param.type in ("integer", "boolean")
                options[name] = call.number(name) if number else call.text(name)
        if scope is CLUSTER and call.number("enable") > 1:
            options["enable"] = call.now_s
        scope.write(call, replace(file, options=options))
        return None

    base = f"{scope.base}/options"
    routes.add(f"GET {base}", scope.audit, scope.takes)(show)
    changes = scope.takes + scope.options + DIGEST + "delete? pve-configid-list\n"
    routes.add(f"PUT {base}", scope.modify, changes)(update)


def _put_rules(scope: Scope) -> Write:
    return lambda call, rules: scope.write(call, replace(scope.read(call), rules=rules))


def _get_rules(scope: Scope) -> Read:
    return lambda call: scope.read(call).rules


def _group(call: Call) -> Group:
    name = call.text("group")
    if (group := CLUSTER.read(call).groups.get(name)) is None:
        raise died(f"no such security group '{name}'")
    return group


def _put_group(call: Call, rules: tuple[Row, ...]) -> None:
    file = CLUSTER.read(call)
    changed = {**file.groups, call.text("group"): replace(_group(call), rows=rules)}
    CLUSTER.write(call, replace(file, groups=changed))


for _scope in (CLUSTER, HOST, *GUESTS, VNET):
    option_calls(_scope)
    Rules(
        f"{_scope.base}/rules",
        _scope.takes,
        _scope,
        _scope.env,
        _get_rules(_scope),
        _put_rules(_scope),
    ).register()
Rules(
    "/cluster/firewall/groups/{group}",
    f"group {NAME} 2..18\n",
    CLUSTER,
    "group",
    lambda call: _group(call).rows,
    _put_group,
).register()
index(routes, CLUSTER.base, "aliases rules options groups ipset macros refs")
index(routes, HOST.base, "rules options log")
for _guest in GUESTS:
    index(routes, _guest.base, "rules aliases ipset refs options")
index(routes, VNET.base, "rules options", may="root", takes=VNET.takes)


@routes.add("GET /cluster/firewall/macros")
def macros(call: Call) -> object:
    """All macros. The descriptions are ours."""
    return [{"macro": name, "descr": f"{name} traffic"} for name in MACROS]


_LOG = "limit? integer 0..\nsince? integer 0..\nstart? integer 0..\nuntil? integer 0..\n"


def log(call: Call) -> object:
    """Packets that were logged: the twin sends none through a firewall."""
    call.members["total"] = 1
    return [{"n": 1, "t": "no content"}]


routes.add(f"GET {HOST.base}/log", "/nodes/{node} Sys.Syslog", HOST.takes + _LOG)(log)
for _guest in GUESTS:
    routes.add(f"GET {_guest.base}/log", "/vms/{vmid} VM.Console", _guest.takes + _LOG)(log)
