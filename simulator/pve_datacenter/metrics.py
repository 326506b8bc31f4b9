"""Metric servers: where nodes send their figures. Source: PVE::API2::Cluster::MetricServer.

Kept and shown; nothing is sent. A token is a secret: it is taken and never shown or kept.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.formats import FORMATS
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.sections import (
    SectionFile,
    check_fixed,
    check_known,
    check_new,
    check_removable,
    section_type,
)
from simulator.pve.wire import died

routes = Routes()
index(routes, "/cluster/metrics", "server export")

FORMATS["graphite-path"] = lambda text: (
    ""
    if all(part.replace("_", "a").replace("-", "a").isalnum() for part in text.split("."))
    else f"invalid path '{text}'\n"
)
_KEYS = """
api-path-prefix?           string
bucket?                    string
disable?                   boolean
influxdbproto?             enum(udp,http,https)
max-body-size?             integer 1..
mtu?                       integer 512..65536
organization?              string
otel-compression?          enum(none,gzip)
otel-headers?              string ..1024
otel-max-body-size?        integer 1024..
otel-path?                 string
otel-protocol?             enum(http,https)
otel-resource-attributes?  string ..1024
otel-timeout?              integer 1..10
otel-verify-ssl?           boolean
path?                      graphite-path
port                       integer 1..65536
proto?                     enum(udp,tcp)
server                     address
timeout?                   integer 0..
token?                     string
verify-certificate?        boolean
"""
SERVERS = SectionFile(
    "status.cfg",
    _KEYS,
    {
        "graphite": section_type("server+ port+ path proto timeout mtu disable"),
        "influxdb": section_type(
            "server+ port+ mtu disable organization bucket token influxdbproto timeout "
            "max-body-size api-path-prefix verify-certificate"
        ),
        "opentelemetry": section_type(
            "server+ port+ disable mtu timeout otel-protocol otel-path otel-timeout otel-headers "
            "otel-verify-ssl otel-max-body-size otel-resource-attributes otel-compression"
        ),
    },
)
_ID = "id pve-configid\n"
AUDIT, MODIFY = "/ Sys.Audit", "/ Sys.Modify"


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "type", "digest", "delete")
    return {
        key: value for key, value in call.values.items() if key not in skipped and call.has(key)
    }


def _kept(entry: Entry) -> Entry:
    return {key: value for key, value in entry.items() if key != "token"}


def _need_connection(entry: Entry) -> None:
    """Raise for a server that is asked whether it is there, which the twin has none of."""
    if entry.get("disable"):
        return
    where = f"{entry.get('server')}:{entry.get('port')}"
    if entry["type"] == "graphite" and entry.get("proto") == "tcp":
        raise died(f"couldn't create carbon socket [{entry.get('server')}]:{entry.get('port')}")
    asked = entry.get("otel-protocol", "https") if entry["type"] == "opentelemetry" else None
    if (asked or entry.get("influxdbproto", "udp")) != "udp":
        raise died(f"500 Can't connect to {where} (Connection refused)")


@routes.add("GET /cluster/metrics/server", AUDIT)
def servers(call: Call) -> object:
    """All servers, in short."""
    shown = ("type", "disable", "server", "port")
    return [
        {"id": name, "disable": 0, **{key: entry[key] for key in shown if key in entry}}
        for name, entry in SERVERS.entries(call.documents).items()
    ]


@routes.add("GET /cluster/metrics/server/{id}", AUDIT, _ID)
def server(call: Call) -> object:
    """One server."""
    name, known = call.text("id"), SERVERS.entries(call.documents)
    if name not in known:
        raise died(f"status server entry '{name}' does not exist")
    return {**known[name], "digest": SERVERS.digest(call.documents)}


@routes.add(
    "POST /cluster/metrics/server/{id}",
    MODIFY,
    _ID + _KEYS + f"type enum({','.join(SERVERS.types)})\n",
)
def create(call: Call) -> object:
    """A new server."""
    name, sent = call.text("id"), _sent(call)
    with call.locked("status_cfg"):
        known = SERVERS.entries(call.documents)
        if name in known:
            raise died(f"Metric server '{name}' already exists")
        check_new(SERVERS.types[call.text("type")], sent)
        entry = {"type": call.text("type"), **_kept(sent)}
        _need_connection(entry)
        SERVERS.put(call.documents, name, entry)
    return None


@routes.add(
    "PUT /cluster/metrics/server/{id}",
    MODIFY,
    _ID + _KEYS + "delete? pve-configid-list ..4096\ndigest? string ..64\n",
)
def update(call: Call) -> object:
    """Change a server."""
    name, sent = call.text("id"), _sent(call)
    with call.locked("status_cfg"):
        call.need_digest(SERVERS.digest(call.documents))
        known = SERVERS.entries(call.documents)
        if name not in known:
            raise died(f"no such server '{name}'")
        kind = SERVERS.types[str(known[name]["type"])]
        check_known(kind, sent)
        check_fixed(kind, known[name], sent)
        check_removable(kind, call.words("delete"), sent)
        left = {k: v for k, v in known[name].items() if k not in call.words("delete")}
        entry = {**left, **_kept(sent)}
        _need_connection(entry)
        SERVERS.put(call.documents, name, entry)
    return None


@routes.add("DELETE /cluster/metrics/server/{id}", MODIFY, _ID)
def delete(call: Call) -> object:
    """Forget a server."""
    with call.locked("status_cfg"):
        known = SERVERS.entries(call.documents)
        if call.text("id") not in known:
            place = "/usr/share/perl5/PVE/API2/Cluster/MetricServer.pm line 289."
            raise died(f"cannot lookup undefined type! at {place}")
        SERVERS.put(call.documents, call.text("id"), None)
    return None
