"""Backup jobs. Source: PVE::API2::Backup, PVE::VZDump verify_vzdump_parameters.

Jobs are kept and their next run is told. Leaves out: running one (`vzdump` backs up at once).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from simulator.pve import load, propertystring
from simulator.pve.calendar import calendar_problem, parse_calendar
from simulator.pve.call import Call
from simulator.pve.cluster_files import BACKUP_JOB
from simulator.pve.documents import Entry
from simulator.pve.parameters import PROPERTY_STRINGS, Value, parse, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.wire import bad_parameters, died
from simulator.pve_guest.guest_config import pool_error

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Modify"

PROPERTY_STRINGS["backup-fleecing"] = table("enabled?* boolean\nstorage? pve-storage-id")
PROPERTY_STRINGS["backup-performance"] = table(
    "max-workers? integer 1..256\npbs-entries-max? integer 1.."
)
_KEEP = "\n".join(
    f"keep-{n}? integer 0.." for n in items("last hourly daily weekly monthly yearly")
)


def _kept_twice(keep: Entry) -> str:
    """Whether everything shall be kept and not. Source: PVE::JSONSchema validate_prune_backups."""
    some = any(number for key, number in keep.items() if key != "keep-all")
    both = some and keep.get("keep-all")
    return "keep-all cannot be set together with other options.\n" if both else ""


PROPERTY_STRINGS["prune-backups"] = table(f"keep-all? boolean\n{_KEEP}", problem=_kept_twice)
OBJECTS = {
    "prune-backups": "prune-backups",
    "fleecing": "backup-fleecing",
    "performance": "backup-performance",
}
"""Options that come out as objects."""

ROOT_ONLY = ("tmpdir", "dumpdir", "script")
ID = r"id /\S+/ ..50" "\n"
KEPT = frozenset({"id", "delete", "schedule"})
"""What a job has for good, or what is no setting of it."""


def _jobs(call: Call) -> dict[str, Entry]:
    known = call.documents.jobs
    return {name: entry for name, entry in known.items() if entry["type"] == "vzdump"}


def _shown(name: str, entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"id": name, "type": "vzdump", "enabled": 1, **entry}
    for key, kind in OBJECTS.items():
        if key in entry:
            row[key] = parse(kind, str(entry[key]))
    return row


@routes.add("GET /cluster/backup", AUDIT)
def jobs(call: Call) -> object:
    """All jobs, each with its next run."""
    rows = []
    for name, entry in _jobs(call).items():
        row = _shown(name, entry)
        schedule = str(entry["schedule"])
        run_s = None
        if not calendar_problem(schedule):  # a start time can be one that no day has
            run_s = parse_calendar(schedule).next_run_s(call.now_s)
        rows.append(row | ({"next-run": run_s} if run_s is not None else {}))
    return rows


def _find(call: Call) -> tuple[str, Entry]:
    name = call.text("id")
    if (entry := _jobs(call).get(name)) is None:
        raise bad_parameters(id=f"No such job '{name}'")
    return name, entry


@routes.add("GET /cluster/backup/{id}", AUDIT, ID)
def job(call: Call) -> object:
    """One job."""
    return _shown(*_find(call))


def _schedule(call: Call, sent: dict[str, Value], *, needed: bool) -> None:
    """A start time and days of the week are told as a calendar event."""
    if "starttime" in sent and "schedule" in sent:
        raise bad_parameters(starttime="'starttime' and 'schedule' cannot both be set")
    if "starttime" in sent:
        days = call.text("dow")
        sent["schedule"] = f"{days} {sent.pop('starttime')}".strip()
        sent.pop("dow", None)
    if needed and "schedule" not in sent:
        raise bad_parameters(schedule="neither 'starttime' nor 'schedule' were set")


def need_job_rights(call: Call, sent: Mapping[str, Value]) -> None:
    """Raise unless the caller may use these settings of a backup."""
    for key in ROOT_ONLY:
        if sent.get(key) is not None and call.user != "root@pam":
            raise bad_parameters(**{key: "Only root may set this option."})
    if sent.get("pool") is not None:
        if sent["pool"] not in call.documents.pools:
            raise pool_error(str(sent["pool"]))
        call.need(f"/pool/{sent['pool']}", "VM.Backup")


NOTES = frozenset({"cluster", "guestname", "node", "vmid"})
"""What a template of notes may name."""


def _notes_problem(template: str) -> str:
    """What is unknown in a template of notes, with its place."""
    if "\n" in template:
        return "contains a line feed\n"
    unknown = [
        f"escape sequence '{found[0]}' at char {found.start()}"
        for found in re.finditer(r"\\(.)", template)
        if found[1] not in "n\\"
    ]
    unknown += [
        f"variable '{found[1]}' at char {found.start()}"
        for found in re.finditer(r"\{\{([^\s{}]+)\}\}", template)
        if found[1] not in NOTES
    ]
    return f"found unknown: {', '.join(unknown)}\n" if unknown else ""


def check_selection(sent: dict[str, Value], *, whole: bool = True) -> None:
    """Raise for settings of a backup that do not fit together; exceptions are from all guests.

    `whole`: guests must be chosen. Source: PVE::VZDump verify_vzdump_parameters.
    """
    for key in ("all", "exclude", "pool"):
        if sent.get(key) and sent.get("vmid"):
            raise bad_parameters(**{key: "option conflicts with option 'vmid'"})
    if problem := _notes_problem(str(sent.get("notes-template") or "")):
        raise bad_parameters(**{"notes-template": problem})
    if sent.get("exclude") is not None and not sent.get("pool"):
        sent["all"] = 1
    if whole and not any(sent.get(key) for key in ("all", "stop", "vmid", "pool")):
        raise bad_parameters(vmid="property is missing")


@routes.add("POST /cluster/backup", WRITE, BACKUP_JOB + "id? pve-configid")
def create_job(call: Call) -> object:
    """A new job."""
    sent = _sent(call)
    need_job_rights(call, sent)
    _schedule(call, sent, needed=True)
    name = call.text("id") or str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
    with call.locked("jobs_cfg"):
        if name in call.documents.jobs:
            raise died(f"Job '{name}' already exists")
        check_selection(sent)
        call.documents.jobs[name] = {"type": "vzdump", **sent}
    return None


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "delete")
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}
    if isinstance(paths := sent.get("exclude-path"), str):  # a list in one text, before 8
        sent["exclude-path"] = tuple(items(paths))
    return sent


def _replaced(sent: Entry, new: Entry) -> tuple[str, ...]:
    """Ways to choose guests in whose place another is, just sent or there already."""
    if sent.get("vmid") is not None:
        return ("all", "exclude", "pool")
    if sent.get("all"):
        return ("vmid", "pool")
    return ("vmid", "all", "exclude") if new.get("pool") else ()


@routes.add("PUT /cluster/backup/{id}", WRITE, ID + BACKUP_JOB + "delete? pve-configid-list")
def update_job(call: Call) -> object:
    """Change a job; another way to choose guests replaces the one it had."""
    sent = _sent(call)
    need_job_rights(call, sent)
    _schedule(call, sent, needed=False)
    name = call.text("id")
    with call.locked("jobs_cfg"):
        if not (sent or call.has("delete")):
            raise died("no options specified")
        check_selection(sent, whole=False)
        if (old := _jobs(call).get(name)) is None:
            raise died("no such vzdump job")
        new = dict(old)
        for key in call.words("delete"):
            if key in KEPT or key not in call.takes.params:
                raise bad_parameters(delete=f"unknown option '{key}'")
            new.pop(key, None)
        new |= sent
        for key in _replaced(sent, new):
            new.pop(key, None)
        check_selection(new)
        call.documents.jobs[name] = new
    return None


@routes.add("DELETE /cluster/backup/{id}", WRITE, ID)
def delete_job(call: Call) -> object:
    """Remove a job."""
    with call.locked("jobs_cfg"):
        name, _ = _find(call)
        del call.documents.jobs[name]
    return None


def _covered(call: Call, entry: Entry) -> list[int]:
    """Guests that a job backs up."""
    known = call.documents.guests
    if entry.get("vmid"):
        return [int(vmid) for vmid in items(str(entry["vmid"])) if int(vmid) in known]
    if entry.get("pool"):
        members = items(str(call.documents.pools.get(str(entry["pool"]), {}).get("vms") or ""))
        return [int(vmid) for vmid in members if int(vmid) in known]
    left_out = items(str(entry.get("exclude") or ""))
    return [vmid for vmid in known if str(vmid) not in left_out]


def included(kind: str, option: str, text: str) -> bool:
    """Whether a backup has the volume of an option: of a container only the root unless it is asked
    for. Source: PVE::QemuConfig and PVE::LXC::Config, get_backup_volumes.
    """
    said = propertystring.split(text, "file").get("backup")
    asked = propertystring.truth(said) if said is not None else None
    return bool(asked) if asked is not None else kind == "qemu" or option == "rootfs"


def _included(vmid: int, kind: str, option: str, volid: str, text: str) -> dict[str, object]:
    known = included(kind, option, text)
    reason = "rootfs" if option == "rootfs" else "enabled" if known else "disabled"
    return {"id": f"{vmid}:{option}", "name": volid, "included": int(known), "reason": reason}


@routes.add("GET /cluster/backup/{id}/included_volumes", AUDIT, ID)
def included_volumes(call: Call) -> object:
    """Guests and volumes that a job backs up."""
    _, entry = _find(call)
    children = []
    for vmid in _covered(call, entry):
        guest = call.documents.guests[vmid]
        volumes = [
            _included(vmid, guest.kind, option, volid, str(guest.current[option]))
            for option, volid in load.volumes(guest.current)
            if "media=cdrom" not in str(guest.current[option])
        ]
        name = guest.current.get("name") or f"VM {vmid}"
        children.append({"id": vmid, "name": name, "type": guest.kind, "children": volumes})
    return {"children": children}


index(routes, "/cluster/backup-info", "not-backed-up", "subdir", may="root")


@routes.add("GET /cluster/backup-info/not-backed-up", AUDIT)
def not_backed_up(call: Call) -> object:
    """Guests that no job covers."""
    covered = {vmid for entry in _jobs(call).values() for vmid in _covered(call, entry)}
    return [
        {"vmid": vmid, "type": guest.kind, "name": guest.current.get("name") or f"VM {vmid}"}
        for vmid, guest in call.documents.guests.items()
        if vmid not in covered
    ]
