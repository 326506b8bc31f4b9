"""The cluster as a whole: version, status, options, log, free ids. Source: PVE::API2::Cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Documents
from simulator.pve.parameters import PROPERTY_STRINGS, Value, parse, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.sections import check_option_lines, digest_of_text
from simulator.pve.wire import bad_parameters, died
from simulator.pve_datacenter.resources import fingerprint
from simulator.pve_guest.guest_config import MAC_PREFIX

routes = Routes()
index(routes, "/", "version cluster nodes storage access pools", "subdir")
index(
    routes,
    "/cluster",
    "acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics "
    "notifications nextid options qemu replication resources status tasks sdn",
)


@routes.add("GET /version")
def version(call: Call) -> object:
    """Release of the cluster."""
    return dict(call.api.release.version)


@routes.add("GET /cluster/status", "/ Sys.Audit")
def status(call: Call) -> object:
    """The cluster and its nodes, as the node asked sees them."""
    world = call.world
    rows: list[dict[str, object]] = [
        {
            "id": "cluster",
            "type": "cluster",
            "name": call.api.cluster_name,
            "nodes": len(world.nodes),
            "quorate": int(world.quorate(call.node)),
            "version": len(world.nodes),
        }
    ]
    for number, node in enumerate(world.nodes, 1):
        rows.append(
            {
                "id": f"node/{node}",
                "type": "node",
                "name": node,
                "nodeid": number,
                "ip": world.address(node),
                "online": int(world.online(node, call.node)),
                "local": int(node == call.node),
                "level": "",
            }
        )
    return rows


@routes.add("GET /cluster/log", takes="max? integer 1..")
def log(call: Call) -> object:
    """Recent lines of the cluster log, newest first; without Sys.Syslog one's own."""
    everything = call.may("/", "Sys.Syslog")
    lines = [line for line in reversed(call.documents.log) if everything or line.user == call.user]
    return [
        {
            "uid": str(line.uid),
            "time": line.time_s,
            "node": line.node,
            "user": line.user,
            "pri": line.pri,
            "tag": line.tag,
            "pid": line.pid,
            "msg": line.msg,
        }
        for line in lines[: call.number("max", 50)]
    ]


LAST_ID = 1_000_000  # datacenter.cfg, next-id: default upper


@routes.add("GET /cluster/nextid", takes="vmid? integer:pve-vmid 100..999999999")
def next_id(call: Call) -> object:
    """A free id: the one asked for, or the lowest of the range."""
    guests = call.documents.guests
    if call.has("vmid"):
        if call.number("vmid") in guests:
            raise bad_parameters(vmid=f"VM {call.number('vmid')} already exists")
        return call.text("vmid")
    bounds = propertystring.split(str(call.documents.options.get("next-id") or ""))
    lower, upper = int(bounds.get("lower", 100)), int(bounds.get("upper", LAST_ID))
    for vmid in range(lower, upper):
        if vmid not in guests:
            return str(vmid)
    raise died(f"unable to get any free VMID in range [{lower}, {upper - 1}]")


_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*"
_COLOURS = rf"{_TAG}:[0-9a-fA-F]{{6}}(?::[0-9a-fA-F]{{6}})?"
_NETWORK = "network? CIDR\ntype* enum(secure,insecure)"
_ALWAYS = "enum(always,never)"
_STRINGS: Mapping[str, str] = {
    "bwlimit": """
        clone?      number 0..
        default?    number 0..
        migration?  number 0..
        move?       number 0..
        restore?    number 0..
        """,
    "crs": """
        ha?                               enum(basic,static,dynamic)
        ha-auto-rebalance?                boolean
        ha-auto-rebalance-hold-duration?  number 0.. requires=ha-auto-rebalance
        ha-auto-rebalance-margin?         number 0..100 requires=ha-auto-rebalance
        ha-auto-rebalance-method?         enum(bruteforce,topsis) requires=ha-auto-rebalance
        ha-auto-rebalance-threshold?      number 0..100 requires=ha-auto-rebalance
        ha-rebalance-on-start?            boolean
        """,
    "ha": "shutdown_policy enum(freeze,failover,conditional,migrate)",
    "migration": _NETWORK,
    "replication": _NETWORK,
    "next-id": "lower? integer\nupper? integer",
    "notify": f"""
        fencing?                 {_ALWAYS}
        package-updates?         enum(auto,always,never)
        replication?             {_ALWAYS}
        target-fencing?          string
        target-package-updates?  string
        target-replication?      string
        """,
    "tag-style": f"""
        case-sensitive?  boolean
        color-map?       /{_COLOURS}(?:;{_COLOURS})*/
        ordering?        enum(config,alphabetical)
        shape?           enum(full,circle,dense,none)
        """,
    "u2f": "appid? string\norigin? string",
    "user-tag-access": f"""
        user-allow?       enum(none,list,existing,free)
        user-allow-list?  /{_TAG}(?:;{_TAG})*/
        """,
    "webauthn": "allow-subdomains? boolean\nid? string\norigin? string\nrp? string",
}
for _name, _text in _STRINGS.items():
    PROPERTY_STRINGS[_name] = table(_text)
OBJECTS = frozenset(_STRINGS) - {"bwlimit"}
"""Options that come out as objects."""

