"""High availability as an operator meets it: nodes lost, cut off and back, moves and rules."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from lab.faults import parse_faults
from simulator import guests
from simulator.build import twin_of
from simulator.cluster.locks import MANAGER_LOCK, agent_lock
from simulator.cluster.state import Lock
from simulator.declared import declared_workload
from simulator.ha.part import ha_request
from simulator.twin import Twin
from tests.simulator.three_nodes import (
    NODES,
    after,
    apart,
    bound,
    guest,
    ha_of,
    lines,
    local_storage,
    service,
    three_nodes,
    together,
    twin_with_master,
    where,
)

LUFFY = guest("luffy", 101, on="pve2")
ZORO = guest("zoro", 102, on="pve3")


def _set(twin: Twin, state: str, vmid: int = 101) -> None:
    """Let somebody set the wanted state of a service."""
    workload = twin.state.workloads["a"]
    sid = f"vm:{vmid}"
    resource = replace(workload.ha[sid], state=state)
    guests.set_workload(twin, "a", replace(workload, ha={**workload.ha, sid: resource}))


def test_a_stack_with_nothing_to_do_sets_no_timer() -> None:
    twin = twin_of(three_nodes(LUFFY, ZORO))
    twin.run_until(1000)
    assert not twin.state.timers
    assert not twin.trace
    locks = ha_of(twin).locks
    assert locks[agent_lock("pve2")].node == "pve2"
    assert 990 <= locks[agent_lock("pve2")].renewed_s <= 1000
    assert agent_lock("pve1") not in locks


def test_guest_restarts_on_a_survivor_when_its_node_loses_power() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "fail-node pve2", 600)
    (fence,) = lines(twin, "node pve2", "ha-fence")
    (fenced,) = lines(twin, "node pve2", "ha-fenced")
    (up,) = lines(twin, "guest luffy", "up")
    assert where(twin, 101) == ("pve1", "running")
    assert service(twin, 101) == ("started", "pve1")
    assert 60 - 10 <= fence.at_s <= 60 + 10  # not seen for 60 s, in rounds of 10 s
    assert 120 - 10 < fenced.at_s <= 120 + 10  # the agent lock, last renewed up to 10 s before
    assert (
        fenced.at_s + 30 < up.at_s <= fenced.at_s + 10 + 30
    )  # the LRM's next round, then the boot


def test_guest_restarts_later_when_the_master_is_lost_with_its_node() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve2"), "fail-node pve2", 600)
    (master,) = lines(twin, kind="ha-master")
    (fence,) = lines(twin, "node pve2", "ha-fence")
    (up,) = lines(twin, "guest luffy", "up")
    assert 110 < master.at_s <= 125  # the manager lock, last renewed up to 10 s before
    assert fence.at_s == pytest.approx(master.at_s + 60)  # counted from its first look
    assert "offline for 60 s" in fence.text
    assert fence.at_s + 30 <= up.at_s <= fence.at_s + 10 + 30
    assert ha_of(twin).status.master_node != "pve2"


def test_node_cut_off_is_reset_by_its_watchdog_before_its_guest_runs_elsewhere() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "fail-cable pve2", 600)
    (reset,) = [e for e in lines(twin, "node pve2", "starting") if "watchdog" in e.text]
    (killed,) = lines(twin, "guest luffy", "killed")
    (start,) = lines(twin, "guest luffy", "starting")
    assert 50 <= reset.at_s <= 60  # 60 s after its last renewal, which was up to 10 s before
    assert killed.at_s == reset.at_s
    assert start.at_s > reset.at_s + 30
    assert where(twin, 101) == ("pve1", "running")


def test_cut_off_node_without_services_is_not_reset() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "fail-cable pve3", 600)
    assert not lines(twin, "node pve3", "starting")
    assert where(twin, 101) == ("pve2", "running")


def test_nothing_moves_when_a_cut_off_node_is_back_in_time() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "fail-cable pve2@0s..30s", 600)
    assert lines(twin, "node pve2", "ha-node-unknown")
    assert lines(twin, "node pve2", "ha-node-online")
    assert not lines(twin, "node pve2", "starting")
    assert not lines(twin, "node pve2", "ha-fence")
    assert where(twin, 101) == ("pve2", "running")
    assert 590 <= ha_of(twin).locks[agent_lock("pve2")].renewed_s <= 600


def test_guest_starts_again_on_its_node_when_that_has_rebooted_in_time() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "fail-node pve2@0s..5s", 600)
    assert not lines(twin, "node pve2", "ha-fence")
    assert where(twin, 101) == ("pve2", "running")
    (up,) = lines(twin, "guest luffy", "up")
    assert (
        5 + 40 + 30 < up.at_s < 5 + 40 + 15 + 30
    )  # its boot, quorum and a round, the guest's boot


def test_a_cut_off_master_is_followed_by_one_of_the_majority() -> None:
    twin = after(twin_with_master(three_nodes(ZORO), "pve1"), "fail-cable pve1@0s..300s", 600)
    (master,) = lines(twin, kind="ha-master")
    assert 110 < master.at_s <= 125
    assert ha_of(twin).status.master_node in ("pve2", "pve3")
    assert ha_of(twin).locks[MANAGER_LOCK].node == ha_of(twin).status.master_node


def test_all_nodes_with_services_fence_themselves_when_nobody_has_quorum() -> None:
    twin = after(twin_of(three_nodes(LUFFY, ZORO)), "fail-switch sw1@0s..600s", 1200)
    resets = {event.subject for event in lines(twin, kind="starting") if "watchdog" in event.text}
    assert resets == {"node pve2", "node pve3"}
    assert not lines(twin, kind="ha-fence")
    assert where(twin, 101) == ("pve2", "running")
    assert where(twin, 102) == ("pve3", "running")


def test_a_hanging_node_is_reset_and_its_guest_comes_back() -> None:
    twin = after(twin_with_master(three_nodes(LUFFY), "pve1"), "silence-node pve2", 900)
    assert any("watchdog" in event.text for event in lines(twin, "node pve2", "starting"))
    assert where(twin, 101)[1] == "running"


def test_service_bound_to_a_lost_node_waits_in_recovery_until_that_is_back() -> None:
    rule = bound("luffy", strict=True, pve2=1)
    twin = twin_with_master(three_nodes(LUFFY, more=rule), "pve1")
    after(twin, "fail-node pve2@0s..900s", 800)
    assert service(twin, 101) == ("recovery", "pve2")
    (told,) = lines(twin, "guest luffy", "ha-no-node")
    assert "no recovery node found" in told.text
    twin.run_until(1400)
    assert where(twin, 101) == ("pve2", "running")


def test_recovery_takes_the_node_with_the_fewest_services() -> None:
    others = [guest("zoro", 102, on="pve1"), guest("nami", 103, on="pve1")]
    third = guest("ussop", 104, on="pve3")
    twin = twin_with_master(three_nodes(LUFFY, *others, third), "pve1")
    after(twin, "fail-node pve2", 600)
    assert where(twin, 101) == ("pve3", "running")


def test_recovery_keeps_apart_what_a_rule_keeps_apart() -> None:
    rule = apart("luffy", "zoro")
    zoro = guest("zoro", 102, on="pve1")
    load = [guest("nami", 103, on="pve3"), guest("ussop", 104, on="pve3")]
    twin = twin_with_master(three_nodes(LUFFY, zoro, *load, more=rule), "pve1")
    after(twin, "fail-node pve2", 600)
    assert where(twin, 101) == ("pve3", "running")


def test_recovered_guest_goes_back_to_its_preferred_node_while_it_runs() -> None:
    rule = bound("luffy", pve2=2, pve3=1)
    twin = twin_with_master(three_nodes(LUFFY, more=rule), "pve1")
    after(twin, "fail-node pve2@0s..300s", 299)
    assert where(twin, 101) == ("pve3", "running")
    twin.run_until(600)
    assert where(twin, 101) == ("pve2", "running")
    assert len(lines(twin, "guest luffy", "up")) == 1  # it did not stop for the way back


def sharing(twin: Twin) -> Twin:
    """The folder of `local_storage` is one that its nodes share: `shared 1` in storage.cfg."""
    load = twin.state.workloads["a"]
    storages = {name: replace(spec, local=False) for name, spec in load.storages.items()}
    guests.set_workload(twin, "a", replace(load, storages=storages))
    return twin


def test_guest_whose_disk_stayed_on_the_lost_node_starts_nowhere_else() -> None:
    disk = "    disks: {scsi0: {storage: local, size: 8GiB}}\n"
    luffy = guest("luffy", 101, on="pve2", more=disk)
    lab = three_nodes(luffy, more=local_storage(*NODES), rules=False)
    twin = twin_with_master(lab, "pve1")
    after(twin, "fail-node pve2@0s..600s", 900)
    failed = lines(twin, "guest luffy", "ha-start-failed")
    assert {event.text.partition(": ")[2] for event in failed} == {
        f"can't be started on {node}: its disk on local is on pve2" for node in ("pve1", "pve3")
    }
    assert service(twin, 101)[0] == "error"  # and stays so when pve2 is back
    assert twin.facts.guest_problem(("a", 101)) == "its disk on local is on pve2"


def test_guest_starts_again_where_its_disk_is_if_the_node_is_back_in_time() -> None:
    disk = "    disks: {scsi0: {storage: local, size: 8GiB}}\n"
    luffy = guest("luffy", 101, on="pve2", more=disk)
    lab = three_nodes(luffy, more=local_storage(*NODES), rules=False)
    twin = twin_with_master(lab, "pve1")
    after(twin, "fail-node pve2@0s..5s", 900)
    assert where(twin, 101) == ("pve2", "running")


def test_guest_that_cannot_start_on_one_node_is_tried_on_another() -> None:
    disk = "    disks: {scsi0: {storage: local, size: 8GiB}}\n"
    storage = local_storage("pve2", "pve3")
    luffy = guest("luffy", 101, on="pve2", more=disk)
    twin = sharing(twin_with_master(three_nodes(luffy, more=storage, rules=False), "pve1"))
    after(twin, "fail-node pve2", 900)
    failed = lines(twin, "guest luffy", "ha-start-failed")
    assert len(failed) == 2  # one try and, by max_restart, one more
    assert all("pve1" in event.text and "storage local" in event.text for event in failed)
    assert where(twin, 101) == ("pve3", "running")
    assert ha_of(twin).status.services["vm:101"].failed_nodes == ()


def test_guest_that_can_start_nowhere_ends_in_error() -> None:
    disk = "    disks: {scsi0: {storage: local, size: 8GiB}}\n"
    storage = local_storage("pve2")
    luffy = guest("luffy", 101, on="pve2", more=disk)
    twin = sharing(twin_with_master(three_nodes(luffy, more=storage, rules=False), "pve1"))
    after(twin, "fail-node pve2", 900)
    assert service(twin, 101)[0] == "error"
    (error,) = lines(twin, "guest luffy", "ha-error")
    assert error.text == "HA: error, could not be started on pve1, pve1"  # no move to pve3 either
    assert any("move to pve3 failed" in event.text for event in lines(twin, "guest luffy"))


@pytest.mark.parametrize("state", ["stopped", "disabled"])
def test_wanted_state_stops_and_starts_the_guest(state: str) -> None:
    twin = twin_of(three_nodes(LUFFY))
    _set(twin, state)
    twin.run_until(60)
    assert where(twin, 101) == ("pve2", "stopped")
    assert service(twin, 101) == ("stopped", "pve2")
    _set(twin, "started")
    twin.run_until(200)
    assert where(twin, 101) == ("pve2", "running")


def test_ignored_service_is_let_go_and_left_as_it_is() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    _set(twin, "ignored")
    twin.run_until(60)
    assert not ha_of(twin).status.services
    after(twin, "fail-node pve2", 900)
    assert where(twin, 101) == ("pve2", "stopped")


def test_guest_stopped_behind_the_back_of_ha_is_started_again() -> None:
    twin = twin_of(three_nodes(LUFFY))
    guests.stop(twin, ("a", 101))
    twin.run_until(60)
    assert where(twin, 101) == ("pve2", "running")


def test_guests_without_ha_stay_down_with_their_node() -> None:
    plain = guest("nami", 103, on="pve2").replace("    ha: {}\n", "")
    twin = after(twin_with_master(three_nodes(LUFFY, plain), "pve1"), "fail-node pve2", 600)
    assert where(twin, 101) == ("pve1", "running")
    assert where(twin, 103) == ("pve2", "stopped")


def test_migrate_moves_a_running_guest_and_relocate_a_stopped_one() -> None:
    twin = twin_of(three_nodes(LUFFY))
    ha_request(twin, "a", "migrate", "vm:101", "pve1")
    twin.run_until(120)
    assert where(twin, 101) == ("pve1", "running")
    assert not lines(twin, "guest luffy", "down")
    assert not lines(twin, "guest luffy", "stopped")
    ha_request(twin, "a", "relocate", "vm:101", "pve3")
    twin.run_until(300)
    assert where(twin, 101) == ("pve3", "running")
    assert lines(twin, "guest luffy", "stopped")
    assert service(twin, 101) == ("started", "pve3")


def test_the_result_of_a_short_move_is_written_in_the_round_that_began_it() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    _set(twin, "stopped")
    twin.run_until(60)
    ha_request(twin, "a", "relocate", "vm:101", "pve3")
    while where(twin, 101)[0] != "pve3":
        assert twin.now_s < 120
        twin.run_until(twin.now_s + 0.25)
    (result,) = ha_of(twin).lrm_status["pve2"].results.values()
    assert (result.state, result.exit_code) == ("relocate", 0)


def test_a_node_without_virtualization_starts_nothing_and_ha_goes_elsewhere() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    twin.state.unfit["pve2"] = "its CPU has no virtualization"
    guests.stop(twin, ("a", 101))
    twin.run_until(120)
    failed = lines(twin, "guest luffy", "ha-start-failed")[0]
    assert failed.text == "HA: can't be started on pve2: its CPU has no virtualization"
    assert where(twin, 101)[0] != "pve2"


def test_move_is_refused_to_a_lost_node_and_to_a_rival() -> None:
    rule = apart("luffy", "zoro")
    twin = twin_of(three_nodes(LUFFY, ZORO, more=rule))
    ha_request(twin, "a", "migrate", "vm:101", "pve3")
    ha_request(twin, "a", "migrate", "vm:101", "pve9")
    twin.run_until(60)
    refused = lines(twin, "guest luffy", "ha-refused")
    assert [event.text for event in refused] == [
        "HA: migrate to pve3 refused, a rule keeps it apart from zoro",
        "HA: migrate to pve9 refused, it is not online",
    ]
    assert where(twin, 101) == ("pve2", "running")
    assert not ha_of(twin).queue


def test_move_takes_along_what_a_rule_keeps_together() -> None:
    rule = together("luffy", "zoro")
    twin = twin_of(three_nodes(LUFFY, guest("zoro", 102, on="pve2"), more=rule))
    ha_request(twin, "a", "migrate", "vm:101", "pve1")
    twin.run_until(200)
    assert (where(twin, 101)[0], where(twin, 102)[0]) == ("pve1", "pve1")


def test_move_fails_when_its_target_is_lost_meanwhile() -> None:
    twin = twin_with_master(three_nodes(guest("luffy", 101, on="pve2", memory="8GiB")), "pve1")
    ha_request(twin, "a", "migrate", "vm:101", "pve3")
    while (
        service(twin, 101)[0] != "migrate"
        or ("ha", "moved", "a", "vm:101") not in twin.state.timers
    ):
        twin.run_until(twin.now_s + 1)
    after(twin, "fail-node pve3", twin.now_s + 300)
    assert where(twin, 101) == ("pve2", "running")
    assert service(twin, 101) == ("started", "pve2")


def test_move_overtaken_by_the_loss_of_its_node_leaves_nothing_behind() -> None:
    twin = twin_with_master(three_nodes(guest("luffy", 101, on="pve2", memory="11GiB")), "pve1")
    ha_request(twin, "a", "migrate", "vm:101", "pve3")
    timer = ("ha", "moved", "a", "vm:101")
    while not twin.is_set(timer):
        twin.run_until(twin.now_s + 1)
    lost_s = twin.now_s
    after(twin, "fail-node pve2", lost_s + 75)
    assert service(twin, 101)[0] == "fence"
    assert not twin.is_set(timer)
    twin.run_until(lost_s + 300)
    assert where(twin, 101)[1] == "running"


def test_a_guest_wanted_stopped_is_stopped_again_and_again() -> None:
    off = guest("luffy", 101, on="pve3", more="    state: stopped\n")
    twin = twin_of(three_nodes(off, ZORO))
    for _ in range(2):
        guests.start(twin, ("a", 101))
        twin.run_until(twin.now_s + 30)
        assert where(twin, 101)[1] == "stopped"


def test_a_node_whose_last_service_has_gone_is_not_reset_when_it_is_cut_off() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    ha_request(twin, "a", "migrate", "vm:101", "pve3")
    twin.run_until(800)
    (idle,) = lines(twin, "node pve2", "ha-idle")
    assert 600 <= idle.at_s <= 660  # 60 rounds without a service
    assert agent_lock("pve2") not in ha_of(twin).locks
    after(twin, "fail-cable pve2", 400)
    assert not lines(twin, "node pve2", "starting")


@pytest.mark.parametrize("seed", range(5))
def test_a_node_that_is_to_be_fenced_does_not_become_master(seed: int) -> None:
    twin = twin_of(three_nodes(LUFFY), seed=seed)
    stack = twin.state.ha["a"] = twin.state.ha["a"].caught_up(twin.now_s)
    cluster = stack.cluster
    for node in NODES:
        cluster.crms[node].state, cluster.crms[node].manager = "slave", None
    cluster.locks[MANAGER_LOCK] = Lock("pve1", -200.0)
    fence = {"vm:101": replace(cluster.status.services["vm:101"], state="fence")}
    states = {"pve1": "unknown", "pve2": "fence", "pve3": "online"}
    cluster.status = replace(cluster.status, nodes=states, services=fence)
    after(twin, "fail-node pve1", 30)
    assert ha_of(twin).status.master_node == "pve3"


def test_first_service_of_an_empty_cluster_finds_a_master_and_starts() -> None:
    lab = three_nodes(LUFFY)
    twin = twin_of(lab, empty=True)
    guests.set_workload(twin, "a", declared_workload(lab, "a"))
    guests.place(twin, ("a", 101), "pve2")
    twin.run_until(120)
    assert ha_of(twin).status.master_node in ("pve1", "pve2", "pve3")
    assert service(twin, 101) == ("started", "pve2")
    assert where(twin, 101) == ("pve2", "running")
    assert not [timer for timer in twin.state.timers if timer[0] == "ha"]


@pytest.mark.parametrize("at_s", [1, 7.3, 61, 118, 130, 190])
def test_a_fork_at_any_instant_has_the_trace_of_its_original(at_s: float) -> None:
    twin = twin_with_master(three_nodes(LUFFY, ZORO), "pve2")
    after(twin, "fail-node pve2@0s..400s fail-cable pve3@20s..100s", at_s)
    fork, told = twin.fork(), len(twin.trace)
    twin.run_until(900)
    fork.run_until(900)
    assert fork.trace == twin.trace[told:]
    assert ha_of(fork) == ha_of(twin)
    assert fork.state.guests == twin.state.guests


def test_the_seed_decides_who_is_master_and_when_rounds_are() -> None:
    lab = three_nodes(LUFFY)
    masters = {ha_of(twin_of(lab, seed=seed)).status.master_node for seed in range(20)}
    assert masters == {"pve1", "pve2", "pve3"}
    ends = {
        lines(after(twin_of(lab, seed=s), "fail-node pve2", 600), kind="up")[0].at_s
        for s in range(5)
    }
    assert len(ends) == 5


@pytest.mark.parametrize("seed", [*range(39), 191])
def test_whatever_fails_no_guest_runs_twice_and_all_run_in_the_end(seed: int) -> None:
    names = ("luffy", "zoro", "nami")
    on = ("pve2", "pve3", "pve3")
    lab = three_nodes(*(guest(n, 101 + i, on=on[i]) for i, n in enumerate(names)))
    twin, chance = twin_of(lab, seed=seed), Random(seed)
    for _ in range(5):
        at_s = chance.randrange(0, 600)
        word = chance.choice(["fail-node", "silence-node", "fail-cable", "silence-cable"])
        twin.inject(
            parse_faults(
                [f"{word} {chance.choice(NODES)}@{at_s}s..{at_s + chance.randrange(1, 400)}s"]
            )
        )
    twin.run_until(2500)
    running = set(names)
    for event in twin.trace:
        kind, _, name = event.subject.partition(" ")
        if kind != "guest":
            continue
        if event.kind in ("killed", "stopped"):
            running.discard(name)
        assert not ("recovered" in event.text and name in running), event
        if event.kind == "starting":
            assert name not in running, event
            running.add(name)
    assert [where(twin, 101 + number)[1] for number in range(3)] == ["running"] * 3
    assert set(ha_of(twin).status.nodes.values()) == {"online"}
    assert not [timer for timer in twin.state.timers if timer[0] == "ha"]
