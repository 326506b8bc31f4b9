"""SDN's fabrics and their nodes: routed networks among the servers. Source:
PVE::API2::Network::SDN::Fabrics.

Staged, applied and rolled back with the rest of SDN. Leaves out: routing itself, so neighbours and
routes of a node. The wording of refusals is that of `fabric_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import PROPERTY_STRINGS, Value, parse, property_problem
from simulator.pve.routes import Routes, index
from simulator.pve.sections import check_known, check_removable
from simulator.pve.wire import bad_parameters, died, wrong
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.fabric_file import (
    FABRIC_KEYS,
    FABRICS,
    INTERFACE_KEYS,
    NODE_KEYS,
    PROTOCOLS,
    fabrics_of,
    in_order,
    need_valid,
    nodes_of,
)
from simulator.pve_datacenter.sdn import LOCK_TOKEN, VIEW

routes = Routes()

BASE = "/cluster/sdn/fabrics"
index(routes, BASE, "fabric node all", "subdir", "/sdn/fabrics SDN.Audit")
index(routes, "/nodes/{node}/sdn/fabrics/{fabric}", "neighbors interfaces routes", "subdir",
      "/sdn/fabrics/{fabric} SDN.Audit", "fabric pve-sdn-fabric-id 2..8")  # fmt: skip
SEE, CHANGE = ("SDN.Audit", "SDN.Allocate"), ("SDN.Allocate",)
_SEE_NODE = ("Sys.Audit", "Sys.Modify")
_ID, _FABRIC_ID = "id pve-sdn-fabric-id 2..8\n", "fabric_id pve-sdn-fabric-id 2..8\n"
_NODE_ID = _FABRIC_ID + "node_id pve-node\n"
_COMMON = f"{LOCK_TOKEN}digest? string ..64\nprotocol enum(openfabric,ospf,wireguard,bgp)\n"
_NOT_KEPT = frozenset({"id", "fabric_id", "node_id", "protocol", "delete", "digest", "lock-token"})
_Rows = Callable[[Mapping[str, Entry]], dict[str, Entry]]


def _view(call: Call, rows: _Rows) -> list[dict[str, object]]:
    """Staged, running, or what is pending. What runs has no digest."""
    staged = rows(FABRICS.entries(call.documents))
    now = rows(sdn_state.running(call.documents, "fabrics"))
    found = sdn_state.compared(now, staged) if call.flag("pending") else {
        name: dict(row) for name, row in (now if call.flag("running") else staged).items()
    }  # fmt: skip
    bare = call.flag("running") and not call.flag("pending")
    digest = {} if bare else {"digest": FABRICS.digest(call.documents)}
    return [{**_listed(found[name]), **digest} for name in sorted(found)]


def _listed(row: Mapping[str, object]) -> dict[str, object]:
    """A row with interfaces as a list."""
    return {key: list(item) if isinstance(item, tuple) else item for key, item in row.items()}


def _value(row: Mapping[str, object], key: str) -> object:
    """What a row says, or will say."""
    later = row.get("pending")
    return row.get(key) or (later.get(key) if isinstance(later, Mapping) else None)


@routes.add(f"GET {BASE}/fabric", takes=VIEW)
def fabrics(call: Call) -> object:
    """Fabrics that the caller may see."""
    return [
        row
        for row in _view(call, fabrics_of)
        if call.may(f"/sdn/fabrics/{_value(row, 'id')}", *SEE)
    ]


def _visible_nodes(call: Call) -> list[dict[str, object]]:
    return [
        row
        for row in _view(call, nodes_of)
        if call.may(f"/sdn/fabrics/{_value(row, 'fabric_id')}", *SEE)
        and call.may(f"/nodes/{_value(row, 'node_id')}", *_SEE_NODE)
    ]


@routes.add(f"GET {BASE}/node", takes=VIEW)
def nodes(call: Call) -> object:
    """Nodes of all fabrics, as far as the caller may see both."""
    return _visible_nodes(call)


@routes.add(f"GET {BASE}/all", takes=VIEW)
def everything(call: Call) -> object:
    """Both."""
    return {"fabrics": fabrics(call), "nodes": _visible_nodes(call)}


@routes.add(
    f"GET {BASE}/node/{{fabric_id}}", "/sdn/fabrics/{fabric_id} SDN.Audit", _FABRIC_ID + VIEW
)
def nodes_of_fabric(call: Call) -> object:
    """Nodes of one fabric."""
    fabric = call.text("fabric_id")
    return [row for row in _visible_nodes(call) if _value(row, "fabric_id") == fabric]


def _need_fabric(entries: Mapping[str, Entry], name: str) -> Entry:
    if (row := fabrics_of(entries).get(name)) is None:
        raise died(f"fabric '{name}' does not exist in configuration")
    return row


def _need_node(entries: Mapping[str, Entry], fabric: str, node: str) -> Entry:
    _need_fabric(entries, fabric)
    if (row := nodes_of(entries).get(f"{fabric}_{node}")) is None:
        raise died(f"node '{node}' does not exist in fabric '{fabric}'")
    return row


def _shown(call: Call, row: Entry) -> object:
    return {**_listed(row), "digest": FABRICS.digest(call.documents)}


@routes.add(f"GET {BASE}/fabric/{{id}}", "/sdn/fabrics/{id} SDN.Audit|SDN.Allocate", _ID)
def fabric(call: Call) -> object:
    """One fabric, as it is staged."""
    return _shown(call, _need_fabric(FABRICS.entries(call.documents), call.text("id")))


def _need_both(fabric: tuple[str, ...], node: tuple[str, ...]) -> Callable[[Call], None]:
    """Rights on the fabric and on the node."""

    def guard(call: Call) -> None:
        call.need(f"/sdn/fabrics/{call.text('fabric_id')}", *fabric)
        call.need(f"/nodes/{call.text('node_id')}", *node)

    return guard


_CHANGE_NODE = _need_both(CHANGE, ("Sys.Modify",))


@routes.add(f"GET {BASE}/node/{{fabric_id}}/{{node_id}}", _need_both(SEE, _SEE_NODE), _NODE_ID)
def node(call: Call) -> object:
    """One node of a fabric, as it is staged."""
    entries = FABRICS.entries(call.documents)
    return _shown(call, _need_node(entries, call.text("fabric_id"), call.text("node_id")))


def _settings(call: Call) -> dict[str, Value]:
    """What was sent, as it is kept. Raises for what the protocol does not have."""
    protocol = call.text("protocol")
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        told = f"value '{protocol}' does not have a value in the enumeration '{known}'"
        raise bad_parameters(protocol=told)
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in _NOT_KEPT}
    if isinstance(items := sent.get("interfaces"), tuple):
        name, problems = f"{protocol}-interface", dict[str, str]()
        for number, item in enumerate(items):
            place = f"interfaces[{number}]"
            if problem := property_problem(place, PROPERTY_STRINGS[name], item):
                problems[place] = f"invalid format - {problem}"
        if problems:
            raise wrong(problems)
        sent["interfaces"] = tuple(_printed(parse(name, item)) for item in items)
    return sent


def _printed(values: Mapping[str, object]) -> str:
    return ",".join(f"{key}={values[key]}" for key in INTERFACE_KEYS if key in values)


def _write(call: Call, entries: Mapping[str, Entry]) -> None:
    need_valid(entries)
    FABRICS.write(call.documents, in_order(entries))


def _changed(call: Call, old: Entry, entry: Entry) -> Entry:
    """A section after a PUT."""
    if old["protocol"] != call.text("protocol"):
        raise died("node has a different protocol than the referenced fabric")
    given, sent = call.values.get("delete"), _settings(call)
    gone = given if isinstance(given, tuple) else ()
    kind = FABRICS.types[str(entry["type"])]
    check_known(kind, sent)
    check_removable(kind, gone, {})
    return {key: value for key, value in {**entry, **sent}.items() if key not in gone}


def _add(call: Call, name: str, kind: str, entries: dict[str, Entry]) -> None:
    settings = _settings(call)
    entry: Entry = {"type": f"{call.text('protocol')}_{kind}", **settings}
    known = FABRICS.types[str(entry["type"])]
    check_known(known, settings)
    for key in known.required:
        if key not in settings:
            raise died(f"missing field `{key}`")
    entries[name] = entry
    _write(call, entries)


@routes.add(f"POST {BASE}/fabric", "/sdn/fabrics SDN.Allocate", _ID + FABRIC_KEYS + _COMMON)
def add_fabric(call: Call) -> object:
    """A new fabric, without nodes."""
    name = call.text("id")
    with sdn_state.locked(call, "adding fabric failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        if name in entries:
            raise died(f"fabric '{name}' already exists in config")
        _add(call, name, "fabric", entries)
    return None


@routes.add(
    f"PUT {BASE}/fabric/{{id}}",
    "/sdn/fabrics/{id} SDN.Allocate",
    _ID + FABRIC_KEYS + _COMMON + "delete? array\n",
)
def update_fabric(call: Call) -> object:
    """Change a fabric; its nodes must still fit."""
    name = call.text("id")
    with sdn_state.locked(call, "updating fabric failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        entries[name] = _changed(call, _need_fabric(entries, name), entries[name])
        _write(call, entries)
    return None


@routes.add(f"DELETE {BASE}/fabric/{{id}}", "/sdn/fabrics/{id} SDN.Allocate", _ID)
def delete_fabric(call: Call) -> object:
    """Remove a fabric that nothing uses, with its nodes."""
    name = call.text("id")
    with sdn_state.locked(call, "deleting fabric failed"):
        for what, kind in ((sdn_state.ZONES, "vxlan"), (sdn_state.CONTROLLERS, "evpn")):
            for user, entry in sorted(what.entries(call.documents).items()):
                if entry["type"] == kind and entry.get("fabric") == name:
                    noun = "VXLAN zone" if kind == "vxlan" else "EVPN controller"
                    raise died(f'this fabric is still used in the {noun} "{user}"')
        entries = FABRICS.entries(call.documents)
        _need_fabric(entries, name)
        _write(call, {key: row for key, row in entries.items() if key.split("_")[0] != name})
    return None


@routes.add(f"POST {BASE}/node/{{fabric_id}}", _CHANGE_NODE, _NODE_ID + NODE_KEYS + _COMMON)
def add_node(call: Call) -> object:
    """A server becomes part of a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "adding node failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        if _need_fabric(entries, name)["protocol"] != call.text("protocol"):
            raise died("node has a different protocol than the referenced fabric")
        if f"{name}_{member}" in entries:
            raise died(f"node '{member}' already exists in config for fabric {name}")
        _add(call, f"{name}_{member}", "node", entries)
    return None


@routes.add(
    f"PUT {BASE}/node/{{fabric_id}}/{{node_id}}",
    _CHANGE_NODE,
    _NODE_ID + NODE_KEYS + _COMMON + "delete? array\n",
)
def update_node(call: Call) -> object:
    """Change a server's part in a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "updating node failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        key = f"{name}_{member}"
        entries[key] = _changed(call, _need_node(entries, name, member), entries[key])
        _write(call, entries)
    return None


@routes.add(f"DELETE {BASE}/node/{{fabric_id}}/{{node_id}}", _CHANGE_NODE, _NODE_ID)
def delete_node(call: Call) -> object:
    """A server leaves a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "deleting node failed"):
        entries = FABRICS.entries(call.documents)
        _need_node(entries, name, member)
        _write(call, {key: row for key, row in entries.items() if key != f"{name}_{member}"})
    return None
