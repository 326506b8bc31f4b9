"""Figures over time: `rrddata` of nodes, guests and storages. Source: PVE::RRD create_rrd_data,
PVE::Service::pvestatd; rrdcreate(1) for the half of a step that must be known.

The twin remembers when nodes and guests went on and off, nothing else: a row has today's figures if
its step was mostly spent running, those of a stopped guest if it was mostly stopped, and only
`time` while nobody measured. AVERAGE and MAX are therefore the same. `rrd` names the picture that a
node would draw, and draws none. Leaves out: figures as they were before a change of the
configuration, the load of real guests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve.world import SYSTEM_USED_BYTES
from simulator.pve_datacenter import resources
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_node import storage

routes = Routes()

Switches = tuple[tuple[float, bool], ...]
"""When something went on (True) or off, in seconds of simulated time and in their order."""

SWITCHES_KEPT = 1000  # assumed: a guest that goes on and off each day, for more than a year
XFF = 0.5  # rrdcreate(1): the part of a step that may be unknown; pmxcfs creates all with it

_DAY_S = 86_400
FRAMES: Mapping[str, tuple[int, int]] = {
    "hour": (60, 60),
    "day": (60, 1440),
    "week": (1800, 336),
    "month": (1800, 1440),
    "year": (6 * 3600, 1440),
    "decade": (7 * _DAY_S, 570),
}
"""Seconds of a step and number of rows: the archives of the format of Proxmox VE 9."""
FRAMES_BEFORE_9: Mapping[str, tuple[int, int]] = {
    name: (step_s, 70)
    for name, step_s in {
        "hour": 60,
        "day": 1800,
        "week": 3 * 3600,
        "month": 12 * 3600,
        "year": 7 * _DAY_S,
    }.items()
}

_PRESSURE_NODE = (
    "pressurecpusome", "pressureiofull", "pressureiosome", "pressurememoryfull",
    "pressurememorysome",
)  # fmt: skip
_PRESSURE_GUEST = (*_PRESSURE_NODE, "pressurecpufull")
Row = Mapping[str, float]


def switched(known: Switches, now_s: float, on: bool) -> Switches:
    """The switches with what is so now."""
    if known and known[-1][1] is on:
        return known
    return (*known, (now_s, on))[-SWITCHES_KEPT:]


def share_on(known: Switches, from_s: float, until_s: float) -> float:
    """The part of a span, 0 to 1, in which something was on; before its first switch it was off."""
    ends = (*(moment for moment, _ in known), until_s)[1:]
    spent = (
        max(0.0, min(end, until_s) - max(start, from_s))
        for (start, on), end in zip(known, ends, strict=True)
        if on
    )
    return sum(spent) / (until_s - from_s)


@dataclass(frozen=True)
class Frame:
    """The rows that a request asks for. `start_s`: of the first, seconds of the epoch."""

    start_s: int
    step_s: int
    rows: int

    @property
    def times(self) -> Iterator[int]:
        """The beginning of each step."""
        return iter(range(self.start_s, self.start_s + self.rows * self.step_s, self.step_s))


def _frame(call: Call) -> Frame:
    frames = FRAMES if call.api.release.measures_pressure else FRAMES_BEFORE_9
    step_s, rows = frames[call.text("timeframe")]
    return Frame(call.now_s // step_s * step_s - rows * step_s, step_s, rows)


def _measured(call: Call, name: str, frame: Frame, time_s: int) -> bool:
    """Whether most of the step was spent running."""
    from_s = time_s - call.api.epoch_s
    return share_on(call.api.switches.get(name, ()), from_s, from_s + frame.step_s) >= XFF


def _rows(call: Call, figures: Row) -> list[Row]:
    """A row for each step: with the figures where the node ran."""
    frame, name = _frame(call), f"node/{call.node}"
    return [
        {"time": time_s, **(figures if _measured(call, name, frame, time_s) else {})}
        for time_s in frame.times
    ]


_CF = "cf? enum(AVERAGE,MAX)\n"
_FRAME = _CF + "timeframe enum(hour,day,week,month,year)\n"


@routes.add(
    "GET /nodes/{node}/rrddata",
    "/nodes/{node} Sys.Audit",
    f"node pve-node\n{_CF}timeframe enum({','.join(FRAMES)})\n",
)
def node_data(call: Call) -> object:
    """Load of a node."""
    host = call.world.host(call.node)
    free = max(0, call.twin.facts.memory_free_bytes(call.node))
    figures: dict[str, float] = {
        "maxcpu": host.cores,
        "cpu": resources.NODE_CPU,
        "memtotal": host.memory,
        "memused": host.memory - free,
        "roottotal": call.world.disk_bytes(call.node),
        "rootused": SYSTEM_USED_BYTES,
        **dict.fromkeys(("iowait", "loadavg", "netin", "netout", "swaptotal", "swapused"), 0.0),
    }
    if call.api.release.measures_pressure:
        figures |= {"memavailable": free, "arcsize": 0.0, **dict.fromkeys(_PRESSURE_NODE, 0.0)}
    return _rows(call, figures)


@routes.add("GET /nodes/{node}/qemu/{vmid}/rrddata", "/vms/{vmid} VM.Audit", GUEST + _FRAME)
@routes.add("GET /nodes/{node}/lxc/{vmid}/rrddata", "/vms/{vmid} VM.Audit", GUEST + _FRAME)
def guest_data(call: Call) -> object:
    """Load of a guest; of its figures a stopped one keeps its size. Any guest's, as the real call
    looks for a file by id alone.
    """
    vmid = call.number("vmid")
    guest, state = call.documents.guests.get(vmid), call.world.guest(vmid)
    switches = call.api.switches.get(f"guest/{vmid}", ())
    if guest is None or state is None or not switches:
        raise _no_file(call, "vm", str(vmid))
    row = call.api.guest_rows.of(vmid, guest)
    size: Row = {key: float(str(row[key])) for key in ("maxcpu", "maxmem", "maxdisk")}
    stopped = {**size, "disk": 0.0}
    load = dict.fromkeys(("cpu", "diskread", "diskwrite", "netin", "netout"), 0.0)
    running = {**stopped, **load, "mem": size["maxmem"]}
    if call.api.release.measures_pressure:
        running |= {"memhost": size["maxmem"], **dict.fromkeys(_PRESSURE_GUEST, 0.0)}
    frame, rows, first_s = _frame(call), list[Row](), switches[0][0] + call.api.epoch_s
    for time_s in frame.times:
        known: Row = {}
        if _measured(call, f"guest/{vmid}", frame, time_s):
            known = running
        elif time_s + frame.step_s * XFF >= first_s and _measured(
            call, f"node/{state.node}", frame, time_s
        ):
            known = stopped
        rows.append({"time": time_s, **known})
    return rows


def _file(call: Call, kind: str, name: str) -> str:
    """The file of somebody's figures; files have been named after their format since 9."""
    folder = f"pve-{kind}-9.0" if call.api.release.measures_pressure else f"pve2-{kind}"
    return f"/var/lib/rrdcached/db/{folder}/{name}"


