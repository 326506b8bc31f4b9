"""The one grammar of faults, used by the command line, scenarios, expectations and the served lab.

    fail-node pve2@0s..300s fail-switch sw1@30s silence-cable pve1-3 shutdown-node pve3@60s

`fail-` is a hard fault (power or carrier lost, both ends know); `silence-` leaves the lights on
while nothing passes, so that only timers notice. `shutdown-` and `reboot-` are no faults but done
on purpose, to nodes: in order, as the cluster's shutdown policy says. Times are seconds after the
start; without `..` the fault stays, and a node that was shut down stays off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from lab.units import parse_duration


class FaultKind(StrEnum):
    """What can fail. The names after the verb: `osd a/0`, `card pve1/card1`, `disk pve1/sdb`,
    `portal nas1/p1`.
    """

    NODE = "node"
    SWITCH = "switch"
    CABLE = "cable"
    CARD = "card"
    FEED = "feed"
    DISK = "disk"
    OSD = "osd"
    NAS = "nas"
    PORTAL = "portal"
    BACKUP_SERVER = "backup-server"
    ROUTER = "router"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something fails at `at_s` and is whole again at `restore_at_s`."""

    kind: FaultKind
    name: str
    at_s: float = 0.0
    restore_at_s: float | None = None
    silent: bool = False
    orderly: str = ""  # reboot or shutdown: a node that goes down in order

    @property
    def subject(self) -> str:
        """`node pve2`: what fails, without how and when."""
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        verb = self.orderly or ("silence" if self.silent else "fail")
        when = f"@{self.at_s:g}s" if self.at_s or self.restore_at_s is not None else ""
        until = f"..{self.restore_at_s:g}s" if self.restore_at_s is not None else ""
        return f"{verb}-{self.kind} {self.name}{when}{until}"


def parse_faults(
    words: Iterable[str], at_s: float | None = None, restore_at_s: float | None = None
) -> tuple[Fault, ...]:
    """Faults from words `fail-node`, `pve2@0s..300s`, ... Raises ValueError, saying what was
    expected.

    `at_s` and `restore_at_s` apply to a single fault that says no time itself.
    """
    tokens = [token for word in words for token in word.split()]
    if not tokens or len(tokens) % 2:
        raise ValueError("write pairs of a fault and a name: fail-node pve2 fail-switch sw1@30s")
    faults = [_parse(verb, rest) for verb, rest in zip(tokens[::2], tokens[1::2], strict=True)]
    if at_s is None and restore_at_s is None:
        return tuple(faults)
    if len(faults) > 1 or "@" in tokens[1]:
        raise ValueError("--at and --restore-at go with a single fault; else write pve2@30s..300s")
    timed = replace(faults[0], at_s=at_s or 0.0, restore_at_s=restore_at_s)
    return (_ordered(timed),)


def _parse(verb: str, rest: str) -> Fault:
    act, _, kind = verb.partition("-")
    kinds = [str(known) for known in FaultKind]
    orderly = act if act in ("reboot", "shutdown") and kind == FaultKind.NODE else ""
    if not orderly and (act not in ("fail", "silence") or kind not in kinds):
        raise ValueError(
            f"{verb!r} is no fault; write fail- or silence- with one of {', '.join(kinds)},"
            " or shutdown-node, reboot-node"
        )
    name, at, when = rest.partition("@")
    if at and not when:
        raise ValueError(f"{verb} {rest}: write a time after @, such as {name}@30s..300s")
    start, _, end = when.partition("..")
    return _ordered(
        Fault(
            FaultKind(kind),
            name,
            parse_duration(start) if start else 0.0,
            parse_duration(end) if end else None,
            silent=act == "silence",
            orderly=orderly,
        )
    )


def _ordered(fault: Fault) -> Fault:
    if fault.restore_at_s is not None and fault.restore_at_s <= fault.at_s:
        raise ValueError(f"{fault}: it is restored before it fails")
    if fault.restore_at_s is not None and fault.orderly == "reboot":
        raise ValueError(f"{fault}: a node that reboots comes back by itself")
    return fault
