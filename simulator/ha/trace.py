"""What the HA daemons log, in an administrator's words and only once: lines for the twin's trace.

The daemons write for whoever debugs them; a timeline wants what became of nodes and guests. Lines
that say nothing new to it are left out (`_QUIET`), any other warning or error is told as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from simulator.cluster.locks import WATCHDOG_S
from simulator.cluster.state import LRM, Cluster, Entry

News = tuple[str, str, str]  # subject, kind, text; a subject `sid vm:101` is yet to be named


@dataclass(frozen=True)
class _Line:
    """A line that is being told: by whom, and what its pattern found."""

    cluster: Cluster
    name: str  # of the cluster
    at: dict[str, str]  # node of each service, as the lines before have it
    at_s: float
    node: str  # of the daemon
    found: Mapping[str, str]


def news(cluster: Cluster, name: str, at: dict[str, str], entries: list[Entry]) -> Iterator[News]:
    """The lines for the trace, in their order. `at`: where services are, kept by these lines."""
    for entry in entries:
        node, _, _ = entry.source.rpartition("/")
        if not node:
            continue  # of the regression suite's hardware
        tell, found = _wording(entry.message)
        if tell is not None:
            yield from tell(_Line(cluster, name, at, entry.at_s, node, found))
        elif entry.level in ("err", "warn") and not _QUIET.match(entry.message):
            yield f"node {node}", "ha-log", f"HA: {entry.message}"


_Tell = Callable[[_Line], Iterator[News]]
_WORDINGS: list[tuple[re.Pattern[str], _Tell]] = []
_QUIET = re.compile(
    r"unable to start service |restart policy: |starting service .* failed, relocating"
    r"|service .* not moved|service '.*' - migration failed|service .* is in an error state"
    r"|got shutdown request in state"
)
"""Told by whoever acts on the guest, or followed by a change of state that is told."""


@lru_cache(maxsize=4096)
def _wording(message: str) -> tuple[_Tell | None, Mapping[str, str]]:
    for pattern, tell in _WORDINGS:
        if found := pattern.fullmatch(message):
            return tell, {key: value or "" for key, value in found.groupdict().items()}
    return None, {}


def _of(pattern: str) -> Callable[[_Tell], _Tell]:
    """Register what tells the lines of a pattern; the first that fits counts."""

    def register(tell: _Tell) -> _Tell:
        _WORDINGS.append((re.compile(pattern), tell))
        return tell

    return register


def _as(pattern: str, subject: str, kind: str, text: str) -> None:
    """Lines that are told by a text alone, with what the pattern found in it."""

    @_of(pattern)
    def tell(line: _Line) -> Iterator[News]:
        words = {**line.found, "own": line.node, "cluster": line.name}
        yield subject.format(**words), kind.format(**words), text.format(**words)


_as(r"status change \S+ => master", "cluster {cluster}", "ha-master", "HA: {own} is the new master")
_as(r"voluntary release CRM lock", "node {own}", "ha-master-left", "HA: gives up being the master")


@_of(r"status change active => lost_agent_lock|status change maintenance => lost_agent_lock")
def _lock_lost(line: _Line) -> Iterator[News]:
    updated_s = line.cluster.watchdogs.get((line.node, LRM), line.at_s)
    left_s = max(0.0, updated_s + WATCHDOG_S - line.at_s)
    text = f"HA: can't renew its agent lock, the watchdog fires in {left_s:.0f} s"
    yield f"node {line.node}", "ha-lock-lost", text


_as(
    r"(?P<word>reboot|shutdown) LRM, (?P<what>.*)|(?P<restart>restart) LRM, (?P<then>.*)",
    "node {own}",
    "ha-shutdown",
    "HA: {word}{restart}, {what}{then}",
)
_as(
    r"HA disarm requested(?: during maintenance)?, releasing .*",
    "node {own}",
    "ha-disarm",
    "HA: disarmed, its agent lock and watchdog are released",
)
_as(
    r"node had no service configured .*",
    "node {own}",
    "ha-idle",
    "HA: has no service any more, its agent lock and watchdog are released",
)
_as(
    r"all LRMs disarmed, .*",
    "cluster {cluster}",
    "ha-disarmed",
    "HA: fully disarmed, no node is fenced any more",
)
_as(r"re-arming HA stack", "cluster {cluster}", "ha-armed", "HA: armed again")
_as(
    r"cluster had no service configured .*",
    "cluster {cluster}",
    "ha-idle",
    "HA: there is no service any more, the master gives up its lock",
)


@_of(r"FENCE: Try to fence node '(?P<n>[^']*)'")
def _fence(line: _Line) -> Iterator[News]:
    node = line.found["n"]
    manager = line.cluster.crms[line.node].manager
    since_s = manager.last_online_s.get(node, line.at_s) if manager else line.at_s
    yield f"node {node}", "ha-fence", f"HA: fence, offline for {line.at_s - since_s:.0f} s"


_as(
    r"SUCCEED: fencing: acknowledged - got agent lock for node '(?P<n>[^']*)'",
    "node {n}",
    "ha-fenced",
    "HA: fencing acknowledged, {own} has got its agent lock",
)


@_of(r"node '(?P<n>[^']*)': state changed from '(?P<a>\w+)' => '(?P<b>\w+)'")
def _node(line: _Line) -> Iterator[News]:
    if "fence" not in (line.found["a"], line.found["b"]):
        text = "HA: {a} -> {b}".format(**line.found)
        yield f"node {line.found['n']}", f"ha-node-{line.found['b']}", text


_as(
    r"deleting gone node '(?P<n>[^']*)', .*",
    "node {n}",
    "ha-node-deleted",
    "HA: is no member any more, forgotten",
)


@_of(
    r"adding new service '(?P<s>[^']*)' on node '(?P<n>[^']*)'"
    r"|fixup service '(?P<f>[^']*)' location \(\S+ => (?P<b>\S+)\)"
)
def _found(line: _Line) -> Iterator[News]:
    line.at[line.found["s"] or line.found["f"]] = line.found["n"] or line.found["b"]
    yield from ()


_as(
    r"recover service '(?P<s>[^']*)' from fenced node '(?P<a>[^']*)' to node '(?P<b>[^']*)'",
    "sid {s}",
    "ha-started",
    "HA: recovered from fenced node {a} to {b}",
)
_as(
    r"recover service '(?P<s>[^']*)' to previous failed and fenced node '(?P<a>[^']*)' again",
    "sid {s}",
    "ha-started",
    "HA: recovered to its node {a}, which was fenced and is back",
)
_as(
    r"recovering service '(?P<s>[^']*)' from fenced node '(?P<a>[^']*)' failed, .*",
    "sid {s}",
    "ha-no-node",
    "HA: recovery from fenced node {a} failed, no recovery node found",
)
_as(
    r"recovery policy for service (?P<s>\S+) failed, .* Failed nodes: (?P<f>.*)",
    "sid {s}",
    "ha-error",
    "HA: error, could not be started on {f}",
)
_as(
    r"service '(?P<s>[^']*)' stop failed .*",
    "sid {s}",
    "ha-error",
    "HA: error, it can't be stopped",
)


@_of(
    r"service '(?P<s>[^']*)': state changed from '(?P<a>\w+)' to '(?P<b>\w+)'"
    r"(?:  \((?P<more>.*)\))?"
)
def _service(line: _Line) -> Iterator[News]:
    sid, old, new = (line.found[key] for key in "sab")
    given = dict(part.split(" = ") for part in line.found["more"].split(", ") if part)
    node = line.at[sid] = given.get("node", line.at.get(sid, ""))
    if old == "recovery" or new == "error":
        return  # told before, with the reason
    where = f"to {given['target']}" if "target" in given else f"on {node}"
    yield f"sid {sid}", f"ha-{new.replace('_', '-')}", f"HA: {old} -> {new} {where}"


_as(
    r"crm command error - node not online: (?P<w>\w+) (?P<s>\S+) (?P<t>\S+)",
    "sid {s}",
    "ha-refused",
    "HA: {w} to {t} refused, it is not online",
)
_as(
    r"ignore service '(?P<s>[^']*)' (?P<w>\w+) request - node '(?P<t>[^']*)' not online",
    "sid {s}",
    "ha-refused",
    "HA: {w} to {t} refused, it is not online",
)
_as(
    r"crm command '(?P<w>\w+) (?P<s>\S+) (?P<t>\S+)' error - service '(?P<o>[^']*)' on node .*",
    "sid {s}",
    "ha-refused",
    "HA: {w} to {t} refused, a rule keeps it apart from {{{o}}}",
)
_as(
    r"auto rebalance - (?P<w>\w+) (?P<s>\S+) to (?P<t>\S+) \((?P<c>.*)\)",
    "sid {s}",
    "ha-rebalance",
    "HA: {w} to {t} evens out the nodes, {c}",
)
_as(
    r"request (?P<what>immediate|graceful) .* for service '(?P<s>[^']*)'",
    "sid {s}",
    "ha-stop",
    "HA: {what} stop asked for",
)
_as(
    r"moving service '(?P<s>[^']*)' back to '(?P<t>[^']*)', .*",
    "sid {s}",
    "ha-back",
    "HA: goes back to {t}, which came back from maintenance",
)
_as(
    r"Drop rule '(?P<r>[^']*)', because (?P<why>.*)\.",
    "cluster {cluster}",
    "ha-rule-dropped",
    "HA: rule {r} is not used: {why}",
)
_as(
    r"deferring disarm - service '(?P<s>[^']*)' is in '(?P<a>\w+)' state",
    "sid {s}",
    "ha-disarm-waits",
    "HA: disarming waits for it, {a} goes on",
)