OPTIONS = f"""
bwlimit?             {{bwlimit}}
consent-text?        string ..65536
console?             enum(applet,vv,html5,xtermjs)
crs?                 {{crs}}
delete?              pve-configid-list
description?         string ..65536
email_from?          email-opt
fencing?             enum(watchdog,hardware,both)
ha?                  {{ha}}
http_proxy?          /http://.*/
keyboard?            enum(de,de-ch,da,en-gb,en-us,es,fi,fr,fr-be,fr-ca,fr-ch,hu,is,it,ja,lt,mk,nl,
                          no,pl,pt,pt-br,sv,sl,tr)
language?            enum(ar,ca,da,de,en,es,eu,fa,fr,hr,he,it,ja,ka,kr,nb,nl,nn,pl,pt_BR,ru,sl,sv,
                          tr,ukr,zh_CN,zh_TW)
location?            string
mac_prefix?          mac-prefix
max_workers?         integer 1..
migration?           {{migration}}
migration_unsecure?  boolean
next-id?             {{next-id}}
notify?              {{notify}}
registered-tags?     /(?:{_TAG};)*{_TAG}/
replication?         {{replication}}
tag-style?           {{tag-style}}
u2f?                 {{u2f}}
user-tag-access?     {{user-tag-access}}
webauthn?            {{webauthn}}
"""


@routes.add("GET /cluster/options")
def options(call: Call) -> object:
    """Datacenter options; without Sys.Audit only what everybody needs."""
    kept = call.documents.options
    answer: dict[str, object] = {"allowed-tags": _allowed_tags(call)}
    if not call.may("/", "Sys.Audit"):
        return answer | {
            key: _shown(key, kept[key]) for key in ("console", "tag-style") if key in kept
        }
    answer |= {"mac_prefix": MAC_PREFIX, "description": ""}
    return answer | {key: _shown(key, value) for key, value in kept.items()}


def _shown(key: str, value: Value) -> object:
    text = str(value)
    if key == "registered-tags":
        return text.split(";")
    if key not in OBJECTS:
        return text
    values: dict[str, object] = dict(parse(key, text))
    if "user-allow-list" in values:
        values["user-allow-list"] = str(values["user-allow-list"]).split(";")
    return values


def _allowed_tags(call: Call) -> list[str]:
    """Tags for the caller: registered ones for who may change options, and those of the list."""
    kept = call.documents.options
    access = propertystring.split(str(kept.get("user-tag-access") or ""))
    tags: set[str] = set()
    if call.may("/", "Sys.Modify"):
        tags |= set(filter(None, str(kept.get("registered-tags") or "").split(";")))
    if access.get("user-allow", "free") == "list" or call.may("/", "Sys.Modify"):
        tags |= set(filter(None, access.get("user-allow-list", "").split(";")))
    if access.get("user-allow", "free") in ("existing", "free"):
        tags |= _tags_in_use(call.documents)
    return sorted(tags)


def _tags_in_use(documents: Documents) -> set[str]:
    return {
        tag
        for guest in documents.guests.values()
        for tag in items(str(guest.current.get("tags") or ""))
    }


@routes.add("PUT /cluster/options", "/ Sys.Modify", OPTIONS)
def update_options(call: Call) -> object:
    """Change datacenter options; deleting comes last and knows no wrong names."""
    sent = {key: call.text(key) for key in call.values if call.has(key) and key != "delete"}
    if "next-id" in sent:
        bounds = propertystring.split(sent["next-id"])
        if {"lower", "upper"} <= bounds.keys() and int(bounds["lower"]) > int(bounds["upper"]):
            raise died(
                f"lower ({bounds['lower']}) <= upper ({bounds['upper']}) boundary rule broken"
            )
    if "description" in sent:
        sent["description"] = sent["description"].rstrip("\n") + "\n"
    with call.locked("datacenter_cfg"):
        check_option_lines(sent)
        call.documents.options.update(sent)
        for key in call.words("delete"):
            call.documents.options.pop(key, None)
        call.api.sync(call.twin)
    return None


index(routes, "/cluster/config", "nodes totem join qdevice apiversion", may="/ Sys.Audit")


def _totem(call: Call) -> dict[str, object]:
    """As corosync.conf has it, numbers as text."""
    links = len(call.twin.model.lab.clusters[call.api.cluster].corosync.links)
    return {
        "cluster_name": call.api.cluster_name,
        "config_version": str(len(call.world.nodes)),
        "interface": {str(link): {"linknumber": str(link)} for link in range(links)},
        "ip_version": "ipv4-6",
        "link_mode": "passive",
        "secauth": "on",
        "version": "2",
    }


@routes.add("GET /cluster/config/totem", "/ Sys.Audit")
def totem(call: Call) -> object:
    """Corosync's totem section."""
    return _totem(call)


@routes.add("GET /cluster/config/qdevice", "/ Sys.Audit")
def qdevice(call: Call) -> object:
    """State of an outside vote: no cluster of the twin has one."""
    return {}


@routes.add("GET /cluster/config/apiversion", "/ Sys.Audit")
def api_version(call: Call) -> object:
    """Version of the join protocol."""
    return "1"


@routes.add("GET /cluster/config/join", "/ Sys.Audit", "node? pve-node")
def join_info(call: Call) -> object:
    """What a node that joins needs to know."""
    rows = [
        {key: value for key, value in row.items() if key != "node"}
        | {"pve_addr": row["ring0_addr"], "pve_fp": fingerprint(call.api, row["name"])}
        for row in _members(call)
    ]
    totem = _totem(call)
    preferred = call.text("node", call.node)
    return {
        "totem": totem,
        "preferred_node": preferred,
        "config_digest": digest_of_text(json.dumps([totem, rows])),
        "nodelist": rows,
    }


@routes.add("GET /cluster/config/nodes", "/ Sys.Audit")
def config_nodes(call: Call) -> object:
    """Members as corosync.conf names them."""
    return _members(call)


def _members(call: Call) -> list[dict[str, str]]:
    return [
        {
            "name": node,
            "node": node,
            "nodeid": str(number),
            "quorum_votes": "1",
            "ring0_addr": call.world.address(node),
        }
        for number, node in enumerate(call.world.nodes, 1)
    ]
