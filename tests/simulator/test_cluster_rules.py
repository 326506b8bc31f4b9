"""Rules and groups of the HA manager: read, checked, compiled, and what they make of a choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.cluster.documents import (
    CrsSettings,
    LrmStatus,
    NodeAffinity,
    NodeInfo,
    ResourceAffinity,
    Rule,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.groups import (
    group_rules,
    migrate,
    parse_groups,
    version_order,
    with_failback,
)
from simulator.cluster.placement import bound_nodes, select_node
from simulator.cluster.rules import Compiled, compile_rules, parse_rules
from simulator.cluster.usage import build_usage

FOUR = ("n1", "n2", "n3", "n4")


def apart(id_: str, *sids: str) -> ResourceAffinity:
    return ResourceAffinity(id_, frozenset(sids), positive=False)


def together(id_: str, *sids: str) -> ResourceAffinity:
    return ResourceAffinity(id_, frozenset(sids), positive=True)


def on(id_: str, sids: str, *, strict: bool = False, **nodes: int) -> NodeAffinity:
    return NodeAffinity(id_, frozenset(sids.split()), nodes, strict)


def compiled(*rules: Rule, nodes: tuple[str, ...] = FOUR) -> Compiled:
    result, lines = compile_rules({rule.id: rule for rule in rules}, nodes)
    assert not lines
    return result


def dropped(*rules: Rule, nodes: tuple[str, ...] = FOUR) -> list[str]:
    _, lines = compile_rules({rule.id: rule for rule in rules}, nodes)
    return [line.message for line in lines]


def select(
    rules: Compiled,
    sid: str = "vm:1",
    preference: str = "none",
    *,
    failback: bool = True,
    online: tuple[str, ...] = FOUR,
    **records: ServiceRecord,
) -> str:
    """The node chosen by number of services; a record `vm1` is that of vm:1."""
    by_sid = {f"{name[:2]}:{name[2:]}": record for name, record in records.items()}
    nodes = {name: NodeInfo(online=True) for name in online}
    config = ServiceConfig(by_sid[sid].node, "started", failback=failback)
    usage, _ = build_usage(CrsSettings(), nodes, by_sid, {}, {}, {}, {})
    return select_node(sid, preference, by_sid, config, rules, online, usage)


def started(node: str, *failed: str) -> ServiceRecord:
    return ServiceRecord("started", node, "u", failed_nodes=failed)


def test_rules_are_read_with_lists_flags_and_comments() -> None:
    rules = parse_rules(
        "  # ours\n"
        "node-affinity: near\n\tresources vm:1;ct:2 fa:3\n\tnodes n1:2,n2\n\t# inside\n\tstrict\n"
        "\tcomment close to the disks\n\n\n"
        "resource-affinity: far\n  resources vm:1,vm:4\n  affinity negative\n  disable"
    )
    assert rules == {
        "near": NodeAffinity(
            "near",
            frozenset({"vm:1", "ct:2", "fa:3"}),
            {"n1": 2, "n2": 0},
            strict=True,
            comment="close to the disks",
        ),
        "far": replace(apart("far", "vm:1", "vm:4"), disabled=True),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no header", "line 1: a section starts"),
        ("node-affinity: a\nnodes n1", "line 2: a property is indented"),
        ("node-affinity: a\n\tnodes n1\n", "line 1: node-affinity a: resources is missing"),
        ("node-affinity: a\n\tresources vm:1\n\tnodes n1:x", "the priority of node n1"),
        ("node-affinity: a\n\tresources vm:1\n\tnodes n1\n\tstrict maybe", "strict is 0 or 1"),
        ("\nresource-affinity: a\n\tresources vm:1\n\taffinity both", "line 2: .* positive or"),
        ("colour: a\n\tresources vm:1", "a rule is a node-affinity or"),
        (
            "\n".join(["resource-affinity: a\n resources vm:1\n affinity negative\n"] * 2),
            "line 5: a is there twice",
        ),
    ],
)
def test_a_malformed_rule_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rules(text)


def test_disabled_rules_bind_nobody_and_drop_nobody() -> None:
    rules = {"off": replace(apart("off", "vm:1"), disabled=True)}
    assert compile_rules(rules, FOUR) == (Compiled(), ())


def test_rules_that_bind_one_service_twice_are_all_dropped() -> None:
    assert dropped(on("b", "vm:1 vm:2", n1=0), on("a", "vm:1", n2=0)) == [
        "Drop rule 'a', because resource 'vm:1' is already used in another node affinity rule.",
        "Drop rule 'b', because resource 'vm:1' is already used in another node affinity rule.",
    ]


def test_rules_without_effect_or_without_room_are_dropped() -> None:
    assert dropped(
        apart("lone", "vm:1"), apart("many", "vm:1", "vm:2", "vm:3"), nodes=FOUR[:2]
    ) == [
        "Drop rule 'lone', because rule is ineffective as there are less than two resources.",
        "Drop rule 'many', because rule defines more resources than available nodes.",
    ]


def test_services_that_connected_rules_keep_together_cant_be_kept_apart() -> None:
    shares = "because rule shares two or more resources with a"
    assert dropped(
        together("p1", "vm:1", "vm:2"), together("p2", "vm:2", "vm:3"), apart("n", "vm:1", "vm:3")
    ) == [
        f"Drop rule 'n', {shares} positive resource affinity rule.",
        f"Drop rule 'p1', {shares} negative resource affinity rule.",
        f"Drop rule 'p2', {shares} negative resource affinity rule.",
    ]


def test_a_reason_is_given_once_however_many_rules_give_it() -> None:
    messages = dropped(
        together("pair", "vm:1", "vm:2"), apart("x", "vm:1", "vm:2"), apart("y", "vm:1", "vm:2")
    )
    assert [message.split("'")[1] for message in messages] == ["pair", "x", "y"]


def test_node_rules_with_priorities_dont_go_with_resource_rules() -> None:
    messages = dropped(apart("far", "vm:1", "vm:2"), on("near", "vm:1", n1=1, n2=2))
    assert [message.split(",")[0] for message in messages] == [
        "Drop rule 'far'",
        "Drop rule 'near'",
    ]
    assert "multiple priorities" in messages[0]


def test_a_bundle_is_bound_by_one_node_rule_only() -> None:
    messages = dropped(
        together("pair", "vm:1", "vm:2"), on("a", "vm:1", n1=0), on("b", "vm:2", n1=0)
    )
    assert [message.split("'")[1] for message in messages] == ["a", "b", "pair"]


def test_services_kept_apart_need_as_many_nodes_as_they_are() -> None:
    far, narrow = apart("far", "vm:1", "vm:2", "vm:3"), on("narrow", "vm:1 vm:2", n1=0)
    assert [message.split("'")[1] for message in dropped(far, narrow)] == ["far", "narrow"]
    assert not dropped(far, on("wide", "vm:1 vm:2", n1=0, n2=0))


def test_rules_that_share_services_make_one_bundle() -> None:
    rules = compiled(together("a", "vm:1", "vm:2"), together("b", "vm:2", "vm:3"))
    assert rules.positive("vm:1") == ("vm:2", "vm:3")
    assert rules.positive("vm:9") == ()


def test_rules_are_connected_in_one_pass_by_their_lowest_service() -> None:
    chain = compiled(
        together("a", "vm:3", "vm:4"), together("b", "vm:1", "vm:2"), together("c", "vm:2", "vm:3")
    )
    assert chain.positive("vm:1") == ("vm:2", "vm:3", "vm:4")
    bridged = compiled(
        together("a", "vm:1", "vm:5"), together("b", "vm:2", "vm:6"), together("c", "vm:5", "vm:6")
    )
    assert bridged.positive("vm:1") == ("vm:5", "vm:6")
    assert bridged.positive("vm:2") == ("vm:6",)  # the third rule joined the first alone


def test_what_one_of_a_bundle_avoids_all_of_it_avoid_but_not_the_others_bundle() -> None:
    rules = compiled(
        together("ab", "vm:a", "vm:b"), together("cd", "vm:c", "vm:d"), apart("ac", "vm:a", "vm:c")
    )
    assert rules.negative("vm:a") == ("vm:c", "vm:d")
    assert rules.negative("vm:b") == ("vm:c",)
    assert rules.negative("vm:d") == ("vm:a",)


def test_a_node_rule_of_one_binds_its_bundle() -> None:
    rules = compiled(together("pair", "vm:1", "vm:2"), on("home", "vm:1", strict=True, n3=0))
    assert bound_nodes("vm:2", rules, FOUR) == ({"n3"}, {"n3"})


def test_nodes_of_a_rule_that_isnt_strict_are_preferred_by_priority_and_others_allowed() -> None:
    rules = compiled(on("home", "vm:1", n1=2, n2=1))
    assert bound_nodes("vm:1", rules, FOUR) == (set(FOUR), {"n1"})
    assert bound_nodes("vm:1", rules, ("n2", "n3")) == ({"n2", "n3"}, {"n2"})
    assert bound_nodes("vm:1", rules, ("n3", "n4")) == ({"n3", "n4"}, {"n3", "n4"})


def test_a_service_with_a_strict_rule_has_no_node_when_its_nodes_are_gone() -> None:
    rules = compiled(on("home", "vm:1", strict=True, n1=0))
    assert select(rules, preference="best-score", online=("n2", "n3"), vm1=started("n1")) == ""


def test_a_service_returns_to_its_preferred_node_unless_failback_is_off() -> None:
    rules = compiled(on("home", "vm:1", n1=0))
    assert select(rules, vm1=started("n2")) == "n1"
    assert select(rules, failback=False, vm1=started("n2")) == "n2"


def test_a_service_without_rules_stays_however_full_its_node_is() -> None:
    one, two = started("n1"), started("n1")
    assert select(Compiled(), vm1=one, vm2=two) == "n1"
    assert select(Compiled(), preference="best-score", vm1=one, vm2=two) == "n2"


def test_a_service_avoids_where_its_opposite_is_and_where_it_goes() -> None:
    rules = compiled(apart("far", "vm:1", "vm:2"))
    moving = ServiceRecord("migrate", "n1", "u", target="n2")
    assert select(rules, vm1=started("n1"), vm2=moving) == "n3"
    assert select(rules, failback=False, vm1=started("n1"), vm2=moving) == "n3"


def test_a_service_avoids_the_emptiest_node_if_its_opposite_is_on_the_way_there() -> None:
    rules = compiled(apart("far", "vm:1", "vm:2"))
    moving = ServiceRecord("migrate", "n1", "u", target="n2")
    one, full = started("n1"), started("n3")
    assert select(rules, online=FOUR[:3], vm1=one, vm2=moving, vm3=full, vm4=full) == "n3"


def test_a_service_follows_most_of_its_bundle_to_where_they_go() -> None:
    rules = compiled(together("all", "vm:1", "vm:2", "vm:3", "vm:4"))
    moving = ServiceRecord("migrate", "n1", "u", target="n3")
    assert select(rules, vm1=started("n1"), vm2=moving, vm3=moving, vm4=started("n1")) == "n3"
    assert select(rules, vm1=started("n1"), vm2=moving, vm3=started("n1")) == "n1"


def test_after_a_failed_start_the_next_node_in_order_is_tried() -> None:
    here = started("n1", "n1")
    assert select(Compiled(), preference="try-next", vm1=here, vm2=started("n2")) == "n3"
    between, full = started("n1", "n4"), started("n3")  # n2, n1, n3 by load
    assert select(Compiled(), preference="try-next", vm1=between, vm2=full, vm3=full) == "n3"
    tried = started("n4", "n1", "n2", "n3", "n4")
    assert select(Compiled(), preference="try-next", vm1=tried) == ""


def test_a_service_goes_back_after_maintenance_before_it_stays() -> None:
    back = replace(started("n2"), maintenance_node="n3")
    assert select(Compiled(), vm1=back) == "n3"
    assert select(Compiled(), vm1=back, online=("n1", "n2")) == "n2"


GROUPS = """group: disks
\tnodes n1:2,n2
\trestricted 1

