"""Taking users and groups over from a directory: at once, and as jobs that are kept.

Source: PVE::API2::Domains sync, PVE::API2::Jobs::RealmSync. Leaves out: a directory that answers,
so that every synchronisation waits in vain for each of the realm's servers, and running the jobs.
"""

from __future__ import annotations

from simulator.pve import propertystring
from simulator.pve.calendar import parse_calendar
from simulator.pve.call import Call
from simulator.pve.cluster_files import JOBS
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes
from simulator.pve.sections import check_known, check_new, check_removable
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_datacenter.realms import DIRECTORIES, SYNC_KEYS

routes = Routes()

BASE = "/cluster/jobs/realm-sync"
AUDIT = "/ Sys.Audit"
TIMEOUT_S = 10.0  # PVE::LDAP, ldap_connect
_ID = "id pve-configid\n"
_KEYS = """
id                pve-configid ..64
comment?          string ..512
enable-new?       boolean
enabled?          boolean
remove-vanished?  /(?:(?:(?:acl|properties|entry);)*(?:acl|properties|entry))|none/
schedule          pve-calendar-event ..128
scope?            enum(users,groups,both)
"""


def _may_sync(call: Call) -> None:
    """Rights over the realm's users and over groups."""
    realm = call.text("realm")
    call.need(f"/access/realm/{realm}" if realm else "/access/realm", "Realm.AllocateUser")
    call.need("/access/groups", "User.Modify")


@routes.add(
    "POST /access/domains/{realm}/sync",
    _may_sync,
    SYNC_KEYS + "dry-run? boolean\nrealm pve-realm ..32\n",
)
def sync(call: Call) -> object:
    """Ask a directory for its users and groups: a task."""
    name = call.text("realm")
    if (realm := call.documents.domains.get(name)) is None:
        raise bad_parameters(realm="Realm does not exist.")
    if realm["type"] not in DIRECTORIES:
        raise died("Only LDAP/AD realms can be synced.")
    defaults = propertystring.split(str(realm.get("sync-defaults-options") or ""))
    if not (call.has("scope") or "scope" in defaults):
        told = "Not passed as parameter and not defined in realm default sync options."
        raise bad_parameters(scope=told)
    kind = "auth-realm-sync-test" if call.flag("dry-run") else "auth-realm-sync"
    servers = sum(1 for key in ("server1", "server2") if realm.get(key))
    return start_task(call, kind, name, {"finish": "auth-realm-sync"}, took_s=TIMEOUT_S * servers)


def _finish_sync(worker: Worker) -> None:
    dry = "(dry test run) " if worker.task.type == "auth-realm-sync-test" else ""
    worker.say(f"{dry}starting sync for realm {worker.task.id}")
    raise TaskError("connect: Connection timed out")


FINISH["auth-realm-sync"] = _finish_sync


def _jobs(call: Call) -> dict[str, Entry]:
    known = call.documents.jobs
    return {name: entry for name, entry in known.items() if entry["type"] == "realm-sync"}


def _shown(name: str, entry: Entry) -> dict[str, object]:
    return {"id": name, "enabled": 1, **entry}


@routes.add(f"GET {BASE}", AUDIT)
def jobs(call: Call) -> object:
    """All jobs, each with its next run."""
    return [
        {
            **_shown(name, entry),
            "next-run": parse_calendar(str(entry["schedule"])).next_run_s(call.now_s),
        }
        for name, entry in _jobs(call).items()
    ]


def _find(call: Call) -> Entry:
    name = call.text("id")
    if (entry := _jobs(call).get(name)) is None:
        raise bad_parameters(id=f"No such job '{name}'")
    return entry


@routes.add(f"GET {BASE}/{{id}}", AUDIT, _ID)
def job(call: Call) -> object:
    """One job."""
    return _shown(call.text("id"), _find(call))


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "delete")
    return {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}


@routes.add(f"POST {BASE}/{{id}}", _may_sync, _KEYS + "realm? pve-realm ..32\n")
def create(call: Call) -> object:
    """A new job for a realm that can be synchronised."""
    name, sent = call.text("id"), _sent(call)
    with call.locked("jobs_cfg"):
        if name in call.documents.jobs:
            raise died(f"Job '{name}' already exists")
        check_new(JOBS.types["realm-sync"], sent)
        if (realm := call.documents.domains.get(str(sent["realm"]))) is None:
            raise bad_parameters(realm=f"No such realm '{sent['realm']}'")
        if realm["type"] not in DIRECTORIES:
            raise bad_parameters(realm="Only LDAP/AD realms can be synced.")
        call.documents.jobs[name] = {"type": "realm-sync", **sent}
    return None


@routes.add(f"PUT {BASE}/{{id}}", _may_sync, _KEYS + "delete? pve-configid-list ..4096\n")
def update(call: Call) -> object:
    """Change a job; its realm stays."""
    name, sent, kind = call.text("id"), _sent(call), JOBS.types["realm-sync"]
    with call.locked("jobs_cfg"):
        check_known(kind, sent)
        if (old := _jobs(call).get(name)) is None:
            raise died("no such realm-sync job")
        check_removable(kind, call.words("delete"), sent)
        kept = {key: value for key, value in old.items() if key not in call.words("delete")}
        call.documents.jobs[name] = {**kept, **sent}
    return None


@routes.add(f"DELETE {BASE}/{{id}}", "/ Sys.Modify", _ID)
def delete(call: Call) -> object:
    """Remove a job."""
    with call.locked("jobs_cfg"):
        _find(call)
        del call.documents.jobs[call.text("id")]
    return None
