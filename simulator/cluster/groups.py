"""Groups, the form that node affinity had before rules, and their move into the rules file.

While they exist the manager takes them as node affinity rules, and tries every few rounds to write
them as such for good: once every node runs a version that knows rules. Source: the Proxmox VE 9
administration guide, high availability, groups; pve-ha-manager 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from simulator.cluster.documents import (
    Group,
    Groups,
    Line,
    LrmStatus,
    NodeAffinity,
    Nodes,
    Rule,
    Rules,
    ServiceConfig,
    Services,
)
from simulator.cluster.sections import Section, read_sections

NEEDED_VERSION = "9.0.0~16"  # of pve-manager on every node, to read rules; pve-ha-manager 5.2
RETRY_ROUNDS = 6  # between two tries to move the groups; pve-ha-manager 5.2
VERSION = re.compile(r"(\d+)\.(\d+)(?:[.-](\d+))?(?:~(\d+))?")
_NEWEST = float("inf")  # a release is newer than each of its ~ revisions


@dataclass(frozen=True)
class Migration:
    """One try: its lines, and what to write; None if it failed. The groups then go, too."""

    lines: tuple[Line, ...]
    rules: Rules | None = None
    services: Services | None = None


def parse_groups(text: str) -> dict[str, Group]:
    """The groups of a groups file, by id; ValueError if malformed."""
    return read_sections(text, _group)


def _group(section: Section) -> Group:
    if section.type != "group":
        raise section.flaw("only groups are expected here")
    return Group(
        id=section.id,
        nodes=section.priorities("nodes"),
        restricted=section.flag("restricted"),
        nofailback=section.flag("nofailback"),
        comment=section.properties.get("comment", ""),
    )


def group_rules(groups: Groups, services: Services) -> dict[str, Rule]:
    """The node affinity rules that the groups in use amount to, by id."""
    rules: dict[str, Rule] = {}
    for name, group in sorted(groups.items()):
        if members := frozenset(sid for sid, c in services.items() if c.group == name):
            id_ = f"ha-group-{name}"
            rules[id_] = NodeAffinity(
                id_, members, group.nodes, strict=group.restricted, comment=group.comment
            )
    return rules


def with_failback(groups: Groups, services: Services) -> dict[str, ServiceConfig]:
    """The services, with failback as their group has it."""
    return {
        sid: replace(config, failback=not groups[config.group].nofailback)
        if config.group in groups
        else config
        for sid, config in services.items()
    }


def migrate(
    groups: Groups,
    rules: Rules,
    services: Services,
    nodes: Nodes,
    node_states: Mapping[str, str],
    lrms: Mapping[str, LrmStatus],
    active_counts: Mapping[str, int],
) -> Migration:
    """Try to turn the groups into rules.

    `active_counts`: services that keep a node's LRM busy, by node; a node without has none.
    """
    lines = [Line("notice", "start ha group migration...")]
    for name in sorted(nodes):
        state, lrm = node_states.get(name, "unknown"), lrms.get(name)
        idle = not active_counts.get(name)
        for line in _readiness(name, state, lrm, nodes[name].version, idle=idle):
            lines.append(line)
            if line.level == "err":
                return Migration((*lines, *_FAILED))
    failback = with_failback(groups, services)
    return Migration(
        (*lines, *_MIGRATED),
        {**rules, **group_rules(groups, services)},
        {sid: replace(config, group="") for sid, config in failback.items()},
    )


_FAILED = (
    Line("err", "ha groups migration failed"),
    Line("notice", f"retry ha groups migration in {RETRY_ROUNDS} rounds (~ 60 seconds)"),
)
_MIGRATED = (
    Line("notice", "ha groups migration: migration to rules config successful"),
    Line("notice", "ha groups migration: migration to resources config successful"),
    Line("notice", "ha groups migration: group config deletion successful"),
    Line("notice", "ha groups migration successful"),
)


def _readiness(
    node: str, state: str, lrm: LrmStatus | None, version: str, *, idle: bool
) -> Iterator[Line]:
    """What is seen of a node, up to the first error."""

    def seen(what: str) -> Line:
        return Line("notice", f"ha groups migration: {what}")

    def failed(reason: str) -> Line:
        return Line("err", f"abort ha groups migration: {reason}")

    yield seen(f"node '{node}' is in state '{state}'")
    if state != "online":
        yield failed(f"node '{node}' is not online")
    if lrm is None or not lrm.state or not lrm.mode:
        yield failed(f"could not retrieve state for lrm '{node}'")
        return
    yield seen(f"lrm '{node}' is in state '{lrm.state}' and mode '{lrm.mode}'")
    if lrm.state != "active" and not (lrm.state == "wait_for_agent_lock" and idle):
        yield failed(f"lrm '{node}' is not in state 'active' or 'idle'")
    if lrm.mode != "active":
        yield failed(f"lrm '{node}' is not in mode 'active'")
    yield seen(f"node '{node}' has version '{version}'")
    if version_order(version) < version_order(NEEDED_VERSION):
        yield failed(f"node '{node}' needs at least pve-manager version '{NEEDED_VERSION}'")


def version_order(version: str) -> tuple[float, ...]:
    """What two versions of pve-manager compare by: `8.4.1`, `7.4-4`, `9.0.0~16`.

    ValueError if it isn't a version.
    """
    if not (parts := VERSION.match(version)):
        raise ValueError(f"{version!r} is no version of pve-manager, like {NEEDED_VERSION}")
    major, minor, patch, revision = parts.groups()
    return int(major), int(minor), int(patch or 0), _NEWEST if revision is None else int(revision)
