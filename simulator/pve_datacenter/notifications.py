"""Notifications: where they can go, and which of them go where. Source: PVE::API2::Cluster::
Notifications, proxmox-notify; administration guide, notifications.

notifications.cfg holds targets and matchers. Two entries are built in: they may be changed, and
deleting one brings it back as it was. Tokens, passwords and the values of secrets are taken and
neither kept nor shown. Leaves out: sending; a test hands its mail to the node's own mailer, and
reaches no server, as the twin has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.sections import CHANGED
from simulator.pve.wire import ApiError, bad_parameters
from simulator.pve_datacenter.notification_kinds import ENDPOINTS, FILE, MATCHER, SEVERITIES, Kind

routes = Routes()
_BASE = "/cluster/notifications"
index(routes, _BASE, "endpoints matcher-field-values matcher-fields matchers targets")
index(routes, f"{_BASE}/endpoints", "gotify sendmail smtp webhook")

PATH = "/mapping/notifications"
AUDIT, MODIFY = f"{PATH} Mapping.Modify, {PATH} Mapping.Audit", f"{PATH} Mapping.Modify"
USE = f"{AUDIT}, {PATH} Mapping.Use"
_NAME = "name pve-configid\n"
_CHANGES = "delete? array:pve-configid\ndigest? string ..64\n"


def _may_send(call: Call) -> None:
    """Whoever makes the cluster speak to others must be trusted with more than mappings."""
    call.need(PATH, "Mapping.Modify")
    if not (call.may("/", "Sys.Audit") and call.may("/", "Sys.Modify")):
        call.need("/", "Sys.AccessNetwork")


def _lock(call: Call) -> None:
    """Raise where /etc/pve can't be written. What fails later is told as it is, not as a lock's."""
    with call.locked("notifications_cfg"):
        return


def _shown(name: str, entry: Entry) -> dict[str, object]:
    """An entry with its arrays as such, and without its type."""
    kept = {key: list(v) if isinstance(v, tuple) else v for key, v in entry.items()}
    return {"name": name, **{key: value for key, value in kept.items() if key != "type"}}


def _origin(name: str, entry: Entry) -> str:
    if (known := FILE.builtin.get(name)) is None:
        return "user-created"
    return "builtin" if dict(entry) == dict(known) else "modified-builtin"


def _entries(call: Call, kind: Kind) -> dict[str, Entry]:
    known = FILE.entries(call.documents)
    return {name: entry for name, entry in known.items() if entry["type"] == kind.name}


def _find(call: Call, kind: Kind) -> Entry:
    name = call.text("name")
    if (entry := _entries(call, kind).get(name)) is None:
        word = "matcher" if kind is MATCHER else "endpoint"
        raise ApiError(404, f"{word} '{name}' not found\n")
    return entry


def _sent(call: Call, kind: Kind) -> dict[str, Value]:
    """What was sent, of named secrets only the name; the file has no place for other ones."""
    sent = {key: call.values[key] for key in kind.names if call.has(key)}
    if isinstance(secrets := sent.get("secret"), tuple):
        names = (propertystring.split(text, "name").get("name", "") for text in secrets)
        sent["secret"] = tuple(f"name={name}" for name in names)
    return sent


def _check(call: Call, kind: Kind, entry: Entry) -> None:
    """Raise for what does not fit together. All of it is told as a bad request."""
    if kind.name in ("sendmail", "smtp") and not (entry.get("mailto") or entry.get("mailto-user")):
        text = "must at least provide one recipient, either in mailto or in mailto-user\n"
        raise ApiError(400, text)
    known = FILE.entries(call.documents)
    for target in _items(entry, "target"):
        if target not in known or known[target]["type"] not in ENDPOINTS:
            raise ApiError(404, f"endpoint '{target}' does not exist\n")
    for text in _items(entry, "match-field"):
        if not re.fullmatch(r"(exact|regex):[\w-]+=.+", text):
            raise bad_parameters(**{"match-field": f"invalid match-field statement '{text}'"})
    for text in _items(entry, "match-severity"):
        if unknown := next((w for w in text.split(",") if w.strip() not in SEVERITIES), None):
            raise bad_parameters(**{"match-severity": f"unknown severity {unknown}"})


def _items(entry: Entry, key: str) -> tuple[str, ...]:
    known = entry.get(key)
    return known if isinstance(known, tuple) else ()


def _listing(kind: Kind) -> Callable[[Call], object]:
    def entries(call: Call) -> object:
        return [
            {**_shown(name, entry), "origin": _origin(name, entry)}
            for name, entry in _entries(call, kind).items()
        ]

    return entries


def _reading(kind: Kind) -> Callable[[Call], object]:
    def entry(call: Call) -> object:
        shown = _shown(call.text("name"), _find(call, kind))
        return {**shown, "digest": FILE.digest(call.documents)}

    return entry


def _creating(kind: Kind) -> Callable[[Call], object]:
    def create(call: Call) -> object:
        name = call.text("name")
        _lock(call)
        if name in FILE.entries(call.documents):
            text = f"Cannot create '{name}', an entity with the same name already exists\n"
            raise ApiError(400, text)
        entry = {"type": kind.name, **_sent(call, kind)}
        _check(call, kind, entry)
        FILE.put(call.documents, name, entry)
        return None

    return create


def _changing(kind: Kind) -> Callable[[Call], object]:
    def change(call: Call) -> object:
        _lock(call)
        if call.has("digest") and call.text("digest") != FILE.digest(call.documents):
            raise ApiError(400, f"{CHANGED}\n")
        entry = dict(_find(call, kind))
        for key in _items(call.values, "delete"):
            if key not in kind.names or key in kind.required:
                raise bad_parameters(delete=f"can't delete option '{key}'")
            entry.pop(key, None)
        entry |= _sent(call, kind)
        _check(call, kind, entry)
        FILE.put(call.documents, call.text("name"), entry)
        return None

    return change


def _deleting(kind: Kind) -> Callable[[Call], object]:
    def delete(call: Call) -> object:
        name = call.text("name")
        _lock(call)
        _find(call, kind)
        known = FILE.entries(call.documents)
        users = [user for user, entry in known.items() if name in _items(entry, "target")]
        if users and name not in FILE.builtin:
            text = f"cannot delete '{name}', referenced by: {', '.join(users)}\n"
            raise ApiError(400, text)
        FILE.put(call.documents, name, None)
        return None

    return delete


def _serve(kind: Kind, path: str) -> None:
    """The five calls of a kind."""
    may_list = {"gotify": f"{PATH} Mapping.Audit", "webhook": f"{PATH} Mapping.Audit"}
    send = MODIFY if kind is MATCHER else _may_send
    named = f"{path}/{{name}}"
    listed = USE if kind is MATCHER else may_list.get(kind.name, AUDIT)
    routes.add(f"GET {path}", listed)(_listing(kind))
    routes.add(f"GET {named}", AUDIT, _NAME)(_reading(kind))
    routes.add(f"POST {path}", send, _NAME + kind.keys)(_creating(kind))
    routes.add(f"PUT {named}", send, _NAME + kind.optional_keys + _CHANGES)(_changing(kind))
    routes.add(f"DELETE {named}", MODIFY, _NAME)(_deleting(kind))


for _kind in ENDPOINTS.values():
    _serve(_kind, f"{_BASE}/endpoints/{_kind.name}")
_serve(MATCHER, f"{_BASE}/matchers")


@routes.add(f"GET {_BASE}/targets", USE)
def targets(call: Call) -> object:
    """All endpoints, in short."""
    return [
        {
            "name": name,
            "type": entry["type"],
            "origin": _origin(name, entry),
            **{key: entry[key] for key in ("comment", "disable") if key in entry},
        }
        for kind in ENDPOINTS.values()
        for name, entry in _entries(call, kind).items()
    ]


@routes.add(f"POST {_BASE}/targets/{{name}}/test", USE, _NAME)
def try_target(call: Call) -> object:
    """Send a notification to one target."""
    name = call.text("name")
    entry = FILE.entries(call.documents).get(name)
    if entry is None or entry["type"] not in ENDPOINTS:
        raise ApiError(404, f"endpoint '{name}' not found\n")
    if entry["type"] != "sendmail":
        where = entry.get("server") or entry.get("url")
        raise ApiError(500, f"could not notify via endpoint(s): {name}: can't connect to {where}\n")
    return None


@routes.add(f"GET {_BASE}/matcher-fields", AUDIT)
def matcher_fields(call: Call) -> object:
    """What a matcher can look at besides the severity and the time."""
    del call
    return [{"name": name} for name in ("type", "hostname", "job-id")]


@routes.add(f"GET {_BASE}/matcher-field-values", AUDIT)
def matcher_field_values(call: Call) -> object:
    """What those fields can hold."""
    types = ("fencing", "package-updates", "replication", "system-mail", "vzdump")
    rows = [{"field": "type", "value": value} for value in types]
    rows += [{"field": "hostname", "value": node} for node in call.world.nodes]
    for name, job in call.documents.jobs.items():
        comment = str(job.get("comment") or "")
        row = {"field": "job-id", "value": name}
        rows.append(row | ({"comment": comment} if comment else {}))
    return rows
