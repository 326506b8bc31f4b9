"""systemctl over the daemons of `daemons`, and mount units that follow from fstab.

Source: systemctl(1), systemd 252 and 257. Leaves out: dependencies between units, unit files,
timers, the journal.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.linux import mounts
from simulator.linux.call import Call, Failed, Programs, word_set
from simulator.linux.daemons import DAEMONS, unit_of
from simulator.linux.fstab import Entry
from simulator.linux.state import Unit

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost

programs = Programs()
_VERBS = word_set("start stop restart reload try-restart reload-or-restart enable disable")
_INACTIVE, _UNKNOWN = 3, 4  # systemctl(1): LSB status codes


def started(unit: Unit, now_s: float) -> Unit:
    """The unit, active from now on."""
    return replace(unit, active=True, since_s=now_s)


def stopped(unit: Unit) -> Unit:
    """The unit, inactive."""
    return replace(unit, active=False)


def is_active(host: LinuxHost, name: str) -> bool:
    """Whether a daemon runs."""
    unit = host.state.units.get(name)
    return unit is not None and unit.active


@programs.add("systemctl")
def systemctl(call: Call) -> int:
    """Ask about units, or change them."""
    options, operands = call.options(
        "qp:lo:", "no-pager", "now", "quiet", "property=", "no-legend", "value", "plain", "all",
        "type=", "output=", "no-block", "full",
    )  # fmt: skip
    if not operands:
        raise Failed(1, "systemctl: listing all units is not simulated\n")
    verb, *names = operands
    match verb:
        case "daemon-reload":
            _need_root(call)
            return 0
        case "is-active":
            return _is_active(call, names, quiet=options.any("-q", "--quiet"))
        case "is-enabled":
            return _is_enabled(call, names, quiet=options.any("-q", "--quiet"))
        case "show":
            wanted = [p for text in options.all("-p", "--property") for p in text.split(",")]
            return _show(call, names, wanted, bare="--value" in options)
        case "list-units" if options.get("-o", "--output") == "json":
            return _list(call)
        case _ if verb in _VERBS:
            _need_root(call)
            statuses = [_change(call, verb, name, now="--now" in options) for name in names]
            return max(statuses, default=0)
    raise Failed(1, f"Unknown command verb {verb}.\n")


def _need_root(call: Call) -> None:
    if call.user != "root":
        raise Failed(1, "Failed to connect to bus: Interactive authentication required.\n")


def _mount_unit(call: Call, name: str) -> Entry | None:
    """The entry of fstab that a mount unit was made of."""
    if not name.endswith(".mount"):
        return None
    entries = mounts.entries_of(call.host, call.twin)
    return next((entry for entry in entries if mount_name(entry.target) == name), None)


def mount_name(target: str) -> str:
    """The unit of a mount point. Source: systemd-escape(1)."""
    escaped = target.strip("/").replace("-", "\\x2d").replace("/", "-") or "-"
    return f"{escaped}.mount"


def _state(call: Call, name: str) -> str:
    entry = _mount_unit(call, name)
    if entry is not None:
        return "active" if entry.target in call.state.mounts else "inactive"
    unit = call.state.units.get(unit_of(name))
    return "inactive" if unit is None or not unit.active else "active"


def _is_active(call: Call, names: list[str], *, quiet: bool) -> int:
    states = [_state(call, name) for name in names]
    if not quiet:
        call.out += [f"{state}\n" for state in states]
    if "active" in states:
        return 0
    known = any(_mount_unit(call, n) or unit_of(n) in call.state.units for n in names)
    return _INACTIVE if known else _UNKNOWN


def _is_enabled(call: Call, names: list[str], *, quiet: bool) -> int:
    status = 1
    for name in names:
        if _mount_unit(call, name) is not None:
            text = "generated"
        elif (unit := call.state.units.get(unit_of(name))) is None:
            full = name if "." in name else f"{name}.service"
            call.err.append(
                f"Failed to get unit file state for {full}: No such file or directory\n"
            )
            continue
        else:
            text = "enabled" if unit.enabled else "disabled"
        status = 0 if text in ("enabled", "generated") else status
        if not quiet:
            call.say(text)
    return status


def _show(call: Call, names: list[str], wanted: list[str], *, bare: bool) -> int:
    for name in names or [""]:
        own, entry = unit_of(name), _mount_unit(call, name)
        unit = call.state.units.get(own)
        active = _state(call, name)
        since = unit.since_s if unit is not None and unit.active else None
        properties = {
            "Id": name if entry is not None else f"{own}.service",
            "Description": unit.description if unit is not None else name,
            "LoadState": "loaded" if unit is not None or entry is not None else "not-found",
            "ActiveState": active,
            "SubState": ("mounted" if entry else "running") if active == "active" else "dead",
            "UnitFileState": "" if unit is None else "enabled" if unit.enabled else "disabled",
            "Result": "success",
            "ActiveEnterTimestamp": "" if since is None else _timestamp(call, since),
            "NeedDaemonReload": "no",
        }
        for key in wanted or properties:
            if key in properties:
                call.say(properties[key] if bare else f"{key}={properties[key]}")
    return 0


def _timestamp(call: Call, at_s: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(call.host.epoch_s + at_s))


def _list(call: Call) -> int:
    rows = [
        {
            "unit": f"{name}.service",
            "load": "loaded",
            "active": "active" if unit.active else "inactive",
            "sub": "running" if unit.active else "dead",
            "description": unit.description,
        }
        for name, unit in call.state.units.items()
    ]
    call.say(json.dumps(rows))
    return 0


def _change(call: Call, verb: str, name: str, *, now: bool) -> int:
    entry = _mount_unit(call, name)
    if entry is not None:
        return _change_mount(call, verb, name, entry)
    own = unit_of(name)
    unit, full = call.state.units.get(own), name if "." in name else f"{name}.service"
    if unit is None:
        words = f"{verb} {full}: Unit {full} not found"
        if verb in ("enable", "disable"):
            words = f"{verb} unit: Unit file {full} does not exist"
        call.err.append(f"Failed to {words}.\n")
        return 5 if verb not in ("enable", "disable") else 1
    if verb in ("enable", "disable"):
        call.state.units[own] = replace(unit, enabled=verb == "enable")
        if not now:
            return 0
        verb = "start" if verb == "enable" else "stop"
    if verb == "try-restart" and not unit.active:
        return 0
    failure = _act(call, own, verb)
    if failure is None:
        call.err.append(
            f"Failed to {verb} {full}: Job type reload is not applicable for unit {full}.\n"
        )
        return 1
    if failure:
        call.err.append(
            f"Job for {own}.service failed because the control process exited with error code.\n"
            f'See "systemctl status {own}.service" and "journalctl -xeu {own}.service" for'
            " details.\n"
        )
        return 1
    return 0


def _act(call: Call, name: str, verb: str) -> str | None:
    """Do it; what went wrong, or None if the unit can't do that."""
    daemon, host, twin = DAEMONS[name], call.host, call.twin
    unit = call.state.units[name]
    if verb == "reload-or-restart":
        verb = "reload" if daemon.reload and unit.active else "restart"
    if verb == "reload":
        if daemon.reload is None or not unit.active:
            return None
        return daemon.reload(host, twin)
    if verb == "start" and unit.active:
        return ""
    failure = ""
    if verb in ("stop", "restart", "try-restart") and unit.active:
        failure = daemon.stop(host, twin)
        call.state.units[name] = stopped(unit)
    if verb != "stop":
        failure = daemon.start(host, twin)
        if not failure:
            call.state.units[name] = started(unit, twin.now_s)
    return failure


def _change_mount(call: Call, verb: str, name: str, entry: Entry) -> int:
    mounted, failed = entry.target in call.state.mounts, False
    if verb in ("start", "restart") and not mounted:
        try:
            mounts.attach(call.host, call.twin, entry)
        except mounts.Refused:
            failed = True
    elif verb == "stop" and mounted:
        failed = bool(mounts.detach(call.host, entry.target))
    if failed:
        call.err.append(f'Job failed. See "journalctl -xe" for details. ({name})\n')
    return int(failed)
