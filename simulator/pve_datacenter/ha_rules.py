"""HA rules: node affinity and resource affinity, and when a set of them can't be. Source:
PVE::HA::Rules.

A rule is checked alone (its parameters by type), then together with all others: one that makes the
set infeasible is refused. Leaves out: nothing that recorded answers show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator.cluster.feasibility import infeasible
from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.load import rule_of
from simulator.pve.parameters import Value, check, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.sections import CHANGED
from simulator.pve.wire import ApiError, died, wrong

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Console"

KEY = "rule pve-configid\ntype enum(node-affinity,resource-affinity)\n"
SHARED = "comment? string ..4096\ndisable? boolean\n"
OWN = {
    "node-affinity": "nodes pve-ha-node-list\nresources pve-ha-resource-id-list\nstrict? boolean",
    "resource-affinity": "affinity enum(positive,negative)\nresources pve-ha-resource-id-list",
}
UPDATE = "delete? pve-configid-list ..4096\ndigest? string ..64\n"
ANY = table(
    """
    affinity?   string
    comment?    string
    delete?     string
    digest?     string
    disable?    string
    nodes?      string
    resources?  string
    rule?       string
    strict?     string
    type?       string
    """
)
"""What the call takes whatever the type; the real check follows in `_checked`."""


def _checked(call: Call, *, update: bool) -> dict[str, Value]:
    """The parameters, checked by the schema of the rule's type, with its naming of errors."""
    kind = call.text("type")
    own = OWN.get(kind, "")
    if update:
        own = "\n".join(re.sub(r"^(\w+) ", r"\1? ", line) for line in own.splitlines())
    base = table(KEY + (SHARED if kind in OWN else "") + (UPDATE if update else ""))
    special = table(own)
    values, errors = check(base | special, call.given)
    if errors:
        raise wrong(
            {
                f"oneOf[{kind}].{name}" if name in special.params else name: text
                for name, text in errors.items()
            }
        )
    return {key: value for key, value in values.items() if value is not None}


def _shown(call: Call, name: str, flaws: Mapping[str, list[str]]) -> dict[str, object]:
    rules = call.documents.ha_rules
    order = list(rules).index(name) + 1
    row: dict[str, object] = {"rule": name, **rules[name], "order": order, "digest": rules.digest}
    return {**row, "errors": {"resources": flaws[name]}} if name in flaws else row


@routes.add(
    "GET /cluster/ha/rules",
    AUDIT,
    "resource? string\ntype? enum(node-affinity,resource-affinity)",
)
def rules(call: Call) -> object:
    """All rules, or those of a type or of a resource."""
    wanted, sid = call.text("type"), call.text("resource")
    flaws = _flaws(call, call.documents.ha_rules)
    return [
        _shown(call, name, flaws)
        for name, rule in call.documents.ha_rules.items()
        if wanted in ("", rule["type"]) and (not sid or sid in items(str(rule["resources"])))
    ]


@routes.add("GET /cluster/ha/rules/{rule}", AUDIT, "rule pve-configid")
def rule(call: Call) -> object:
    """One rule."""
    name = call.text("rule")
    if name not in call.documents.ha_rules:
        raise died(f"no such ha rule '{name}'")
    return _shown(call, name, _flaws(call, call.documents.ha_rules))


def _sorted(sent: dict[str, Value]) -> dict[str, Value]:
    return {
        key: ",".join(sorted(items(str(value)))) if key in ("nodes", "resources") else value
        for key, value in sent.items()
    }


def _check_known(call: Call, entry: Entry) -> None:
    sids = items(str(entry.get("resources") or ""))
    if unmanaged := [sid for sid in sids if sid not in call.documents.ha_resources]:
        raise died(f"cannot use unmanaged resource(s) {', '.join(unmanaged)}.")
    nodes = [word.partition(":")[0] for word in items(str(entry.get("nodes") or ""))]
    if absent := [node for node in nodes if node not in call.world.nodes]:
        raise died(f"cannot use non-existent node(s) {', '.join(absent)}.")


def _flaws(call: Call, rules: Mapping[str, Entry]) -> Mapping[str, list[str]]:
    """Why rules can't be kept together, in the manager's words, by name; of the enabled ones.

    Available nodes are those that the manager has seen: none before its first round.
    """
    enabled = {key: rule_of(key, rule) for key, rule in rules.items() if not rule.get("disable")}
    return infeasible(enabled, call.world.ha_nodes)


def _check_set(call: Call, name: str, rules: Mapping[str, Entry]) -> None:
    """Raise if the rule can't be kept together with the others, once it is enabled."""
    if found := _flaws(call, {**rules, name: {**rules[name], "disable": 0}}).get(name):
        text = f"Rule '{name}' is invalid.\nresources: {', '.join(found)}\n"
        raise ApiError(500, f"400 {text}")


@routes.add("POST /cluster/ha/rules", WRITE, ANY)
def create_rule(call: Call) -> object:
    """A new rule."""
    sent = _checked(call, update=False)
    name = str(sent.pop("rule"))
    with call.locked("ha/rules_cfg", "create ha rule failed: "):
        known = call.documents.ha_rules
        if name in known:
            raise died(f"HA rule '{name}' already defined")
        entry = _sorted(sent)
        _check_known(call, entry)
        _check_set(call, name, {**known, name: entry})
        known[name] = entry
        call.api.sync(call.twin)
    return None


@routes.add("PUT /cluster/ha/rules/{rule}", WRITE, ANY)
def update_rule(call: Call) -> object:
    """Change a rule; its type has to be told again."""
    sent = _checked(call, update=True)
    name, removed = str(sent.pop("rule")), items(str(sent.pop("delete", "")))
    digest = sent.pop("digest", None)
    with call.locked("ha/rules_cfg", "update HA rules failed: "):
        known = call.documents.ha_rules
        if name not in known:
            raise died(f"HA rule '{name}' does not exist")
        if digest is not None and digest != known.digest:
            raise died(CHANGED)
        if sent["type"] != known[name]["type"]:
            raise died("unexpected property 'type'")
        new = {**known[name], **_sorted(sent)}
        for key in removed:
            if key in ("type", "resources", "nodes", "affinity"):
                raise died(f"unable to delete required option '{key}'")
            if key not in ("comment", "disable", "strict"):
                raise died(f"no such option '{key}'")
            if key in sent:
                raise died(f"cannot set and delete property '{key}' at the same time!")
            new.pop(key, None)
        _check_known(call, new)
        _check_set(call, name, {**known, name: new})
        known[name] = {key: value for key, value in new.items() if value != ""}
        call.api.sync(call.twin)
    return None


@routes.add("DELETE /cluster/ha/rules/{rule}", WRITE, "rule pve-configid")
def delete_rule(call: Call) -> object:
    """Remove a rule; one that is absent is fine."""
    with call.locked("ha/rules_cfg", "delete HA rule failed: "):
        call.documents.ha_rules.pop(call.text("rule"), None)
        call.api.sync(call.twin)
    return None
