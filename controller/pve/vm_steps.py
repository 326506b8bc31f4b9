"""What to send so that a guest becomes what is wanted. Functions from values to steps.

Order: pool, stop, configuration, disks that move and grow, restart, start. A restart comes after
all that needs one, so that there is one only.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.fields import same
from controller.managed import Mark, Values
from controller.pve.fields import parameters
from controller.pve.propertystring import NOW, write
from controller.pve.vm_fields import (
    CONFIG,
    POOL,
    RUNNING,
    STATE,
    gib_text,
    restarts,
    section,
    size_text,
    slot_fields,
    slots_in,
)
from controller.step import Rest, Scalar
from lab.errors import Refused
from lab.kinds.guest import Net
from lab.units import format_size

CREATE_S = 1800.0  # volumes are allocated; zeroing or thick ones take their time
MOVE_S = 6 * 3600.0  # a disk is copied: 2 TiB at a gigabit a second
SHUTDOWN_S = 180  # then it is switched off, as HA does (PVE::HA::Resources::PVEVM)


def guest_path(vmid: str, what: str = "") -> str:
    """A path of the guest, on the node where it is when the step is sent."""
    return f"/nodes/{{node:{vmid}}}/qemu/{vmid}{what}"


def create(vmid: str, node: str, values: Values, *, starts: bool) -> Iterator[Rest]:
    """Make a guest on a node. `starts`: it shall run, and its power is not among the values."""
    params: dict[str, Scalar] = {"vmid": int(vmid)}
    params |= parameters((*CONFIG, POOL), values, None)
    params |= {slot: text for slot in slots_in(values) if (text := _new(slot, values))}
    yield Rest("POST", f"/nodes/{node}/qemu", params | ({"start": 1} if starts else {}), CREATE_S)
    if values.get(STATE.name) == "started":
        yield _power(vmid, "start")


def update(vmid: str, values: Values, old: Values, *, runs: bool) -> Iterator[Rest]:
    """Change a guest. Raises Refused for a disk that would shrink."""
    goal = values.get(STATE.name)
    stops, starts = runs and goal == "stopped", not runs and goal == "started"
    yield from _pool(vmid, values, old)
    if stops:
        yield _power(vmid, "shutdown")
    yield from _configure(vmid, values, old)
    for slot in slots_in(old):
        if section(slot) == "disks" and values.get(f"disks.{slot}") is not Mark.RESET:
            yield from _disk(vmid, slot, values, old)
    if runs and not stops and any(waits(name, values, old) for name in values):
        yield _power(vmid, "reboot")
    if starts:
        yield _power(vmid, "start")


def delete(vmid: str, *, runs: bool) -> Iterator[Rest]:
    """Remove a guest with its disks."""
    if runs:
        yield _power(vmid, "shutdown")
    yield Rest("DELETE", guest_path(vmid))


def waits(name: str, values: Values, old: Values) -> bool:
    """Whether a wanted value is in force only after a restart of the running guest."""
    known = restarts(name.removeprefix(RUNNING))
    goal = values.get(name.removeprefix(RUNNING))
    if known is None or goal is None or set(slots_in([known.name])) - set(slots_in(old)):
        return False
    now = old.get(f"{RUNNING}{known.name}", old.get(known.name, known.default))
    return (None if now == "" else now) != (known.default if goal is Mark.RESET else goal)


def _power(vmid: str, action: str) -> Rest:
    """Start, restart, or shut down: the guest is asked first."""
    asked = {"timeout": SHUTDOWN_S, "forceStop": 1} if action == "shutdown" else {}
    return Rest("POST", guest_path(vmid, f"/status/{action}"), asked)


def _pool(vmid: str, values: Values, old: Values) -> Iterator[Rest]:
    """A guest is a member of one pool at most."""
    goal = values.get(POOL.name)
    if goal is None or same(POOL, goal, old):
        return
    if goal is not Mark.RESET:
        yield Rest("PUT", "/pools", {"poolid": str(goal), "vms": vmid, "allow-move": 1})
    else:
        yield Rest("PUT", "/pools", {"poolid": str(old[POOL.name]), "vms": vmid, "delete": 1})


def _configure(vmid: str, values: Values, old: Values) -> Iterator[Rest]:
    """One call for all that the configuration says, so that it changes as one."""
    there = slots_in(old)
    kept = [
        each for slot in there for each in slot_fields(slot) if each.key not in ("file", "size")
    ]
    params = parameters((*CONFIG, *kept), values, old)
    gone = [slot for slot in there if values.get(f"{section(slot)}.{slot}") is Mark.RESET]
    unset = [each for each in str(params.pop("delete", "")).split(",") if each]
    new = {
        slot: text
        for slot in slots_in(values)
        if slot not in there and (text := _new(slot, values))
    }
    params |= new
    if gone or unset:
        params["delete"] = ",".join((*unset, *gone))
    if not params:
        return
    if any(str(value).startswith(NOW) for value in params.values()):
        params["digest"] = NOW
    drives = any(section(slot) == "disks" for slot in (*gone, *new))
    if any(section(slot) == "disks" for slot in gone):
        params["force"] = 1  # frees the volume, which would stay as unused
    # allocating and freeing take longer than a synchronous call may
    yield Rest("POST" if drives else "PUT", guest_path(vmid, "/config"), params, CREATE_S)


def _disk(vmid: str, slot: str, values: Values, old: Values) -> Iterator[Rest]:
    """A disk that is there: to another storage, then larger."""
    storage, size = f"disks.{slot}.storage", f"disks.{slot}.size_bytes"
    if values.get(storage) not in (None, Mark.RESET, old.get(storage)):
        move: dict[str, Scalar] = {"disk": slot, "storage": str(values[storage]), "delete": 1}
        yield Rest("POST", guest_path(vmid, "/move_disk"), move, MOVE_S)
    goal, now = values.get(size), old.get(size)
    if not isinstance(goal, int) or not isinstance(now, int) or goal == now:
        return
    if goal < now:
        what = f"guest {vmid}: {slot} can't shrink from {format_size(now)} to {format_size(goal)}"
        raise Refused(what, "write the size that it has, or move the data to a new, smaller disk")
    yield Rest("PUT", guest_path(vmid, "/resize"), {"disk": slot, "size": size_text(goal)}, MOVE_S)


def _new(slot: str, values: Values) -> str:
    """What makes a card or a disk; empty if too little is said."""
    settings: dict[str, Scalar] = {}
    if section(slot) == "nets":
        settings |= {name: Net.model_fields[name].default for name in ("model", "bridge")}
    for known in slot_fields(slot):
        value = values.get(known.name)
        if value is not None and value is not Mark.RESET:
            settings[known.key] = known.codec.encode(value)
    if section(slot) == "disks":
        size = values.get(f"disks.{slot}.size_bytes")
        if "file" not in settings or not isinstance(size, int):
            return ""
        settings["file"] = f"{settings['file']}:{gib_text(size)}"
        del settings["size"]
    elif not any(name.startswith(f"nets.{slot}.") for name in values):
        return ""
    return write(slot, {key: str(value) for key, value in settings.items()})
