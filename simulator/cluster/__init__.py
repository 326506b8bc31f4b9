"""Proxmox VE's HA stack, CRM and LRM, as a pure core: functions over shared documents and a clock.

    documents         the plain values that daemons share
    state             a cluster at an instant: documents, hardware, daemons, log; forkable
    locks, hardware   the cluster's locks, watchdogs; power and network of the nodes
    guests, jobs      guests that pretend to run, and what an LRM does to those or real ones
    crm, lrm          the two daemons of a node, one iteration each
    manager, turn     the master's round and what its steps share:
    nodes, services, commands, disarm
    case, files, script, suite    the regression suite: its files, its commands and its clock

What `manager` takes from the modules about placement (none of them changes what it is given):

    rules.parse_rules(text: str) -> dict[str, Rule]                     ValueError if malformed
    rules.compile_rules(rules: Rules, nodes: Sequence[str]) -> tuple[Compiled, tuple[Line, ...]]
        nodes: all of the cluster; the lines are `Drop rule ...`; disabled rules are skipped
    Compiled.positive(sid) -> Sequence[str]; Compiled.negative(sid) -> Sequence[str]
        sids it belongs with or apart from, sorted, itself not among them
    groups.parse_groups(text: str) -> dict[str, Group]                  ValueError if malformed
    groups.group_rules(groups: Groups, services: Services) -> dict[str, Rule]
    groups.with_failback(groups: Groups, services: Services) -> dict[str, ServiceConfig]
    groups.migrate(groups, rules, services, nodes: Nodes, node_states: Mapping[str, str],
        lrms: Mapping[str, LrmStatus], active_counts: Mapping[str, int]) -> Migration
        Migration(lines: tuple[Line, ...], rules: Rules | None, services: Services | None)
        None: it failed, nothing to write; the groups are deleted otherwise. node_states: by node,
        the manager's (13.5's `is in state`). Lines are all of 13.5 from `start ha group ...` on
    usage.build_usage(settings: CrsSettings, nodes: Nodes, records: Records, services: Services,
        static: Mapping[str, Amount], dynamic: Mapping[str, Amount],
        running: Mapping[str, frozenset[str]]) -> tuple[Usage, tuple[Line, ...]]
        nodes: those to place on (state online) only; static: maxcpu, maxmem by sid; dynamic: cpu,
        mem by sid; running: sids by node whose running flag is set there
    Usage.put(sid, record: ServiceRecord | None, config: ServiceConfig | None) -> None
        counts this service anew after its record changed (the one thing that is mutable)
    Usage.scores(sid) -> dict[str, float]                               by node, lower is better
    placement.select_node(sid: str, preference: str, records: Records, config: ServiceConfig,
        rules: Compiled, online: Collection[str], usage: Usage) -> str    "" if there is none
        preference: "none", "best-score" or "try-next"; online: nodes in state online
    rebalance.rebalance(hold: int, settings: CrsSettings, records: Records,
        rules: Compiled, online: Collection[str], usage: Usage) -> tuple[int, Move | None]
        hold: the counter before and after; Move(sid, target, before, after), imbalances
"""
