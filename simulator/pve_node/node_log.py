"""A node's system log: `syslog` and `journal`. Source: PVE::Tools dump_journal,
proxmox-mini-journalreader, PVE::Cluster log_msg.

What the API's daemons write there is what they put in the cluster log, and that is all there is:
tasks that begin and end, changes of guests. Times are UTC. Leaves out: every other daemon, the
kernel, and the journal as objects or as lists of its units (501).
"""

from __future__ import annotations

from datetime import UTC, datetime

from simulator.pve.call import Call
from simulator.pve.documents import LogLine
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError

routes = Routes()

MAY = "/nodes/{node} Sys.Syslog"
_MOMENT = r"/^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?$/"
_UNBUILT = ("structured", "identifiers", "units")


def _text(line: LogLine) -> str:
    moment = datetime.fromtimestamp(line.time_s, UTC)
    return f"{moment:%b %d %H:%M:%S} {line.node} {line.tag}[{line.pid}]: <{line.user}> {line.msg}"


def _lines(call: Call, service: str) -> list[LogLine]:
    """The node's lines, oldest first."""
    name = service.removesuffix(".service")
    return [
        line for line in call.documents.log if line.node == call.node and name in ("", line.tag)
    ]


def _epoch_s(text: str, default_s: float) -> float:
    if not text:
        return default_s
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@routes.add(
    "GET /nodes/{node}/syslog",
    MAY,
    f"""
    node      pve-node
    limit?    integer 0..
    service?  string ..128
    since?    {_MOMENT}
    start?    integer 0..
    until?    {_MOMENT}
    """,
)
def syslog(call: Call) -> object:
    """Numbered lines; one that says so if there are none."""
    try:
        since_s = _epoch_s(call.text("since"), 0)
        until_s = _epoch_s(call.text("until"), float("inf"))
    except ValueError as error:
        raise ApiError(500, f"Failed to parse timestamp: {error}\n") from error
    known = _lines(call, call.text("service"))
    lines = [_text(line) for line in known if since_s <= line.time_s <= until_s] or ["no content"]
    call.members["total"] = len(lines)
    start = call.number("start")
    part = lines[start : start + call.number("limit", 50)]
    return [{"n": number, "t": text} for number, text in enumerate(part, start + 1)]


@routes.add(
    "GET /nodes/{node}/journal",
    MAY,
    r"""
    node          pve-node
    endcursor?    string
    identifiers?  boolean
    kernel?       boolean
    lastentries?  integer 0..
    priority?     /^([0-7](\.\.[0-7])?)?$/
    service?      /^[A-Za-z0-9_.@:*?!\[\]\/-]+$/ ..128
    since?        integer 0..
    startcursor?  string
    structured?   boolean
    unit?         /^[A-Za-z0-9_.@:-]+$/ ..256
    units?        boolean
    until?        integer 0..
    """,
)
def journal(call: Call) -> object:
    """Lines between two cursors, which are those of the first and the last of them."""
    if asked := next((name for name in _UNBUILT if call.flag(name)), ""):
        raise ApiError(501, f"Method 'GET {call.path}' not implemented with {asked}")
    lines = _lines(call, call.text("unit") or call.text("service"))
    lines = [line for line in lines if _fits(call, line)]
    if call.has("lastentries"):
        lines = lines[max(0, len(lines) - call.number("lastentries")) :]
    cursors = [_cursor(line) for line in (lines[:1] + lines[-1:])]
    return [*cursors[:1], *map(_text, lines), *cursors[1:]]


def _cursor(line: LogLine) -> str:
    return f"s={line.node};i={line.uid:x}"


def _number(cursor: str, default: float) -> float:
    """A line's number from its cursor."""
    try:
        return int(cursor.rpartition("i=")[2], 16) if cursor else default
    except ValueError:
        return default


def _fits(call: Call, line: LogLine) -> bool:
    low, _, high = call.text("priority", "0..7").rpartition("..")
    return (
        not call.flag("kernel")
        and (not call.has("since") or line.time_s >= call.number("since"))
        and (not call.has("until") or line.time_s <= call.number("until"))
        and line.uid >= _number(call.text("startcursor"), 0)
        and line.uid <= _number(call.text("endcursor"), float("inf"))
        and int(low or 0) <= line.pri <= int(high or 7)
    )
