"""SDN's fabrics: routed networks among the servers, which `fabric_nodes` has. Source:
PVE::API2::Network::SDN::Fabrics, ::Fabric.

Staged, applied and rolled back with the rest of SDN. Leaves out: routing itself, so neighbours and
routes of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import PROPERTY_STRINGS, UNKNOWN, Value, parse, property_problem
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.sections import check_known, check_removable
from simulator.pve.wire import bad_parameters, died, wrong
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.fabric_file import (
    FABRIC_KEYS,
    FABRICS,
    INTERFACE_KEYS,
    PROTOCOLS,
    fabrics_of,
    in_order,
    need_valid,
)
from simulator.pve_datacenter.sdn import LOCK_TOKEN, VIEW

routes = Routes()

BASE = "/cluster/sdn/fabrics"
index(routes, BASE, "fabric node all", "subdir", "/sdn/fabrics SDN.Audit", "...")
index(routes, "/nodes/{node}/sdn/fabrics/{fabric}", "neighbors interfaces routes", "subdir",
      "/sdn/fabrics/{fabric} SDN.Audit", "fabric pve-sdn-fabric-id 2..8")  # fmt: skip
SEE = ("SDN.Audit", "SDN.Allocate")
_ID = "...\nid pve-sdn-fabric-id 2..8\n"
SEEN = f"...\n{VIEW}"
COMMON = f"{LOCK_TOKEN}digest? string ..64\nprotocol enum(openfabric,ospf,wireguard,bgp)\n"
NOT_BUILT = frozenset(
    items(
        "allowed_ips endpoint peers persistent_keepalive public_key redistribute role route_filter"
    )
)
"""What 9.2 takes besides: refused, though further parameters pass."""
_SETTINGS = frozenset(FABRICS.table.params)
_Rows = Callable[[Mapping[str, Entry]], dict[str, Entry]]


def view(call: Call, rows: _Rows) -> list[dict[str, object]]:
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


def value_of(row: Mapping[str, object], key: str) -> object:
    """What a row says, or will say."""
    later = row.get("pending")
    return row.get(key) or (later.get(key) if isinstance(later, Mapping) else None)


@routes.add(f"GET {BASE}/fabric", takes=SEEN)
def fabrics(call: Call) -> object:
    """Fabrics that the caller may see."""
    return [
        row
        for row in view(call, fabrics_of)
        if call.may(f"/sdn/fabrics/{value_of(row, 'id')}", *SEE)
    ]


def need_fabric(entries: Mapping[str, Entry], name: str) -> Entry:
    """A fabric's row. Raises if there is none."""
    if (row := fabrics_of(entries).get(name)) is None:
        raise died(f"fabric '{name}' does not exist in configuration")
    return row


def shown(call: Call, row: Entry) -> object:
    """A row as it is shown alone."""
    return {**_listed(row), "digest": FABRICS.digest(call.documents)}


@routes.add(f"GET {BASE}/fabric/{{id}}", "/sdn/fabrics/{id} SDN.Audit|SDN.Allocate", _ID)
def fabric(call: Call) -> object:
    """One fabric, as it is staged."""
    return shown(call, need_fabric(FABRICS.entries(call.documents), call.text("id")))


def _settings(call: Call) -> dict[str, Value]:
    """What was sent, as it is kept. Raises for what the protocol does not have."""
    protocol = call.text("protocol")
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        told = f"value '{protocol}' does not have a value in the enumeration '{known}'"
        raise bad_parameters(protocol=told)
    if unknown := {key: UNKNOWN for key in sorted(NOT_BUILT) if call.has(key)}:
        raise wrong(unknown)
    sent = {key: call.values[key] for key in call.values if call.has(key) and key in _SETTINGS}
    if isinstance(given := sent.get("interfaces"), tuple):
        name, problems = f"{protocol}-interface", dict[str, str]()
        for number, item in enumerate(given):
            place = f"interfaces[{number}]"
            if problem := property_problem(place, PROPERTY_STRINGS[name], item):
                problems[place] = f"invalid format - {problem}"
        if problems:
            raise wrong(problems)
        sent["interfaces"] = tuple(_printed(parse(name, item)) for item in given)
    return sent


def _printed(values: Mapping[str, object]) -> str:
    return ",".join(f"{key}={values[key]}" for key in INTERFACE_KEYS if key in values)


def write(call: Call, entries: Mapping[str, Entry]) -> None:
    """Keep all sections. Raises if they do not fit together."""
    need_valid(entries)
    FABRICS.write(call.documents, in_order(entries))


def changed(call: Call, old: Entry, entry: Entry) -> Entry:
    """A section after a PUT."""
    if old["protocol"] != call.text("protocol"):
        raise died("node has a different protocol than the referenced fabric")
    given, sent = call.values.get("delete"), _settings(call)
    gone = given if isinstance(given, tuple) else ()
    kind = FABRICS.types[str(entry["type"])]
    check_known(kind, sent)
    check_removable(kind, gone, {})
    return {key: value for key, value in {**entry, **sent}.items() if key not in gone}


def add(call: Call, name: str, kind: str, entries: dict[str, Entry]) -> None:
    """Keep a new section. `kind`: fabric or node. Raises for what its protocol has not or lacks."""
    settings = _settings(call)
    entry: Entry = {"type": f"{call.text('protocol')}_{kind}", **settings}
    known = FABRICS.types[str(entry["type"])]
    check_known(known, settings)
    for key in known.required:
        if key not in settings:
            raise died(f"missing field `{key}`")
    entries[name] = entry
    write(call, entries)


@routes.add(f"POST {BASE}/fabric", "/sdn/fabrics SDN.Allocate", _ID + FABRIC_KEYS + COMMON)
def add_fabric(call: Call) -> object:
    """A new fabric, without nodes."""
    name = call.text("id")
    with sdn_state.locked(call, "adding fabric failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        if name in entries:
            raise died(f"fabric '{name}' already exists in config")
        add(call, name, "fabric", entries)
    return None


@routes.add(
    f"PUT {BASE}/fabric/{{id}}",
    "/sdn/fabrics/{id} SDN.Allocate",
    _ID + FABRIC_KEYS + COMMON + "delete? array\n",
)
def update_fabric(call: Call) -> object:
    """Change a fabric; its nodes must still fit."""
    name = call.text("id")
    with sdn_state.locked(call, "updating fabric failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        entries[name] = changed(call, need_fabric(entries, name), entries[name])
        write(call, entries)
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
        need_fabric(entries, name)
        write(call, {key: row for key, row in entries.items() if key.split("_")[0] != name})
    return None