def _no_file(call: Call, kind: str, name: str) -> Exception:
    """What rrdcached says."""
    path = _file(call, kind, name)
    return died(f"RRD error: opening '{path}': No such file or directory")


@routes.add(
    "GET /nodes/{node}/storage/{storage}/rrddata",
    "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace",
    "node pve-node\nstorage pve-storage-id\n" + _FRAME,
)
def storage_data(call: Call) -> object:
    """How full a storage was; nothing is known of one that is not active."""
    name = call.text("storage")
    entry = call.documents.storages.get(name)
    if entry is None or not storage.enabled_on(entry, call.node):
        raise _no_file(call, "storage", f"{call.node}/{name}")
    state = storage.status(call, name, call.node)
    active = bool(state["active"])
    return _rows(call, {key: float(str(state[key])) for key in ("total", "used")} if active else {})


_MEASURED = {
    "node": "loadavg maxcpu cpu iowait memtotal memused swaptotal swapused roottotal rootused "
    "netin netout",
    "vm": "maxcpu cpu maxmem mem maxdisk disk netin netout diskread diskwrite",
    "storage": "total used",
}
_MEASURED_SINCE_9 = {
    "node": ("memavailable", "arcsize", *_PRESSURE_NODE),
    "vm": ("memhost", *_PRESSURE_GUEST),
    "storage": (),
}
_DS = "ds pve-configid-list\n"


def _picture(call: Call, kind: str, name: str) -> object:
    """The picture's file, named after what it shows. Raises for what nobody measures."""
    known = {*_MEASURED[kind].split()}
    known |= {*_MEASURED_SINCE_9[kind]} if call.api.release.measures_pressure else set()
    path, asked = _file(call, kind, name), call.words("ds")
    if odd := next((each for each in asked if each not in known), ""):
        raise died(f"RRD error: No DS called '{odd}' in '{path}'")
    return {"filename": f"{path}_{'_'.join(asked)}.png"}


@routes.add(
    "GET /nodes/{node}/rrd",
    "/nodes/{node} Sys.Audit",
    f"node pve-node\n{_CF}{_DS}timeframe enum({','.join(FRAMES)})\n",
)
def node_picture(call: Call) -> object:
    """Load of a node."""
    return _picture(call, "node", call.node)


@routes.add("GET /nodes/{node}/qemu/{vmid}/rrd", "/vms/{vmid} VM.Audit", GUEST + _FRAME + _DS)
@routes.add("GET /nodes/{node}/lxc/{vmid}/rrd", "/vms/{vmid} VM.Audit", GUEST + _FRAME + _DS)
def guest_picture(call: Call) -> object:
    """Load of a guest."""
    guest_data(call)  # raises for one that nobody measured
    return _picture(call, "vm", call.text("vmid"))


@routes.add(
    "GET /nodes/{node}/storage/{storage}/rrd",
    "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace",
    "node pve-node\nstorage pve-storage-id\n" + _FRAME + _DS,
)
def storage_picture(call: Call) -> object:
    """How full a storage was."""
    storage_data(call)
    return _picture(call, "storage", f"{call.node}/{call.text('storage')}")