group: any
\tnodes n3
\tnofailback 1

group: unused
\tnodes n1
"""
SERVICES = {
    "vm:1": ServiceConfig("n1", "started", group="disks"),
    "vm:2": ServiceConfig("n2", "started", group="any"),
    "vm:3": ServiceConfig("n3", "started"),
}


def test_groups_in_use_are_node_rules_and_set_failback() -> None:
    groups = parse_groups(GROUPS)
    assert group_rules(groups, SERVICES) == {
        "ha-group-any": on("ha-group-any", "vm:2", n3=0),
        "ha-group-disks": on("ha-group-disks", "vm:1", strict=True, n1=2, n2=0),
    }
    failback = {sid: config.failback for sid, config in with_failback(groups, SERVICES).items()}
    assert failback == {"vm:1": True, "vm:2": False, "vm:3": True}


def test_a_file_of_groups_holds_nothing_else() -> None:
    with pytest.raises(ValueError, match="only groups"):
        parse_groups("pool: a\n\tnodes n1")


def test_versions_compare_with_and_without_revision() -> None:
    order = ["7.4-4", "8.4.1", "9.0.0~2", "9.0.0~16", "9.0.0", "9.0.1~1"]
    assert sorted(reversed(order), key=version_order) == order
    with pytest.raises(ValueError, match="no version"):
        version_order("nine")


def test_groups_move_into_rules_when_every_node_is_ready() -> None:
    ready = NodeInfo(online=True, version="9.0.0")
    lrms = {"n1": LrmStatus("active"), "n2": LrmStatus("wait_for_agent_lock")}
    nodes, states = {"n1": ready, "n2": ready}, {"n1": "online", "n2": "online"}
    extra: dict[str, Rule] = {"far": apart("far", "vm:1", "vm:2")}
    result = migrate(parse_groups(GROUPS), extra, SERVICES, nodes, states, lrms, {"n1": 2})
    assert result.rules is not None
    assert result.services is not None
    assert sorted(result.rules) == ["far", "ha-group-any", "ha-group-disks"]
    assert not any(config.group for config in result.services.values())
    assert result.services["vm:2"].failback is False
    assert result.lines[-1].message == "ha groups migration successful"


@pytest.mark.parametrize(
    ("state", "lrm", "version", "reason"),
    [
        ("unknown", LrmStatus("active"), "9.0.0", "node 'n2' is not online"),
        ("online", None, "9.0.0", "could not retrieve state for lrm 'n2'"),
        ("online", LrmStatus("wait_for_agent_lock"), "9.0.0", "lrm 'n2' is not in state 'active'"),
        ("online", LrmStatus("active", "restart"), "9.0.0", "lrm 'n2' is not in mode 'active'"),
        ("online", LrmStatus("active"), "9.0.0~15", "node 'n2' needs at least"),
    ],
)
def test_groups_stay_while_a_node_is_not_ready(
    state: str, lrm: LrmStatus | None, version: str, reason: str
) -> None:
    nodes = {"n1": NodeInfo(online=True, version="9.0.0"), "n2": NodeInfo(True, version=version)}
    lrms = {"n1": LrmStatus("active")} | ({"n2": lrm} if lrm else {})
    states = {"n1": "online", "n2": state}
    result = migrate(parse_groups(GROUPS), {}, SERVICES, nodes, states, lrms, {"n1": 1, "n2": 1})
    *_, why, failed, retry = result.lines
    assert (result.rules, result.services) == (None, None)
    assert why.message.startswith(f"abort ha groups migration: {reason}")
    assert (failed.level, retry.level) == ("err", "notice")
