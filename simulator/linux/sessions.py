"""iSCSI sessions of a host: logging in and out, and the disks that come and go with them.

What iscsid and the kernel do, without their command line (`initiator`). A login that fails answers
with open-iscsi's number (iscsi_err.h). Leaves out: the seconds that a login or its timeout takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import TYPE_CHECKING

from simulator.linux.daemons import DAEMONS, Daemon
from simulator.linux.records import Record, initiator, records
from simulator.linux.state import ScsiDisk, Session
from simulator.storage.targets import Lun, Target, owner, path_to, portal_at, targets

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

TRIES_S = 120.0  # node.session.initial_login_retry_max 8, 15 s each
TIMED_OUT, INTERNAL, EXISTS, NOT_FOUND, DENIED = 8, 9, 15, 19, 24
TEXTS = {
    TIMED_OUT: "connection timed out",
    INTERNAL: "internal error",
    EXISTS: "session exists",
    NOT_FOUND: "encountered non-retryable iSCSI login failure",
    DENIED: "iSCSI login failed due to authorization failure",
}


def log_in(host: LinuxHost, twin: Twin, record: Record) -> int:
    """Open a session; 0, or why not."""
    if any(_same(session, record) for session in host.state.sessions.values()):
        return EXISTS
    name = initiator(host.files(twin))
    if not name:
        return INTERNAL
    nas = owner(twin, record.address)
    if nas is None or not path_to(twin.facts, host.host, nas, record.address):
        return TIMED_OUT
    known = targets(twin, nas)
    if not any(each.door(record.address, record.port) for each in known):
        return TIMED_OUT  # refused again and again, until the retries are used up
    target = next((each for each in known if each.iqn == record.iqn), None)
    door = target.door(record.address, record.port) if target is not None else None
    if target is None or door is None:
        return NOT_FOUND
    if not door.admits(name):
        return DENIED
    values = record.values
    shown = (values.get("node.session.auth.username"), values.get("node.session.auth.password"))
    wants = values.get("node.session.auth.authmethod") == "CHAP"
    if door.logins and not (wants and shown in door.logins):
        return DENIED
    number = max(host.state.sessions, default=0) + 1
    host.state.sessions[number] = Session(
        record.iqn, record.address, record.port, door.tag, nas, dict(values)
    )
    scan(host, twin, number)
    return 0


def _same(session: Session, record: Record) -> bool:
    return (session.iqn, session.address, session.port) == (
        record.iqn,
        record.address,
        record.port,
    )


def log_out(host: LinuxHost, number: int) -> None:
    """Close a session. Its disks are gone, whoever uses them."""
    del host.state.sessions[number]
    for name, disk in list(host.state.disks.items()):
        if disk.session == number:
            del host.state.disks[name]
    _forget_maps(host)


def scan(host: LinuxHost, twin: Twin, number: int) -> None:
    """Look which LUNs a session has now: new ones become disks, known ones may have grown."""
    session = host.state.sessions[number]
    target = target_of(host, twin, session)
    for lun in target.luns if target is not None else ():
        name = next(
            (
                name
                for name, disk in host.state.disks.items()
                if (disk.session, disk.number) == (number, lun.number)
            ),
            None,
        )
        host.state.disks[name or _free_name(host, twin)] = _disk(number, lun)
    from simulator.linux.multipath import follow

    follow(host, twin)


def _disk(session: int, lun: Lun) -> ScsiDisk:
    return ScsiDisk(
        session, lun.number, lun.volume, lun.wwid, lun.serial, lun.size_bytes, lun.block_bytes,
        lun.vendor, lun.product,
    )  # fmt: skip


def _free_name(host: LinuxHost, twin: Twin) -> str:
    """The next name that no disk has."""
    from simulator.linux.blocks import local_disks

    taken = {name for name, _ in local_disks(twin.model.hosts[host.host])} | {*host.state.disks}
    return next(name for name in _letters() if name not in taken)


def _letters() -> Iterator[str]:
    for first in ("", *ascii_lowercase):
        for letter in ascii_lowercase:
            yield f"sd{first}{letter}"


def target_of(host: LinuxHost, twin: Twin, session: Session) -> Target | None:
    """The target of a session as the array offers it now; None if it lets the host in no more."""
    name = initiator(host.files(twin))
    for target in targets(twin, session.nas):
        door = target.door(session.address, session.port)
        if target.iqn == session.iqn and door is not None and door.admits(name):
            return target
    return None


def works(host: LinuxHost, twin: Twin, session: Session) -> bool:
    """Whether a session's I/O gets through, as the host knows by now: it learns with delay."""
    reached = path_to(twin.facts, host.host, session.nas, session.address)
    portal = portal_at(twin.model.lab.nas[session.nas], session.address)
    known = twin.state.paths.get(f"{host.host}/{session.nas}/{portal}", reached)
    return known and target_of(host, twin, session) is not None


def lun_works(host: LinuxHost, twin: Twin, disk: ScsiDisk) -> bool:
    """Whether a path's LUN answers: the session works, and the array still has it there."""
    session = host.state.sessions.get(disk.session)
    if session is None or not works(host, twin, session):
        return False
    target = target_of(host, twin, session)
    return target is not None and any(
        (lun.number, lun.wwid) == (disk.number, disk.wwid) for lun in target.luns
    )


def _forget_maps(host: LinuxHost) -> None:
    seen = {disk.wwid for disk in host.state.disks.values()}
    host.state.maps = {wwid: known for wwid, known in host.state.maps.items() if wwid in seen}


def _start_iscsid(host: LinuxHost, twin: Twin) -> str:
    return "" if initiator(host.files(twin)) else "no InitiatorName"


def log_in_all(host: LinuxHost, twin: Twin) -> str:
    """What open-iscsi.service does at boot; a target that is not there is no failure of it."""
    for record in list(records(host.files(twin))):
        if record.values.get("node.startup") == "automatic":
            log_in(host, twin, record)
    return ""


def _log_out_all(host: LinuxHost, _twin: Twin) -> str:
    for number in list(host.state.sessions):
        log_out(host, number)
    return ""


DAEMONS["iscsid"] = Daemon("open-iscsi", "iSCSI initiator daemon (iscsid)", _start_iscsid)
DAEMONS["open-iscsi"] = Daemon(
    "open-iscsi", "Login to default iSCSI targets", log_in_all, _log_out_all
)
