"""iscsiadm: discovery, node records, sessions, with open-iscsi's texts and exit codes.

Source: iscsiadm(8), iscsi_err.h; compared with open-iscsi 2.1. Exit codes met here: 4 transport,
7 invalid, 8 timeout, 15 session exists, 19 no such target, 21 nothing found, 24 not authorized.
Leaves out: iSNS, firmware mode, interfaces, statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simulator.linux import sessions
from simulator.linux.call import SBIN, Call, Failed, Options, Programs
from simulator.linux.records import (
    DEFAULTS,
    DISCOVERED,
    Record,
    drop,
    fresh,
    initiator,
    keep,
    records,
    text_of,
)
from simulator.linux.state import Session
from simulator.storage.targets import PORT, owner, path_to, targets

programs = Programs()
TRANSPORT, INVALID, EXISTS, NOTHING = 4, 7, 15, 21
_SHORT = "m:t:p:T:o:n:v:luRsP:r:SI:d:L:U:D"
_LONG = (
    "mode=", "type=", "portal=", "targetname=", "op=", "name=", "value=", "login", "logout",
    "rescan", "stats", "print=", "sid=", "show", "interface=", "debug=", "loginall=", "logoutall=",
    "discover", "version",
)  # fmt: skip


@programs.add("iscsiadm", "open-iscsi", SBIN)
def iscsiadm(call: Call) -> int:
    """One operation of one mode."""
    options, operands = call.options(_SHORT, *_LONG, status=INVALID)
    if "--version" in options:
        call.say("iscsiadm version 2.1.11")
        return 0
    if operands:
        raise call.fail(f"unrecognized character '{operands[0][0]}'", INVALID)
    if call.user != "root":
        raise call.fail("must be run as root", 13)
    mode = options.get("-m", "--mode")
    match mode:
        case "discovery" | "discoverydb":
            return _discovery(call, options)
        case "node":
            return _node(call, options)
        case "session":
            return _session(call, options)
    raise call.fail(f"mode {mode or -1} is not simulated", INVALID)


def _portal(call: Call, options: Options) -> tuple[str, int] | None:
    text = options.get("-p", "--portal").partition(",")[0]
    if not text:
        return None
    address, _, port = text.partition(":")
    if port and not port.isdigit():
        raise call.fail(f"invalid port {port}", INVALID)
    return address, int(port or PORT)


def _discovery(call: Call, options: Options) -> int:
    portal, kind = _portal(call, options), options.get("-t", "--type")
    if portal is None and not kind:
        return _known_discoveries(call)
    if kind not in ("st", "sendtargets") or portal is None:
        raise call.fail("only sendtargets discovery at a portal is simulated", INVALID)
    if options.get("-m", "--mode") == "discoverydb" and not options.any("-D", "--discover"):
        raise call.fail("only --discover of discoverydb is simulated", INVALID)
    found = list(_discovered(call, *portal))
    if not found:
        raise call.fail("No portals found", NOTHING)
    operations = options.all("-o", "--op") or ["new", "update", "delete"]
    if "nonpersistent" not in operations:
        _remember(call, portal[0], found, operations)
    call.out += [f"{record.line}\n" for record in found]
    return 0


def _known_discoveries(call: Call) -> int:
    known = call.files.find(DISCOVERED)
    if known is None:
        raise call.fail("No records found", NOTHING)
    for name in call.files.names(DISCOVERED):
        call.say(f"{name.replace(',', ':')} via sendtargets")
    return 0


def _discovered(call: Call, address: str, port: int) -> Iterator[Record]:
    """What the array at an address answers. Raises Failed if none does."""
    name = initiator(call.files)
    if not name:
        raise call.fail("Cannot perform discovery. Initiatorname required.", 6)
    nas = owner(call.twin, address)
    known = targets(call.twin, nas) if nas is not None else []
    if nas is None or not path_to(call.twin.facts, call.host.host, nas, address):
        raise _unconnected(call, address, "Connection timed out")
    if not any(each.door(address, port) for each in known):
        raise _unconnected(call, address, "Connection refused")
    for target in known:
        for door in target.doors:
            if door.admits(name):
                yield fresh(call.files, target.iqn, door.address, door.port, door.tag, address)


def _unconnected(call: Call, address: str, why: str) -> Failed:
    lines = [f"iscsiadm: cannot make connection to {address}: {why}"] * 6
    lines += [
        "iscsiadm: connection login retries (reopen_max) 5 exceeded",
        "iscsiadm: Could not perform SendTargets discovery: encountered connection failure",
    ]
    return Failed(TRANSPORT, "\n".join(lines) + "\n")


def _remember(call: Call, source: str, found: list[Record], operations: list[str]) -> None:
    """Records follow what was found: by default settings are reset, and stale ones go."""
    known = {(each.iqn, each.address, each.port): each for each in records(call.files)}
    for record in found:
        old = known.get((record.iqn, record.address, record.port))
        if (old is None and "new" in operations) or (old is not None and "update" in operations):
            if old is not None and old.path != record.path:
                drop(call.files, old)
            keep(call.files, record)
    if "delete" in operations:
        now = {(each.iqn, each.address, each.port) for each in found}
        for place, old in known.items():
            same = old.values.get("node.discovery_address") == source
            if same and place not in now and not _session_of(call, old):
                drop(call.files, old)
    for folder in (DISCOVERED, f"{DISCOVERED}/{source},{PORT}"):
        if call.files.find(folder) is None:
            call.files.make_folder(folder, 0o700)
    settings = f"# BEGIN RECORD 2.1.11\ndiscovery.sendtargets.address = {source}\n# END RECORD\n"
    call.files.write(f"{DISCOVERED}/{source},{PORT}/st_config", settings, 0o600)


def _session_of(call: Call, record: Record) -> list[int]:
    return [
        number
        for number, session in call.state.sessions.items()
        if (session.iqn, session.address, session.port) == (record.iqn, record.address, record.port)
    ]


def _node(call: Call, options: Options) -> int:
    target, portal = options.get("-T", "--targetname"), _portal(call, options)
    operation = options.get("-o", "--op")
    if every := options.get("-L", "--loginall"):
        return _log_in(call, [r for r in records(call.files) if _starts(r, every)])
    if every := options.get("-U", "--logoutall"):
        chosen = [r for r in records(call.files) if _starts(r, every)]
        return _log_out(call, [n for record in chosen for n in _session_of(call, record)])
    if operation == "new":
        return _new(call, target, portal, options)
    chosen = [
        record
        for record in records(call.files)
        if (not target or record.iqn == target)
        and (portal is None or (record.address, record.port) == portal)
    ]
    if options.any("-u", "--logout"):
        return _log_out(call, [n for record in chosen for n in _session_of(call, record)])
    if options.any("-R", "--rescan"):
        return _rescan(call, [n for record in chosen for n in _session_of(call, record)])
    if not chosen:
        raise call.fail("No records found", NOTHING)
    if options.any("-l", "--login"):
        return _log_in(call, chosen)
    match operation:
        case "update":
            return _update(call, chosen, options)
        case "delete":
            return _delete(call, chosen)
        case "" | "show":
            return _show(call, chosen, options, whole=bool(target and (portal or operation)))
    raise call.fail(f"can not recognize operation: '{operation}'", INVALID)


def _starts(record: Record, every: str) -> bool:
    return every == "all" or record.values.get("node.startup") == every


def _show(call: Call, chosen: list[Record], options: Options, *, whole: bool) -> int:
    if whole or options.get("-o", "--op") == "show":
        for record in chosen:
            call.out.append(text_of(record.values, masked=not options.any("-S", "--show")))
    elif options.get("-P", "--print") == "1":
        for iqn in dict.fromkeys(record.iqn for record in chosen):
            call.say(f"Target: {iqn}")
            for record in chosen:
                if record.iqn == iqn:
                    call.say(f"\tPortal: {record.line.split()[0]}\n\t\tIface Name: default")
    else:
        call.out += [f"{record.line}\n" for record in chosen]
    return 0


def _new(call: Call, target: str, portal: tuple[str, int] | None, options: Options) -> int:
    if not target or portal is None:
        raise call.fail("cannot add a record without target and portal", INVALID)
    tag = options.get("-p", "--portal").partition(",")[2]
    made = fresh(call.files, target, *portal, int(tag) if tag.isdigit() else -1)
    for old in list(records(call.files)):
        if (old.iqn, old.address, old.port) == (target, *portal):
            drop(call.files, old)
    keep(call.files, made)
    call.say(
        "New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=default] "
        f"{made.address},{made.port},{made.tag} {target}] added"
    )
    return 0


def _update(call: Call, chosen: list[Record], options: Options) -> int:
    name, value = options.get("-n", "--name"), options.get("-v", "--value")
    if not name or not options.any("-v", "--value"):
        raise call.fail("update needs a name and a value", INVALID)
    if name not in DEFAULTS:
        call.complain(f"Cannot modify {name}. Invalid param name.")
        raise call.fail("Could not execute operation on all records: invalid parameter", INVALID)
    for record in chosen:
        keep(call.files, replace(record, values={**record.values, name: value or "<empty>"}))
    return 0


def _delete(call: Call, chosen: list[Record]) -> int:
    for record in chosen:
        if _session_of(call, record):
            call.complain(
                f"This command will remove the record {record.named}, but a session is using it. "
                "Logout session then rerun command to remove record."
            )
            raise call.fail("Could not execute operation on all records: session exists", EXISTS)
        drop(call.files, record)
    return 0


def _log_in(call: Call, chosen: list[Record]) -> int:
    status = 0
    for record in chosen:
        if _session_of(call, record):
            call.complain("default: 1 session requested, but 1 already present.")
            status = status or EXISTS
            continue
        call.say(f"Logging in to {record.named}")
        failure = sessions.log_in(call.host, call.twin, record)
        if failure:
            call.complain(f"Could not login to {record.named}.")
            text = sessions.TEXTS[failure]
            call.complain(f"initiator reported error ({failure} - {text})")
            status = failure
        else:
            call.say(f"Login to {record.named} successful.")
    if status:
        call.complain("Could not log into all portals")
    return status


def _log_out(call: Call, numbers: list[int]) -> int:
    if not numbers:
        raise call.fail("No matching sessions found", NOTHING)
    for number in numbers:
        named = _named(number, call.state.sessions[number])
        call.say(f"Logging out of session {named}")
        sessions.log_out(call.host, number)
        call.say(f"Logout of {named} successful.")
    return 0


def _rescan(call: Call, numbers: list[int]) -> int:
    if not numbers:
        raise call.fail("No session found.", NOTHING)
    for number in numbers:
        call.say(f"Rescanning session {_named(number, call.state.sessions[number])}")
        sessions.scan(call.host, call.twin, number)
    return 0


def _named(number: int, session: Session) -> str:
    where = f"portal: {session.address},{session.port}"
    return f"[sid: {number}, target: {session.iqn}, {where}]"


def _session(call: Call, options: Options) -> int:
    chosen = list(call.state.sessions)
    if sid := options.get("-r", "--sid"):
        if not sid.isdigit() or int(sid) not in call.state.sessions:
            raise call.fail(f"Could not get session info for sid {sid}", 22)
        chosen = [int(sid)]
    if options.any("-u", "--logout"):
        return _log_out(call, chosen)
    if options.any("-R", "--rescan"):
        return _rescan(call, chosen)
    if not chosen:
        raise call.fail("No active sessions.", NOTHING)
    level = options.get("-P", "--print")
    if level:
        call.say("iSCSI Transport Class version 2.0-870\nversion 2.1.11")
        for iqn in dict.fromkeys(call.state.sessions[n].iqn for n in chosen):
            call.say(f"Target: {iqn} (non-flash)")
            for number in chosen:
                if call.state.sessions[number].iqn == iqn:
                    _detail(call, number, int(level) if level.isdigit() else 0)
        return 0
    for number in chosen:
        session = call.state.sessions[number]
        call.say(f"tcp: [{number}] {session.portal} {session.iqn} (non-flash)")
    return 0


def _detail(call: Call, number: int, level: int) -> None:
    session = call.state.sessions[number]
    alive = sessions.works(call.host, call.twin, session)
    lines = [
        f"\tCurrent Portal: {session.portal}",
        f"\tPersistent Portal: {session.portal}",
        "\t\t**********\n\t\tInterface:\n\t\t**********",
        "\t\tIface Name: default",
        "\t\tIface Transport: tcp",
        f"\t\tIface Initiatorname: {initiator(call.files)}",
        f"\t\tSID: {number}",
        f"\t\tiSCSI Connection State: {'LOGGED IN' if alive else 'TRANSPORT WAIT'}",
        f"\t\tiSCSI Session State: {'LOGGED_IN' if alive else 'FAILED'}",
        f"\t\tInternal iscsid Session State: {'NO CHANGE' if alive else 'REPOEN'}",
    ]
    if level >= 2:
        user = session.record.get("node.session.auth.username", "<empty>")
        timeout = session.record.get("node.session.timeo.replacement_timeout", "120")
        lines += [
            "\t\t*********\n\t\tTimeouts:\n\t\t*********",
            f"\t\tRecovery Timeout: {timeout}",
            "\t\t*****\n\t\tCHAP:\n\t\t*****",
            f"\t\tusername: {user}",
            "\t\tpassword: ********",
        ]
    if level >= 3:
        stars = "*" * 24
        lines += [
            f"\t\t{stars}\n\t\tAttached SCSI devices:\n\t\t{stars}",
            f"\t\tHost Number: {number + 2}\tState: running",
        ]
        for name, disk in call.state.disks.items():
            if disk.session == number:
                state = (
                    "running"
                    if sessions.lun_works(call.host, call.twin, disk)
                    else "transport-offline"
                )
                lines += [
                    f"\t\tscsi{number + 2} Channel 00 Id 0 Lun: {disk.number}",
                    f"\t\t\tAttached scsi disk {name}\t\tState: {state}",
                ]
    call.say("\n".join(lines))
