"""Services: running or stopped now, and whether they start with the array.

Since 25.10 `service.control` is a job and the plain calls are on their way out. Source: reference
of the TrueNAS API, files.
"""

from __future__ import annotations

from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.documents import Documents, Row
from simulator.truenas.errors import no_such

TABLE = "service"
NAMES = (
    "cifs",
    "ftp",
    "iscsitarget",
    "nfs",
    "snmp",
    "ssh",
    "ups",
)  # only iscsitarget and nfs have physics


def _find(call: Call, known: object) -> Row:
    for identity, row in call.documents.rows(TABLE).items():
        if known in (identity, row["service"]) or str(identity) == known:
            return row
    raise no_such("Service", known)


def _entry(row: Row) -> Entry:
    return {**row, "pids": [1000 + row["id"]] if row["state"] == "RUNNING" else []}


def _put(call: Call, row: Row, **changes: object) -> None:
    new = {**row, **changes}
    call.documents.rows(TABLE)[row["id"]] = new
    call.documents.changed()
    call.emit("service.query", "changed", row["id"], _entry(new))


def boot(documents: Documents) -> None:
    """What runs after a start of the array: what is enabled."""
    rows = documents.rows(TABLE)
    for identity, row in list(rows.items()):
        rows[identity] = {**row, "state": "RUNNING" if row["enable"] else "STOPPED"}
    documents.changed()


@serves("service.query")
def query(call: Call) -> object:
    """Services."""
    return call.selected([_entry(row) for row in call.documents.rows(TABLE).values()])


@serves("service.get_instance")
def get_instance(call: Call) -> object:
    """One of them."""
    return _entry(_find(call, call.args["id"]))


@serves("service.update")
def update(call: Call) -> object:
    """Whether it starts with the array; the id."""
    row = _find(call, call.args["id_or_name"])
    _put(call, row, enable=call.data["enable"])
    return row["id"]


@serves("service.started")
def started(call: Call) -> object:
    """Whether it runs."""
    return bool(_find(call, call.args["service"])["state"] == "RUNNING")


def _set(call: Call, state: str) -> bool:
    _put(call, _find(call, call.args["service"]), state=state)
    return state == "RUNNING"


@serves("service.start")
def start(call: Call) -> object:
    """Start it now."""
    return _set(call, "RUNNING")


@serves("service.stop")
def stop(call: Call) -> object:
    """Stop it now; the answer is whether it runs."""
    return _set(call, "STOPPED")


@serves("service.restart")
def restart(call: Call) -> object:
    """Stop and start it."""
    return _set(call, "RUNNING")


@serves("service.reload")
def reload(call: Call) -> object:
    """Let it read its configuration; a stopped one stays so."""
    return bool(_find(call, call.args["service"])["state"] == "RUNNING")


@serves("service.control")
def control(call: Call) -> object:
    """The same as a job; the answer is whether the verb did what it says."""
    verb = call.args["verb"]
    if verb == "RELOAD":
        return reload(call)
    running = _set(call, "STOPPED" if verb == "STOP" else "RUNNING")
    return running or verb == "STOP"
